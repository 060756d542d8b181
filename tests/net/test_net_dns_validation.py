"""Which answers count as validated by DNSSEC, and what is told of it at the start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from test_net_resolver import Scripted, run
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import TestCase

from mailnode.errors import NoSuchName, ResolverFailure
from mailnode.interfaces.outbound import MxRecord, TlsaRecord
from mailnode.net.dns_look import look_at_dns
from mailnode.net.resolver import LOOK, Resolver

ANSWERS = {
    "MX": ["5 mx.d.example."],
    "A": ["192.0.2.1"],
    "AAAA": ["2001:db8::1"],
    "TXT": ['"one"'],
    "TLSA": [f"3 1 1 {'01' * 32}"],
    "NS": ["a.root.example."],
}


def answering(ad: Callable[[str], bool], *, alias: str = "") -> Callable[[dns.message.Message], bytes]:
    """Answer everything with the AD bit where ``ad`` says so for the type."""

    def answer(query: dns.message.Message) -> bytes:
        response = dns.message.make_response(query)
        name, kind = query.question[0].name, dns.rdatatype.to_text(query.question[0].rdtype)
        assert query.flags & dns.flags.AD  # asked for (RFC 6840 5.7)
        if alias:
            response.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", alias))
            name = dns.name.from_text(alias)
        response.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *ANSWERS[kind]))
        if ad(kind):
            response.flags |= dns.flags.AD
        return response.to_wire()

    return answer


def nothing(rcode: dns.rcode.Rcode) -> Callable[[dns.message.Message], bytes]:
    def answer(query: dns.message.Message) -> bytes:
        response = dns.message.make_response(query)
        response.set_rcode(rcode)
        response.flags |= dns.flags.AD
        return response.to_wire()

    return answer


class ServedCase(TestCase):
    def serve(self, answer: Any) -> str:
        port = reactor.listenUDP(0, Scripted(answer), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return f"127.0.0.1:{port.getHost().port}"


class ValidationTests(ServedCase):
    def test_what_is_marked_is_secure(self) -> Deferred[Any]:
        async def check() -> None:
            resolver = Resolver(reactor, [self.serve(answering(lambda kind: kind != "TXT"))])
            mx, addresses = await resolver.mx("d.example"), await resolver.addresses("mx.d.example")
            tlsa, text = await resolver.tlsa("_25._tcp.mx.d.example"), await resolver.txt("d.example")
            self.assertEqual((mx, addresses), ((MxRecord(5, "mx.d.example"),), ("2001:db8::1", "192.0.2.1")))
            self.assertEqual((tlsa, text), ((TlsaRecord(3, 1, 1, b"\x01" * 32),), (b"one",)))
            self.assertEqual([one.secure for one in (mx, addresses, tlsa, text)], [True, True, True, False])
            self.assertTrue((await resolver.mx("d.example")).secure)  # and so is what was kept

        return run(check())

    def test_addresses_are_secure_when_both_families_are(self) -> Deferred[Any]:
        async def check() -> None:
            resolver = Resolver(reactor, [self.serve(answering(lambda kind: kind == "A"))])
            self.assertFalse((await resolver.addresses("mx.d.example")).secure)

        return run(check())

    def test_the_name_an_alias_leads_to(self) -> Deferred[Any]:
        async def check() -> None:
            resolver = Resolver(reactor, [self.serve(answering(lambda kind: True, alias="Real.example."))])
            self.assertEqual((await resolver.addresses("mx.d.example")).name, "real.example")
            resolver = Resolver(reactor, [self.serve(answering(lambda kind: True))])
            self.assertEqual((await resolver.addresses("MX.d.example")).name, "")

        return run(check())

    def test_an_answer_without_records(self) -> Deferred[Any]:
        async def check() -> None:
            empty = await Resolver(reactor, [self.serve(nothing(dns.rcode.NOERROR))]).tlsa("d.example")
            self.assertEqual((empty, empty.secure), ((), True))
            with self.assertRaises(NoSuchName):
                await Resolver(reactor, [self.serve(nothing(dns.rcode.NXDOMAIN))]).tlsa("d.example")
            with self.assertRaises(ResolverFailure):  # which is what a resolver says of an answer that is forged
                await Resolver(reactor, [self.serve(nothing(dns.rcode.SERVFAIL))]).tlsa("d.example")

        return run(check())

    # SMTP trap 42: TLSA records that are too short
    def test_a_record_that_is_too_short_does_not_spoil_the_others(self) -> Deferred[Any]:
        short = [b"\x03\x01\x01", b"\x03", b""]

        def answer(query: dns.message.Message) -> bytes:
            response = dns.message.make_response(query)
            records = [dns.rdata.GenericRdata(dns.rdataclass.IN, dns.rdatatype.TLSA, data) for data in short]
            good = dns.rdata.from_text("IN", "TLSA", ANSWERS["TLSA"][0])
            response.answer.append(dns.rrset.from_rdata_list(query.question[0].name, 60, [*records, good]))
            return response.to_wire()

        async def check() -> None:
            found = await Resolver(reactor, [self.serve(answer)]).tlsa("d.example")
            wanted = [(3, 1, 1, b""), (3, 255, 255, b""), (255, 255, 255, b""), (3, 1, 1, b"\x01" * 32)]
            self.assertEqual(set(found), {TlsaRecord(*one) for one in wanted})

        return run(check())

    # SMTP trap 45: a resolver that does not validate
    def test_who_is_believed(self) -> None:
        for servers, setting, believed in (
            (["127.0.0.53", "[::1]:5353"], "auto", True),
            (["127.0.0.1", "192.0.2.53"], "auto", False),
            (["192.0.2.53"], "yes", True),
            (["127.0.0.1"], "no", False),
        ):
            self.assertEqual(Resolver(reactor, servers, validates=setting).believed, believed, (servers, setting))

    def test_nobody_is_believed_for_what_another_one_said(self) -> Deferred[Any]:
        """An answer kept from a server on the network must not count as one of the server on this machine."""
        conf = Path(self.mktemp())
        conf.write_text("nameserver 192.0.2.53\n")
        resolver = Resolver(_Seconds(reactor), resolv_conf=conf)

        async def check() -> None:
            self.assertFalse(resolver.believed)
            local = Resolver(reactor, [self.serve(answering(lambda kind: True))])
            await local.mx("d.example")
            resolver._cache.data.update(local._cache.data)
            self.assertFalse((await resolver.mx("d.example")).secure)
            _move(conf)
            resolver._clock.offset += LOOK
            self.assertTrue(resolver.believed)
            self.assertEqual(resolver._cache.data, {})

        return run(check())


def _move(conf: Path) -> None:
    conf.write_text("nameserver 127.0.0.1\n")


class _Seconds:
    """The reactor, with other seconds."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self.offset = 0.0

    def seconds(self) -> float:
        return float(self._real.seconds()) + self.offset

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class LookTests(ServedCase):
    async def look(self, answer: Any, validates: str) -> dict[str, Any]:
        told: list[dict[str, Any]] = []

        def observe(event: Any) -> None:
            if event.get("event") == "dns.validation":
                told.append(event["fields"])

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        await look_at_dns(Resolver(reactor, [self.serve(answer)], validates=validates))
        return told[0]

    # SMTP trap 45: what is said of that at the start
    def test_what_is_told(self) -> Deferred[Any]:
        async def check() -> None:
            for answer, setting, validated, reason in (
                (answering(lambda kind: True), "auto", True, ""),
                (answering(lambda kind: False), "auto", False, "not marked"),
                (answering(lambda kind: True), "no", False, "not believed"),
                (nothing(dns.rcode.SERVFAIL), "yes", False, "no answer"),
            ):
                told = await self.look(answer, setting)
                self.assertEqual(told["validated"], validated)
                self.assertIn(reason, told["reason"])

        return run(check())
