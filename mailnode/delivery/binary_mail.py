"""Mail that came in binary (RFC 3030 3) said in lines before it is stored: a small one in a thread, else by another process."""

from __future__ import annotations

from pathlib import Path

from zope.interface import implementer

from mailnode.delivery.acceptance import HEADER_ROOM
from mailnode.delivery.scratch import remove, scratch_file
from mailnode.interfaces.delivery import IBinaryMail
from mailnode.interfaces.runtime import IProcesses, IThreads
from mailnode.interfaces.store import IBlobs, IBlobWriter
from mailnode.message.binary_mime import to_lines

SMALL = 256 * 1024  # octets that a thread sees to
PIECE = 256 * 1024  # octets at a time


@implementer(IBinaryMail)
class BinaryMail:
    """Says messages in lines."""

    def __init__(self, blobs: IBlobs, threads: IThreads, processes: IProcesses, scratch: str | None = None) -> None:
        """:param scratch: directory for the copies that another process reads, None: the system's."""
        self._blobs = blobs
        self._threads = threads
        self._processes = processes
        self._scratch = scratch

    async def in_lines(self, writer: IBlobWriter) -> IBlobWriter | None:
        """See :class:`IBinaryMail`."""
        if writer.size > SMALL:
            return await self._by_process(writer)
        said = await self._threads.run("cpu", to_lines, await writer.read(0, writer.size))
        if said is None:
            return None
        made = self._blobs.writer(len(said) + HEADER_ROOM)
        try:
            await made.write(said)
        except BaseException:
            made.abort()
            raise
        return made

    async def _by_process(self, writer: IBlobWriter) -> IBlobWriter | None:
        run = self._threads.run
        copy = await run("disk", scratch_file, self._scratch)
        made: IBlobWriter | None = None
        try:
            for offset in range(0, writer.size, PIECE):
                await run("disk", copy.write, await writer.read(offset, PIECE))
            await run("disk", copy.flush)
            size = await self._processes.run(convert_file, copy.name)
            if size is None:
                return None
            made = self._blobs.writer(size + HEADER_ROOM)
            for offset in range(0, size, PIECE):
                await made.write(await run("disk", _read_file, copy.name, offset))
        except BaseException:
            if made is not None:
                made.abort()
            raise
        finally:
            await run("disk", remove, copy)
        return made


def _read_file(path: str, offset: int) -> bytes:
    with open(path, "rb") as file:
        file.seek(offset)
        return file.read(PIECE)


def convert_file(path: str) -> int | None:
    """Replace a message in a file by one in lines and return its octets, None when that cannot be; runs in another process."""
    file = Path(path)
    said = to_lines(file.read_bytes())
    if said is None:
        return None
    file.write_bytes(said)
    return len(said)
