"""Certificates from a certification authority, put together: what gets them, what shows its proofs, where they are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from random import uniform

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from zope.interface import implementer

from mailnode.acme.files import AcmeFiles
from mailnode.acme.ordering import Ordering
from mailnode.acme.own_servers import OwnServers
from mailnode.acme.proofs import FileProofs, HandshakeProofs, PageProofs, RecordProofs
from mailnode.acme.renewal import CertificateRenewal
from mailnode.acme.rollover import Rollover
from mailnode.config.schema import Config
from mailnode.config.version import VERSION
from mailnode.errors import ConfigurationError, DomainError
from mailnode.interfaces.acme import IHandshakeProofs, IProofs
from mailnode.interfaces.dns import IDnsLookup
from mailnode.interfaces.runtime import IDelayed
from mailnode.net.dns_update import ZoneUpdates
from mailnode.net.lookup import ReactorLookup
from mailnode.net.tls import CertificateStore, Pair
from mailnode.server.issued import acme_folder
from mailnode.server.runtime import Runtime
from mailnode.values.acme import AcmeSettings

FIRST, INTERVAL = 1.0, 60.0  # seconds from the start to the first look, and between looks
AGENT = f"mailnode/{VERSION}"

_log = Logger()


@implementer(IHandshakeProofs)
class ShownProofs:
    """Proofs in handshakes, in every process."""

    def __init__(self, certificates: CertificateStore, told: Callable[[], Awaitable[object]]) -> None:
        """:param told: returns when every process shows what this one does."""
        self._certificates = certificates
        self._told = told

    async def show_certificate(self, name: str, chain: bytes, key: bytes) -> None:
        """See :class:`IHandshakeProofs`."""
        self._certificates.proofs[name] = Pair.from_pem(chain, key)
        await self._told()

    async def hide_certificate(self, name: str) -> None:
        """See :class:`IHandshakeProofs`."""
        self._certificates.proofs.pop(name, None)
        await self._told()


class Issuing:
    """The renewal of a server's certificates. :meth:`start` when everybody is served, :meth:`stop` before that ends."""

    def __init__(
        self,
        config: Config,
        runtime: Runtime,
        dns: IDnsLookup,
        certificates: CertificateStore,
        told: Callable[[], Awaitable[object]],
    ) -> None:
        """:param told: see :class:`ShownProofs`. :raises ConfigurationError: a file with a secret cannot be read, or the library is
        not installed."""
        self._runtime = runtime
        self._certificates = certificates
        self._pages = PageProofs()
        self._settings = settings = _settings(config)
        self._files = AcmeFiles(acme_folder(config))
        updates = ZoneUpdates(runtime.reactor, runtime.resolver)
        self._proofs = self._ways(settings, dns, updates, told)
        self.renewal = CertificateRenewal(
            settings,
            self._files,
            Rollover(settings, dns, updates),
            self._order_at,
            runtime.threads,
            runtime.clock,
            certificates.look,
        )
        self._timer: IDelayed | None = None
        self._looking: Deferred[None] | None = None
        self._stopped = False

    def page(self, token: str) -> str | None:
        """Return what the page for a proof shows (RFC 8555 8.3); None: there is none."""
        return self._pages.page(token)

    async def begin(self) -> None:
        """Read what there is. What cannot be done now, the first look does."""
        try:
            await self.renewal.begin()
        except DomainError as error:
            _log.warn("certificates could not be looked at: {reason}", reason=str(error))

    def start(self) -> None:
        """Look at once, and then again and again."""
        self._timer = self._runtime.clock.callLater(FIRST, self._begin_look)

    async def stop(self) -> None:
        """Begin nothing any more, and end what is under way; it is gone on with after the next start."""
        self._stopped = True
        self.renewal.stop()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._looking is not None:
            ended: Deferred[None] = Deferred()
            self._looking.addBoth(lambda _: ended.callback(None))
            self._looking.cancel()
            await ended

    def _begin_look(self) -> None:
        self._looking = Deferred.fromCoroutine(self._look())
        self._looking.addBoth(lambda _: self._looked())

    async def _look(self) -> None:
        try:
            await self.renewal.look(self._runtime.clock.seconds())
        except DomainError as error:
            _log.warn("certificates could not be looked at: {reason}", reason=str(error))
        except CancelledError:
            pass  # the server ends
        except Exception:
            _log.failure("certificates could not be looked at")

    def _looked(self) -> None:
        self._looking = None
        if not self._stopped:
            self._timer = self._runtime.clock.callLater(INTERVAL * uniform(0.9, 1.1), self._begin_look)

    def _ways(
        self, settings: AcmeSettings, dns: IDnsLookup, updates: ZoneUpdates, told: Callable[[], Awaitable[object]]
    ) -> IProofs:
        if settings.challenge == "dns-01":
            reactor = self._runtime.reactor
            servers = OwnServers(dns, lambda address: ReactorLookup(reactor, lambda: (address,)))
            return RecordProofs(settings, updates, servers, self._runtime.clock)
        if settings.challenge == "tls-alpn-01":
            return HandshakeProofs(ShownProofs(self._certificates, told), self._runtime.clock)
        if settings.webroot:
            return FileProofs(Path(settings.webroot), self._runtime.threads)
        return self._pages

    def _order_at(self, directory: str) -> Ordering:
        return Ordering(
            self._settings,
            directory,
            self._files,
            self._proofs,
            self._runtime.threads,
            self._runtime.clock,
            self._runtime.reactor,
            AGENT,
        )


def _settings(config: Config) -> AcmeSettings:
    assert config.acme is not None
    try:
        return config.acme.settings(config.server.hostname)
    except OSError as error:
        raise ConfigurationError([f"acme: {error.filename}: {error.strerror}"]) from None
