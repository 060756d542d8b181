"""What takes long on a whole message, done where it holds nobody up: at once when the message is small, else in a thread."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

from mailnode.delivery.script_runner import SMALL_MESSAGE
from mailnode.interfaces.runtime import IThreads
from mailnode.sieve.actions import EditedContent
from mailnode.sieve.sequence import edited

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


async def with_fields(threads: IThreads, fields: bytes, message: bytes) -> bytes:
    """Return a message with whole header fields on top. :raises Busy:"""
    return await _by_size(threads, len(message), b"".join, (fields, message)) if fields else message


async def with_changes(threads: IThreads, message: bytes, content: EditedContent | None) -> bytes:
    """Return a message as scripts changed it, see :func:`edited`. :raises Busy:"""
    return await _by_size(threads, len(message), edited, message, content)


async def digest_of(threads: IThreads, message: bytes) -> bytes:
    """Return the SHA-256 of a message. :raises Busy:"""
    return await _by_size(threads, len(message), _sha256, message)


async def _by_size(threads: IThreads, octets: int, function: Callable[[*Ts], T], *args: *Ts) -> T:
    return await threads.run("cpu", function, *args) if octets > SMALL_MESSAGE else function(*args)


def _sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
