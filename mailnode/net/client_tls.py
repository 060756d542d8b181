"""TLS towards other servers: with the certificate checked, or for secrecy against those who only listen."""

from __future__ import annotations

import ipaddress

from OpenSSL import SSL
from twisted.internet._sslverify import IOpenSSLTrustRoot
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import CertificateOptions, TLSVersion, optionsForClientTLS, platformTrust
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from mailnode.interfaces.outbound import VERIFIED

MAX_VERIFYING = 100  # hosts whose creators are kept


class ClientTls:
    """Makes connection creators by level and host."""

    def __init__(self, trust_root: IOpenSSLTrustRoot | None = None) -> None:
        """:param trust_root: an ``IOpenSSLTrustRoot``; None: the system's certificate authorities."""
        self._trust_root = trust_root if trust_root is not None else platformTrust()  # type: ignore[no-untyped-call]
        self._verifying: dict[str, IOpenSSLClientConnectionCreator] = {}
        # No session cache: what one connection was must not pass into another.
        self._unchecked = CertificateOptions(verify=False, raiseMinimumTo=TLSVersion.TLSv1_2).getContext()

    def creator(self, level: str, host: str) -> IOpenSSLClientConnectionCreator:
        """Return what ``startTLS`` takes. ``host`` is the name to ask for and, where the level says so, to check."""
        name = host.strip("[]").removeprefix("IPv6:")
        if level in VERIFIED:
            if name not in self._verifying:
                if len(self._verifying) >= MAX_VERIFYING:
                    self._verifying.clear()
                # Made once a host: reading the authorities takes long enough to be felt.
                self._verifying[name] = optionsForClientTLS(name, trustRoot=self._trust_root)
            return self._verifying[name]
        return _Unchecked(self._unchecked, name)


@implementer(IOpenSSLClientConnectionCreator)
class _Unchecked:
    """Encryption without a check of who is at the other end."""

    def __init__(self, context: SSL.Context, name: str) -> None:
        self._context = context
        self._name = name

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        connection = SSL.Connection(self._context, None)
        connection.set_app_data(tlsProtocol)
        if not _is_address(self._name):
            connection.set_tlsext_host_name(self._name.encode("ascii"))  # RFC 6066 3: names, not addresses
        return connection


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
