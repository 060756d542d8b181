"""Rights on mailboxes (RFC 4314 2): sets of letters, in one order; identifiers that have them; what each operation needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mailnode.values.flags import DELETED, SEEN

LOOKUP, READ, KEEP_SEEN, WRITE, INSERT, POST = "l", "r", "s", "w", "i", "p"
CREATE, DELETE_MAILBOX, DELETE_MESSAGES, EXPUNGE, ADMINISTER = "k", "x", "t", "e", "a"
ALL = "lrswipkxtea"  # what an owner has; nobody takes it from them
NEW = "kxte"  # not known to older clients (RFC 4314 2.2)
# RFC 4314 2.1.1: what older clients call by one letter.
OBSOLETE = {"c": "kx", "d": "te"}
TELLING = "lrikxa"  # MYRIGHTS takes any of these (RFC 4314 4)
NOTING = "rswip"  # what is noted about a mailbox is told to who may look it up and has any of these (RFC 5464 3.3)

ANYONE = "anyone"
NEGATIVE = "-"  # in front of an identifier: what it has not, whatever else says so (RFC 4314 2)


def rights_from(text: str) -> str | None:
    """Return the rights that letters name, in order; None: one of them names none (RFC 4314 3.1)."""
    letters: set[str] = set()
    for letter in text:
        if letter not in ALL and letter not in OBSOLETE:
            return None
        letters.update(OBSOLETE.get(letter, letter))
    return ordered(letters)


def ordered(letters: Iterable[str]) -> str:
    """Return rights in their order."""
    found = set(letters)
    return "".join(letter for letter in ALL if letter in found)


def shown(rights: str) -> str:
    """Return what a client is told: the obsolete letters besides, for each of which it has any (RFC 4314 2.1.1)."""
    return rights + "".join(old for old, members in OBSOLETE.items() if not set(members).isdisjoint(rights))


def effective(entries: Mapping[str, str], reader: str) -> str:
    """Return the rights of somebody who is not the owner.

    :param entries: rights by identifier. :param reader: an account's id.
    """
    has: set[str] = set()
    lacks: set[str] = set()
    for identifier in (reader, ANYONE):
        has.update(entries.get(identifier, ""))
        lacks.update(entries.get(NEGATIVE + identifier, ""))
    return ordered(has - lacks)


def settable(rights: str) -> int:
    """Return the bits of the flags that may be set and removed (RFC 4314 4)."""
    mask = SEEN if KEEP_SEEN in rights else 0
    mask |= DELETED if DELETE_MESSAGES in rights else 0
    return mask | (~(SEEN | DELETED) & (1 << 63) - 1 if WRITE in rights else 0)
