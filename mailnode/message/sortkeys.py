"""What SORT and THREAD compare (RFC 5256, RFC 5957), decoded and bounded."""

from __future__ import annotations

import re

from mailnode.message.addresses import MAX_ADDRESSES, SHORT, Mailbox, display_text, mailboxes, parse_addresses
from mailnode.message.dates import parse_date
from mailnode.message.headers import first
from mailnode.message.subject import base_subject
from mailnode.message.words import decode_bytes, decode_words
from mailnode.values.facts import SortKeys

MAX_TEXT = 8192  # characters of a decoded subject
MAX_NAME = 255  # characters of a display name or mailbox
MAX_READ = 16 * 1024  # octets of an address list in which the first mailbox is looked for
MAX_ID = 250  # octets of a message id; a longer one is not one
MAX_REFERENCES = 100
MAX_IDS = 64 * 1024  # octets of a field of message ids that are read, half of them at its end

_ID = re.compile(rb"<([^<>]+)>")


def sort_keys(headers: dict[bytes, list[bytes]]) -> SortKeys:
    """Return the sort keys of a message.

    :param headers: unfolded bodies by lower-case name, as in :class:`mailnode.message.entity.Entity`.
    """
    date = parse_date(_first(headers, b"date"))
    subject = decode_words(_first(headers, b"subject")[: 4 * MAX_TEXT])[:MAX_TEXT]
    base, is_reply = base_subject(subject)
    sender, to, cc = (_first_box(headers, name) for name in (b"from", b"to", b"cc"))
    own = message_ids(_first(headers, b"message-id"))
    references = [found for value in headers.get(b"references", ())[:8] for found in message_ids(value)]
    if not references:
        references = message_ids(_first(headers, b"in-reply-to"))[:1]
    if len(references) > MAX_REFERENCES:  # the root and the nearest ancestors tell most
        references = [references[0], *references[1 - MAX_REFERENCES :]]
    return SortKeys(
        date=date[0] if date else None,
        date_offset=date[1] if date else 0,
        subject=subject,
        subject_base=base,
        is_reply=is_reply,
        from_display=_display(sender),
        to_display=_display(to),
        from_mailbox=_mailbox(sender),
        to_mailbox=_mailbox(to),
        cc_mailbox=_mailbox(cc),
        message_id=own[0] if own else "",
        references=tuple(references),
    )


def own_message_id(block: bytes) -> str:
    """Return the message id in a header block as the sort keys have it, "" when there is none."""
    found = message_ids(first(block, b"message-id") or b"")
    return found[0] if found else ""


def message_ids(value: bytes) -> list[str]:
    """Return the message ids of an unfolded field body in order, without brackets, quotes and white space."""
    found = []
    if len(value) > MAX_IDS:
        head, tail = value[: MAX_IDS // 2], value[-MAX_IDS // 2 :]
        value = head[: head.rfind(b">") + 1] + b" " + tail[tail.find(b"<") :]
    for written in _ID.findall(value):
        octets = b"".join(written.split()).replace(b'"', b"").replace(b"\\", b"")
        if 0 < len(octets) <= MAX_ID:
            found.append(decode_bytes(octets, ""))
    return found


def _first(headers: dict[bytes, list[bytes]], name: bytes) -> bytes:
    values = headers.get(name)
    return values[0] if values else b""


def _first_box(headers: dict[bytes, list[bytes]], name: bytes) -> Mailbox | None:
    value = _first(headers, name)
    if not value:
        return None
    # A short field was read whole for the envelope.
    limit = MAX_ADDRESSES if len(value) <= SHORT else 1
    return next(mailboxes(parse_addresses(value[:MAX_READ], limit)), None)


def _display(box: Mailbox | None) -> str:
    """RFC 5957 2: the display name, else the address."""
    if box is None:
        return ""
    if box.display:
        return decode_words(box.display[: 4 * MAX_NAME])[:MAX_NAME]
    return display_text(box)[:MAX_NAME]


def _mailbox(box: Mailbox | None) -> str:
    return decode_bytes(box.local, "")[:MAX_NAME] if box else ""
