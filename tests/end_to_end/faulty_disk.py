"""A disk that fails when a test tells it to: what a server does below its data directory is counted, and one call fails.

``faulty_disk.c`` is preloaded into the server and does the failing; this side gives the orders, through memory both map.
"""

from __future__ import annotations

import errno
import mmap
import os
import struct
import subprocess
from pathlib import Path
from typing import NamedTuple

from servers import program

OPEN, WRITE, SYNC, NAME = 1, 2, 4, 8  # kinds of calls; names: renaming, removing, folders
_ORDERS = struct.Struct("8i")  # as in faulty_disk.c


class Fault(NamedTuple):
    """What fails, and how."""

    kinds: int
    error: int  # errno; 0: none
    lasting: bool = False  # whether all that come after it do so too
    held: bool = False  # whether it waits until the fault is lifted


FAULTS = {
    "full": Fault(WRITE | NAME, errno.ENOSPC, lasting=True),
    "over quota": Fault(WRITE | NAME, errno.EDQUOT, lasting=True),
    "write error": Fault(WRITE | NAME, errno.EIO),
    "sync error": Fault(SYNC, errno.EIO),
    "sync errors": Fault(SYNC, errno.EIO, lasting=True),
    "no descriptors": Fault(OPEN, errno.EMFILE, lasting=True),
    "read-only": Fault(OPEN | WRITE | NAME, errno.EROFS, lasting=True),
}
STANDS_STILL = Fault(WRITE | SYNC, 0, lasting=True, held=True)


class FaultyDisk:
    """The disk under one folder, for processes that run with :attr:`environment`."""

    def __init__(self, folder: Path, root: Path) -> None:
        """:param folder: where the library is built. :param root: what fails."""
        library, orders = folder / "faulty_disk.so", folder / "faulty_disk.orders"
        source = Path(__file__).with_suffix(".c")
        subprocess.run(
            [program("gcc"), "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(library), str(source), "-ldl"],
            check=True,
        )
        orders.write_bytes(bytes(_ORDERS.size))
        with orders.open("r+b") as file:
            self._orders = mmap.mmap(file.fileno(), _ORDERS.size)
        self.environment = {
            "LD_PRELOAD": str(library),
            "FAULTY_DISK_ROOT": f"{root}{os.sep}",
            "FAULTY_DISK_ORDERS": str(orders),
        }

    def arm(self, fault: Fault, number: int) -> None:
        """Let the Nth call fail, counted from now."""
        self.lift()
        rest = (fault.error, number, int(fault.lasting), int(fault.held), 0, 0, self.trust)
        self._orders[4:] = struct.pack("7i", *rest)
        self._orders[:4] = struct.pack("i", fault.kinds)  # last: from now on

    def lift(self) -> None:
        """Nothing fails any more, nothing is counted."""
        self._orders[:4] = bytes(4)

    def _read(self) -> tuple[int, ...]:
        return _ORDERS.unpack(self._orders[:])

    @property
    def hits(self) -> int:
        """How many of them failed."""
        return self._read()[6]

    @property
    def trust(self) -> int:
        """How often a descriptor was written to whose sync had failed."""
        return self._read()[7]
