"""DMARC: who vouches for a message, and what becomes of one that nobody vouches for."""

import pytest
from dns_zone import Zone
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mailnode.errors import ConfigurationError
from mailnode.interfaces.dmarc import IDmarcCounts
from mailnode.interfaces.policy import IPolicy
from mailnode.message.vouching import TRUSTED
from mailnode.net.no_reactor import CallingThread
from mailnode.policy.dmarc import OPTIONS, DmarcPolicy
from mailnode.policy.options import read
from mailnode.server.reading import read as read_message
from mailnode.values.address import parse_address
from mailnode.values.authentication import AuthenticationResult
from mailnode.values.envelope import Origin
from mailnode.values.policy import PASS, Findings, PolicyRequest


@implementer(IDmarcCounts)
class Counts:
    def __init__(self):
        self.seen = []

    def note(self, seen):
        self.seen.append(seen)


SENDER = "From: sender@example.com\r\n"
NO_DKIM = AuthenticationResult("dkim", "none")
NO_SPF = AuthenticationResult("spf", "none", (("smtp.mailfrom", "x@elsewhere.net"),))


def spf(domain, result="pass"):
    return AuthenticationResult("spf", result, (("smtp.mailfrom", f"someone@{domain}"),))


def dkim(domain, result="pass"):
    return AuthenticationResult("dkim", result, (("header.d", domain), ("header.s", "s1")))


def judge(zone, *results, header=SENDER, sender="bounce@elsewhere.net", counts=None, ahead=None, **options):
    policy = DmarcPolicy(read(OPTIONS, options), zone, CallingThread(), counts or Counts(), Clock())
    verifyObject(IPolicy, policy)
    request = PolicyRequest(
        "end",
        Origin("s1", "ESMTP", "192.0.2.1"),
        parse_address(sender) if sender else None,
        header=header.encode() + b"\r\n",
        found=Findings(tuple(results)),
        ahead=ahead,
    )
    done = []
    Deferred.fromCoroutine(policy.judge(request)).addBoth(done.append)
    if not hasattr(done[0], "action"):
        done[0].raiseException()
    return done[0]


def outcome(verdict):
    [result] = verdict.results
    return result.result, verdict.action, dict(result.properties).get("policy.dmarc")


def zone(record="v=DMARC1; p=reject", **more):
    return Zone({"_dmarc.example.com": record, **{name.replace("__", "."): text for name, text in more.items()}})


@pytest.mark.parametrize(
    ("author", "results", "expected"),
    [
        # RFC 9989 B.1.1
        ("example.com", [spf("example.com"), NO_DKIM], "pass"),
        ("example.com", [spf("child.example.com"), NO_DKIM], "pass"),
        ("child.example.com", [spf("example.net"), NO_DKIM], "fail"),
        # RFC 9989 B.1.2
        ("example.com", [NO_SPF, dkim("example.com")], "pass"),
        ("child.example.com", [NO_SPF, dkim("example.com")], "pass"),
        ("child.example.com", [NO_SPF, dkim("example.net")], "fail"),
        # several signatures, names in capitals, and what only ends alike
        ("example.com", [NO_SPF, dkim("example.net"), dkim("EXAMPLE.com", "fail"), dkim("A.Example.COM")], "pass"),
        ("example.com", [NO_SPF, dkim("notexample.com"), dkim("com")], "fail"),
        ("example.com", [spf("example.com", "softfail"), dkim("example.com", "neutral")], "fail"),
        ("example.com", [AuthenticationResult("spf", "pass", (("smtp.helo", "example.com"),)), NO_DKIM], "fail"),
        ("example.com", [spf("example.com", "temperror"), NO_DKIM], "temperror"),
        ("example.com", [NO_SPF, dkim("a.example.com", "temperror")], "temperror"),
        ("example.com", [spf("example.net", "temperror"), NO_DKIM], "fail"),
        ("example.com", [spf("example.com", "temperror"), dkim("example.com")], "pass"),
        # where a policy has failed, nothing follows
        ("example.com", [spf("example.com", "fail")], "temperror"),
        ("example.com", [dkim("example.com")], "pass"),
    ],
)
def test_who_vouches_for_a_domain(author, results, expected):
    verdict = judge(zone(), *results, header=f"From: sender@{author}\r\n")
    action = "refuse" if expected == "fail" else "pass"
    assert outcome(verdict) == (expected, action, "reject" if expected == "fail" else "none")
    assert dict(verdict.results[0].properties)["header.from"] == author
    assert verdict.score == 0 and verdict.reason


def test_what_another_process_has_read_says_the_same():
    asked = []

    async def ahead(keys):
        asked.append(keys)
        return read_message(b"From: sender@example.com\r\n\r\n", 28, keys, 0.0)

    async def died(keys):
        return None

    here = judge(zone(), NO_SPF, dkim("example.com"))
    assert judge(zone(), NO_SPF, dkim("example.com"), header="From: x@other.test\r\n", ahead=ahead) == here
    assert judge(zone(), NO_SPF, dkim("example.com"), ahead=died) == here
    assert asked == [{}]


def test_the_name_of_the_client_counts_for_the_null_sender():
    helo = AuthenticationResult("spf", "pass", (("smtp.helo", "mx.example.com"),))
    assert outcome(judge(zone(), helo, NO_DKIM, sender=""))[0] == "pass"


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ("v=DMARC1; p=none", ("fail", "pass", "none")),
        ("v=DMARC1; p=quarantine", ("fail", "quarantine", "quarantine")),
        ("v=DMARC1; p=reject", ("fail", "refuse", "reject")),
        ("v=DMARC1; p=reject; t=y", ("fail", "quarantine", "quarantine")),
        ("v=DMARC1; p=quarantine; t=y", ("fail", "pass", "none")),
        ("v=DMARC1; sp=reject; rua=mailto:a@example.com", ("fail", "pass", "none")),
        ("v=DMARC1; sp=reject", ("permerror", "pass", "none")),
        ("v=spf1 -all", ("none", "pass", None)),
        (["v=DMARC1; p=reject", "v=DMARC1; p=none"], ("none", "pass", None)),
        ("fails", ("temperror", "pass", None)),
    ],
)
def test_what_is_asked_for_is_done(record, expected):
    assert outcome(judge(zone(record), NO_SPF, NO_DKIM)) == expected


@pytest.mark.parametrize(
    ("author", "record", "policy"),
    [
        ("example.com", "v=DMARC1; p=quarantine; sp=none; np=reject", "quarantine"),
        ("there.example.com", "v=DMARC1; p=quarantine; sp=none; np=reject", "none"),
        ("gone.example.com", "v=DMARC1; p=quarantine; sp=none; np=reject", "reject"),
        ("gone.example.com", "v=DMARC1; p=quarantine; sp=reject", "reject"),
        ("gone.example.com", "v=DMARC1; p=quarantine", "quarantine"),
        ("a.b.c.d.e.f.g.h.example.com", "v=DMARC1; p=none; np=reject", "reject"),
    ],
)
def test_names_below_may_have_another_policy(author, record, policy):
    names = Zone({"_dmarc.example.com": record}, {"there.example.com": None})
    verdict = judge(names, NO_SPF, NO_DKIM, header=f"From: <x@{author}>\r\n")
    assert outcome(verdict)[2] == policy


def test_whether_a_name_exists_is_asked_only_where_it_matters():
    names = zone("v=DMARC1; p=none; sp=quarantine")
    judge(names, NO_SPF, NO_DKIM, header="From: x@gone.example.com\r\n")
    assert {kind for kind, _ in names.asked} == {"TXT"}
    names = Zone({"_dmarc.example.com": "v=DMARC1; p=none; np=reject"}, {"gone.example.com": "fails"})
    assert outcome(judge(names, NO_SPF, NO_DKIM, header="From: x@gone.example.com\r\n"))[0] == "temperror"


def test_strict_alignment_is_of_one_name_alone():
    strict = zone("v=DMARC1; p=reject; adkim=s")
    assert outcome(judge(strict, NO_SPF, dkim("a.example.com")))[0] == "fail"
    assert outcome(judge(strict, NO_SPF, dkim("example.com")))[0] == "pass"
    assert outcome(judge(strict, spf("a.example.com"), NO_DKIM))[0] == "pass"
    strict = zone("v=DMARC1; p=reject; aspf=s")
    assert outcome(judge(strict, spf("a.example.com"), NO_DKIM))[0] == "fail"


def test_what_is_registered_side_by_side_does_not_vouch_for_each_other():
    names = Zone(
        {"_dmarc.bank.example": "v=DMARC1; p=reject; psd=y", "_dmarc.giant.bank.example": "v=DMARC1; p=reject"}
    )
    giant = "From: x@giant.bank.example\r\n"  # RFC 9989 B.4.3
    assert outcome(judge(names, spf("mail.giant.bank.example"), NO_DKIM, header=giant))[0] == "pass"
    assert outcome(judge(names, NO_SPF, dkim("mail.mega.bank.example"), header=giant))[0] == "fail"
    assert outcome(judge(names, NO_SPF, dkim("bank.example"), header=giant))[0] == "fail"


def test_a_part_of_a_domain_may_stand_for_itself():
    names = zone("v=DMARC1; p=reject", _dmarc__a__example__com="v=DMARC1; p=quarantine; psd=n")
    names.records["TXT"]["_dmarc.a.example.com"] = "v=DMARC1; p=quarantine; psd=n"
    verdict = judge(names, NO_SPF, dkim("example.com"), header="From: x@a.example.com\r\n")
    assert outcome(verdict) == ("fail", "quarantine", "quarantine")
    assert outcome(judge(names, NO_SPF, dkim("a.example.com"), header=SENDER))[0] == "fail"


def test_a_refusal_tells_whom_to_ask_and_what_was_missing():
    verdict = judge(zone(), spf("elsewhere.net"), dkim("example.com", "fail"))
    assert verdict.status == "5.7.1"
    assert verdict.text == (
        "Refused by the DMARC policy of example.com: nothing vouches for example.com: SPF pass for elsewhere.net, "
        "DKIM fail for example.com"
    )


def test_nothing_is_said_where_nobody_looked_at_spf_or_dkim():
    names = zone()
    assert judge(names) is PASS
    assert judge(names, AuthenticationResult("iprev", "pass")) is PASS
    assert not names.asked


def test_enforcement_can_be_left_to_others():
    verdict = judge(zone(), NO_SPF, NO_DKIM, enforce=False)
    assert outcome(verdict) == ("fail", "pass", "none")
    assert "local_policy" in verdict.reason


def test_dns_that_does_not_answer_can_defer():
    verdict = judge(zone("fails"), NO_SPF, NO_DKIM, on_temperror="defer")
    assert (verdict.action, verdict.status) == ("defer", "4.7.1")


@pytest.mark.parametrize(
    ("header", "expected", "author"),
    [
        ("From: a@other.test, b@example.com\r\n", ("fail", "refuse", "reject"), "example.com"),
        ("From: b@example.com\r\nFrom: a@other.test\r\n", ("fail", "refuse", "reject"), "example.com"),
        ("From: b@example.com <a@other.test>\r\n", ("fail", "refuse", "reject"), "example.com"),
        ("From: a@other.test, b@third.test\r\n", ("none", "pass", None), "other.test"),
        ("Subject: hello\r\n", ("permerror", "pass", None), None),
        ("From: nobody\r\n", ("permerror", "pass", None), None),
        ("From: b @ example . com\r\n", ("fail", "refuse", "reject"), "example.com"),
        ("From: b@example(x).com\r\n", ("fail", "refuse", "reject"), "example.com"),
        ("From: " + ", ".join(f"x@d{n}.test" for n in range(20)) + "\r\n", ("permerror", "quarantine", None), None),
        ("From: (" + "x" * 20_000 + ") b@example.com\r\n", ("permerror", "quarantine", None), None),
    ],
)
def test_an_author_that_is_not_clear_is_the_worst_of_those_it_may_be(header, expected, author):
    verdict = judge(zone(), spf("other.test"), NO_DKIM, header=header)
    assert outcome(verdict) == expected
    assert dict(verdict.results[0].properties).get("header.from") == author
    assert expected[1] == "refuse" or verdict.score == 2.0


def test_nothing_is_done_about_who_hides_among_many_where_nothing_is_to_be_done():
    header = "From: " + ", ".join(f"x@d{n}.test" for n in range(20)) + "\r\n"
    assert judge(zone(), spf("other.test"), NO_DKIM, header=header, enforce=False).action == "pass"


def test_a_name_in_other_letters_is_looked_up_in_ascii():
    names = Zone({"_dmarc.xn--bcher-kva.test": "v=DMARC1; p=reject"})
    verdict = judge(names, NO_SPF, dkim("b\u00fccher.test"), header="From: x@b\u00fccher.test\r\n")
    assert outcome(verdict)[0] == "pass"


def test_mail_of_a_list_is_not_refused_by_itself():
    listed = SENDER + "List-Id: <l.lists.test>\r\n"
    verdict = judge(zone(), spf("lists.test"), NO_DKIM, header=listed)
    assert outcome(verdict) == ("fail", "quarantine", "quarantine")
    assert "mailing_list" in verdict.reason
    assert outcome(judge(zone(), NO_SPF, NO_DKIM, header=listed))[1] == "refuse"  # anybody may say so
    assert outcome(judge(zone(), spf("lists.test"), NO_DKIM, header=listed, refuse_lists=True))[1] == "refuse"


def chain(said):
    return (
        "ARC-Seal: i=1; a=rsa-sha256; cv=none; d=lists.test; s=s; b=AA==\r\n"
        "ARC-Message-Signature: i=1; a=rsa-sha256; d=lists.test; s=s; h=from; bh=AA==; b=AA==\r\n"
        f"ARC-Authentication-Results: i=1; mx.lists.test; {said}\r\n"
    )


@pytest.mark.parametrize(
    ("result", "trusted", "said", "action"),
    [
        ("pass", "lists.test", "dmarc=pass header.from=example.com", "pass"),
        ("pass", "lists.test", "spf=fail; dkim=pass header.d=mail.example.com", "pass"),
        ("pass", "lists.test", "dmarc=fail header.from=example.com", "refuse"),
        ("pass", "lists.test", "dmarc=pass header.from=other.test", "refuse"),
        ("pass", "lists.test", "dkim=pass header.d=other.test", "refuse"),
        ("pass", "", "dmarc=pass header.from=example.com", "refuse"),
        ("fail", "lists.test", "dmarc=pass header.from=example.com", "refuse"),
    ],
)
def test_trusted_sealers_are_believed(result, trusted, said, action):
    arc = AuthenticationResult("arc", result, ((TRUSTED, trusted),) if trusted else ())
    verdict = judge(zone(), NO_SPF, NO_DKIM, arc, header=chain(said) + SENDER)
    assert outcome(verdict)[:2] == ("fail", action)
    assert ("trusted_forwarder (arc=pass, sealed by lists.test)" in verdict.reason) == (action == "pass")


def test_very_many_signatures_cost_few_questions():
    names = zone()
    judge(names, NO_SPF, *[dkim(f"a{number}.b.c.d.e.f.g.h.example.com", "pass") for number in range(1000)])
    assert len(names.asked) < 200


@pytest.mark.parametrize(
    ("record", "results", "disposition", "override"),
    [
        ("v=DMARC1; p=reject", [spf("example.com"), NO_DKIM], "pass", ""),
        ("v=DMARC1; p=none", [spf("example.com"), NO_DKIM], "none", ""),
        ("v=DMARC1; p=reject", [NO_SPF, NO_DKIM], "reject", ""),
        ("v=DMARC1; p=reject; t=y", [NO_SPF, NO_DKIM], "quarantine", "policy_test_mode"),
        ("v=DMARC1; p=none", [NO_SPF, NO_DKIM], "none", ""),
    ],
)
def test_what_came_of_it_is_counted(record, results, disposition, override):
    counts = Counts()
    judge(zone(record), *results, counts=counts)
    [seen] = counts.seen
    assert (seen.found.domain, seen.source, seen.author) == ("example.com", "192.0.2.1", "example.com")
    assert (seen.reverse_path, seen.disposition, seen.override) == ("elsewhere.net", disposition, override)


def test_what_cannot_be_told_is_not_counted():
    counts = Counts()
    judge(zone("fails"), NO_SPF, NO_DKIM, counts=counts)
    judge(zone("v=spf1 -all"), NO_SPF, NO_DKIM, counts=counts)
    judge(zone(), NO_SPF, counts=counts)
    assert not counts.seen


def test_options_are_checked():
    with pytest.raises(ConfigurationError):
        read(OPTIONS, {"on_temperror": "refuse"})
