"""One session, whatever its protocol: who speaks, what goes out when, what is held, and how it ends.

A protocol says in its subclass what it greets with, how it answers an event, what its last words are and what it gives
back. In which order this happens, and what happens at all, is decided by the table in ``life``; here its actions are
carried out. Whoever wants to speak takes the turn: the next event, and what is pushed between two of them. A turn ends
when the transport has taken what was said in it.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Generic, TypeVar

from zope.interface import implementer

from mailnode.dialog.life import LIFE, Action, Input, Life
from mailnode.dialog.turn import Turn
from mailnode.interfaces.log import EventLog
from mailnode.interfaces.sessions import ILogin, ISessionMind
from mailnode.interfaces.wire import IChannel, ISession
from mailnode.values.client_names import ClientNames
from mailnode.values.events import emit

Event = TypeVar("Event")

HURRY_SECONDS = 30.0  # for each write of an answer to be taken, once the session is to end behind it

# Bound once: members of an enumeration are looked up slowly, and these for every event.
_EVENT, _DONE, _STUCK, _DRAINED, _PAUSED = Input.EVENT, Input.DONE, Input.STUCK, Input.DRAINED, Input.PAUSED
_RUN, _DRAIN, _LEAVE = Action.RUN, Action.DRAIN, Action.LEAVE
_HURRY = Action.HURRY
_BUSY = Life.BUSY
_LOST = (Life.GONE, Life.OVER)

_log = EventLog()


class SessionEnds(Exception):
    """Raised inside what runs when there is nobody to answer any more."""


class Why(enum.Enum):
    """Why a session ends."""

    TIMEOUT = enum.auto()
    SHUTDOWN = enum.auto()  # of the server
    ACCOUNT = enum.auto()  # which may no longer use it
    TROUBLE = enum.auto()  # of a kind that nobody foresaw
    SAID = enum.auto()  # what answered an event has said why itself


@implementer(ISession, ISessionMind)
class Session(ABC, Generic[Event]):
    """What every session has in common."""

    protocol: str

    def __init__(self, channel: IChannel) -> None:
        self.channel = channel
        self.session: str = channel.session
        self.peer: str = channel.peer
        self.login: ILogin | None = None  # whatever it is when the session ends is given back
        self._life = Life.NEW
        self._turn = Turn()
        self._why: Why | None = None
        self._out: list[bytes] = []

    # What a protocol says

    @abstractmethod
    async def greet(self) -> None:
        """Say the first words."""

    @abstractmethod
    async def answer(self, event: Event) -> None:
        """Answer one event. What it raises, but for :class:`SessionEnds`, ends the session."""

    @abstractmethod
    def last_words(self, why: Why) -> bytes | None:
        """Return what is said before the connection is closed. None: it is broken off, in the middle of an answer."""

    def give_back(self) -> None:
        """Release what the session holds besides :attr:`login`. Called once."""

    def may_end_now(self) -> bool:
        """Whether the session may be ended between two events, or has to wait for the next."""
        return True

    def has_more(self) -> bool:
        """Whether what was written may wait for the answer to the next event, which is there."""
        return False

    def about(self) -> dict[str, str]:
        """Return what the log says of a session that is ended, besides its id, its peer and the reason."""
        return {}

    # ISession

    def opened(self) -> Coroutine[object, object, None]:
        """The connection is up."""
        return self._speak(Input.OPENED, self.greet())

    def handle(self, event: Event) -> Coroutine[object, object, None]:
        """Answer one event."""
        return self._speak(_EVENT, self.answer(event))

    def push(self, say: Callable[[], Coroutine[object, object, None]]) -> Coroutine[object, object, None]:
        """Say something unasked, between two events. It is not said when the session has ended meanwhile."""
        return self._speak(_EVENT, say())

    def failed(self) -> None:
        """What ran has raised something."""
        self._fail()

    def timed_out(self) -> None:
        """The peer was silent too long."""
        self._end_by(Input.TIMEOUT, Why.TIMEOUT, "timeout")

    def draining(self) -> None:
        """The server shuts down."""
        self._end_by(Input.END, Why.SHUTDOWN, "shutdown")

    def lost(self) -> None:
        """The connection is gone."""
        self._go(Input.LOST)

    # ISessionMind

    @property
    def server_name(self) -> str:
        """What the client asked for in its TLS handshake."""
        return str(self.channel.server_name)

    def tls_bindings(self) -> Mapping[str, bytes]:
        """See :class:`ISessionMind`."""
        return self.channel.tls_bindings()

    def certificate_names(self) -> ClientNames:
        """See :class:`ISessionMind`."""
        return self.channel.certificate_names()

    def end(self, reason: str) -> None:
        """The account may no longer use this session."""
        self._end_by(Input.END, Why.ACCOUNT, reason)

    # For what runs

    def leave(self, reason: str = "") -> None:
        """End the session behind what is written. :param reason: for the log; "": it is the client's wish."""
        self._end_by(Input.END, Why.SAID, reason)

    def write(self, data: bytes) -> None:
        """Add to what goes out with the next :meth:`flush`."""
        self._out.append(data)

    def flush(self) -> None:
        """Hand what was written to the channel, in one piece."""
        if self._out:
            data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
            self._out = []
            self.channel.write(data)

    async def sent(self, within: bool = False) -> None:
        """Flush, and wait for a slow reader. :raises SessionEnds: the connection is gone, or the session has ended.

        :param within: a response is begun and not ended; the session is not ended in its middle.
        """
        self.flush()
        if within:
            await self.channel.drain()
        elif self._life is not _BUSY or self.channel.full:
            self._go(_PAUSED)
            await self.channel.drain()
            self._go(_DRAINED)
        if self.channel.closed:
            raise SessionEnds

    def ensure_there(self) -> None:
        """Go on only while there is somebody to answer. :raises SessionEnds: the connection is gone, or is to end."""
        if self.channel.closed or self._why is not None:
            raise SessionEnds

    @property
    def busy(self) -> bool:
        """Whether something runs that can still be answered."""
        return self._life is Life.BUSY or self._life is Life.ENDING

    @property
    def over(self) -> bool:
        """Whether the connection was lost."""
        return self._life in _LOST

    def log_out(self) -> None:
        """Give the login back."""
        login, self.login = self.login, None
        if login is not None:
            login.logout()

    def log_end(self, reason: str, warning: bool = False) -> None:
        """Say in the log why the server ends the session."""
        about = {"session": self.session, "protocol": self.protocol, "peer": self.peer, **self.about()}
        emit(_log, "session.ended", warning=warning, **about, reason=reason)

    def log_trouble(self, cause: object) -> None:
        """Say in the log what must not happen, and was not the end."""
        emit(_log, "session.error", warning=True, session=self.session, protocol=self.protocol, error=str(cause))

    # The life

    async def _speak(self, happened: Input, saying: Coroutine[object, object, None]) -> None:
        """Take the turn, and have it until the transport has taken what was said."""
        turn = self._turn
        if turn.taken:
            await turn.take()
        else:
            turn.taken = True
        try:
            step = LIFE[self._life][happened]
            self._life = step.to
            if step.then is not _RUN:  # and then nothing is to be done at once either
                saying.close()
                return
            try:
                await saying
            except SessionEnds:
                pass
            if self._why is not None and self.may_end_now():
                self._go(Input.END)
            stuck = False
            if self._life is _BUSY and not self.has_more():
                self.flush()
                stuck = self.channel.full
            if self._go(_STUCK if stuck else _DONE) is _DRAIN:
                await self.channel.drain()
                self._go(_DRAINED)
        except Exception:
            self._fail()  # now: whoever waits for the turn must find the session ended
            raise
        finally:
            if turn.waiting:
                turn.give()
            else:
                turn.taken = False

    def _fail(self) -> None:
        self._end_by(Input.FAILED, Why.TROUBLE, "trouble")

    def _end_by(self, happened: Input, why: Why, reason: str) -> None:
        """Let the first reason decide about the last words."""
        if self._why is None:
            self._why = why
            if reason and not self.channel.closed:
                self.log_end(reason)
        if happened is not Input.END or self.may_end_now():
            self._go(happened)

    def _go(self, happened: Input) -> Action | None:
        """Go on to where this leads, do what is to be done at once, and return what is to be done then."""
        step = LIFE[self._life][happened]
        self._life = step.to
        if step.at_once:
            self._do(step.at_once)
        return step.then

    def _do(self, actions: Sequence[Action]) -> None:
        for action in actions:
            if action is _LEAVE:
                self._leave()
            elif action is _HURRY:
                self.channel.set_timeout(HURRY_SECONDS)
            else:
                self._give_back()

    def _leave(self) -> None:
        if self.channel.closed:
            return
        try:
            words = self.last_words(self._why or Why.SAID)
            if words is None:
                self.channel.abort()
                return
            self.write(words)
            self.flush()
            self.channel.close()
        except Exception:  # a client that cannot be told must not wait
            _log.failure("no last words in session {session}", session=self.session)
            self.channel.abort()

    def _give_back(self) -> None:
        try:
            self.give_back()
        finally:
            self.log_out()
