"""Whether this Python does what the server relies on, tried at every start: a mail server on an interpreter or a library
that reads a header wrongly, or loses what was committed, damages mail without a word.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable

import apsw
import zstandard

from mailnode.errors import ConfigurationError
from mailnode.message.addresses import Mailbox, parse_addresses
from mailnode.message.headers import field_names, fields, repair
from mailnode.message.scanner import scan

SQLITE = (3, 51, 3)  # the first whose checkpoints cannot lose a transaction of the write-ahead log

_HEADER = (
    b"Received: from a\r\n\tby b;\r\n now\r\n"
    b'From : "A \\"B\\"" <a.b@c.example>, (x) d@e\r\n'
    b"Content-Type: multipart/mixed;\r\n boundary=x\r\n\r\n"
)
_MESSAGE = _HEADER + b"--x\r\n\r\none\r\n--x\r\nContent-Type: text/html; name*0=a; name*1=b\r\n\r\n<p>\r\n--x--\r\n"
_STRUCTURE = (
    b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0)'
    b'("text" "html" ("charset" "us-ascii" "name" "ab") NIL NIL "7bit" 3 0) "mixed")'
)


def require_fit() -> None:
    """:raises ConfigurationError: this Python fails, in words."""
    failed = [what for what, holds in _CHECKS if not _holds(holds)]
    if failed:
        name = f"{platform.python_implementation()} {platform.python_version()} at {sys.executable}"
        raise ConfigurationError([f"this Python ({name}) {what}; use another one" for what in failed])


def _holds(check: Callable[[], bool]) -> bool:
    try:
        return check()
    except Exception:  # whatever goes wrong here, it is not fit
        return False


def _fields() -> bool:
    found = [(field.name, field.value) for field in fields(_HEADER)]
    return (
        found[0] == (b"Received", b"from a by b; now")
        and [name for name, _ in found] == [b"Received", b"From", b"Content-Type"]
        and repair(_HEADER) == _HEADER
        and repair(b"A: b\r\nc\r\n") == b"A: b\r\n\r\nc\r\n"
        and field_names(_HEADER) == [b"received", b"from", b"content-type"]
    )


def _addresses() -> bool:
    return parse_addresses(b'"A \\"B\\"" <a.b@c.example>, (x) d@e') == [
        Mailbox(b'A "B"', None, b"a.b", b"c.example"),
        Mailbox(b"x", None, b"d", b"e"),
    ]


def _structure() -> bool:
    facts = scan(_MESSAGE)
    return facts.body == _STRUCTURE and facts.sort.from_display == 'A "B"'


def _sqlite() -> bool:
    return tuple(map(int, apsw.sqlite_lib_version().split("."))) >= SQLITE


def _compression() -> bool:
    packed = zstandard.ZstdCompressor(write_checksum=True).compress(_MESSAGE * 8)
    return len(packed) < len(_MESSAGE) * 8 and zstandard.ZstdDecompressor().decompress(packed) == _MESSAGE * 8


_CHECKS: list[tuple[str, Callable[[], bool]]] = [
    ("reads header fields wrongly", _fields),
    ("reads addresses wrongly", _addresses),
    ("reads the structure of a message wrongly", _structure),
    (f"has a SQLite older than {'.'.join(map(str, SQLITE))}, which can lose what was committed", _sqlite),
    ("does not give back what it compressed", _compression),
]
