"""Message bytes on the local disk: small content goes into the rows of the unit that places it, large into files.

A file is written beside (``incoming``), renamed to ``files/x/y/<id>``, and it and its directory are synced, all before
:meth:`LocalBlobWriter.finish` returns: a row never points at bytes that a power cut can take. What a crash leaves in
``incoming`` is thrown away at the next start; a file that no row refers to is found by the sweep.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar, TypeVarTuple, cast

from twisted.internet.defer import Deferred, DeferredList
from twisted.python.failure import Failure
from zope.interface import implementer

from mailnode.durable import sync_directory
from mailnode.errors import BlobDamaged, DiskFull, LimitReached, StoreUnavailable
from mailnode.interfaces.runtime import IClock, IThreads
from mailnode.interfaces.store import IBlobStore, IBlobWriter
from mailnode.store.blobs import codec
from mailnode.store.blobs.checking import what_is_wrong
from mailnode.store.blobs.file import BlobFile
from mailnode.store.blobs.places import FILES, INCOMING, file_of
from mailnode.store.disk.directories import make_directory
from mailnode.store.disk.reserve import FULL, Reserve
from mailnode.values.blob import BlobRef, EncodedContent, StagedBlob
from mailnode.values.ids import new_id

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

INLINE = 64 * 1024  # stored octets that go into a row
AT_ONCE = 8 * 1024  # content octets that are hashed and compressed in the calling thread: some 40 microseconds
KEPT = 4 * 1024 * 1024  # octets of a message that stay in memory until it has come, so that it is read from there
KEPT_TOGETHER = 64 * 1024 * 1024  # the same of all messages; above it one goes to its file as it comes
SUSPECTS = 1_000  # damaged blobs that are remembered
_PASSING = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}  # says nothing of a file
_FAN = "0123456789abcdefghjkmnpqrstvwxyz"  # the alphabet of ids


@implementer(IBlobStore)
class LocalBlobs:
    """The blob store of one server. Call :meth:`prepare` once, under the data directory's lock."""

    encode = staticmethod(codec.encode)
    shares = 1024  # directories, in two levels of 32

    def __init__(
        self, directory: Path, threads: IThreads, clock: IClock, inline: int = INLINE, reserve: Reserve | None = None
    ) -> None:
        """:param inline: content whose stored form is not longer goes into a row, all else into files.
        :param reserve: of the same disk."""
        self._reserve = reserve
        self._incoming = directory / INCOMING
        self._files = directory / FILES
        self._threads = threads
        self._clock = clock
        self._inline = inline
        self._room = KEPT_TOGETHER  # what is left of it
        self._made: set[Path] = set()  # directories whose own and whose directories' names are known to be durable
        self._making = threading.Lock()
        self.tell_damaged: Callable[[str, str], None] = lambda blob_id, words: None
        self.tell_sound: Callable[[str], None] = lambda blob_id: None  # what was damaged can be read again
        self._suspects: dict[str, None] = {}  # blobs a part of which could not be read, the latest last

    def prepare(self) -> bool:
        """Make the directories and throw away what a crash left half-written; return whether that of the files was missing.
        Blocks. :raises OSError: not writable."""
        missing = not self._files.is_dir()
        for directory in (self._incoming, self._files):
            make_directory(directory)
        make_directory(self._files.parent)
        for entry in os.scandir(self._incoming):
            os.unlink(entry.path)
        return missing

    def trouble(self) -> str:
        """Return which of the directories is not there any more, "" while all are. Blocks."""
        return next((f"{path}: no such directory" for path in (self._incoming, self._files) if not path.is_dir()), "")

    def writer(self, limit: int) -> LocalBlobWriter:
        """Begin a blob of at most ``limit`` octets."""
        return LocalBlobWriter(self, limit)

    async def put(self, data: bytes, encoded: EncodedContent | None = None) -> StagedBlob:
        """Stage bytes that are in memory. :param encoded: what :func:`codec.encode` made of them, if it did."""
        if encoded is None and len(data) <= AT_ONCE:
            encoded = codec.encode(data)
        elif encoded is None:
            encoded = await self._threads.run("cpu", codec.encode, data)
        return await self._stage(data, encoded)

    async def put_with(self, data: bytes, look: Callable[[bytes], T]) -> tuple[StagedBlob, T]:
        """Stage bytes that are in memory and return what ``look``, run in a thread, makes of them. Up to a frame by the
        thread that hashes and compresses, more by another one at the same time."""
        if len(data) <= codec.FRAME:
            encoded, seen = await self._threads.run("cpu", lambda: (codec.encode(data), look(data)))
            return await self._stage(data, encoded), seen
        begun = (self.put_file(data), self._threads.run("cpu", look, data))
        ended: Sequence[tuple[bool, object]] = await DeferredList(
            [Deferred.fromCoroutine(one) for one in begun], consumeErrors=True
        )
        for _, outcome in ended:
            if isinstance(outcome, Failure):
                outcome.raiseException()
        (_, blob), (_, found) = ended
        return cast(StagedBlob, blob), cast(T, found)

    async def put_file(self, data: bytes) -> StagedBlob:
        """Write bytes that are in memory to a file, however small they would become."""
        blob_id = self.new_id()
        digest = await self.on_disk(self._write_file, blob_id, data)
        return StagedBlob(BlobRef(blob_id, len(data), "file", "zstd", digest))

    async def _stage(self, data: bytes, encoded: EncodedContent) -> StagedBlob:
        digest, encoding, stored = encoded
        content = data if len(data) <= codec.FRAME else b""
        if len(stored) <= self._inline:
            return StagedBlob(BlobRef(self.new_id(), len(data), "inline", encoding, digest), stored, content)
        blob_id = self.new_id()
        await self.on_disk(self._write_file, blob_id, data)
        return StagedBlob(BlobRef(blob_id, len(data), "file", "zstd", digest), content=content)

    async def read_staged(self, blob: StagedBlob, offset: int = 0, length: int | None = None) -> bytes:
        """Read content that is staged but not placed yet. :raises BlobDamaged:"""
        if blob.content:
            return blob.content[offset : None if length is None else offset + length]
        return await self.read(blob.ref, blob.data, offset, length)

    async def read(self, ref: BlobRef, stored: bytes | None, offset: int = 0, length: int | None = None) -> bytes:
        """Read content octets; fewer than asked only at the end.

        :param stored: the stored form of an inline blob, None when its row is missing; not looked at for files.
        :raises BlobDamaged: missing, short or, when read whole or inline, not matching its digest.
        """
        end = ref.size if length is None else min(offset + length, ref.size)
        if ref.place == "inline":
            if stored is None:
                raise BlobDamaged(ref.blob_id)
            return codec.decode_small(ref, stored)[offset:end]
        path = self.path(ref.blob_id)
        if ref.blob_id in self._suspects:
            await self.on_disk(_check_file, path, ref, offset)
            self._suspects.pop(ref.blob_id, None)
            if not offset:
                self.tell_sound(ref.blob_id)
        try:
            return await self.on_disk(_read_file, path, ref, offset, end)
        except BlobDamaged as error:
            self._suspect(ref.blob_id)
            self._tell(ref.blob_id, error)
            raise

    def _tell(self, blob_id: str, error: BlobDamaged) -> None:
        if not error.passing:
            self.tell_damaged(blob_id, str(error))

    def _suspect(self, blob_id: str) -> None:
        """Have the next read of a blob look at all of it from there on. Who reads a large message in pieces has promised
        its size before the damage shows: once is often enough."""
        self._suspects[blob_id] = None
        if len(self._suspects) > SUSPECTS:
            del self._suspects[next(iter(self._suspects))]

    async def read_whole(self, refs: Sequence[BlobRef]) -> dict[str, bytes | BlobDamaged]:
        """Read whole files by one hop to a disk thread; the error in place of a damaged one."""
        found = await self.on_disk(_read_files, [(self.path(ref.blob_id), ref) for ref in refs])
        for blob_id, content in found.items():
            if isinstance(content, BlobDamaged):
                self._tell(blob_id, content)
        return found

    # for the sweep

    async def listing(self, share: int, before: float) -> list[str]:
        """Return the ids of files last changed before ``before`` (UTC seconds) in directory ``share`` of :attr:`shares`."""
        directory = self._files / _FAN[share // 32] / _FAN[share % 32]
        return await self.on_disk(_list_files, directory, before)

    async def missing(self, blob_ids: Sequence[str]) -> list[str]:
        """Return which of these have no file."""
        paths = {blob_id: self.path(blob_id) for blob_id in blob_ids}
        return await self.on_disk(_without_file, paths)

    async def what_is_wrong(self, refs: Sequence[BlobRef]) -> dict[str, str]:
        """Read whole files by one hop; say in words, by id, what is wrong with those that are not what was written."""
        return await self.on_disk(what_is_wrong, [(self.path(ref.blob_id), ref) for ref in refs])

    async def remove(self, blob_ids: Sequence[str]) -> None:
        """Remove files; no error if they are gone."""
        await self.on_disk(_remove_files, [self.path(blob_id) for blob_id in blob_ids])

    # for the writer

    def new_id(self) -> str:
        """Return a fresh blob id."""
        return new_id(self._clock.seconds())

    def path(self, blob_id: str) -> Path:
        """Where a whole file lies. The last characters of an id are random: the directories fill evenly."""
        return file_of(self._files, blob_id)

    def begin_file(self, blob_id: str) -> BlobFile:
        """Return a file that is not there yet. :raises DiskFull:"""
        if self._reserve is not None and self._reserve.full():
            raise DiskFull("the disk is full")
        return BlobFile(self._incoming / blob_id)

    def finish_file(self, file: BlobFile, rest: bytes, blob_id: str) -> bytes:
        """Make a file whole and durable; return its digest. Blocks. :raises OSError:"""
        target = self.path(blob_id)
        self._make_directory(target.parent)
        try:
            return file.finish(rest, target)
        except FileNotFoundError:  # the directory went away beneath us: once it may be made, make it
            with self._making:
                self._made.discard(target.parent.parent)
            raise

    def _make_directory(self, directory: Path) -> None:
        """With all its neighbours, so that few messages wait for it. Once in the life of the process also where they are
        there: their maker may have been killed before the sync."""
        above = directory.parent
        with self._making:
            if above not in self._made:
                above.mkdir(mode=0o700, exist_ok=True)
                for last in _FAN:
                    (above / last).mkdir(mode=0o700, exist_ok=True)
                sync_directory(above)
                sync_directory(self._files)
                self._made.add(above)

    def _write_file(self, blob_id: str, data: bytes) -> bytes:
        file = self.begin_file(blob_id)
        try:
            return self.finish_file(file, data, blob_id)
        except BaseException:
            file.discard()
            raise

    def reserve(self, octets: int) -> bool:
        """Take so much of the room for messages that are kept in memory, to be given back by :meth:`release`."""
        if octets > self._room:
            return False
        self._room -= octets
        return True

    def release(self, octets: int) -> None:
        """Give room back."""
        self._room += octets

    async def on_disk(self, function: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run in a disk thread. :raises StoreUnavailable: the disk failed."""
        try:
            return await self._threads.run("disk", function, *args)
        except OSError as error:
            if error.errno in FULL:
                if self._reserve is not None:
                    self._reserve.give_back()
                raise DiskFull("the disk is full") from error
            raise StoreUnavailable("the disk failed") from error


@implementer(IBlobWriter)
class LocalBlobWriter:
    """One message on its way to disk. It is kept in memory up to KEPT octets and while KEPT_TOGETHER allows it; else
    at most one frame (256 KiB) waits there, and whole frames go to a file as they come."""

    def __init__(self, blobs: LocalBlobs, limit: int) -> None:
        self.size = 0
        self._blobs = blobs
        self._limit = limit
        self._pieces: list[bytes] = []
        self._waiting = 0  # octets of them
        self._reserved = 0
        self._blob_id = ""
        self._file: BlobFile | None = None
        self._ended = False

    async def write(self, data: bytes) -> None:
        """Append octets; awaiting it is the back-pressure. :raises LimitReached: over the writer's limit."""
        if self._ended:
            raise StoreUnavailable("this blob was given up")
        if self.size + len(data) > self._limit:
            self.abort()
            raise LimitReached("over the size limit")
        self.size += len(data)
        self._pieces.append(data)
        self._waiting += len(data)
        if self._waiting > codec.FRAME and not self._may_keep(len(data)):
            await self._pass_on()

    def _may_keep(self, octets: int) -> bool:
        """Whether the last ``octets`` may stay in memory with the rest."""
        if self._file is not None or self.size > KEPT or not self._blobs.reserve(octets):
            return False
        self._reserved += octets
        return True

    async def _pass_on(self) -> None:
        """Write whole frames to the file; at least one octet stays, as the end of a file is its last frame."""
        waiting = self._take()
        whole = (len(waiting) - 1) // codec.FRAME * codec.FRAME
        self._pieces, self._waiting = [waiting[whole:]], len(waiting) - whole
        if self._file is None:
            self._blob_id = self._blobs.new_id()
            self._file = self._blobs.begin_file(self._blob_id)
        await self._on_disk(self._file.add, memoryview(waiting)[:whole])
        self._release()

    async def read(self, offset: int, length: int) -> bytes:
        """Return octets of what was written so far; fewer only at its end."""
        if self._ended:
            raise StoreUnavailable("this blob was given up")
        if len(self._pieces) > 1:
            self._pieces = [b"".join(self._pieces)]
        end = min(offset + max(length, 0), self.size)
        in_file = self.size - self._waiting
        waiting = self._pieces[0] if self._pieces else b""
        content = waiting[max(offset - in_file, 0) : max(end - in_file, 0)]
        if self._file is None or offset >= min(in_file, end):
            return content
        return await self._on_disk(self._file.read, offset, min(end, in_file)) + content

    async def finish(self) -> StagedBlob:
        """Hash, compress and, when it is a file, sync file and directory. May be called once."""
        content = self._take_rest()
        try:
            if self._file is not None:
                return await self._finish_file(content)
            if len(content) > codec.FRAME:
                return await self._blobs.put_file(content)
            return await self._blobs.put(content)
        finally:
            self._release()

    async def finish_with(self, look: Callable[[bytes], T]) -> tuple[StagedBlob, T | None]:
        """The same, and what ``look``, run in a thread, makes of the content; None when that is not in memory."""
        content = self._take_rest()
        try:
            if self._file is not None:
                return await self._finish_file(content), None
            return await self._blobs.put_with(content, look)
        finally:
            self._release()

    async def _finish_file(self, rest: bytes) -> StagedBlob:
        assert self._file is not None
        digest = await self._on_disk(self._blobs.finish_file, self._file, rest, self._blob_id)
        self._ended = True
        return StagedBlob(BlobRef(self._blob_id, self.size, "file", "zstd", digest))

    def take(self) -> bytes:
        """Return the content of a small message; nothing of it went to disk."""
        if self._file is not None:
            raise StoreUnavailable("this blob is in a file")
        content = self._take_rest()
        self._release()
        return content

    def abort(self) -> None:
        """Throw the content away; no error if finished or aborted before."""
        if self._ended:
            return
        self._ended = True
        self._take()
        self._release()
        if self._file is not None:
            # Beside: nobody waits for it, and what it fails to remove the next start does.
            Deferred.fromCoroutine(self._blobs.on_disk(self._file.discard)).addErrback(lambda failure: None)

    def _take_rest(self) -> bytes:
        """Return what waits, for the last time."""
        if self._ended:
            raise StoreUnavailable("this blob was given up")
        self._ended = self._file is None
        return self._take()

    def _take(self) -> bytes:
        pieces, self._pieces, self._waiting = self._pieces, [], 0
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _release(self) -> None:
        reserved, self._reserved = self._reserved, 0
        self._blobs.release(reserved)

    async def _on_disk(self, function: Callable[[*Ts], T], *args: *Ts) -> T:
        try:
            return await self._blobs.on_disk(function, *args)
        except BaseException:
            self.abort()
            raise


def _read_file(path: Path, ref: BlobRef, start: int, end: int) -> bytes:
    """Whatever keeps a file from being read, the message is the damaged thing: the caller goes on with the others."""
    try:
        # What is no file must not block: whoever put a pipe there does not write to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            content = codec.read_range(
                ref,
                os.fstat(descriptor).st_size,
                lambda size, offset: os.pread(descriptor, size, offset),
                start,
                end,
            )
        finally:
            os.close(descriptor)
        if start == 0 and end == ref.size:
            return codec.verified(ref, content)
    except OSError as error:
        damaged = BlobDamaged(f"{path}: {error.strerror}")
        damaged.passing = error.errno in _PASSING or not path.parents[2].is_dir()  # all files were moved away
        raise damaged from error
    except BlobDamaged as error:
        raise BlobDamaged(f"{path}: not what was written") from error
    return content


def _check_file(path: Path, ref: BlobRef, start: int) -> None:
    """Read a file from content octet ``start`` to its end, a frame at a time. :raises BlobDamaged:"""
    for offset in range(start, ref.size, codec.FRAME):
        _read_file(path, ref, offset, min(offset + codec.FRAME, ref.size))


def _read_files(files: Sequence[tuple[Path, BlobRef]]) -> dict[str, bytes | BlobDamaged]:
    contents: dict[str, bytes | BlobDamaged] = {}
    for path, ref in files:
        try:
            contents[ref.blob_id] = _read_file(path, ref, 0, ref.size)
        except BlobDamaged as error:
            contents[ref.blob_id] = error
    return contents


def _list_files(directory: Path, before: float) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            return sorted(entry.name for entry in entries if entry.stat().st_mtime < before)
    except FileNotFoundError:
        return []


def _without_file(paths: Mapping[str, Path]) -> list[str]:
    return [blob_id for blob_id, path in paths.items() if not path.is_file()]


def _remove_files(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
