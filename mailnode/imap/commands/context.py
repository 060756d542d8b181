"""What a command may rely on.

Commands run one at a time, and the numbers of the view stay while one runs. Whatever a command raises becomes its answer by
the table in :mod:`mailnode.imap.answers`. The order on the wire is always: what the command writes, what the view has to
announce, the tagged line.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterable, Set
from typing import NoReturn, Protocol

from mailnode.imap.answers import Answer
from mailnode.imap.selected import Selected
from mailnode.imap.services import ImapServices
from mailnode.imap.view.known_mailboxes import OwnChange
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


class News(ABC):
    """What NOTIFY asked for, while it holds (RFC 5465)."""

    @property
    @abstractmethod
    def tells_selected(self) -> bool:
        """Whether anything of the selected mailbox is told."""

    @abstractmethod
    def hint(self, account_id: str, modseq: int) -> None:
        """An account reached this modseq: the session's own, or that of the selected mailbox."""

    @abstractmethod
    def selection(self) -> None:
        """Another mailbox is selected, or none."""

    @abstractmethod
    def note_own(self, change: OwnChange) -> None:
        """The client has done something itself, and is not told of it."""

    @abstractmethod
    async def announce(self, expunge: bool, uid: bool) -> None:
        """Say what of the selected mailbox is wanted."""

    @abstractmethod
    def drop(self) -> None:
        """It holds no more, or the connection has ended."""


class Progress:
    """How far a command is (RFC 9585): messages it has done with, and how many there will be; 0: that is not known."""

    __slots__ = ("_expected", "done", "goal")

    def __init__(self, goal: int = 0) -> None:
        self.done = 0
        self.goal = goal
        self._expected = goal > 0

    def expect(self, messages: int) -> None:
        """There are so many to be done. Whoever finds that out in pieces does not know how many there will be."""
        self.goal = 0 if self._expected else messages
        self._expected = True


class CommandInput(Protocol):
    """The connection that reads the input, as far as a command tells it what comes next."""

    @property
    def login_disabled(self) -> bool:
        """Whether LOGIN and AUTHENTICATE are refused for lack of TLS."""

    def completed(self) -> None:
        """The command has said its tagged response itself."""

    def take_rest(self) -> bytes:
        """Return the input that was not looked at: it is not what it was taken for."""

    @property
    def utf8(self) -> bool:
        """Whether quoted strings and names of mailboxes are in UTF-8, both ways (RFC 6855 3)."""

    def accept_utf8(self) -> None:
        """They are from now on."""

    def continue_sasl(self) -> None:
        """A challenge was written; the next line is its response."""

    def idling(self) -> None:
        """``+ idling`` was written; only DONE ends it."""

    def accept_append(self) -> None:
        """Read the message literal that was given."""


class Searching(Protocol):
    """What looking for messages relies on: those of the selected mailbox, or of another."""

    progress: Progress | None  # of what takes long

    @property
    def services(self) -> ImapServices:
        """What all sessions share."""

    @property
    def mail(self) -> IMailAccount:
        """The account's mail, for commands of the states after login."""

    @property
    def mailbox(self) -> Selected:
        """The mailbox: the selected one, for commands of the selected state."""

    def write(self, data: bytes) -> None:
        """Add to what goes out with the next flush: at the latest when the command has been answered."""

    async def pause(self, within: bool = False) -> None:
        """Flush, wait for a slow reader, and after a while give other sessions their turn.

        :param within: a response has been begun and not ended.
        :raises mailnode.dialog.session.SessionEnds: there is nobody to answer any more.
        """

    async def checkpoint(self) -> None:
        """Give other sessions their turn when this one had it long enough; nothing is sent meanwhile."""

    def ensure_there(self) -> None:
        """Go on only while there is somebody to answer. :raises mailnode.dialog.session.SessionEnds:"""


class Context(Searching, Protocol):
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
    def mind(self) -> ISessionMind:
        """The session as logins see it."""

    # State

    under_way: UnderWay | None
    enabled: set[str]  # extensions, by ENABLE (RFC 5161) or by a command that implies it
    hidden: Set[str]  # capabilities, in capitals, that this client is not told of

    @property
    def account_id(self) -> str:
        """The account that has logged in, for commands of the states after that; also when there is nobody to answer any more."""

    @property
    def is_administrator(self) -> bool:
        """Whether an administrator has logged in."""

    @property
    def selected(self) -> Selected | None:
        """The selected mailbox, if any."""

    def logged_in(self, login: ILogin) -> None:
        """Enter the authenticated state."""

    def logged_out(self) -> None:
        """Enter the state from before the login (RFC 8437)."""

    def hide(self, capabilities: Iterable[str]) -> None:
        """Tell the client, whoever logs in, nothing of these capabilities, in capitals."""

    def select(self, selected: Selected) -> None:
        """Enter the selected state."""

    def deselect(self) -> None:
        """Leave the selected state, if it is that."""

    def capabilities(self) -> tuple[str, ...]:
        """What CAPABILITY says now."""

    # Output

    def flush(self) -> None:
        """Let what was written leave."""

    async def announce(self, expunge: bool, uid: bool, own: bool = False) -> None:
        """Say what may be said about the selected mailbox now, before the answer does; what NOTIFY has asked for, if it has.

        :param expunge: whether EXPUNGE may be among it. :param uid: flag changes carry UID. :param own: it is what the
            command has done, and is told whatever NOTIFY says.
        """

    async def say_changes(self, expunge: bool, uid: bool, flags: bool = True) -> None:
        """The same, whatever NOTIFY says. :param flags: whether flag changes are told."""

    def note_own(self, change: OwnChange) -> None:
        """What NOTIFY has asked for is not about this: the client has done it itself (RFC 5465 5)."""

    @property
    def tells_selected(self) -> bool:
        """Whether anything of the selected mailbox is told: NOTIFY may leave it out."""

    def replace_news(self, news: News) -> None:
        """Let NOTIFY ask for something else. No more changes of results are told where it leaves out the selected mailbox."""

    def leave(self) -> None:
        """Close, when the command under way has been answered."""

    def bye(self, text: str, code: bytes = b"") -> None:
        """Say BYE and close, when the command under way has been answered."""

    def abort(self, reason: str) -> NoReturn:
        """Break the connection in the middle of a response that cannot be completed."""

    # Trouble

    def trouble(self, error: Exception) -> None:
        """Log what must not happen."""

    # For what goes on between the events of a command

    def drop_under_way(self) -> None:
        """The command has no further events."""

    async def push(self, say: Callable[[], Coroutine[object, object, None]]) -> None:
        """Say something when no command runs, unless the session has ended then; return when the client has taken it."""

    def hinted(self, account_id: str, modseq: int) -> None:
        """An account reached this modseq: the session's own, or that of the selected mailbox."""
