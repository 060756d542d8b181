"""Seals mail from outside that goes on to other servers (ARC, RFC 8617), so that they may believe what was true when it came.

What the signatures of its author and the chain of its forwarders come to is found out once, when it has come, and stands with
the seal on top of the copies for other servers; those in mailboxes here stay as they are. Nothing is changed on the way behind a
seal: mail of others is never said in ASCII (:mod:`mailnode.delivery.eight_bit`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from twisted.internet.defer import Deferred, DeferredList, DeferredSemaphore, ensureDeferred
from twisted.logger import Logger
from zope.interface import implementer

from mailnode.delivery.forwarding import answering_domain
from mailnode.errors import NoSuchName, ResolverFailure
from mailnode.interfaces.delivery import ISealer
from mailnode.interfaces.outbound import IResolver
from mailnode.interfaces.runtime import IClock, IThreads
from mailnode.message.arc import MAX_SETS, read_chain, seal
from mailnode.message.authres import payload, said_by
from mailnode.message.dkim import SigningKey
from mailnode.message.headers import field_names
from mailnode.message.verifying import Digests, key_names, verify
from mailnode.values.address import Address
from mailnode.values.envelope import Envelope
from mailnode.values.events import emit
from mailnode.values.plan import Judgement

MAX_SEALED_HEADER = 128 * 1024  # octets of the header block of what is sealed
MAX_SEALED_FIELDS = 1000  # fields of it
LOOKUPS_AT_ONCE = 10  # for keys, of one message: a stranger's chain names a hundred
LOOKUP_SECONDS = 20.0  # for the keys of all signatures of a message
PIECE = 256 * 1024  # octets read and hashed at a time, from multiples on: so the store decompresses them

_log = Logger()

Read = Callable[[int, int], Awaitable[bytes]]


class Unsealed(Exception):
    """Why there is no seal, for the log."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found out of a message. ``digest``: of its body. ``text``: what is told of it. ``chain`` and ``dkim``: the results
    for the log, of which the first is what the seal says."""

    digest: bytes
    text: str
    chain: str
    dkim: str


@implementer(ISealer)
class ArcSealer:
    """Seals with the key of the domain whose address leads on."""

    def __init__(
        self,
        keys: Callable[[str], Awaitable[Sequence[SigningKey]]],
        resolver: IResolver,
        threads: IThreads,
        clock: IClock,
        hostname: str,
        enabled: Callable[[], bool] = lambda: True,
    ) -> None:
        """:param keys: returns those that sign for a domain. :param hostname: who found out what the seal says.
        :param enabled: whether the configuration of the moment wants seals."""
        self._keys = keys
        self._resolver = resolver
        self._threads = threads
        self._clock = clock
        self._hostname = hostname
        self._enabled = enabled

    async def sealed(self, envelope: Envelope, judgement: Judgement, header: bytes, size: int, read: Read) -> Judgement:
        """See :class:`ISealer`."""
        seals: dict[Address, bytes] = {}
        found: _Found | None = None
        recipients = judgement.forwarded if self._enabled() else ()
        domains = {recipient: answering_domain(recipient, self._hostname) for recipient in recipients}
        for domain in dict.fromkeys(domains.values()):
            own = [recipient for recipient in recipients if domains[recipient] == domain]
            try:
                key = await self._key(domain)
                found = found or await self._find(envelope, header, size, read)
                on_top = {recipient: envelope.trace + judgement.plan(recipient).prefix for recipient in own}
                made = {text: await self._seal(text + header, key, found) for text in set(on_top.values())}
            except Exception as error:  # whatever it is, the mail is good without
                reason = str(error) if isinstance(error, Unsealed) else f"{type(error).__name__}: {error}"
                emit(_log, "message.unsealed", envelope=envelope.id, domain=domain, reason=reason, warning=True)
                continue
            seals |= {recipient: made[text] for recipient, text in on_top.items()}
            emit(
                _log,
                "message.sealed",
                envelope=envelope.id,
                domain=domain,
                selector=key.selector,
                chain=found.chain,
                dkim=found.dkim,
            )
        return replace(judgement, seals=seals) if seals else judgement

    async def _key(self, domain: str) -> SigningKey:
        """:raises Unsealed: there is none. Others than RSA are not verified (RFC 8617 4.2.1 leaves them to a later standard)."""
        for key in await self._keys(domain):
            if key.algorithm == "rsa-sha256":
                return key
        raise Unsealed("no RSA key signs for the domain")

    async def _find(self, envelope: Envelope, header: bytes, size: int, read: Read) -> _Found:
        """Find out what the signatures on a message come to. :raises Unsealed: it cannot be sealed."""
        names = await self._threads.run("cpu", _look, header)
        body = Digests()
        offset = len(header)
        while offset < size:
            end = min(offset - offset % PIECE + PIECE, size)
            await self._threads.run("cpu", body.update, await read(offset, end - offset))
            offset = end
        body.finish()
        *dkim, arc = await self._threads.run("cpu", verify, header, body, await self._records(names))
        if envelope.origin.peer:  # RFC 8617 6
            arc = replace(arc, properties=(("smtp.remote-ip", envelope.origin.peer), *arc.properties))
        said = said_by(
            self._hostname, envelope.trace + header
        )  # by policies (RFC 8617 4.1.1); forged ones went at the door
        text = payload(self._hostname, [*envelope.authentication, *dkim, arc], said)
        return _Found(body.digests[b"relaxed"], text, arc.result, ",".join(one.result for one in dkim))

    async def _seal(self, header: bytes, key: SigningKey, found: _Found) -> bytes:
        now = self._clock.seconds()
        return await self._threads.run("cpu", seal, header, found.digest, key, found.text, found.chain, now)

    async def _records(self, names: Sequence[str]) -> dict[str, bytes | None]:
        """Ask for a few at a time; what is not answered in time is not known."""
        places, until = DeferredSemaphore(LOOKUPS_AT_ONCE), self._clock.seconds() + LOOKUP_SECONDS
        asked = [places.run(self._ask, name, until).addTimeout(LOOKUP_SECONDS, self._clock) for name in names]  # type: ignore[arg-type]
        answers: Sequence[tuple[bool, bytes]] = await DeferredList(asked, consumeErrors=True)
        return {name: record if known else None for name, (known, record) in zip(names, answers, strict=True)}

    def _ask(self, name: str, until: float) -> Deferred[bytes]:
        return ensureDeferred(self._record(name, until))

    async def _record(self, name: str, until: float) -> bytes:
        """Return the record of a key, b"" when there is none. :raises mailnode.errors.ResolverFailure:"""
        if self._clock.seconds() >= until:  # those before it have just been given up
            raise ResolverFailure("it is too late to ask")
        try:
            return next((record for record in await self._resolver.txt(name) if b"p=" in record), b"")
        except NoSuchName:
            return b""


def _look(header: bytes) -> tuple[str, ...]:
    """Return the names of the records that are needed. For a thread. :raises Unsealed: it cannot be sealed."""
    if len(header) > MAX_SEALED_HEADER or len(field_names(header)) > MAX_SEALED_FIELDS:
        raise Unsealed("the header is too large")
    chain = read_chain(header)
    if chain.ended:
        raise Unsealed("the chain was found broken before")
    if chain.last >= MAX_SETS:
        raise Unsealed("the chain is too long")
    return key_names(header)
