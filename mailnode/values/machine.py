"""What can be seen of a machine and of other hosts from it, as plain data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dialled:
    """How a connection to one address fared. ``words``: why it is not there, in generic words. ``lines``: what an SMTP server
    said to greeting and EHLO, printable ASCII alone."""

    opened: bool
    words: str = ""
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ShownCertificate:
    """What a TLS server shows. ``trouble``: why a careful client hangs up, "" if it does not."""

    trouble: str
    not_after: float = 0.0  # UTC seconds; 0.0: nothing was shown
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fetched:
    """An HTTPS answer. ``trouble``: why there is none, "" if there is one."""

    trouble: str = ""
    status: int = 0
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """Room where a path is, in octets, and files that may still be made there (0: it has no such bound)."""

    total: int
    free: int
    files: int
    files_free: int
    kind: str = ""  # of the file system, such as "ext4"; "": not known


@dataclass(frozen=True, slots=True)
class Memory:
    """Of the machine, or of the control group that is smaller, in octets."""

    total: int
    available: int
    swap: int


@dataclass(frozen=True, slots=True)
class PathState:
    """What stands at a path. ``mode``: its permission bits. ``owner``: the user's name, or number."""

    path: str
    kind: str  # "file", "directory", "other", or "": nothing
    owner: str = ""
    uid: int = -1
    mode: int = 0


@dataclass(frozen=True, slots=True)
class UnitState:
    """What systemd says of a unit: its own words. ``managed``: whether this machine was started by systemd at all."""

    managed: bool
    load: str = ""
    active: str = ""
    enabled: str = ""
    result: str = ""
