"""Mail that lies in an mbox, or in a directory of some."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

from mailnode.message.dates import parse_date
from mailnode.message.headers import first, header_end
from mailnode.message.lineends import to_crlf
from mailnode.moving.file_names import folder_level
from mailnode.moving.local_files import PIECE, FileUnreadable, opened, read_at
from mailnode.moving.mbox import flags_of, from_line_date, unquoted, without_own_fields
from mailnode.moving.model import ContentSink, FolderRefused, MessageTooLarge, SourceFailed, SourceFolder, SourceMessage
from mailnode.values.mailbox_name import INBOX

PAGE = 500  # messages
LINE = 64 * 1024  # octets of a line that are looked at together
MAX_HEADER = 1024 * 1024  # octets of a header block that is looked at
MAX_FOLDERS = 10_000
MAX_DEPTH = 32  # directories within directories
SUFFIX, BELOW = ".mbox", ".sbd"  # of files, and of directories with the folders below one


class MboxSource:
    """A file with mail in it, or a directory of such files."""

    def __init__(self, path: Path, mailbox: str) -> None:
        """:param mailbox: what a single file is, levels with ``/`` between them."""
        self.name = f"mbox {path}"
        self._path = path
        self._mailbox = mailbox

    def folders(self) -> list[SourceFolder]:
        """All folders. :raises SourceFailed: there is no mail."""
        try:
            if not self._path.is_dir():
                return [SourceFolder(str(self._path), tuple(self._mailbox.split("/")), subscribed=True)]
            found = list(_within(self._path, ()))
        except OSError as error:
            raise SourceFailed(f"{self._path}: {error.strerror}") from None
        if not found:
            raise SourceFailed(f"{self._path}: there is no mbox")
        return sorted(found, key=lambda one: (one.levels != (INBOX,), one.levels))

    def open(self, folder: SourceFolder) -> MboxReader:
        """Open one. :raises FolderRefused: it cannot be read, or is no mbox."""
        try:
            return MboxReader(folder.key)
        except FileUnreadable as error:
            raise FolderRefused(f"it cannot be read: {error}") from None
        except OSError as error:
            raise FolderRefused(f"it cannot be read: {error.strerror}") from None

    def close(self) -> None:
        """Nothing is held."""


def _within(directory: Path, levels: tuple[str, ...]) -> Iterator[SourceFolder]:
    if len(levels) == MAX_DEPTH:
        return
    with os.scandir(directory) as entries:
        for entry in sorted(entries, key=lambda one: one.name):
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                inner = (*levels, folder_level(entry.name.removesuffix(BELOW)))
                yield from _within(Path(entry.path), inner)
            elif entry.is_file(follow_symlinks=False) and _is_mbox(Path(entry.path)):
                name = folder_level(entry.name.removesuffix(SUFFIX))
                yield SourceFolder(entry.path, (*levels, name), subscribed=True)


def _is_mbox(path: Path) -> bool:
    try:
        with opened(path) as file:
            begins = os.pread(file, 5, 0)
            return begins == b"From " or (not begins and path.name.endswith(SUFFIX))
    except (OSError, FileUnreadable):
        return False


class MboxReader:
    """One open mbox."""

    uidvalidity = 0  # programs write these files anew
    untold = 0

    def __init__(self, key: str) -> None:
        """:raises FileUnreadable: it cannot be, or is no mbox. :raises OSError:"""
        self.key = key
        self._path = Path(key)
        self._starts, self._ends = array("Q"), array("Q")
        self._dates = array("q")
        self._offsets = array("h")
        with opened(self._path) as file:
            self._look_through(file)
        self.count = len(self._starts)

    def _look_through(self, file: int) -> None:
        """Find where messages begin: at a line ``From`` with a date, behind an empty line."""
        at, blank = 0, 0  # octets of an empty line just before
        whole = True  # the next octets begin a line
        with os.fdopen(os.dup(file), "rb", buffering=PIECE) as lines:
            lines.seek(0)
            while line := lines.readline(LINE):
                if whole and (blank or not at) and line.startswith(b"From "):
                    date = from_line_date(line.rstrip(b"\r\n"))
                    if date is not None or not at:
                        self._begin(at, blank, at + len(line), date)
                elif not at:
                    raise FileUnreadable("it does not begin as an mbox does")
                blank = len(line) if whole and line in (b"\n", b"\r\n") else 0
                whole = line.endswith(b"\n")
                at += len(line)
        if self._starts:
            self._ends.append(max(at - blank, self._starts[-1]))

    def _begin(self, at: int, blank: int, start: int, date: tuple[int, int] | None) -> None:
        if self._starts:
            self._ends.append(max(at - blank, self._starts[-1]))
        self._starts.append(start)
        self._dates.append(date[0] if date else 0)
        self._offsets.append(date[1] if date else 0)

    def pages(self, after: int) -> Iterator[Sequence[SourceMessage]]:
        """Yield all messages; nothing is known of any."""
        for begin in range(0, self.count, PAGE):
            with opened(self._path) as file:
                yield [self._message(file, index) for index in range(begin, min(begin + PAGE, self.count))]

    def _message(self, file: int, index: int) -> SourceMessage:
        start, end = self._starts[index], self._ends[index]
        header, _ = _header(file, start, end)
        date = self._dates[index], self._offsets[index]
        if not date[0]:
            written = parse_date(first(header, b"date") or b"")
            date = (written[0] // 1_000_000, written[1]) if written else date
        return SourceMessage(index + 1, end - start, flags_of(header), *date)

    def read(self, messages: Sequence[SourceMessage], sink: ContentSink) -> None:
        """Hand over the contents of messages, without what programs put into them."""
        try:
            with opened(self._path) as file:
                for message in messages:
                    self._read_one(file, message, sink)
        except (FileUnreadable, OSError) as error:
            raise SourceFailed(f"{self._path}: {error}") from None

    def _read_one(self, file: int, message: SourceMessage, sink: ContentSink) -> None:
        start, end = self._starts[message.uid - 1], self._ends[message.uid - 1]
        header, length = _header(file, start, end)
        sink.begin()
        try:
            sink.write(without_own_fields(header))
            for lines in _whole_lines(file, start + length, end):
                sink.write(unquoted(lines))
        except MessageTooLarge:
            sink.fail(message, "it is larger than messages may be here")
        except FileUnreadable as error:
            sink.fail(message, f"it cannot be read: {error}")
        else:
            sink.end(message)


def _header(file: int, start: int, end: int) -> tuple[bytes, int]:
    """Return the header block of a message in lines with CRLF, and how many octets of the file it is; nothing where none ends."""
    raw = b"\n" + read_at(file, min(end - start, MAX_HEADER), start)  # an empty line may be the first
    unix, dos = raw.find(b"\n\n"), raw.find(b"\n\r\n")
    ends = [at + more for at, more in ((unix, 1), (dos, 2)) if at >= 0]
    if not ends:
        return b"", 0
    block = to_crlf(raw[1 : min(ends) + 1])
    return (block, min(ends)) if header_end(block) >= 0 else (b"", 0)


def _whole_lines(file: int, start: int, end: int) -> Iterator[bytes]:
    """Yield pieces that end where a line does; a line without end is cut."""
    rest = b""
    for at in range(start, end, PIECE):
        data = rest + read_at(file, min(PIECE, end - at), at)
        cut = data.rfind(b"\n") + 1
        if not cut and len(data) > MAX_HEADER:
            cut = len(data)
        yield data[:cut]
        rest = data[cut:]
    yield rest
