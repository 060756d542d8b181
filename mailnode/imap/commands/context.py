"""What a command may rely on.

Commands run one at a time, and the numbers of the view stay while one runs. Whatever a command raises becomes its answer by
the table in :mod:`mailnode.imap.answers`. The order on the wire is always: what the command writes, what the view has to
announce, the tagged line.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import NoReturn, Protocol

from mailnode.imap.answers import Answer
from mailnode.imap.selected import Selected
from mailnode.imap.services import ImapServices
from mailnode.imap.wire.command import Continuation
from mailnode.interfaces.sessions import ILogin, ISessionMind
from mailnode.interfaces.store import IMailAccount
from mailnode.interfaces.wire import IChannel


class UnderWay(ABC):
    """What a command keeps between its events."""

    @abstractmethod
    async def go_on(self, context: Context, event: Continuation) -> Answer | None:
        """Take a further event of the command; answer, or return None when more are to come."""

    def drop(self) -> None:  # noqa: B027 - some hold nothing
        """Let go of what is held: the command has ended, or the connection."""

    def hint(self) -> None:  # noqa: B027 - few wait for it
        """Something happened in the selected mailbox."""


class CommandInput(Protocol):
    """The connection that reads the input, as far as a command tells it what comes next."""

    @property
    def login_disabled(self) -> bool:
        """Whether LOGIN and AUTHENTICATE are refused for lack of TLS."""

    def continue_sasl(self) -> None:
        """A challenge was written; the next line is its response."""

    def idling(self) -> None:
        """``+ idling`` was written; only DONE ends it."""

    def accept_append(self) -> None:
        """Read the message."""

    def refuse_append(self) -> None:
        """The tagged NO was written: a message that comes anyway is thrown away."""


class Context(Protocol):
    """One session, as its commands see it."""

    @property
    def session(self) -> str:
        """The session's id, for the log."""

    @property
    def protocol(self) -> str:
        """``imap``, for the log and for logins."""

    @property
    def channel(self) -> IChannel:
        """The connection to the client."""

    @property
    def connection(self) -> CommandInput:
        """What reads the input."""

    @property
    def services(self) -> ImapServices:
        """What all sessions share."""

    @property
    def mind(self) -> ISessionMind:
        """The session as logins see it."""

    # State

    under_way: UnderWay | None
    enabled: set[str]  # extensions, by ENABLE (RFC 5161) or by a command that implies it

    @property
    def mail(self) -> IMailAccount:
        """The account's mail, for commands of the states after login."""

    @property
    def selected(self) -> Selected | None:
        """The selected mailbox, if any."""

    @property
    def mailbox(self) -> Selected:
        """The selected mailbox, for commands of the selected state."""

    def logged_in(self, login: ILogin) -> None:
        """Enter the authenticated state."""

    def select(self, selected: Selected) -> None:
        """Enter the selected state."""

    def deselect(self) -> None:
        """Leave the selected state, if it is that."""

    def capabilities(self) -> tuple[str, ...]:
        """What CAPABILITY says now."""

    # Output

    def write(self, data: bytes) -> None:
        """Add to what goes out with the next flush: at the latest when the command has been answered."""

    def flush(self) -> None:
        """Let what was written leave."""

    async def pause(self, within: bool = False) -> None:
        """Flush, wait for a slow reader, and after a while give other sessions their turn.

        :param within: a response has been begun and not ended.
        :raises mailnode.dialog.session.SessionEnds: there is nobody to answer any more.
        """

    async def checkpoint(self) -> None:
        """Give other sessions their turn when this one had it long enough; nothing is sent meanwhile."""

    def ensure_there(self) -> None:
        """Go on only while there is somebody to answer. :raises mailnode.dialog.session.SessionEnds:"""

    async def announce(self, expunge: bool, uid: bool) -> None:
        """Say what may be said about the selected mailbox now, before the answer does.

        :param expunge: whether EXPUNGE may be among it. :param uid: flag changes carry UID.
        """

    def leave(self) -> None:
        """Close, when the command under way has been answered."""

    def bye(self, text: str, code: bytes = b"") -> None:
        """Say BYE and close, when the command under way has been answered."""

    def abort(self, reason: str) -> NoReturn:
        """Break the connection in the middle of a response that cannot be completed."""

    # Trouble

    async def refused(self, error: Exception) -> Answer:
        """Return the answer to an error; whatever no client can cause is logged. What was under way is dropped."""

    def trouble(self, error: Exception) -> None:
        """Log what must not happen."""

    # For what goes on between the events of a command

    def drop_under_way(self) -> None:
        """The command has no further events."""

    async def push(self, say: Callable[[], Coroutine[object, object, None]]) -> None:
        """Say something when no command runs, unless the session has ended then; return when the client has taken it."""

    def hinted(self, modseq: int) -> None:
        """The account reached this modseq."""
