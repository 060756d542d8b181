"""Which chapter runs which command; the table the session dispatches by."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from mailnode.imap import (
    any_state,
    appending,
    copying,
    fetching,
    idling,
    mailboxes,
    not_authenticated,
    searching,
    selecting,
    storing,
)
from mailnode.imap import command_types as c
from mailnode.imap.answers import Answer
from mailnode.imap.selected import ALWAYS, STALE, STALE_FOR_NEWS


@dataclass(frozen=True, slots=True)
class Chapter:
    """How a command is run. ``run`` takes session and command; None from it: further events of the command follow.

    With a mailbox selected, ``stale_after``: seconds after which the store is asked before it runs even when no hint
    came; ``asks_after``: it may have changed the mailbox, which is told before its answer;
    ``needs_view``: it looks into the view's arrays.
    """

    run: Callable[[Any, Any], Awaitable[Answer | None]]
    stale_after: float = STALE
    asks_after: bool = False
    needs_view: bool = False


CHAPTERS: dict[type[c.Command], Chapter] = {
    c.Capability: Chapter(any_state.capability),
    c.Noop: Chapter(any_state.noop, STALE_FOR_NEWS),
    c.Logout: Chapter(any_state.logout),
    c.Id: Chapter(any_state.identify),
    c.StartTls: Chapter(not_authenticated.start_tls),
    c.Login: Chapter(not_authenticated.login),
    c.Authenticate: Chapter(not_authenticated.authenticate),
    c.Enable: Chapter(selecting.enable),
    c.Select: Chapter(selecting.select),
    c.Examine: Chapter(selecting.select),
    c.Create: Chapter(mailboxes.create),
    c.Delete: Chapter(mailboxes.delete),
    c.Rename: Chapter(mailboxes.rename, asks_after=True),
    c.Subscribe: Chapter(mailboxes.subscribe),
    c.Unsubscribe: Chapter(mailboxes.unsubscribe),
    c.List: Chapter(mailboxes.list_mailboxes),
    c.Lsub: Chapter(mailboxes.lsub),
    c.Namespace: Chapter(mailboxes.namespace),
    c.Status: Chapter(mailboxes.status),
    c.AppendStart: Chapter(appending.append, asks_after=True),
    c.Idle: Chapter(idling.idle),
    c.Check: Chapter(any_state.noop, STALE_FOR_NEWS),
    c.Close: Chapter(selecting.close, needs_view=True),
    c.Unselect: Chapter(selecting.unselect),
    c.Expunge: Chapter(selecting.expunge, ALWAYS, needs_view=True),
    c.Search: Chapter(searching.search, needs_view=True),
    c.Fetch: Chapter(fetching.fetch, needs_view=True),
    c.Store: Chapter(storing.store, needs_view=True),
    c.Copy: Chapter(copying.copy, asks_after=True, needs_view=True),
    c.Move: Chapter(copying.move, asks_after=True, needs_view=True),
}

# Events that carry a command on.
EVENTS: dict[type, Callable[[Any, Any], Awaitable[Answer | None]]] = {
    c.SaslResponse: not_authenticated.sasl_response,
    c.AppendChunk: appending.chunk,
    c.AppendEnd: appending.end,
    c.AppendAborted: appending.aborted,
    c.IdleDone: idling.done,
}
