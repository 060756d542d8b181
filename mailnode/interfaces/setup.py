"""What setup knows of the machine it runs on, and of the world around it. It is a command: everything here blocks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mailnode.interfaces.checks import IMachine, INetwork
from mailnode.interfaces.dns import DnsAnswer, DnsQuestion, IDnsLookup
from mailnode.interfaces.runtime import IClock
from mailnode.values.dns_update import UpdateServer, ZoneChange


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


@dataclass(frozen=True, slots=True)
class LookingParts:
    """What checks look at the machine and the world with."""

    dns: IDnsLookup
    network: INetwork
    machine: IMachine
    clock: IClock
    resolvers: tuple[str, ...]  # who is asked
    believed: bool  # when they say that they have validated an answer


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

    def has_module(self, name: str) -> bool:
        """Whether a module of Python is installed."""

    def certificate_trouble(self, certificate: Path, key: Path, host: str) -> str:
        """Return why a certificate and its key cannot be used, or why programs refuse it for this host by now; "": they can."""

    def try_login(self, way: SmarthostLogin) -> str:
        """Log in at a smarthost; return why that failed, in generic words and its own; "": it did not. At most some seconds."""

    def update_zone(self, server: UpdateServer, change: ZoneChange) -> None:
        """Change a zone (RFC 2136). :raises mailnode.errors.UpdateFailed: nothing was changed, or nobody knows."""

    def looking(self) -> LookingParts:
        """Return what checks look with."""

    def page_here(self, host: str, path: str, secure: bool) -> bytes:
        """Return what the web server of this machine shows under a name, at most some octets; b"": nothing.

        :param secure: on port 443, with whatever certificate; else on port 80."""


@dataclass(frozen=True, slots=True)
class MessageOffered:
    """What came of a message that was offered to a server."""

    taken: bool
    words: str  # its reply, or why there was none; printable, one line


class MailTrials(Protocol):
    """Sends and reads a message, as other servers and mail programs do. Each call ends within some seconds and never fails."""

    def offer(self, address: str, greeting: str, sender: str, recipient: str, message: bytes) -> MessageOffered:
        """Offer a message to port 25 of an IP address, with TLS where it is offered. :param greeting: the name for EHLO."""

    def submit(self, login: tuple[str, str], port: int, sender: str, recipient: str, message: bytes) -> MessageOffered:
        """Submit a message to this machine, with TLS from the first octet. :param login: name and password."""

    def find(self, login: tuple[str, str], port: int, words: str) -> Sequence[bytes]:
        """Return the latest messages of the inbox and the junk mailbox that have these words anywhere, over IMAP with TLS from the
        first octet; no more than a few, each cut at some size. Empty also where nobody answers."""
