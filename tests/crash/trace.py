"""What a process did to the files below a folder, read from what strace wrote."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CALLS = (
    "open,openat,creat,close,write,writev,pwrite64,pwritev,lseek,truncate,ftruncate,fallocate,fsync,fdatasync,rename,renameat,"
    "renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,rmdir"
)
_LONGEST = 1 << 24  # octets of one call that are kept
_LINE = re.compile(r"(\d+) +(\d+\.\d+) (.*)\n")
_CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+)")
_RESUMED = re.compile(r"<\.\.\. (\w+) resumed>(.*)")
_UNFINISHED = " <unfinished ...>"
_FILE = re.compile(r"(?:AT_FDCWD|\d+)<([^>]*)>")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


@dataclass
class Event:
    """One change, or one sync. ``began``, ``ended``: numbers of lines, by which events are ordered; ``at``: when, UTC seconds."""

    kind: str  # create write truncate rename link unlink mkdir sync
    path: str
    began: int
    ended: int
    at: float
    other: str = ""  # where to
    offset: int = 0  # or the new size
    data: bytes = b""


def command(output: Path, arguments: list[str]) -> list[str]:
    """Return a command line that runs another and writes down what it does to files."""
    told = ["-f", "-qq", "-ttt", "-y", "-xx", "-s", str(_LONGEST), "-e", f"trace={CALLS}", "-e", "signal=none"]
    return ["strace", *told, "-o", str(output), *arguments]


def events(output: Path, folder: Path) -> list[Event]:
    """Return what was done below a folder, in the order in which it ended."""
    reader = _Reader(str(folder))
    with output.open(errors="replace") as lines:
        return list(reader.read(lines))


class _Reader:
    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._under_way: dict[str, tuple[int, str]] = {}
        self._places: dict[str, int] = {}  # where the next write goes, by path
        self._sizes: dict[str, int] = {}

    def read(self, lines) -> Iterator[Event]:
        for number, line in enumerate(lines):
            if not (found := _LINE.fullmatch(line)):
                continue  # cut short by the end
            process, at, text = found.groups()
            began = number
            if text.endswith(_UNFINISHED):
                self._under_way[process] = number, text.removesuffix(_UNFINISHED)
                continue
            if resumed := _RESUMED.match(text):
                began, before = self._under_way.pop(process)
                text = before + resumed[2]
            call = _CALL.match(text)
            event = self._event(call[1], call[2], text, int(call[3])) if call and int(call[3]) >= 0 else None
            if event is not None and event.path.startswith(self._folder):
                event.began, event.ended, event.at = began, number, float(at)
                yield event

    def _event(self, name: str, arguments: str, text: str, result: int) -> Event | None:
        names = [_octets(one).decode() for one in _TEXT.findall(arguments)] if "write" not in name else []
        opened = _FILE.match(arguments)
        path = _path(opened[1]) if opened else ""
        if name in ("open", "openat", "creat"):
            return self._opened(names, arguments, text)
        if name in ("write", "writev", "pwrite64", "pwritev"):
            return self._written(name, arguments, path, result) if path.startswith(self._folder) else None
        if name == "lseek":
            self._places[path] = result
            return None
        if name in ("fsync", "fdatasync"):
            return Event("sync", path, 0, 0, 0)
        if name in ("ftruncate", "truncate"):
            size = int(arguments.rpartition(",")[2])
            self._sizes[path or names[0]] = size
            return Event("truncate", path or names[0], 0, 0, 0, offset=size)
        places = _FILE.findall(arguments)
        if name.endswith("at") or name == "renameat2":
            names = [
                one if one.startswith("/") else f"{_path(base)}/{one}" for base, one in zip(places, names, strict=False)
            ]
        return self._named(name, names, arguments)

    def _named(self, name: str, names: list[str], arguments: str) -> Event | None:
        kind = next((kind for kind in ("rename", "unlink", "link", "mkdir", "rmdir") if name.startswith(kind)), "")
        if not kind:
            return None
        assert all(one.startswith("/") for one in names), f"relative to an unknown folder: {arguments}"
        if kind == "rename":
            for known in (self._places, self._sizes):
                if names[0] in known:
                    known[names[1]] = known.pop(names[0])
        kind = "unlink" if kind == "rmdir" else kind
        return Event(kind, names[0], 0, 0, 0, other=names[1] if len(names) > 1 else "")

    def _opened(self, names: list[str], arguments: str, text: str) -> Event | None:
        path = _path(_FILE.findall(text.rpartition(" = ")[2])[0])
        size = 0 if "O_TRUNC" in arguments else self._sizes.get(path, 0)
        self._places[path] = size if "O_APPEND" in arguments else 0
        if "O_TRUNC" in arguments:
            self._sizes[path] = 0
        return (
            Event("create", path, 0, 0, 0, offset=0 if "O_TRUNC" in arguments else -1)
            if "O_CREAT" in arguments
            else None
        )

    def _written(self, name: str, arguments: str, path: str, length: int) -> Event:
        data = b"".join(map(_octets, _TEXT.findall(arguments)))[:length]
        assert len(data) == length, "strace left something out"
        if name.startswith("p"):
            offset = int(arguments.rpartition(",")[2])
        else:
            offset = self._places.get(path, 0)
            self._places[path] = offset + length
        self._sizes[path] = max(self._sizes.get(path, 0), offset + length)
        return Event("write", path, 0, 0, 0, offset=offset, data=data)


def _octets(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def _path(text: str) -> str:
    path = _octets(text).decode() if text.startswith("\\x") else text
    return path.removesuffix(" (deleted)").removesuffix("(deleted)")
