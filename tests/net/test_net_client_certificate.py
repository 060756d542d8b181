"""Certificates of clients: whom they name when they are of an authority that was asked for, and nobody else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import SSL
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from mailnode.errors import ConfigurationError
from mailnode.net.client_certificate import MAX_FILE, MAX_NAMES, client_names, read_authorities
from mailnode.net.handshake import bindings_of
from mailnode.net.self_signed import write_self_signed
from mailnode.net.tls import CertificateStore, ListenerTls
from mailnode.values.client_names import NO_NAMES, ClientNames
from tests.fuzz.certificates import leaf
from tests.fuzz.certificates import pem as as_pem

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
CLIENT = [ExtendedKeyUsageOID.CLIENT_AUTH]


class Authority:
    """Issues certificates for clients."""

    def __init__(self, name: str = "Test authority", issuer: Authority | None = None) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        builder = _builder(self.name, self.key).add_extension(constraints, critical=True)
        signer = issuer or self
        self.certificate = builder.issuer_name(signer.name).sign(signer.key, hashes.SHA256())

    def issue(self, emails=(), name="somebody", uses=CLIENT, expired=False):
        """Return a certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _builder(subject, key, NOW - DAY if expired else NOW + DAY).issuer_name(self.name)
        if emails:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.RFC822Name(e) for e in emails]), False)
        if uses:
            builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        return builder.sign(self.key, hashes.SHA256()), key


def _builder(subject, key, until=NOW + DAY):
    builder = x509.CertificateBuilder().subject_name(subject).public_key(key.public_key())
    return builder.serial_number(x509.random_serial_number()).not_valid_before(NOW - 2 * DAY).not_valid_after(until)


AUTHORITY = Authority()


@implementer(ISSLTransport)
class Transport:
    def __init__(self, connection):
        self.connection = connection

    def getHandle(self):
        return self.connection


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    write_self_signed(folder / "cert.pem", folder / "key.pem", ("a.example",), NOW.timestamp())
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def shown(files):
    """Return the server's side of a connection to a client with this certificate, as a transport."""

    def connect(certificate=None, key=None, chain=(), authorities=(AUTHORITY,), version=SSL.TLS1_3_VERSION):
        store = CertificateStore([files], Clock())
        store.load()
        tls = ListenerTls(store, [authority.certificate for authority in authorities])
        factory = TLSMemoryBIOFactory(tls, False, Factory.forProtocol(Protocol))
        server = tls.serverConnectionForTLS(factory.buildProtocol(None))
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_max_proto_version(version)
        if certificate is not None:
            context.use_certificate(certificate)
            context.use_privatekey(key)
            for one in chain:
                context.add_extra_chain_cert(one)
        client = SSL.Connection(context, None)
        client.set_connect_state()
        server.set_accept_state()
        for _ in range(10):
            for one, other in ((client, server), (server, client)):
                try:
                    one.do_handshake()
                except SSL.WantReadError:
                    pass
                try:
                    other.bio_write(one.bio_read(65536))
                except SSL.WantReadError:
                    pass
        for one in (client, server):
            one.do_handshake()  # done, or this raises
        return Transport(server)

    return connect


@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
def test_a_certificate_names_its_addresses_and_its_subject(shown, version):
    issued = AUTHORITY.issue(["Alice@A.test", "alice@a.test", "other@b.test"], "Alice")
    names = client_names(shown(*issued, version=version))
    assert names == ClientNames(("alice@a.test", "other@b.test"), ("alice",))


def test_a_certificate_may_come_through_others_and_need_not_lead_to_a_root(shown):
    root = Authority("root")
    between = Authority("between", root)
    issued = between.issue(["alice@a.test"])
    for authorities, chain in (((root,), [between.certificate]), ((between,), []), ((root, between), [])):
        assert client_names(shown(*issued, chain=chain, authorities=authorities)).emails == ("alice@a.test",)
    assert client_names(shown(*issued, authorities=(root,))) == NO_NAMES


@pytest.mark.parametrize(
    ("issued", "authorities"),
    [
        ((None, None), (AUTHORITY,)),
        (AUTHORITY.issue(["alice@a.test"]), ()),  # nobody asked
        (AUTHORITY.issue(["alice@a.test"], expired=True), (AUTHORITY,)),
        (Authority().issue(["alice@a.test"]), (AUTHORITY,)),  # of another with the same name
        (AUTHORITY.issue(["alice@a.test"], uses=[ExtendedKeyUsageOID.SERVER_AUTH]), (AUTHORITY,)),
    ],
    ids=["none", "not asked", "expired", "another authority", "for servers"],
)
def test_what_is_not_trusted_names_nobody_and_ends_nothing(shown, issued, authorities):
    assert client_names(shown(*issued, authorities=authorities)) == NO_NAMES


def test_a_certificate_that_does_not_say_what_it_is_for_is_taken(shown):
    assert client_names(shown(*AUTHORITY.issue(["alice@a.test"], uses=()))).emails == ("alice@a.test",)


def test_a_certificate_with_very_many_names_names_nobody(shown):
    many = [f"u{number}@a.test" for number in range(MAX_NAMES)]
    assert len(client_names(shown(*AUTHORITY.issue(many))).emails) == MAX_NAMES
    assert client_names(shown(*AUTHORITY.issue([*many, "one@a.test"]))).emails == ()


def test_a_client_that_is_itself_an_authority_signs_nobody(shown):
    leaf, key = AUTHORITY.issue(["bob@a.test"])
    false = Authority("false")
    false.key, false.name = key, leaf.subject
    assert client_names(shown(*false.issue(["alice@a.test"]), chain=[leaf])) == NO_NAMES


def test_without_tls_there_is_nobody():
    assert client_names(object()) == NO_NAMES
    assert bindings_of(object()) == {}


def test_tls_1_2_has_nothing_to_bind_to(shown):
    assert bindings_of(shown(version=SSL.TLS1_2_VERSION)) == {}
    assert set(bindings_of(shown())) == {"tls-exporter", "tls-server-end-point"}


def test_authorities_are_read_with_what_is_wrong_said(tmp_path: Path):
    path = tmp_path / "ca.pem"
    pem = AUTHORITY.certificate.public_bytes(Encoding.PEM)
    path.write_bytes(pem + pem)
    assert read_authorities(path) == (AUTHORITY.certificate, AUTHORITY.certificate)
    assert read_authorities(None) == ()
    unread = as_pem(b"CERTIFICATE", leaf().replace(b"\x0c\x08a@x.test", b"\x04\x08a@x.test"))  # by OpenSSL
    for content, words in (
        (b"nothing", "no certificate"),
        (pem + b" " * MAX_FILE, "larger than"),
        (pem + unread, "no certificate"),
    ):
        path.write_bytes(content)
        with pytest.raises(ConfigurationError, match=words):
            read_authorities(path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_authorities(tmp_path / "none")
