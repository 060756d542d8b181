"""Stand-ins for what a POP3 session sees, and one harness that plays every dialog whole, bytewise and cut at each edge."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from zope.interface import implementer

from mailnode.errors import AuthenticationFailed, Busy, NoSuchMessage
from mailnode.interfaces.sessions import ILogin, ILogins, IPopUser, ISaslExchange
from mailnode.interfaces.store import IMaildrop
from mailnode.pop3.protocol import Pop3Factory
from mailnode.values.directory import Account
from mailnode.values.mailbox import PopMessage


@implementer(IMaildrop)
class FakeMaildrop:
    """A maildrop in memory. Every call is noted; ``fault`` maps a method's name to what it raises."""

    def __init__(self, contents, prefix="uid"):
        self.contents = {index + 1: content for index, content in enumerate(contents)}
        self.messages = tuple(
            PopMessage(uid=uid, size=len(content), uidl=f"{prefix}{uid}") for uid, content in self.contents.items()
        )
        self.fault = {}
        self.calls = []
        self.committed = None
        self.released = False
        self.largest_read = 0

    def _note(self, name):
        self.calls.append(name)
        if name in self.fault:
            raise self.fault[name]

    async def retrieve(self, message, offset=0, length=None):
        self._note("retrieve")
        if message.uid not in self.contents:
            raise NoSuchMessage
        content = self.contents[message.uid]
        end = len(content) if length is None else offset + length
        self.largest_read = max(self.largest_read, end - offset)
        return content[offset:end]

    async def renew(self):
        self._note("renew")

    async def commit(self, deleted):
        self._note("commit")
        self.committed = [message.uid for message in deleted]

    async def release(self):
        self._note("release")
        self.released = True


@implementer(IPopUser)
class FakePopUser:
    def __init__(self, drop):
        self.account = Account(id="a1", address="alice@example.test")
        self.drop = drop
        self.fault = None

    async def maildrop(self):
        if self.fault is not None:
            raise self.fault
        return self.drop


@implementer(ILogin)
class FakeLogin:
    mechanism = "PLAIN"

    def __init__(self, avatar):
        self.avatar = avatar
        self.account = avatar.account
        self.logouts = 0

    def logout(self):
        self.logouts += 1


@implementer(ISaslExchange)
class FakeExchange:
    """PLAIN as one message; TWO-STEP with an empty challenge before it."""

    final = False  # no challenge is said together with a success

    def __init__(self, logins, mechanism, mind):
        self.login = None
        self._logins = logins
        self._left = 2 if mechanism == "TWO-STEP" else 1
        self._mind = mind

    async def step(self, response):
        if response is None:
            return b""
        self._left -= 1
        if self._left:
            return b"more, please"
        _, user, secret = response.split(b"\0")
        self.login = await self._logins.password(user, secret, IPopUser, self._mind)
        return None


@implementer(ILogins)
class FakeLogins:
    """Knows alice with the password ``se cret``. ``fault`` is raised instead; ``waiting`` holds logins back."""

    def __init__(self, drop, insecure=True):
        self.user = FakePopUser(drop)
        self.login = FakeLogin(self.user)
        self.fault = None
        self.waiting = None
        self.insecure = insecure
        self.mind = None
        self.asked, self.server_names = [], []

    def mechanisms(self, mind, secure):
        assert mind.protocol == "pop3"
        return ("PLAIN", "TWO-STEP") if secure or self.insecure else ()

    def exchange(self, mechanism, interface, mind):
        assert interface is IPopUser
        return FakeExchange(self, {"PLAIN": "PLAIN", "TWO-STEP": "TWO-STEP"}[mechanism], mind)

    async def password(self, user, password, interface, mind):
        assert interface is IPopUser
        self.mind = mind
        self.asked.append((user, password))
        self.server_names.append(mind.server_name)
        if self.waiting is not None:
            await self.waiting
        if self.fault is not None:
            raise self.fault
        if (user, password) != (b"alice", b"se cret"):
            raise AuthenticationFailed
        return self.login


class Wire:
    """One connection to a factory over a StringTransport."""

    def __init__(self, contents=(), *, tls="none", insecure=True, **options):
        self.drop = FakeMaildrop(contents)
        self.logins = FakeLogins(self.drop, insecure)
        self.clock = Clock()
        self.tls_begun = 0
        self.factory = Pop3Factory(
            self.logins, self.clock, tls=tls, start_tls=self._start_tls, hostname="mx.example.test", **options
        )
        self.transport = StringTransport()
        self.pump = self.factory.buildProtocol(None)
        self.pump.makeConnection(self.transport)

    def _start_tls(self, transport):
        self.tls_begun += 1

    def take(self):
        """What was sent since the last call."""
        value = self.transport.value()
        self.transport.clear()
        return value

    def send(self, data):
        """Give octets and return what comes back."""
        self.pump.dataReceived(data)
        return self.take()

    def login(self):
        self.take()
        reply = self.send(b"USER alice\r\nPASS se cret\r\n")
        assert reply.startswith(b"+OK"), reply
        assert reply.count(b"+OK") == 2, reply

    def lose(self):
        from twisted.internet.error import ConnectionLost
        from twisted.python.failure import Failure

        self.pump.connectionLost(Failure(ConnectionLost()))

    @property
    def closed(self):
        return self.transport.disconnecting or self.transport.disconnected


def play(commands, contents=(), **options):
    """Send commands whole, byte by byte and cut at every edge; assert that all give the same octets; return them.

    Also sends them with a further NOOP-like line behind, which must not change what came before.
    """
    whole = Wire(contents, **options)
    expected = whole.take() + whole.send(commands)
    bytewise = Wire(contents, **options)
    got = bytewise.take() + b"".join(bytewise.send(bytes((octet,))) for octet in commands)
    assert got == expected
    for cut in range(1, len(commands), max(1, len(commands) // 40)):
        parts = Wire(contents, **options)
        assert parts.take() + parts.send(commands[:cut]) + parts.send(commands[cut:]) == expected
    trailing = Wire(contents, **options)
    assert (trailing.take() + trailing.send(commands + b"NOO")) == expected
    return expected


def pending():
    """Something a fake can wait for."""
    return Deferred()


__all__ = ["Busy", "FakeExchange", "FakeLogin", "FakeLogins", "FakeMaildrop", "FakePopUser", "Wire", "pending", "play"]
