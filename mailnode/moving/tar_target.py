"""Mail that is written to a tar: a file a message, ``INBOX/1.eml``; the date of arrival is the file's, flags are a header of it."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

from mailnode.moving.file_names import file_level
from mailnode.moving.whole_files import WholeFile
from mailnode.values.mailbox_name import split
from mailnode.values.moving import MailboxHere, MessageHere

FLAGS = "MAILNODE.flags"  # a PAX header: names separated by spaces
MODE = 0o600


class TarTarget:
    """A tar that is written, compressed where its name ends with ``gz``."""

    def __init__(self, path: Path) -> None:
        """:raises OSError:"""
        self._whole = WholeFile(path)
        mode = "w:gz" if path.name.endswith("gz") else "w:"
        self._tar: tarfile.TarFile = tarfile.open(  # noqa: SIM115  # finish() closes it
            fileobj=self._whole.file,
            mode=mode,  # type: ignore[call-overload]
            format=tarfile.PAX_FORMAT,
        )

    def open(self, mailbox: MailboxHere) -> TarWriter:
        """Begin a mailbox."""
        return TarWriter(self._tar, "/".join(map(file_level, split(mailbox["name"]))))

    def finish(self) -> None:
        """All mailboxes are there. :raises OSError:"""
        self._tar.close()
        self._whole.finish()

    def give_up(self) -> None:
        """Leave nothing half written."""
        self._whole.give_up()


class TarWriter:
    """Writes one mailbox."""

    def __init__(self, tar: tarfile.TarFile, name: str) -> None:
        self._tar = tar
        self._name = name

    def has(self, message: MessageHere) -> bool:
        """The tar is written anew."""
        return False

    def add(self, message: MessageHere, content: Iterator[bytes], octets: int) -> None:
        """Write one. :raises OSError:"""
        member = tarfile.TarInfo(f"{self._name}/{message['uid']}.eml")
        member.size = octets
        member.mtime = message["internaldate"]
        member.mode = MODE
        if message["flags"]:
            member.pax_headers = {FLAGS: " ".join(message["flags"])}
        self._tar.addfile(member, io.BufferedReader(_Pieces(content)))

    def close(self) -> None:
        """All of it is there."""


class _Pieces(io.RawIOBase):
    """Reads what an iterator yields."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer with what comes next; 0 at the end."""
        self._left = self._left or next(self._pieces, b"")
        length = min(len(buffer), len(self._left))
        buffer[:length] = self._left[:length]
        self._left = self._left[length:]
        return length
