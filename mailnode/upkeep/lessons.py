"""What there is to learn from where a message stands, and from what its keywords say."""

from __future__ import annotations

from dataclasses import dataclass

from mailnode.message.headers import first, header_end
from mailnode.message.senders import sender_of
from mailnode.message.tokens import MAX_OCTETS, message_key
from mailnode.values.learning import GOOD, JUNK, Acted, Learnt


@dataclass(frozen=True, slots=True)
class ReadHeader:
    """A message as its header has it. ``message``: its key. ``was_junk``: this server took it for junk when it came.
    ``delivered``: it was delivered here; else a mail program put it here as it is. ``sender``: of reputation, "" nobody."""

    message: int
    was_junk: bool
    delivered: bool
    sender: str


def read(hostname: str, prefix: bytes, data: bytes) -> ReadHeader:
    """Read a header. :param prefix: what stands above the message. :param data: its beginning."""
    end = header_end(data)
    header = data[: end if end >= 0 else MAX_OCTETS]
    # What this server wrote stands on top: where the copy was uploaded, inside it, where only its owner can have changed it.
    reason = first(prefix or header, b"x-mailnode-reason") or b""
    return ReadHeader(message_key(data), reason.startswith(b"junk"), bool(prefix), sender_of(hostname, prefix + header))


def lesson(acted: Acted, seen: ReadHeader, known: Learnt | None) -> Learnt | None:
    """Return what is to be remembered of a message, None where nothing new shows.

    What somebody has done last decides: keywords that are not those of before, else a place that it was put into since. That this
    server put it there, or set the keyword, says nothing.
    """
    before = known.keyword if known is not None else JUNK if seen.was_junk and seen.delivered else ""
    placed = known.placed if known is not None else 0
    kind = ""
    if acted.keyword and acted.keyword != before:
        kind = acted.keyword
    elif acted.moved and acted.place and acted.placed > placed:
        # An archive that is uploaded is nobody's answer; unless it is taken out of junk by uploading it elsewhere.
        if known is not None or seen.delivered or seen.was_junk or acted.place == JUNK:
            kind = acted.place
    elif acted.liked and known is None and seen.delivered and acted.place == GOOD:
        kind = GOOD
    if not kind:
        return None
    sender = known.sender if known is not None else seen.sender
    return Learnt(kind, acted.keyword or before, max(acted.placed, placed), sender)
