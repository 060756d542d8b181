"""One IMAP session: takes the connection's events, runs each command, says what happened meanwhile, answers.

What a command may rely on stands in :mod:`mailnode.imap.commands.context`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import repeat
from typing import Any, NoReturn, TypeVar

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from mailnode.dialog.turn import Turn
from mailnode.errors import Busy, DomainError, NoSuchMailbox
from mailnode.imap.answers import UNKNOWN_TROUBLE, Answer, SessionEnds, refusal
from mailnode.imap.capabilities import capabilities
from mailnode.imap.commands.context import UnderWay
from mailnode.imap.commands.row import CommandRow
from mailnode.imap.commands.table import row_of
from mailnode.imap.selected import Selected
from mailnode.imap.services import ImapServices
from mailnode.imap.wire import responses
from mailnode.imap.wire.command import Command, Reply, Together
from mailnode.imap.wire.connection import Event, ImapConnection
from mailnode.interfaces.sessions import ILogin, ISessionMind
from mailnode.interfaces.store import IMailAccount
from mailnode.interfaces.wire import IChannel, ISession
from mailnode.values.events import emit

T = TypeVar("T")

LOGIN_TIMEOUT = 60.0  # seconds without input before login
IDLE_TIMEOUT = 31 * 60.0  # after login; RFC 3501 5.4 wants at least 30 minutes
TURN = 0.02  # seconds one command may hold the reactor before others get their turn

_log = Logger()


@implementer(ISession, ISessionMind)
class ImapSession:
    """The side that thinks, for one connection."""

    protocol = "imap"

    def __init__(self, channel: IChannel, connection: ImapConnection, services: ImapServices) -> None:
        self.channel = channel
        self.connection = connection
        self.services = services
        self.session: str = channel.session
        self.peer: str = channel.peer
        self.login: ILogin | None = None
        self.selected: Selected | None = None
        self.enabled: set[str] = set()
        self.under_way: UnderWay | None = None  # what AUTHENTICATE, APPEND or IDLE keeps between its events
        self._begun: tuple[CommandRow[Any], Command] | None = None  # the command under way
        self._out: list[bytes] = []
        self._handling = False
        self._farewell: bytes | None = None
        self._unsubscribe: Callable[[], None] = lambda: None
        self._turn = Turn()
        self._turn_began = 0.0

    # ISession

    async def opened(self) -> None:
        """Greet."""
        self.channel.set_timeout(LOGIN_TIMEOUT)
        self.write(responses.ok(b"*", "IMAP4rev1 server ready", responses.capability(self.capabilities())))
        self.flush()

    async def handle(self, event: Event) -> None:
        """Handle one event."""
        await self.take_turn()
        self._handling = True
        try:
            if isinstance(event, Reply):
                self.write(event.data)
                self.flush()
                if event.close:
                    self.channel.close()
            elif isinstance(event, Command):
                row = row_of(event)
                self._begun = row, event
                await self._answer(row, event, await self._outcome(self._run(row, event)))
            elif isinstance(event, Together):
                await self._run_together(event.commands)
            elif self._begun is not None and self.under_way is not None:
                await self._answer(*self._begun, await self._outcome(self.under_way.go_on(self, event)))
        except SessionEnds:
            pass
        finally:
            self._handling = False
            self.end_turn()
        self.look_after_view()
        self.flush()
        if self._farewell is not None:
            self._leave()

    def failed(self) -> None:
        """Unknown trouble outside a command."""
        self.bye("Internal trouble", b"UNAVAILABLE")

    def timed_out(self) -> None:
        """Autologout (RFC 3501 5.4), or no login in time."""
        self._log_end("timeout")
        self.bye("Idle for too long" if self.login is not None else "No login in time")

    def draining(self) -> None:
        """The server shuts down."""
        self.bye("Server is shutting down", b"UNAVAILABLE")

    def lost(self) -> None:
        """The connection is gone: release the mailbox, the login, and what was under way."""
        self.drop_under_way()
        self.deselect()
        self._unsubscribe()
        if self.login is not None:
            self.login.logout()
            self.login = None

    # ISessionMind

    @property
    def server_name(self) -> str:
        """What the client asked for in its TLS handshake."""
        return str(self.channel.server_name)

    def end(self, reason: str) -> None:
        """The account may no longer use this session."""
        self._log_end(reason)
        self.bye("Session ended by the server", b"UNAVAILABLE")

    # Context: turns and output

    async def take_turn(self) -> None:
        """Wait until nothing else speaks in this session: a command, or what IDLE pushes."""
        await self._turn.take()
        self._turn_began = self.services.clock.seconds()

    def end_turn(self) -> None:
        """Let the next one speak."""
        self._turn.give()

    def write(self, data: bytes) -> None:
        """Add to what goes out with the next :meth:`flush`."""
        self._out.append(data)

    def flush(self) -> None:
        """Hand what was written to the channel, in one piece."""
        if self._out:
            data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
            self._out = []
            self.channel.write(data)

    async def pause(self, within: bool = False) -> None:
        """Flush, wait for a slow reader, and after a while give other sessions their turn.

        :param within: a response has been begun and not ended: no last words stand in its middle, where they would be
            taken for a part of it. :raises SessionEnds: the connection is gone or the session was ended.
        """
        self.flush()
        await self.channel.drain()
        await self.checkpoint()
        if within and self._farewell is not None:
            self._farewell = b""
        self.ensure_there()

    def ensure_there(self) -> None:
        """Go on only while there is somebody to answer. :raises SessionEnds: the connection is gone or was ended."""
        if self.channel.closed or self._farewell is not None:
            raise SessionEnds

    async def checkpoint(self) -> None:
        """Give other sessions their turn when this one had it long enough; nothing is sent meanwhile."""
        clock = self.services.clock
        if clock.seconds() - self._turn_began > TURN:
            turn: Deferred[None] = Deferred()
            clock.callLater(0, turn.callback, None)
            await turn
            self._turn_began = clock.seconds()

    def _log_end(self, reason: str, warning: bool = False) -> None:
        about = {"session": self.session, "protocol": self.protocol, "peer": self.peer, "reason": reason}
        emit(_log, "session.ended", warning=warning, **about)

    def bye(self, text: str, code: bytes = b"") -> None:
        """Say BYE and close: at once, or when the command under way has been answered."""
        if self._farewell is None:
            self._farewell = responses.bye(text, code)
            if not self._handling:
                self._leave()

    def abort(self, reason: str) -> NoReturn:
        """Break the connection in the middle of a response that cannot be completed. :raises SessionEnds:"""
        self._log_end(reason, warning=True)
        self.channel.abort()
        raise SessionEnds

    def _leave(self) -> None:
        self.connection.ended()
        if not self.channel.closed:
            self.flush()
            self.channel.write(self._farewell or b"")
            self.channel.close()

    # Context: state

    @property
    def mind(self) -> ISessionMind:
        """The session as logins see it."""
        return self

    def capabilities(self) -> tuple[str, ...]:
        """What CAPABILITY says now."""
        return capabilities(
            authenticated=self.login is not None,
            mechanisms=self.services.logins.mechanisms(self.protocol, not self.connection.login_disabled),
            start_tls=self.services.start_tls and not self.channel.secure,
            login_disabled=self.connection.login_disabled,
        )

    @property
    def mail(self) -> IMailAccount:
        """The account's mail. Before login the table of commands lets nothing through that asks for it.

        :raises SessionEnds: the connection went while a command was waiting.
        """
        if self.login is None:
            raise SessionEnds
        mail: IMailAccount = self.login.avatar.mail
        return mail

    @property
    def mailbox(self) -> Selected:
        """The selected mailbox, for commands of the selected state. :raises SessionEnds: as :attr:`mail` does."""
        if self.selected is None:
            raise SessionEnds
        return self.selected

    def logged_in(self, login: ILogin) -> None:
        """Enter the authenticated state; listen for hints from now on."""
        self.login = login
        self.channel.set_timeout(IDLE_TIMEOUT)
        self.channel.set_deadline(None)
        self.connection.authenticated()
        self._unsubscribe = self.services.hints.subscribe(login.account.id, self.hinted)

    def select(self, selected: Selected) -> None:
        """Enter the selected state."""
        self.selected = selected
        self.connection.selected()

    def deselect(self) -> None:
        """Leave the selected state."""
        if self.selected is not None:
            self.services.views.forget(self)
            self.selected = None
            self.connection.unselected()

    def look_after_view(self, used: bool = False) -> None:
        """Have the view's arrays packed some time after their last use. :param used: now, at any rate."""
        views, selected = self.services.views, self.selected
        if selected is not None and selected.view.packed is None and (used or self not in views):
            views.used(self, selected.view.count)

    def pack_view(self) -> bool:
        """Pack the view's arrays unless a command runs."""
        if self._turn.taken:
            return False
        if self.selected is not None:
            ensureDeferred(self._pack(self.selected))
        return True

    async def _pack(self, selected: Selected) -> None:
        await self.take_turn()
        try:
            await selected.pack()
        except Busy:  # the threads have more urgent things to do
            self.look_after_view()
        finally:
            self.end_turn()

    def drop_under_way(self) -> None:
        """Forget what AUTHENTICATE, APPEND or IDLE keeps; each has its own ``drop``."""
        under_way, self.under_way = self.under_way, None
        if under_way is not None:
            under_way.drop()

    def hinted(self, modseq: int) -> None:
        """The account reached this modseq."""
        if self.selected is not None and modseq > self.selected.view.highest_modseq:
            self.selected.hint(modseq)
            if self.under_way is not None:
                self.under_way.hint()

    # Commands

    async def _run(self, row: CommandRow[Any], command: Command) -> Answer | None:
        if self.selected is not None:
            await self._prepare_view(self.selected, row)
        return await row.run(self, command)

    async def _prepare_view(self, selected: Selected, row: CommandRow[Any]) -> None:
        """See to it that the view is what a command needs."""
        if selected.is_stale(row.stale_after):
            await selected.refresh(after=row.stale_after)
        if row.needs_view:
            if selected.view.packed is not None:
                await selected.unpack()
            self.look_after_view(used=True)

    async def _answer(self, row: CommandRow[Any], command: Command, answer: Answer | None) -> None:
        """Answer a command, unless it goes on with further events."""
        if answer is None:
            return
        if self.selected is not None and row.asks_after:
            await self._look_again(self.selected)
        await self._tell(row, command, answer)
        self._begun = None
        self.connection.completed()

    async def _run_together(self, commands: Sequence[Command]) -> None:
        """Run commands that may run together; answer each in its turn."""
        row = row_of(commands[0])
        assert row.run_together is not None
        refusal = await self._outcome(self._prepare_view(self.mailbox, row))
        answers: Iterable[Awaitable[Answer] | Answer] = repeat(refusal) if refusal else row.run_together(self, commands)
        for command, running in zip(commands, answers, strict=False):
            answer = running if isinstance(running, Answer) else await self._outcome(running)
            await self._tell(row, command, answer)
            await self.pause()
        self.connection.completed()

    async def _outcome(self, running: Awaitable[T]) -> T | Answer:
        """Return what comes of a command; whatever it raises becomes its answer."""
        try:
            return await running
        except SessionEnds:
            raise
        except Exception as error:
            return await self.refused(error)

    async def refused(self, error: Exception) -> Answer:
        """Return the answer to what a command has raised; whatever no client can cause is logged."""
        self.drop_under_way()
        answer = refusal(error)
        if answer is None:
            self.trouble(error)
            return UNKNOWN_TROUBLE
        if isinstance(error, NoSuchMailbox) and self.selected is not None:
            await self._look_again(self.selected)
        return answer

    async def _look_again(self, selected: Selected) -> None:
        """Take in what the store says now; BYE when the selected mailbox is gone. When the store cannot say, what was
        answered stands all the same."""
        try:
            await selected.refresh(force=True)
        except NoSuchMailbox:
            self.selected = None
            self.services.views.forget(self)
            self.bye("The selected mailbox was deleted")
        except Exception as error:
            self.trouble(error)

    def trouble(self, error: Exception) -> None:
        """Log what must not happen."""
        emit(
            _log,
            "session.error",
            warning=True,
            session=self.session,
            protocol=self.protocol,
            error=f"{type(error).__name__}: {error}",
        )
        if isinstance(error, DomainError):
            return  # the store has logged the cause
        failure = Failure(error)  # type: ignore[no-untyped-call]
        _log.failure("trouble in session {session}", failure, session=self.session)

    async def _tell(self, row: CommandRow[Any], command: Command, answer: Answer) -> None:
        """Announce what the command allows, then say the tagged line."""
        if self.selected is not None:
            await self.announce(row.expunge, command.uid)
        self.write(answer.line(command.tag))

    async def announce(self, expunge: bool, uid: bool) -> None:
        """Say what may be said about the selected mailbox now.

        :param expunge: whether EXPUNGE may be among it. :param uid: a UID command is being answered.
        """
        if self.selected is not None:
            condstore = "CONDSTORE" in self.enabled
            pieces = self.selected.announcement(expunge, uid or condstore, condstore)
            for number, piece in enumerate(pieces):
                if number:
                    await self.pause()
                self.write(piece)
