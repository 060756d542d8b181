"""The milter protocol, version 6, as the mail server speaks it: packets, what is agreed at the start, replies.

A packet is a length of four octets, which counts what follows, then one octet that says what it is, then its data. The server
says a step of SMTP and waits for the reply, unless it was agreed that there is none.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from mailnode.policy.wire.fields import field_line, shown
from mailnode.policy.wire.unreadable import Unreadable

VERSION = 6
OLDEST = 2
MAX_PACKET = 131_072  # octets of one from a milter
CHUNK = 65_535  # octets of the body that a milter is sent at a time

# What the server says
ABORT, BODY, CONNECT, MACROS, END, HELO, HEADER = b"A", b"B", b"C", b"D", b"E", b"H", b"L"
MAIL, END_OF_HEADER, NEGOTIATE, QUIT, RCPT, DATA = b"M", b"N", b"O", b"Q", b"R", b"T"

# What a milter replies
ACCEPT, CONTINUE, DISCARD, REJECT, TEMPFAIL, REPLY, SKIP = b"a", b"c", b"d", b"r", b"t", b"y", b"s"
SHUTDOWN, CONNECTION_FAILED, PROGRESS = b"4", b"f", b"p"
ADD_FIELD, INSERT_FIELD, QUARANTINE = b"h", b"i", b"q"

# What it may do to a message.
ADDS_FIELDS, QUARANTINES, NAMES_MACROS = 0x01, 0x20, 0x100
ACTIONS = ADDS_FIELDS | QUARANTINES | NAMES_MACROS
# What cannot be carried out here, and is offered all the same to those that insist on it: bits, and the replies that ask for it.
NOT_DONE = {"fields": (0x10, b"m"), "recipients": (0x8C, b"+-2"), "sender": (0x40, b"e"), "body": (0x02, b"b")}

# Which steps it wants left out ...
UNWANTED = {CONNECT: 0x1, HELO: 0x2, MAIL: 0x4, RCPT: 0x8, BODY: 0x10, HEADER: 0x20, END_OF_HEADER: 0x40, DATA: 0x200}
# ... and to which it gives no reply.
UNANSWERED = {
    HEADER: 0x80,
    CONNECT: 0x1000,
    HELO: 0x2000,
    MAIL: 0x4000,
    RCPT: 0x8000,
    DATA: 0x10000,
    END_OF_HEADER: 0x40000,
    BODY: 0x80000,
}
# Commands that are none of SMTP are not told to it, whether it wants them, and answers to them, or not.
UNKNOWN_COMMANDS, SKIPS, LEADING_SPACE = 0x100 | 0x20000, 0x400, 0x100000
STEPS = sum(UNWANTED.values()) | sum(UNANSWERED.values()) | UNKNOWN_COMMANDS | SKIPS | LEADING_SPACE
_DATA_SINCE = 4  # the version that has this step

_REPLY = re.compile(r"([45][0-9]{2})(?:[ -](?:([45]\.[0-9]{1,3}\.[0-9]{1,3})(?: |$))?(.*))?")


@dataclass(frozen=True, slots=True)
class Packet:
    """``kind`` is one octet."""

    kind: bytes
    data: bytes = b""


class Packets:
    """Reads packets out of pieces of any size."""

    def __init__(self) -> None:
        self._came = bytearray()

    def receive(self, data: bytes) -> None:
        """Take what came."""
        self._came += data

    def next(self) -> Packet | None:
        """Return the next packet, None as long as it is not all there. :raises Unreadable: it has no, or too great a, length."""
        if len(self._came) < 4:
            return None
        length = int.from_bytes(self._came[:4], "big")
        if not 0 < length <= MAX_PACKET:
            raise Unreadable(f"a packet of {length} octets")
        if len(self._came) < 4 + length:
            return None
        packet = Packet(bytes(self._came[4:5]), bytes(self._came[5 : 4 + length]))
        del self._came[: 4 + length]
        return packet


def packet(kind: bytes, *texts: bytes) -> bytes:
    """Return a packet of texts, each with NUL at its end."""
    return octets(kind, b"".join(text.replace(b"\0", b"") + b"\0" for text in texts))


def octets(kind: bytes, data: bytes = b"") -> bytes:
    """Return a packet of other data."""
    return (1 + len(data)).to_bytes(4, "big") + kind + data


def macros(step: bytes, values: Mapping[str, bytes]) -> bytes:
    """Return what the milter is to know at a step, nothing where there is nothing: names of several letters in braces."""
    named = [(name if len(name) == 1 else f"{{{name}}}", value) for name, value in values.items() if value]
    texts = b"".join(name.encode("ascii") + b"\0" + value.replace(b"\0", b"") + b"\0" for name, value in named)
    return octets(MACROS, step + texts) if named else b""


def client(name: bytes, address: str) -> bytes:
    """Return the packet about who connects. :param address: an IP address, "" where there is none."""
    family = b"U" if not address else b"6" if ":" in address else b"4"
    where = b"" if not address else bytes(2) + address.encode("ascii") + b"\0"  # the port is not told
    return octets(CONNECT, name.replace(b"\0", b"") + b"\0" + family + where)


def actions(not_done: Collection[str]) -> int:
    """Return the bits of what is offered. :param not_done: of ``NOT_DONE``."""
    return ACTIONS | sum(NOT_DONE[name][0] for name in set(not_done))


def offer(offered: int) -> bytes:
    """Return what the server says at the start. :param offered: actions."""
    return octets(NEGOTIATE, b"".join(number.to_bytes(4, "big") for number in (VERSION, offered, STEPS)))


@dataclass(frozen=True, slots=True)
class Terms:
    """What was agreed."""

    version: int
    steps: int

    def wants(self, step: bytes) -> bool:
        """Whether the milter is told of a step."""
        return not self.steps & UNWANTED.get(step, 0) and (step != DATA or self.version >= _DATA_SINCE)

    def answers(self, step: bytes) -> bool:
        """Whether it replies to a step."""
        return not self.steps & UNANSWERED.get(step, 0)

    @property
    def leading_space(self) -> bool:
        """Whether the bodies of fields begin with what stands behind the colon."""
        return bool(self.steps & LEADING_SPACE)


def agreed(answer: Packet, offered: int) -> Terms:
    """Return what a milter takes of the offer. :raises Unreadable: it wants what is not offered."""
    if answer.kind != NEGOTIATE or len(answer.data) < 12:
        raise Unreadable("no answer to the offer")
    version, wanted, steps = (int.from_bytes(answer.data[at : at + 4], "big") for at in (0, 4, 8))
    if not OLDEST <= version <= VERSION:
        raise Unreadable(f"it speaks version {version}")
    if wanted & ~offered:
        raise Unreadable(f"it wants to do what cannot be done here: 0x{wanted & ~offered:x}")
    if steps & ~STEPS:
        raise Unreadable(f"it wants steps that are not offered: 0x{steps & ~STEPS:x}")
    return Terms(version, steps)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reply in the milter's own words. ``code``: 4yz or 5yz; ``status`` of RFC 3463, or ""."""

    code: int
    status: str
    text: str


def refusal(data: bytes) -> Refusal:
    """Return what a milter would have the client told. :raises Unreadable:"""
    lines = data.rstrip(b"\0").decode("utf-8", "replace").splitlines()[:20]
    read = [_REPLY.fullmatch(line) for line in lines]
    first = read[0] if read else None
    if first is None:
        raise Unreadable("a reply that is none of SMTP")
    status = first[2] or ""
    text = " ".join(line[3] for line in read if line is not None and line[3])
    return Refusal(int(first[1]), status if status[:1] == first[1][0] else "", shown(text.replace("%%", "%")))


def added_field(reply: Packet) -> bytes | None:
    """Return the whole field that a milter adds; None: it is none that can stand there. :raises Unreadable:"""
    data = reply.data[4:] if reply.kind == INSERT_FIELD else reply.data
    name, end, rest = data.partition(b"\0")
    value, ended, _ = rest.partition(b"\0")
    if not (end and ended):
        raise Unreadable("a field without its end")
    return field_line(name, value)


def not_done(reply: Packet, offered: Collection[str]) -> str:
    """Return which of what is offered and not done a reply asks for, "" for none."""
    return next((name for name in NOT_DONE if name in offered and reply.kind in NOT_DONE[name][1]), "")


def quarantine_reason(reply: Packet) -> str:
    """Return why a milter wants a message in quarantine."""
    return shown(reply.data.partition(b"\0")[0].decode("utf-8", "replace"))
