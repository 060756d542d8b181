"""What SORT and THREAD (RFC 5256 3) compare, made of stored facts. May run in another process."""

from __future__ import annotations

import json
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b

from mailnode.imap.messages.columns import LINKS, Values
from mailnode.message.sortkeys import MAX_REFERENCES
from mailnode.values.casemap import casemap
from mailnode.values.facts import SortKeys
from mailnode.values.rows import StoredRow

STORED_NUMBERS = frozenset({"ARRIVAL", "SIZE"})  # which stand in columns of their own
_TEXTS = {
    "SUBJECT": "subject_base",
    "FROM": "from_mailbox",
    "TO": "to_mailbox",
    "CC": "cc_mailbox",
    "DISPLAYFROM": "from_display",
    "DISPLAYTO": "to_display",
}

# By messages of the mailbox, up to so many: 32 MiB of a text, 4,000,000 references of all messages together. In few steps,
# because what was read before is read again where another begins.
OCTETS = ((32_768, 1024), (131_072, 256), (524_288, 64))
LEAST_OCTETS = 32
REFERENCES = ((40_000, MAX_REFERENCES), (100_000, 40), (400_000, 10))
LEAST_REFERENCES = 4


@dataclass(frozen=True, slots=True)
class Room:
    """How much of a message is compared, which bounds what a large mailbox takes: so many octets of each text, beyond which
    texts are only told apart; so many references, the first and the nearest of them. ``secret``: message ids are told apart
    by 64 bits, which nobody can make equal who does not know it."""

    octets: int
    references: int
    secret: bytes

    @classmethod
    def for_mailbox(cls, messages: int, secret: bytes) -> Room:
        """Return what there is for each of so many messages."""
        octets = next((octets for most, octets in OCTETS if messages <= most), LEAST_OCTETS)
        references = next((references for most, references in REFERENCES if messages <= most), LEAST_REFERENCES)
        return cls(octets, references, secret)


def sources(names: Sequence[str]) -> list[str]:
    """Return the columns of the store that these columns are made of."""
    needed = []
    if "ARRIVAL" in names or "DATE" in names:
        needed.append("internaldate")
    if "SIZE" in names:
        needed.append("size")
    if any(name not in ("ARRIVAL", "SIZE") for name in names):
        needed.append("sort")
    return needed


def pieces(names: Sequence[str]) -> list[bytes | str]:
    """Return what ``IMailbox.rendered`` is to say of each message for :func:`decode`."""
    said: list[bytes | str] = [b"[", "uid"]
    for source in sources(names):
        said += [b",", source]
    return [*said, b"],"]


def row_octets(row: StoredRow) -> bytes:
    """Return the same of a row of the UID and :func:`sources`."""
    return b"[%b]," % b",".join([value if isinstance(value, bytes) else b"%d" % value for value in row])


def decode(said: bytes, names: Sequence[str], room: Room) -> tuple[array[int], list[Values]]:
    """Return the UIDs of messages and the values of each column. :param said: by :func:`pieces`; a message whose facts
    cannot be read is left out."""
    if "sort" not in sources(names):
        return _decode_numbers(said, names)
    try:
        rows = json.loads(b"[%b]" % said[:-1])
    except ValueError:
        rows = _readable(said)
    places = {name: place for place, name in enumerate(sources(names), 1)}
    uids = array("I", [row[0] for row in rows])
    return uids, [_made(name, rows, places, room) for name in names]


def _decode_numbers(said: bytes, names: Sequence[str]) -> tuple[array[int], list[Values]]:
    """The same where no message says anything but numbers: without a list for each."""
    columns = ["uid", *sources(names)]
    numbers = json.loads(b"[%b]" % said[:-1].translate(None, b"[]"))
    made: dict[str, Values] = {}
    for name, source in (("SIZE", "size"), ("ARRIVAL", "internaldate")):
        if name in names:
            values = numbers[columns.index(source) :: len(columns)]
            made[name] = array("q", values if name == "SIZE" else [at // 1_000_000 for at in values])
    return array("I", numbers[:: len(columns)]), [made[name] for name in names]


def _readable(said: bytes) -> list[StoredRow]:
    """Return the rows that are JSON: each begins with its UID, behind the comma of the last."""
    rows = []
    for line in said.replace(b"],[", b"],\n[").split(b"\n"):
        try:
            row = json.loads(line[:-1])
        except ValueError:
            continue
        rows.append(row)
    return rows


_PLACES = {name: place for place, name in enumerate(SortKeys._fields)}


def _made(name: str, rows: Sequence[StoredRow], places: dict[str, int], room: Room) -> Values:
    if name == "SIZE":
        size = places["size"]
        return array("q", [row[size] for row in rows])
    if name == "ARRIVAL":
        arrival = places["internaldate"]
        return array("q", [row[arrival] // 1_000_000 for row in rows])
    sort = places["sort"]
    if name == "DATE":
        date, arrival = _PLACES["date"], places["internaldate"]
        dates = [row[arrival] if row[sort][date] is None else row[sort][date] for row in rows]
        return array("q", [at // 1_000_000 for at in dates])
    if name == "REPLY":
        reply = _PLACES["is_reply"]
        return array("q", [row[sort][reply] for row in rows])
    if name == LINKS:
        return _links([row[sort] for row in rows], room)
    place, key = _PLACES[_TEXTS[name]], partial(_key, octets=room.octets)
    return b"\0".join([key(row[sort][place]) for row in rows])


def _key(text: str, octets: int) -> bytes:
    key = casemap(text).encode("utf-8", "surrogatepass")
    if len(key) > octets:
        return key[:octets] + blake2b(key, digest_size=8).hexdigest().encode()
    return key


def _links(keys: Sequence[StoredRow], room: Room) -> array[int]:
    """Message ids as numbers; each is looked at once."""
    own, references = _PLACES["message_id"], _PLACES["references"]
    numbers: dict[str, int] = {"": 0}
    secret, most = room.secret, room.references
    links = array("q")
    for key in keys:
        named = key[references]
        if len(named) > most:
            named = [named[0], *named[1 - most :]]
        said = []
        for name in (key[own], *named):
            number = numbers.get(name)
            if number is None:
                digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8, key=secret).digest()
                number = numbers[name] = int.from_bytes(digest, "little", signed=True) or 1
            said.append(number)
        said.insert(1, len(named))
        links.extend(said)
    return links
