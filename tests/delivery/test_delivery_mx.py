"""From domains to servers, by RFC 5321 5.1 and RFC 7505."""

from __future__ import annotations

from typing import Any

from delivery_fakes import Zone
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from mailnode.delivery.mx import Health, Hop, NoRoute, Routes
from mailnode.errors import ResolverFailure
from mailnode.interfaces.outbound import IResolver
from mailnode.net.no_reactor import run_now


def keep_order(records: list[Any]) -> None:
    """A shuffle that changes nothing."""


class RoutesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.zone = Zone()
        self.health = Health(self.clock)
        self.shuffle: Any = keep_order

    def find(self, domain: str = "d.example") -> list[str]:
        routes = Routes(
            self.zone, self.health, {"mail.here.example", "here.example"}, {"192.0.2.250"}, lambda r: self.shuffle(r)
        )
        return [hop.address for hop in run_now(routes.find(domain))]

    def status(self, domain: str = "d.example") -> str:
        with self.assertRaises(NoRoute) as caught:
            self.find(domain)
        return caught.exception.status

    def hosts(self, **addresses: Any) -> None:
        for name, value in addresses.items():
            self.zone.address_data[f"{name}.example"] = value

    def test_contract(self) -> None:
        verifyObject(IResolver, self.zone)

    # SMTP trap 42: equal ones
    def test_preference_order_and_shuffled_equals(self) -> None:
        self.zone.mx_data["d.example"] = [(20, "c.example"), (10, "a.example"), (10, "b.example")]
        self.hosts(a=["192.0.2.1"], b=["192.0.2.2"], c=["192.0.2.3"])
        self.assertEqual(self.find(), ["192.0.2.1", "192.0.2.2", "192.0.2.3"])
        self.shuffle = lambda records: records.reverse()
        self.assertEqual(self.find(), ["192.0.2.2", "192.0.2.1", "192.0.2.3"])

    def test_names_go_along(self) -> None:
        self.zone.mx_data["d.example"] = [(10, "a.example")]
        self.hosts(a=["192.0.2.1"])
        routes = Routes(self.zone, self.health, (), (), keep_order)
        self.assertEqual(run_now(routes.find("d.example")), (Hop("a.example", "192.0.2.1", 10),))

    def test_implicit_mx(self) -> None:
        self.zone.address_data["d.example"] = ["2001:db8::1", "192.0.2.1"]
        self.assertEqual(self.find(), ["2001:db8::1", "192.0.2.1"])

    # SMTP trap 42: no domain, no records
    def test_nothing_there(self) -> None:
        self.assertEqual(self.status(), "5.1.2")
        self.zone.address_data["d.example"] = []
        self.assertEqual(self.status(), "5.1.2")

    # SMTP trap 42: no answer for now
    def test_dns_does_not_know_now(self) -> None:
        self.zone.mx_data["d.example"] = ResolverFailure
        self.assertEqual(self.status(), "4.4.3")
        self.zone.mx_data["d.example"] = [(10, "a.example"), (20, "b.example")]
        self.hosts(a=ResolverFailure)
        self.assertEqual(self.status(), "4.4.3")
        self.hosts(b=["192.0.2.2"])
        self.assertEqual(self.find(), ["192.0.2.2"])

    def test_an_mx_is_no_reason_to_use_the_domains_own_address(self) -> None:
        self.zone.mx_data["d.example"] = [(10, "a.example")]
        self.zone.address_data["d.example"] = ["192.0.2.9"]
        self.assertEqual(self.status(), "5.4.4")

    # SMTP trap 42: one of a dot, alone and among others
    def test_null_mx(self) -> None:
        self.zone.mx_data["d.example"] = [(0, "")]
        self.zone.address_data["d.example"] = ["192.0.2.1"]
        self.assertEqual(self.status(), "5.1.10")
        self.zone.mx_data["d.example"] = [(0, ""), (10, "a.example")]
        self.hosts(a=["192.0.2.1"])
        self.assertEqual(self.find(), ["192.0.2.1"])

    # SMTP trap 42: text of an address
    def test_addresses_as_mx_are_refused(self) -> None:
        self.zone.mx_data["d.example"] = [(10, "192.0.2.1")]
        self.assertEqual(self.status(), "5.4.4")
        self.zone.mx_data["d.example"] = [(10, "192.0.2.1"), (20, "a.example")]
        self.hosts(a=["192.0.2.2"])
        self.assertEqual(self.find(), ["192.0.2.2"])

    # SMTP trap 42: we in the list, by name
    def test_we_and_what_is_not_better_are_left_out(self) -> None:
        self.zone.mx_data["d.example"] = [
            (10, "a.example"),
            (20, "mail.here.example"),
            (20, "b.example"),
            (30, "c.example"),
        ]
        self.hosts(a=["192.0.2.1"], b=["192.0.2.2"], c=["192.0.2.3"])
        self.assertEqual(self.find(), ["192.0.2.1"])

    # SMTP trap 42: we in the list, by address
    def test_we_by_address(self) -> None:
        self.zone.mx_data["d.example"] = [(10, "a.example"), (20, "alias.example"), (30, "c.example")]
        self.hosts(a=["192.0.2.1"], alias=["192.0.2.250"], c=["192.0.2.3"])
        self.assertEqual(self.find(), ["192.0.2.1"])

    def test_loops(self) -> None:
        self.zone.mx_data["d.example"] = [(10, "mail.here.example"), (20, "a.example")]
        self.hosts(a=["192.0.2.1"])
        self.assertEqual(self.status(), "5.4.6")
        self.zone.mx_data["d.example"] = [(10, "alias.example")]
        self.hosts(alias=["192.0.2.250"])
        self.assertEqual(self.status(), "5.4.6")
        self.assertEqual(self.status("here.example"), "5.1.2")
        self.zone.address_data["here.example"] = ["192.0.2.7"]
        self.assertEqual(self.status("here.example"), "5.4.6")
        self.assertEqual(self.status("[192.0.2.250]"), "5.4.6")

    # SMTP trap 42: twenty of them with ten addresses each
    def test_limits(self) -> None:
        self.zone.mx_data["d.example"] = [(number, f"m{number}.example") for number in range(100)]
        for number in range(100):
            self.zone.address_data[f"m{number}.example"] = [f"192.0.2.{n}" for n in range(10)] + [
                f"2001:db8::{n:x}" for n in range(10)
            ]
        found = self.find()
        self.assertEqual(len(found), 5 * 4)
        self.assertEqual(found[:4], ["2001:db8::", "192.0.2.0", "2001:db8::1", "192.0.2.1"])
        self.assertEqual(len(self.zone.asked), 5)

    def test_literals(self) -> None:
        self.assertEqual(self.find("[192.0.2.1]"), ["192.0.2.1"])
        self.assertEqual(self.find("[IPv6:2001:db8::1]"), ["2001:db8::1"])

    def test_bad_addresses_come_last_for_a_while(self) -> None:
        self.zone.mx_data["d.example"] = [(10, "a.example"), (20, "b.example")]
        self.hosts(a=["192.0.2.1"], b=["192.0.2.2"])
        self.health.failed("192.0.2.1")
        self.assertEqual(self.find(), ["192.0.2.2", "192.0.2.1"])
        self.clock.advance(599)
        self.assertEqual(self.find(), ["192.0.2.2", "192.0.2.1"])
        self.clock.advance(2)
        self.assertEqual(self.find(), ["192.0.2.1", "192.0.2.2"])
        self.health.failed("192.0.2.1")
        self.health.works("192.0.2.1")
        self.assertEqual(self.find(), ["192.0.2.1", "192.0.2.2"])
        self.health.failed("192.0.2.1")
        self.clock.rightNow -= 86400  # a step back does not make it bad for a day
        self.assertEqual(self.find(), ["192.0.2.1", "192.0.2.2"])

    def test_memory_of_bad_addresses_is_bounded(self) -> None:
        for number in range(25_000):
            self.health.failed(str(number))
        self.assertLessEqual(len(self.health._until), 10_000)

    def test_one_host_without_mx(self) -> None:
        routes = Routes(self.zone, self.health, (), (), keep_order)
        self.hosts(smart=["192.0.2.1", "2001:db8::1"])
        self.zone.mx_data["smart.example"] = [(10, "other.example")]
        found = run_now(routes.find_host("smart.example"))
        self.assertEqual([hop.address for hop in found], ["2001:db8::1", "192.0.2.1"])
        self.assertEqual(run_now(routes.find_host("192.0.2.5")), (Hop("192.0.2.5", "192.0.2.5"),))
        self.assertEqual(run_now(routes.find_host("[2001:db8::5]"))[0].address, "2001:db8::5")
        with self.assertRaises(NoRoute) as caught:
            run_now(routes.find_host("missing.example"))
        self.assertEqual(caught.exception.status, "4.4.3")

    def test_secure_only_when_every_step_is(self) -> None:
        self.zone.mx_data["d.example"] = [(10, "a.example"), (20, "b.example")]
        self.hosts(a=["192.0.2.1"], b=["192.0.2.2"])
        self.zone.aliases["a.example"] = "real.example"
        routes = Routes(self.zone, self.health, (), (), keep_order)

        def secure(domain: str) -> list[tuple[bool, str]]:
            return [(hop.secure, hop.alias) for hop in run_now(routes.find(domain))]

        self.zone.secure = {"d.example", "a.example"}
        self.assertEqual(secure("d.example"), [(True, "real.example"), (False, "")])
        self.zone.secure = {"a.example", "b.example"}
        self.assertEqual(secure("d.example"), [(False, "real.example"), (False, "")])
        self.assertEqual(secure("b.example"), [(True, "")])  # the implicit MX

    def test_named_by_validated_records_or_by_itself(self) -> None:
        """RFC 8689 4.2.1: the addresses need not be validated."""
        self.zone.mx_data["d.example"] = [(10, "a.example"), (20, "d.example")]
        self.hosts(a=["192.0.2.1"], b=["192.0.2.2"], d=["192.0.2.3"])
        routes = Routes(self.zone, self.health, (), (), keep_order)

        def named(domain: str) -> list[bool]:
            return [hop.named for hop in run_now(routes.find(domain))]

        self.zone.secure = {"a.example"}
        self.assertEqual(named("d.example"), [False, True])
        self.zone.secure = {"d.example"}
        self.assertEqual(named("d.example"), [True, True])
        self.assertEqual(named("b.example"), [True])  # the implicit MX
        self.assertEqual(named("[192.0.2.1]"), [True])
        self.assertFalse(run_now(routes.find_host("a.example"))[0].named)
