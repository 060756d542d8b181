"""What checks see of the machine, from threads of their own. Linux; what another system does not tell is not known there."""

from __future__ import annotations

import ctypes
import os
import pwd
import stat
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from zope.interface import implementer

from mailnode.interfaces.checks import IMachine
from mailnode.net.aside import aside
from mailnode.values.machine import DiskSpace, Memory, PathState, UnitState

WRITES, OCTETS = 8, 4096  # small writes that are synced, and how large each is
SYSTEMD = Path("/run/systemd/system")
MEMINFO = Path("/proc/meminfo")
MOUNTS = Path("/proc/self/mounts")
CGROUP = Path("/sys/fs/cgroup")
SYSTEMCTL_SECONDS = 5.0
MAX_FILE = 1024 * 1024  # octets
_UNSYNCED = 0x40  # STA_UNSYNC of linux/timex.h
_CLOCK_ERROR = 5  # TIME_ERROR, what adjtimex returns of a clock that nobody keeps


@implementer(IMachine)
class ThisMachine:
    """The one this runs on. See :class:`IMachine`."""

    async def space(self, path: str) -> DiskSpace | None:
        """See :class:`IMachine`."""
        return await aside(_space, path)

    async def sync_seconds(self, path: str) -> Sequence[float]:
        """See :class:`IMachine`."""
        return await aside(_sync_seconds, path)

    async def memory(self) -> Memory | None:
        """See :class:`IMachine`."""
        return await aside(_memory)

    async def look_at(self, path: str) -> PathState:
        """See :class:`IMachine`."""
        return await aside(_look_at, path)

    async def user(self) -> tuple[int, str]:
        """See :class:`IMachine`."""
        return os.geteuid(), await aside(_user_name, os.geteuid())

    async def unit(self, name: str) -> UnitState:
        """See :class:`IMachine`."""
        return await aside(_unit, name)

    async def clock_is_kept(self) -> bool | None:
        """See :class:`IMachine`."""
        return _clock_is_kept()


def _standing(path: str) -> Path | None:
    """Return a path, or what is above it and stands."""
    return next((one for one in (Path(path), *Path(path).parents) if one.exists()), None)


def _space(path: str) -> DiskSpace | None:
    try:
        at = _standing(path)
        if at is None:
            return None
        seen = os.statvfs(at)
    except OSError:
        return None
    size = seen.f_frsize
    return DiskSpace(seen.f_blocks * size, seen.f_bavail * size, seen.f_files, seen.f_favail, _kind(at))


def _kind(path: Path) -> str:
    place, best, kind = str(path.resolve()), "", ""
    for line in _read(MOUNTS).splitlines():
        words = line.split()
        if len(words) > 2:
            mount = words[1].encode("ascii", "replace").decode("unicode_escape")
            inside = place == mount or place.startswith(mount.rstrip("/") + "/")
            if inside and len(mount) >= len(best):
                best, kind = mount, words[2]
    return kind


def _sync_seconds(path: str) -> list[float]:
    at = _standing(path)
    took = []
    try:
        with tempfile.TemporaryFile(dir=at) as file:
            for number in range(WRITES):
                file.write(bytes([number]) * OCTETS)
                file.flush()
                begun = time.perf_counter()
                os.fsync(file.fileno())
                took.append(time.perf_counter() - begun)
    except OSError:
        return []
    return took


def _memory() -> Memory | None:
    kept = dict(line.split(":", 1) for line in _read(MEMINFO).splitlines() if ":" in line)
    try:
        total, available, swap = (
            int(kept[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable", "SwapTotal")
        )
    except (KeyError, ValueError, IndexError):
        return None
    limit, used = _number(CGROUP / "memory.max"), _number(CGROUP / "memory.current")
    if limit is not None and used is not None and limit < total:
        return Memory(limit, min(available, max(0, limit - used)), swap)
    return Memory(total, available, swap)


def _number(path: Path) -> int | None:
    text = _read(path).strip()
    return int(text) if text.isascii() and text.isdecimal() else None


def _look_at(path: str) -> PathState:
    try:
        seen = os.stat(path)
    except OSError:
        return PathState(path, "")
    kind = "file" if stat.S_ISREG(seen.st_mode) else "directory" if stat.S_ISDIR(seen.st_mode) else "other"
    return PathState(path, kind, _user_name(seen.st_uid), seen.st_uid, stat.S_IMODE(seen.st_mode))


def _user_name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _unit(name: str) -> UnitState:
    if not SYSTEMD.is_dir():
        return UnitState(False)
    asked = ["systemctl", "show", "--property=LoadState,ActiveState,UnitFileState,Result", "--", name]
    try:
        done = subprocess.run(
            asked, stdin=subprocess.DEVNULL, capture_output=True, timeout=SYSTEMCTL_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return UnitState(True)
    said = dict(line.split("=", 1) for line in done.stdout.decode("ascii", "replace").splitlines() if "=" in line)
    words = (said.get(key, "") for key in ("LoadState", "ActiveState", "UnitFileState", "Result"))
    return UnitState(True, *words)


def _clock_is_kept() -> bool | None:
    """Ask the kernel as adjtimex(2) does, changing nothing."""

    class Timex(ctypes.Structure):
        _fields_ = (
            ("modes", ctypes.c_uint),
            ("values", ctypes.c_long * 4),
            ("status", ctypes.c_int),
            ("rest", ctypes.c_byte * 512),
        )

    try:
        told = Timex()
        state = ctypes.CDLL(None).adjtimex(ctypes.byref(told))
    except (OSError, AttributeError):
        return None
    if state < 0:
        return None
    return state != _CLOCK_ERROR and not told.status & _UNSYNCED


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE).decode("utf-8", "replace")
    except OSError:
        return ""
