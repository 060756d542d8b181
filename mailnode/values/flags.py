"""Message flags: a 63-bit map; five system flags, and keywords numbered by a table of the account.

\\Recent is not stored: the store says from which UID on messages are recent to a session (RFC 3501 2.3.2).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

SEEN = 1
ANSWERED = 2
FLAGGED = 4
DELETED = 8
DRAFT = 16
SYSTEM_FLAGS: dict[str, int] = {
    "\\Seen": SEEN,
    "\\Answered": ANSWERED,
    "\\Flagged": FLAGGED,
    "\\Deleted": DELETED,
    "\\Draft": DRAFT,
}
SYSTEM_MASK = SEEN | ANSWERED | FLAGGED | DELETED | DRAFT
KEYWORD_SHIFT = 8
MAX_KEYWORDS = 55  # of one account; bits 8 to 62, so that the map is a signed 64-bit integer in any engine
MAX_KEYWORD_OCTETS = 100

_NOT_IN_ATOMS = frozenset('(){ %*"\\]')
_BY_FOLDED = {name.lower(): bit for name, bit in SYSTEM_FLAGS.items()}


def system_flag(name: str) -> int | None:
    """Return the bit of a system flag, whatever its case, or None."""
    return _BY_FOLDED.get(name.lower())


def is_keyword(name: str) -> bool:
    """Whether a name can be a keyword here: an atom (RFC 9051 9) of bounded length."""
    return (
        0 < len(name) <= MAX_KEYWORD_OCTETS and name.isascii() and name.isprintable() and not set(name) & _NOT_IN_ATOMS
    )


def split_flags(names: Iterable[str]) -> tuple[int, tuple[str, ...]]:
    """Return system flags as bits, and keywords, each once whatever its case; what can be neither is left out."""
    system = 0
    keywords: dict[str, str] = {}
    for name in names:
        system |= system_flag(name) or 0
        if is_keyword(name):
            keywords.setdefault(name.lower(), name)
    return system, tuple(keywords.values())


@dataclass(frozen=True, slots=True)
class KeywordTable:
    """The keywords of one account in the order of their bits. Grows only; compared without case, kept as first written."""

    names: tuple[str, ...] = ()

    def bit(self, keyword: str) -> int | None:
        """Return the bit of a keyword, or None when the account has never used it."""
        folded = keyword.lower()
        for index, name in enumerate(self.names):
            if name.lower() == folded:
                return 1 << (KEYWORD_SHIFT + index)
        return None

    def flag_names(self, bitmap: int) -> tuple[str, ...]:
        """Return the names of all flags in a bitmap: system flags first, then keywords by number."""
        system = tuple(name for name, bit in SYSTEM_FLAGS.items() if bitmap & bit)
        keywords = bitmap >> KEYWORD_SHIFT
        if not keywords:
            return system
        return system + tuple(name for index, name in enumerate(self.names) if keywords >> index & 1)

    @property
    def full(self) -> bool:
        """Whether no further keyword can be added (PERMANENTFLAGS without ``\\*``)."""
        return len(self.names) >= MAX_KEYWORDS
