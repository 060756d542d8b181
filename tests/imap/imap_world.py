"""IMAP sessions on the real pump, without sockets or waiting: scripts of ``C:`` and ``S:`` lines against a store.

A script is tried four ways: each thing the client sends whole, byte by byte, with the beginning of the next one
already behind it, and with all sessions' views packed before it. ``C:`` lines go to the server, ``S:`` lines must come
back, exactly those, in that order; ``…`` stands for any text. ``C2:``/``S2:`` is a second client, and so on. ``!`` lines
call a function of the world.
"""

from __future__ import annotations

import pickle
import re
from binascii import a2b_base64
from collections.abc import Callable

from fake_mail import FakeAccount
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from zope.interface import implementer

from mailnode.errors import AuthenticationFailed, NoSuchAccount, NoSuchMailbox
from mailnode.imap.commands.table import TABLE
from mailnode.imap.message_keys import MessageKeys
from mailnode.imap.open_views import OpenViews
from mailnode.imap.searches import Searches
from mailnode.imap.services import ImapServices
from mailnode.imap.session import ImapSession
from mailnode.imap.watching import Watching
from mailnode.imap.wire.connection import ImapConnection
from mailnode.interfaces.accounts import IQuotas, ISharing
from mailnode.interfaces.runtime import IProcesses
from mailnode.interfaces.sessions import ILogin, ILogins, IMailUser, ISaslExchange
from mailnode.message.binary_mime import to_lines
from mailnode.message.scanner import read_facts
from mailnode.net.hints import LocalHints
from mailnode.net.no_reactor import CallingThread, run_now
from mailnode.net.pump import Pump
from mailnode.values.directory import Account
from mailnode.values.mailbox import NewMessage, Usage

DAY = 86400
START = 1_700_000_000.0


@implementer(IMailUser)
class User:
    role = "user"

    def __init__(self, mail, hidden: str = "") -> None:
        self.account = Account("acc", "alice@example.org", role=User.role, hidden=hidden)
        self.mail = mail


@implementer(ILogin)
class Login:
    mechanism = "PLAIN"

    def __init__(self, logins, avatar) -> None:
        self._logins = logins
        self.avatar = avatar
        self.account = avatar.account

    def logout(self):
        self._logins.standing -= 1


@implementer(IQuotas)
class Quotas:
    """One account, bob@example.org."""

    def __init__(self) -> None:
        self.limits = 10_240, 0, 0

    async def usage(self, address):
        if address != "bob@example.org":
            raise NoSuchAccount(address)
        octets, messages, mailboxes = self.limits
        return Usage(2048, octets, 3, messages, mailboxes, 6 if mailboxes else 0)

    async def set_limits(self, address, octets, messages, mailboxes):
        await self.usage(address)
        self.limits = octets, messages, mailboxes
        return await self.usage(address)


@implementer(ISharing)
class NothingShared:
    """Everybody keeps their mailboxes to themselves."""

    async def sharers(self, reader):
        return ()

    def hints(self, reader):
        return ()

    async def identifier(self, text):
        raise NoSuchAccount(text)


@implementer(ILogins)
class Logins:
    """One user, alice with the password secret."""

    def __init__(self, mail) -> None:
        self._mail = mail
        self.standing = 0
        self.hidden = ""  # capabilities, of the account
        self.minds = []

    def mechanisms(self, mind, secure):
        assert mind.protocol == "imap"
        return ("PLAIN",) if secure else ()

    def exchange(self, mechanism, interface, mind):
        assert interface is IMailUser
        return Plain(self, mind)

    async def password(self, user, password, interface, mind):
        assert interface is IMailUser
        if (user, password) != (b"alice", b"secret"):
            raise AuthenticationFailed
        self.standing += 1
        self.minds.append(mind)
        return Login(self, User(self._mail, self.hidden))


@implementer(ISaslExchange)
class Plain:
    def __init__(self, logins, mind) -> None:
        self._logins, self._mind = logins, mind
        self.login = None

    async def step(self, response):
        if response is None:
            return b""
        _, user, password = response.split(b"\0")
        self.login = await self._logins.password(user, password, IMailUser, self._mind)
        return None


class Client:
    """One connection. ``seen`` is what came back and was not looked at yet."""

    def __init__(self, world: World, secure: bool) -> None:
        self.transport = StringTransport()
        self.connection = ImapConnection(TABLE, plaintext_login=secure)
        self.pump = Pump("imap", self.connection, self._session, world.clock, start_tls=lambda transport: None)
        self._world = world
        self.ahead = b""  # sent already, ahead of its turn
        self.pump.makeConnection(self.transport)

    def _session(self, channel) -> ImapSession:
        self.session = ImapSession(channel, self.connection, self._world.services)
        return self.session

    def send(self, data: bytes, bytewise: bool = False) -> None:
        for piece in [data[i : i + 1] for i in range(len(data))] if bytewise else [data]:
            self.pump.dataReceived(piece)

    def received(self) -> bytes:
        data = self.transport.value()
        self.transport.clear()
        return data

    def ask(self, line: str) -> list[str]:
        """Send one command line; return the lines that come back."""
        self.send(line.encode() + b"\r\n")
        return self.received().decode("latin-1").split("\r\n")[:-1]

    @property
    def closed(self) -> bool:
        return self.transport.disconnecting or self.transport.disconnected

    def lose(self) -> None:
        from twisted.internet.error import ConnectionDone
        from twisted.python.failure import Failure

        self.pump.connectionLost(Failure(ConnectionDone()))


@implementer(IProcesses)
class CallingProcess:
    """No process: what is asked of it is pickled, and done at once."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def begin(self, function):
        pickle.dumps(function)

    async def run(self, function, *args):
        self.calls.append(function.__name__)
        function, args = pickle.loads(pickle.dumps((function, args)))
        return pickle.loads(pickle.dumps(function(*args)))


class Hints(LocalHints):
    """Hints that can be made to get lost."""

    lost = False

    def publish(self, account_id, modseq):
        if not self.lost:
            super().publish(account_id, modseq)


def fake_account(world: World) -> FakeAccount:
    return FakeAccount(lambda modseq: world.hints.publish("acc", modseq))


class World:
    """A clock, hints, one account, its sessions."""

    def __init__(self, make_account: Callable[[World], object] = fake_account, views=None, **services) -> None:
        """:param views: arguments of OpenViews."""
        self.clock = Clock()
        self.clock.advance(START)
        self.hints = Hints()
        self.account = make_account(self)
        self.logins = Logins(self.account)
        self.processes = CallingProcess()
        self.services = ImapServices(
            logins=self.logins,
            hints=self.hints,
            clock=self.clock,
            threads=CallingThread(),
            stage=self._stage,
            views=OpenViews(self.clock, **(views or {})),
            searches=Searches(self.processes),
            watching=Watching(self.clock, self),
            quotas=Quotas(),
            sharing=services.pop("sharing", None) or NothingShared(),
            keys=MessageKeys(),
            answers=MessageKeys(),
            in_lines=self._in_lines,
            version="1",
            **services,
        )
        self.clients: dict[str, Client] = {}

    # IMailStore, as far as it is watched

    looks = 0

    def partition(self, account_id):
        assert account_id == "acc"
        return 0

    async def modseqs(self, account_ids):
        self.looks += 1
        try:
            return {account_id: await self.account.modseq() for account_id in account_ids}
        except NoSuchMailbox:
            return {}

    async def _stage(self, writer):
        blob = await writer.finish()
        return blob, read_facts(await self.account.blobs().read_staged(blob))

    async def _in_lines(self, writer):
        said = to_lines(await writer.read(0, writer.size))
        if said is None:
            return None
        made = self.account.blobs().writer(len(said))
        await made.write(said)
        return made

    def connect(self, name: str = "", login: bool = True, select: str = "", secure: bool = True) -> Client:
        client = self.clients[name] = Client(self, secure)
        if login:
            client.ask("l LOGIN alice secret")
        if select:
            assert client.ask(f"s SELECT {select}")[-1].startswith("s OK"), select
        client.received()
        return client

    def box(self, name: str = "INBOX"):
        for info in run_now(self.account.mailboxes()):
            if info.name == name:
                return self.account.open(info.id)
        raise AssertionError(name)

    def put(self, raw: bytes = b"", mailbox: str = "INBOX", **fields) -> int:
        """Place a message; return its UID."""
        raw = raw or b"Subject: test\r\n\r\nbody\r\n"
        blob = run_now(self.account.blobs().put(raw))
        fields.setdefault("internaldate", int(START) * 1_000_000)
        message = NewMessage(blob, read_facts(raw), **fields)
        return run_now(self.box(mailbox).append([message])).uids[0]

    def flag(self, uid: int, mode: str, flags: int, keywords=(), mailbox: str = "INBOX") -> None:
        run_now(self.box(mailbox).store_flags([uid], mode, flags, keywords))

    def expunge(self, *uids: int, mailbox: str = "INBOX") -> None:
        run_now(self.box(mailbox).expunge(sorted(uids), False))

    def pack_views(self) -> None:
        """Have all sessions give up the arrays of their views, as they do after a minute."""
        for client in self.clients.values():
            assert client.session.pack_view()
            assert client.session.selected is None or client.session.selected.view.packed is not None

    def sweep(self) -> None:
        """Let the undelete time pass."""
        if isinstance(self.account, FakeAccount):
            self.box().sweep()
        else:
            run_now(self.store.sweep(START + 400 * DAY))


_STEP = re.compile(r"([CS])(\w*): ?(.*)|!(.*)")


def play(make_world: Callable[[], World], script: str, **context) -> World:
    """Run a script in all four ways, each in a world of its own; return the last world."""
    for way in ("whole", "bytewise", "trailing", "packed"):
        world = make_world()
        _Play(world, script, way, context).run()
    return world


class _Play:
    def __init__(self, world: World, script: str, way: str, context: dict) -> None:
        self._world = world
        self._way = way
        self._context = {"world": world, **context}
        self._blocks = _blocks(script)

    def run(self) -> None:
        for place, (kind, name, lines) in enumerate(self._blocks):
            if kind == "!":
                eval(lines[0], dict(self._context))  # a line of the test's own script
            elif kind == "C":
                self._send(place, name, lines)
            else:
                self._expect(name, lines)
        for name, client in self._world.clients.items():
            assert client.received() == b"", f"more than expected for {name!r}"

    def _send(self, place: int, name: str, lines: list[str]) -> None:
        client = self._world.clients[name]
        if self._way == "packed":
            self._world.pack_views()
        data = _octets(lines)
        assert data.startswith(client.ahead)
        data, client.ahead = data[len(client.ahead) :], b""
        if self._way == "trailing":
            client.ahead = self._next(place, name)
            data += client.ahead
        client.send(data, self._way == "bytewise")

    def _next(self, place: int, name: str) -> bytes:
        """Some octets of what this client sends next, never all."""
        for kind, other, lines in self._blocks[place + 1 :]:
            if kind == "C" and other == name:
                return _octets(lines)[:7] if len(_octets(lines)) > 9 else b""
        return b"zz NOO"

    def _expect(self, name: str, lines: list[str]) -> None:
        got = self._world.clients[name].received().decode("latin-1")
        pattern = "".join(map(_pattern, lines))
        assert re.fullmatch(pattern, got), f"{self._way}: wanted\n" + "\n".join(lines) + "\ngot\n" + got


def _pattern(line: str) -> str:
    """One line; a lone ``…`` is any number of lines."""
    if line == "…":
        return r"(?:[^\r\n]*\r\n)*?"
    return r"[^\r\n]*?".join(map(re.escape, line.split("…"))) + "\r\n"


def _octets(lines: list[str]) -> bytes:
    return b"".join(line.encode() + b"\r\n" for line in lines)


def _blocks(script: str) -> list[tuple[str, str, list[str]]]:
    blocks: list[tuple[str, str, list[str]]] = []
    for line in filter(None, map(str.strip, script.splitlines())):
        found = _STEP.fullmatch(line)
        assert found, line
        if found[4] is not None:
            blocks.append(("!", "", [found[4].strip()]))
        elif blocks and blocks[-1][:2] == (found[1], found[2]):
            blocks[-1][2].append(found[3])
        else:
            blocks.append((found[1], found[2], [found[3]]))
    return blocks


def base64(text: str) -> bytes:
    return a2b_base64(text)
