"""The ways to show an authority that a name leads here: what it names never leads astray, and nothing is left behind."""

from __future__ import annotations

import os
from base64 import urlsafe_b64encode
from hashlib import sha256

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from mailnode.acme.keys import read_leaf
from mailnode.acme.own_servers import OwnServers
from mailnode.acme.proofs import MAX_TOKENS, SEEN_SECONDS, FileProofs, HandshakeProofs, PageProofs, RecordProofs
from mailnode.errors import CertificateFailed, UpdateFailed
from mailnode.interfaces.acme import IProofs
from mailnode.interfaces.dns import DnsAnswer
from mailnode.net.no_reactor import CallingThread, run_now
from mailnode.values.acme import AcmeSettings
from mailnode.values.dns_update import UpdateServer
from mailnode.values.published import DnsRecord

NAME, TOKEN = "mx.example.org", "t" * 22
AUTHORIZATION = f"{TOKEN}.thumbprint"
ASTRAY = ["../../etc/passwd", "a/b" * 10, ".", "", "x" * 300, "short", "t" * 22 + "\n", "ü" * 22]


def test_a_page_is_there_while_it_is_shown():
    proofs = PageProofs()
    verifyObject(IProofs, proofs)
    run_now(proofs.show(NAME, TOKEN, AUTHORIZATION))
    assert proofs.page(TOKEN) == AUTHORIZATION and proofs.page("u" * 22) is None
    run_now(proofs.hide(NAME, TOKEN, AUTHORIZATION))
    run_now(proofs.hide(NAME, TOKEN, AUTHORIZATION))
    assert proofs.page(TOKEN) is None


def test_there_is_an_end_to_pages():
    proofs = PageProofs()
    for number in range(MAX_TOKENS):
        run_now(proofs.show(NAME, f"{number:022}", AUTHORIZATION))
    with pytest.raises(CertificateFailed, match="too many"):
        run_now(proofs.show(NAME, TOKEN, AUTHORIZATION))


def test_a_file_that_another_user_can_read_whatever_our_umask(tmp_path):
    tmp_path.chmod(0o755)
    proofs = FileProofs(tmp_path, CallingThread())
    verifyObject(IProofs, proofs)
    before = os.umask(0o077)
    try:
        run_now(proofs.show(NAME, TOKEN, AUTHORIZATION))
    finally:
        os.umask(before)
    [path] = (tmp_path / ".well-known" / "acme-challenge").iterdir()
    assert (path.name, path.read_text(), path.stat().st_mode & 0o777) == (TOKEN, AUTHORIZATION, 0o644)
    assert all(folder.stat().st_mode & 0o005 == 0o005 for folder in (path.parent, path.parent.parent))
    run_now(proofs.hide(NAME, TOKEN, AUTHORIZATION))
    run_now(proofs.hide(NAME, TOKEN, AUTHORIZATION))
    assert not path.exists()


@pytest.mark.parametrize("token", ASTRAY)
def test_what_is_no_token_becomes_no_file_and_no_page(tmp_path, token):
    for proofs in (FileProofs(tmp_path / "www", CallingThread()), PageProofs()):
        with pytest.raises(CertificateFailed, match="a token that is none"):
            run_now(proofs.show(NAME, token, AUTHORIZATION))
        run_now(proofs.hide(NAME, token, AUTHORIZATION))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "www").write_text("a file")
    with pytest.raises(CertificateFailed, match="cannot be written"):
        run_now(FileProofs(tmp_path / "www", CallingThread()).show(NAME, TOKEN, AUTHORIZATION))


class Shown:
    """All processes' listeners."""

    def __init__(self) -> None:
        self.certificates: dict[str, bytes] = {}

    async def show_certificate(self, name, chain, key):
        self.certificates[name] = chain

    async def hide_certificate(self, name):
        self.certificates.pop(name, None)


def test_a_handshake_shows_a_certificate_for_that_name_alone():
    shown, clock = Shown(), Clock()
    clock.advance(1.8e9)
    proofs = HandshakeProofs(shown, clock)
    verifyObject(IProofs, proofs)
    run_now(proofs.show(NAME, TOKEN, AUTHORIZATION))
    assert read_leaf(shown.certificates[NAME]).names == {NAME}
    run_now(proofs.hide(NAME, TOKEN, AUTHORIZATION))
    assert shown.certificates == {}


class Zone:
    """A zone that is changed, and a resolver that sees it after so many looks."""

    def __init__(self, unseen: int = 0, wrong: str = "") -> None:
        self.unseen, self.wrong, self.records, self.asked = unseen, wrong, [], 0

    async def update(self, server, change):
        if self.wrong:
            raise UpdateFailed(self.wrong)
        self.records = [one for one in self.records if one not in change.remove] + list(change.add)

    async def ask(self, questions):
        if any(one.type != "TXT" for one in questions) or not questions:
            return {one: DnsAnswer() for one in questions}
        self.asked += 1
        values = [one.value for one in self.records] if self.asked > self.unseen else []
        return {one: DnsAnswer(tuple(values)) for one in questions}


def by_record(zone: Zone, clock: Clock) -> RecordProofs:
    zones = {"org": UpdateServer("192.0.2.1", None), "example.org": UpdateServer("192.0.2.2", None)}
    servers = OwnServers(zone, lambda address: zone)
    return RecordProofs(AcmeSettings("https://ca.example", (NAME,), zones=zones), zone, servers, clock)


def test_a_record_is_waited_for_until_it_is_seen():
    zone, clock = Zone(unseen=3), Clock()
    proofs = by_record(zone, clock)
    verifyObject(IProofs, proofs)
    showing = Deferred.fromCoroutine(proofs.show(NAME, TOKEN, AUTHORIZATION))
    while not showing.called:
        clock.advance(1)
    assert clock.seconds() < 10
    [record] = zone.records
    digest = urlsafe_b64encode(sha256(AUTHORIZATION.encode()).digest()).decode().rstrip("=")
    assert (record.name, record.type, record.value) == (f"_acme-challenge.{NAME}", "TXT", digest)
    run_now(proofs.hide(NAME, TOKEN, AUTHORIZATION))
    assert zone.records == []


def test_but_not_for_ever():
    zone, clock = Zone(unseen=10**6), Clock()
    showing = Deferred.fromCoroutine(by_record(zone, clock).show(NAME, TOKEN, AUTHORIZATION))
    clock.pump([1.0] * int(SEEN_SECONDS - 2))
    assert not showing.called
    clock.pump([1.0] * 5)
    assert showing.called


def test_a_name_server_that_refuses():
    clock = Clock()
    proofs = by_record(Zone(wrong="it refuses the update"), clock)
    with pytest.raises(CertificateFailed, match="it refuses the update"):
        run_now(proofs.show(NAME, TOKEN, AUTHORIZATION))
    run_now(proofs.hide(NAME, TOKEN, AUTHORIZATION))  # told in the log alone


def test_a_name_in_no_zone_and_the_nearest_zone():
    settings = AcmeSettings("https://ca.example", (NAME,), zones={"other.example": UpdateServer("192.0.2.1", None)})
    zone = Zone()
    with pytest.raises(CertificateFailed, match="no zone"):
        run_now(
            RecordProofs(settings, zone, OwnServers(zone, lambda address: zone), Clock()).show(
                NAME, TOKEN, AUTHORIZATION
            )
        )
    near = AcmeSettings(
        "https://ca.example",
        (NAME,),
        zones={
            "org": UpdateServer("1", None),
            "example.org": UpdateServer("2", None),
            "le.org": UpdateServer("3", None),
        },
    )
    assert near.zone_of(NAME) == ("example.org", UpdateServer("2", None))


class Resolver:
    """Two servers of a zone, one of them at two addresses, of which one leads nowhere."""

    def __init__(self, texts: dict[str, list[str] | None]) -> None:
        """:param texts: what is said of the record, by address; "": the resolver. None: nothing."""
        self._texts = texts

    def at(self, address: str):
        texts = self._texts[address]

        class Server:
            async def ask(self, questions):
                return {one: DnsAnswer(tuple(texts or ()), failed=texts is None) for one in questions}

        return Server()

    async def ask(self, questions):
        known = {
            ("example.org", "NS"): ("ns1.example.org", "ns2.example.org"),
            ("ns1.example.org", "A"): ("192.0.2.1",),
            ("ns1.example.org", "AAAA"): ("2001:db8::1",),
            ("ns2.example.org", "A"): ("192.0.2.2",),
            ("x.example.org", "TXT"): tuple(self._texts[""] or ()),
        }
        return {one: DnsAnswer(known.get((one.name, one.type), ())) for one in questions}


@pytest.mark.parametrize(
    ("first", "second", "resolver", "seen"),
    [
        (["new"], ["new"], [], True),
        (["new"], ["old"], ["new"], False),
        (["old", "new"], None, [], True),
        (None, None, ["new"], True),
        (None, None, [], False),
    ],
)
def test_every_server_that_answers_must_have_it(first, second, resolver, seen):
    dns = Resolver({"192.0.2.1": first, "2001:db8::1": None, "192.0.2.2": second, "": resolver})
    servers = OwnServers(dns, dns.at)
    assert run_now(servers.have("example.org", DnsRecord("x.example.org", "TXT", "new", ""))) is seen
