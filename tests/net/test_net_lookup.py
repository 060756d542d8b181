"""Many questions at once, with the reactor and without, to a real DNS server."""

from __future__ import annotations

import socket
import time
from typing import Any, ClassVar

from dnsmasq_server import DnsmasqServer
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from mailnode.interfaces.dns import DnsAnswer, DnsQuestion, IDnsLookup
from mailnode.net import lookup
from mailnode.net.lookup import BlockingLookup, ReactorLookup
from mailnode.net.no_reactor import run_now

ZONE = (
    "local=/test.example/",
    "local=/2.0.192.in-addr.arpa/",
    "host-record=a.test.example,192.0.2.1,2001:db8::1",
    "cname=alias.test.example,a.test.example",
    "mx-host=test.example,a.test.example,10",
    "srv-host=_imaps._tcp.test.example,a.test.example,993,0,1",
    "srv-host=_pop3._tcp.test.example",
    'txt-record=test.example,"one ","two"',
    "ptr-record=1.2.0.192.in-addr.arpa,A.test.example",
    "dns-rr=_25._tcp.a.test.example,52,030101" + "ab" * 32,
)
WANTED = {
    ("a.test.example", "A"): ("192.0.2.1",),
    ("a.test.example", "AAAA"): ("2001:db8::1",),
    ("alias.test.example", "CNAME"): ("a.test.example",),
    ("alias.test.example", "A"): ("192.0.2.1",),
    ("test.example", "MX"): ("10 a.test.example",),
    ("_imaps._tcp.test.example", "SRV"): ("0 1 993 a.test.example",),
    ("_pop3._tcp.test.example", "SRV"): ("0 0 1 .",),
    ("test.example", "TXT"): ("one two",),
    ("1.2.0.192.in-addr.arpa", "PTR"): ("a.test.example",),
    ("_25._tcp.a.test.example", "TLSA"): ("3 1 1 " + "ab" * 32,),
    ("a.test.example", "TXT"): (),
    ("missing.test.example", "A"): (),
    ("x" * 64 + ".example", "A"): (),
}


class LookupTests(TestCase):
    server: ClassVar[DnsmasqServer]

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = DnsmasqServer(*ZONE)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.stop()

    def wanted(self) -> dict[DnsQuestion, DnsAnswer]:
        found = {DnsQuestion(*asked): DnsAnswer(values) for asked, values in WANTED.items()}
        return found | {DnsQuestion("not-served.example", "MX"): DnsAnswer(failed=True)}

    def test_contract(self) -> None:
        verifyObject(IDnsLookup, ReactorLookup(reactor, list))
        verifyObject(IDnsLookup, BlockingLookup(list))

    def test_on_the_reactor(self) -> Deferred[Any]:
        asking = Deferred.fromCoroutine(ReactorLookup(reactor, lambda: [self.server.address]).ask(self.wanted()))
        return asking.addCallback(lambda answers: self.assertEqual(answers, self.wanted()))

    def test_without_one(self) -> None:
        answers = run_now(BlockingLookup(lambda: [self.server.address]).ask(self.wanted()))
        self.assertEqual(answers, self.wanted())

    def test_a_silent_server_costs_one_time_limit_however_much_is_asked(self) -> None:
        self.patch(lookup, "LIFETIME", 0.5)
        self.patch(lookup, "TIMEOUT", 0.2)
        silent = socket.socket(type=socket.SOCK_DGRAM)
        self.addCleanup(silent.close)
        silent.bind(("127.0.0.1", 0))
        asked = [DnsQuestion(f"n{number}.example", "A") for number in range(20)]
        started = time.monotonic()
        answers = run_now(BlockingLookup(lambda: [f"127.0.0.1:{silent.getsockname()[1]}"]).ask(asked))
        self.assertLess(time.monotonic() - started, 5.0)
        self.assertEqual(set(answers.values()), {DnsAnswer(failed=True)})
