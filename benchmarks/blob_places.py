"""Where message bytes are best kept, by size: in a row, in one growing file beside the rows, in a file each.

``python -m benchmarks.blob_places`` prints a table: messages made durable a second by groups of 20 that commit together,
messages read back a second in random order, and octets on disk for an octet of (compressed) content.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import apsw
import click

SIZES = (2048, 8192, 16_384, 65_536, 262_144)
GROUP = 20
SECONDS = 1.0


class Rows:
    """Content in rows."""

    name = "row"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.db = apsw.Connection(str(folder / "db"))
        self.db.pragma("journal_mode", "wal")
        self.db.pragma("synchronous", "FULL")
        self.db.execute("CREATE TABLE blob (id INTEGER PRIMARY KEY, data BLOB)")

    def write(self, numbers: list[int], content: bytes) -> None:
        """Make a group durable."""
        with self.db:
            for number in numbers:
                self.db.execute("INSERT INTO blob VALUES (?, ?)", (number, content))

    def read(self, number: int) -> bytes:
        """Read one."""
        return bytes(self.db.execute("SELECT data FROM blob WHERE id = ?", (number,)).fetchone()[0])


class OneFile(Rows):
    """Content appended to one file, its place in a row."""

    name = "one file"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.file = os.open(folder / "blobs", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self.end = 0

    def write(self, numbers: list[int], content: bytes) -> None:
        """Append, sync, then commit."""
        os.write(self.file, content * len(numbers))
        os.fdatasync(self.file)
        with self.db:
            for number in numbers:
                self.db.execute("INSERT INTO blob VALUES (?, ?)", (number, b"%d %d" % (self.end, len(content))))
                self.end += len(content)

    def read(self, number: int) -> bytes:
        """Read one."""
        offset, length = super().read(number).split()
        return os.pread(self.file, int(length), int(offset))


class FileEach(Rows):
    """A file for each, as mailnode keeps large messages."""

    name = "file each"

    def write(self, numbers: list[int], content: bytes) -> None:
        """Write and sync each file and the directory, then commit."""
        for number in numbers:
            descriptor = os.open(self.folder / str(number), os.O_WRONLY | os.O_CREAT, 0o600)
            os.write(descriptor, content)
            os.fsync(descriptor)
            os.close(descriptor)
        directory = os.open(self.folder, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)
        super().write(numbers, b"")

    def read(self, number: int) -> bytes:
        """Read one."""
        super().read(number)
        return (self.folder / str(number)).read_bytes()


def measure(make: Callable[[Path], Rows], size: int) -> tuple[float, float, float]:
    """Return messages written a second, read a second, and octets on disk for one of content."""
    content = random.Random(size).randbytes(size)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        place = make(folder)
        count, started = 0, time.perf_counter()
        while time.perf_counter() - started < SECONDS:
            place.write(list(range(count, count + GROUP)), content)
            count += GROUP
        written = count / (time.perf_counter() - started)
        numbers = [random.randrange(count) for _ in range(2000)]
        started = time.perf_counter()
        for number in numbers:
            if place.read(number) != content:
                raise AssertionError("not what was written")
        read = len(numbers) / (time.perf_counter() - started)
        place.db.pragma("wal_checkpoint", "truncate")
        place.db.close()
        space = sum(path.stat().st_blocks * 512 for path in folder.iterdir()) / (count * size)
    return written, read, space


@click.command()
def main() -> None:
    """Print the table."""
    click.echo(f"{'octets':>8}  {'place':10} {'written/s':>10} {'read/s':>10} {'octets for one':>15}")
    for size in SIZES:
        for make in (Rows, OneFile, FileEach):
            written, read, space = measure(make, size)
            click.echo(f"{size:8}  {make.name:10} {written:10,.0f} {read:10,.0f} {space:15.2f}")


if __name__ == "__main__":
    main()
