"""IDLE: what happens in the selected mailbox goes out at once (RFC 2177)."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING

from twisted.internet.defer import ensureDeferred

from mailnode.errors import NoSuchMailbox
from mailnode.imap.answers import Answer, SessionEnds
from mailnode.imap.command_types import Idle, IdleDone
from mailnode.imap.wire import responses
from mailnode.interfaces.runtime import IDelayed

if TYPE_CHECKING:
    from mailnode.imap.session import ImapSession


class Idling:
    """IDLE between ``+ idling`` and DONE. A hint, or that its account was found changed, makes it look and push."""

    def __init__(self, session: ImapSession) -> None:
        self._session = session
        self._still_here: IDelayed | None = None
        self._unwatch: Callable[[], None] = lambda: None
        self._ended = False
        self._pushing = False
        self._again = False
        self._ask = False
        self._still_here_due = False
        self._schedule_still_here()
        if session.selected is not None:
            self._unwatch = session.services.watching.watch(session.mail.account_id, self._polled)

    def _polled(self, modseq: int | None) -> None:
        if modseq is None:
            self.look()
        else:
            self._session.hinted(modseq)

    def look(self) -> None:
        """Ask the store itself."""
        self._ask = True
        self.hint()

    def hint(self) -> None:
        """Something may have happened: look now, or once more after the look that is under way."""
        if self._ended:
            return
        if self._pushing:
            self._again = True
            return
        self._pushing = True
        ensureDeferred(self._push())

    def drop(self) -> None:
        """IDLE is over."""
        self._ended = True
        self._unwatch()
        if self._still_here is not None and self._still_here.active():
            self._still_here.cancel()

    async def _push(self) -> None:
        session = self._session
        await session.take_turn()
        try:
            self._again = True
            while self._again and not self._ended and not session.channel.closed:
                self._again = False
                if self._still_here_due:
                    self._still_here_due = False
                    session.write(responses.ok(b"*", "Still here"))
                    session.flush()
                if session.selected is not None:
                    ask, self._ask = self._ask, False
                    await session.selected.refresh(force=ask, after=inf)  # lost hints are made good
                    if not self._ended:
                        await session.announce(expunge=True, uid=False)
                await session.pause()  # what happens while the client does not read is told in one when it does
        except NoSuchMailbox:
            session.bye("The selected mailbox was deleted")
        except SessionEnds:
            self.drop()
        except Exception as error:  # the next look may succeed
            session.trouble(error)
        finally:
            self._pushing = False
            session.end_turn()
            session.look_after_view()

    def _schedule_still_here(self) -> None:
        services = self._session.services
        self._still_here = services.clock.callLater(services.still_here_seconds, self._say_still_here)

    def _say_still_here(self) -> None:
        if not self._ended and not self._session.channel.closed:
            self._still_here_due = True
            self.hint()
            self._schedule_still_here()


async def idle(session: ImapSession, command: Idle) -> None:
    """RFC 2177 3. What happened up to now, and while it begins, is looked for at once."""
    session.write(responses.continuation(b"idling"))
    session.flush()
    session.connection.idling()
    session.under_way = Idling(session)
    session.under_way.look()


async def done(session: ImapSession, event: IdleDone) -> Answer:
    """``DONE``."""
    session.drop_under_way()
    return Answer("IDLE terminated")
