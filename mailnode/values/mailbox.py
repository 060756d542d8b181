"""Mailboxes and messages as they pass between the store and the protocols."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import NamedTuple

from mailnode.values.blob import StagedBlob
from mailnode.values.facts import EncodedFacts
from mailnode.values.flags import KeywordTable

# RFC 6154 attributes made with every account, by mailbox name.
# All uses that a mailbox may have here (RFC 6154 2), by capitals.
SPECIAL_USES = {
    name.upper(): name for name in ("\\All", "\\Archive", "\\Drafts", "\\Flagged", "\\Junk", "\\Sent", "\\Trash")
}
SPECIAL_USE = {"Drafts": "\\Drafts", "Sent": "\\Sent", "Junk": "\\Junk", "Trash": "\\Trash", "Archive": "\\Archive"}


@dataclass(frozen=True, slots=True)
class MailboxInfo:
    """One mailbox of an account. ``special_use`` is an RFC 6154 attribute or ""."""

    id: int
    name: str  # full name, levels joined with "/"
    uidvalidity: int
    special_use: str = ""
    selectable: bool = True
    subscribed: bool = False
    account_id: str = ""  # the owner, where that is somebody else


@dataclass(frozen=True, slots=True)
class MailboxStatus:
    """Counts of one mailbox at one moment (RFC 9051 6.3.11). ``size`` is the sum of RFC822.SIZE."""

    mailbox_id: int
    messages: int
    recent: int
    unseen: int
    deleted: int
    size: int
    uidnext: int
    uidvalidity: int
    highest_modseq: int
    account_id: str = ""  # the owner, where that is somebody else


@dataclass(frozen=True, slots=True)
class MailboxSnapshot:
    """The live messages of one mailbox at one modseq; three arrays of equal length, ascending by UID.

    ``recent_from``: messages with UIDs at or above it are \\Recent to the session that asked (0xFFFFFFFF: none).
    """

    mailbox_id: int
    uidvalidity: int
    uidnext: int
    highest_modseq: int
    uids: array[int]  # typecode "I"
    flags: array[int]  # typecode "Q"
    modseqs: array[int]  # typecode "Q"
    keywords: KeywordTable
    recent_from: int = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class MailboxChanges:
    """What happened in one mailbox after a modseq. A UID may stand in ``expunged`` only, never in both."""

    highest_modseq: int
    uidnext: int
    changed: tuple[tuple[int, int, int], ...]  # (uid, flags, modseq), ascending by UID: new and altered live messages
    expunged: tuple[int, ...]  # ascending
    keywords: KeywordTable
    recent_from: int = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a message stands. ``flags`` are bits of system flags and of the account's keywords."""

    mailbox_id: int
    uid: int
    flags: int
    modseq: int


@dataclass(frozen=True, slots=True)
class AccountChanges:
    """What happened in a whole account after a modseq, up to ``modseq``; with ``more``, the rest is to be asked for from
    there. Messages by id, mailboxes by id, ascending. A message is made with its first placement and destroyed with its
    last; one that was both is in none of the lists. A mailbox changed when it was made, renamed, or anything in it did."""

    modseq: int
    more: bool
    made: tuple[int, ...]
    altered: tuple[int, ...]  # flags, or the mailboxes they stand in
    destroyed: tuple[int, ...]
    mailboxes: tuple[int, ...]
    deleted_mailboxes: tuple[int, ...]


class NewMessage(NamedTuple):
    """A message to be placed. ``prefix`` are header lines of this copy only (Return-Path, Delivered-To), each with
    CRLF; they stand before the blob in everything a client reads. INTERNALDATE is UTC microseconds and minutes east."""

    blob: StagedBlob
    facts: EncodedFacts
    internaldate: int
    internaldate_offset: int = 0
    prefix: bytes = b""
    flags: int = 0  # system bits only
    keywords: tuple[str, ...] = ()
    uidl: str | None = None  # POP3 unique-id kept by an import


@dataclass(frozen=True, slots=True)
class Appended:
    """The result of an append: one UID a message, in order."""

    uidvalidity: int
    uids: tuple[int, ...]
    modseq: int


@dataclass(frozen=True, slots=True)
class Copied:
    """The result of COPY or MOVE: source and new UIDs, pairwise, ascending by source."""

    uidvalidity: int  # of the target
    source: tuple[int, ...]
    target: tuple[int, ...]
    modseq: int


@dataclass(frozen=True, slots=True)
class FlagsStored:
    """The result of a flag change."""

    changed: tuple[tuple[int, int, int], ...]  # (uid, flags, modseq) of every addressed live message, altered or not
    modified: tuple[int, ...]  # UIDs left alone because their modseq was above UNCHANGEDSINCE
    keywords: KeywordTable
    modseq: int
    before: tuple[int, ...]  # the flags that each of ``changed`` had


class CopyPlace(NamedTuple):
    """One mailbox of several that an account's scripts file a message into. What comes first decides: ``mailbox_id`` (0: none);
    ``special_use`` as in :class:`DeliveryPlan`; ``use``, an attribute that some mailbox has (RFC 8579); ``mailbox``, which is made,
    with ``use``, where ``create`` says so (RFC 5490 3.2). INBOX when all that leads nowhere."""

    mailbox: str = "INBOX"
    flags: int = 0
    keywords: tuple[str, ...] = ()
    special_use: str = ""
    create: bool = False
    use: str = ""
    mailbox_id: int = 0


class DeliveryPlan(NamedTuple):
    """What to do with a message for one local account. ``mailbox`` is a full name; INBOX when it does not exist.
    ``special_use``: an attribute of RFC 6154: the account's mailbox for that, which is made when it has none, goes before
    ``mailbox``. ``places``: where scripts file it, in place of all that; one copy in each of these mailboxes."""

    account_id: str
    recipient: str  # the address it came in for, for the log and for idempotence
    mailbox: str = "INBOX"
    flags: int = 0
    keywords: tuple[str, ...] = ()
    prefix: bytes = b""
    special_use: str = ""
    places: tuple[CopyPlace, ...] = ()

    @property
    def wanted(self) -> tuple[CopyPlace, ...]:
        """Where copies go, at least one."""
        return self.places or (CopyPlace(self.mailbox, self.flags, self.keywords, self.special_use),)


class Delivered(NamedTuple):
    """One copy placed, or found placed already by an earlier run of the same plan; the first of several."""

    account_id: str
    recipient: str
    mailbox_id: int
    uid: int
    modseq: int


@dataclass(frozen=True, slots=True)
class Usage:
    """Quota limits (0: none) and usage of one account: octets, messages and, where they are limited, mailboxes."""

    bytes_used: int
    bytes_limit: int
    count_used: int
    count_limit: int
    mailboxes_limit: int = 0
    mailboxes_used: int = 0  # counted only where there is a limit


@dataclass(frozen=True, slots=True)
class PopMessage:
    """One message of a maildrop: ``size`` as RETR sends it before dot-stuffing; ``uidl`` 1 to 70 printable characters."""

    uid: int
    size: int
    uidl: str


# Columns a session may ask of ``IMailbox.rows``, with the type of each value.
COLUMNS = {
    "message_id": int,  # of the account; the same in every mailbox the message stands in
    "thread_id": int,
    "internaldate": int,  # UTC microseconds
    "internaldate_offset": int,  # minutes east
    "savedate": int,  # UTC microseconds
    "size": int,  # RFC822.SIZE: prefix and blob
    "prefix": bytes,
    "header_size": int,  # of the blob
    "envelope": bytes,
    "bodystructure": bytes,
    "body": bytes,
    "fields": bytes,  # raw kept fields, prefix not included; see values.facts
    "preview": bytes,  # its first words, UTF-8
    "parts": bytes,  # values.facts.decode_parts
    "sort": bytes,  # values.facts.decode_sort_keys
    "blob": object,  # BlobRef
    "content": object,  # bytes: the blob whole, where it is cheap to read with its row; BlobDamaged; or None: ask read()
    "flags": int,  # as they stand in the store now, not in the session's view
    "modseq": int,
}
