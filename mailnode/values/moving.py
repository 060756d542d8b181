"""What is asked and told of mail that moves in or out, between the ``mailnode`` command and the store."""

from __future__ import annotations

import hashlib
import json
from typing import NamedTuple, TypedDict


class MailboxHere(TypedDict):
    """A mailbox that mail moves to or from."""

    id: int
    name: str
    special_use: str
    selectable: bool
    subscribed: bool
    messages: int
    uidvalidity: int
    uidnext: int
    noted: str  # what an import from the same source noted of it last; "": nothing


class MailboxesHere(TypedDict):
    """All mailboxes of an account."""

    address: str
    largest: int  # octets of the largest message that is taken
    mailboxes: list[MailboxHere]


class MessageHere(TypedDict):
    """A message that stands in a mailbox."""

    uid: int
    digest: (
        str  # SHA-256 of its content, in hexadecimal; where delivery put something on top, of that and of what is below
    )
    on_top: int  # octets of what delivery put on top of it
    message_id: str  # without brackets
    internaldate: int  # UTC seconds
    offset: int  # minutes east
    size: int  # RFC822.SIZE
    flags: list[str]  # names, keywords included


def digest_of(on_top: bytes, below: bytes) -> bytes:
    """Return what a message is known by. What is below is stored once for all who got it, and its digest with it: no content has
    to be read for this. :param on_top: what delivery put there; ``b""``: nothing. :param below: SHA-256 of all else."""
    return hashlib.sha256(on_top).digest() + below if on_top else below


class MessagesHere(TypedDict):
    """A page of the messages of a mailbox, ascending."""

    uidnext: int  # before which all of the page and before it was looked at
    more: bool
    messages: list[MessageHere]


class MessagesPlaced(TypedDict):
    """Messages that stand in a mailbox now; durable."""

    behind: bool  # nothing was done: the mailbox has messages that whoever asks has not seen
    uidnext: int
    uids: list[int]  # in the order of the messages
    lost_keywords: list[str]  # for which the account has no room


class FlagsAdded(TypedDict):
    """How many messages have flags that they had not."""

    changed: int


class ImportNoted(TypedDict):
    """What the next import from the same source will be told."""

    noted: str


class ContentsRead(TypedDict):
    """Messages that were written to a file, one after another."""

    octets: list[int]  # of each; -1: it cannot be read, and nothing was written


class ArrivingMessage(NamedTuple):
    """What is told of a message whose octets lie in a file, after those before it."""

    octets: int
    internaldate: int  # UTC seconds
    offset: int = 0  # minutes east
    flags: tuple[str, ...] = ()  # names, keywords included
    uidl: str = ""  # POP3 unique-id (RFC 1939 7); "": it gets one of ours

    def as_text(self) -> str:
        """Return it as one line of JSON."""
        return json.dumps(self)

    @classmethod
    def from_text(cls, text: str) -> ArrivingMessage:
        """Undo :meth:`as_text`. :raises ValueError: it is nothing of that kind."""
        try:
            octets, internaldate, offset, flags, uidl = json.loads(text)
        except (ValueError, TypeError, RecursionError):
            raise ValueError("not a description of a message") from None
        numbers = octets, internaldate, offset
        texts = [*flags, uidl] if isinstance(flags, list) else [None]
        if not all(type(one) is int for one in numbers) or not all(isinstance(one, str) for one in texts):
            raise ValueError("not a description of a message")
        if octets < 1 or abs(offset) > 1440:
            raise ValueError("a message has octets, and a zone is within a day")
        return cls(octets, internaldate, offset, tuple(flags), uidl)
