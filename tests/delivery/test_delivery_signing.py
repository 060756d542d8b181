"""Which keys sign a message, and what becomes of one whose domain has none."""

from dataclasses import replace

import dkim
import pytest
from delivery_fakes import Threads
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from mailnode.delivery.signing import TOLD_EVERY, DkimSigner
from mailnode.interfaces.delivery import ISignature, ISigner
from mailnode.message.dkim_keys import make_pair
from mailnode.net.no_reactor import run_now

NOW = 1_700_000_000.0
ACTIVE = make_pair("here.example", "active", NOW)
NEXT = make_pair("here.example", "next", NOW, [key.selector for key in ACTIVE])
HEADER, BODY = b"From: a@here.example\r\nTo: b@there.example\r\n\r\n", b"hello\r\n"


class Directory:
    """The keys of domains."""

    def __init__(self):
        self.keys = {"here.example": (*ACTIVE, *NEXT)}

    async def dkim_keys(self, domain):
        return self.keys.get(domain, ())


class Town:
    """A signer with its collaborators."""

    def __init__(self):
        self.clock, self.threads, self.directory = Clock(), Threads(), Directory()
        self.clock.advance(NOW)
        self.enabled = True
        self.signer = DkimSigner(self.directory, self.threads, self.clock, lambda: self.enabled)

    def sign(self, *domains):
        return run_now(self.signer.sign(domains or ["here.example"], "E1", HEADER, BODY))


@pytest.fixture
def town():
    return Town()


def test_the_interfaces(town):
    assert verifyObject(ISigner, town.signer)
    assert verifyObject(ISignature, run_now(town.signer.begin(["here.example"])))


def test_active_keys_sign_in_a_thread(town, events):
    made = town.sign()
    records = {f"{name}.".encode(): text.encode() for name, text in (key.record for key in ACTIVE)}
    for index in (0, 1):
        verifier = dkim.DKIM(made + HEADER + BODY)
        assert verifier.verify(idx=index, dnsfunc=lambda name, timeout=5: records.get(name))
    assert town.threads.calls == [("cpu", "load"), ("cpu", "signatures")]
    signed = {"envelope": "E1", "domain": "here.example", "selectors": "m202311r,m202311e"}
    assert events == [("message.signed", signed)]


def test_keys_are_loaded_once_and_anew_when_they_change(town):
    town.sign()
    town.sign()
    assert [name for _, name in town.threads.calls].count("load") == 1
    town.directory.keys["here.example"] = tuple(replace(key, state="active") for key in NEXT)
    made = town.sign()
    assert [name for _, name in town.threads.calls].count("load") == 2
    assert b"s=m202311r2;" in made and b"s=m202311r;" not in made


def test_a_domain_without_keys_is_told_of_once_an_hour(town, events):
    assert town.sign("other.example") == town.sign("other.example") == b""
    assert events == [("dkim.unsigned", {"domain": "other.example"})]
    town.clock.advance(TOLD_EVERY)
    town.sign("other.example")
    assert len(events) == 2


def test_the_first_domain_with_keys_signs(town, events):
    assert b"d=here.example;" in town.sign("mail.here.example", "here.example")
    assert [name for name, _ in events] == ["message.signed"]


def test_nothing_is_signed_where_it_is_not_wanted(town, events):
    town.enabled = False
    assert town.sign() == town.sign("other.example") == b""
    assert events == []


def test_a_damaged_key_costs_the_signature_and_not_the_message(town, events):
    town.directory.keys["here.example"] = (replace(ACTIVE[0], private="-----BEGIN PRIVATE KEY-----"),)
    assert town.sign() == b""
    ((name, fields),) = events
    assert (name, fields["envelope"], fields["domain"]) == ("dkim.failed", "E1", "here.example")
