"""A small file that is replaced as a whole."""

from __future__ import annotations

from pathlib import Path

from zope.interface import implementer

from mailnode.durable import write_whole
from mailnode.interfaces.doctor import IKeptRecord
from mailnode.interfaces.runtime import IThreads

MAX_RECORD = 4 * 1024 * 1024  # octets


@implementer(IKeptRecord)
class KeptRecord:
    """One such file. See :class:`IKeptRecord`."""

    def __init__(self, path: Path, threads: IThreads) -> None:
        self._path = path
        self._threads = threads

    async def read(self) -> bytes:
        """See :class:`IKeptRecord`."""
        return await self._threads.run("disk", _read, self._path)

    async def write(self, content: bytes) -> None:
        """See :class:`IKeptRecord`."""
        await self._threads.run("disk", write_whole, self._path, content)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_RECORD)
    except FileNotFoundError:
        return b""
