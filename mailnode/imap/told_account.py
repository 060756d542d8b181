"""What a client was told of one account's mailboxes because NOTIFY asked for it, and what it is told next (RFC 5465 5).

Of mailboxes of others names are told to who may look them up; what happens in them, and what is noted about them, to who may
read them. While nothing happens only names, counts and entries are held, small.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from mailnode.errors import NoSuchMailbox
from mailnode.imap.answers import CommandRefused
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.list import list_response, rows_of, unhurried
from mailnode.imap.commands.metadata import ACCOUNT, changed_entries
from mailnode.imap.commands.status import status_line
from mailnode.imap.messages.notify_events import (
    EXPUNGE,
    FLAGS,
    MESSAGE_EVENTS,
    METADATA,
    NAME,
    NEW,
    SERVER_METADATA,
    SUBSCRIPTION,
    WantedEvents,
)
from mailnode.imap.others import is_below_others, shared_mailboxes, shown_name, top_of
from mailnode.imap.view.known_mailboxes import (
    KnownCounts,
    KnownEntries,
    KnownNames,
    Names,
    OwnChange,
    entry_changes,
    name_changes,
    three,
    with_own_names,
    without_own_entries,
)
from mailnode.interfaces.store import IMailAccount
from mailnode.values.directory import Sharer
from mailnode.values.mailbox import MailboxInfo, MailboxStatus
from mailnode.values.mailbox_name import SEPARATOR
from mailnode.values.rights import READ

BATCH = 100  # mailboxes whose counts are asked for at a time
OVERFLOW = b"NOTIFICATIONOVERFLOW"


@dataclass(frozen=True, slots=True)
class _AccountNow:
    """How an account is now. ``watched``: name and events of the mailboxes whose messages are told of, by id; ``barred``:
    names, by id, of those of which they would be, if they might be read; ``noted``: modseqs of entries of those mailboxes whose
    entries are told of."""

    infos: Sequence[MailboxInfo]
    subscribed: frozenset[str]
    watched: Mapping[int, tuple[str, frozenset[str]]]
    barred: Mapping[int, str]
    noted: Mapping[int, Mapping[str, int]]

    @property
    def names(self) -> Names:
        return {info.id: (info.name, info.selectable) for info in self.infos}


class ToldAccount:
    """One account: the session's own, or one in which something is shared with it."""

    __slots__ = (
        "_barred",
        "_context",
        "_counts",
        "_entries",
        "_names",
        "_wanted",
        "mail",
        "modseq",
        "owner",
        "watched",
    )

    def __init__(self, context: Context, wanted: WantedEvents, mail: IMailAccount, owner: Sharer | None) -> None:
        """Nothing was told yet. :param owner: None: it is the session's own."""
        self._context = context
        self._wanted = wanted
        self.mail = mail
        self.owner = owner
        self.modseq = 0  # what happened up to there was told
        self.watched = 0  # mailboxes whose messages are told of
        self._names = KnownNames((), ())
        self._counts = KnownCounts()
        self._entries = KnownEntries({})
        self._barred: Collection[int] = ()

    async def begin(self, subscribed: frozenset[str], room: int, status: bool) -> None:
        """Note how everything is, and say what may not be told of. :param status: say all counts too.

        :param subscribed: the session's subscriptions, where they matter. :param room: mailboxes that may be watched.
        :raises CommandRefused: there are more.
        """
        self.modseq = await self.mail.modseq()
        found = await self._find(subscribed, room)
        self._keep(found)
        await self._say_names(dict.fromkeys(found.barred.values(), ""), frozenset(found.barred.values()), found)
        await self._tell_counts(found.watched, found.watched, always=status, never=not status)

    async def look(self, subscribed: frozenset[str], room: int, own: Sequence[OwnChange], always: bool) -> None:
        """Say what happened since the last look. Parameters are those of :meth:`begin`, and:

        :param own: what the client did itself meanwhile. :param always: also look when nothing happened in the account.
        :raises CommandRefused: more mailboxes are to be watched than may be.
        """
        try:
            modseq, changed = await self.mail.changed_mailboxes(self.modseq)
        except NoSuchMailbox:
            if self.owner is None:
                raise
            modseq, changed, always = self.modseq, frozenset(), True  # it is gone, and so are its mailboxes
        if modseq == self.modseq and not always:
            return
        found = await self._find(subscribed, room)
        known = self._counts.unpacked()
        await self._tell_names(found, known, own)
        self._tell_entries(found, own)
        self._keep(found)
        self._counts.keep({one: counts for one, counts in known.items() if one in found.watched})
        ask = [one for one in found.watched if one in changed or one not in known]
        await self._tell_counts(ask, found.watched)
        self.modseq = max(self.modseq, modseq)

    # How it is

    async def _find(self, subscribed: frozenset[str], room: int) -> _AccountNow:
        infos = await self._listed()
        readable = await self._readable(infos)
        watched: dict[int, tuple[str, frozenset[str]]] = {}
        barred: dict[int, str] = {}
        noting = [ACCOUNT] if self.owner is None and self._wanted.wants(SERVER_METADATA) else []
        async for info in unhurried(infos, self._context.checkpoint):
            events = self._events(info.name, info.name in subscribed)
            messages = events & MESSAGE_EVENTS if info.selectable else frozenset()
            if info.id not in readable:
                if messages or METADATA in events:
                    barred[info.id] = info.name
                continue
            if messages:
                watched[info.id] = info.name, messages
            if METADATA in events:
                noting.append(info.id)
        if len(watched) > room:
            raise CommandRefused("Too many mailboxes", OVERFLOW)
        noted = await self.mail.annotated_at(noting, self._context.mail.account_id) if noting else {}
        return _AccountNow(infos, subscribed, watched, barred, {one: noted.get(one, {}) for one in noting})

    async def _listed(self) -> Sequence[MailboxInfo]:
        infos: Sequence[MailboxInfo] = await self.mail.mailboxes()
        if self.owner is None:
            return infos
        owner = self.owner
        return [
            replace(info, name=shown_name(owner, info.name))
            async for info in unhurried(infos, self._context.checkpoint)
        ]

    async def _readable(self, infos: Sequence[MailboxInfo]) -> Collection[int]:
        ids = [info.id for info in infos]
        if self.owner is None:
            return frozenset(ids)
        return frozenset(one for one, rights in (await self.mail.rights(ids)).items() if READ in rights)

    def _events(self, name: str, subscribed: bool) -> frozenset[str]:
        return self._wanted.events_of(name, subscribed, personal=self.owner is None)

    def _keep(self, found: _AccountNow) -> None:
        self.watched = len(found.watched)
        self._barred = tuple(found.barred)
        if self.owner is not None or self._wanted.wants(NAME, SUBSCRIPTION):
            self._names = KnownNames(found.infos, found.subscribed if self.owner is None else ())
        if self._wanted.wants(METADATA, SERVER_METADATA):
            self._entries = KnownEntries(found.noted)

    # Names

    async def _tell_names(self, found: _AccountNow, watched: Collection[int], own: Sequence[OwnChange]) -> None:
        """Say which names came, went or changed, which are subscribed, and which may be read no more, or again (5.4, 5.5, 5.9)."""
        if self.owner is None and not self._wanted.wants(NAME, SUBSCRIPTION):
            return
        before, subscribed_before = self._names.unpacked()
        now = found.names
        changes = name_changes(with_own_names(before, now, own), now)
        told = {
            name: changes.renamed.get(name, "")
            for name in (*changes.affected, *changes.renamed)
            if NAME in self._events(name, name in found.subscribed or name in subscribed_before)
        }
        no_access: set[str] = set()
        if self.owner is None:
            for name in self._subscription_changes(found.subscribed, subscribed_before, own) - told.keys():
                if SUBSCRIPTION in self._wanted.events_of(name, True, personal=not is_below_others(name)):
                    told[name] = ""
        else:
            lost = {before[one][0] for one in watched if one in before and one not in now}
            no_access = lost.union(found.barred.values())
            barred = {name for one, name in found.barred.items() if one not in self._barred}
            freed = {found.watched[one][0] for one in self._barred if one in found.watched}
            told.update(dict.fromkeys((lost | barred | freed) - told.keys(), ""))
        await self._say_names(told, no_access, found)

    @staticmethod
    def _subscription_changes(now: frozenset[str], before: frozenset[str], own: Sequence[OwnChange]) -> frozenset[str]:
        mine = {name for name, on in (one.subscription for one in own) if (name in now) == on}
        return (now ^ before) - mine

    async def _say_names(self, told: Mapping[str, str], no_access: Collection[str], found: _AccountNow) -> None:
        """Write LIST of names. :param told: the old name by each, or "". :param no_access: which of them may not be read."""
        context = self._context
        infos = found.infos
        top = top_of(self.owner) if self.owner is not None else None
        # What stands above the account, or is subscribed elsewhere, has more below it than this account knows of.
        outside = [name for name in told if is_below_others(name) and (top is None or not _is_at_or_below(name, top))]
        if outside:
            more = await shared_mailboxes(context, outside)
            infos = [*infos, *[info for info in more if info.account_id != self.mail.account_id]]
        for row in await rows_of(sorted(told), infos, found.subscribed, context.checkpoint):
            barred = ("\\NoAccess",) if row.name in no_access else ()
            row = replace(row, old_name=told[row.name], attributes=(*barred, *row.attributes))
            context.write(list_response(row, utf8=context.connection.utf8))

    # Entries

    def _tell_entries(self, found: _AccountNow, own: Sequence[OwnChange]) -> None:
        """Say which entries were set or removed (5.6, 5.7)."""
        if not self._wanted.wants(METADATA, SERVER_METADATA):
            return
        names = {info.id: info.name for info in found.infos} | {ACCOUNT: ""}
        changes = entry_changes(self._entries.unpacked(), found.noted)
        for one, entries in without_own_entries(changes, found.noted, self.mail.account_id, own).items():
            if entries:
                self._context.write(changed_entries(names[one], entries, self._context.connection.utf8))

    # Counts

    async def _tell_counts(
        self,
        ask: Iterable[int],
        watched: Mapping[int, tuple[str, frozenset[str]]],
        always: bool = False,
        never: bool = False,
    ) -> None:
        """Say the counts that are not what the client takes them to be. :param always: all. :param never: none."""
        context = self._context
        ids, known = list(ask), self._counts.unpacked()
        for at in range(0, len(ids), BATCH):
            for counts in await self.mail.status(ids[at : at + BATCH]):
                one = counts.mailbox_id
                name, events = watched[one]
                selected = context.selected is not None and context.selected.is_of(self.mail.account_id, one)
                if not selected and not never and (always or self._is_news(counts, known.get(one), events)):
                    context.write(await status_line(context, name, self._items(events), counts))
                known[one] = three(counts)
            self._counts.keep(known)
            await context.pause()

    def _is_news(self, counts: MailboxStatus, known: tuple[int, int, int] | None, events: frozenset[str]) -> bool:
        messages, uidnext, unseen = known or (0, 1, 0)
        if (counts.messages, counts.uidnext) != (messages, uidnext):
            return not events.isdisjoint((NEW, EXPUNGE))
        return FLAGS in events and (counts.unseen != unseen or "CONDSTORE" in self._context.enabled)

    def _items(self, events: frozenset[str]) -> tuple[str, ...]:
        unseen = ("UNSEEN",) if FLAGS in events else ()
        modseq = ("HIGHESTMODSEQ",) if "CONDSTORE" in self._context.enabled else ()
        return ("MESSAGES", "UIDNEXT", "UIDVALIDITY", *unseen, *modseq)


def _is_at_or_below(name: str, top: str) -> bool:
    return name == top or name.startswith(top + SEPARATOR)
