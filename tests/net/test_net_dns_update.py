"""Updates of a zone: a real name server that takes and refuses them, and servers that lie, hang and hang up."""

from __future__ import annotations

import unittest
from typing import ClassVar

import dns.message
import dns.rcode
import dns.tsig
from knot_server import KEY, SECRET, KnotServer
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from mailnode.errors import ResolverFailure, UpdateFailed
from mailnode.interfaces.dns_update import IZoneUpdates
from mailnode.interfaces.outbound import Records
from mailnode.net.dns_update import ZoneUpdates, key_mistake, update_message
from mailnode.values.dns_update import TsigKey, UpdateServer, ZoneChange
from mailnode.values.published import DnsRecord

RIGHT = TsigKey(KEY, SECRET)
OTHER = "b3RoZXIgc2VjcmV0IG9mIHRoZSB0ZXN0cywgMzIgb2N0ZXQ="


def record(name: str, kind: str, value: str) -> DnsRecord:
    return DnsRecord(name, kind, value, "")


class Names:
    """A resolver that knows one server's name."""

    def __init__(self, **addresses: list[str]) -> None:
        self._addresses = addresses

    async def addresses(self, host: str) -> Records[str]:
        found = self._addresses.get(host.partition(".")[0])
        if found is None:
            raise ResolverFailure("DNS gives no answer")
        return Records(found)


class RealServerTests(TestCase):
    server: ClassVar[KnotServer]

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = KnotServer("zone.example", "kept TXT one\nkept TXT two\nhost A 192.0.2.1\nhost A 192.0.2.2\n")

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.stop()

    def setUp(self) -> None:
        self.updates = ZoneUpdates(reactor, Names(ns=["127.0.0.2", "127.0.0.1"]), 10)

    def _update(self, change: ZoneChange, key: TsigKey | None = RIGHT, host: str = "127.0.0.1") -> Deferred[None]:
        return Deferred.fromCoroutine(self.updates.update(UpdateServer(host, key, self.server.port), change))

    async def _refused(self, change: ZoneChange, key: TsigKey | None = RIGHT) -> str:
        return str(await self.assertFailure(self._update(change, key), UpdateFailed))

    def test_contract(self) -> None:
        verifyObject(IZoneUpdates, self.updates)

    async def test_added_and_removed_beside_others(self) -> None:
        added = (record("kept.zone.example", "TXT", "three"),)
        await self._update(ZoneChange("zone.example", add=added))
        self.assertEqual(self.server.records("kept.zone.example", "TXT"), ['"one"', '"three"', '"two"'])
        await self._update(ZoneChange("zone.example", remove=added))
        self.assertEqual(self.server.records("kept.zone.example", "TXT"), ['"one"', '"two"'])

    async def test_what_is_not_there_is_removed_without_ado(self) -> None:
        await self._update(ZoneChange("zone.example", remove=(record("none.zone.example", "TXT", "x"),)))

    async def test_replaced(self) -> None:
        await self._update(ZoneChange("zone.example", replace=(record("host.zone.example", "A", "192.0.2.9"),)))
        self.assertEqual(self.server.records("host.zone.example", "A"), ["192.0.2.9"])

    async def test_text_of_any_length_and_any_octet(self) -> None:
        text = 'v=DKIM1; p="\\' + "x" * 600 + "ö"
        await self._update(ZoneChange("zone.example", add=(record("long.zone.example", "TXT", text),)))
        answer = self.server._ask("long.zone.example", "TXT").answer[0][0]
        self.assertEqual(b"".join(answer.strings), text.encode())
        self.assertEqual([len(part) for part in answer.strings[:2]], [255, 255])

    async def test_a_named_server_is_tried_at_all_its_addresses(self) -> None:
        tlsa = record("_25._tcp.mx.zone.example", "TLSA", "3 1 1 " + "ab" * 32)
        await self._update(ZoneChange("zone.example", add=(tlsa,)), host="ns.example")
        self.assertEqual(self.server.records(tlsa.name, "TLSA"), ["3 1 1 " + "ab" * 32])

    async def test_all_or_nothing(self) -> None:
        both = (record("all.zone.example", "TXT", "x"), record("all.zone.example", "MX", "10 host.zone.example"))
        self.assertIn(
            "may not change this zone or these names", await self._refused(ZoneChange("zone.example", add=both))
        )
        self.assertEqual(self.server.records("all.zone.example", "TXT"), [])

    async def test_refusals_in_words(self) -> None:
        change = ZoneChange("zone.example", add=(record("x.zone.example", "TXT", "x"),))
        elsewhere = ZoneChange("other.example", add=(record("x.other.example", "TXT", "x"),))
        self.assertIn("does not have the zone", await self._refused(elsewhere))
        self.assertIn("secret of the key is another", await self._refused(change, TsigKey(KEY, OTHER)))
        self.assertIn("does not know the key", await self._refused(change, TsigKey("unknown.example", SECRET)))
        self.assertIn("does not know the key", await self._refused(change, None))
        self.assertNotIn(OTHER, await self._refused(change, TsigKey(KEY, OTHER)))
        self.assertEqual(self.server.records("x.zone.example", "TXT"), [])

    async def test_a_name_that_dns_does_not_know(self) -> None:
        change = ZoneChange("zone.example")
        error = await self.assertFailure(self._update(change, host="lost.example"), UpdateFailed)
        self.assertIn("address of the name server lost.example", str(error))


class Scripted(Protocol):
    """Answers one message with what the test says."""

    answer: ClassVar[str] = ""

    def connectionMade(self) -> None:
        self.received = b""

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        if len(self.received) < 2 or len(self.received) < 2 + int.from_bytes(self.received[:2], "big"):
            return
        kind = self.factory.answer
        if kind == "hang up":
            self.transport.loseConnection()
        elif kind != "silence":
            wire = self._wire(kind)
            self.transport.write(len(wire).to_bytes(2, "big") + wire)

    def _wire(self, kind: str) -> bytes:
        if kind == "nonsense":
            return b"\xff" * 40
        query = dns.message.from_wire(self.received[2:], keyring=False)
        response = dns.message.Message(query.id + (kind == "another id"))
        response.flags = 0x8000
        response.set_opcode(query.opcode())
        response.question = query.question
        if kind == "code":
            response.set_rcode(dns.rcode.NOTIMP)
        return response.to_wire()


class BadServerTests(TestCase):
    def setUp(self) -> None:
        self.factory = Factory.forProtocol(Scripted)
        self.port: IListeningPort = reactor.listenTCP(0, self.factory, interface="127.0.0.1")
        self.number = self.port.getHost().port
        self.addCleanup(self.port.stopListening)
        self.updates = ZoneUpdates(reactor, Names(), 0.2)

    async def _fails(self, answer: str, key: TsigKey | None = RIGHT) -> str:
        self.factory.answer = answer
        server = UpdateServer("127.0.0.1", key, self.number)
        change = ZoneChange("zone.example", add=(record("x.zone.example", "TXT", "x"),))
        update = Deferred.fromCoroutine(self.updates.update(server, change))
        return str(await self.assertFailure(update, UpdateFailed))

    async def test_success_without_a_signature_is_none(self) -> None:
        self.assertIn("not signed", await self._fails("success"))

    async def test_what_is_wrong_in_words(self) -> None:
        for answer, words in (
            ("hang up", "without an answer"),
            ("silence", "no answer in time"),
            ("nonsense", "makes no sense"),
            ("another id", "makes no sense"),
            ("code", "takes no updates"),
        ):
            self.assertIn(words, await self._fails(answer), answer)

    async def test_nobody_there(self) -> None:
        await self.port.stopListening()
        self.assertIn("cannot be reached", await self._fails("success"))


class MessageTests(SynchronousTestCase):
    def test_keys_that_are_wrong(self) -> None:
        self.assertEqual(key_mistake(RIGHT), "")
        self.assertEqual(key_mistake(TsigKey(KEY, SECRET, "HMAC-SHA512.")), "")
        self.assertIn("not Base64", key_mistake(TsigKey(KEY, "???")))
        self.assertIn("not an algorithm", key_mistake(TsigKey(KEY, SECRET, "sha1")))
        self.assertNotIn(SECRET, repr(RIGHT))

    def test_records_that_are_wrong(self) -> None:
        for wrong, words in (
            (record("x.other.example", "TXT", "x"), "not in the zone"),
            (record("x..zone.example", "TXT", "x"), "not a domain name"),
            (record("x.zone.example", "A", "300.0.0.1"), "not the data"),
            (record("x.zone.example", "NOTYPE", "x"), "not the data"),
        ):
            with self.assertRaises(UpdateFailed) as caught:
                update_message(ZoneChange("zone.example", add=(wrong,)), None)
            self.assertIn(words, str(caught.exception))


if __name__ == "__main__":
    unittest.main()
