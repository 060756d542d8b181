"""Signs what leaves with the keys of its author's domain (DKIM), once and at the door: what was signed is never changed after.

The signatures stand on top of every copy, in mailboxes here and for other servers alike. Private keys are loaded once a process
and kept until the directory has others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.logger import Logger
from zope.interface import implementer

from mailnode.interfaces.accounts import IDirectory
from mailnode.interfaces.delivery import ISignature, ISigner
from mailnode.interfaces.runtime import IClock, IThreads
from mailnode.message.dkim import BodyHash, SigningKey, load, signatures
from mailnode.values.dkim import DkimKey
from mailnode.values.events import emit

_log = Logger()

TOLD_EVERY = 3600.0  # seconds between lines about a domain without keys


@implementer(ISigner)
class DkimSigner:
    """Has the keys."""

    def __init__(
        self, directory: IDirectory, threads: IThreads, clock: IClock, enabled: Callable[[], bool] = lambda: True
    ) -> None:
        """:param enabled: whether the configuration of the moment wants signatures."""
        self._directory = directory
        self._threads = threads
        self._clock = clock
        self._enabled = enabled
        self._loaded: dict[str, tuple[tuple[DkimKey, ...], tuple[SigningKey, ...]]] = {}  # by domain
        self._told: dict[str, float] = {}  # when a domain without keys was told of

    async def begin(self, domains: Sequence[str]) -> DkimSignature | None:
        """See :class:`ISigner`."""
        if not self._enabled():
            return None
        for domain in domains:
            if keys := await self._active(domain):
                return DkimSignature(self, keys)
        now = self._clock.seconds()
        if now - self._told.get(domains[0], float("-inf")) >= TOLD_EVERY:
            self._told[domains[0]] = now
            emit(_log, "dkim.unsigned", domain=domains[0], warning=True)
        return None

    async def sign(self, domains: Sequence[str], envelope_id: str, header: bytes, body: bytes) -> bytes:
        """See :class:`ISigner`."""
        signature = await self.begin(domains)
        if signature is None:
            return b""
        signature.update(body)
        return await signature.fields(envelope_id, header)

    async def keys(self, domain: str) -> tuple[SigningKey, ...]:
        """Return the keys that sign for a domain, RSA first. :raises ValueError: one of them is damaged.
        :raises mailnode.errors.DomainError:"""
        return await self._load(await self._active(domain))

    async def _active(self, domain: str) -> tuple[DkimKey, ...]:
        return tuple(key for key in await self._directory.dkim_keys(domain) if key.state == "active")

    async def _load(self, keys: tuple[DkimKey, ...]) -> tuple[SigningKey, ...]:
        if not keys:
            return ()
        domain = keys[0].domain
        known, loaded = self._loaded.get(domain, ((), ()))
        if known != keys:
            loaded = await self._threads.run("cpu", load, keys)
            self._loaded[domain] = keys, loaded
        return loaded

    async def make(self, keys: tuple[DkimKey, ...], envelope_id: str, header: bytes, digest: bytes) -> bytes:
        """Return the fields that these keys make; none, when one of them is damaged."""
        domain = keys[0].domain
        try:
            loaded = await self._load(keys)
            made = await self._threads.run("cpu", signatures, header, digest, loaded, self._clock.seconds())
        except ValueError as error:
            emit(_log, "dkim.failed", envelope=envelope_id, domain=domain, error=str(error), warning=True)
            return b""
        emit(
            _log,
            "message.signed",
            envelope=envelope_id,
            domain=domain,
            selectors=",".join(key.selector for key in loaded),
        )
        return made


@implementer(ISignature)
class DkimSignature:
    """Of one message on its way in."""

    def __init__(self, signer: DkimSigner, keys: tuple[DkimKey, ...]) -> None:
        self._signer = signer
        self._keys = keys
        self._body = BodyHash()

    def update(self, data: bytes) -> None:
        """See :class:`ISignature`."""
        self._body.update(data)

    async def fields(self, envelope_id: str, header: bytes) -> bytes:
        """See :class:`ISignature`."""
        return await self._signer.make(self._keys, envelope_id, header, self._body.digest())
