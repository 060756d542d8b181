"""A ManageSieve connection over a transport in memory, with the real portal and the real store behind it."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from pathlib import Path
from unittest import mock

from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from mailnode.auth import passwords
from mailnode.auth.checkers import DirectoryChecker, FirstThatKnows, ProofChecker
from mailnode.auth.logins import Logins
from mailnode.auth.mechanisms import Offer
from mailnode.auth.passwords import make_credentials
from mailnode.auth.realm import MailRealm, SessionCounts
from mailnode.auth.throttle import Throttle
from mailnode.managesieve.checking import ScriptChecker
from mailnode.managesieve.protocol import ManageSieveFactory
from mailnode.managesieve.session import ManageSieveService
from mailnode.net.hints import LocalHints
from mailnode.net.no_reactor import CallingThread
from mailnode.store.blobs.local import LocalBlobs
from mailnode.store.engines.sqlite import SqliteEngine
from mailnode.store.facades.directory import Directory
from mailnode.store.facades.ephemeral import Ephemeral
from mailnode.store.facades.mail_store import MailStore
from mailnode.store.facades.scripts import Scripts
from mailnode.values.address import parse_address
from mailnode.values.directory import PROTOCOLS
from mailnode.values.scripts import ScriptQuota

PASSWORD = b"se cret"
PLAIN = b64encode(b"\0alice@a.test\0" + PASSWORD)
LOGIN = b'AUTHENTICATE "PLAIN" "' + PLAIN + b'"\r\n'
KEEP = b"# all of it\r\nkeep;\r\n"


@cache
def credentials(password, label, protocols):
    """Credentials of alice, made once: that takes its time."""
    with mock.patch.object(passwords, "SCRAM_ITERATIONS", 16):
        return make_credentials(
            "alice", password, 0.0, label=label, protocols=protocols, scram=("SCRAM-SHA-256", "SCRAM-SHA-1")
        )


class Here:
    """Threads and processes that are this one. ``calls`` is how often each was asked for."""

    def __init__(self, kind):
        self.kind = kind
        self.calls = 0
        self.fault = None
        self.waits_for = None

    async def run(self, *args):
        self.calls += 1
        if self.fault is not None:
            raise self.fault
        if self.waits_for is not None:
            await self.waits_for
        function, *others = args[1:] if self.kind == "threads" else args
        return function(*others)


class Wire:
    """One server with one account, alice, and a connection to it; more with :meth:`connect`."""

    def __init__(self, *, tls="none", plain_login=True, quota=None, offer=None, enabled=True, **options):
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.engine = SqliteEngine(None)
        self.now(self.engine.start())
        self.directory = Directory(self.engine)
        blobs = LocalBlobs(Path("never-made"), CallingThread(), self.clock)
        mails = MailStore(self.engine, blobs, LocalHints(), self.clock)
        self.scripts = Scripts(self.engine, mails.partition, self.directory, self.clock)
        self.threads, self.processes = Here("threads"), Here("processes")
        self.now(self.directory.add_domain("a.test"))
        self.now(self.directory.add_account("alice", parse_address("alice@a.test"), 0.0))
        self.now(mails.provision("alice"))
        self.set_password(PASSWORD.decode())
        self.counts = SessionCounts()
        realm = MailRealm(self.directory, mails, self.scripts, self.counts)
        checker = FirstThatKnows([DirectoryChecker(self.directory, Here("threads"), self.clock)])
        portal = Portal(realm, [checker, ProofChecker(self.directory)])
        throttle = Throttle(Ephemeral(self.engine, self.clock), b"k" * 32)
        scram = Offer(("SCRAM-SHA-256", "SCRAM-SHA-1")) if offer is None else offer
        self.service = ManageSieveService(
            Logins(portal, self.directory, throttle, self.clock, b"k" * 32, scram),
            ScriptChecker(self.threads, self.processes),
            quota or ScriptQuota(),
            "mailnode 1",
            start_tls=tls == "starttls",
            plain_login=plain_login,
            enabled=enabled,
        )
        self.tls_begun = 0
        self.factory = ManageSieveFactory(self.service, self.clock, tls=tls, start_tls=self._start_tls, **options)
        self.greeting = b""
        self.connect()

    def connect(self):
        self.transport = StringTransport()
        self.pump = self.factory.buildProtocol(None)
        self.pump.makeConnection(self.transport)
        self.greeting = self.take()

    def set_password(self, password, label="", protocols=frozenset(PROTOCOLS)):
        made = credentials(password, label, protocols)
        self.now(self.directory.replace_credentials("alice", label, made))

    def now(self, coroutine):
        """Return what a coroutine returns that waits for nothing."""
        results = []
        Deferred.fromCoroutine(coroutine).addBoth(results.append)
        (result,) = results
        if isinstance(result, Failure):
            result.raiseException()
        return result

    def _start_tls(self, transport):
        self.tls_begun += 1

    def take(self):
        """What was sent since the last call."""
        value = self.transport.value()
        self.transport.clear()
        return value

    def send(self, data, seconds=0.0):
        """Give octets, let time pass in small steps, and return what comes back."""
        if not self.closed:
            self.pump.dataReceived(data)
        while seconds > 0:
            self.clock.advance(0.25)
            seconds -= 0.25
        return self.take()

    def login(self):
        assert self.send(LOGIN) == b'OK "logged in"\r\n'

    def lose(self):
        self.pump.connectionLost(Failure(ConnectionLost()))

    @property
    def closed(self):
        return self.transport.disconnecting or self.transport.disconnected


def literal(data):
    """A literal as clients send it."""
    return b"{%d+}\r\n%s" % (len(data), data)


def play(commands, *, logged_in=True, **options):
    """Send commands whole, octet by octet, cut at every edge, and with the beginning of another behind them; assert that all give
    the same octets; return them."""

    def wire():
        made = Wire(**options)
        if logged_in:
            made.login()
        return made

    expected = wire().send(commands)
    bytewise = wire()
    assert b"".join(bytewise.send(bytes((octet,))) for octet in commands) == expected
    for cut in range(1, len(commands), max(1, len(commands) // 3)):
        parts = wire()
        assert parts.send(commands[:cut]) + parts.send(commands[cut:]) == expected
    assert wire().send(commands + b"NOO") == expected
    return expected
