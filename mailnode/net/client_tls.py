"""TLS towards other servers: with the certificate checked, or for secrecy against those who only listen."""

from __future__ import annotations

from typing import cast

from OpenSSL import SSL, crypto
from twisted.internet._sslverify import IOpenSSLTrustRoot
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import CertificateOptions, TLSVersion, platformTrust
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from mailnode.interfaces.outbound import VERIFIED, Target, TlsRule
from mailnode.net.peer_certificate import (
    MAX_CHAIN,
    CertificateProblem,
    chain_failure,
    chain_problem,
    dane_problem,
    is_address,
    name_problem,
)


class ClientTls:
    """Makes the client's side of handshakes."""

    def __init__(self, trust_root: IOpenSSLTrustRoot | None = None) -> None:
        """:param trust_root: an ``IOpenSSLTrustRoot``; None: the system's certificate authorities."""
        trust_root = trust_root if trust_root is not None else platformTrust()  # type: ignore[no-untyped-call]
        # No session cache: what one connection was must not pass into another. Made once: reading the authorities takes
        # long enough to be felt.
        self._checked = CertificateOptions(trustRoot=trust_root, raiseMinimumTo=TLSVersion.TLSv1_2).getContext()
        self._unchecked = CertificateOptions(verify=False, raiseMinimumTo=TLSVersion.TLSv1_2).getContext()

    def handshake(self, level: str, target: Target) -> Handshake:
        """Return what ``startTLS`` takes, for one connection. The certificate is held against what the level says."""
        name = target.host.strip("[]").removeprefix("IPv6:")
        rule = target.rule
        if level == "dane" and rule is not None:
            return Handshake(self._unchecked, rule.names[0], rule=rule)  # RFC 7672 8.1: the name that has the records
        if level in VERIFIED or (rule is not None and rule.policy == "sts-testing"):
            return Handshake(self._checked, name, by_name=True)
        return Handshake(self._unchecked, name, trusted=self._checked)


@implementer(IOpenSSLClientConnectionCreator)
class Handshake:
    """One handshake, which a certificate never breaks off: :meth:`problem` tells afterwards."""

    def __init__(
        self,
        context: SSL.Context,
        name: str,
        *,
        by_name: bool = False,
        rule: TlsRule | None = None,
        trusted: SSL.Context | None = None,
    ) -> None:
        """:param name: to ask for. :param by_name: whether the certificate must be of a trusted authority for the name.
        :param rule: that it must match. :param trusted: has the authorities to look for afterwards, where nothing must be: OpenSSL
        does not check the certificate in such a handshake, so that nothing in it can be the end of that."""
        self._context = context
        self._name = name
        self._by_name = by_name
        self._rule = rule
        self._trusted = trusted
        self._connection: SSL.Connection | None = None
        self._error = 0  # the first that OpenSSL found in the chain

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """Make the connection object, for Twisted."""
        connection = SSL.Connection(self._context, None)
        connection.set_app_data(tlsProtocol)
        if self._by_name:
            connection.set_verify(SSL.VERIFY_PEER, self._verified)
        if not is_address(self._name):
            connection.set_tlsext_host_name(self._name.encode("ascii"))  # RFC 6066 3: names, not addresses
        self._connection = connection
        return connection

    def problem(self) -> CertificateProblem | None:
        """What is wrong with the certificate, once the handshake is done; None: nothing. Asked once."""
        connection, self._connection = self._connection, None  # which refers to this object: memory goes at once
        if connection is None:
            return None
        try:
            return self._judge(connection)
        except Exception:  # certificates of strangers: what cannot be read is not what it should be
            return CertificateProblem("validation-failure", "the certificate cannot be read")

    def _judge(self, connection: SSL.Connection) -> CertificateProblem | None:
        chain = connection.get_peer_cert_chain(as_cryptography=True)
        if not chain:
            return CertificateProblem("validation-failure", "the server showed no certificate")
        chain = chain[:MAX_CHAIN]
        if self._rule is not None:
            return dane_problem(chain, self._rule)
        if self._trusted is not None:
            store = cast(crypto.X509Store, self._trusted.get_cert_store())  # which lives no longer than its context
            return chain_failure(chain, store) or name_problem(chain[0], (self._name,))
        return chain_problem(self._error) if self._error else name_problem(chain[0], (self._name,))

    def _verified(
        self, connection: SSL.Connection, certificate: crypto.X509, error: int, depth: int, good: int
    ) -> bool:
        if not good and not self._error:
            self._error = error
        return True
