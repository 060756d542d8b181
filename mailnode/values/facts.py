"""Facts of a message: what is computed once at arrival, so that no FETCH of metadata opens the message again.

All offsets and sizes are octets relative to the blob (without the per-recipient prefix).
"""

from __future__ import annotations

import json
from typing import NamedTuple

FACTS_VERSION = 3  # raised with each change of what is found in the same octets; older ones are found anew when read
MAX_INLINE_FACTS = 16 * 1024  # octets of encoded facts kept in the row; more go to a blob
_COMPACT = json.JSONEncoder(separators=(",", ":"), check_circular=False)

# Header fields whose raw lines are kept with the facts: the set mail programs ask for when they list a mailbox.
KEPT_FIELDS = frozenset(
    b"from to cc bcc reply-to sender subject date message-id in-reply-to references content-type priority x-priority "
    b"importance newsgroups list-id list-post list-unsubscribe disposition-notification-to return-path delivered-to "
    b"mime-version x-spam-flag x-spam-status auto-submitted precedence x-mailer user-agent".split()
)


class Part(NamedTuple):
    """One MIME part, or the message itself (``section`` "").

    ``section`` is IMAP's part number ("1", "2.1"; RFC 9051 6.4.5). A leaf message is section "" and also addressed as
    "1". ``kind`` is ``leaf``, ``multipart`` or ``message`` (message/rfc822 with the inner message as the parts
    below it).

    The part after a ``message`` part n is always the inner message itself: its header is [n.HEADER], its body [n.TEXT].
    Its section is "n.1" when it is a leaf or a message; a multipart, whose children are "n.1", "n.2" ..., has "n.TEXT".
    A whole message of kind ``message`` (section "") is n = "1". A ``multipart`` always has children: one without
    any in its text has a single text/plain leaf without header over its whole body.
    """

    section: str
    kind: str
    header_start: int
    body_start: int
    end: int
    lines: int  # line ends in the body of text and messages; 0 for other parts, where nobody asks
    content_type: str  # lower-case type/subtype
    charset: str  # lower-case, "" when not given
    encoding: str  # lower-case content-transfer-encoding, "7bit" when not given
    disposition: str = ""  # lower-case: attachment, inline or ""
    filename: str = ""


class SortKeys(NamedTuple):
    """What SORT, THREAD and SEARCH by header need, decoded. ``date`` is UTC microseconds of the Date field, None if unreadable."""

    date: int | None = None
    date_offset: int = 0  # minutes east of UTC, as written in the Date field
    subject: str = ""  # decoded, whole
    subject_base: str = ""  # RFC 5256 2.1
    is_reply: bool = False
    from_display: str = ""
    to_display: str = ""
    from_mailbox: str = ""
    to_mailbox: str = ""
    cc_mailbox: str = ""
    message_id: str = ""  # without brackets
    references: tuple[str, ...] = ()  # References, else In-Reply-To; oldest first, without brackets


class MessageFacts(NamedTuple):
    """All facts of one message. ``envelope``, ``bodystructure`` and ``body`` are ready IMAP text, parentheses included."""

    size: int  # octets of the whole blob content
    header_size: int  # octets up to and including the empty line
    envelope: bytes
    bodystructure: bytes
    body: bytes
    fields: bytes  # raw lines of KEPT_FIELDS in stored order, each with its CRLF; the last without it where no empty line follows
    parts: tuple[Part, ...]  # pre-order, the message itself first
    sort: SortKeys
    preview: bytes = b""  # its first words, UTF-8, of at most 200 characters
    version: int = FACTS_VERSION


class EncodedFacts(NamedTuple):
    """The facts of one message as they are kept: what is not octets already is encoded once, where it was computed."""

    version: int
    size: int
    header_size: int
    envelope: bytes
    bodystructure: bytes
    sort: bytes  # encode_sort_keys
    fields: bytes
    body: bytes
    parts: bytes  # encode_parts
    preview: bytes
    message_id: str  # as in the sort keys
    references: tuple[str, ...]


def encode(facts: MessageFacts) -> EncodedFacts:
    """Return facts as they are kept."""
    return EncodedFacts(
        facts.version,
        facts.size,
        facts.header_size,
        facts.envelope,
        facts.bodystructure,
        encode_sort_keys(facts.sort),
        facts.fields,
        facts.body,
        encode_parts(facts.parts),
        facts.preview,
        facts.sort.message_id,
        facts.sort.references,
    )


def encode_parts(parts: tuple[Part, ...]) -> bytes:
    """Return parts as compact JSON rows."""
    return _COMPACT.encode(parts).encode()


def decode_parts(data: bytes) -> tuple[Part, ...]:
    """Undo :func:`encode_parts`."""
    return tuple([Part(*row) for row in json.loads(data)])


def encode_sort_keys(keys: SortKeys) -> bytes:
    """Return sort keys as one compact JSON row."""
    return _COMPACT.encode(keys).encode()


def decode_sort_keys(data: bytes) -> SortKeys:
    """Undo :func:`encode_sort_keys`."""
    row = json.loads(data)
    row[-1] = tuple(row[-1])
    return SortKeys(*row)
