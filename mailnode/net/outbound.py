"""Connections to other mail servers, around the sans-I/O client of :mod:`mailnode.smtp.wire.client`.

A connection is kept after a mail and used again for the same target: (host, address, port, TLS level, login, source,
proxy, protocol) must all be equal, so that what was granted to one class of mail never carries another. A kept
connection that turns out to be dead is replaced by a fresh one, unless the message may have got through.

Opportunistic TLS falls back to plain text only on a fresh connection, and only when TLS failed before any mail.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from twisted.internet.defer import DeferredList
from twisted.logger import Logger
from zope.interface import implementer

from mailnode.interfaces.outbound import (
    VERIFIED,
    IOutbound,
    OutboundMessage,
    OutboundReport,
    Reached,
    Target,
    TargetFailed,
)
from mailnode.interfaces.reactor import IServerReactor
from mailnode.interfaces.runtime import IClock
from mailnode.net.client_tls import ClientTls
from mailnode.net.dialing import Dialer
from mailnode.net.outbound_link import READ_PIECE, Link
from mailnode.smtp.wire import client
from mailnode.values.envelope import RcptOptions
from mailnode.values.events import emit
from mailnode.values.smtp_reply import Reply
from mailnode.values.tls_report import AUTHENTIC, ENCRYPTED, PLAIN, TlsSession

_log = Logger()

_LATER = Reply(452, "4.5.3", ("too many recipients for one transaction",))


@dataclass(frozen=True, slots=True)
class OutboundSettings:
    """``connect``: seconds for one address. A connection is used for ``mails`` mails or ``lifetime`` seconds and kept
    ``idle`` seconds after each; at most ``kept`` are kept at a time. The waits for replies are those of RFC 5321 4.5.3.2,
    times ``patience``."""

    connect: float = 10.0
    mails: int = 100
    lifetime: float = 300.0
    idle: float = 15.0
    kept: int = 100
    patience: float = 1.0


@implementer(IOutbound)
class Outbound:
    """The connections of one server. :meth:`stop` ends them."""

    def __init__(
        self,
        reactor: IServerReactor,
        hostname: str,
        tls: ClientTls,
        clock: IClock,
        *,
        sources: Sequence[str] = (),
        settings: OutboundSettings | None = None,
        note: Callable[[TlsSession], None] = lambda session: None,
    ) -> None:
        """:param hostname: what we call ourselves in EHLO. :param sources: own addresses to connect from, the first of
        each family counts; none: the system chooses. :param note: is told how connections fared, each once for every domain
        whose mail it carries."""
        self._hostname = hostname
        self._tls = tls
        self._clock = clock
        self._settings = settings or OutboundSettings()
        self._note_session = note
        self._dialer = Dialer(
            reactor,
            clock,
            lambda target: Link(target, hostname, clock, self._settings.patience),
            sources,
            self._settings.connect,
        )
        self._kept: dict[Target, list[Link]] = {}
        self._links: dict[Link, None] = {}
        self._stopped = False

    async def reach(self, targets: Sequence[Target]) -> Reached:
        """Find the first of several that can be used; see :class:`IOutbound`."""
        for target in targets:
            if target in self._kept:
                return Reached(target)
        if len(targets) == 1 or self._stopped:
            return Reached(targets[0])
        link, failed = await self._dialer.first(targets, self._has_room)
        if link is None:
            return Reached(None, tuple(failed))
        self._note(link)
        if self._stopped:
            link.abort()
        else:
            self._put_by(link)
        return Reached(link.target, tuple(failed))

    async def send(self, target: Target, message: OutboundMessage) -> OutboundReport:
        """Hand a message over; see :class:`IOutbound`. :raises BlobDamaged: the message cannot be read."""
        link = self._take(target)
        if link is not None and link.greeted:
            self._note_fared(link, target)
            try:
                return await self._send_on(link, target, message)
            except TargetFailed as failed:
                if failed.in_doubt:
                    raise
            link = None
        return await self._send_on(await self._open(target, link), target, message)

    async def stop(self) -> None:
        """End all connections, those in use at once and kept ones politely, and open no more."""
        self._stopped = True
        kept = [link for links in self._kept.values() for link in links]
        for link in list(self._links):
            if link in kept:
                self._retire(link)
            else:
                link.abort()
        await DeferredList([link.gone for link in list(self._links)])

    # Keeping connections

    def _take(self, target: Target) -> Link | None:
        links = self._kept.get(target)
        if not links:
            return None
        link = links.pop()
        if not links:
            del self._kept[target]
        link.stop_idling()
        return link

    def _keep(self, link: Link) -> None:
        settings = self._settings
        full = self._kept_count() >= settings.kept
        used_up = (
            link.mails >= min(settings.mails, link.client.max_mails or settings.mails)
            or self._clock.seconds() - link.opened_at >= settings.lifetime
        )
        if link.lost or used_up or full or self._stopped:
            link.quit()
            return
        self._put_by(link)

    def _put_by(self, link: Link) -> None:
        self._kept.setdefault(link.target, []).append(link)
        link.idle(self._settings.idle, lambda: self._retire(link))

    def _kept_count(self) -> int:
        return sum(map(len, self._kept.values()))

    def _has_room(self) -> bool:
        """Whether one more connection may be opened beside another: those come out of the number that may be kept."""
        return self._kept_count() + self._dialer.beside < self._settings.kept

    def _retire(self, link: Link) -> None:
        links = self._kept.get(link.target, [])
        if link in links:
            links.remove(link)
            if not links:
                del self._kept[link.target]
        link.stop_idling()
        link.quit()

    # Opening connections

    async def _open(self, target: Target, link: Link | None) -> Link:
        """Return a connection that is ready for a mail. :param link: one that nothing was said on. :raises TargetFailed:"""
        try:
            return await self._open_with(target, target.tls, link)
        except TargetFailed as failed:
            if failed.scope != "tls" or target.tls != "opportunistic":
                raise
            emit(_log, "queue.unencrypted", host=target.host, ip=target.address, reason=failed.text)
            fared = failed.result, failed.text, PLAIN
        link = await self._open_with(target, "none", None)
        link.fared = fared  # for the other domains whose mail it will carry
        if target.session is not None:
            link.noted.add(target.session.domain)
        return link

    async def _open_with(self, target: Target, level: str, link: Link | None) -> Link:
        link = link or await self._connect(target)
        try:
            if level == "implicit":
                await self._encrypt(link, target, level)
            await link.expect(client.Greeting)
            await self._hello(link)
            self._require_another(link, target)
            if level in ("opportunistic", "required", "verified", "dane"):
                await self._start_tls(link, target, level)
            if link.tls:
                self._fared_with_tls(link, target)
            if target.username:
                await self._login(link, target)
        except TargetFailed as failed:
            if failed.scope == "tls":  # for good although there is TLS: by its certificate
                level = ENCRYPTED if link.tls and failed.lasting else PLAIN
                self._fared(link, target, failed.result, failed.text, level)
            link.close()
            raise
        except BaseException:
            link.abort()
            raise
        return link

    async def _connect(self, target: Target) -> Link:
        if self._stopped:
            raise TargetFailed("connect", "the server is shutting down")
        return self._note(await self._dialer.connect(target))

    def _note(self, link: Link) -> Link:
        self._links[link] = None
        link.gone.addCallback(lambda _: self._forget(link))
        return link

    def _forget(self, link: Link) -> None:
        self._links.pop(link, None)
        self._retire(link)

    async def _hello(self, link: Link) -> None:
        link.write(link.client.hello())
        await link.expect(client.Hello)

    def _require_another(self, link: Link, target: Target) -> None:
        """See that a server does not call itself what we do: it is ourselves, by a name or an address that nobody told us.

        :raises TargetFailed: scope "loop"."""
        if target.by_mx and link.client.peer_name.lower() == self._hostname.lower():
            raise TargetFailed("loop", f"it calls itself {self._hostname}, as this server does: mail loops back")

    async def _start_tls(self, link: Link, target: Target, level: str) -> None:
        if "STARTTLS" not in link.client.extensions:
            failed = TargetFailed(
                "tls", "the server does not offer STARTTLS", result="starttls-not-supported", lasting=True
            )
            if level != "opportunistic":
                raise failed
            self._fared(link, target, failed.result, failed.text, PLAIN)
            return
        link.write(link.client.start_tls())
        event = await link.expect(client.TlsReady, client.TlsRefused)
        if isinstance(event, client.TlsRefused):
            raise TargetFailed(
                "tls",
                f"the server refused STARTTLS: {event.reply}",
                event.reply,
                result="starttls-not-supported",
                lasting=event.reply.is_permanent,
            )
        await self._encrypt(link, target, level)
        try:
            await self._hello(link)
        except TargetFailed as failed:
            if failed.reply is not None:
                raise
            raise TargetFailed(
                "tls", failed.text
            ) from None  # a server may give up only after our part of the handshake

    async def _encrypt(self, link: Link, target: Target, level: str) -> None:
        """Do the handshake and judge the certificate, before anything is said. :raises TargetFailed:"""
        handshake = self._tls.handshake(level, target)
        await link.begin_tls(handshake)
        link.problem = problem = handshake.problem()
        if problem is not None and level in VERIFIED:
            raise TargetFailed("tls", problem.text, result=problem.result, lasting=True)

    def _fared_with_tls(self, link: Link, target: Target) -> None:
        """A connection has TLS: its certificate is what it should be, or nothing is held back for that."""
        level, result, reason = AUTHENTIC, "", ""
        if link.problem is not None:
            level = ENCRYPTED
            if target.rule is not None and target.rule.policy == "sts-testing":
                result, reason = link.problem.result, link.problem.text
        self._fared(link, target, result, reason, level)

    def _fared(self, link: Link, target: Target, result: str, reason: str, level: str) -> None:
        """A connection has TLS as it should be (``result`` ""), or not: log it where there is a rule, and have it noted."""
        link.fared = result, reason, level
        if target.rule is not None:
            told = result or "success"
            policy = target.rule.policy
            emit(
                _log, "queue.tls_result", host=target.host, ip=target.address, policy=policy, result=told, reason=reason
            )
        self._note_fared(link, target)

    def _note_fared(self, link: Link, target: Target) -> None:
        session = target.session
        if session is None or link.fared is None or session.domain in link.noted:
            return
        link.noted.add(session.domain)
        result, reason, level = link.fared
        if not result:
            result, reason = session.result, session.reason  # what is wrong with the policy, whatever the connection is
        self._note_session(
            replace(session, address=target.address, source=link.source, result=result, reason=reason, level=level)
        )

    async def _login(self, link: Link, target: Target) -> None:
        if not link.client.secure:
            raise TargetFailed("tls", "no login without TLS")
        if not link.client.mechanisms:
            raise TargetFailed("lost", "the server offers no login we can use")
        link.write(link.client.authenticate(target.username, target.password))
        event = await link.expect(client.LoggedIn, client.LoginRefused)
        if isinstance(event, client.LoginRefused):
            raise TargetFailed("lost", "the server refused our login", event.reply)

    # Sending

    async def _send_on(self, link: Link, target: Target, message: OutboundMessage) -> OutboundReport:
        try:
            report = await self._transact(link, message)
        except TargetFailed:
            link.close()
            raise
        except BaseException:  # what was cut short must not look complete
            link.abort()
            raise
        if link.client.state is client.ClientState.READY:
            self._keep(link)
        else:
            link.close()
        return report

    async def _transact(self, link: Link, message: OutboundMessage) -> OutboundReport:
        """One transaction; recipients beyond the server's limits of one get our 452."""
        connection = link.client
        now = _at_once(message.recipients, connection.max_recipients, connection.max_domains)
        options = message.options
        lower = connection.said_in_ascii(options)
        if lower is not None and await _is_seven_bit(message):
            options = lower  # the sender asked for more than the message needs
        elif message.without_8bitmime is not None and connection.said_as_it_is(options) is not None:
            instead = await message.without_8bitmime()
            if instead is not None:
                message, options = instead, instead.options
        try:
            commands = connection.send(message.reverse_path, [message.recipients[index] for index in now], options)
        except ValueError:
            return _refused(Reply(553, "5.1.3", ("the address cannot be sent",)), message)
        link.mails += 1
        link.write(commands)
        sent = await self._finish(link, message)
        if not commands:
            return _refused(sent.replies[0], message)
        replies = [_LATER] * len(message.recipients)
        for index, reply in zip(now, sent.replies, strict=True):
            replies[index] = reply
        return OutboundReport(
            tuple(replies), link.tls, connection.has_dsn, frozenset(now[index] for index in sent.ours)
        )

    async def _finish(self, link: Link, message: OutboundMessage) -> client.Sent:
        event = await link.expect(client.ContentWanted, client.Sent)
        if isinstance(event, client.ContentWanted):
            await link.stream(message)
            event = await link.expect(client.Sent)
        assert isinstance(event, client.Sent)
        return event


def _at_once(recipients: Sequence[tuple[str, RcptOptions]], most: int, domains: int) -> list[int]:
    """Return the indexes of the recipients for one transaction. :param most: of them, and :param domains: of their domains;
    0: any number."""
    chosen: list[int] = []
    named: set[str] = set()
    for index, (address, _) in enumerate(recipients):
        domain = address.rpartition("@")[2].lower()
        if domain in named or not domains or len(named) < domains:
            named.add(domain)
            chosen.append(index)
    return chosen[: most or None]


def _refused(reply: Reply, message: OutboundMessage) -> OutboundReport:
    """Our own answer for everybody."""
    count = len(message.recipients)
    return OutboundReport((reply,) * count, ours=frozenset(range(count)))


async def _is_seven_bit(message: OutboundMessage) -> bool:
    """Whether the content is ASCII throughout."""
    offset = 0
    while offset < message.size:
        piece = await message.read(offset, min(READ_PIECE, message.size - offset))
        if not piece or not piece.isascii():
            return False
        offset += len(piece)
    return True
