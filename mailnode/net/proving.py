"""Proof to a certification authority that a name leads here, given in a TLS handshake (RFC 8737).

It asks for one protocol, which nobody else does, and is shown a certificate that was made for this; the connection has no other
purpose. All others are answered as if there were no such thing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias, cast

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from OpenSSL import SSL
from twisted.internet.interfaces import ISSLTransport

from mailnode.interfaces.reactor import IStreamTransport

if TYPE_CHECKING:
    from OpenSSL.SSL import _NoOverlappingProtocols

PROTOCOL = b"acme-tls/1"  # RFC 8737 6.2

ShownProof: TypeAlias = tuple[x509.Certificate, PrivateKeyTypes]


def select_protocol(
    proof: Callable[[str], ShownProof | None], connection: SSL.Connection, offered: Sequence[bytes]
) -> bytes | _NoOverlappingProtocols:
    """Answer an offer of protocols (RFC 7301). It is passed over, since each port speaks one; Twisted would answer with an
    empty name, and OpenSSL end the handshake.

    :param proof: returns what to show for a server name, if anything."""
    shown = None
    if list(offered) == [PROTOCOL]:
        shown = proof((connection.get_servername() or b"").decode("ascii", "replace").lower())
    if shown is None:
        return SSL.NO_OVERLAPPING_PROTOCOLS
    # In TLS 1.2 OpenSSL has chosen among the kinds of keys by now, and cannot do with another context.
    if connection.get_protocol_version() > SSL.TLS1_2_VERSION:
        connection.set_context(_context(shown))
    else:
        connection.use_certificate(shown[0])
        connection.use_privatekey(shown[1])  # type: ignore[arg-type]
    return PROTOCOL


def is_proof(transport: object) -> bool:
    """Whether a connection with TLS is for this alone."""
    if not ISSLTransport.providedBy(transport):
        return False
    connection: SSL.Connection = cast(IStreamTransport, transport).getHandle()
    return connection.get_alpn_proto_negotiated() == PROTOCOL


def _context(shown: ShownProof) -> SSL.Context:
    context = SSL.Context(SSL.TLS_METHOD)
    context.use_certificate(shown[0])
    context.use_privatekey(shown[1])  # type: ignore[arg-type]
    return context
