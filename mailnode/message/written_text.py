"""Mail of text that somebody else chose, as this server writes it: fields of one line each, address lists, a text as a body.

All of it is ASCII but for addresses that cannot be (RFC 6532). Whatever stands in a text, its field never ends and begins another.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from email.header import Header

from mailnode.errors import BadAddress
from mailnode.message.addresses import Mailbox, mailboxes, parse_addresses
from mailnode.message.compose import foreign_text
from mailnode.message.headers import fields, first, header_end, one_line, repair
from mailnode.message.lineends import without_bare
from mailnode.message.seven_bit import in_base64, quoted
from mailnode.message.sortkeys import MAX_REFERENCES, message_ids
from mailnode.message.words import clean, decode_words
from mailnode.values.address import Address, parse_address

MAX_LINE = 998  # octets without CRLF; RFC 5322 2.1.1
MAX_TEXT = 500  # characters of a field that are written
MAX_NAME = 200  # characters of a name beside an address
MAX_SENDERS = 10  # addresses of one list
_FOLDED = 78  # characters; RFC 5322 2.1.1
_PHRASE = 60  # of a line with a name, before which its field's may stand
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*\Z")

NamedAddress = tuple[str, Address]  # what is shown beside it, "" for nothing


def field_body(name: str, text: str) -> bytes:
    """Return the body of a field: folded, and in encoded words if and only if it is not ASCII (RFC 2047).

    :param text: without control characters.
    """
    if text.isascii() and len(name) + 2 + len(text) <= _FOLDED:
        return text.encode()
    charset = "us-ascii" if text.isascii() else "utf-8"
    return Header(text, charset, header_name=name, maxlinelen=_FOLDED).encode(linesep="\r\n").encode()


def text_field(name: str, text: str) -> bytes:
    """Return a field of a text, CRLF included; what is too long is cut."""
    return name.encode("ascii") + b": " + field_body(name, _one_line(text, MAX_TEXT)) + b"\r\n"


def _one_line(text: str, most: int) -> str:
    return " ".join(foreign_text(clean(text[: 4 * most]), True).decode().split())[:most]


def address_text(address: Address) -> str:
    """Return an address as it stands in a message: without UTF-8 wherever that is possible."""
    if not address.domain or not address.local.isascii():
        return str(address)
    return str(Address(address.local, address.domain_key, address.quoted))


def address_field(name: str, boxes: Sequence[NamedAddress]) -> bytes:
    """Return a field of addresses (RFC 5322 3.4), CRLF included."""
    return name.encode("ascii") + b": " + b",\r\n\t".join([_mailbox(*box) for box in boxes]) + b"\r\n"


def _mailbox(shown: str, address: Address) -> bytes:
    written = b"<" + foreign_text(address_text(address), True) + b">"
    shown = _one_line(shown, MAX_NAME)
    if not shown:
        return written
    if not shown.isascii() or "=?" in shown:
        phrase = Header(shown, "utf-8", maxlinelen=_PHRASE).encode(linesep="\r\n").encode()
    elif _ATOMS.match(shown):
        phrase = shown.encode()
    else:
        phrase = b'"' + re.sub(r'(["\\])', r"\\\1", shown).encode() + b'"'
    return phrase + (b"\r\n\t" if len(phrase) > _PHRASE // 2 else b" ") + written


def read_addresses(text: str) -> tuple[NamedAddress, ...]:
    """Return the mailboxes of a list as somebody wrote it. :raises BadAddress: it is none, or one of more than 10."""
    boxes = parse_addresses(clean(text).encode(), MAX_SENDERS + 1)
    if not boxes or len(boxes) > MAX_SENDERS or not all(isinstance(box, Mailbox) for box in boxes):
        raise BadAddress("it is not a list of addresses")
    return tuple([_named(box) for box in mailboxes(boxes)])


def _named(box: Mailbox) -> NamedAddress:
    local, domain = (part.decode("utf-8", "replace") for part in (box.local, box.domain))
    return decode_words(box.display or b""), parse_address(str(Address(local, domain)))


def thread_fields(header: bytes) -> bytes:
    """Return In-Reply-To and References of an answer to a message (RFC 5322 3.6.4), b"" where it has no id."""
    own = _clean_ids(header, b"message-id")[:1]
    if not own:
        return b""
    answered = _clean_ids(header, b"in-reply-to")
    before = _clean_ids(header, b"references") or (answered if len(answered) == 1 else [])
    if len(before) > MAX_REFERENCES:
        before = [before[0], *before[1 - MAX_REFERENCES :]]
    return b"In-Reply-To: %s\r\nReferences: %s\r\n" % (own[0], b"\r\n\t".join([*before, *own]))


def _clean_ids(header: bytes, name: bytes) -> list[bytes]:
    ids = message_ids(first(header, name) or b"")
    return [b"<" + one.encode() + b">" for one in ids if one.isascii() and one.isprintable()]


def text_entity(text: str) -> bytes:
    """Return a text as an entity in 7 bits: its fields, an empty line, and lines that end with CRLF."""
    data = without_bare(clean(text).encode())
    if not data.endswith(b"\r\n"):
        data += b"\r\n"
    charset, encoding = b"us-ascii", b"7bit"
    if not data.isascii() or longest_line(data) > MAX_LINE:
        charset = b"utf-8"
        encoding, data = min(
            ((b"quoted-printable", quoted(data)), (b"base64", in_base64(data) + b"\r\n")), key=lambda way: len(way[1])
        )
    return b"Content-Type: text/plain; charset=%s\r\nContent-Transfer-Encoding: %s\r\n\r\n%s" % (
        charset,
        encoding,
        data,
    )


def given_entity(text: str) -> bytes:
    """Return an entity as somebody wrote it, header and content, for the end of a message's header (RFC 2045 2.4).

    Of its fields those of MIME are taken, each once and in one line.

    :raises ValueError: its header is not ASCII (RFC 5230 5), or a line is longer than mail may have.
    """
    data = repair(without_bare(clean(text).encode()))
    end = header_end(data)
    written: dict[bytes, bytes] = {}
    for field in fields(data[:end]):
        if (name := field.name.lower()).startswith(b"content-"):
            written.setdefault(name, field.name + b": " + one_line(field.value) + b"\r\n")
    header, body = b"".join(written.values()), data[end:]
    if not data[:end].isascii():
        raise ValueError("the header of the entity is not ASCII")
    if longest_line(header + body) > MAX_LINE:
        raise ValueError(f"a line of the entity is longer than {MAX_LINE} octets")
    return header + b"\r\n" + (body if not body or body.endswith(b"\r\n") else body + b"\r\n")


def longest_line(data: bytes) -> int:
    """Return the octets of the longest line, its CRLF left out."""
    return max(map(len, data.split(b"\r\n")))
