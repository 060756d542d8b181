"""The ways to show an authority that a name leads here (RFC 8555 8, RFC 8737)."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path

from twisted.logger import Logger
from zope.interface import implementer

from mailnode.acme.keys import handshake_proof
from mailnode.acme.own_servers import OwnServers
from mailnode.errors import CertificateFailed, DomainError, UpdateFailed
from mailnode.interfaces.acme import IHandshakeProofs, IProofs
from mailnode.interfaces.dns_update import IZoneUpdates
from mailnode.interfaces.pause import pause
from mailnode.interfaces.runtime import IClock, IThreads
from mailnode.values.acme import AcmeSettings
from mailnode.values.dns_update import ZoneChange
from mailnode.values.published import DnsRecord

MAX_TOKENS = 1000  # shown at a time
TXT_TTL = 60  # seconds
SEEN_STEP = 2.0  # seconds between looks whether a record is in DNS
SEEN_SECONDS = 120.0  # until a record that not every server shows is asked for by the authority all the same

_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,256}\Z")  # RFC 8555 8.3: 128 bits at least, base64url
_log = Logger()


def checked_token(token: str) -> str:
    """Return it. It becomes a file's name and a part of a URL. :raises CertificateFailed: it is not what a token may be."""
    if not _TOKEN.match(token):
        raise CertificateFailed("the authority gave an answer that makes no sense: a token that is none")
    return token


@implementer(IProofs)
class PageProofs:
    """Pages of our own http listeners (http-01)."""

    def __init__(self) -> None:
        self._shown: dict[str, str] = {}

    async def show(self, name: str, token: str, authorization: str) -> None:
        """See :class:`IProofs`."""
        if len(self._shown) >= MAX_TOKENS:
            raise CertificateFailed("too many proofs are shown at once")
        self._shown[checked_token(token)] = authorization

    async def hide(self, name: str, token: str, authorization: str) -> None:
        """See :class:`IProofs`."""
        self._shown.pop(token, None)

    def page(self, token: str) -> str | None:
        """Return what the page of a token shows."""
        return self._shown.get(token)


@implementer(IProofs)
class FileProofs:
    """Files below the root of another web server (http-01)."""

    def __init__(self, root: Path, threads: IThreads) -> None:
        self._folder = root / ".well-known" / "acme-challenge"
        self._threads = threads

    async def show(self, name: str, token: str, authorization: str) -> None:
        """See :class:`IProofs`."""
        await self._threads.run("disk", self._write, checked_token(token), authorization)

    async def hide(self, name: str, token: str, authorization: str) -> None:
        """See :class:`IProofs`."""
        try:
            await self._threads.run("disk", (self._folder / checked_token(token)).unlink, True)
        except (OSError, DomainError):
            _log.warn("{folder}: a proof could not be removed", folder=str(self._folder))

    def _write(self, token: str, authorization: str) -> None:
        path = self._folder / token
        new = path.with_name(path.name + ".new")
        try:
            for folder in (self._folder.parent, self._folder):
                if not folder.exists():
                    folder.mkdir()
                    folder.chmod(0o755)  # the other server reads it, whatever our umask is
            new.write_text(authorization, "ascii")
            new.chmod(0o644)
            new.replace(path)
        except OSError as error:
            raise CertificateFailed(f"{path}: cannot be written: {error.strerror}") from None


@implementer(IProofs)
class HandshakeProofs:
    """Certificates of our own listeners with TLS (tls-alpn-01)."""

    def __init__(self, shown: IHandshakeProofs, clock: IClock) -> None:
        self._shown = shown
        self._clock = clock

    async def show(self, name: str, token: str, authorization: str) -> None:
        """See :class:`IProofs`."""
        await self._shown.show_certificate(name, *handshake_proof(name, authorization, self._clock.seconds()))

    async def hide(self, name: str, token: str, authorization: str) -> None:
        """See :class:`IProofs`."""
        await self._shown.hide_certificate(name)


@implementer(IProofs)
class RecordProofs:
    """TXT records (dns-01)."""

    def __init__(self, settings: AcmeSettings, updates: IZoneUpdates, servers: OwnServers, clock: IClock) -> None:
        self._settings = settings
        self._updates = updates
        self._servers = servers
        self._clock = clock

    async def show(self, name: str, token: str, authorization: str) -> None:
        """See :class:`IProofs`. All servers of the zone are waited for, but not for ever."""
        record = _record(name, authorization)
        found = self._settings.zone_of(record.name)
        if found is None:
            raise CertificateFailed(f"no zone that may be changed has {record.name}: [[acme.zone]]")
        zone, server = found
        try:
            await self._updates.update(server, ZoneChange(zone, add=(record,), ttl=TXT_TTL))
        except UpdateFailed as error:
            raise CertificateFailed(str(error)) from None
        until = self._clock.seconds() + SEEN_SECONDS
        while not await self._servers.have(zone, record) and self._clock.seconds() < until:
            await pause(self._clock, SEEN_STEP)

    async def hide(self, name: str, token: str, authorization: str) -> None:
        """See :class:`IProofs`."""
        record = _record(name, authorization)
        found = self._settings.zone_of(record.name)
        if found is not None:
            try:
                await self._updates.update(found[1], ZoneChange(found[0], remove=(record,)))
            except UpdateFailed as error:
                _log.warn("{name}: a proof could not be removed: {reason}", name=record.name, reason=str(error))


def _record(name: str, authorization: str) -> DnsRecord:
    digest = urlsafe_b64encode(sha256(authorization.encode("ascii")).digest()).decode().rstrip("=")
    return DnsRecord(f"_acme-challenge.{name}", "TXT", digest, "proves to a certification authority whose the name is")
