"""The delivery agent for other servers: one destination, its servers in order, one result for each recipient.

What a failure says, and what follows:

======================================  ======================================================================
no connection                           the address is remembered as bad; next address
4yz or 5yz as banner or to EHLO         next address; permanent only when every server says 5yz
TLS required and not possible           next address; temporary, but final where REQUIRETLS (RFC 8689) asks for it
lost, or 421, before the end of data    next address; temporary
it is ourselves                         what is no better than we are would bring it here again; temporary
lost after the end of data was sent     the server may have the message (RFC 1047): no other server now; temporary
4yz to MAIL, RCPT, DATA, end of data    next host; temporary
452 to some RCPT while others went      the same server again with the rest (RFC 5321 4.5.3.1.10)
5yz there                               final for that recipient, but for one thing:
5.7.z there, for the first time         the host's other address family once, since reputation lists differ
the server lacks an extension           next host; final when none has it
======================================  ======================================================================
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from random import SystemRandom

from zope.interface import implementer

from mailnode.delivery.eight_bit import EightBit
from mailnode.delivery.mx import Health, Hop, NoRoute, Routes
from mailnode.delivery.plans import prefix_of
from mailnode.delivery.routing import NextHop, RoutingTable, Way
from mailnode.delivery.tls_policy import GOES_BACK, WAITS, Decision, TlsPolicy, expected
from mailnode.interfaces.outbound import (
    VERIFIED,
    IOutbound,
    IResolver,
    MxRecord,
    OutboundMessage,
    OutboundReport,
    Target,
    TargetFailed,
)
from mailnode.interfaces.queue import IDeliveryAgent
from mailnode.interfaces.runtime import IClock
from mailnode.interfaces.store import IQueueStore
from mailnode.values.attempt import DEFERRED, REJECTED, SENT, Attempt, AttemptReport
from mailnode.values.envelope import TLS_OPTIONAL, TLS_REQUIRED
from mailnode.values.queue import Claim, QueuedRecipient
from mailnode.values.reason import WaitReason, tls_reason
from mailnode.values.smtp_reply import Reply

_TOO_MANY = re.compile(r"too many|rate limit|connection limit|concurren|throttl", re.IGNORECASE)
_FAILURE_STATUS = {"connect": "4.4.1", "greeting": "4.3.2", "tls": "4.7.5", "lost": "4.4.2", "loop": "4.4.6"}
# Our own words for a server that REQUIRETLS keeps a message from.
_NOT_VERIFIED = {"4.7.5", "4.7.10", "5.7.10", "5.7.30"}
_SCOPES = {"connect": WaitReason.UNREACHABLE, "loop": WaitReason.LOOP}
_POLICIES = {"dane": "DANE", "sts": "MTA-STS", "sts-testing": "MTA-STS"}  # what people call them
_shuffle = SystemRandom().shuffle


@implementer(IDeliveryAgent)
class RemoteAgent:
    """Hands queued messages to other servers."""

    def __init__(
        self,
        resolver: IResolver,
        outbound: IOutbound,
        queue: IQueueStore,
        clock: IClock,
        *,
        own_names: Collection[str],
        own_addresses: Collection[str] = (),
        routing: RoutingTable | None = None,
        tls: TlsPolicy | None = None,
        eight_bit: EightBit | None = None,
        port: int = 25,
        shuffle: Callable[[list[MxRecord]], None] = _shuffle,
    ) -> None:
        """:param own_names: names this server is known by. :param own_addresses: IP addresses at which it alone takes mail.
        :param eight_bit: what becomes of 8-bit content for a server that takes none; None: it goes back.
        :param port: of the servers found by MX; another than 25 is for tests. :param shuffle: puts a list in random order.
        """
        self._outbound = outbound
        self._queue = queue
        self._routing = routing or RoutingTable()
        self._tls = tls or TlsPolicy()
        self._eight_bit = eight_bit
        self._port = port
        self._health = Health(clock)
        self._mx = Routes(resolver, self._health, own_names, own_addresses, shuffle)

    async def attempt(self, claim: Claim) -> AttemptReport:
        """Try the servers of a destination until every recipient has its answer."""
        if self._routing.is_stale(claim.envelope.recipients[0].destination):
            return await self._attempt_anew(claim)
        return _together([await self._attempt_alike(one) for one in _alike(claim)])

    async def _attempt_alike(self, claim: Claim) -> AttemptReport:
        """Try the servers for recipients whose copies are the same, octet by octet."""
        report = await self._attempt_once(claim)
        if _sender(claim) or claim.envelope.options.tls != TLS_REQUIRED:
            return report
        # RFC 8689 5: a notice is not lost because nobody takes it with REQUIRETLS.
        lost = {
            attempt.index for attempt in report.attempts if attempt.status in _NOT_VERIFIED and not attempt.diagnostic
        }
        left = [recipient for recipient in claim.envelope.recipients if recipient.index in lost]
        if not left:
            return report
        kept = replace(report, attempts=tuple(one for one in report.attempts if one.index not in lost))
        options = replace(claim.envelope.options, tls="")
        again = replace(claim, envelope=replace(claim.envelope, options=options))
        return _together([kept, await self._attempt_once(_only(again, left))])

    async def _attempt_once(self, claim: Claim) -> AttemptReport:
        """Try the servers for such recipients under TLS as the message wants it."""
        destination = claim.envelope.recipients[0].destination
        way, domain = self._routing.way(destination, _sender(claim), claim.envelope.account)
        try:
            groups = await self._targets(way, domain, claim.envelope.options.tls)
        except NoRoute as no_route:
            result = REJECTED if no_route.status.startswith("5") else DEFERRED
            attempts = [
                Attempt(r.index, result, no_route.status, no_route.text, reason=no_route.reason)
                for r in claim.envelope.recipients
            ]
            return AttemptReport(tuple(attempts), reached=result == REJECTED)
        trial = _Trial(claim, [target for group in groups for target in group])
        for group in groups:
            await self._try_equals(group, trial)
        return trial.report()

    async def _try_equals(self, group: Sequence[Target], trial: _Trial) -> None:
        """Try servers that are equally good, each time the one that answers first."""
        left = [target for target in group if trial.rows_for(target)]
        while left and not trial.over:
            reached = await self._outbound.reach(left)
            for target, failed in reached.failed:
                self._note_failed(target)
                trial.target_failed(target, failed, ())
            if reached.target is not None:
                await self._try(reached.target, trial)
            used = {reached.target, *(target for target, _ in reached.failed)}
            left = [target for target in left if target not in used and trial.rows_for(target)]

    async def _attempt_anew(self, claim: Claim) -> AttemptReport:
        """What was queued for a way that is not configured any more goes where each recipient's mail goes now."""
        anew: dict[str, list[QueuedRecipient]] = {}
        for recipient in claim.envelope.recipients:
            domain = recipient.address.rpartition("@")[2]
            sender = recipient.sender(claim.envelope.reverse_path)
            destination = self._routing.destination(domain, sender, claim.envelope.account)
            anew.setdefault(destination, []).append(replace(recipient, destination=destination))
        reports = [await self.attempt(_only(claim, recipients)) for recipients in anew.values()]
        return AttemptReport(tuple(attempt for report in reports for attempt in report.attempts))

    async def _targets(self, way: Way, domain: str, wanted: str) -> list[list[Target]]:
        """Return the servers to try in order, those that are equally good together; at least one.

        :param wanted: of TLS by the message. :raises NoRoute:"""
        hops = await self._hops(way.next_hop, domain)
        decided = await self._tls.decide(domain, hops, wanted) if way.next_hop is None else {}
        groups: dict[int, list[Target]] = {}
        for hop in hops:
            source = way.source(hop.address)
            target = self._target(way.next_hop, domain, hop, decided.get(hop.host), wanted)
            if source is not None and target is not None:
                if source or way.proxy is not None or wanted == TLS_REQUIRED:
                    target = replace(target, source=source, proxy=way.proxy, require_tls=wanted == TLS_REQUIRED)
                groups.setdefault(hop.preference, []).append(target)
        if not groups:
            raise NoRoute(
                "4.4.4", f"no server has an address of the family of {', '.join(way.sources)}", WaitReason.UNREACHABLE
            )
        return list(groups.values())

    async def _hops(self, chosen: NextHop | None, domain: str) -> Sequence[Hop]:
        if chosen is None:
            return await self._mx.find(domain)
        return [Hop("localhost", chosen.socket)] if chosen.socket else await self._mx.find_host(chosen.host)

    def _target(
        self, chosen: NextHop | None, domain: str, hop: Hop, decision: Decision | None, wanted: str
    ) -> Target | None:
        if chosen is not None:
            tls = chosen.level(hop.address, wanted)
            return Target(hop.host, hop.address, chosen.port, tls, chosen.username, chosen.password, lmtp=chosen.lmtp)
        if decision is None:
            return None
        # Where it was not looked at what a domain publishes, nothing can be told of it.
        is_noted = wanted != TLS_OPTIONAL and not domain.startswith("[")
        session = expected(domain, hop.host, decision) if is_noted else None
        return Target(
            hop.host, hop.address, self._port, decision.level, rule=decision.rule, by_mx=True, session=session
        )

    async def _try(self, target: Target, trial: _Trial) -> None:
        """One server, again for those it had no room for in the same transaction."""
        rows = trial.rows_for(target)
        while rows:
            try:
                report = await self._outbound.send(target, self._message(trial.claim, rows, target.lmtp))
            except TargetFailed as failed:
                if failed.scope == "connect":
                    self._note_failed(target)
                trial.target_failed(target, failed, rows)
                return
            self._health.works(target.address)
            rows = trial.answered(target, report, rows)

    def _note_failed(self, target: Target) -> None:
        """Remember that a server did not answer, unless that may be a matter of how it was called."""
        if target.proxy is None and not target.source:
            self._health.failed(target.address)

    def _message(self, claim: Claim, rows: Sequence[_Row], lmtp: bool) -> OutboundMessage:
        envelope = claim.envelope
        prefix = prefix_of(rows[0].recipient)
        eight_bit = self._eight_bit

        def instead() -> Awaitable[OutboundMessage | None]:
            assert eight_bit is not None
            return eight_bit.instead(message, bool(envelope.account_id), len(prefix))

        async def read(offset: int, length: int) -> bytes:
            """Read what is on top, then the message."""
            if offset < len(prefix):
                return prefix[offset : offset + length]
            return await self._queue.read(envelope.blob, offset - len(prefix), length, claim.stored)

        message = OutboundMessage(
            reverse_path=rows[0].recipient.sender(envelope.reverse_path),
            recipients=tuple((row.recipient.address, row.recipient.options) for row in rows),
            read=read,
            options=replace(
                envelope.options,
                size=len(prefix) + envelope.blob.size,
                body=envelope.options.body if prefix.isascii() else "8BITMIME",
                tls="" if lmtp else envelope.options.tls,  # it is delivered there, and goes no further
            ),
            envelope_id=envelope.id,
            without_8bitmime=None if eight_bit is None else instead,
        )
        return message


def _was_softened(recipient: QueuedRecipient) -> bool:
    """Whether the last try was refused for good and put off all the same, when nobody answered at the other family."""
    return recipient.last_status.startswith("4.7.") and recipient.last_reply.startswith("5")


def _sender(claim: Claim) -> str:
    """Return the reverse-path of a claim whose copies are the same."""
    return claim.envelope.recipients[0].sender(claim.envelope.reverse_path)


def _only(claim: Claim, recipients: Sequence[QueuedRecipient]) -> Claim:
    return replace(claim, envelope=replace(claim.envelope, recipients=tuple(recipients)))


def _alike(claim: Claim) -> list[Claim]:
    """Return a claim apart by what stands on top of each copy."""
    plans = dict.fromkeys(recipient.plan for recipient in claim.envelope.recipients)
    if len(plans) == 1:
        return [claim]
    return [_only(claim, [one for one in claim.envelope.recipients if one.plan == plan]) for plan in plans]


def _together(reports: Sequence[AttemptReport]) -> AttemptReport:
    """Return what several tries at one destination came to."""
    return AttemptReport(
        tuple(attempt for report in reports for attempt in report.attempts),
        reached=any(report.reached for report in reports),
        slow_down=any(report.slow_down for report in reports),
    )


@dataclass(slots=True)
class _Row:
    """One recipient during a trial."""

    recipient: QueuedRecipient
    hosts: set[str]  # hosts that gave an answer about it
    temporary: Attempt | None = None  # what will be said if no other server takes it
    lacking: Attempt | None = None  # a server lacked what the message needs
    softened: Target | None = None  # who refused it by 5.7.z: the other address family gets one chance


class _Trial:
    """One try at one destination: what became of each recipient so far."""

    def __init__(self, claim: Claim, targets: Sequence[Target]) -> None:
        self.claim = claim
        self.pending = {recipient.index: _Row(recipient, set()) for recipient in claim.envelope.recipients}
        self.over = False
        self._families: dict[str, set[bool]] = {}
        for target in targets:
            self._families.setdefault(target.host, set()).add(target.is_six)
        self._final: list[Attempt] = []
        self._failures: list[tuple[Target, TargetFailed]] = []
        self._reached = False
        self._slow_down = False

    def rows_for(self, target: Target) -> list[_Row]:
        """Who is to be tried at this server."""
        return [row for row in self.pending.values() if self._may_try(row, target)]

    def _may_try(self, row: _Row, target: Target) -> bool:
        if row.softened is not None and row.softened.host == target.host:
            return target.is_six != row.softened.is_six
        return target.host not in row.hosts

    def target_failed(self, target: Target, failed: TargetFailed, rows: Sequence[_Row]) -> None:
        """A server could not be used."""
        self._failures.append((target, failed))
        self._note_slow_down(failed.reply)
        if failed.in_doubt or failed.scope == "loop":
            self.over = True
            for row in rows:
                row.temporary = _failure_attempt(row, target, failed, DEFERRED)

    def answered(self, target: Target, report: OutboundReport, rows: Sequence[_Row]) -> list[_Row]:
        """A server answered; return whom to try there again at once."""
        self._reached = True
        again = []
        progress = any(reply.code != 452 for reply in report.replies)
        for position, (row, reply) in enumerate(zip(rows, report.replies, strict=True)):
            attempt = _reply_attempt(row, target, report, reply, position in report.ours)
            if position in report.ours:
                row.hosts.add(target.host)
                row.lacking = attempt
            elif attempt.result == SENT:
                self._settle(row, attempt)
            elif reply.is_permanent and self._softens(row, target, reply):
                row.softened = target
                row.hosts.add(target.host)
                row.temporary = replace(attempt, result=DEFERRED, status="4" + attempt.status[1:])
            elif reply.is_permanent:
                self._settle(row, attempt)
            elif reply.code == 452 and progress:  # too many recipients of one message: not too much mail
                row.temporary = attempt
                again.append(row)
            else:
                self._note_slow_down(reply)
                row.temporary = attempt
                row.hosts.add(target.host)
        return again

    def _softens(self, row: _Row, target: Target, reply: Reply) -> bool:
        if row.softened is not None or _was_softened(row.recipient) or not reply.status.startswith("5.7."):
            return False
        return len(self._families[target.host]) == 2

    def _settle(self, row: _Row, attempt: Attempt) -> None:
        self._final.append(attempt)
        del self.pending[row.recipient.index]

    def _note_slow_down(self, reply: Reply | None) -> None:
        if reply is not None and _asks_for_less(reply):
            self._slow_down = True

    def report(self) -> AttemptReport:
        """The results, those nobody answered included."""
        attempts = self._final + [self._last_word(row) for row in self.pending.values()]
        return AttemptReport(tuple(attempts), reached=self._reached, slow_down=self._slow_down)

    def _last_word(self, row: _Row) -> Attempt:
        if row.temporary is not None:
            return row.temporary
        temporary = [(target, failed) for target, failed in self._failures if _is_temporary(target, failed)]
        if temporary:
            return _failure_attempt(row, *temporary[-1], DEFERRED)
        if row.lacking is not None:
            return row.lacking
        return _failure_attempt(row, *self._failures[-1], REJECTED)


def _is_temporary(target: Target, failed: TargetFailed) -> bool:
    if failed.scope == "tls" and target.require_tls:
        return not failed.lasting
    return failed.scope != "greeting" or failed.reply is None or not failed.reply.is_permanent


def _asks_for_less(reply: Reply) -> bool:
    return reply.code == 421 or (400 <= reply.code < 500 and _TOO_MANY.search(reply.text) is not None)


def _lacking_reason(reply: Reply) -> WaitReason:
    return WaitReason.REQUIRETLS if reply.status.endswith(".7.30") else WaitReason.UNSUPPORTED


def _said(reply: Reply) -> WaitReason:
    """Return the reason that a server gave."""
    return WaitReason.SLOW_DOWN if _asks_for_less(reply) else WaitReason.REFUSED


def _failure_reason(target: Target, failed: TargetFailed) -> WaitReason:
    if failed.scope == "tls":
        if target.require_tls:
            return WaitReason.REQUIRETLS
        return WaitReason.TLS if target.rule is None else tls_reason(failed.result)
    if failed.timed_out:
        return WaitReason.TIMEOUT
    return _SCOPES.get(failed.scope, WaitReason.LOST) if failed.reply is None else _said(failed.reply)


def _reply_attempt(row: _Row, target: Target, report: OutboundReport, reply: Reply, ours: bool) -> Attempt:
    result = SENT if reply.code // 100 == 2 else REJECTED if reply.is_permanent else DEFERRED
    return Attempt(
        row.recipient.index,
        result,
        reply.status or f"{reply.code // 100}.0.0",
        reply.text if ours else str(reply),
        target.host,
        report.tls,
        diagnostic=not ours,
        remote_dsn=report.remote_dsn,
        address=target.address,
        verified=bool(report.tls) and target.tls in VERIFIED,
        reason="" if result == SENT else _lacking_reason(reply) if ours else _said(reply),
    )


def _failure_attempt(row: _Row, target: Target, failed: TargetFailed, result: str) -> Attempt:
    """A result from a failure of the whole server."""
    reply, text = failed.reply, failed.text
    known = reply.status if reply is not None and reply.status else _FAILURE_STATUS[failed.scope]
    if failed.scope == "tls" and target.require_tls:
        reply, text, known = None, f"REQUIRETLS: {text} ({failed.result})", GOES_BACK
    elif failed.scope == "tls" and target.rule is not None:
        reply, text, known = None, f"{_POLICIES[target.rule.policy]}: {text} ({failed.result})", WAITS
    return Attempt(
        row.recipient.index,
        result,
        ("5" if result == REJECTED else "4") + known[1:],
        str(reply) if reply is not None else f"{target.host}[{target.address}]: {text}",
        target.host,
        diagnostic=reply is not None,
        address=target.address,
        reason=_failure_reason(target, failed),
    )
