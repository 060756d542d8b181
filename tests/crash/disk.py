"""What a disk may hold after the power went: all that was synced, and of the rest whatever chance has it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from tests.crash.trace import Event

BLOCK = 4096  # octets that are written as a whole
_LEFT_OUT = ("-shm",)  # memory that processes share, which SQLite makes anew


@dataclass
class File:
    """``unsynced``: (number, offset, octets) of what was written since its last sync; without octets: cut to that size."""

    synced: bytearray = field(default_factory=bytearray)
    unsynced: list[tuple[int, int, bytes | None]] = field(default_factory=list)


@dataclass
class Folder:
    """``unsynced``: (number, name, what is there from now on) of what was done since its last sync."""

    synced: dict[str, File | Folder] = field(default_factory=dict)
    unsynced: list[tuple[int, str, File | Folder | None]] = field(default_factory=list)
    now: dict[str, File | Folder] = field(default_factory=dict)


class Disk:
    """The files below a folder, while it is written to. A sync of a file syncs its content, one of a folder its names."""

    def __init__(self, beginning: Path, root: Path) -> None:
        """:param beginning: what is there at first, all of it synced. :param root: by which name events know the folder."""
        self._root = PurePosixPath(root)
        self.top = self._loaded(beginning)

    def _loaded(self, path: Path) -> Folder:
        names: dict[str, File | Folder] = {}
        for one in path.iterdir():
            if one.is_dir():
                names[one.name] = self._loaded(one)
            elif one.is_file():
                names[one.name] = File(bytearray(one.read_bytes()))
        return Folder(names, [], dict(names))

    def _folder(self, path: str) -> tuple[Folder, str]:
        """Return where a path's last name stands."""
        *above, last = PurePosixPath(path).relative_to(self._root).parts
        folder = self.top
        for name in above:
            folder = folder.now[name]  # type: ignore[assignment]
        return folder, last

    def _at(self, path: str) -> File | Folder | None:
        if PurePosixPath(path) == self._root:
            return self.top
        folder, name = self._folder(path)
        return folder.now.get(name)

    def _set(self, path: str, number: int, what: File | Folder | None) -> None:
        folder, name = self._folder(path)
        folder.unsynced.append((number, name, what))
        if what is None:
            folder.now.pop(name, None)
        else:
            folder.now[name] = what

    def apply(self, event: Event) -> None:
        """Have an event happen."""
        getattr(self, f"_{event.kind}")(event, self._at(event.path))

    def _create(self, event: Event, there: Any) -> None:
        if there is None:
            self._set(event.path, event.ended, File())
        elif event.offset == 0:
            there.unsynced.append((event.ended, 0, None))

    def _mkdir(self, event: Event, there: Any) -> None:
        self._set(event.path, event.ended, Folder())

    def _write(self, event: Event, there: Any) -> None:
        if there is None:
            return  # it has no name any more
        at, end = event.offset, event.offset + len(event.data)
        while at < end:
            stop = min(end, (at // BLOCK + 1) * BLOCK)
            there.unsynced.append((event.ended, at, event.data[at - event.offset : stop - event.offset]))
            at = stop

    def _truncate(self, event: Event, there: Any) -> None:
        if there is not None:
            there.unsynced.append((event.ended, event.offset, None))

    def _rename(self, event: Event, there: Any) -> None:
        self._set(event.other, event.ended, there)
        self._set(event.path, event.ended, None)

    def _link(self, event: Event, there: Any) -> None:
        self._set(event.other, event.ended, there)

    def _unlink(self, event: Event, there: Any) -> None:
        self._set(event.path, event.ended, None)

    def _sync(self, event: Event, there: Any) -> None:
        if there is None:
            return
        done = [one for one in there.unsynced if one[0] < event.began]
        there.unsynced = [one for one in there.unsynced if one[0] >= event.began]
        if isinstance(there, Folder):
            _name(there.synced, done)
        else:
            _write(there.synced, done)

    def write(self, to: Path, chance: random.Random, left: str = "") -> None:
        """Make a folder that holds what a power cut now may leave.

        :param left: of what was not synced: ``all``, ``none``, the ``first`` so and so many, ``any``; empty: for each file and
            each folder one of these by chance.
        """
        self._left(self.top, to, chance, left)

    def _left(self, folder: Folder, to: Path, chance: random.Random, left: str) -> None:
        to.mkdir(mode=0o700)
        names = dict(folder.synced)
        _name(names, _some(folder.unsynced, chance, left))
        for name, what in names.items():
            if isinstance(what, Folder):
                self._left(what, to / name, chance, left)
            elif not name.endswith(_LEFT_OUT):
                octets = bytearray(what.synced)
                _write(octets, _some(what.unsynced, chance, left))
                (to / name).write_bytes(octets)
                (to / name).chmod(0o600)


def _some(unsynced: list[Any], chance: random.Random, left: str) -> list[Any]:
    """Return what of it reached the disk, in the order in which it was done."""
    kind = left or chance.choice(("all", "none", "first", "any"))
    if kind == "all":
        return unsynced
    if kind == "any":
        return [one for one in unsynced if chance.random() < 0.5]
    return unsynced[: chance.randint(0, len(unsynced)) if kind == "first" else 0]


def _name(names: dict[str, Any], done: list[tuple[int, str, Any]]) -> None:
    for _, name, what in done:
        if what is None:
            names.pop(name, None)
        else:
            names[name] = what


def _write(octets: bytearray, done: list[tuple[int, int, bytes | None]]) -> None:
    for _, offset, data in done:
        end = offset + len(data or b"")
        if len(octets) < end:
            octets.extend(bytes(end - len(octets)))
        if data is None:
            del octets[offset:]
        else:
            octets[offset:end] = data
