"""The milter policy against a scripted milter: what it hears at each stage, what its replies come to, and when it misbehaves."""

import pytest
from program_fakes import ALICE, MESSAGE, ORIGIN, SENDER, FakeContext, FakePrograms, at_end, judged
from twisted.internet.defer import CancelledError, Deferred
from zope.interface.verify import verifyObject

from mailnode.errors import ConfigurationError
from mailnode.interfaces.policy import IHearsSessions, IPolicy
from mailnode.interfaces.programs import FailedBefore, ProgramFailed
from mailnode.policy import milter as module
from mailnode.policy.milter_session import MAX_CHANGES
from mailnode.policy.options import read
from mailnode.policy.wire import milter
from mailnode.policy.wire.fields import MAX_FIELDS
from mailnode.policy.wire.milter import Packets
from mailnode.server.plugins import policy_factories
from mailnode.values.address import parse_address
from mailnode.values.envelope import Origin, Recipient
from mailnode.values.policy import PASS, Findings, PolicyRequest, ScoredReason, Verdict

BOB = parse_address("bob@us.test")
NUL = b"\0"
CONTINUE = milter.octets(milter.CONTINUE)


def agrees(version=6, actions=milter.ADDS_FIELDS | milter.QUARANTINES, steps=0):
    return milter.octets(milter.NEGOTIATE, b"".join(one.to_bytes(4, "big") for one in (version, actions, steps)))


class World:
    """A policy and a milter. ``replies``: what it says to a step in place of "go on"; ``heard``: all that it was told."""

    def __init__(self, steps=0, replies=None, **options):
        self.programs = FakePrograms(self.hears)
        self.clock = self.programs.clock
        self.steps, self.replies = steps, {milter.NEGOTIATE: agrees(steps=steps), **(replies or {})}
        self.heard = []
        self.read = {}
        self.policy = module.make(
            read(module.OPTIONS, {"endpoint": "unix:/run/milter", **options}), FakeContext(self.programs)
        )

    def hears(self, link):
        packets, taken = self.read.setdefault(id(link), (Packets(), [0]))
        packets.receive(bytes(link.written[taken[0] :]))
        taken[0] = len(link.written)
        while (packet := packets.next()) is not None:
            self.heard.append((packet.kind, packet.data))
            unanswered = packet.kind in (milter.MACROS, milter.ABORT, milter.QUIT)
            if not unanswered and not self.steps & milter.UNANSWERED.get(packet.kind, 0):
                link.say(self.replies.get(packet.kind, CONTINUE))

    def ask(self, stage, origin=ORIGIN, recipient=None, sender=SENDER, size=0):
        return self.outcome(
            PolicyRequest(stage, origin, sender, Recipient(recipient) if recipient else None, size=size)
        )

    def outcome(self, request):
        outcome = []
        judged(self.policy, request).addBoth(outcome.append)
        if not outcome:
            return None
        if not isinstance(outcome[0], Verdict):
            outcome[0].raiseException()
        return outcome[0]

    def dialog(self, *recipients):
        """Everything up to a message, and return what is said of it."""
        self.ask("connect", Origin("s1", "SMTP", ORIGIN.peer))
        self.ask("helo")
        self.ask("mail", size=70)
        for recipient in recipients or (ALICE,):
            self.ask("rcpt", recipient=recipient)
        self.ask("data")
        return self.end(*recipients)

    def end(self, *recipients, message=MESSAGE, **more):
        return self.outcome(at_end(message, *recipients, **more))

    def kinds(self):
        return b"".join(kind for kind, _ in self.heard if kind != milter.MACROS).decode()

    def macros(self, step):
        return next(data[1:] for kind, data in self.heard if kind == milter.MACROS and data[:1] == step)


def test_it_is_found_and_needs_a_place():
    factory = policy_factories()["milter"]
    assert all(factory.options.values())
    with pytest.raises(ConfigurationError, match="endpoint: is required"):
        factory.make({}, FakeContext(FakePrograms()))
    world = World(called="opendkim", users=True)
    verifyObject(IPolicy, world.policy)
    verifyObject(IHearsSessions, world.policy)
    assert (world.policy.name, world.policy.only_strangers) == ("opendkim", False)


def test_what_it_hears_of_a_message():
    world = World()
    assert world.dialog() == PASS
    heard = [one for one in world.heard if one[0] != milter.MACROS]
    assert heard == [
        (b"O", milter.offer(milter.actions(["fields"]))[5:]),
        (b"C", b"[192.0.2.7]\x004\0\x00192.0.2.7\0"),
        (b"H", b"far.test\0"),
        (b"M", b"<a@far.test>\0SIZE=70\0"),
        (b"R", b"<alice@us.test>\0"),
        (b"T", b""),
        (b"L", b"From\0a@far.test\0"),
        (b"L", b"Subject\0hello\0"),
        (b"N", b""),
        (b"B", b"body\r\n"),
        (b"E", b""),
    ]
    assert world.macros(b"C") == b"j\0mx.us.test\0_\0[192.0.2.7]\0{daemon_name}\0mailnode\0{client_addr}\x00192.0.2.7\0"
    assert world.macros(b"H") == b"{tls_version}\0TLSv1.3\0{cipher}\0TLS_AES_256_GCM_SHA384\0"
    assert world.macros(b"M") == b"{mail_addr}\0a@far.test\0{mail_host}\0far.test\0{mail_mailer}\0esmtp\0"
    assert world.macros(b"R") == b"{rcpt_addr}\0alice@us.test\0{rcpt_host}\0us.test\0{rcpt_mailer}\0local\0"
    assert world.macros(b"N") == world.macros(b"E") == b"i\0e1\0"


def test_messages_of_a_session_go_over_one_connection_which_ends_with_it():
    world = World()
    world.dialog()
    world.ask("mail", sender=None)
    world.ask("rcpt", recipient=ALICE)
    world.ask("mail")  # the one before was given up
    world.ask("rcpt", recipient=ALICE)
    world.ask("data")
    world.end()
    assert world.kinds() == "OCHMRTLLNBEMRAMRTLLNBE"
    assert (b"M", b"<>\0") in world.heard
    [link] = world.programs.links
    world.policy.session_ended("s2")
    assert not link.closed
    world.policy.session_ended("s1")
    world.policy.session_ended("s1")
    assert link.closed
    assert world.kinds().endswith("Q")
    assert world.policy._sessions == {}


def test_a_session_of_its_own_for_each_client():
    world = World()
    for session in ("s1", "s2"):
        world.ask("connect", Origin(session, "SMTP", "192.0.2.9"))
    assert len(world.programs.links) == 2
    world.policy.session_ended("s1")
    assert [link.closed for link in world.programs.links] == [True, False]
    world.ask("connect", Origin("s2", "SMTP", "2001:db8::7"))  # by XCLIENT, say
    assert len(world.programs.links) == 3
    assert world.programs.links[1].closed
    assert world.heard[-1] == (b"C", b"[2001:db8::7]\x006\0\x002001:db8::7\0")


def test_what_an_earlier_stage_left_out_is_said_before():
    world = World()
    assert world.end(ALICE, BOB) == PASS
    assert world.kinds() == "OCHMRRTLLNBE"
    world = World()
    world.ask("rcpt", recipient=ALICE)
    assert world.kinds() == "OCHMR"
    world.ask("rcpt", recipient=BOB)
    world.end(ALICE, BOB)
    assert world.kinds() == "OCHMRRTLLNBE"


def test_steps_it_does_not_want_and_those_it_gives_no_reply_to():
    quiet = World(steps=sum(milter.UNANSWERED.values()))
    assert quiet.dialog() == PASS
    assert quiet.kinds() == "OCHMRTLLNBE"
    deaf = World(steps=sum(milter.UNWANTED.values()))
    assert deaf.dialog() == PASS
    assert deaf.kinds() == "OE"
    old = World(replies={milter.NEGOTIATE: agrees(2, 0, 0)})
    assert old.dialog() == PASS
    assert "T" not in old.kinds()


def test_fields_as_they_are_written_where_it_wants_that():
    message = MESSAGE.replace(b"Subject: hello", b"Subject:  hello\r\n\tthere")
    world = World()
    world.end(message=message)
    assert (b"L", b"Subject\0 hello\n\tthere\0") in world.heard
    world = World(steps=milter.LEADING_SPACE)
    world.end(message=message)
    assert (b"L", b"Subject\0  hello\n\tthere\0") in world.heard


def test_a_large_body_goes_in_chunks_until_it_has_seen_enough():
    message = MESSAGE + b"x" * 200_000
    world = World()
    world.end(message=message)
    chunks = [data for kind, data in world.heard if kind == b"B"]
    assert [len(chunk) for chunk in chunks] == [65_535, 65_535, 65_535, 200_000 + 6 - 3 * 65_535]
    assert b"".join(chunks) == message.partition(b"\r\n\r\n")[2]
    world = World(replies={milter.BODY: milter.octets(milter.SKIP)})
    assert world.end(message=message) == PASS
    assert world.kinds() == "OCHMRTLLNBE"


SAYS = [
    (milter.octets(b"r"), ("refuse", "5.7.1", "Refused by policy")),
    (milter.octets(b"t"), ("defer", "4.7.1", "Try again later")),
    (milter.octets(b"y", b"554 5.7.0 Not you\0"), ("refuse", "5.7.0", "Not you")),
    (milter.octets(b"y", b"452 Slowly\0"), ("defer", "4.7.1", "Slowly")),
    (milter.octets(b"4"), ("defer", "4.7.1", "Try again later")),
]


@pytest.mark.parametrize(("said", "verdict"), SAYS)
@pytest.mark.parametrize("stage", ["connect", "helo", "mail", "rcpt", "data"])
def test_refusals_at_each_stage(stage, said, verdict):
    step = {"connect": b"C", "helo": b"H", "mail": b"M", "rcpt": b"R", "data": b"T"}[stage]
    world = World(replies={step: said})
    told = world.ask(stage, recipient=ALICE)
    assert (told.action, told.status, told.text) == verdict


@pytest.mark.parametrize(("said", "verdict"), SAYS)
@pytest.mark.parametrize("step", [milter.HEADER, milter.END_OF_HEADER, milter.BODY, milter.END])
def test_refusals_of_the_content(step, said, verdict):
    world = World(replies={step: said})
    told = world.dialog()
    assert (told.action, told.status, told.text) == verdict
    world.replies.pop(step)
    world.ask("mail")
    world.ask("rcpt", recipient=ALICE)
    assert world.end() == PASS


def test_one_recipient_of_two_is_refused():
    world = World()
    world.ask("mail")
    world.replies[milter.RCPT] = milter.octets(b"r")
    assert world.ask("rcpt", recipient=ALICE).action == "refuse"
    world.replies.pop(milter.RCPT)
    assert world.ask("rcpt", recipient=BOB) == PASS
    assert world.end(BOB) == PASS
    assert world.kinds() == "OCHMRRTLLNBE"


def test_what_was_refused_stays_so_until_the_next_message():
    world = World(replies={milter.DATA: milter.octets(b"t")})
    world.ask("mail")
    assert [world.ask("data").action for _ in range(2)] == ["defer", "defer"]
    assert world.end().action == "defer"
    assert world.kinds() == "OCHMT"


def test_who_is_accepted_is_heard_of_no_more():
    world = World(replies={milter.HELO: milter.octets(b"a")})
    assert world.dialog() == PASS
    assert world.kinds() == "OCH"
    world = World(replies={milter.RCPT: milter.octets(b"a")})
    assert world.dialog() == PASS
    assert world.kinds() == "OCHMR"
    world.dialog()
    assert world.kinds() == "OCHMRQOCHMR"


@pytest.mark.parametrize("step", [milter.MAIL, milter.RCPT, milter.DATA, milter.HEADER, milter.END])
def test_what_is_discarded_is_junk_or_refused_but_not_hidden(step):
    world = World(replies={step: milter.octets(b"d")})
    assert world.dialog() == Verdict("quarantine", reason="discarded")
    strict = World(replies={step: milter.octets(b"d")}, discard="refuse")
    said = strict.dialog()
    assert (said.action, said.status, said.reason) == ("refuse", "5.7.1", "discarded")
    world.replies.pop(step)
    world.ask("mail")
    assert world.end() == PASS


def adds(*changes, last=CONTINUE):
    return b"".join(milter.octets(kind, data) for kind, data in changes) + last


def test_what_it_adds_stands_on_top():
    changes = ((b"h", b"X-B\0two\0"), (b"i", b"\0\0\0\0X-A\0one\0"), (b"h", b"Received\0no\0"), (b"h", b"X-C\0\xff\0"))
    verdict = World(replies={milter.END: adds(*changes)}).dialog()
    assert verdict == Verdict(headers=(b"X-A: one\r\n", b"X-B: two\r\n", b"X-C: \xff\r\n"))
    many = World(replies={milter.END: adds(*[(b"h", b"X-B\0two\0")] * (MAX_FIELDS + 5))}).dialog()
    assert len(many.headers) == MAX_FIELDS


def test_quarantine():
    changes = adds((b"q", b"looks odd\0"), last=milter.octets(b"a"))
    assert World(replies={milter.END: changes}).dialog() == Verdict("quarantine", reason="looks odd")
    assert World(replies={milter.END: changes}, quarantine="hold").dialog() == Verdict(hold=True, reason="looks odd")


def test_it_may_take_longer_where_it_says_so():
    world = World(replies={milter.END: b""})
    outcome = []
    for stage in ("connect", "mail"):
        world.ask(stage)
    judged(world.policy, at_end()).addBoth(outcome.append)
    for _ in range(5):
        world.clock.advance(7)
        world.programs.links[0].say(milter.octets(milter.PROGRESS))
    assert not outcome
    world.programs.links[0].say(CONTINUE)
    assert outcome == [PASS]
    assert world.clock.getDelayedCalls() == []


def test_it_is_not_at_work_without_end():
    world = World(replies={milter.MAIL: milter.octets(milter.PROGRESS) * 2000})
    assert "without end" in failing(world)


def failing(world, stage="mail"):
    with pytest.raises(ProgramFailed) as failed:
        world.ask(stage, recipient=ALICE) if stage != "end" else world.end()
    assert all(link.aborted for link in world.programs.links)
    return str(failed.value)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"HTTP/1.1 400", "a packet of 1213486160 octets"),
        (bytes(4), "a packet of 0 octets"),
        (milter.octets(b"z"), "fits no step"),
        (milter.octets(b"h", b"X\0y\0"), "fits no step"),
        (milter.octets(b"s"), "fits no step"),
        (milter.octets(b"y", b"250 fine\0"), "none of SMTP"),
        (agrees(), "fits no step"),
    ],
)
def test_what_is_no_reply_is_a_failure(said, why):
    assert why in failing(World(replies={milter.MAIL: said}))
    assert why in failing(World(replies={milter.RCPT: said}), "rcpt")


@pytest.mark.parametrize(
    "said",
    [
        adds((b"e", b"<b@x.test>\0")),
        adds((b"+", b"<b@x.test>\0")),
        adds((b"b", b"other\r\n")),
        adds((b"h", b"X-B")),
        adds(*[(b"h", b"X-B\0two\0")] * (MAX_CHANGES + 1)),
        milter.octets(b"s"),
    ],
)
def test_what_was_not_offered_is_a_failure(said):
    assert failing(World(replies={milter.END: said}), "end")


def test_one_that_wants_to_change_what_cannot_be_changed_says_so_at_once():
    world = World(replies={milter.NEGOTIATE: agrees(actions=0x13)})
    assert "cannot be done here: 0x2" in failing(world, "connect")


def test_what_one_may_ask_for_that_is_not_done_is_left_out_and_told():
    changes = adds((b"m", b"\0\0\0\1Subject\0x\0"), (b"h", b"X-A\0one\0"), (b"b", b"other"), (b"+", b"x\0"))
    world = World(replies={milter.END: changes}, not_done=["fields", "recipients", "body"])
    assert world.dialog() == Verdict(headers=(b"X-A: one\r\n",), reason="changes not made: body, fields, recipients")


def test_one_that_is_down_is_tried_again_with_the_next_message_and_told_of_once():
    world = World()
    world.programs.down = True
    assert "connection refused" in failing(world, "connect")
    for stage in ("helo", "rcpt", "data"):
        with pytest.raises(FailedBefore):
            world.ask(stage, recipient=ALICE)
    assert "connection refused" in failing(world, "mail")
    with pytest.raises(FailedBefore):
        world.end()
    world.programs.down = False
    world.ask("mail")
    world.ask("rcpt", recipient=ALICE)
    assert world.end() == PASS
    assert world.kinds() == "OCHMRTLLNBE"


def test_one_that_was_started_anew_between_two_messages_is_found_again():
    world = World()
    world.dialog()
    world.programs.links[0].end()
    world.ask("mail")
    world.ask("rcpt", recipient=ALICE)
    assert world.end() == PASS
    assert world.kinds() == "OCHMRTLLNBE" + "OCHMRTLLNBE"


@pytest.mark.parametrize(
    "step", [milter.NEGOTIATE, milter.CONNECT, milter.MAIL, milter.HEADER, milter.BODY, milter.END]
)
def test_one_that_is_silent_says_half_or_ends_in_the_middle(step):
    for half in (b"", b"\0\0\0", b"\0\0\0\x20c"):
        for ends in (True, False):
            world = World(replies={step: half})
            outcome = []
            judged(world.policy, at_end()).addBoth(outcome.append)
            if ends:
                world.programs.links[0].end()
            for _ in range(9):
                world.programs.links[0].say(b"")
                world.clock.advance(1)
            assert outcome[0].check(ProgramFailed)
            assert ("ended before" if ends else "no answer within 8 seconds") in str(outcome[0].value)
            assert world.programs.links[0].aborted
            assert world.clock.getDelayedCalls() == []


def test_one_that_takes_nothing_has_its_time_and_no_more():
    world = World()
    world.ask("mail")
    [link] = world.programs.links
    link.stuck = Deferred()
    outcome = []
    judged(world.policy, at_end()).addBoth(outcome.append)
    world.clock.advance(9)
    assert "no answer within 8 seconds" in str(outcome[0].value)
    assert link.aborted
    world = World()
    world.ask("mail")
    [link] = world.programs.links
    link.stuck = Deferred()
    world.policy.session_ended("s1")
    assert not link.ended
    world.clock.advance(9)
    assert link.aborted
    assert world.clock.getDelayedCalls() == []


def test_who_gives_up_waiting_gives_everything_back():
    world = World(replies={milter.BODY: b""})
    outcome = []
    asking = judged(world.policy, at_end())
    asking.addBoth(outcome.append)
    asking.cancel()
    assert outcome[0].check(CancelledError)
    assert world.programs.links[0].aborted
    assert world.clock.getDelayedCalls() == []


def test_it_is_not_shown_what_is_decided_or_too_large():
    world = World(skip_from=10.0)
    world.ask("mail")
    world.ask("rcpt", recipient=ALICE)
    assert world.end(found=Findings((), (ScoredReason("x", "y", 10.0),))) is PASS
    assert world.kinds() == "OCHMRA"
    world = World(largest=10)
    assert world.dialog().reason == "not asked: more than 10 octets"
    assert world.kinds() == "OCHMRTA"


@pytest.mark.parametrize("step", [milter.MAIL, milter.RCPT, milter.DATA])
def test_what_it_said_holds_though_the_content_is_too_large_for_it(step):
    world = World(replies={step: milter.octets(b"d")}, largest=10)
    assert world.dialog() == Verdict("quarantine", reason="discarded")
    assert world.kinds().endswith("A")
    world.replies.pop(step)
    world.ask("mail")
    assert world.end().reason == "not asked: more than 10 octets"  # the one before is over
    assert World(replies={step: milter.octets(milter.ACCEPT)}, largest=10).dialog() is PASS


def test_who_was_refused_on_a_new_connection_is_refused_when_it_tries_again():
    for step in (milter.CONNECT, milter.HELO):
        world = World(replies={step: milter.octets(milter.REJECT)})
        for _ in range(2):  # the milter has begun anew in the middle of a session
            assert world.ask("mail").action == "refuse"
        assert milter.MAIL.decode() not in world.kinds()
