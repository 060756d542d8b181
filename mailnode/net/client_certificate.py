"""The certificates that clients show: asked for, checked after the handshake, never the end of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import ISSLTransport

from mailnode.errors import ConfigurationError
from mailnode.interfaces.reactor import IStreamTransport
from mailnode.net.peer_certificate import MAX_CHAIN, chain_failure
from mailnode.values.client_names import NO_NAMES, ClientNames

MAX_NAMES = 10  # of each kind in a certificate; one with more names nobody
MAX_FILE = 1_048_576  # octets
_FOR_CLIENTS = {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}


def ask_for_certificates(context: SSL.Context, authorities: Sequence[x509.Certificate]) -> None:
    """Let clients of a context show certificates of these authorities, none of which they must have: a program shows what it
    has, and its user may mean to log in by password."""
    store = cast(crypto.X509Store, context.get_cert_store())
    for authority in authorities:
        store.add_cert(crypto.X509.from_cryptography(authority))
        context.add_client_ca(authority)
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)  # an authority that is named need not be a root
    context.set_verify(SSL.VERIFY_PEER, lambda connection, certificate, error, depth, good: True)


def read_authorities(path: Path | None) -> tuple[x509.Certificate, ...]:
    """Return the certificates of a PEM file; none of no file. :raises ConfigurationError: it is not one."""
    if path is None:
        return ()
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise ConfigurationError([f"{path}: cannot be read: {error.strerror}"]) from None
    if len(data) > MAX_FILE:
        raise ConfigurationError([f"{path}: larger than {MAX_FILE} octets"])
    try:
        found = tuple(x509.load_pem_x509_certificates(data))
        ask_for_certificates(SSL.Context(SSL.TLS_METHOD), found)  # OpenSSL may not read what cryptography does
    except (ValueError, x509.InvalidVersion, crypto.Error, SSL.Error):
        raise ConfigurationError([f"{path}: holds no certificate in PEM form"]) from None
    return found


def client_names(transport: object) -> ClientNames:
    """Return whom a client's certificate is for; nobody where it is of no authority that was asked for."""
    if not ISSLTransport.providedBy(transport):
        return NO_NAMES
    connection = cast(IStreamTransport, transport).getHandle()
    try:
        own = connection.get_peer_certificate(as_cryptography=True)
        if own is None:
            return NO_NAMES
        chain = [own, *(connection.get_peer_cert_chain(as_cryptography=True) or ())][:MAX_CHAIN]
        store = cast(crypto.X509Store, connection.get_context().get_cert_store())  # lives no longer than its context
        if chain_failure(chain, store) is not None or not _is_for_clients(own):
            return NO_NAMES
        return ClientNames(_once(_emails(own)), _once(_common_names(own)))
    except Exception:  # certificates of strangers: one that cannot be read names nobody
        return NO_NAMES


def _is_for_clients(certificate: x509.Certificate) -> bool:
    """Whether it may be shown by a client (RFC 5280 4.2.1.12)."""
    try:
        uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return not _FOR_CLIENTS.isdisjoint(uses)


def _emails(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return names.get_values_for_type(x509.RFC822Name)


def _common_names(certificate: x509.Certificate) -> list[str]:
    return [str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]


def _once(names: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.lower() for name in names)) if len(names) <= MAX_NAMES else ()
