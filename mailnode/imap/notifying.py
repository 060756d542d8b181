"""What NOTIFY asked for, while it holds: looks when an account has changed, and says what became of its mailboxes (RFC 5465).

While nothing happens a session holds names and counts and nothing else. What happens while its client does not read is told in
one when it does, so nothing queues.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf

from mailnode.dialog.session import SessionEnds
from mailnode.errors import NoSuchMailbox
from mailnode.imap.answers import CommandRefused
from mailnode.imap.commands.context import Context, News
from mailnode.imap.commands.fetch import tell_new
from mailnode.imap.looking import Looking
from mailnode.imap.messages.notify_events import FLAGS, WantedEvents
from mailnode.imap.others import mail_of, sharers, top_of
from mailnode.imap.told_account import OVERFLOW, ToldAccount
from mailnode.imap.view.known_mailboxes import OwnChange
from mailnode.imap.wire import responses
from mailnode.values.sets import UidSet

MOST_WATCHED = 2000  # mailboxes whose messages one session is told of
MOST_OWN = 1000  # changes of its own that a session remembers until the next look; it is told of those above

Ends = Callable[[], None]


class Notifying(News):
    """One NOTIFY SET, or NONE."""

    __slots__ = (
        "_accounts",
        "_again",
        "_changed",
        "_context",
        "_ends",
        "_looking",
        "_own",
        "_unwatch_selected",
        "_wanted",
    )

    def __init__(self, context: Context, wanted: WantedEvents) -> None:
        self._context = context
        self._wanted = wanted
        self._own_id = context.mail.account_id
        self._accounts: dict[str, ToldAccount] = {}  # by id, the session's own first
        self._changed: set[str] = set()  # those in which something happened
        self._again = False  # whether it is to be looked again which accounts there are
        self._ends: dict[str, list[Ends]] = {}  # of hints and of watching, by account; "": of what is shared
        self._unwatch_selected: Ends = _nothing
        self._own: list[OwnChange] = []
        self._looking = Looking(context, self._look)

    async def begin(self, status: bool) -> None:
        """Note how everything is. :param status: say so. :raises CommandRefused: too much is asked for."""
        context, wanted = self._context, self._wanted
        if wanted.groups or wanted.selected:
            self._watch(self._own_id)
        try:
            if wanted.groups:
                if wanted.reaches_others:
                    self._listen("", context.services.sharing.hints(self._own_id), self._shared)
                subscribed = await self._subscribed()
                await self._find_accounts(subscribed)
                for account in self._accounts.values():
                    await account.begin(subscribed, self._room(account), status)
        except BaseException:
            self.drop()
            raise
        self.selection()

    @property
    def tells_selected(self) -> bool:
        """Whether anything of the selected mailbox is told."""
        return bool(self._wanted.selected)

    def drop(self) -> None:
        """It holds no more."""
        self._looking.ended = True
        self._unwatch_selected()
        for account_id in tuple(self._ends):
            self._end(account_id)

    def note_own(self, change: OwnChange) -> None:
        """The client has done this itself: it is not told of it (RFC 5465 5)."""
        if self._wanted.groups and len(self._own) < MOST_OWN:
            self._own.append(change)

    # The selected mailbox

    def selection(self) -> None:
        """Another mailbox is selected, or none: hints about it may be lost too."""
        self._unwatch_selected()
        self._unwatch_selected = _nothing
        selected = self._context.selected
        if selected is not None and self._wanted.selected and selected.mailbox.account_id not in self._ends:
            account_id = selected.mailbox.account_id
            self._unwatch_selected = self._context.services.watching.watch(
                account_id, partial(self._polled, account_id)
            )

    async def announce(self, expunge: bool, uid: bool) -> None:
        """Say of the selected mailbox what is wanted, and of its new messages what of them is."""
        selected, wanted = self._context.selected, self._wanted
        if selected is None or not wanted.selected:
            return
        view = selected.view
        arriving = bool(wanted.items) and view.count > view.exists
        last = view.uids[view.exists - 1] if arriving and view.exists else 0
        await self._context.say_changes(expunge, uid or FLAGS in wanted.selected, FLAGS in wanted.selected)
        if arriving and view.exists and view.uids[view.exists - 1] > last:
            new = UidSet(((last + 1, view.uids[view.exists - 1]),))
            await tell_new(self._context, new, wanted.items)

    # When to look

    def _watch(self, account_id: str, hints: tuple[str, ...] = ()) -> None:
        """Hear of an account. :param hints: what the session does not hear anyway."""
        self._listen(account_id, hints, partial(self.hint, account_id))
        watching = self._context.services.watching
        self._ends[account_id].append(watching.watch(account_id, partial(self._polled, account_id)))

    def _listen(self, key: str, hints: tuple[str, ...], heard: Callable[[int], None]) -> None:
        self._ends[key] = [self._context.services.hints.subscribe(name, heard) for name in hints]

    def _end(self, account_id: str) -> None:
        for end in self._ends.pop(account_id, ()):
            end()

    def _polled(self, account_id: str, modseq: int | None) -> None:
        if modseq is not None:
            self._context.hinted(account_id, modseq)
        elif account_id != self._own_id:
            self._shared(0)

    def _shared(self, modseq: int) -> None:
        """More or less is shared with this account."""
        self._again = True
        self._looking.look()

    def hint(self, account_id: str, modseq: int) -> None:
        """An account reached this modseq: one that is told of, or that of the selected mailbox."""
        account = self._accounts.get(account_id)
        if account is not None and modseq > account.modseq:
            self._changed.add(account_id)
        selected = self._context.selected
        stale = selected is not None and self._wanted.selected and selected.is_stale(inf)
        if self._changed or stale:
            self._looking.look()

    async def _look(self) -> None:
        context = self._context
        try:
            if context.selected is not None and self._wanted.selected:
                await context.selected.refresh(after=inf)
                await context.announce(expunge=not self._wanted.delayed, uid=True)
        except NoSuchMailbox:
            context.bye("The selected mailbox was deleted")
            return
        except SessionEnds:
            raise
        except Exception as error:  # the next look may succeed
            context.trouble(error)
        try:
            if (self._changed or self._again) and not self._looking.ended:
                await self._look_around()
        except CommandRefused:
            self._overflow()
        except (NoSuchMailbox, SessionEnds):  # the account is gone, or the client
            return
        except Exception as error:
            context.trouble(error)

    def _overflow(self) -> None:
        """Behave as after NOTIFY NONE, and say so (RFC 5465 5.8)."""
        self._context.write(responses.ok(b"*", "Too many mailboxes to tell of", OVERFLOW))
        self._context.replace_news(Notifying(self._context, WantedEvents()))

    # Accounts

    async def _look_around(self) -> None:
        """Say what happened in the accounts since the last look."""
        changed, again, own = self._changed, self._again, self._own
        self._changed, self._again, self._own = set(), False, []
        try:
            subscribed = await self._subscribed()
            gone: set[str] = set()
            if again or self._own_id in changed:
                gone = await self._find_accounts(subscribed)
            for account_id, account in tuple(self._accounts.items()):
                always = account_id in gone or (self._own_id in changed and self._wanted.subscribed_only)
                if always or account_id in changed or not account.modseq:
                    await account.look(subscribed, self._room(account), own, always)
            for account_id in gone:
                del self._accounts[account_id]
                self._end(account_id)
        except Exception:  # what was not told is told by the next look
            self._changed |= changed
            self._again = self._again or again
            self._own = [*own, *self._own][:MOST_OWN]
            raise

    async def _find_accounts(self, subscribed: frozenset[str]) -> set[str]:
        """Add the accounts that are to be told of from now on; return those that are so no more."""
        context = self._context
        mail = context.mail
        if mail.account_id not in self._accounts:
            self._accounts[mail.account_id] = ToldAccount(context, self._wanted, mail, None)
        current = {mail.account_id}
        for owner in await sharers(context) if self._wanted.reaches_others else ():
            if self._wanted.reaches(top_of(owner), subscribed):
                current.add(owner.account_id)
                if owner.account_id not in self._accounts:
                    theirs = mail_of(context, owner.account_id)
                    self._accounts[owner.account_id] = ToldAccount(context, self._wanted, theirs, owner)
                    self._watch(owner.account_id, theirs.hints)
        return self._accounts.keys() - current

    async def _subscribed(self) -> frozenset[str]:
        return frozenset(await self._context.mail.subscriptions()) if self._wanted.by_subscription else frozenset()

    def _room(self, account: ToldAccount) -> int:
        """How many mailboxes of an account may be watched beside those of the others."""
        return MOST_WATCHED - sum(one.watched for one in self._accounts.values() if one is not account)


def _nothing() -> None:
    pass
