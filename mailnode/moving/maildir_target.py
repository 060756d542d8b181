"""Mail that is written to a Maildir++: a second run adds what is new, and gives messages that are there their flags of now."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from mailnode.durable import sync_directory
from mailnode.message.modified_utf7 import encode_name
from mailnode.moving.local_files import lines
from mailnode.moving.maildir import INFO, KEYWORDS_FILE, MAX_KEYWORDS, SUBSCRIPTIONS, base_of, letters_of, read_keywords
from mailnode.moving.whole_files import WholeFile, make_directory
from mailnode.moving.written_names import DOT
from mailnode.values.flags import SYSTEM_FLAGS
from mailnode.values.mailbox_name import INBOX, split
from mailnode.values.moving import MailboxHere, MessageHere

MODE = 0o600


class MaildirTarget:
    """A directory that mail is written to."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._subscribed: list[bytes] = []
        self._writer: MaildirWriter | None = None

    def open(self, mailbox: MailboxHere) -> MaildirWriter:
        """Begin a mailbox. :raises OSError:"""
        name = written_name(mailbox["name"])
        if mailbox["subscribed"]:
            self._subscribed.append(name or INBOX.encode())
        path = self._root / os.fsdecode(b"." + name) if name else self._root
        self._writer = MaildirWriter(path, mailbox["uidvalidity"], self._root)
        return self._writer

    def finish(self) -> None:
        """All mailboxes are there. :raises OSError:"""
        file = WholeFile(self._root / SUBSCRIPTIONS[0])
        file.file.write(b"".join(name + b"\n" for name in self._subscribed))
        file.finish()

    def give_up(self) -> None:
        """Leave nothing half written; what is whole stays."""
        if self._writer is not None:
            self._writer.give_up()


def written_name(name: str) -> bytes:
    """Return what a mailbox's directory is called, without the dot in front; nothing for INBOX."""
    if name == INBOX:
        return b""
    levels = [encode_name(level).replace(b".", DOT) for level in split(name)]
    return b".".join(levels)


class MaildirWriter:
    """Writes one mailbox."""

    def __init__(self, path: Path, uidvalidity: int, root: Path) -> None:
        """:raises OSError:"""
        self._path = path
        self._uidvalidity = uidvalidity
        self._half: Path | None = None
        for part in ("cur", "new", "tmp"):
            make_directory(path / part, root)
        if path != root:
            os.close(os.open(path / "maildirfolder", os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, MODE))
        self._names = {base_of(name): name for name in os.listdir(path / "cur")}
        known = read_keywords(lines(path / KEYWORDS_FILE))
        self._keywords = {name: number for number, name in enumerate(known) if name}
        self._were = len(self._keywords)

    def _name(self, message: MessageHere) -> tuple[str, str]:
        base = f"{message['internaldate']}.U{message['uid']}V{self._uidvalidity}.mailnode"
        for flag in message["flags"]:
            if flag not in SYSTEM_FLAGS and flag not in self._keywords and len(self._keywords) < MAX_KEYWORDS:
                self._keywords[flag] = len(self._keywords)
        return base, base + INFO + letters_of(message["flags"], self._keywords)

    def has(self, message: MessageHere) -> bool:
        """Whether it is there from an earlier run; its flags are made those of now."""
        base, name = self._name(message)
        there = self._names.get(base)
        if there is None:
            return False
        if there != name:
            (self._path / "cur" / there).rename(self._path / "cur" / name)
        return True

    def add(self, message: MessageHere, content: Iterator[bytes], octets: int) -> None:
        """Write one: durable when it has its name. :raises OSError:"""
        base, name = self._name(message)
        half = self._half = self._path / "tmp" / base
        descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, MODE)
        with os.fdopen(descriptor, "wb") as file:
            for piece in content:
                file.write(piece)
            file.flush()
            os.utime(file.fileno(), (message["internaldate"], message["internaldate"]))
            os.fsync(file.fileno())
        half.rename(self._path / "cur" / name)
        self._half = None

    def close(self) -> None:
        """All of it is there. :raises OSError:"""
        if len(self._keywords) != self._were:
            file = WholeFile(self._path / KEYWORDS_FILE)
            for name, number in self._keywords.items():
                file.file.write(f"{number} {name}\n".encode())
            file.finish()
        sync_directory(self._path / "cur")

    def give_up(self) -> None:
        """Leave nothing half written."""
        if self._half is not None:
            self._half.unlink(missing_ok=True)
