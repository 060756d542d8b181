"""Fakes of what sessions stand on, and a client's end of a session on a pump. All satisfy ``verifyObject``."""

from __future__ import annotations

import ipaddress
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from zope.interface import implementer

from mailnode.delivery.binary_mail import BinaryMail
from mailnode.delivery.judge import Judge
from mailnode.errors import AuthenticationFailed, LoginNotAllowed, OverQuota, Refused, StoreUnavailable
from mailnode.interfaces.delivery import IDelivery, IMessageReader, IRouter, ISigner
from mailnode.interfaces.policy import IPolicyChain
from mailnode.interfaces.sessions import ILogin, ILogins, ISaslExchange, ISubmitter
from mailnode.interfaces.store import IBlobWriter
from mailnode.message.scanner import read_facts
from mailnode.net.clock import WallClock
from mailnode.smtp.protocol import SmtpFactory
from mailnode.smtp.service import Service
from mailnode.smtp.strangers import UNBOUNDED, Rates, Strangers
from mailnode.smtp.wire.limits import Limits, Timeouts
from mailnode.values.blob import BlobRef, StagedBlob
from mailnode.values.directory import Account, Resolved
from mailnode.values.policy import PASS, Verdict

NOW = 1_800_000_000.0


@implementer(IBlobWriter)
class FakeWriter:
    def __init__(self, delivery: FakeDelivery) -> None:
        self.delivery = delivery
        self.content = b""
        self.finished = self.aborted = False

    @property
    def size(self) -> int:
        return len(self.content)

    async def write(self, data: bytes) -> None:
        await self.delivery.hold("write")
        self.content += data

    async def read(self, offset: int, length: int) -> bytes:
        return self.content[offset : offset + length]

    async def finish(self) -> StagedBlob:
        await self.delivery.hold("finish")
        self.finished = True
        return StagedBlob(BlobRef("blob", len(self.content), "inline", "plain", b""), self.content)

    async def finish_with(self, look: Any) -> Any:
        blob = await self.finish()
        return blob, look(blob.data)

    def take(self) -> bytes:
        return self.content

    def abort(self) -> None:
        self.aborted = True


@implementer(IDelivery)
class FakeDelivery:
    """Keeps what was accepted. ``waits`` and ``fails`` are set by step: write, finish, scan, accept."""

    def __init__(self) -> None:
        self.accepted: list[tuple[Any, dict[Any, Any], bytes]] = []
        self.judgements: list[Any] = []
        self.filtered: list[Any] = []
        self.writers: list[FakeWriter] = []
        self.scanned: list[StagedBlob] = []
        self.fails: dict[str, Exception] = {}
        self.waits: dict[str, Deferred[None]] = {}

    async def hold(self, step: str) -> None:
        if step in self.waits:
            await self.waits[step]
        if step in self.fails:
            raise self.fails[step]

    def writer(self, size: int) -> FakeWriter:
        if "writer" in self.fails:
            raise self.fails["writer"]
        self.writers.append(FakeWriter(self))
        return self.writers[-1]

    async def scan(self, blob: StagedBlob) -> Any:
        await self.hold("scan")
        self.scanned.append(blob)
        return read_facts(blob.data)

    async def stage(self, writer: Any, reading: Any = None) -> Any:
        blob = await writer.finish()
        return blob, await self.scan(blob)

    async def accept(self, envelope: Any, judgement: Any, blob: StagedBlob, facts: Any) -> None:
        await self.hold("accept")
        self.judgements.append(judgement)
        self.accepted.append((envelope, judgement.routes, blob.data))

    async def accept_filtered(self, envelope: Any, filtered: Any, blob: StagedBlob | None, facts: Any) -> None:
        await self.hold("accept")
        self.filtered.append((envelope, filtered, blob))


@implementer(IRouter)
class FakeRouter:
    """``us.test`` has alice, bob and postmaster; ``full`` is over quota, ``broken`` is trouble."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bool, int]] = []
        self.wait: Deferred[None] | None = None

    async def resolve(self, recipient: Any, relay: bool, size: int = 0, null_sender: bool = False) -> Resolved:
        self.asked.append((str(recipient), relay, size))
        if self.wait is not None:
            await self.wait
        local, domain = recipient.local.lower(), recipient.domain.lower()
        if domain not in ("us.test", ""):
            if not relay:
                raise Refused("5.7.1", "Relaying denied")
            return Resolved(True, remote=(str(recipient),))
        if local == "full":
            raise OverQuota
        if local == "suspended":
            raise Refused("4.2.1", "Mailbox is suspended at present")
        if local == "broken":
            raise ZeroDivisionError("secret detail")
        if local == "unavailable":
            raise StoreUnavailable
        if local not in ("alice", "bob", "postmaster"):
            raise Refused("5.1.1", "No such user here")
        return Resolved(True, local=((f"id-{local}", str(recipient)),))


@implementer(IPolicyChain)
class FakePolicies:
    """Answers by stage; remembers the requests."""

    def __init__(self) -> None:
        self.verdicts: dict[str, Verdict] = {}
        self.requests: list[Any] = []
        self.wait: Deferred[None] | None = None
        self.hears_sessions = True
        self.ended: list[str] = []

    def session_ended(self, session: str) -> None:
        self.ended.append(session)

    def judges(self, stage: str, known: bool) -> bool:
        return True

    async def ask(self, request: Any) -> Verdict:
        self.requests.append(request)
        if self.wait is not None:
            await self.wait
        return self.verdicts.get(request.stage, PASS)


@implementer(ISubmitter)
class FakeSubmitter:
    def __init__(self) -> None:
        self.account = Account("id-alice", "alice@us.test")

    async def may_send_as(self, address: Any) -> bool:
        return address.base().key in ("alice@us.test", "sales@us.test")


@implementer(ILogin)
class FakeLogin:
    mechanism = "PLAIN"

    def __init__(self) -> None:
        self.avatar = FakeSubmitter()
        self.account = self.avatar.account
        self.logged_out = 0

    def logout(self) -> None:
        self.logged_out += 1


@implementer(ISaslExchange)
class FakeExchange:
    """PLAIN in one step; SCRAM-SHA-256 as two challenges and an empty last answer."""

    final = False  # no challenge is said together with a success

    def __init__(self, logins: FakeLogins, mechanism: str) -> None:
        self.login: FakeLogin | None = None
        self._logins = logins
        self._mechanism = mechanism
        self._steps = 0

    async def step(self, response: bytes | None) -> bytes | None:
        if self._logins.wait is not None:
            await self._logins.wait
        if response is None:
            return b""
        self._steps += 1
        if self._mechanism == "SCRAM-SHA-256" and self._steps < 3:
            return b"r=%d" % self._steps
        if response == b"\0gone\0secret":
            raise LoginNotAllowed
        if response == b"\0trouble\0secret":
            raise ZeroDivisionError
        if self._mechanism == "PLAIN" and response != b"\0alice\0secret":
            raise AuthenticationFailed
        self.login = FakeLogin()
        self._logins.standing.append(self.login)
        return None


@implementer(ILogins)
class FakeLogins:
    def __init__(self) -> None:
        self.standing: list[FakeLogin] = []
        self.minds: list[Any] = []
        self.wait: Deferred[None] | None = None

    def mechanisms(self, mind: Any, secure: bool) -> tuple[str, ...]:
        return ("PLAIN", "LOGIN", "SCRAM-SHA-256") if secure else ()

    def exchange(self, mechanism: str, interface: Any, mind: Any) -> FakeExchange:
        self.minds.append(mind)
        return FakeExchange(self, mechanism)

    async def password(self, user: bytes, password: bytes, interface: Any, mind: Any) -> FakeLogin:
        raise AuthenticationFailed


class AtOnce:
    """Threads and processes that run everything here and now."""

    async def run(self, *call: Any) -> Any:
        function, *arguments = call[1:] if isinstance(call[0], str) else call
        return function(*arguments)


class World:
    """All fakes of one listener, and its factory."""

    def __init__(
        self,
        kind: str = "smtp",
        *,
        tls: str = "starttls",
        limits: Limits | None = None,
        timeouts: Timeouts | None = None,
        relay_from: str = "10.0.0.0/8",
        rejects: Any = None,
        no_policy_for: str = "10.1.0.0/16",
        xclient_from: str = "10.2.0.0/16",
        highest_priority: int = 0,
        sending: Any = None,
        signer: ISigner | None = None,
        policies: Any = None,
        reader: IMessageReader | None = None,
        rates: Rates = UNBOUNDED,
        greet_pause: float = 0.0,
        filtering: Any = None,
        **options: Any,
    ) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.stepped = 0.0  # seconds the time of day is ahead of the timers
        self.delivery = FakeDelivery()
        self.router = FakeRouter()
        self.policies = policies or FakePolicies()
        self.logins = FakeLogins()
        self.tls_starts: list[Any] = []
        self.service = Service(
            "us.test",
            self.router,
            self.delivery,
            self.policies,
            Judge(self.router),
            WallClock(lambda: self.clock.seconds() + self.stepped, self.clock),
            self.logins,
            limits or Limits(),
            timeouts or Timeouts(),
            relay_from=[ipaddress.ip_network(relay_from)],
            no_policy_for=[ipaddress.ip_network(no_policy_for)],
            timers=self.clock,
            sending=sending,
            highest_priority=highest_priority,
            signer=signer,
            rejects=rejects,
            filtering=filtering,
            reader=reader,
            strangers=Strangers(self.clock),
            rates=rates,
            spokesmen=[ipaddress.ip_network(xclient_from)],
            greet_pause=greet_pause,
            binary=BinaryMail(self.delivery, AtOnce(), AtOnce()),  # type: ignore[arg-type]
        )
        self.factory = SmtpFactory(
            kind,
            self.service,
            tls=tls,
            start_tls=self.tls_starts.append,
            xclient_from=[ipaddress.ip_network(xclient_from)],
            **options,
        )

    def client(self, peer: str = "192.0.2.1", bytewise: bool = False) -> Client:
        return Client(self, peer, bytewise)


class Client:
    """The client's end. ``say`` returns what the server answered."""

    def __init__(self, world: World, peer: str, bytewise: bool = False) -> None:
        self.world = world
        self.bytewise = bytewise
        self.transport = StringTransport(peerAddress=IPv4Address("TCP", peer, 40000))
        self.pump: Any = world.factory.buildProtocol(IPv4Address("TCP", peer, 40000))
        self.pump.makeConnection(self.transport)
        self.greeting = self.heard()

    def heard(self) -> str:
        octets = self.transport.value()
        self.transport.clear()
        return octets.decode()

    def say(self, text: str | bytes) -> str:
        data = text if isinstance(text, bytes) else text.replace("\n", "\r\n").encode()
        for piece in [data[i : i + 1] for i in range(len(data))] if self.bytewise else [data]:
            self.pump.dataReceived(piece)
        return self.heard()

    def codes(self, text: str | bytes) -> list[str]:
        return [line[:3] for line in self.say(text).splitlines()]

    def start_tls(self) -> None:
        assert self.say("STARTTLS\n").startswith("220")
        self.secure()

    def secure(self) -> None:
        self.pump.handshakeCompleted()

    @property
    def closed(self) -> bool:
        return bool(self.transport.disconnecting or self.transport.disconnected)

    def hang_up(self) -> None:
        from twisted.internet.error import ConnectionDone
        from twisted.python.failure import Failure

        self.pump.connectionLost(Failure(ConnectionDone()))
