"""Where recipients go, and that nothing is relayed for strangers."""

from __future__ import annotations

from dataclasses import replace

from delivery_fakes import Directory, MailStore
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from mailnode.delivery.router import Router, has_room
from mailnode.errors import BadAddress, OverQuota, Refused
from mailnode.interfaces.delivery import IRouter
from mailnode.interfaces.store import IMailStore
from mailnode.net.no_reactor import run_now
from mailnode.values.address import Address
from mailnode.values.directory import Resolved
from mailnode.values.mailbox import Usage


class RouterTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Directory(a="alice", b="bob")
        self.mail = MailStore()
        self.router = Router(self.directory, self.mail, own_addresses=("192.0.2.1", "2001:db8::1"))  # type: ignore[arg-type]

    def resolve(self, local: str, domain: str, relay: bool = False, size: int = 0) -> Resolved:
        resolved: Resolved = run_now(self.router.resolve(Address(local, domain), relay, size))
        return resolved

    def refused(self, local: str, domain: str, relay: bool = False) -> str:
        with self.assertRaises(Refused) as caught:
            self.resolve(local, domain, relay)
        return caught.exception.status

    def test_contract(self) -> None:
        verifyObject(IRouter, self.router)
        verifyObject(IMailStore, self.mail)

    def test_local(self) -> None:
        wanted = (("id-alice", "alice@here.example"),)
        self.assertEqual(self.resolve("alice", "here.example").local, wanted)
        self.assertEqual(self.resolve("Alice", "HERE.Example").local, wanted)
        self.assertEqual(self.refused("nobody", "here.example"), "5.1.1")

    # SMTP trap 26: as it is resolved
    def test_relay_only_for_those_who_may(self) -> None:
        self.assertEqual(self.refused("x", "there.example"), "5.7.1")
        self.assertEqual(self.resolve("X", "There.example", relay=True).remote, ("X@There.example",))

    # SMTP trap 25: percent signs, bangs and at signs
    def test_nothing_in_a_local_part_is_a_route(self) -> None:
        """Each of these is an unknown user here, whoever asks."""
        for local in ("user%there.example", "there.example!user", "user@there.example", "@there.example:user", "%"):
            for relay in (False, True):
                self.assertEqual(self.refused(local, "here.example", relay), "5.1.1", local)

    # SMTP trap 25: literals of ours and sub-domains
    def test_other_names_of_ours_are_not_relayed_to(self) -> None:
        for literal in ("[192.0.2.1]", "[IPv6:2001:db8::1]", "[ipv6:2001:DB8:0::1]"):
            for relay in (False, True):
                self.assertEqual(self.refused("alice", literal, relay), "5.1.1", literal)
        self.assertEqual(self.refused("alice", "sub.here.example"), "5.7.1")
        self.assertEqual(self.refused("alice", "[127.0.0.1]"), "5.7.1")
        self.assertEqual(self.refused("alice", "localhost"), "5.7.1")

    def test_nothing_goes_to_addresses_that_are_nobody_s(self) -> None:
        """Whoever may relay: such mail would lead to this machine, to its neighbours, or wait for days."""
        for literal in (
            "[127.0.0.1]",
            "[127.9.9.9]",
            "[0.0.0.0]",
            "[10.0.0.5]",
            "[172.16.0.1]",
            "[192.168.1.1]",
            "[169.254.169.254]",
            "[100.64.0.1]",
            "[224.0.0.1]",
            "[255.255.255.255]",
            "[IPv6:::1]",
            "[IPv6:::]",
            "[IPv6:fe80::1]",
            "[IPv6:fd00::1]",
            "[IPv6:ff02::1]",
            "[IPv6:::ffff:127.0.0.1]",
            "[IPv6:::ffff:10.0.0.5]",
            "[IPv6:::127.0.0.1]",
            "[IPv6:2002:7f00:1::]",
            "[IPv6:64:ff9b::7f00:1]",
        ):
            self.assertEqual(self.refused("x", literal, relay=True), "5.1.2", literal)
            self.assertEqual(self.refused("x", literal), "5.7.1", literal)
        for literal in ("[9.9.9.9]", "[IPv6:2620:fe::fe]"):
            self.assertEqual(self.resolve("x", literal, relay=True).remote, (f"x@{literal}",))

    def test_postmaster_of_our_literal(self) -> None:
        self.directory.routes["postmaster"] = Resolved(True, (("id-alice", "postmaster"),))
        self.assertEqual(self.resolve("Postmaster", "[192.0.2.1]").local, (("id-alice", "postmaster"),))
        self.assertEqual(self.resolve("postmaster", "").local, (("id-alice", "postmaster"),))

    def test_the_postmaster_is_reachable_at_our_host_name(self) -> None:
        router = Router(self.directory, self.mail, own_names=["Mail.here.example"])  # type: ignore[arg-type]
        for name in ("postmaster", "mailer-daemon"):
            self.directory.routes[name] = Resolved(True, (("id-alice", name),))
        self.router = router
        for local in ("postmaster", "Postmaster", "MAILER-DAEMON"):
            for relay in (False, True):
                found = self.resolve(local, "MAIL.here.example", relay)
                self.assertEqual(found.local, (("id-alice", local.lower()),))
        for relay in (False, True):
            self.assertEqual(self.refused("alice", "mail.here.example", relay), "5.1.1")
        self.assertEqual(self.refused("postmaster", "other.here.example"), "5.7.1")

    # SMTP trap 25: a dot behind the domain
    def test_bad_domains(self) -> None:
        for domain in ("here.example.", "-", "a..b", "[1.2.3]", "[here.example", "ex ample", "x" * 64 + ".example"):
            for relay in (False, True):
                with self.assertRaises(BadAddress):
                    self.resolve("alice", domain, relay)

    def test_demonstration_sends_nothing_out(self) -> None:
        self.router = Router(self.directory, self.mail, refuse_foreign=True)  # type: ignore[arg-type]
        self.directory.routes["out@here.example"] = Resolved(True, remote=("x@there.example",))
        self.assertEqual(self.refused("x", "there.example", relay=True), "5.7.1")
        self.assertEqual(self.refused("out", "here.example", relay=True), "5.7.1")
        self.assertTrue(self.resolve("alice", "here.example").local)

    def test_accounts_that_take_no_mail(self) -> None:
        for status in ("4.2.0", "4.2.1", "5.2.1"):
            self.directory.routes["alice@here.example"] = Resolved(True, refusal=status)
            self.assertEqual(self.refused("alice", "here.example"), status)

    def test_a_domain_without_accounts_is_not_called_suspended(self) -> None:
        self.directory.routes["postmaster@here.example"] = Resolved(True, refusal="4.2.0")
        with self.assertRaises(Refused) as refused:
            self.resolve("postmaster", "here.example")
        self.assertEqual(refused.exception.text, "Nobody is here yet who takes this mail")

    def test_quota(self) -> None:
        self.mail.usages["id-alice"] = Usage(900, 1000, 1, 0)
        self.assertTrue(self.resolve("alice", "here.example").local)
        self.assertTrue(self.resolve("alice", "here.example", size=100).local)
        for usage, size in ((Usage(900, 1000, 0, 0), 101), (Usage(1000, 1000, 0, 0), 0), (Usage(0, 0, 5, 5), 0)):
            self.mail.usages["id-alice"] = usage
            with self.assertRaises(OverQuota):
                self.resolve("alice", "here.example", size=size)

    def test_one_full_account_of_several(self) -> None:
        both = (("id-alice", "all@here.example"), ("id-bob", "all@here.example"))
        self.directory.routes["all@here.example"] = Resolved(True, both)
        self.mail.usages["id-alice"] = Usage(1000, 1000, 0, 0)
        self.assertEqual(self.resolve("all", "here.example"), Resolved(True, both, over_quota=("id-alice",)))


def test_without_size_one_octet_of_room_is_enough_with_size_the_message_must_fit() -> None:
    usage = Usage(bytes_used=90, bytes_limit=100, count_used=0, count_limit=0)
    assert has_room(usage, 10) and not has_room(usage, 11)
    assert has_room(usage, 0)  # it may be of any size, and exceeds the quota by that less one octet
    assert not has_room(replace(usage, bytes_used=100), 0)
