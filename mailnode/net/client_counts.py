"""How many clients a listener has, in all and from one network: in this process, and in others that share memory with it.

Each process writes its own block of the shared memory and reads those of the others, so there is no lock: two that let
somebody in at the same moment may be one over the limit. What others have from one network is counted by two hashes of its
name with a secret key, of which the smaller one is believed: it is never too low, and that it is too high takes two networks
that agree with it in one each. Its own a process counts exactly.
"""

from __future__ import annotations

import hashlib
import mmap
import os
from collections import Counter
from functools import lru_cache

REMEMBERED = 1024  # networks whose cells need not be computed again
CELLS = 8192  # of each hash, in a block
_BLOCK = 1 + 2 * CELLS  # counts of 4 octets: of all, then by each hash
_BITS = CELLS.bit_length() - 1


class ClientCounts:
    """The clients of one listener, in this process."""

    def __init__(self) -> None:
        self._total = 0
        self._peers: Counter[str] = Counter()

    def total(self) -> int:
        """How many there are."""
        return self._total

    def of(self, peer: str) -> int:
        """How many there are from one network."""
        return self._peers[peer]

    def enter(self, peer: str) -> None:
        """Count one more. :param peer: its network, "" for none."""
        self._total += 1
        self._peers[peer] += 1

    def leave(self, peer: str) -> None:
        """One that was counted is gone."""
        self._total -= 1
        self._peers[peer] -= 1
        if not self._peers[peer]:
            del self._peers[peer]


class ClientCountsMemory:
    """The memory that the processes of one server share, with a block for each process and listener."""

    def __init__(self, descriptor: int, key: bytes, processes: int, listeners: int) -> None:
        """:param descriptor: of :meth:`make`; it is not closed. :param key: secret, the same in every process."""
        self.descriptor = descriptor
        self.key = key
        self.processes = processes
        self.listeners = listeners
        self._memory = mmap.mmap(descriptor, self._size(processes, listeners))
        self.counts = memoryview(self._memory).cast("I")

    @classmethod
    def make(cls, processes: int, listeners: int) -> ClientCountsMemory:
        """Return new memory without a name, all zero. :raises OSError: there is none."""
        descriptor = os.memfd_create("mailnode-clients", os.MFD_CLOEXEC)
        os.ftruncate(descriptor, cls._size(processes, listeners))
        return cls(descriptor, os.urandom(16), processes, listeners)

    @staticmethod
    def _size(processes: int, listeners: int) -> int:
        return 4 * _BLOCK * processes * listeners

    def start_of(self, process: int, listener: int) -> int:
        """Where a block begins."""
        return (process * self.listeners + listener) * _BLOCK

    def forget(self, process: int) -> None:
        """Set the counts of a process that ended to nothing."""
        start, end = self.start_of(process, 0), self.start_of(process + 1, 0)
        self.counts[start:end] = memoryview(bytes(4 * (end - start))).cast("I")

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.descriptor)


class SharedClientCounts(ClientCounts):
    """The clients of one listener, in all processes."""

    def __init__(self, memory: ClientCountsMemory, process: int, listener: int) -> None:
        """:param process: this one's number, from 0. :param listener: its number, from 0."""
        super().__init__()
        self._counts = memory.counts
        self._key = memory.key
        self._own = memory.start_of(process, listener)
        self._cells = lru_cache(REMEMBERED)(self._find_cells)  # each client is looked up three times
        self._others = [memory.start_of(number, listener) for number in range(memory.processes) if number != process]

    def total(self) -> int:
        """How many there are."""
        counts = self._counts
        return super().total() + sum([counts[block] for block in self._others])

    def of(self, peer: str) -> int:
        """How many there are from one network, or a few more."""
        counts = self._counts
        others = min([sum([counts[block + cell] for block in self._others]) for cell in self._cells(peer)])
        return super().of(peer) + others

    def enter(self, peer: str) -> None:
        """Count one more."""
        super().enter(peer)
        self._tell(peer, 1)

    def leave(self, peer: str) -> None:
        """One that was counted is gone."""
        super().leave(peer)
        self._tell(peer, -1)

    def _tell(self, peer: str, amount: int) -> None:
        counts, own = self._counts, self._own
        counts[own] += amount
        if peer:
            for cell in self._cells(peer):
                counts[own + cell] += amount

    def _find_cells(self, peer: str) -> tuple[int, int]:
        digest = hashlib.blake2b(peer.encode(), digest_size=4, key=self._key).digest()
        number = int.from_bytes(digest, "big")
        return 1 + number % CELLS, 1 + CELLS + (number >> _BITS) % CELLS
