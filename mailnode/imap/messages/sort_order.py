"""Sort criteria (RFC 5256 5, RFC 5957 4, RFC 6203 6) as they are read, and threads. The latter may run in another process."""

from __future__ import annotations

from array import array
from collections.abc import Mapping

from mailnode.imap.messages.columns import LINKS, NUMBERS, Column, links_of, numbers_of, texts_of
from mailnode.imap.messages.ordered import RELEVANCY, Criterion
from mailnode.imap.messages.threads import ALGORITHMS, Threaded, thread_lists
from mailnode.imap.wire.lexer import CommandFault, Lexer

KEYS = frozenset({"ARRIVAL", "CC", "DATE", "FROM", "SIZE", "SUBJECT", "TO", "DISPLAYFROM", "DISPLAYTO"})


# sort-criteria = "(" sort-criterion *(SP sort-criterion) ")" ; sort-criterion = ["REVERSE" SP] sort-key
def read_criteria(lexer: Lexer) -> tuple[Criterion, ...]:
    """Read sort-criteria; of those with the same key only the first changes anything. :raises CommandFault:"""

    def criterion() -> Criterion:
        key, reverse = lexer.word(), False
        if key == "REVERSE":
            lexer.space()
            key, reverse = lexer.word(), True
        if key not in KEYS and key != RELEVANCY:
            raise CommandFault("Unknown sort criterion")
        return Criterion(key, reverse)

    first: dict[str, Criterion] = {}
    for one in lexer.parenthesized(criterion, minimum=1):
        first.setdefault(one.key, one)
    return tuple(first.values())


THREAD_KEYS = {
    "ORDEREDSUBJECT": ("DATE", "SUBJECT"),
    "REFERENCES": ("DATE", "SUBJECT", "REPLY", "LINKS"),
    "REFS": ("DATE", "LINKS"),
}


def threaded(columns: Mapping[str, Column], uids: array[int], algorithm: str, indexes: array[int] | None) -> bytes:
    """Return thread-lists of messages. :param indexes: of the view, by which each is called; None: by its UID."""
    numbered = {name: numbers_of(column, uids) for name, column in columns.items() if name in NUMBERS}
    given = Threaded(
        numbered["DATE"],
        subjects=texts_of(columns["SUBJECT"], uids) if "SUBJECT" in columns else (),
        replies=numbered.get("REPLY", ()),
        links=links_of(columns[LINKS], uids) if LINKS in columns else (),
    )
    numbers = uids if indexes is None else [index + 1 for index in indexes]
    return thread_lists(ALGORITHMS[algorithm](given), numbers)
