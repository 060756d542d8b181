"""A connection tried whole, byte by byte and with trailing data: one script, three ways, one outcome.

A script is (what the client sends, what must come out). The session's side is played by :class:`Answering`, which
answers every event in the plainest way and writes down what it saw.
"""

from mailnode.imap.commands.authenticate import Authenticate
from mailnode.imap.commands.idle import Idle
from mailnode.imap.commands.login import Login
from mailnode.imap.commands.logout import Logout
from mailnode.imap.commands.select import Select
from mailnode.imap.commands.starttls import StartTls
from mailnode.imap.commands.table import TABLE
from mailnode.imap.wire.command import (
    AppendAborted,
    AppendChunk,
    AppendEnd,
    AppendMore,
    Command,
    ConnectionReply,
    IdleDone,
    ImapState,
    SaslResponse,
    Together,
    Upload,
)
from mailnode.imap.wire.connection import ImapConnection
from mailnode.imap.wire.limits import ImapLimits
from mailnode.values.wire import NEED_DATA, PAUSED


class Answering:
    """Answers events as a session would; ``seen`` holds events, and octets for each Reply. Consecutive chunks of a
    message are joined, and commands that run together are apart, because how they are cut is not part of the outcome."""

    def __init__(self, connection, refuse_append=False, sasl_steps=1):
        self.connection = connection
        self.seen = []
        self._refuse_append = refuse_append
        self._sasl_steps = sasl_steps
        self.closed = False

    def feed(self, data):
        self.connection.receive_data(data)
        self.run()

    def run(self):
        while (event := self.connection.next_event()) is not NEED_DATA:
            assert event is not PAUSED, "an answered event left the connection waiting"
            self._note(event)
            self._answer(event)

    def _note(self, event):
        if isinstance(event, AppendChunk) and self.seen and isinstance(self.seen[-1], AppendChunk):
            self.seen[-1] = AppendChunk(self.seen[-1].data + event.data)
        elif isinstance(event, Together):
            self.seen.extend(event.commands)
        else:
            self.seen.append(event.data if isinstance(event, ConnectionReply) else event)

    def _answer(self, event):
        connection = self.connection
        match event:
            case ConnectionReply():
                self.closed = self.closed or bool(event.closes)
            case AppendChunk():
                pass
            case Upload() | AppendMore():
                connection.completed() if self._refuse_append else connection.accept_append()
            case Idle():
                connection.idling()
            case Authenticate() if event.initial is None or self._sasl_steps > 1:
                connection.continue_sasl()
            case SaslResponse():
                if event.data is not None:
                    connection.authenticated()
                connection.completed()
            case StartTls():
                connection.tls_started()
            case Logout():
                connection.ended()
            case Login() | Authenticate():
                connection.authenticated()
                connection.completed()
            case Select():
                connection.selected()
                connection.completed()
            case AppendEnd() | AppendAborted() | IdleDone() | Command() | Together():
                connection.completed()
            case _:
                raise AssertionError(event)


def connect(state=ImapState.NOT_AUTHENTICATED, secure=True, limits=None):
    connection = ImapConnection(TABLE, limits or ImapLimits())
    if secure:
        connection.tls_started()
    if state in (ImapState.AUTHENTICATED, ImapState.SELECTED):
        connection.authenticated()
    if state is ImapState.SELECTED:
        connection.selected()
    return connection


def outcome(octets, *, state=ImapState.SELECTED, secure=True, limits=None, trailing=True, **answers):
    """Return what came out of a connection for these octets, the same in all three ways."""

    def run(pieces):
        side = Answering(connect(state, secure, limits), **answers)
        for piece in pieces:
            side.feed(piece)
        return side

    whole = run([octets])
    single = run([octets[i : i + 1] for i in range(len(octets))])
    assert single.seen == whole.seen, "byte by byte gave something else"
    assert single.connection.state == whole.connection.state
    assert not whole.connection.buffered or not octets.endswith(b"\r\n")
    if trailing and not whole.closed and whole.connection.state is not ImapState.LOGOUT:
        followed = run([octets + b"zz9 NOOP\r\nzz10 CAPAB"])
        assert [type(e).__name__ for e in followed.seen[len(whole.seen) :]] == ["Noop"], followed.seen
        assert followed.seen[: len(whole.seen)] == whole.seen, "trailing data changed the outcome"
        assert followed.seen[-1].tag == b"zz9"
    return whole.seen
