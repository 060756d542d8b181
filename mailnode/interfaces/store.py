"""The store: blobs, accounts' mail, the queue. Every ``async`` method that changes something returns
after COMMIT has (and with it the sync): its return is what an acknowledgement may stand on.

Any of them may raise :class:`mailnode.errors.StoreUnavailable`.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from zope.interface import Attribute, Interface

from mailnode.errors import BlobDamaged
from mailnode.values.blob import BlobRef, EncodedContent, StagedBlob
from mailnode.values.mailbox import (
    AccountChanges,
    Appended,
    Copied,
    Delivered,
    DeliveryPlan,
    FlagsStored,
    MailboxChanges,
    MailboxInfo,
    MailboxSnapshot,
    MailboxStatus,
    NewMessage,
    Placed,
    PopMessage,
    Usage,
)
from mailnode.values.queue import (
    EVERYTHING,
    Claim,
    DueDestination,
    EnqueuedTogether,
    NewEnvelope,
    PastAttempt,
    PastRecipient,
    QueuedEnvelope,
    QueueFilter,
    QueueTally,
    Settlement,
    Steered,
    Steering,
)
from mailnode.values.rows import StoredRow

T = TypeVar("T")


class IBlobWriter(Interface):
    """One message on its way to disk. Up to some MiB stay in memory, more goes to a temporary file as it comes."""

    size = Attribute("octets written so far")

    async def write(data: bytes) -> None:
        """Append octets; awaiting it is the back-pressure. :raises LimitReached: over the writer's limit."""

    async def read(offset: int, length: int) -> bytes:
        """Return octets of what was written so far; fewer only at its end. Not after any of the following."""

    async def finish() -> StagedBlob:
        """Hash, compress and, when it is a file, sync file and directory. May be called once."""

    async def finish_with(look: Callable[[bytes], T]) -> tuple[StagedBlob, T | None]:
        """In the place of :meth:`finish`: the same, and what ``look`` makes of the content, run in a thread beside it; None
        when the content was too large to stay in memory."""

    def take() -> bytes:
        """In the place of :meth:`finish`, when ``size`` is at most 64 KiB: return the content, which is staged by
        :meth:`IBlobs.put`. May be called once."""

    def abort() -> None:
        """Throw the content away; no error if finished or aborted before."""


class IBlobs(Interface):
    """Message bytes, written once: what protocols and delivery write with."""

    def writer(limit: int) -> IBlobWriter:
        """Begin a blob of at most ``limit`` octets."""

    async def put(data: bytes, encoded: EncodedContent | None = None) -> StagedBlob:
        """Stage bytes that are in memory. :param encoded: what :attr:`IBlobStore.encode` made of them, if it did."""

    async def read_staged(blob: StagedBlob, offset: int = 0, length: int | None = None) -> bytes:
        """Read content that is staged but not placed yet (to scan it)."""


class IBlobStore(IBlobs):
    """The same, and what the store reads and sweeps with."""

    encode = Attribute("bytes -> EncodedContent: a module-level function, which may run in another process")
    shares = Attribute("int: how many parts :meth:`listing` has; each is small enough to be listed at once")
    tell_damaged = Attribute(
        "called with a blob's id and words when its content is found missing, cut short or changed"
    )

    async def missing(blob_ids: Sequence[str]) -> list[str]:
        """Return which of these have no file."""

    def prepare() -> bool:
        """Make ready what is there, and throw away what a crash left half-written; return whether nothing was there. Once,
        under the data directory's lock, before anything else. Blocks. :raises OSError: it cannot be written."""

    def trouble() -> str:
        """Say what keeps new content from being found again; "" when nothing does. Blocks."""

    async def read(ref: BlobRef, stored: bytes | None, offset: int = 0, length: int | None = None) -> bytes:
        """Read content octets; fewer than asked only at the end.

        :param stored: the stored form of an inline blob, None when its row is missing; not looked at for others.
        :raises BlobDamaged: missing, short or, when read whole or inline, not matching its digest.
        """

    async def read_whole(refs: Sequence[BlobRef]) -> dict[str, bytes | BlobDamaged]:
        """Read blobs that are not inline, whole, by one hop; the error in place of a damaged one."""

    async def listing(share: int, before: float) -> list[str]:
        """Return the ids of blobs that are not inline and were written before ``before`` (UTC seconds), of one share."""

    async def what_is_wrong(refs: Sequence[BlobRef]) -> dict[str, str]:
        """Read blobs that are not inline; say in words, by id, what is wrong with those that are not what was written."""

    async def remove(blob_ids: Sequence[str]) -> None:
        """Remove blobs that are not inline; no error if they are gone."""


class IMailbox(Interface):
    """One mailbox of one account: the contract IMAP, POP3 and delivery share. It outlives no deletion:
    every method raises :class:`NoSuchMailbox` once the mailbox is gone."""

    account_id = Attribute("str: the owner")
    id = Attribute("int: the mailbox id within the account")
    hints = Attribute("tuple[str, ...]: what hints about its changes are published for")

    async def snapshot(claim_recent: bool = False) -> MailboxSnapshot:
        """All live messages. ``claim_recent`` (SELECT, not EXAMINE): those nobody was told of become \\Recent to this
        caller alone."""

    async def changes(since: int, claim_recent: bool = False, heard: int | None = None) -> MailboxChanges:
        """What happened after modseq ``since``; cheap when nothing did.

        :param heard: the modseq a hint told of: what this process knows of the changes up to there is enough, ``uidnext``
            may then be 0. None: the store is asked.
        """

    async def expunged(since: int) -> array[int] | None:
        """UIDs of what was expunged after modseq ``since``, ascending, typecode "I". None: it is kept no more of all of them
        that they were there."""

    async def rows(uids: Sequence[int], columns: Sequence[str], keep: bool = False) -> list[StoredRow]:
        """Return ``(uid, *columns)`` for each of the ascending UIDs that exists, expunged ones included while they are
        kept, ascending. At most 256 UIDs. Columns: ``values.mailbox.COLUMNS``; ``content`` only beside ``blob``.

        :param keep: have them in memory from now on: a program shows them, and may ask for more of the same messages.
        :raises RowsDamaged: some of these messages cannot be read; it has the rows of the others.
        """

    async def rendered(uids: Sequence[int], number: int, pieces: Sequence[bytes | str]) -> bytes | None:
        """Return what each of these messages says, one after another. None: among the UIDs from the first to the last
        others are live than these, or one's facts are too large for its row; ask for :meth:`rows`.

        :param uids: ascending, from 1 to 512, or to 8,192 where but numbers are said; with all that were live between the
            first and the last at some time, for the store counts how many are now. :param number: what the first is
            counted as. :param pieces: what a message says: octets stand for themselves, "number" and "uid" for these in
            decimal, and so do the columns "size", "internaldate", "envelope", "bodystructure", "body" and "sort".
        """

    async def read(blob: BlobRef, offset: int = 0, length: int | None = None) -> bytes:
        """Return content octets of a message of this account; fewer than asked only at its end.

        :raises BlobDamaged: missing, short, or (when read whole) not matching its digest.
        """

    async def read_several(blobs: Sequence[BlobRef], keep: bool = False) -> list[bytes | BlobDamaged]:
        """Return messages of this account whole, the error in place of a damaged one. For small ones: all are held at
        once. :param keep: as for :meth:`rows`."""

    async def append(messages: Sequence[NewMessage]) -> Appended:
        """Place new messages, all or none. :raises OverQuota, KeywordLimit:"""

    async def replace(uid: int, target: int, message: NewMessage) -> Appended:
        """Place a new message in the mailbox ``target`` and expunge one of this mailbox, in one atomic step; the quota is asked
        for what both come to (RFC 8508 3.4).

        :raises NoSuchMessage: it is not live. :raises NoSuchMailbox: one of the two is gone.
        :raises OverQuota, KeywordLimit:
        """

    async def store_flags(
        uids: Sequence[int],
        mode: str,
        flags: int,
        keywords: Sequence[str] = (),
        unchanged_since: int | None = None,
    ) -> FlagsStored:
        """Change flags of live messages, atomically: ``mode`` is "set", "add" or "remove"; ``flags`` are system bits,
        ``keywords`` names (new ones enter the account's table). A change that alters nothing raises no modseq.
        At most 1,000 UIDs a unit: more run as several units, UIDs in order.

        :raises KeywordLimit: the table is full and a new keyword was given.
        """

    async def copy(uids: Sequence[int], target: int) -> Copied:
        """Place the live ones of these messages in another mailbox too, all or none.
        :raises NoSuchMailbox: target is gone. :raises OverQuota:"""

    async def move(uids: Sequence[int], target: int) -> Copied:
        """COPY and expunge in one atomic step (RFC 6851). Moving onto itself gives new UIDs."""

    async def expunge(uids: Sequence[int], only_deleted: bool) -> tuple[int, ...]:
        """Expunge the live ones of these UIDs (``only_deleted``: that carry \\Deleted now); return which, ascending."""

    async def rights() -> str:
        """What whoever opened it may do now (``values.rights``). In a mailbox of somebody else (:meth:`IMailStore.shared`)
        every method but this one raises :class:`NotPermitted` where a right is lacking, and :class:`NoSuchMailbox` where
        even that to look it up is; flags that may not be changed stay as they are, and \\Seen is the reader's own."""


class IMailAccount(Interface):
    """All mailboxes of one account; what the portal hands to IMAP (inside its session avatar)."""

    account_id = Attribute("str")
    hints = Attribute("tuple[str, ...]: what hints about its changes are published for")

    async def mailboxes() -> list[MailboxInfo]:
        """All mailboxes, by name; INBOX first."""

    async def with_inferior(name: str) -> list[MailboxInfo]:
        """Return the mailbox with this canonical name and, if it has any, one directly below it; nothing if there is none."""

    async def named(name: str) -> MailboxInfo:
        """Return the mailbox with this canonical name, selectable or not. :raises NoSuchMailbox:"""

    async def create(name: str, special_use: str = "") -> MailboxInfo:
        """Create a mailbox and missing superiors. :raises MailboxExists, BadMailboxName, LimitReached, OverQuota:"""

    async def delete(mailbox_id: int) -> None:
        """Delete a mailbox and its messages; with inferiors it stays as not selectable.
        :raises NoSuchMailbox: :raises MailboxRefused: INBOX, or not selectable with inferiors."""

    async def rename(mailbox_id: int, name: str) -> None:
        """Rename with all inferiors; UIDs stay. INBOX: its messages move to the new mailbox, INBOX stays, empty.
        :raises MailboxExists, MailboxRefused, BadMailboxName, NoSuchMailbox, LimitReached, OverQuota:"""

    async def subscriptions() -> list[str]:
        """Subscribed names, whether or not such mailboxes exist."""

    async def subscribe(name: str, on: bool) -> None:
        """Add or remove one name; no error if it was so before."""

    async def status(mailbox_ids: Sequence[int]) -> list[MailboxStatus]:
        """Counts of several mailboxes in one snapshot; missing ones are left out."""

    async def status_of(name: str) -> MailboxStatus:
        """Counts of the mailbox with this canonical name. :raises NoSuchMailbox: there is none, or not selectable."""

    def open(mailbox_id: int) -> IMailbox:
        """Return the mailbox object; whether it exists shows at the first call."""

    async def modseq() -> int:
        """The account's highest modseq: has anything changed at all?"""

    async def placements(message_ids: Sequence[int]) -> dict[int, tuple[Placed, ...]]:
        """Where each of these messages stands, by mailbox; nothing of those that stand nowhere. At most 256."""

    async def message(message_id: int, columns: Sequence[str]) -> StoredRow:
        """Columns of ``values.mailbox.COLUMNS`` of one message; flags, modseq and savedate are those of its first
        placement. :raises NoSuchMessage: it stands nowhere. :raises RowsDamaged:"""

    async def changes(since: int, limit: int = 256) -> AccountChanges:
        """What happened in all mailboxes after a modseq, a page of about ``limit`` messages: what one change did to more
        than that is told at once.

        :raises ChangesForgotten: too long ago, or more than 10,000 changes ago.
        """

    async def changed_mailboxes(since: int) -> tuple[int, frozenset[int]]:
        """The account's modseq, and the mailboxes in which something happened to messages after modseq ``since``. In an account
        of somebody else those that may be read. :raises NoSuchMailbox: the account is gone."""

    async def annotated_at(mailbox_ids: Sequence[int], reader: str) -> dict[int, dict[str, int]]:
        """The modseqs at which entries were set, as :meth:`annotations` has their values."""

    async def annotations(mailbox_ids: Sequence[int], reader: str) -> dict[int, dict[str, bytes]]:
        """Values by entry (RFC 5464), lower case, by mailbox, those of one account all at once; 0 is the account itself.
        Mailboxes without any are left out.

        :param reader: the account whose own entries are among them.
        """

    async def annotate(mailbox_id: int, values: Sequence[tuple[str, str, bytes | None]]) -> int:
        """Set entries, all or none, as (reader, or "" for what all share; entry; value, or None to remove it); return the
        account's modseq then. What alters nothing raises no modseq.

        :raises NoSuchMailbox: :raises LimitReached: too many for a mailbox or an account.
        """

    async def rights(mailbox_ids: Sequence[int]) -> dict[int, str]:
        """What whoever has this object may do, by mailbox (``values.rights``); those without any right are left out."""

    async def entries(mailbox_id: int) -> Mapping[str, str]:
        """Rights of others than the owner, by identifier (``values.rights``). :raises NoSuchMailbox, NotPermitted:"""

    async def give_rights(mailbox_id: int, identifier: str, how: str, letters: str) -> bool:
        """Change the rights of an identifier; return whether it is left with none in the whole account.

        :param how: "set", "add" or "remove". :raises NoSuchMailbox, NotPermitted: :raises LimitReached: too many entries.
        """

    async def has_reader(identifier: str) -> bool:
        """Whether an identifier has a right in any mailbox."""

    async def usage() -> Usage:
        """Quota limits and usage."""

    def blobs() -> IBlobs:
        """Where APPEND writes."""

    async def maildrop(mailbox_id: int, lease_seconds: float) -> IMaildrop:
        """Open a mailbox for POP3 under an exclusive lease. :raises Busy: another session holds it."""


class IMaildrop(Interface):
    """A POP3 maildrop: the messages at login, under a lease with a fencing token (RFC 1939 4)."""

    messages = Attribute("tuple[PopMessage, ...]: ascending by UID, as they stood at login")

    async def retrieve(message: PopMessage, offset: int = 0, length: int | None = None) -> bytes:
        """Return octets of prefix and blob. Messages that are asked for in turn are read ahead, some 256 KiB of them: one
        that was expunged elsewhere meanwhile is given all the same.

        :raises NoSuchMessage: expunged elsewhere. :raises BlobDamaged:"""

    async def renew() -> None:
        """Prolong the lease. :raises Busy: it was lost."""

    async def commit(deleted: Iterable[PopMessage]) -> None:
        """Expunge and end the lease in one unit. :raises Busy: the lease was lost; nothing was deleted."""

    async def release() -> None:
        """End the lease; deletes nothing."""


class IMailStore(Interface):
    """The account partitions."""

    async def provision(account_id: str, quota_bytes: int = 0, quota_count: int = 0) -> None:
        """Make an account's row, INBOX and special-use mailboxes (subscribed); no error if they exist."""

    def require_service(account_id: str) -> None:
        """:raises StoreUnavailable: the file this account's mail lies in is not served at the moment."""

    async def remove(account_id: str) -> None:
        """Delete everything of an account, in units of bounded size."""

    async def set_quota(account_id: str, quota_bytes: int, quota_count: int, quota_mailboxes: int = 0) -> None:
        """Set limits; 0 is none. :raises NoSuchAccount:"""

    async def usage(account_ids: Sequence[str]) -> dict[str, Usage]:
        """Usage of several accounts."""

    def account(account_id: str) -> IMailAccount:
        """Return the account's object."""

    def shared(account_id: str, reader: str, nobodys: bool = False) -> IMailAccount:
        """Return an account's object as another account may use it (RFC 4314). :param nobodys: all its mailboxes count as
        below its INBOX: who may create there may create at its top, with the same rights."""

    async def forget_reader(account_id: str, reader: str) -> None:
        """Take all rights in an account's mailboxes from a reader who is gone; no error if there is no such account."""

    def partition(account_id: str) -> int:
        """The number of the partition an account lives in."""

    async def deliver(
        envelope_id: str, plans: Sequence[DeliveryPlan], message: NewMessage, applied_once: bool
    ) -> list[Delivered]:
        """Place one message for several accounts of ONE partition, all or none, in one unit. ``applied_once``: a plan
        already applied for (envelope_id, recipient) is answered with the copy it made (RFC 5321 retries from the queue).

        :raises NoSuchAccount: an account is gone. :raises OverQuota: an account has no room for even one octet; with
            some, it takes one message of any size.
        """

    async def keep_some(account_id: str, name: str, message: NewMessage, most: int, seconds: float) -> None:
        """Place a message in a mailbox of an account that keeps the newest ``most`` for so many seconds, and which is made, under
        this name or one like it, where there is none.

        :raises NoSuchAccount: :raises OverQuota: :raises LimitReached: no room for one more mailbox.
        """

    async def modseqs(account_ids: Sequence[str]) -> dict[str, int]:
        """The modseqs of several accounts: what lost hints are made good with."""


class IQueueStore(Interface):
    """The queue on disk."""

    async def enqueue(submission: NewEnvelope) -> None:
        """Add an envelope, its recipients and its blob in one unit. Adding the same envelope id twice is one envelope."""

    async def enqueue_together(together: EnqueuedTogether) -> frozenset[str]:
        """Add several envelopes and what is remembered with them, all or none. Return the ids of those that were left out, because
        what they are sent for at most once is remembered: of two that come at once with the same, one goes."""

    async def is_remembered(account_id: str, kind: str, key: str, now: float) -> bool:
        """Whether something is remembered of an account's scripts (:mod:`mailnode.values.remembered`), and holds still."""

    async def due(now: float, limit: int) -> list[DueDestination]:
        """Destinations with waiting recipients whose next_try has come (or whose lease ran out), oldest first."""

    async def next_due(now: float) -> float | None:
        """When the earliest of the other waiting recipients comes due; None when there is none."""

    async def claim(
        destination: str,
        now: float,
        lease_seconds: float,
        limit: int,
        count: int = 1,
        waits: Sequence[float] = (),
        newest: bool = False,
    ) -> list[Claim]:
        """Lease due recipients for a destination: of its ``count`` oldest due envelopes, or of fewer, or up to ``limit`` of
        the oldest one; those of a higher priority count as older. A claim for each envelope, the oldest first; none only
        when nothing is due.

        ``newest``: of those that are due for the shortest time instead, unless some have a priority.

        That a try begins is written with it. One that has no end, nor had the one before, is followed by the next after
        the first of ``waits`` (seconds), later ones after the second, and so on; the last repeats.
        """

    async def renew(token: str, lease_until: float) -> bool:
        """Prolong the lease of a claim that is being worked on; False: it was lost."""

    async def settle(settlement: Settlement) -> bool:
        """Apply outcomes and enqueue bounces in one unit; an envelope without open recipients is removed with its blob
        (the sweep takes the bytes). False: the lease was lost, nothing was done."""

    async def read(blob: BlobRef, offset: int = 0, length: int | None = None, stored: bytes | None = None) -> bytes:
        """Content octets of a queued message. :param stored: as the claim has it. :raises BlobDamaged:"""

    async def staged(blob: BlobRef) -> StagedBlob:
        """The blob in the form a mail partition can take over (for local plans)."""

    async def envelopes(after: str = "", limit: int = 100, which: QueueFilter = EVERYTHING) -> list[QueuedEnvelope]:
        """A page of the queue by envelope id: envelopes with those of their open recipients that are meant, where there
        are any. Fewer than ``limit`` only at the end."""

    async def envelope(envelope_id: str) -> QueuedEnvelope | None:
        """One envelope with all its recipients, done ones included."""

    async def tally(now: float, age: float = 0.0) -> QueueTally:
        """Count what waits, by destination and reason; one may be returned that was made ``age`` seconds ago at most, or,
        with few that wait, a millisecond for each.
        :param now: UTC seconds."""

    async def history(envelope_id: str, limit: int) -> list[PastAttempt]:
        """What the last tries for each recipient came to, by recipient and time; the first ``limit``."""

    async def past(before: str, limit: int, which: QueueFilter) -> list[PastRecipient]:
        """What became of recipients of gone mail, the latest envelopes first: of those before an id ("": all), of at least
        ``limit`` envelopes where there are so many. ``which`` says SENT or FAILED."""

    async def past_of(envelope_id: str, limit: int) -> list[PastRecipient]:
        """What became of the first recipients of one envelope, as far as that is kept."""

    async def retry(destination: str | None, now: float) -> int:
        """Make waiting recipients due now, of one destination, or all; return how many. Of one envelope: :meth:`steer`."""

    async def pause(destination: str, since: float) -> None:
        """Hand nothing out for a destination, or for none where it is ``EVERY_DESTINATION``, until :meth:`resume`."""

    async def resume(destination: str) -> bool:
        """End a pause; False when there is none of that destination."""

    async def paused() -> dict[str, float]:
        """Which destinations are paused, and since when (UTC seconds)."""

    async def hold(envelope_id: str, held: bool) -> bool:
        """Hold or release; False when there is no such envelope."""

    async def hold_several(envelope_ids: Sequence[str], held: bool) -> int:
        """Do what :meth:`hold` does for each, side by side; return how many there are. The caller bounds their number."""

    async def steer(envelope_id: str, indexes: Sequence[int], how: Steering) -> Steered:
        """Change what becomes of those of some recipients that are open, while the runner works. Those that are dropped end
        now, the others are handed out with the next claim; one that is in a try only when that has ended."""

    async def steer_several(steps: Sequence[tuple[str, Sequence[int], Steering]]) -> list[Steered]:
        """Do what :meth:`steer` does for each, side by side. The caller bounds their number."""

    async def drop(envelope_id: str) -> bool:
        """Remove an envelope without telling anybody; False when there is none."""
