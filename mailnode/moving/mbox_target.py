"""Mail that is written to mboxes (mboxrd): a file a mailbox, each there whole or as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mailnode.message.headers import header_end
from mailnode.moving.file_names import file_level
from mailnode.moving.mbox import flag_fields, from_line, quoted, without_own_fields
from mailnode.moving.mbox_source import BELOW, MAX_HEADER, SUFFIX
from mailnode.moving.whole_files import WholeFile, make_directory
from mailnode.values.mailbox_name import split
from mailnode.values.moving import MailboxHere, MessageHere


class MboxTarget:
    """A directory that mboxes are written to."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._writer: MboxWriter | None = None

    def open(self, mailbox: MailboxHere) -> MboxWriter:
        """Begin a mailbox. :raises OSError:"""
        *above, name = map(file_level, split(mailbox["name"]))
        directory = self._root.joinpath(*(level + BELOW for level in above))
        make_directory(directory, self._root)
        self._writer = MboxWriter(WholeFile(directory / (name + SUFFIX)))
        return self._writer

    def finish(self) -> None:
        """All mailboxes are there."""

    def give_up(self) -> None:
        """Leave nothing half written."""
        if self._writer is not None:
            self._writer.give_up()


class MboxWriter:
    """Writes one mailbox."""

    def __init__(self, whole: WholeFile) -> None:
        self._whole = whole

    def has(self, message: MessageHere) -> bool:
        """The file is written anew."""
        return False

    def add(self, message: MessageHere, content: Iterator[bytes], octets: int) -> None:
        """Write one. :raises OSError:"""
        write = self._whole.file.write
        write(from_line("", message["internaldate"]))
        header, rest = _header_first(content)
        write(without_own_fields(header[:-2]).replace(b"\r\n", b"\n") if header else b"")
        if header:
            write(flag_fields(message["flags"]) + b"\n")
        held = rest
        for piece in content:
            held += piece
            cut = held.rfind(b"\n") + 1
            write(quoted(held[:cut].replace(b"\r\n", b"\n")))
            held = held[cut:]
        write(quoted(held.replace(b"\r\n", b"\n")) + b"\n")

    def close(self) -> None:
        """All of it is there. :raises OSError:"""
        self._whole.finish()

    def give_up(self) -> None:
        """Leave nothing half written."""
        self._whole.give_up()


def _header_first(content: Iterator[bytes]) -> tuple[bytes, bytes]:
    """Return the header block with its empty line, and what came behind it; no header block where there is none."""
    data = b""
    while (end := header_end(data)) < 0 and len(data) < MAX_HEADER:
        piece = next(content, b"")
        if not piece:
            return b"", data
        data += piece
    return (data[:end], data[end:]) if end >= 0 else (b"", data)
