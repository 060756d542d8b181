"""Addresses and their names, ports, lists, the clock, the disk, memory, files, the unit."""

import ipaddress
from dataclasses import replace

import pytest
from world import FOUR, HOST, SILENT, SIX, SPACE, FakeWorld

from mailnode.checks.facts import ServedPort
from mailnode.values.doctor import DoctorSettings
from mailnode.values.item import ItemState
from mailnode.values.machine import Dialled, Memory, PathState, UnitState

DONE, FAILED, TO_DO, SKIPPED = ItemState.DONE, ItemState.FAILED, ItemState.TO_DO, ItemState.SKIPPED
PRIVATE = "10.0.0.5"


def test_the_host_name_leads_here():
    assert FakeWorld(dns={(HOST, "A"): [FOUR]}).only("addresses")[0] is DONE
    assert FakeWorld().only("addresses")[0] is DONE  # that it leads nowhere is what host-name says
    state, seen, mend = FakeWorld(dns={(HOST, "A"): ["192.0.2.99"]}).only("addresses")
    assert state is FAILED and "192.0.2.99, which is not here" in seen
    assert mend.splitlines()[1:] == [f"{HOST}. IN A {FOUR}"]
    assert FakeWorld(own=[]).only("addresses")[0] is FAILED


def behind_a_router(**changes):
    dns = {("b.test", "MX"): ["5 mx.b.test"], ("mx.b.test", "A"): ["192.0.2.20"], **changes.pop("dns", {})}
    world = FakeWorld(own=[PRIVATE], dns=dns)
    return world.with_facts(settings=DoctorSettings(mail_servers=("b.test",)), **changes)


def test_behind_a_router():
    assert behind_a_router(addresses=(FOUR,)).only("addresses")[0] is DONE
    world = behind_a_router(addresses=())
    state, _, mend = world.only("addresses")
    assert state is TO_DO and '[server] addresses = ["' in mend
    world.greeted["192.0.2.20"] = Dialled(True, "", ("220 mx", f"250-mx at your service, [{FOUR}]", "250 SIZE"))
    state, seen, mend = world.only("addresses")
    assert state is TO_DO and f"others see {FOUR}" in seen and f'["{FOUR}"]' in mend
    world.dns[(HOST, "A")] = [FOUR]
    assert world.only("addresses")[0] is DONE
    world.greeted["192.0.2.20"] = Dialled(True, "", ("220 mx", "250-hello [999.1.1.1] [IPv6:zz]"))
    assert world.only("addresses")[0] is TO_DO  # a server that says nonsense says nothing


def reverse(address):
    return (ipaddress.ip_address(address).reverse_pointer, "PTR")


@pytest.mark.parametrize("address", [FOUR, SIX])
def test_names_of_addresses(address):
    kind = "AAAA" if ":" in address else "A"
    right = {reverse(address): [HOST], (HOST, kind): [address]}
    world = FakeWorld(dns=right).with_facts(addresses=(address,))
    assert world.only("reverse-names")[0] is DONE
    world.dns = {(HOST, kind): [address]}
    state, seen, mend = world.only("reverse-names")
    assert (state, seen) == (FAILED, "it has no name") and HOST in mend
    world.dns = {reverse(address): [HOST]}
    assert world.only("reverse-names")[0::2] == (FAILED, f"Publish it: {HOST}. IN {kind} {address}")
    world.dns = {reverse(address): ["other.test"], ("other.test", kind): [address]}
    assert world.only("reverse-names")[0] is TO_DO
    world.dns = {reverse(address): ["liar.test"], ("liar.test", kind): ["192.0.2.77"]}
    assert world.only("reverse-names")[0] is FAILED
    world.dns = {reverse(address): SILENT}
    assert world.only("reverse-names")[0] is FAILED
    world.dns = {reverse(address): SILENT, ("", "NS"): SILENT}
    assert world.only("reverse-names")[0] is SKIPPED


PORT = ServedPort("smtp", 25)


def test_ports():
    world = FakeWorld(dialled={("127.0.0.1", 25): Dialled(True)}).with_facts(ports=(PORT,), running=True)
    assert world.only("ports")[0] is DONE
    world.dialled = {}
    state, seen, _ = world.only("ports")
    assert state is FAILED and "connection refused" in seen
    world = world.with_facts(running=False)
    assert world.only("ports")[0] is DONE
    world.taken = {25: "somebody listens there already"}
    state, _, mend = world.only("ports")
    assert state is FAILED and "sport = :25" in mend
    world.taken = {25: "this needs the rights of root"}
    assert world.only("ports")[0] is SKIPPED
    six = FakeWorld(dialled={("::1", 25): Dialled(True)})
    assert six.with_facts(ports=(replace(PORT, address="::"),), running=True).only("ports")[0] is DONE


def listed(address):
    labels = ipaddress.ip_address(address).reverse_pointer
    return labels.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa") + ".list.test"


WORKS = {(listed("127.0.0.2"), "A"): ["127.0.0.2"], (listed("::ffff:127.0.0.2"), "A"): ["127.0.0.2"]}


def lists(address=FOUR):
    settings = DoctorSettings(block_lists=("list.test",))
    return FakeWorld(dns={**WORKS}).with_facts(addresses=(address,), settings=settings)


@pytest.mark.parametrize("address", [FOUR, SIX])
def test_lists(address):
    world = lists(address)
    assert world.only("block-lists")[0] is DONE
    world.dns |= {(listed(address), "A"): ["127.0.0.3"], (listed(address), "TXT"): ["sent spam " * 100]}
    state, seen, mend = world.only("block-lists")
    assert state is FAILED and f"it has {address}: sent spam" in seen and len(seen) < 400 and "list.test" in mend


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({(listed("127.0.0.1"), "A"): ["127.0.0.2"], (listed(FOUR), "A"): ["127.0.0.2"]}, "as a list does"),  # has all
        ({(listed("127.0.0.2"), "A"): []}, "as a list does"),  # has nothing
        ({(listed("127.0.0.2"), "A"): SILENT, (listed(FOUR), "A"): SILENT}, "as a list does"),
        ({(listed("127.0.0.2"), "A"): ["127.255.255.254"]}, "does not answer this resolver"),
        ({(listed("127.0.0.2"), "A"): ["198.51.100.1"], (listed(FOUR), "A"): ["198.51.100.1"]}, "as a list does"),
        ({(listed(FOUR), "A"): SILENT}, "as a list does"),
    ],
)
def test_a_list_that_does_not_answer_as_one_says_nothing(changed, words):
    world = lists()
    world.dns |= changed
    state, seen, _ = world.only("block-lists")
    assert state is SKIPPED and words in seen


def test_a_refusal_about_our_address_alone_is_no_listing():
    world = lists()
    world.dns[listed(FOUR), "A"] = ["127.255.255.254"]
    assert world.only("block-lists")[0] is DONE


def clock(*offsets, kept=True):
    names = [f"time{index}.test" for index in range(len(offsets))]
    dns = {(name, "A"): [f"192.0.2.{30 + index}"] for index, name in enumerate(names)}
    told = {f"192.0.2.{30 + index}": offset for index, offset in enumerate(offsets)}
    world = FakeWorld(dns=dns, offsets=told, kept=kept)
    return world.with_facts(settings=DoctorSettings(time_servers=tuple(names))).only("clock")


@pytest.mark.parametrize(
    ("offsets", "state"),
    [((0.1, -0.2), DONE), ((6.0, 6.1), TO_DO), ((-3600.0, None), FAILED), ((61.0,), FAILED), ((0.0, 100.0), SKIPPED)],
)
def test_the_clock(offsets, state):
    assert clock(*offsets)[0] is state


def test_a_time_server_may_be_reached_over_either_family():
    dns = {("time0.test", "A"): ["192.0.2.30"], ("time0.test", "AAAA"): ["2001:db8::30"]}
    world = FakeWorld(dns=dns, offsets={"2001:db8::30": 600.0})
    settings = DoctorSettings(time_servers=("time0.test",))
    assert world.with_facts(settings=settings).only("clock")[0] is FAILED


def test_the_clock_where_no_time_server_answers():
    assert clock(None)[0] is DONE and clock(kept=False)[0] is TO_DO and clock(None, kept=None)[0] is SKIPPED
    assert "slow" in clock(3600.0)[1] and "fast" in clock(-3600.0)[1]


MIB = 2**20


@pytest.mark.parametrize(
    ("room", "state"),
    [
        (SPACE, DONE),
        (replace(SPACE, free=100 * MIB), FAILED),
        (replace(SPACE, total=2**45, free=2**38), FAILED),  # 0.8%
        (replace(SPACE, free=5 * 2**30), TO_DO),  # 5%
        (replace(SPACE, total=2 * 2**30, free=900 * MIB), TO_DO),
        (replace(SPACE, files_free=10), TO_DO),
        (replace(SPACE, files=0, files_free=0), DONE),  # a file system without such a bound
        (None, SKIPPED),
    ],
)
def test_room_on_the_disk(room, state):
    assert FakeWorld(space_=room).with_facts(data="/d").only("disk-space")[0] is state


@pytest.mark.parametrize(
    ("kind", "state"), [("ext4", DONE), ("nfs4", FAILED), ("tmpfs", FAILED), ("overlay", TO_DO), ("", SKIPPED)]
)
def test_the_kind_of_disk(kind, state):
    assert FakeWorld(space_=replace(SPACE, kind=kind)).with_facts(data="/d").only("disk-kind")[0] is state


@pytest.mark.parametrize(
    ("took", "state"),
    [
        ([0.004] * 8, DONE),
        ([0.2] * 8, TO_DO),
        ([2.0] * 8, FAILED),
        ([0.000_002] * 8, TO_DO),
        ([0.004] * 7 + [9.0], DONE),  # one that was slow is none
        ([], FAILED),
    ],
)
def test_a_disk_that_is_slow_or_lies(took, state):
    assert FakeWorld(synced=took).with_facts(data="/d").only("disk-sync")[0] is state


@pytest.mark.parametrize(
    ("memory", "state"),
    [
        (Memory(2**31, 2**30, 0), DONE),
        (Memory(2**31, 10 * MIB, 2**30), FAILED),
        (Memory(400 * MIB, 200 * MIB, 0), TO_DO),
        (Memory(400 * MIB, 200 * MIB, 2**30), DONE),
        (None, SKIPPED),
    ],
)
def test_memory(memory, state):
    assert FakeWorld(memory_=memory).only("memory")[0] is state


DATA = PathState("/d", "directory", "mailnode", 990, 0o700)
KEY = PathState("/k", "file", "root", 0, 0o640)


def test_files_that_others_may_read():
    world = FakeWorld(paths={"/d": DATA, "/k": KEY}).with_facts(data="/d", secret_files=("/k", "/gone"), running=True)
    assert world.only("files")[0] is DONE
    world.paths = {"/d": replace(DATA, mode=0o750), "/k": replace(KEY, mode=0o644)}
    state, _, mend = world.only("files")
    assert state is FAILED and mend.splitlines() == ["chmod 700 /d", "chmod o= /k"]
    world.paths = {"/d": replace(DATA, uid=7, owner="other")}
    assert world.only("files")[0::2] == (FAILED, "chown -R mailnode: /d")
    world.paths = {}
    assert world.only("files")[0] is TO_DO


def test_who_serves():
    assert FakeWorld().with_facts(running=True).only("system-user")[0] is DONE
    assert FakeWorld(who=(0, "root")).with_facts(running=True).only("system-user")[0] is TO_DO
    assert FakeWorld(who=(0, "root")).only("system-user")[0] is SKIPPED


@pytest.mark.parametrize(
    ("unit", "state", "fix"),
    [
        (UnitState(False), SKIPPED, ""),
        (UnitState(True), SKIPPED, ""),
        (UnitState(True, "not-found", "inactive", "", "success"), TO_DO, "systemctl enable --now mailnode.service"),
        (UnitState(True, "loaded", "failed", "enabled", "exit-code"), FAILED, "journalctl -u mailnode.service"),
        (UnitState(True, "loaded", "inactive", "enabled", "success"), FAILED, "systemctl start mailnode.service"),
        (UnitState(True, "loaded", "active", "disabled", "success"), TO_DO, "systemctl enable mailnode.service"),
        (UnitState(True, "loaded", "active", "enabled", "success"), DONE, ""),
    ],
)
def test_the_unit(unit, state, fix):
    found, _, mend = FakeWorld(unit_=unit).only("service-unit")
    assert found is state and fix in mend


def test_what_is_not_asked_for_is_skipped():
    settings = DoctorSettings(block_lists=())
    assert FakeWorld().with_facts(settings=settings).only("block-lists")[0] is SKIPPED
    assert FakeWorld().with_facts(addresses=(PRIVATE,)).only("block-lists")[0] is SKIPPED
