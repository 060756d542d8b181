"""What an item of setup is, and what it is given."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from mailnode.interfaces.setup import MailTrials, SetupMachine
from mailnode.setup.answers import Answers
from mailnode.setup.files import Owner, copy_beside, write
from mailnode.setup.progress import Progress
from mailnode.values.address import Address, parse_address
from mailnode.values.item import Item

PAGES = "pages"  # what is remembered of domains whose pages are shown under names of theirs


class Operations(Protocol):
    """The operations of the server, or of its store while it does not run, done with the rights of the user who serves."""

    def __call__(self, name: str, arguments: Mapping[str, object]) -> object:
        """Do one. :raises mailnode.admin.operations.OperationFailed: :raises mailnode.errors.ConfigurationError:"""


@dataclass(frozen=True, slots=True)
class SetupPlaces:
    """Where things are on this machine."""

    config: Path
    data: Path
    programs: Path  # the directory with this installation's twistd and mailnode
    unit: Path = Path("/etc/systemd/system/mailnode.service")
    systemd: Path = Path("/run/systemd/system")  # there while systemd runs

    @property
    def tls(self) -> Path:
        """The directory of certificates that are made or copied here."""
        return self.config.parent / "tls"

    @property
    def webroot(self) -> Path:
        """The directory of proofs that another web server shows."""
        return self.config.parent / "webroot"

    @property
    def records(self) -> Path:
        """The directory of what is to be published in DNS."""
        return self.config.parent / "dns"


@dataclass(frozen=True, slots=True)
class AskedChecks:
    """What checks are told of the server that is set up."""

    host: str
    addresses: tuple[str, ...]
    running: bool
    relays: tuple[str, ...] = ()  # hosts that mail leaves through


@dataclass(frozen=True, slots=True)
class Surrounded:
    """What items look at and work with."""

    address: Address  # of the first account
    places: SetupPlaces
    machine: SetupMachine
    mail: MailTrials
    operate: Operations
    answers: Answers
    progress: Progress
    checked: Callable[[AskedChecks], Sequence[Item]]
    tell: Callable[[str], None]  # says a line while something is waited for
    patience: float = 0.0  # seconds to wait for DNS and for mail

    @property
    def is_root(self) -> bool:
        """Whether setup may change the machine."""
        return os.geteuid() == 0

    @property
    def domain(self) -> str:
        """The domain that is set up, in A-labels."""
        return self.address.domain_key

    @property
    def first(self) -> Address:
        """The address that this machine was set up for at first: a later one changes nothing of the configuration."""
        kept = self.progress.value("first", "address")
        return parse_address(kept) if kept else self.address

    @property
    def shown(self) -> tuple[str, ...]:
        """The domains whose pages are shown under names of theirs, the first before all others."""
        return tuple(dict.fromkeys([self.first.domain_key, *self.progress.names(PAGES)]))

    def remember_pages(self) -> None:
        """Take this domain among them. :raises OSError:"""
        self.progress.remember(PAGES, self.domain, "shown")

    def write(self, path: Path, content: str, mode: int, owner: Owner | None = None) -> None:
        """Write a file that is not there with this content yet; what is there is copied beside first. :raises OSError:"""
        if path.exists() and path.read_bytes() != content.encode():
            copy_beside(path, self.machine.now())
        written = write(path, content.encode(), mode, owner)
        self.progress.remember("written", str(path), written)


@dataclass(frozen=True, slots=True)
class SetupItem:
    """One item: how it stands, and how it is done.

    ``look`` changes nothing. ``do`` is called where that said "to do"; it may ask, and what it leaves half done the next run
    goes on with. ``wait`` is called where it said "waiting" and there is time for that. Then ``look`` says how it stands.
    """

    name: str
    look: Callable[[Surrounded], Item]
    do: Callable[[Surrounded], None] | None = None
    wait: Callable[[Surrounded], None] | None = None
    _: KW_ONLY
    needs: tuple[str, ...] = ()  # items that must be done before
    explained: str = ""


@dataclass(frozen=True, slots=True)
class LookedAt:
    """Several items that setup looks at and does nothing about. The run goes on whatever they say."""

    name: str
    look: Callable[[Surrounded], Sequence[Item]]
    needs: tuple[str, ...] = ()


AnyItem: TypeAlias = SetupItem | LookedAt
