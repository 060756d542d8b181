"""Whom the operator lets in, and whom not."""

import pytest
from policy_support import ask, request, spf
from zope.interface.verify import verifyObject

from mailnode.errors import ConfigurationError
from mailnode.interfaces.policy import IPolicy
from mailnode.net.no_reactor import CallingThread
from mailnode.policy.options import read
from mailnode.policy.senders import OPTIONS, SendersPolicy
from mailnode.values.authentication import AuthenticationResult
from mailnode.values.policy import PASS

DMARC = AuthenticationResult("dmarc", "pass", (("header.from", "author.test"),))


def judge(stage="rcpt", allow=(), block=(), **more):
    policy = SendersPolicy(read(OPTIONS, {"allow": list(allow), "block": list(block)}), CallingThread())
    verifyObject(IPolicy, policy)
    return ask(policy, request(stage, **more))


@pytest.mark.parametrize(
    ("entry", "more", "blocked"),
    [
        ("192.0.2.0/24", {}, True),
        ("192.0.2.1", {}, True),
        ("192.0.2.2", {}, False),
        ("2001:db8::/32", {"peer": "2001:db8::7"}, True),
        ("far.test", {}, True),
        ("FAR.test", {"sender": "b@Far.Test"}, True),
        ("far.test", {"sender": "b@mx.far.test"}, False),
        (".far.test", {"sender": "b@mx.far.test"}, True),
        (".far.test", {}, True),
        (".far.test", {"sender": "b@notfar.test"}, False),
        ("a@far.test", {}, True),
        ("b@far.test", {}, False),
        ("helo.test", {"helo": "HELO.test."}, True),
        ("far.test", {"sender": None}, False),
    ],
)
def test_who_is_blocked(entry, more, blocked):
    verdict = judge(block=[entry], **more)
    assert (verdict.action == "refuse") == blocked
    assert verdict is PASS or (verdict.status, verdict.text) == ("5.7.1", "Mail from this sender is not taken here")


def test_an_author_is_blocked_once_it_is_known():
    header = "From: <x@Author.test>\r\n"
    assert judge("end", block=["author.test"], header=header).action == "refuse"
    assert judge("end", block=[".test"], header=f"X: {'y' * 70_000}\r\n{header}").action == "refuse"
    assert judge("rcpt", block=["author.test"]) is PASS
    assert judge("end", block=["author.test"], header="From: <x@other.test>\r\n") is PASS


def test_who_is_let_in_is_who_it_says():
    assert judge(allow=["192.0.2.0/24"], block=["far.test"]).action == "accept"
    assert judge(allow=["far.test"], block=["192.0.2.1"]).action == "refuse"  # anybody can say so
    assert judge(allow=["far.test"], found=[spf("far.test")]).action == "accept"
    assert judge(allow=["a@far.test"], found=[spf("far.test")]).action == "accept"
    assert judge(allow=["far.test"], found=[spf("far.test", "softfail")]) is PASS
    assert judge(allow=["far.test"], found=[AuthenticationResult("spf", "pass", (("smtp.helo", "far.test"),))]) is PASS
    header = "From: x@author.test\r\n"
    assert judge("end", allow=["author.test"], found=[DMARC], header=header).action == "accept"
    assert judge("end", allow=["author.test"], header=header) is PASS
    two = "From: x@author.test, y@other.test\r\n"
    assert judge("end", allow=["author.test"], found=[DMARC], header=two) is PASS


@pytest.mark.parametrize(
    "mistake",
    [{"allow": ["a b"]}, {"block": ["10.0.0.0/33"]}, {"block": ["@"]}, {"text": "a\nb"}, {"text": ""}, {"deny": []}],
)
def test_mistakes_in_the_options(mistake):
    with pytest.raises(ConfigurationError):
        read(OPTIONS, mistake)
