"""One IMAP session: takes the connection's events, runs each command, says what happened meanwhile, answers.

What a command may rely on stands in :mod:`mailnode.imap.commands.context`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence, Set
from dataclasses import replace
from functools import partial
from itertools import repeat
from typing import NoReturn, TypeVar

from twisted.internet.defer import ensureDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailnode.dialog.session import Session, SessionEnds, Why
from mailnode.errors import Busy, DomainError, NoSuchMailbox
from mailnode.imap.answers import UNKNOWN_TROUBLE, Answer, CommandRefused, refusal
from mailnode.imap.capabilities import capabilities, is_hidden
from mailnode.imap.commands import rev2, uidonly
from mailnode.imap.commands.context import News, Progress, UnderWay
from mailnode.imap.commands.row import AnyRow
from mailnode.imap.commands.table import row_of
from mailnode.imap.commands.uidonly import names_numbers
from mailnode.imap.hiding import IMAPSIEVE, with_what_needs_them
from mailnode.imap.messages.manner import manner_of
from mailnode.imap.selected import Selected, highest_modseq
from mailnode.imap.services import ImapServices
from mailnode.imap.updating import LEFT_OUT, tell_changed, tell_gone, unfollow_all
from mailnode.imap.view.known_mailboxes import OwnChange
from mailnode.imap.wire import responses
from mailnode.imap.wire.command import Command, ConnectionReply, Event, Together
from mailnode.imap.wire.connection import ImapConnection
from mailnode.interfaces.pause import pause
from mailnode.interfaces.sessions import ILogin, ISessionMind
from mailnode.interfaces.store import IMailAccount
from mailnode.interfaces.wire import IChannel
from mailnode.values.events import emit

T = TypeVar("T")

LOGIN_TIMEOUT = 60.0  # seconds without input before login
IDLE_TIMEOUT = 31 * 60.0  # after login; RFC 3501 5.4 wants at least 30 minutes
TURN = 0.02  # seconds one command may hold the reactor before others get their turn

_LAST_WORDS = {
    Why.SHUTDOWN: responses.bye("Server is shutting down", b"UNAVAILABLE"),
    Why.ACCOUNT: responses.bye("Session ended by the server", b"UNAVAILABLE"),
    Why.TROUBLE: responses.bye("Internal trouble", b"UNAVAILABLE"),
}

_log = Logger()


class ImapSession(Session[Event]):
    """The side that thinks, for one connection."""

    protocol = "imap"

    def __init__(self, channel: IChannel, connection: ImapConnection, services: ImapServices) -> None:
        super().__init__(channel)
        self.connection = connection
        self.services = services
        self.selected: Selected | None = None
        self.enabled: set[str] = set()
        self._hidden_from_client: set[str] = set(services.hiding.everyone)  # whoever logs in
        self.hidden: Set[str] = with_what_needs_them(self._hidden_from_client)
        self.under_way: UnderWay | None = None  # what AUTHENTICATE, APPEND or IDLE keeps between its events
        self._news: News | None = None  # what NOTIFY asked for
        self.progress: Progress | None = None
        self._begun: tuple[AnyRow, Command] | None = None  # the command under way
        self._bye = b""
        self._within = False  # the session ends in the middle of a response
        self._unsubscribe: Callable[[], None] = lambda: None
        self._unsubscribe_shared: Callable[[], None] = lambda: None
        self._turn_began = 0.0

    # What ``dialog`` asks

    async def greet(self) -> None:
        """Say what we can do."""
        self.channel.set_timeout(LOGIN_TIMEOUT)
        self.write(responses.ok(b"*", "IMAP4rev1 server ready", responses.capability(self.capabilities())))

    async def answer(self, event: Event) -> None:
        """Answer one event."""
        self._turn_began = self.services.clock.seconds()
        try:
            if isinstance(event, Command):
                row = row_of(event)
                self._begun = row, event
                await self._answer(row, event, await self._run(row, event))
            elif isinstance(event, ConnectionReply):
                self.write(event.data)
                if event.closes:
                    self.leave(event.closes)
            elif isinstance(event, Together):
                await self._run_together(event.commands)
            elif self._begun is not None and self.under_way is not None:
                await self._answer(*self._begun, await self._outcome(self.under_way.go_on(self, event)))
        finally:
            self.look_after_view()

    def push(self, say: Callable[[], Coroutine[object, object, None]]) -> Coroutine[object, object, None]:
        """Say something unasked, between two events."""
        return super().push(partial(self._pushed, say))

    async def _pushed(self, say: Callable[[], Coroutine[object, object, None]]) -> None:
        self._turn_began = self.services.clock.seconds()
        try:
            await say()
        finally:
            self.look_after_view()

    def last_words(self, why: Why) -> bytes:
        """BYE (RFC 3501 7.1.5); in the middle of a response nothing, it would be taken for a part of it."""
        self.connection.ended()
        if self._within:
            return b""
        if why is Why.TIMEOUT:  # RFC 3501 5.4
            return responses.bye("Idle for too long" if self.login is not None else "No login in time")
        return _LAST_WORDS.get(why, self._bye)

    def give_back(self) -> None:
        """Release the mailbox, and what was under way."""
        self.drop_under_way()
        if self._news is not None:
            self._news.drop()
        self.deselect()
        self._unsubscribe()
        self._unsubscribe = self._unsubscribe_shared = lambda: None  # which led back to us

    # Context: turns and output

    async def pause(self, within: bool = False) -> None:
        """Flush, wait for a slow reader, and after a while give other sessions their turn.

        :param within: a response has been begun and not ended: no last words stand in its middle, where they would be
            taken for a part of it. :raises SessionEnds: the connection is gone or the session was ended.
        """
        self._within = within
        await self.sent(within)
        await self.checkpoint()
        self.ensure_there()
        self._within = False

    async def checkpoint(self) -> None:
        """Give other sessions their turn when this one had it long enough; nothing is sent meanwhile."""
        clock = self.services.clock
        if clock.seconds() - self._turn_began > TURN:
            await pause(clock, 0)
            self._turn_began = clock.seconds()

    def bye(self, text: str, code: bytes = b"") -> None:
        """Say BYE and close, when what runs has been answered."""
        self._bye = responses.bye(text, code)
        self.leave(text)

    def abort(self, reason: str) -> NoReturn:
        """Break the connection in the middle of a response that cannot be completed. :raises SessionEnds:"""
        self.log_end(reason, warning=True)
        self.channel.abort()
        raise SessionEnds

    # Context: state

    @property
    def mind(self) -> ISessionMind:
        """The session as logins see it."""
        return self

    def capabilities(self) -> tuple[str, ...]:
        """What CAPABILITY says now."""
        names = capabilities(
            authenticated=self.login is not None,
            mechanisms=self.services.logins.mechanisms(self, not self.connection.login_disabled),
            start_tls=self.services.start_tls and not self.channel.secure,
            login_disabled=self.connection.login_disabled,
            administrator=self.is_administrator,
            append_limit=self.services.append_limit,
            message_limit=self.services.message_limit,
            save_limit=self.services.save_limit,
            script_server=self.services.script_server if IMAPSIEVE not in self.hidden else "",
        )
        return tuple(name for name in names if name.upper() not in self.hidden) if self.hidden else names

    @property
    def is_administrator(self) -> bool:
        """Whether an administrator has logged in."""
        return self.login is not None and self.login.account.role == "admin"

    @property
    def account_id(self) -> str:
        """The account that has logged in, which stays while a command runs."""
        assert self.login is not None
        return str(self.login.account.id)

    @property
    def mail(self) -> IMailAccount:
        """The account's mail. Before login the table of commands lets nothing through that asks for it.

        :raises SessionEnds: the connection went while a command was waiting.
        """
        if self.login is None or self.over:
            raise SessionEnds
        mail: IMailAccount = self.login.avatar.mail
        return mail

    @property
    def mailbox(self) -> Selected:
        """The selected mailbox, for commands of the selected state. :raises SessionEnds: as :attr:`mail` does."""
        if self.selected is None or self.over:
            raise SessionEnds
        return self.selected

    def logged_in(self, login: ILogin) -> None:
        """Enter the authenticated state; listen for hints from now on."""
        self.login = login
        self._hide()
        self.channel.set_timeout(IDLE_TIMEOUT)
        self.channel.set_deadline(None)
        self.connection.authenticated()
        self._unsubscribe = self.services.hints.subscribe(login.account.id, partial(self.hinted, login.account.id))

    def logged_out(self) -> None:
        """Enter the state from before the login (RFC 8437). What TLS has, and what the client said by ID, stays."""
        self.give_back()
        self._news = None
        self.enabled.clear()
        self.log_out()
        self._hide()
        self.channel.set_timeout(LOGIN_TIMEOUT)
        self.channel.set_deadline(self.services.login_seconds)
        self.connection.unauthenticated()
        emit(_log, "session.logout", session=self.session, protocol=self.protocol, peer=self.peer)

    def hide(self, capabilities: Iterable[str]) -> None:
        """Tell the client, whoever logs in, nothing of these capabilities, in capitals."""
        self._hidden_from_client.update(capabilities)
        self._hide()

    def _hide(self) -> None:
        of_account = () if self.login is None else self.login.account.hidden.split()
        self.hidden = with_what_needs_them(self._hidden_from_client.union(of_account))

    def select(self, selected: Selected) -> None:
        """Enter the selected state; listen for hints that the account's own are not."""
        self.selected = selected
        self.connection.selected()
        owner = selected.mailbox.account_id
        ends = [
            self.services.hints.subscribe(name, partial(self.hinted, owner))
            for name in selected.mailbox.hints
            if self.login is not None and name != self.login.account.id
        ]

        def unsubscribe() -> None:
            for end in ends:
                end()

        self._unsubscribe_shared = unsubscribe
        if self._news is not None:
            self._news.selection()

    def deselect(self) -> None:
        """Leave the selected state."""
        if self.selected is not None:
            self.services.views.forget(self)
            self._unsubscribe_shared()
            self.selected = None
            self.connection.unselected()
            if self._news is not None:
                self._news.selection()

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
        await self._turn.take()
        try:
            await selected.pack()
        except Busy:  # the threads have more urgent things to do
            self.look_after_view()
        finally:
            self._turn.give()

    def drop_under_way(self) -> None:
        """Forget what AUTHENTICATE, APPEND or IDLE keeps; each has its own ``drop``."""
        under_way, self.under_way = self.under_way, None
        if under_way is not None:
            under_way.drop()

    def hinted(self, account_id: str, modseq: int) -> None:
        """An account reached this modseq: the session's own, or that of the selected mailbox."""
        selected = self.selected
        if selected is not None and selected.mailbox.account_id == account_id and modseq > selected.view.highest_modseq:
            selected.hint(modseq)
            if self.under_way is not None:
                self.under_way.hint()
        if self._news is not None:
            self._news.hint(account_id, modseq)

    # Commands

    async def _run(self, row: AnyRow, command: Command) -> Answer | None:
        """Return what comes of a command; whatever it raises becomes its answer. None: it goes on with further events."""
        try:
            if is_hidden(row, command, self.hidden):
                raise CommandRefused("Unknown command or arguments", status=b"BAD")
            if "UIDONLY" in self.enabled and names_numbers(row, command):
                raise uidonly.refusal()
            if rev2.is_enabled(self):
                rev2.refuse_removed_keys(command)
            if self.selected is not None:
                await self._prepare_view(self.selected, row)
            return await row.run(self, command)
        except SessionEnds:
            raise
        except Exception as error:
            return await self.refused(error)

    async def _prepare_view(self, selected: Selected, row: AnyRow) -> None:
        """See to it that the view is what a command needs."""
        if selected.is_stale(row.stale_after):
            await selected.refresh(after=row.stale_after)
        if row.needs_view:
            if selected.view.packed is not None:
                await selected.unpack()
            self.look_after_view(used=True)

    async def _answer(self, row: AnyRow, command: Command, answer: Answer | None) -> None:
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
        if any(self._may_not_run(command) for command in commands):
            await self._run_one_by_one(commands)
            return
        refusal = await self._outcome(self._prepare_view(self.mailbox, row))
        answers: Iterable[Awaitable[Answer] | Answer] = repeat(refusal) if refusal else row.run_together(self, commands)
        for command, running in zip(commands, answers, strict=False):
            answer = running if isinstance(running, Answer) else await self._outcome(running)
            await self._tell(row_of(command), command, answer)
            await self.pause()
        self.connection.completed()

    def _may_not_run(self, command: Command) -> bool:
        row = row_of(command)
        return is_hidden(row, command, self.hidden) or ("UIDONLY" in self.enabled and names_numbers(row, command))

    async def _run_one_by_one(self, commands: Sequence[Command]) -> None:
        for command in commands:
            answer = await self._run(row_of(command), command)
            assert answer is not None, "what runs together has no further events"
            await self._tell(row_of(command), command, answer)
        self.connection.completed()

    async def _outcome(self, running: Awaitable[T]) -> T | Answer:
        """Return what comes of a part of a command; whatever it raises becomes its answer."""
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
            self._unsubscribe_shared()
            self.selected = None
            self.services.views.forget(self)
            self.bye("The selected mailbox was deleted")
        except Exception as error:
            self.trouble(error)

    def trouble(self, error: Exception) -> None:
        """Log what must not happen."""
        self.log_trouble(f"{type(error).__name__}: {error}")
        if isinstance(error, DomainError):
            return  # the store has logged the cause
        failure = Failure(error)  # type: ignore[no-untyped-call]
        _log.failure("trouble in session {session}", failure, session=self.session)

    async def _tell(self, row: AnyRow, command: Command, answer: Answer) -> None:
        """Announce what the command allows, then say the tagged line."""
        if self.selected is not None:
            if (
                self._news is not None
                or not self.selected.view.is_told()
                or (row.expunge and self.selected.view.touched)
            ):
                await self.announce(row.expunge, command.uid, row.asks_after or command.verb == "EXPUNGE")
            if "QRESYNC" in self.enabled:
                answer = self._with_modseq(self.selected, answer)
        self.write(answer.line(command.tag))

    def _with_modseq(self, selected: Selected, answer: Answer) -> Answer:
        """Say with an answer up to where the client knows all; before it, when it has a response code of its own."""
        modseq = selected.view.modseq_owed()
        if modseq is None:
            return answer
        code = highest_modseq(modseq)
        if answer.status == b"OK" and not answer.code:
            return replace(answer, code=code)
        self.write(responses.ok(b"*", "Highest mod-sequence", code))
        return answer

    async def announce(self, expunge: bool, uid: bool, own: bool = False) -> None:
        """Say what may be said about the selected mailbox now; what NOTIFY has asked for, if it has.

        :param expunge: whether EXPUNGE may be among it. :param uid: a UID command is being answered. :param own: it is what
            a command has done, and is told whatever NOTIFY says.
        """
        if self._news is None or own:
            await self.say_changes(expunge, uid)
        else:
            await self._news.announce(expunge, uid)

    async def say_changes(self, expunge: bool, uid: bool, flags: bool = True) -> None:
        """The same, whatever NOTIFY says. :param flags: whether flag changes are told."""
        if self.selected is not None:
            manner = manner_of(self.enabled)
            updating = expunge and bool(self.selected.updates)
            if updating:
                await tell_gone(self)
            pieces = self.selected.announcement(expunge, uid or manner.uid, manner, flags)
            for number, piece in enumerate(pieces):
                if number:
                    await self.pause()
                self.write(piece)
            if updating:
                await tell_changed(self)

    def note_own(self, change: OwnChange) -> None:
        """What NOTIFY has asked for is not about this."""
        if self._news is not None:
            self._news.note_own(change)

    @property
    def tells_selected(self) -> bool:
        """Whether anything of the selected mailbox is told."""
        return self._news is None or self._news.tells_selected

    def replace_news(self, news: News) -> None:
        """Let NOTIFY ask for something else."""
        if self._news is not None:
            self._news.drop()
        self._news = news
        if self.selected is not None and not news.tells_selected:
            unfollow_all(self, LEFT_OUT)
