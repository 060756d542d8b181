"""Has the checks look at the machine that is set up, once a run: what they see does not change while setup works."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mailnode.checks.facts import ServedPort, ServerFacts
from mailnode.checks.row import Check, Occasion, Surroundings
from mailnode.checks.running import look_at_all
from mailnode.checks.table import checks_for
from mailnode.interfaces.setup import SetupMachine
from mailnode.setup.row import AskedChecks
from mailnode.values.doctor import DoctorSettings
from mailnode.values.item import Item

LISTENERS = (  # protocol, port, TLS: what the configuration that setup writes listens on
    ("smtp", 25, "starttls"),
    ("submission", 465, "implicit"),
    ("submission", 587, "starttls"),
    ("imap", 993, "implicit"),
    ("imap", 143, "starttls"),
    ("pop3", 995, "implicit"),
    ("managesieve", 4190, "starttls"),
)
OWN_ITEMS = ("host-name", "files", "system-user", "service-unit")  # checks of what setup has items of its own for


class MachineChecks:
    """What checks say of this machine, remembered for one run."""

    def __init__(self, machine: SetupMachine, data: str, settings: Callable[[], DoctorSettings]) -> None:
        """:param settings: whom checks ask."""
        self._machine = machine
        self._data = data
        self._settings = settings
        self._known: dict[object, Sequence[Item]] = {}

    def __call__(self, asked: AskedChecks) -> Sequence[Item]:
        """Return the items. Blocks for some seconds the first time."""
        if asked not in self._known:
            self._known[asked] = look_at_all(self._checks(), self._world(asked))
        return self._known[asked]

    def _checks(self) -> list[Check]:
        return [check for check in checks_for(Occasion.SETUP) if check.name not in OWN_ITEMS]

    def _world(self, asked: AskedChecks) -> Surroundings:
        parts = self._machine.looking()
        facts = ServerFacts(
            asked.host,
            self._settings(),
            running=asked.running,
            addresses=asked.addresses,
            relays=asked.relays,
            believed=parts.believed,
            resolvers=parts.resolvers,
            ports=tuple(ServedPort(protocol, port, tls=tls) for protocol, port, tls in LISTENERS),
            data=self._data,
        )
        return Surroundings(facts, parts.dns, parts.network, parts.machine, parts.clock)
