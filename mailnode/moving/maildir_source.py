"""Mail that lies in a Maildir: folders beside INBOX with a dot in front (Maildir++), or directories within directories."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from mailnode.moving.local_files import hand_over, lines
from mailnode.moving.maildir import (
    KEYWORDS_FILE,
    SUBSCRIPTIONS,
    UIDS_FILE,
    arrival_of,
    base_of,
    flags_of,
    read_keywords,
    read_subscriptions,
    read_uidls,
)
from mailnode.moving.model import ContentSink, FolderRefused, SourceFailed, SourceFolder, SourceMessage
from mailnode.moving.written_names import level_names
from mailnode.values.mailbox_name import INBOX

PAGE = 1000  # messages
MAX_FOLDERS = 10_000
MAX_DEPTH = 64  # directories within directories
_PARTS = ("new", "cur")
_NO_FOLDERS = frozenset({"new", "cur", "tmp"})


class MaildirSource:
    """A directory with mail in it."""

    def __init__(self, root: Path, keep_uidls: bool) -> None:
        """:param keep_uidls: messages keep the POP3 unique-ids that Dovecot gave them."""
        self.name = f"maildir {root}"
        self._root = root
        self._keep_uidls = keep_uidls
        self._paths: dict[str, Path] = {}

    def folders(self) -> list[SourceFolder]:
        """All folders. :raises SourceFailed: there is no mail."""
        found: dict[str, tuple[tuple[bytes, ...], Path]] = {}
        try:
            if _has_mail(self._root):
                found["."] = ((), self._root)
            for levels, path in [*_beside(self._root), *_within(self._root, ())]:
                found[os.fsdecode(b"/".join(levels))] = (levels, path)
                if len(found) > MAX_FOLDERS:
                    raise SourceFailed(f"{self._root}: more than {MAX_FOLDERS} folders")
        except OSError as error:
            raise SourceFailed(f"{self._root}: {error.strerror}") from None
        if not found:
            raise SourceFailed(f"{self._root}: there is no Maildir: no directory cur or new")
        self._paths = {key: path for key, (_, path) in found.items()}
        subscribed = frozenset().union(*(read_subscriptions(lines(self._root / name)) for name in SUBSCRIPTIONS))
        return [_folder(key, levels, subscribed) for key, (levels, _) in sorted(found.items())]

    def open(self, folder: SourceFolder) -> MaildirReader:
        """Open one. :raises FolderRefused: it cannot be read, or is a link."""
        path = self._paths[folder.key]
        if not _is_directory(path):
            raise FolderRefused("it is a link, which is not followed: import what it leads to by itself")
        try:
            return MaildirReader(folder.key, path, self._keep_uidls)
        except OSError as error:
            raise FolderRefused(f"it cannot be read: {error.strerror}") from None

    def close(self) -> None:
        """Nothing is held."""


def _folder(key: str, levels: Sequence[bytes], subscribed: frozenset[str]) -> SourceFolder:
    if not levels:
        return SourceFolder(key, (INBOX,), subscribed=True)
    names, oddity = level_names(levels)
    written = os.fsdecode(b"/".join(levels))
    return SourceFolder(key, names, subscribed=written in subscribed or "/".join(names) in subscribed, oddity=oddity)


def _has_mail(path: Path) -> bool:
    return any(_is_directory(path / part) for part in _PARTS)


def _is_directory(path: Path) -> bool:
    """Whether it is one by itself: whoever owns the mail may have made a link to what is somebody else's."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def _beside(root: Path) -> Iterator[tuple[tuple[bytes, ...], Path]]:
    """Yield folders of a Maildir++: ``.Work.2024``."""
    with os.scandir(root) as entries:
        for entry in entries:
            if entry.name.startswith(".") and (
                _leads_away(entry) or (_is_within(entry) and _has_mail(Path(entry.path)))
            ):
                yield tuple(os.fsencode(entry.name)[1:].split(b".")), Path(entry.path)


def _within(path: Path, levels: tuple[bytes, ...]) -> Iterator[tuple[tuple[bytes, ...], Path]]:
    """Yield folders that are directories within directories: ``Work/2024``."""
    if len(levels) == MAX_DEPTH:
        return
    with os.scandir(path) as entries:
        below = [one for one in entries if one.name not in _NO_FOLDERS and not one.name.startswith(".")]
    for entry in below:
        inner = (*levels, os.fsencode(entry.name))
        if _leads_away(entry):
            yield inner, Path(entry.path)
        elif _is_within(entry):
            if _has_mail(Path(entry.path)):
                yield inner, Path(entry.path)
            yield from _within(Path(entry.path), inner)


def _is_within(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False)


def _leads_away(entry: os.DirEntry[str]) -> bool:
    """Whether it is a link to a directory: it is told, and not followed."""
    return entry.is_symlink() and entry.is_dir()


class MaildirReader:
    """One open folder."""

    uidvalidity = 0  # the order of its messages says nothing at the next time
    untold = 0

    def __init__(self, key: str, path: Path, keep_uidls: bool) -> None:
        self.key = key
        self._path = path
        self._keywords = read_keywords(lines(path / KEYWORDS_FILE))
        self._uidls = read_uidls(lines(path / UIDS_FILE)) if keep_uidls else {}
        self._names = sorted(
            (entry.name, part)
            for part in _PARTS
            if _is_directory(path / part)
            for entry in os.scandir(path / part)
            if not entry.name.startswith(".") and entry.is_file(follow_symlinks=False)
        )
        self.count = len(self._names)

    def pages(self, after: int) -> Iterator[Sequence[SourceMessage]]:
        """Yield all messages; nothing is known of any."""
        for start in range(0, len(self._names), PAGE):
            found = map(self._message, range(start, min(start + PAGE, len(self._names))))
            yield [message for message in found if message is not None]

    def _message(self, at: int) -> SourceMessage | None:
        """Return a message, by its place among the names; None: it is gone."""
        name, part = self._names[at]
        try:
            status = os.lstat(self._path / part / name)
        except OSError:
            return None
        flags = flags_of(name, self._keywords) if part == "cur" else ()
        arrived = arrival_of(name, status.st_mtime)
        return SourceMessage(at + 1, status.st_size, flags, arrived, uidl=self._uidls.get(base_of(name), ""))

    def read(self, messages: Sequence[SourceMessage], sink: ContentSink) -> None:
        """Hand over the contents of messages."""
        for message in messages:
            name, part = self._names[message.uid - 1]
            if not hand_over(self._path / part / name, message, sink):
                sink.fail(message, "it was moved by another program meanwhile: run this again")
