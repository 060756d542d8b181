"""What setup knows of the machine it runs on, and of the world around it. It is a command: everything here blocks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mailnode.interfaces.dns import DnsAnswer, DnsQuestion


@dataclass(frozen=True, slots=True)
class ProgramRan:
    """What came of a program that has ended."""

    code: int  # 0: it did what it was asked for; -1: it could not be started, or did not end in time
    output: str
    errors: str


@dataclass(frozen=True, slots=True)
class SmarthostLogin:
    """How a smarthost is reached. ``tls``: as ``[queue.smarthost] tls`` says."""

    host: str
    port: int
    tls: str
    username: str = ""  # "": nobody logs in
    password: str = field(default="", repr=False)


class SetupMachine(Protocol):
    """The machine, as setup sees it."""

    def now(self) -> float:
        """UTC seconds."""

    def pause(self, seconds: float) -> None:
        """Wait. :raises KeyboardInterrupt:"""

    def program(self, name: str) -> str:
        """Return the path of a program; "": it is not here."""

    def run(self, command: Sequence[str], timeout: float) -> ProgramRan:
        """Run a program to its end, without a shell and without input. :param timeout: seconds. Never fails."""

    def own_addresses(self) -> tuple[str, ...]:
        """Return the addresses from which this machine reaches others, private ones too."""

    def look_up(self, questions: Collection[DnsQuestion]) -> Mapping[DnsQuestion, DnsAnswer]:
        """Ask the resolvers of this machine. Never fails: an answer says whether it did."""

    def look_up_at(self, server: str, questions: Collection[DnsQuestion]) -> Mapping[DnsQuestion, DnsAnswer]:
        """Ask one server, by its address, for what it knows itself."""

    def write_self_signed(self, certificate: Path, key: Path, names: Sequence[str]) -> None:
        """Write a certificate nobody vouches for, with its key, each whole or not at all. :raises OSError:"""

    def certificate_trouble(self, certificate: Path, key: Path) -> str:
        """Return why a certificate and its key cannot be used, or why programs refuse it by now; "": they can."""

    def try_login(self, way: SmarthostLogin) -> str:
        """Log in at a smarthost; return why that failed, in generic words and its own; "": it did not. At most some seconds."""
