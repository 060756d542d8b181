"""The selected mailbox of a session: its view, kept fresh, and what is said about it unasked (RFC 3501 7)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

from mailnode.imap.messages.manner import Manner
from mailnode.imap.messages.rendering import FlagNames, flag_updates
from mailnode.imap.messages.result_updates import Updated
from mailnode.imap.view.packing import pack, unpack
from mailnode.imap.view.view import View
from mailnode.imap.wire import responses
from mailnode.interfaces.runtime import IThreads
from mailnode.interfaces.store import IMailbox
from mailnode.values.flags import SYSTEM_FLAGS, KeywordTable
from mailnode.values.mailbox import MailboxChanges
from mailnode.values.rights import DELETE_MESSAGES, EXPUNGE, INSERT, KEEP_SEEN, WRITE, settable
from mailnode.values.sets import compress

# Seconds since the store was asked after which it is asked before a command even without a hint: hints may be lost.
STALE = 2.0
STALE_FOR_NEWS = 0.5  # for the commands that ask for news and nothing else; programs that poll come more seldom
ALWAYS = 0.0
CHANGING = frozenset((INSERT, EXPUNGE, KEEP_SEEN, DELETE_MESSAGES, WRITE))  # any makes it READ-WRITE (RFC 4314 5.2)
_LINES = 1000  # of one piece of an announcement
_MERGED = 2000  # changes taken in between two turns of the reactor
_AT_ONCE = 50_000  # messages up to which a view is packed and unpacked at once, in 1 to 5 ms; larger ones by a thread


class Selected:
    """One mailbox as SELECT or EXAMINE opened it."""

    __slots__ = (
        "_asked_at",
        "_checkpoint",
        "_heard",
        "_hinted",
        "_names",
        "_seconds",
        "_threads",
        "examined",
        "mailbox",
        "rights",
        "updates",
        "view",
    )

    def __init__(
        self,
        mailbox: IMailbox,
        view: View,
        examined: bool,
        rights: str,
        seconds: Callable[[], float],
        checkpoint: Callable[[], Awaitable[None]],
        threads: IThreads,
    ) -> None:
        """:param examined: by EXAMINE. :param rights: what may be done with it (``values.rights``). :param seconds: the clock.
        :param checkpoint: lets others have their turn, if it is time."""
        self.mailbox = mailbox
        self.view = view
        self.examined = examined
        self.rights = "" if examined else rights  # as they were then; the store looks for itself
        self._hinted = True  # what came between the snapshot and the subscription to hints is not lost
        self._heard: int | None = None  # the highest modseq of a hint; None: that is not known, ask the store
        self._seconds = seconds
        self._checkpoint = checkpoint
        self._threads = threads
        self._asked_at = seconds()
        self._names = FlagNames(view.keywords)
        self.updates: dict[bytes, Updated] = {}  # searches whose changes are told, by tag (RFC 5267 4.3)

    @property
    def read_only(self) -> bool:
        """Whether nothing of it can be changed."""
        return CHANGING.isdisjoint(self.rights)

    def is_of(self, account_id: str, mailbox_id: int) -> bool:
        """Whether this mailbox is selected."""
        return bool(self.mailbox.id == mailbox_id and self.mailbox.account_id == account_id)

    def is_stale(self, after: float) -> bool:
        """Whether there may be something to take in: a hint came, or nobody asked for so many seconds."""
        return self._hinted or self._is_old(after)

    def _is_old(self, after: float) -> bool:
        return not 0 <= self._seconds() - self._asked_at < after  # the clock may have been set back

    def hint(self, modseq: int) -> None:
        """The account reached this modseq."""
        heard = self._heard
        if modseq > heard if heard is not None else not self._hinted:
            self._heard = modseq
        self._hinted = True

    async def refresh(self, force: bool = False, after: float = STALE) -> None:
        """Take in what the store has to say, if there may be something; no number changes by it.

        :param force: ask the store, whatever memory may know of what a hint came for. :param after: seconds after which
            it is asked too. :raises mailnode.errors.NoSuchMailbox: it was deleted.
        """
        force = force or self._is_old(after)
        if force or self._hinted:
            heard = None if force else self._heard
            self._hinted, self._heard = False, None
            if heard is None:
                self._asked_at = self._seconds()
            claim_recent = not self.examined and self.view.knows_recent
            changes = await self.mailbox.changes(self.view.highest_modseq, claim_recent, heard)
            if changes.changed or changes.expunged:
                await self.unpack()
            for piece in _pieces(changes):
                self.view.merge(piece)
                await self._checkpoint()

    async def unpack(self) -> None:
        """Have the view's arrays at hand. :raises mailnode.errors.Busy: too much waits for a thread."""
        packed = self.view.packed
        if packed is not None:
            large = self.view.count > _AT_ONCE
            self.view.unpack(await self._threads.run("cpu", unpack, packed) if large else None)

    async def pack(self) -> None:
        """Make the view's arrays small. Nothing may alter the view until this returns. :raises mailnode.errors.Busy:"""
        if self.view.packed is None:
            large = self.view.count > _AT_ONCE
            self.view.pack(await self._threads.run("cpu", pack, self.view.columns) if large else None)

    @property
    def names(self) -> FlagNames:
        """Flag lists by bitmap, for the keywords known now."""
        if self._names.keywords is not self.view.keywords:
            self._names = FlagNames(self.view.keywords)
        return self._names

    def flags_lines(self) -> bytes:
        """Return FLAGS and PERMANENTFLAGS; ``\\*`` while new keywords can be added (RFC 3501 7.1, 7.2.6)."""
        return flags_lines(self.view.keywords, self.rights)

    def highest_modseq_line(self) -> bytes:
        """Return the HIGHESTMODSEQ response (RFC 7162 3.1.2.1); 0 is none."""
        view = self.view  # an EXPUNGE that waits is told behind this, whatever else is
        modseq = view.told_modseq if view.has_gone else view.highest_modseq
        return responses.ok(b"*", "Highest mod-sequence", highest_modseq(modseq))

    def new_keywords(self) -> bytes:
        """Return what must go out before flags are: FLAGS when the client does not know all keywords, else nothing."""
        if not self.view.keywords_grew:
            return b""
        self.view.keywords_told()
        return self.flags_lines()

    def announcement(self, expunge: bool, uid: bool, manner: Manner, flags: bool = True) -> Iterator[bytes]:
        """Yield all that may be said now, in pieces. EXISTS stands before the FETCH of a new message.

        :param uid: flag changes carry UID. :param flags: they are told.
        """
        said = self.view.announce(expunge)
        if said.keywords:
            yield self.flags_lines()
        for at in range(0, len(said.expunged), _LINES):
            if manner.vanished:
                yield responses.vanished(compress(said.vanished[at : at + _LINES]))
            else:
                yield b"".join([b"* %d EXPUNGE\r\n" % number for number in said.expunged[at : at + _LINES]])
        if said.exists is not None:
            yield b"* %d EXISTS\r\n" % said.exists
        if said.recent is not None:
            yield b"* %d RECENT\r\n" % said.recent
        for at in range(0, len(said.changed) if flags else 0, _LINES):
            yield flag_updates(self.view, self.names, said.changed[at : at + _LINES], uid, manner)


def highest_modseq(modseq: int) -> bytes:
    """Return the response code (RFC 7162 3.1.2.1); 0 is none."""
    return b"HIGHESTMODSEQ %d" % max(modseq, 1)


def _pieces(changes: MailboxChanges) -> Iterator[MailboxChanges]:
    """Cut many changes. The mod-sequence stands in the last piece only: a view that saw only some asks for all again."""
    changed, expunged = changes.changed, changes.expunged
    if len(changed) + len(expunged) <= _MERGED:
        yield changes
        return
    for at in range(0, len(changed), _MERGED):
        yield replace(changes, highest_modseq=0, changed=changed[at : at + _MERGED], expunged=())
    for at in range(0, len(expunged), _MERGED):
        yield replace(changes, highest_modseq=0, changed=(), expunged=expunged[at : at + _MERGED])
    yield replace(changes, changed=(), expunged=())


def flags_lines(keywords: KeywordTable, rights: str) -> bytes:
    """Return the FLAGS and PERMANENTFLAGS responses for a keyword table and what may be done with the mailbox."""
    flags = " ".join((*SYSTEM_FLAGS, *keywords.names))
    mask = settable(rights)
    lasting = [name for name, bit in SYSTEM_FLAGS.items() if bit & mask]
    if WRITE in rights:
        lasting += keywords.names if keywords.full else (*keywords.names, "\\*")
    return f"* FLAGS ({flags})\r\n* OK [PERMANENTFLAGS ({' '.join(lasting)})] Flags kept\r\n".encode()
