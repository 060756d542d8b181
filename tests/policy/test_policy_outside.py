"""Policies that ask a program: what its answers come to, and what becomes of a message when it is down or misbehaves."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from program_fakes import ALICE, MESSAGE, ORIGIN, FakeContext, FakePrograms, at_end, judged
from twisted.internet.defer import CancelledError
from zope.interface.verify import verifyObject

from mailnode.errors import ConfigurationError
from mailnode.interfaces.policy import IPolicy
from mailnode.interfaces.programs import ProgramFailed
from mailnode.policy import clamav, rspamd, spamassassin
from mailnode.policy.options import read
from mailnode.server.plugins import policy_factories
from mailnode.values.address import parse_address
from mailnode.values.envelope import Origin
from mailnode.values.policy import PASS, Findings, ScoredReason, Verdict

PROGRAMS = ("clamav", "milter", "rspamd", "spamassassin")
HTTP = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"


def rspamd_says(**fields):
    content = json.dumps({"action": "no action", "score": 0.0, "required_score": 15.0, **fields}).encode()
    return HTTP % (len(content), content)


def spamd_says(score, report=b""):
    spam = b"%s ; %.1f / 5.0" % (b"True" if score >= 5 else b"False", score)
    return b"SPAMD/1.1 0 EX_OK\r\nContent-length: %d\r\nSpam: %s\r\n\r\n%s" % (len(report), spam, report)


GOOD = {clamav: b"stream: OK\0", spamassassin: spamd_says(0.0), rspamd: rspamd_says()}
MODULES = pytest.mark.parametrize("module", GOOD, ids=lambda module: module.__name__.rpartition(".")[2])


def heard_all(link):
    """Whether a program has the whole message."""
    return bytes(link.written).endswith((bytes(4), b"body\r\n"))


def ask(module, answer, request=None, **options):
    """Return the verdict, or what was raised, when a program answers this once it has the message."""
    programs = FakePrograms(lambda link: link.say(answer) if heard_all(link) else None)
    policy = module.make(read(module.OPTIONS, options), FakeContext(programs))
    verifyObject(IPolicy, policy)
    outcome = []
    judged(policy, request or at_end()).addBoth(outcome.append)
    assert all(link.aborted for link in programs.links)
    [verdict] = outcome
    if not isinstance(verdict, Verdict):
        verdict.raiseException()
    return verdict, programs


def test_they_are_found_and_say_their_options():
    factories = policy_factories()
    for module in GOOD:
        factory = factories[module.__name__.rpartition(".")[2]]
        assert all(factory.options.values()), factory.options
        assert factory.make({"endpoint": "unix:/run/x"}, FakeContext(FakePrograms())).name == factory.name
        with pytest.raises(ConfigurationError, match="should be tcp:HOST:PORT"):
            factory.make({"endpoint": "here"}, FakeContext(FakePrograms()))


def test_the_examples_of_the_page_can_be_made():
    page = (Path(__file__).parents[2] / "docs" / "judgement.rst").read_text()
    shown = re.findall(r"^   name = \"(.+)\"\n(?:   on_failure = .+\n)?   (options = .+)\n", page, re.MULTILINE)
    factories, context, made = policy_factories(), FakeContext(FakePrograms()), []
    for name, options in shown:
        if name in PROGRAMS:
            factories[name].make(tomllib.loads(options)["options"], context)
            made.append(name)
    assert sorted(made) == sorted(PROGRAMS)


def test_clamd():
    verdict, programs = ask(clamav, b"stream: OK\0")
    assert verdict is PASS
    [link] = programs.links
    assert link.written == b"zINSTREAM\0" + len(MESSAGE).to_bytes(4, "big") + MESSAGE + bytes(4)
    found = b"stream: Ours.Test FOUND\0"
    verdict, _ = ask(clamav, found)
    assert (verdict.action, verdict.status, verdict.text) == ("refuse", "5.7.1", "Message has malware in it: Ours.Test")
    assert ask(clamav, found, found="quarantine")[0] == Verdict("quarantine", reason="found Ours.Test")
    assert ask(clamav, found, suspicions={"Ours.": 3.0})[0] == Verdict(score=3.0, reason="found Ours.Test")
    assert ask(clamav, found, suspicions={"PUA.": 3.0})[0].action == "refuse"
    with pytest.raises(ProgramFailed, match="size limit"):
        ask(clamav, b"INSTREAM size limit exceeded. ERROR\0")


def test_spamd():
    verdict, programs = ask(spamassassin, spamd_says(7.5, b" 7.0 OURS  cheap\n 0.5 MILD  x\n"), scale=2.0, user="joe")
    assert verdict == Verdict(score=15.0, reason="7.5 of 5.0: OURS +7.0, MILD +0.5")
    head = b"REPORT SPAMC/1.5\r\nContent-length: %d\r\nUser: joe\r\n\r\n" % len(MESSAGE)
    assert programs.links[0].written == head + MESSAGE
    assert ask(spamassassin, spamd_says(7.5), spam="quarantine")[0].action == "quarantine"
    assert ask(spamassassin, spamd_says(4.5), spam="quarantine")[0].action == "pass"


@pytest.mark.parametrize(
    ("action", "options", "outcome"),
    [
        ("no action", {}, "pass"),
        ("reject", {}, "refuse"),
        ("reject", {"reject": "quarantine"}, "quarantine"),
        ("reject", {"reject": "score"}, "pass"),
        ("add header", {}, "quarantine"),
        ("add header", {"add_header": "score"}, "pass"),
        ("rewrite subject", {}, "quarantine"),
        ("greylist", {}, "pass"),
        ("greylist", {"greylist": "defer"}, "defer"),
        ("soft reject", {}, "defer"),
        ("quarantine", {}, "quarantine"),
        ("discard", {}, "quarantine"),
        ("what is new", {}, "pass"),
    ],
)
def test_actions_of_rspamd(action, options, outcome):
    answer = rspamd_says(action=action, score=10.0, messages={"smtp_message": "So it is"}, symbols={"A": {"score": 10}})
    verdict, _ = ask(rspamd, answer, scale=0.5, **options)
    assert verdict.action == outcome
    assert verdict.reason == f"{action}, 10.0 of 15.0: A +10.0"
    if outcome in ("refuse", "defer"):
        assert (verdict.text, verdict.status) == ("So it is", "5.7.1" if outcome == "refuse" else "4.7.1")
    else:
        assert verdict.score == 5.0


def test_rspamd_is_told_who_it_is_and_its_fields_stand_on_top():
    bob = parse_address("b\u00fcb@us.test")
    origin = Origin("s1", "ESMTPSA", "2001:db8::1", "a\rb", ORIGIN.tls, "id1", "joe@us.test")
    request = at_end(MESSAGE, ALICE, bob, origin=origin, sender=None)
    answer = rspamd_says(milter={"add_headers": {"X-Spamd": "7", "Received": "no"}})
    verdict, programs = ask(rspamd, answer, request)
    assert verdict.headers == (b"X-Spamd: 7\r\n",)
    assert ask(rspamd, answer, headers=False)[0].headers == ()
    head, _, body = bytes(programs.links[0].written).partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /checkv2 HTTP/1.1"
    for line in (
        b"MTA-Name: mx.us.test",
        b"Queue-Id: e1",
        b"From: <>",
        b"Rcpt: <alice@us.test>",
        b"Rcpt: <b\xc3\xbcb@us.test>",
        b"IP: 2001:db8::1",
        b"Hostname: host.far.test",
        b"Helo: a?b",
        b"User: joe@us.test",
        b"TLS-Version: TLSv1.3",
        b"TLS-Cipher: TLS_AES_256_GCM_SHA384",
    ):
        assert line in lines
    assert body == MESSAGE


def test_an_answer_of_rspamd_that_is_large_is_read_in_a_thread():
    symbols = {f"S{at}": {"score": 0.1} for at in range(2000)}
    assert ask(rspamd, rspamd_says(symbols=symbols))[0].action == "pass"
    with pytest.raises(ProgramFailed, match="no JSON"):
        ask(rspamd, HTTP % (40_000, b"[" * 40_000))
    with pytest.raises(ProgramFailed, match="code 503"):
        ask(rspamd, b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")


@MODULES
def test_what_is_decided_or_too_large_is_not_asked(module):
    def found(score, quarantine=False):
        return at_end(found=Findings((), (ScoredReason("x", "y", score),), quarantine))

    for request, asked in (
        (found(10.0), 0),
        (found(1.0, True), 0),
        (found(-5.0), 0),
        (found(9.0), 1),
        (found(-4.0), 1),
    ):
        assert len(ask(module, GOOD[module], request, skip_from=10.0, skip_below=-4.5)[1].links) == asked
    assert len(ask(module, GOOD[module], found(1000.0, True))[1].links) == 1
    verdict, programs = ask(module, GOOD[module], largest=len(MESSAGE) - 1)
    assert not programs.links
    assert (verdict.action, verdict.score) == ("pass", 0.0)
    assert verdict.reason == f"not asked: more than {len(MESSAGE) - 1} octets"
    assert len(ask(module, GOOD[module], largest=len(MESSAGE))[1].links) == 1


@MODULES
def test_users_are_asked_about_where_that_is_wanted(module):
    for users in (False, True):
        policy = module.make(read(module.OPTIONS, {"users": users}), FakeContext(FakePrograms()))
        assert policy.only_strangers is not users


@MODULES
def test_a_large_message_goes_in_pieces_and_stops_when_it_is_answered(module):
    large = MESSAGE.replace(b"body", b"x" * 300_000 + b"\r\nbody")
    verdict, programs = ask(module, GOOD[module], at_end(large), largest="1MB")
    assert verdict.action == "pass"
    assert len(programs.links[0].written) > 300_000
    early = FakePrograms(
        lambda link: link.say(GOOD[module]) if len(link.written) > 60_000 and not link.answered else None
    )
    policy = module.make(read(module.OPTIONS, {"largest": "1MB"}), FakeContext(early))
    outcome = []
    judged(policy, at_end(large)).addBoth(outcome.append)
    assert outcome[0].action == "pass"
    assert len(early.links[0].written) < 140_000


class Hostile:
    """A policy and a program that does what a test wants."""

    def __init__(self, module, hears=lambda link: None, **options):
        self.programs = FakePrograms(hears)
        self.clock = self.programs.clock
        self.policy = module.make(read(module.OPTIONS, {"timeout": "5s", **options}), FakeContext(self.programs))
        self.outcome = []

    def ask(self):
        asking = judged(self.policy, at_end())
        asking.addBoth(self.outcome.append)
        return asking

    def failure(self):
        """What it came to; all is given back."""
        assert self.clock.getDelayedCalls() == []
        assert all(link.aborted for link in self.programs.links)
        return self.outcome[0].check(ProgramFailed) and str(self.outcome[0].value)


@MODULES
def test_one_that_is_down(module):
    hostile = Hostile(module)
    hostile.programs.down = True
    hostile.ask()
    assert "connection refused" in hostile.failure()


@MODULES
def test_one_that_is_silent(module):
    hostile = Hostile(module)
    hostile.ask()
    hostile.clock.advance(4.9)
    assert not hostile.outcome
    hostile.clock.advance(0.2)
    assert "no answer within 5 seconds" in hostile.failure()


@MODULES
def test_one_that_says_an_octet_a_second(module):
    hostile = Hostile(module)
    hostile.ask()
    for at in range(6):
        for link in hostile.programs.links:
            link.say(GOOD[module][at : at + 1])
        hostile.clock.advance(1)
    assert "no answer within 5 seconds" in hostile.failure()


@MODULES
@pytest.mark.parametrize("cut", [0, 1, 8])
def test_one_that_ends_in_the_middle(module, cut):
    def cuts(link):
        link.say(GOOD[module][:cut])
        link.end()

    hostile = Hostile(module, cuts)
    hostile.ask()
    assert hostile.failure()


@MODULES
@pytest.mark.parametrize("garbage", [b"\r\n\r\n\0", b"SSH-2.0-x\r\n\r\n\0", bytes(range(256)) * 2, b"x" * 100_000])
def test_one_that_says_garbage_without_end(module, garbage):
    hostile = Hostile(module)
    hostile.ask()
    for _ in range(100):
        for link in hostile.programs.links:
            if not link.ended:
                link.say(garbage)
    assert hostile.failure()


@MODULES
def test_who_gives_up_waiting_gives_everything_back(module):
    hostile = Hostile(module)
    hostile.ask().cancel()
    assert hostile.outcome[0].check(CancelledError)
    assert hostile.programs.links[0].aborted
    assert hostile.clock.getDelayedCalls() == []


@MODULES
def test_so_many_at_a_time_and_who_waits_has_no_longer_than_others(module):
    hostile = Hostile(module, at_once=2)
    for _ in range(4):
        hostile.ask()
    assert len(hostile.programs.links) == 2
    hostile.programs.links[0].say(GOOD[module])
    assert len(hostile.programs.links) == 3
    hostile.clock.advance(6)
    assert len(hostile.outcome) == 4
    assert hostile.outcome[0].action == "pass"
    assert all(isinstance(failure.value, ProgramFailed) for failure in hostile.outcome[1:])
    hostile.ask()
    assert len(hostile.programs.links) <= 5 and not hostile.programs.links[-1].aborted


def test_a_message_that_ends_early_is_a_failure():
    request = at_end()

    async def nothing(offset, length):
        return b""

    request = request._replace(read=nothing)
    for module in GOOD:
        with pytest.raises(ProgramFailed, match="shorter than its size"):
            ask(module, GOOD[module], request)
