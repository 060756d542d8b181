"""A world for checks: DNS, network and machine as a test says they are. What nobody said anything about is not there."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from twisted.internet.task import Clock

from mailnode.checks.facts import ServerFacts
from mailnode.checks.row import Surroundings
from mailnode.checks.running import look_at_all
from mailnode.checks.table import CHECKS
from mailnode.interfaces.dns import DnsAnswer
from mailnode.values.doctor import DoctorSettings
from mailnode.values.item import ItemState
from mailnode.values.machine import Dialled, DiskSpace, Fetched, Memory, PathState, ShownCertificate, UnitState

HOST, FOUR, SIX = "mail.a.test", "192.0.2.1", "2001:db8::1"
NOW = 1_800_000_000.0
SILENT = DnsAnswer(failed=True)
FACTS = ServerFacts(HOST, DoctorSettings(), addresses=(FOUR,))
SPACE = DiskSpace(100 * 2**30, 50 * 2**30, 1_000_000, 900_000, "ext4")
MEMORY = Memory(2 * 2**30, 2**30, 2**30)
UNIT = UnitState(True, "loaded", "active", "enabled", "success")


@dataclass
class FakeWorld:
    """``dns``: values by (name, type), or an answer."""

    facts: ServerFacts = FACTS
    dns: dict = field(default_factory=dict)
    own: list = field(default_factory=lambda: [FOUR])
    greeted: dict = field(default_factory=dict)  # address -> Dialled
    dialled: dict = field(default_factory=dict)  # (address, port) -> Dialled
    taken: dict = field(default_factory=dict)  # port -> words
    shown: dict = field(default_factory=dict)  # (port, name) -> ShownCertificate
    fetched: dict = field(default_factory=dict)  # host -> Fetched
    offsets: dict = field(default_factory=dict)  # address -> seconds
    space_: DiskSpace | None = SPACE
    synced: list = field(default_factory=lambda: [0.004] * 8)
    memory_: Memory | None = MEMORY
    paths: dict = field(default_factory=dict)  # path -> PathState
    who: tuple = (990, "mailnode")
    unit_: UnitState = UNIT
    kept: bool | None = True

    def with_facts(self, **changes):
        return replace(self, facts=replace(self.facts, **changes))

    async def ask(self, questions):
        found = {}
        for one in questions:
            said = self.dns.get((one.name, one.type), ())
            found[one] = said if isinstance(said, DnsAnswer) else DnsAnswer(tuple(said), ttl=60)
        return found

    async def own_addresses(self):
        return self.own

    async def greet(self, address, port, hostname):
        return self.greeted.get(address, Dialled(False, "no answer in time"))

    async def dial(self, address, port):
        return self.dialled.get((address, port), Dialled(False, "connection refused"))

    async def can_listen(self, address, port):
        return Dialled(port not in self.taken, self.taken.get(port, ""))

    async def certificate(self, address, port, name, starttls):
        return self.shown.get((port, name), ShownCertificate("connection refused"))

    async def fetch(self, address, host, path, port=443):
        return self.fetched.get(host, Fetched("connection refused"))

    async def clock_offset(self, address):
        return self.offsets.get(address)

    async def space(self, path):
        return self.space_

    async def sync_seconds(self, path):
        return self.synced

    async def memory(self):
        return self.memory_

    async def look_at(self, path):
        return self.paths.get(path, PathState(path, ""))

    async def user(self):
        return self.who

    async def unit(self, name):
        return self.unit_

    async def clock_is_kept(self):
        return self.kept

    def surroundings(self):
        clock = Clock()
        clock.advance(NOW)
        return Surroundings(self.facts, self, self, self, clock)

    def look(self, name):
        """Return the items of one check."""
        return look_at_all([CHECKS[name]], self.surroundings())

    def only(self, name):
        """Return (state, seen, mend) of the only item of a check."""
        (item,) = self.look(name)
        assert item.explained
        if item.state in (ItemState.FAILED, ItemState.TO_DO):
            assert item.mend
        return item.state, item.seen, item.mend
