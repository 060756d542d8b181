"""The texts of a message that SEARCH looks into, as it compares them (RFC 3501 6.4.4): the same for whoever judges a message and
for whoever indexes it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mailnode.message.addresses import MAX_ADDRESSES, display_text, mailboxes, parse_addresses
from mailnode.message.headers import scan_fields, unfold
from mailnode.message.pieces import searchable
from mailnode.message.text import header_text
from mailnode.message.words import decode_words
from mailnode.values.casemap import casemap
from mailnode.values.facts import Part
from mailnode.values.search import BODY, HEADER, SHOWN, SHOWN_FIELDS, ZONES

FIELDS_OF_ADDRESSES = frozenset({"from", "sender", "reply-to", "to", "cc", "bcc"})
_NOT_ASCII = re.compile("[^\x00-\x7f]+")
# Comments, quoted pairs and white space within an address, which ENVELOPE does not show.
ODD_ADDRESS = re.compile(rb"[(\\]|\s[@.]|[@.]\s|\"@")


def fold(text: str) -> str:
    """Return text as substrings are compared: what i;unicode-casemap takes for the same becomes the same, character by
    character (RFC 5255 4.2); so does what differs by case in a longer way, as ss and the sharp s."""
    return text.lower() if text.isascii() else _NOT_ASCII.sub(_mapped, text).casefold()


def _mapped(run: re.Match[str]) -> str:
    return casemap(run[0])


def field_texts(field: str, bodies: Iterable[bytes]) -> list[str]:
    """Return the folded texts of header fields of one name, encoded words decoded; of addresses that may be written otherwise
    than they are shown, also as ENVELOPE shows them. :param field: its name, in lower case. :param bodies: as they stand."""
    values = [unfold(raw) for raw in bodies]
    texts = [fold(decode_words(value)) for value in values]
    if field in FIELDS_OF_ADDRESSES:
        texts += [fold(_shown_addresses(value)) for value in values if ODD_ADDRESS.search(value)]
    return texts


def _shown_addresses(value: bytes) -> str:
    """The addresses of a field as ENVELOPE shows them."""
    return "\n".join([display_text(box) for box in mailboxes(parse_addresses(value, MAX_ADDRESSES))])


def zone_texts(header: bytes, pieces: Iterable[tuple[Part, bytes, bool]]) -> list[list[str]]:
    """Return all folded texts of a message by zone (``values.search.ZONES``).

    :param header: its own, with the prefix. :param pieces: of each of ``pieces.searched_pieces`` the part, the octets, and
        whether BODY looks into it.
    """
    zones: list[list[str]] = [[] for _ in ZONES]
    for _, name, start, end in scan_fields(header):
        field = name.lower().decode("latin-1")
        if field in SHOWN_FIELDS:
            zones[SHOWN] += field_texts(field, [header[start:end]])
    zones[HEADER].append(fold(header_text(header)))
    for part, raw, in_body in pieces:
        zones[BODY if in_body else HEADER].append(fold(searchable(part, raw)))
    return zones
