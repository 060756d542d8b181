"""Host name, resolver, the way out."""

import pytest
from world import FOUR, HOST, SILENT, SIX, FakeWorld

from mailnode.interfaces.dns import DnsAnswer
from mailnode.values.doctor import DoctorSettings
from mailnode.values.item import ItemState
from mailnode.values.machine import Dialled

DONE, FAILED, TO_DO, SKIPPED = ItemState.DONE, ItemState.FAILED, ItemState.TO_DO, ItemState.SKIPPED


@pytest.mark.parametrize("name", ["", "mail", "mail.localdomain", "host.local"])
def test_a_name_that_is_not_full_is_no_host_name(name):
    state, _, mend = FakeWorld().with_facts(hostname=name).only("host-name")
    assert state is FAILED and "[server] hostname" in mend


def test_the_host_name_has_an_address():
    assert FakeWorld(dns={(HOST, "A"): [FOUR]}).only("host-name")[0] is DONE
    state, seen, mend = FakeWorld().with_facts(addresses=(FOUR, SIX)).only("host-name")
    assert (state, seen) == (FAILED, f"there is no address record of {HOST}")
    assert mend.splitlines() == [f"{HOST}. IN A {FOUR}", f"{HOST}. IN AAAA {SIX}"]
    state, seen, _ = FakeWorld(dns={(HOST, "A"): SILENT}).only("host-name")
    assert state is FAILED and "no answer" in seen
    assert FakeWorld(dns={(HOST, "A"): SILENT, ("", "NS"): SILENT}).only("host-name")[0] is SKIPPED


def test_a_resolver_that_validates():
    signed = {("", "NS"): DnsAnswer(("a.root.test",), secure=True)}
    assert FakeWorld(dns=signed).only("resolver")[0] is DONE
    state, _, mend = FakeWorld(dns=signed).with_facts(believed=False).only("resolver")
    assert state is TO_DO and 'validates = "yes"' in mend
    assert FakeWorld(dns={("", "NS"): ["a.root.test"]}).only("resolver")[0] is TO_DO
    assert FakeWorld().only("resolver")[0] is FAILED  # it knows nothing of the root
    assert FakeWorld(dns={("", "NS"): SILENT}).only("resolver")[0] is FAILED


GREETED = Dialled(True, "", ("220 mx.b.test", "250 mx.b.test"))
MX = {
    ("b.test", "MX"): ["10 mx.b.test", "5 first.b.test", "20 third.b.test"],
    ("first.b.test", "A"): ["192.0.2.20"],
    ("mx.b.test", "A"): ["192.0.2.21"],
    ("mx.b.test", "AAAA"): ["2001:db8::21"],
    ("third.b.test", "A"): ["192.0.2.22"],
}


def outwards(own=(FOUR,), **greeted):
    world = FakeWorld(dns=MX, own=list(own), greeted={k.replace("_", "."): v for k, v in greeted.items()})
    return world.with_facts(settings=DoctorSettings(mail_servers=("b.test",)))


def greeting(**by_end):
    return {f"192.0.2.{end[1:]}": one for end, one in by_end.items()}


def test_mail_leaves():
    world = outwards()
    world.greeted = greeting(_20=GREETED, _22=GREETED)
    state, seen, _ = world.only("port-25-outwards")
    assert state is DONE and "192.0.2.20" in seen and "192.0.2.22" not in seen  # those that come first are asked


def test_nothing_answers():
    state, seen, mend = outwards().only("port-25-outwards")
    assert state is FAILED and "no answer in time" in seen and "smarthost" in mend


def test_something_else_answers():
    world = outwards()
    world.greeted = greeting(_20=Dialled(True, "", ("554 blocked by your provider",)))
    state, seen, mend = world.only("port-25-outwards")
    assert state is FAILED and "554 blocked by your provider" in seen and "smarthost" in mend


def test_only_one_family_answers():
    world = outwards(own=(FOUR, SIX))
    world.greeted = greeting(_20=GREETED)
    state, seen, _ = world.only("port-25-outwards")
    assert state is DONE and "not over IPv6" in seen
    world.greeted = {"2001:db8::21": GREETED}
    state, seen, _ = world.only("port-25-outwards")
    assert state is TO_DO and "not over IPv4" in seen


def test_what_cannot_be_known_is_skipped():
    world = FakeWorld().with_facts(settings=DoctorSettings(mail_servers=("b.test",)))
    assert world.only("port-25-outwards")[0] is SKIPPED
    assert world.with_facts(relays=("relay.test",)).only("port-25-outwards")[0] is SKIPPED
