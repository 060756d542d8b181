"""The same messages in two servers, and whatever one of them answers otherwise than the other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.interop.tree import fetched, read

MAILBOX = "nasty"
SECTIONS = (
    "", "HEADER", "TEXT", "1", "1.MIME", "1.HEADER", "1.TEXT", "1.1", "1.1.MIME", "1.2", "2", "2.MIME", "2.HEADER", "2.TEXT", "2.1",
    "2.1.MIME", "3", "9", "HEADER.FIELDS (SUBJECT X-NASTY FROM)", "HEADER.FIELDS (NOTHING)",
    "HEADER.FIELDS.NOT (SUBJECT RECEIVED)", "1.HEADER.FIELDS (TO)", "2.HEADER.FIELDS.NOT (TO)",
)  # fmt: skip
PARTIALS = (
    "[]<0.10>",
    "[]<7.100>",
    "[]<1000000.5>",
    "[HEADER]<3.50>",
    "[TEXT]<1.20>",
    "[1]<2.5>",
    "[HEADER.FIELDS (SUBJECT)]<4.9>",
)
ITEMS = (
    "FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY", "BODYSTRUCTURE", "RFC822", "RFC822.HEADER", "RFC822.TEXT",
    *(f"BODY.PEEK[{section}]" for section in SECTIONS), *(f"BODY.PEEK{partial}" for partial in PARTIALS),
)  # fmt: skip
_TEXTS = ("hello", "zebra", "alice", "bob@b.test", "Ärger", "naïve", "list", "a.test", "fwd", "nothing of the kind", "")
_KEYS = (
    "ALL", "ANSWERED", "UNDELETED", "FLAGGED UNSEEN", "NOT SEEN", "OR SEEN FLAGGED", "KEYWORD odd", "UNKEYWORD odd", "LARGER 1500",
    "SMALLER 700", "BEFORE 3-Feb-2023", "ON 2-Feb-2023", "SINCE 4-Feb-2023", "SENTBEFORE 1-Jan-2024", "SENTON 2-Jan-2024",
    "SENTSINCE 1-Jan-2024", "SENTON 31-Dec-2023", "1:20,40", "NOT 1:100", "UID 5:*", 'HEADER X-Nasty ""', "HEADER X-Nasty b",
    'HEADER Message-ID "@x.test"', 'HEADER Subject ""', "HEADER Content-Type multipart", "NOT (SEEN OR FROM alice TO bob)",
    'HEADER Received "a"', "HEADER References x.test", 'HEADER "X Space" in', "OLDER 100", "YOUNGER 100000000",
)  # fmt: skip
SEARCHES = (
    *_KEYS,
    *(f'{key} "{text}"' for text in _TEXTS for key in ("FROM", "TO", "CC", "BCC", "SUBJECT", "BODY", "TEXT")),
)
SORTS = (
    "ARRIVAL", "DATE", "SIZE", "SUBJECT", "FROM", "TO", "CC", "REVERSE SUBJECT", "REVERSE FROM SUBJECT", "SUBJECT REVERSE DATE",
    "DISPLAYFROM", "DISPLAYTO",
)  # fmt: skip
THREADS = ("ORDEREDSUBJECT", "REFERENCES", "REFS")
# A subject in a charset that nobody knows, a group before any mailbox: what these are ordered by no item of FETCH shows.
_ODD_KEY = re.compile(rb'(?im)=\?x-none\?|^(?:from|to|cc)[ \t]*:[^<@",\r\n]*:')
ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Difference:
    """One value of an answer about one message: of a search, whether it is found; of an order or threads, number 0."""

    asked: str
    number: int
    path: tuple[object, ...]  # of the value in the answer
    ours: object
    theirs: object
    parent: object  # what the value stands in, in Dovecot's answer
    message: bytes
    read_otherwise: frozenset[int] = frozenset()  # of an order: the messages whose keys the two read otherwise

    @property
    def header(self) -> bytes:
        """Of the message, with its last line end."""
        return self.message.partition(b"\r\n\r\n")[0] + b"\r\n"


def leaves(ours: object, theirs: object, path: tuple[object, ...] = (), parent: object = None) -> Iterator[tuple]:
    """Yield (path, ours, theirs, what theirs stands in) of the smallest values that differ; ABSENT where one has none."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in [*ours, *(key for key in theirs if key not in ours)]:
            yield from leaves(ours.get(key, ABSENT), theirs.get(key, ABSENT), (*path, key), theirs)
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from leaves(one, other, (*path, index), theirs)
    elif ours != theirs:
        yield path, ours, theirs, parent


class Pair:
    """Sessions with both, in which a mailbox has the same messages."""

    def __init__(self, ours, theirs, messages: list[bytes]) -> None:
        """:param ours: and ``theirs``: clients with ``ask(command octets)`` -> untagged and tagged responses."""
        self._both = ours, theirs
        self._messages = messages
        self._read_otherwise = {
            number for number, message in enumerate(messages, 1) if _ODD_KEY.search(message.partition(b"\r\n\r\n")[0])
        }

    def load(self) -> None:
        """Append all messages, with flags and dates by their place, and select the mailbox read-only."""
        for client in self._both:
            client.ask(f"CREATE {MAILBOX}".encode())
            for number, message in enumerate(self._messages):
                flags = " ".join(
                    flag
                    for step, flag in ((2, r"\Seen"), (3, r"\Flagged"), (5, r"\Answered"), (7, "odd"))
                    if not number % step
                )
                date = f"{1 + number // 60 % 28:02d}-Feb-2023 {number // 1680 % 24:02d}:{number % 60:02d}:00 +0000"
                client.ask(b'APPEND %b (%b) "%b" {%d+}\r\n%b' % (
                    MAILBOX.encode(), flags.encode(), date.encode(), len(message), message
                ))  # fmt: skip
            client.ask(f"EXAMINE {MAILBOX}".encode())

    def differences(self) -> Iterator[Difference]:
        """Yield all that is answered differently."""
        for item in ITEMS:
            yield from self._fetches(item)
        for key in SEARCHES:
            yield from self._searches(key)
        for criteria in SORTS:
            yield from self._orders(criteria)
        for algorithm in THREADS:
            yield from self._threads(algorithm)

    def _fetches(self, item: str) -> Iterator[Difference]:
        ours, theirs = (fetched(client.ask(f"FETCH 1:* ({item})".encode())) for client in self._both)
        for number, message in enumerate(self._messages, 1):
            one, other = (
                {name: value for name, value in said.get(number, {}).items() if name != b"UID"}
                for said in (ours, theirs)
            )
            for leaf in leaves(one, other):
                if item == "ENVELOPE" or item == "RFC822.SIZE":
                    self._read_otherwise.add(number)
                yield Difference(item, number, *leaf, message)

    def _searches(self, key: str) -> Iterator[Difference]:
        octets = key.encode()
        charset = b"CHARSET UTF-8 " if not key.isascii() else b""
        if charset:
            octets = re.sub(rb'"([^"]*)"', lambda found: b"{%d+}\r\n%b" % (len(found[1]), found[1]), octets)
        ours, theirs = (_numbers(client.ask(b"SEARCH " + charset + octets)) for client in self._both)
        for number in sorted(ours ^ theirs):
            yield Difference(
                f"SEARCH {key}", number, (), number in ours, number in theirs, None, self._messages[number - 1]
            )

    def _orders(self, criteria: str) -> Iterator[Difference]:
        said = (_listed(client.ask(f"SORT ({criteria}) UTF-8 ALL".encode())) for client in self._both)
        ours, theirs = (list(map(int, order)) for order in said)
        if ours != theirs:
            yield Difference(f"SORT {criteria}", 0, (), ours, theirs, None, b"", frozenset(self._read_otherwise))

    def _threads(self, algorithm: str) -> Iterator[Difference]:
        ours, theirs = (_listed(client.ask(f"THREAD {algorithm} UTF-8 ALL".encode())) for client in self._both)
        if ours != theirs:
            yield Difference(f"THREAD {algorithm}", 0, (), ours, theirs, None, b"")


def _numbers(lines: list[bytes]) -> set[int]:
    return {int(number) for line in lines if line.startswith(b"* SEARCH") for number in line.split()[2:]}


def _listed(lines: list[bytes]) -> list:
    return [value for line in lines if line.startswith((b"* SORT", b"* THREAD")) for value in read(line)[2:]]
