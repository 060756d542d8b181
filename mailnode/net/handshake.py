"""What is told of a TLS handshake: what it came to, or why it failed."""

from __future__ import annotations

from typing import cast

from cryptography.hazmat.primitives import hashes
from OpenSSL import SSL
from twisted.internet.interfaces import ISSLTransport
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure

from mailnode.interfaces.reactor import IStreamTransport


def tls_of(transport: object) -> tuple[str, str]:
    """Return version and cipher in words, and the server name that was asked for, lower case; "" and "" without TLS."""
    if not ISSLTransport.providedBy(transport):
        return "", ""
    handle = cast(IStreamTransport, transport).getHandle()
    name = (handle.get_servername() or b"").decode("ascii", "replace").lower().rstrip(".")
    return version_and_cipher(handle), name


def version_and_cipher(connection: SSL.Connection) -> str:
    """Return them as they stand in the log: ``TLSv1.3 TLS_AES_256_GCM_SHA384``."""
    return f"{connection.get_protocol_version_name()} {connection.get_cipher_name() or ''}".strip()


def why_no_tls(reason: Failure) -> str:
    """Return what ended a connection before its handshake: OpenSSL's words, where it is that."""
    if isinstance(reason.value, SSL.Error):
        said = reason.value.args[0] if reason.value.args else ()
        return "; ".join(dict.fromkeys(str(entry[-1]) for entry in said if entry)) or "no reason was given"
    return "the connection ended during the handshake"


def bindings_of(transport: object) -> dict[str, bytes]:
    """Return what may bind a login to a connection, by type (RFC 9266, RFC 5929); none without TLS 1.3.

    In TLS 1.2 programs take ``tls-unique``, which does not name one connection there (RFC 9266 1), or ask nobody which others we
    know: they are better offered none. Nor is there any behind a balancer: it may have ended the client's own TLS.
    """
    if not ISSLTransport.providedBy(transport) or getattr(transport, "behind_balancer", False):
        return {}
    connection = cast(IStreamTransport, transport).getHandle()
    if connection.get_protocol_version_name() != "TLSv1.3":
        return {}
    found = {"tls-exporter": connection.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")}  # RFC 9266 2
    certificate = connection.get_certificate(as_cryptography=True)
    digest = certificate.signature_hash_algorithm if certificate is not None else None
    if certificate is not None and digest is not None:
        weak = isinstance(digest, (hashes.MD5, hashes.SHA1))  # RFC 5929 4.1
        found["tls-server-end-point"] = certificate.fingerprint(hashes.SHA256() if weak else digest)
    return found


def forget_tls(transport: object) -> None:
    """Take back what STARTTLS set on a transport that has ended, and on those below: it leads back to them, in a circle."""
    under: object | None = transport
    while under is not None:
        for name in ("getHandle", "getPeerCertificate", "handshakeCompleted"):
            vars(under).pop(name, None)
        under = under.transport if isinstance(under, ProtocolWrapper) else None
