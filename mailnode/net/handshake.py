"""What is told of a TLS handshake: what it came to, or why it failed."""

from __future__ import annotations

from typing import cast

from OpenSSL import SSL
from twisted.internet.interfaces import ISSLTransport
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
