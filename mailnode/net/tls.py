"""Certificates: chosen by the name a client asks for, read again when they change, the old kept when the new are broken.

Every listener has OpenSSL contexts of its own that resume nothing: what a client was on one port it never is on another.
TLS 1.2 clients get no session id and no ticket. TLS 1.3 clients are still sent tickets, whose number pyOpenSSL cannot set;
they name sessions that are not kept.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IHandshakeListener, IOpenSSLServerConnectionCreator, ISSLTransport, ITransport
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOProtocol
from zope.interface import alsoProvides, implementer

from mailnode.errors import ConfigurationError
from mailnode.interfaces.reactor import IStreamTransport
from mailnode.interfaces.runtime import IClock, IDelayed
from mailnode.net.client_certificate import ask_for_certificates
from mailnode.net.direct_tls import StartedTls
from mailnode.net.proving import ShownProof, select_protocol
from mailnode.values.events import emit, moment

POLL = 60.0  # seconds between looks at the files
MAX_FILE = 1_048_576  # octets

_log = Logger()


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate chain, leaf first, with its private key."""

    chain: tuple[x509.Certificate, ...]
    key: PrivateKeyTypes
    names: tuple[str, ...]  # DNS names it is for, lower case; a wildcard begins with "*."

    @property
    def not_after(self) -> datetime:
        """When the leaf expires."""
        return self.chain[0].not_valid_after_utc

    @property
    def fingerprint(self) -> str:
        """Of the leaf: SHA-256, 64 hexadecimal digits, as ``openssl x509 -fingerprint -sha256`` tells it without colons."""
        return self.chain[0].fingerprint(SHA256()).hex()

    @property
    def key_digest(self) -> str:
        """SHA-256 of the leaf's public key, in hexadecimal: the data of a TLSA record 3 1 1 (RFC 6698 2.1)."""
        return _digest(self.chain[0].public_key())

    @property
    def kind(self) -> str:
        """What its key is: "RSA", "EC" or another."""
        return (
            "RSA"
            if isinstance(self.key, RSAPrivateKey)
            else "EC"
            if isinstance(self.key, EllipticCurvePrivateKey)
            else ""
        )

    @property
    def issuer(self) -> str:
        """The organization that issued the leaf; "" where it is not named, or nobody else did."""
        leaf = self.chain[0]
        named = leaf.issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        return str(named[0].value) if named and leaf.issuer != leaf.subject else ""

    def as_pem(self) -> tuple[bytes, bytes]:
        """Return chain and key as text, for another process."""
        chain = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in self.chain)
        return chain, self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @classmethod
    def from_pem(cls, chain: bytes, key: bytes) -> Pair:
        """Return the pair that :meth:`as_pem` told."""
        certificates = x509.load_pem_x509_certificates(chain)
        return cls(tuple(certificates), load_pem_private_key(key, None), _names(certificates[0]))


def pair_for(pairs: Sequence[Pair], name: str) -> int:
    """Return the index of the pair for a server name; see :meth:`CertificateStore.find`."""
    name = name.lower().rstrip(".")
    wildcard = "*." + name.partition(".")[2]
    for candidate in (name, wildcard):
        for index, pair in enumerate(pairs):
            if candidate in pair.names:
                return index
    return 0


def pairs_beside(pairs: Sequence[Pair], index: int) -> list[Pair]:
    """Return those for the same names as one of them whose keys are of other kinds, one of a kind: a client is shown the first
    that it can use."""
    first = pairs[index]
    found = {first.kind: first}
    for pair in pairs[index + 1 :]:
        if first.names and set(pair.names) == set(first.names):
            found.setdefault(pair.kind, pair)
    return list(found.values())[1:]


class BrokenPair(Exception):
    """Files that cannot be used. ``part`` is "certificate" or "key"."""

    def __init__(self, part: str, text: str) -> None:
        super().__init__(text)
        self.part = part
        self.text = text


def read_pair(certificate: Path, key: Path) -> Pair:
    """Read two PEM files. :raises BrokenPair: unreadable, not PEM, not belonging together, or of no use to OpenSSL."""
    chain = _read_chain(certificate)
    secret = _read_key(key)
    pair = Pair(tuple(chain), secret, _names(chain[0]))
    try:
        certified, _ = pair.key_digest, pair.issuer  # what is wrong within shows only when it is looked at
    except (ValueError, UnsupportedAlgorithm):
        raise BrokenPair(
            "certificate", f"{certificate}: cannot be read: a part of it is damaged, or not known"
        ) from None
    if certified != _digest(secret.public_key()):
        raise BrokenPair("key", f"{key}: does not belong to the certificate {certificate}")
    try:
        _options(pair)
    except (SSL.Error, crypto.Error, ValueError, TypeError):
        raise BrokenPair("certificate", f"{certificate}: of a kind that OpenSSL does not use for TLS") from None
    return pair


def read_key_digest(key: Path) -> str:
    """Return what :attr:`Pair.key_digest` will be of a certificate for this key. :raises BrokenPair:"""
    return _digest(_read_key(key).public_key())


def check_pair(certificate: Path, key: Path) -> list[tuple[str, str]]:
    """Return what is wrong with two files as (part, text) pairs; looks at the key even when the certificate is bad."""
    mistakes = []
    readings: tuple[tuple[Callable[[Path], object], Path], ...] = ((_read_chain, certificate), (_read_key, key))
    for read, path in readings:
        try:
            read(path)
        except BrokenPair as error:
            mistakes.append((error.part, error.text))
    if not mistakes:
        try:
            read_pair(certificate, key)
        except BrokenPair as error:
            mistakes.append((error.part, error.text))
    return mistakes


@dataclass(frozen=True, slots=True)
class CertificateSet:
    """What was read of all files at one time; ``stamp`` tells whether a file has changed since. ``provisional``: nobody has
    issued a certificate yet."""

    files: tuple[tuple[Path, Path], ...]
    stamp: object
    pairs: tuple[Pair, ...]
    provisional: bool = False


class CertificateStore:
    """All certificates of the server. The first pair is the default. To read files and to use what was read are two steps:
    what else a configuration says may be wrong."""

    def __init__(
        self,
        files: Sequence[tuple[Path, Path]],
        clock: IClock,
        issued: Sequence[Path] = (),
        provisional: Callable[[], Pair] | None = None,
    ) -> None:
        """:param files: (certificate, key) PEM files. :param issued: PEM files that hold a key and its certificate, and that may
        not be there yet; what they hold goes first. :param provisional: makes what is shown while none of them is there."""
        self._clock = clock
        self._issued = tuple(issued)
        self._provisional = provisional
        self._used = CertificateSet(tuple(files), None, ())
        self.proofs: dict[str, Pair] = {}  # by server name, see :mod:`mailnode.net.proving`
        self._seen: object = None  # the files when they were last looked at, good or broken
        self._timer: IDelayed | None = None
        self.generation = 0  # grows with every set of certificates that came into use
        self.on_change: Callable[[], None] = lambda: None  # called when the poll has taken others into use

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """What is in use now."""
        return self._used.pairs

    @property
    def provisional(self) -> bool:
        """Whether what is shown first was made here, because nobody has issued a certificate yet."""
        return self._used.provisional

    def load(self) -> None:
        """Read everything for the first time. :raises ConfigurationError: every mistake."""
        self.use(self.read())

    def read(self, files: Sequence[tuple[Path, Path]] | None = None) -> CertificateSet:
        """Read the files, perhaps others, without using them. What is in use and did not change is not read again: the
        right to do so may have been given up.

        :raises ConfigurationError: every mistake; one is a certificate that has expired in place of one that has not.
        """
        wanted = tuple(files) if files is not None else self._used.files
        issued = [(path, path) for path in self._issued]
        stamp = _stamps([*issued, *wanted])  # before the reading: what changes meanwhile is seen by the next look
        if wanted == self._used.files and stamp == self._used.stamp:
            return self._used
        found = [(f"acme: {path}", path, path) for path, _ in issued if path.exists()]
        found += [(key, *pair) for key, pair in zip(_keys(wanted), wanted, strict=True)]
        pairs, mistakes = self._stand_in(found, issued), []
        provisional = bool(pairs)
        for key, certificate, secret in found:
            try:
                pairs.append(read_pair(certificate, secret))
            except BrokenPair as error:
                mistakes.append(f"{key}.{error.part}: {error.text}")
        now = datetime.fromtimestamp(self._clock.seconds(), UTC)
        if not mistakes and self.pairs and pairs[0].not_after <= now < self.pairs[0].not_after:
            mistakes.append(f"tls.certificate: {found[0][1]}: expired on {pairs[0].not_after.date()}")
        if mistakes:
            raise ConfigurationError(mistakes)
        return CertificateSet(wanted, stamp, tuple(pairs), provisional)

    def _stand_in(self, found: Sequence[tuple[str, Path, Path]], issued: Sequence[tuple[Path, Path]]) -> list[Pair]:
        """Return what is shown while none of the files of issued certificates is there; the same as long as that is so."""
        if (
            self._provisional is None
            or not issued
            or any(path == certificate for path, _ in issued for _, certificate, _ in found)
        ):
            return []
        return [self.pairs[0]] if self.provisional else [self._provisional()]

    def use(self, read: CertificateSet) -> bool:
        """Use what was read; return whether other certificates are shown now."""
        self._used = replace(read, pairs=self._used.pairs)
        self._seen = read.stamp
        if not self.take(read.pairs):
            return False
        for pair in read.pairs:
            emit(_log, "tls.loaded", names=",".join(pair.names), not_after=moment(pair.not_after.timestamp()))
        return True

    def take(self, pairs: Sequence[Pair]) -> bool:
        """Use what perhaps another process has read; return whether it is something else than before."""
        if [pair.as_pem() for pair in pairs] == [pair.as_pem() for pair in self.pairs]:
            return False
        self._used = replace(self._used, pairs=tuple(pairs))
        self.generation += 1
        return True

    def watch(self) -> None:
        """Look at the files' times every :data:`POLL` seconds until :meth:`stop`."""
        self._timer = self._clock.callLater(POLL, self._poll)

    def stop(self) -> None:
        """Watch no longer."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def find(self, name: str) -> int:
        """Return the index of the pair for a server name: exact, else a wildcard for its first label, else 0."""
        return pair_for(self.pairs, name)

    def look(self) -> None:
        """Use the files if they have changed; broken ones leave those before in use, and the log says why."""
        stamp = _stamps([*((path, path) for path in self._issued), *self._used.files])
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            changed = self.use(self.read())
        except ConfigurationError as error:
            emit(_log, "tls.kept", warning=True, reason="; ".join(error.mistakes))
        else:
            if changed:
                self.on_change()

    def _poll(self) -> None:
        self.look()
        self.watch()


@implementer(IOpenSSLServerConnectionCreator)
class ListenerTls:
    """One listener's side of TLS: STARTTLS and implicit TLS with the certificates of the moment."""

    def __init__(self, store: CertificateStore, authorities: Sequence[x509.Certificate] = ()) -> None:
        """:param authorities: of certificates that clients may show; none: nobody is asked for one."""
        self._store = store
        self._authorities = authorities
        self._generation = -1
        self._options: list[CertificateOptions] = []

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """Return a connection for the default certificate; a server name switches it."""
        if self._generation != self._store.generation:
            self._options = [self._make(pair, index) for index, pair in enumerate(self._store.pairs)]
            self._generation = self._store.generation
        if type(tlsProtocol) is BufferingTLSTransport:
            tlsProtocol.__class__ = StartedTls  # Twisted makes it, and asks nobody of which class
        connection: SSL.Connection = self._options[0].serverConnectionForTLS(tlsProtocol)
        return connection

    def start_tls(self, transport: IStreamTransport) -> None:
        """Begin TLS on a plain connection (STARTTLS, STLS)."""
        wrapper: ITransport | None = transport
        while isinstance(wrapper, ProtocolWrapper):
            # TLS goes on below a PROXY wrapper: it has to pass on what TLS tells the protocol and the protocol asks.
            inner = wrapper.wrappedProtocol
            if IHandshakeListener.providedBy(inner):
                wrapper.handshakeCompleted = inner.handshakeCompleted
                alsoProvides(wrapper, IHandshakeListener)
            alsoProvides(wrapper, ISSLTransport)
            wrapper = wrapper.transport
        transport.startTLS(self)

    def _make(self, pair: Pair, index: int) -> CertificateOptions:
        options = _options(pair, self._context_for)
        for other in pairs_beside(self._store.pairs, index):
            try:
                _add(options.getContext(), other)
            except (SSL.Error, OSError) as error:  # whoever can use the first is served all the same
                _log.warn("a second kind of key cannot be shown: {reason}", reason=repr(error))
        options.getContext().set_alpn_select_callback(partial(select_protocol, self._proof))
        if self._authorities:
            ask_for_certificates(options.getContext(), self._authorities)
        return options

    def _proof(self, name: str) -> ShownProof | None:
        pair = self._store.proofs.get(name)
        return (pair.chain[0], pair.key) if pair is not None else None

    def _context_for(self, name: bytes | None) -> SSL.Context | None:
        if not name:
            return None
        index = self._store.find(name.decode("ascii", "replace"))
        context: SSL.Context | None = self._options[index].getContext() if 0 < index < len(self._options) else None
        return context


def _options(pair: Pair, context_for: Callable[[bytes | None], SSL.Context | None] | None = None) -> CertificateOptions:
    # pyOpenSSL takes the objects of cryptography; Twisted's annotations still name its older ones.
    options = CertificateOptions(
        privateKey=pair.key,  # type: ignore[arg-type]
        certificate=pair.chain[0],  # type: ignore[arg-type]
        extraCertChain=list(pair.chain[1:]),  # type: ignore[arg-type]
        raiseMinimumTo=TLSVersion.TLSv1_2,
        contextForServerName=context_for,
    )
    options.getContext()  # made here: it tells what OpenSSL has against them
    return options


def _add(context: SSL.Context, pair: Pair) -> None:
    """Show a certificate for another kind of key beside the first. Its chain is its own: OpenSSL takes such a one from a file
    alone, and what is added as an extra certificate is sent with every other too."""
    descriptor = os.memfd_create("chain")
    try:
        os.write(descriptor, pair.as_pem()[0])
        context.use_certificate_chain_file(f"/proc/self/fd/{descriptor}")
        context.use_privatekey(pair.key)  # type: ignore[arg-type]  # read_pair() has tried it
    finally:
        os.close(descriptor)


def _read_file(part: str, path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise BrokenPair(part, f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > MAX_FILE:
        raise BrokenPair(part, f"{path}: larger than {MAX_FILE} octets")
    return data


def _read_chain(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_read_file("certificate", path))
    except (ValueError, x509.InvalidVersion):
        raise BrokenPair("certificate", f"{path}: holds no certificate in PEM form") from None


def _read_key(path: Path) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(_read_file("key", path), None)
    except TypeError:
        raise BrokenPair("key", f"{path}: is protected by a password; the server needs it without") from None
    except (ValueError, UnsupportedAlgorithm):
        raise BrokenPair("key", f"{path}: holds no private key in PEM form") from None


def _public(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _digest(key: PublicKeyTypes) -> str:
    return sha256(_public(key)).hexdigest()


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    try:
        extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        return tuple(name.lower() for name in extension.value.get_values_for_type(x509.DNSName))
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
        return ()


def _keys(files: Sequence[tuple[Path, Path]]) -> list[str]:
    """Return where the configuration names each pair."""
    return ["tls" if index == 0 else f"tls.name[{index - 1}]" for index in range(len(files))]


def _stamps(files: Sequence[tuple[Path, Path]]) -> object:
    return tuple(_stamp(path) for pair in files for path in pair)


def _stamp(path: Path) -> object:
    try:
        status = path.stat()
    except OSError as error:
        return error.errno
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino
