"""What a client wants to be told of unasked (RFC 5465 5 and 6)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from mailnode.imap.messages.fetch_items import FetchItem, parse_items
from mailnode.imap.messages.mailbox_filters import ALL_OWN, covers, read_names
from mailnode.imap.wire.lexer import CommandFault, Lexer
from mailnode.values.mailbox_name import SEPARATOR

NEW, EXPUNGE, FLAGS, NAME, SUBSCRIPTION, METADATA, SERVER_METADATA = (
    "MESSAGENEW",
    "MESSAGEEXPUNGE",
    "FLAGCHANGE",
    "MAILBOXNAME",
    "SUBSCRIPTIONCHANGE",
    "MAILBOXMETADATACHANGE",
    "SERVERMETADATACHANGE",
)
EVENTS = {
    NEW: b"MessageNew",
    EXPUNGE: b"MessageExpunge",
    FLAGS: b"FlagChange",
    NAME: b"MailboxName",
    SUBSCRIPTION: b"SubscriptionChange",
    METADATA: b"MailboxMetadataChange",
    SERVER_METADATA: b"ServerMetadataChange",
}
MESSAGE_EVENTS = frozenset({NEW, EXPUNGE, FLAGS})
MAX_NAMES = 1000  # of mailboxes and trees in one NOTIFY


@dataclass(frozen=True, slots=True)
class EventGroup:
    """Mailboxes, whether or not they are there yet, and what of them is told.

    ``kind`` is PERSONAL (all of one's own; INBOXES are the same: a filter may deliver into each), SUBSCRIBED, SUBTREE or
    MAILBOXES, the last two with their names.
    """

    kind: str
    events: frozenset[str]
    names: frozenset[str] = frozenset()

    def covers(self, name: str, subscribed: bool, personal: bool) -> bool:
        """Whether a mailbox of this name is one of them."""
        return personal if self.kind == "PERSONAL" else covers(self.kind, self.names, name, subscribed)

    def reaches(self, top: str, subscribed: Collection[str]) -> bool:
        """Whether mailboxes at or below this name may be among them. :param subscribed: all names that are."""
        if self.kind == "PERSONAL":
            return False
        names = subscribed if self.kind == "SUBSCRIBED" else self.names
        below = top + SEPARATOR
        return any(name == top or name.startswith(below) for name in names) or self.covers(top, False, False)


@dataclass(frozen=True, slots=True)
class WantedEvents:
    """``selected``: events of the selected mailbox; ``delayed``: of them no EXPUNGE but behind commands that allow it;
    ``items``: what is told of each of its new messages. ``groups``: the other mailboxes. ``unknown``: an event that is not told
    is among what was asked for."""

    selected: frozenset[str] = frozenset()
    delayed: bool = False
    items: tuple[FetchItem, ...] = ()
    groups: tuple[EventGroup, ...] = ()
    unknown: bool = False

    def events_of(self, name: str, subscribed: bool, personal: bool = True) -> frozenset[str]:
        """What is told of a mailbox that is not selected. :param personal: it is one's own."""
        return frozenset().union(*(group.events for group in self.groups if group.covers(name, subscribed, personal)))

    def reaches(self, top: str, subscribed: Collection[str]) -> bool:
        """Whether anything may be told of mailboxes at or below a name. :param subscribed: all names that are."""
        return any(group.reaches(top, subscribed) for group in self.groups)

    @property
    def reaches_others(self) -> bool:
        """Whether any group may be about mailboxes of other accounts."""
        return any(group.kind != "PERSONAL" for group in self.groups)

    @property
    def subscribed_only(self) -> bool:
        """Whether which mailboxes are told of changes with subscriptions."""
        return any(group.kind == "SUBSCRIBED" for group in self.groups)

    def wants(self, *events: str) -> bool:
        """Whether any of these is told of any mailbox that is not selected."""
        return any(not group.events.isdisjoint(events) for group in self.groups)

    @property
    def by_subscription(self) -> bool:
        """Whether it must be known which names are subscribed."""
        return self.wants(SUBSCRIPTION, NAME) or self.subscribed_only


# event-groups = event-group *(SP event-group)
# event-group = "(" filter-mailboxes SP events ")"
def read_wanted(lexer: Lexer) -> WantedEvents:
    """Read event groups, to the end."""
    reading = _EventGroups()
    reading.group(lexer)
    while lexer.accept(b" "):
        reading.group(lexer)
    if reading.unknown:
        return WantedEvents(unknown=True)
    for events in (reading.selected or frozenset(), *(group.events for group in reading.groups)):
        told = events & MESSAGE_EVENTS
        if told and not told >= {NEW, EXPUNGE}:  # RFC 5465 5
            raise CommandFault("MessageNew and MessageExpunge belong together, and FlagChange to both")
    return WantedEvents(reading.selected or frozenset(), reading.delayed, reading.items, tuple(reading.groups))


class _EventGroups:
    """The groups, while they are read."""

    def __init__(self) -> None:
        self.selected: frozenset[str] | None = None
        self.delayed = False
        self.items: tuple[FetchItem, ...] = ()
        self.groups: list[EventGroup] = []
        self.unknown = False
        self._names = 0

    def group(self, lexer: Lexer) -> None:
        lexer.expect(b"(")
        kind = lexer.word()
        if kind in ("SELECTED", "SELECTED-DELAYED"):
            if self.selected is not None:
                raise CommandFault("The selected mailbox stands there twice")
            lexer.space()
            self.selected = self._events(lexer, selected=True)
            self.delayed = kind == "SELECTED-DELAYED"
        elif kind in ALL_OWN or kind == "SUBSCRIBED":
            lexer.space()
            self.groups.append(EventGroup("PERSONAL" if kind in ALL_OWN else kind, self._events(lexer)))
        elif kind in ("SUBTREE", "MAILBOXES"):
            names = read_names(lexer)
            self._names += len(names)
            if self._names > MAX_NAMES:
                raise CommandFault("Too many mailboxes", status=b"NO", code=b"NOTIFICATIONOVERFLOW")
            lexer.space()
            self.groups.append(EventGroup(kind, self._events(lexer), frozenset(names)))
        else:
            raise CommandFault("Unknown mailbox filter")
        lexer.expect(b")")

    # events = ( "(" event *(SP event) ")" ) / "NONE"
    def _events(self, lexer: Lexer, selected: bool = False) -> frozenset[str]:
        if lexer.peek() != b"(":
            if lexer.word() != "NONE":
                raise CommandFault("Expected events or NONE")
            return frozenset()
        lexer.expect(b"(")
        events = {self._event(lexer, selected)}
        while lexer.accept(b" "):
            if lexer.peek() == b"(":  # behind MessageNew
                self._items(lexer, selected)
            else:
                events.add(self._event(lexer, selected))
        lexer.expect(b")")
        return frozenset(events)

    def _event(self, lexer: Lexer, selected: bool) -> str:
        event = lexer.word()
        self._last = event
        if event not in EVENTS:
            self.unknown = True
        elif selected and event not in MESSAGE_EVENTS:
            raise CommandFault("Of the selected mailbox only messages are told")
        return event

    def _items(self, lexer: Lexer, selected: bool) -> None:
        if self._last != NEW or not selected:
            raise CommandFault("What is fetched belongs to MessageNew of the selected mailbox")
        self._last = ""
        self.items = parse_items(lexer)
