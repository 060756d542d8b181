"""Mail that lies in a tar: a file a message, ``INBOX/1.eml``, as :mod:`mailnode.moving.tar_target` writes it, and others do."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import tempfile
import zlib
from array import array
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from mailnode.moving.file_names import folder_level
from mailnode.moving.local_files import PIECE, FileUnreadable, hand_over_range, opened, read_at
from mailnode.moving.model import ContentSink, SourceFailed, SourceFolder, SourceMessage
from mailnode.moving.tar_blocks import (
    BLOCK,
    END,
    EXTENDED,
    FILES,
    LONG_NAME,
    MAX_EXTENDED,
    BadTar,
    TarHeader,
    extended,
    header,
)
from mailnode.moving.tar_target import FLAGS
from mailnode.values.mailbox_name import INBOX

PAGE = 500  # messages
MAX_FOLDERS = 10_000
SUFFIX = b".eml"
GZIP = b"\x1f\x8b"
LAST_SECOND = 2**40  # of a date; what is later is none

_SECONDS = re.compile(rb"(-?[0-9]{1,12})(\.[0-9]*)?")
_SIZE = re.compile(rb"[0-9]{1,15}")


class _MessagePlaces:
    """Where the messages of one folder lie."""

    def __init__(self) -> None:
        self.starts, self.sizes = array("Q"), array("Q")
        self.dates = array("q")
        self.flags = array("I")  # numbers of sets of flags


class TarSource:
    """A tar, which may be compressed by gzip: then it is laid out beside, in a file without a name."""

    def __init__(self, path: Path) -> None:
        self.name = f"tar {path}"
        self._path = path
        self._file: IO[bytes] | None = None
        self._folders: dict[tuple[str, ...], _MessagePlaces] = {}
        self._flags: dict[bytes, int] = {b"": 0}

    def folders(self) -> list[SourceFolder]:
        """All folders. :raises SourceFailed: it is no tar, damaged, or without a message. :raises OSError: no room beside."""
        try:
            with opened(self._path) as file:
                self._file = self._unpacked(file)
            self._look_through(self._file.fileno())
        except FileNotFoundError:
            raise SourceFailed(f"{self._path}: there is no such file") from None
        except (FileUnreadable, BadTar) as error:
            raise SourceFailed(f"{self._path}: {error}") from None
        if not self._folders:
            raise SourceFailed(f"{self._path}: there is no message in it, no file whose name ends with .eml")
        found = [SourceFolder("/".join(levels), levels, subscribed=True) for levels in self._folders]
        return sorted(found, key=lambda one: (one.levels != (INBOX,), one.levels))

    def _unpacked(self, file: int) -> IO[bytes]:
        """Return the tar as it is without compression. :raises BadTar: :raises OSError: there is no room."""
        if os.pread(file, len(GZIP), 0) != GZIP:
            return os.fdopen(os.dup(file), "rb")
        laid_out = tempfile.TemporaryFile()  # noqa: SIM115  # close() closes it
        try:
            with os.fdopen(os.dup(file), "rb") as packed, gzip.GzipFile(fileobj=packed) as content:
                shutil.copyfileobj(content, laid_out, PIECE)
        except (gzip.BadGzipFile, EOFError, zlib.error):
            laid_out.close()
            raise BadTar("it is cut or damaged: gzip cannot read it to its end") from None
        except BaseException:
            laid_out.close()
            raise
        laid_out.flush()
        return laid_out

    def _look_through(self, file: int) -> None:
        """Find where messages lie. :raises BadTar: :raises FileUnreadable:"""
        at, whole = 0, os.fstat(file).st_size
        about: dict[bytes, bytes] = {}  # what was told of the next file
        while at < whole:
            if whole - at < BLOCK:
                raise BadTar("it is no tar, or cut")
            block = read_at(file, BLOCK, at)
            at += BLOCK
            if block == END:
                return
            one = _told(header(block), about)
            if at + one.blocks > whole:
                raise BadTar(f"it is cut within {one.name.decode('utf-8', 'replace')}")
            if one.type in (EXTENDED, LONG_NAME):
                if one.size > MAX_EXTENDED:
                    raise BadTar("an extended header is too large")
                data = read_at(file, one.size, at)
                about |= extended(data) if one.type == EXTENDED else {b"path": data.rstrip(b"\0")}
            else:
                if one.type in FILES and one.name.endswith(SUFFIX):
                    self._found(one, at, about.get(FLAGS.encode(), b""))
                about = {}
            at += one.blocks

    def _found(self, one: TarHeader, start: int, flags: bytes) -> None:
        *above, _ = [part for part in one.name.split(b"/") if part not in (b"", b".", b"..")]
        levels = tuple(folder_level(os.fsdecode(part)) for part in above) or (INBOX,)
        if levels not in self._folders and len(self._folders) == MAX_FOLDERS:
            raise BadTar(f"it has more than {MAX_FOLDERS} folders")
        places = self._folders.setdefault(levels, _MessagePlaces())
        places.starts.append(start)
        places.sizes.append(one.size)
        places.dates.append(one.mtime)
        places.flags.append(self._flags.setdefault(flags, len(self._flags)))

    def open(self, folder: SourceFolder) -> TarReader:
        """Open one of those that were found."""
        assert self._file is not None
        return TarReader(folder.key, self._file.fileno(), self._folders[folder.levels], list(self._flags))

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()


def _told(one: TarHeader, about: dict[bytes, bytes]) -> TarHeader:
    """Return a header with what an extended one before it told. :raises BadTar:"""
    if one.type in (EXTENDED, LONG_NAME):
        return one
    size, mtime = about.get(b"size"), about.get(b"mtime")
    if size is not None and not _SIZE.fullmatch(size):
        raise BadTar("a size is none")
    seconds = _SECONDS.fullmatch(mtime) if mtime is not None else None
    date = int(seconds[1]) if seconds is not None else one.mtime
    date = date if 0 <= date < LAST_SECOND else 0
    return TarHeader(about.get(b"path", one.name), int(size) if size is not None else one.size, date, one.type)


class TarReader:
    """One folder of it."""

    uidvalidity = 0  # another tar of the same name has others
    untold = 0

    def __init__(self, key: str, file: int, places: _MessagePlaces, flags: Sequence[bytes]) -> None:
        """:param flags: sets of flags, by their numbers."""
        self.key = key
        self.count = len(places.starts)
        self._file = file
        self._places = places
        self._flags = flags

    def pages(self, after: int) -> Iterator[Sequence[SourceMessage]]:
        """Yield all messages, in the order in which they lie there."""
        for begin in range(0, self.count, PAGE):
            yield [self._message(index) for index in range(begin, min(begin + PAGE, self.count))]

    def _message(self, index: int) -> SourceMessage:
        flags = tuple(self._flags[self._places.flags[index]].decode("ascii", "replace").split())
        return SourceMessage(index + 1, self._places.sizes[index], flags, self._places.dates[index])

    def read(self, messages: Sequence[SourceMessage], sink: ContentSink) -> None:
        """Hand over the contents of messages."""
        for message in messages:
            start = self._places.starts[message.uid - 1]
            hand_over_range(self._file, start, start + message.size, message, sink)
