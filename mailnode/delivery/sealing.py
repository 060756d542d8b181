"""Seals mail from outside that goes on to other servers (ARC, RFC 8617), so that they may believe what was true when it came.

What the signatures of its author and the chain of its forwarders come to is found out once, when it has come, and stands with
the seal on top of the copies for other servers; those in mailboxes here stay as they are. Nothing is changed on the way behind a
seal: mail of others is never said in ASCII (:mod:`mailnode.delivery.eight_bit`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from twisted.logger import Logger
from zope.interface import implementer

from mailnode.delivery.forwarding import answering_domain
from mailnode.interfaces.delivery import ISealer, ISignatureCheck
from mailnode.interfaces.runtime import IClock, IThreads
from mailnode.message.arc import MAX_SETS, read_chain, seal
from mailnode.message.authres import payload, said_by
from mailnode.message.digests import RELAXED, BodyDigests
from mailnode.message.dkim import SigningKey
from mailnode.message.headers import field_names
from mailnode.values.address import Address
from mailnode.values.envelope import Envelope
from mailnode.values.events import emit
from mailnode.values.plan import Judgement

MAX_SEALED_HEADER = 128 * 1024  # octets of the header block of what is sealed
MAX_SEALED_FIELDS = 1000  # fields of it

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
        check: ISignatureCheck,
        threads: IThreads,
        clock: IClock,
        hostname: str,
        enabled: Callable[[], bool] = lambda: True,
    ) -> None:
        """:param keys: returns those that sign for a domain. :param hostname: who found out what the seal says.
        :param enabled: whether the configuration of the moment wants seals."""
        self._keys = keys
        self._check = check
        self._threads = threads
        self._clock = clock
        self._hostname = hostname
        self._enabled = enabled

    async def sealed(
        self,
        envelope: Envelope,
        judgement: Judgement,
        header: bytes,
        size: int,
        read: Read,
        digests: BodyDigests,
    ) -> Judgement:
        """See :class:`ISealer`."""
        seals: dict[Address, bytes] = {}
        found: _Found | None = None
        recipients = judgement.forwarded if self._enabled() else ()
        domains = {recipient: answering_domain(recipient, self._hostname) for recipient in recipients}
        for domain in dict.fromkeys(domains.values()):
            own = [recipient for recipient in recipients if domains[recipient] == domain]
            try:
                key = await self._key(domain)
                found = found or await self._find(envelope, header, size, read, digests)
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
        return judgement._replace(seals=seals) if seals else judgement

    async def _key(self, domain: str) -> SigningKey:
        """:raises Unsealed: there is none. Others than RSA are not verified (RFC 8617 4.2.1 leaves them to a later standard)."""
        for key in await self._keys(domain):
            if key.algorithm == "rsa-sha256":
                return key
        raise Unsealed("no RSA key signs for the domain")

    async def _find(self, envelope: Envelope, header: bytes, size: int, read: Read, digests: BodyDigests) -> _Found:
        """Find out what the signatures on a message come to, where the door has not. :raises Unsealed: it cannot be sealed."""
        await self._threads.run("cpu", _look, header)
        if RELAXED not in digests:
            digests = await self._check.hashed(header, size, read)
        results = [result for result in envelope.authentication if result.method != "arc"]
        if not any(result.method == "dkim" for result in results):
            results += await self._check.signatures(header, digests)
        arc = next((result for result in envelope.authentication if result.method == "arc"), None)
        arc = arc or (await self._check.chain(header, digests)).result
        if envelope.origin.peer:  # RFC 8617 6
            arc = arc._replace(properties=(("smtp.remote-ip", envelope.origin.peer), *arc.properties))
        # What plug-ins have written (RFC 8617 4.1.1), besides these results; forged ones went at the door.
        ours = f"Authentication-Results: {payload(self._hostname, envelope.authentication)}\r\n".encode("ascii")
        said = said_by(self._hostname, envelope.trace.replace(ours, b"") + header)
        text = payload(self._hostname, [*results, arc], said)
        return _Found(
            digests[RELAXED].digest, text, arc.result, ",".join(one.result for one in results if one.method == "dkim")
        )

    async def _seal(self, header: bytes, key: SigningKey, found: _Found) -> bytes:
        now = self._clock.seconds()
        return await self._threads.run("cpu", seal, header, found.digest, key, found.text, found.chain, now)


def _look(header: bytes) -> None:
    """For a thread. :raises Unsealed: it cannot be sealed."""
    if len(header) > MAX_SEALED_HEADER or len(field_names(header)) > MAX_SEALED_FIELDS:
        raise Unsealed("the header is too large")
    chain = read_chain(header)
    if chain.ended:
        raise Unsealed("the chain was found broken before")
    if chain.last >= MAX_SETS:
        raise Unsealed("the chain is too long")
