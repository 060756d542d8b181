"""IDLE: what happens in the selected mailbox goes out at once (RFC 2177)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import ClassVar

from mailnode.dialog.session import SessionEnds
from mailnode.errors import NoSuchMailbox
from mailnode.imap.answers import Answer
from mailnode.imap.commands.context import Context, UnderWay
from mailnode.imap.commands.row import AFTER_LOGIN, CommandRow, bare
from mailnode.imap.looking import Looking
from mailnode.imap.wire import responses
from mailnode.imap.wire.command import Command, Continuation
from mailnode.interfaces.runtime import IDelayed


# idle = "IDLE" CRLF "DONE"
@dataclass(frozen=True, slots=True)
class Idle(Command):
    """RFC 2177 3. Answered by ``+ idling`` and ``connection.idling()``; then only :class:`IdleDone` comes."""

    verb: ClassVar[str] = "IDLE"


class Idling(UnderWay):
    """IDLE between ``+ idling`` and DONE. A hint, or that its account was found changed, makes it look and push."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._still_here: IDelayed | None = None
        self._unwatch: Callable[[], None] = lambda: None
        self._watched = ""
        self._looking = Looking(context, self._look)
        self._ask = False
        self._still_here_due = False
        self._schedule_still_here()
        if context.selected is not None:
            self._watched = context.selected.mailbox.account_id
            self._unwatch = context.services.watching.watch(self._watched, self._polled)

    def _polled(self, modseq: int | None) -> None:
        if modseq is None:
            self.ask()
        else:
            self._context.hinted(self._watched, modseq)

    def ask(self) -> None:
        """Look, and ask the store itself."""
        self._ask = True
        self.hint()

    def hint(self) -> None:
        """Something may have happened."""
        self._looking.look()

    async def go_on(self, context: Context, event: Continuation) -> Answer:
        """Take ``DONE``."""
        context.drop_under_way()
        return Answer("IDLE terminated")

    def drop(self) -> None:
        """IDLE is over."""
        self._looking.ended = True
        self._unwatch()
        if self._still_here is not None and self._still_here.active():
            self._still_here.cancel()

    async def _look(self) -> None:
        context = self._context
        try:
            if self._still_here_due:
                self._still_here_due = False
                context.write(responses.ok(b"*", "Still here"))
                context.flush()
            if context.selected is not None:
                ask, self._ask = self._ask, False
                await context.selected.refresh(force=ask, after=inf)  # lost hints are made good
                if not self._looking.ended:
                    await context.announce(expunge=True, uid=False)
        except NoSuchMailbox:
            context.bye("The selected mailbox was deleted")
        except SessionEnds:
            raise
        except Exception as error:  # the next look may succeed
            context.trouble(error)

    def _schedule_still_here(self) -> None:
        services = self._context.services
        self._still_here = services.clock.callLater(services.still_here_seconds, self._say_still_here)

    def _say_still_here(self) -> None:
        if not self._looking.ended and not self._context.channel.closed:
            self._still_here_due = True
            self.hint()
            self._schedule_still_here()


async def idle(context: Context, command: Idle) -> None:
    """RFC 2177 3. What happened up to now, and while it begins, is looked for at once."""
    context.write(responses.continuation(b"idling"))
    context.flush()
    context.connection.idling()
    idling = Idling(context)
    context.under_way = idling
    idling.ask()


ROWS = (CommandRow(name=b"IDLE", states=AFTER_LOGIN, parse=bare(Idle), run=idle, capabilities=("IDLE",)),)
