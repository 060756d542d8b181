"""What is fuzzed: a function of octets that anybody may send, and what it may raise."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from zlib import crc32


@dataclass(frozen=True)
class Target:
    """``run`` reads octets from outside and looks at what comes of them. ``errors``: what it may raise, errors of the protocol
    alone. ``seeds``: good inputs and bad ones, from which others are made. ``words``: of its grammar. ``held``: octets it may
    take whatever the input is. ``swells``: what comes may stand for much more, so its work is bounded by the piece."""

    name: str
    run: Callable[[bytes], object]
    seeds: tuple[bytes, ...]
    errors: tuple[type[Exception], ...] = ()
    words: tuple[bytes, ...] = ()
    held: int = 256 * 1024
    swells: bool = False

    def attempt(self, data: bytes) -> None:
        """Try an input. What is raised that may not be names it."""
        try:
            self.run(data)
        except self.errors:
            pass
        except Exception as error:
            error.add_note(f"{self.name}: {data!r}")
            raise


def pieces(data: bytes) -> Iterator[bytes]:
    """Cut octets as a network may; where depends on the first of them."""
    step = 1 + crc32(data[:16]) % 7
    for at in range(0, len(data), step):
        yield data[at : at + step]


def lines(data: bytes) -> Iterator[bytes]:
    """Cut octets behind each CRLF."""
    yield from (line + b"\r\n" for line in data.split(b"\r\n")[:-1])
    if rest := data.rpartition(b"\r\n")[2]:
        yield rest


def variant(data: bytes) -> tuple[int, bytes]:
    """Return the first octet, by which a target chooses among its variants, and the others."""
    return (data[0] if data else 0), data[1:]


def each(text: bytes) -> tuple[bytes, ...]:
    """Return the lines of a text, each an input; CRLF ends none of them."""
    return tuple(re.split(rb"(?<!\r)\n", text.strip(b"\n")))
