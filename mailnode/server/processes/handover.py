"""What a further process is given when it begins. Descriptors are inherited under the numbers told here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mailnode.config.schema import Config


@dataclass(frozen=True, slots=True)
class HandedSocket:
    """A listening socket. ``listener``: its number in the configuration."""

    listener: int
    descriptor: int
    family: int
    backlog: int


@dataclass(frozen=True, slots=True)
class Clients:
    """The shared counts of clients; see :class:`mailnode.net.client_counts.ClientCountsMemory`."""

    descriptor: int
    key: bytes
    processes: int
    listeners: int


@dataclass(frozen=True, slots=True)
class LogPlace:
    """Where the log goes: ``kind`` is "lines" (``descriptor``, and ``path`` where it is a file), "syslog" (``name``: the
    prefix) or "observer" (``name``: of what makes one, as twistd takes it)."""

    kind: str
    descriptor: int = -1
    path: Path | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Served:
    """All that can change while a worker runs: it is told the whole of it, at first and after each change.

    ``generation``: its number, see :class:`mailnode.config.holder.Holder`. ``certificates``: (chain, key) in PEM form; the
    files may be readable by root alone. ``proofs``: (server name, chain, key), see :mod:`mailnode.net.proving`.
    """

    generation: int
    config: Config
    certificates: tuple[tuple[bytes, bytes], ...]
    proofs: tuple[tuple[str, bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Handover:
    """Everything a worker needs but its link. ``number``: from 2 on; the first process is 1."""

    number: int
    served: Served
    places: tuple[HandedSocket, ...]
    clients: Clients
    log: LogPlace

    def descriptors(self) -> tuple[int, ...]:
        """What must be inherited."""
        found = [place.descriptor for place in self.places] + [self.clients.descriptor]
        if self.log.descriptor > 2:
            found.append(self.log.descriptor)
        return tuple(found)
