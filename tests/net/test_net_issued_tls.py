"""Certificates that an authority issues while the server runs: shown when they come, two kinds of key beside each other, and
proofs in a handshake (RFC 8737) that nobody else meets."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from OpenSSL import SSL
from test_net_tls import handshake, subject
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory

from mailnode.errors import ConfigurationError
from mailnode.net.proving import PROTOCOL
from mailnode.net.self_signed import make_self_signed, write_self_signed
from mailnode.net.tls import CertificateStore, ListenerTls, Pair, pairs_beside

NOW = 1.8e9
CHAINED = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "intermediate")])


@pytest.fixture(scope="module")
def rsa_key():
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture
def clock():
    clock = Clock()
    clock.advance(NOW)
    return clock


def issued(common_name, key, *names):
    """A certificate for a key, with another one behind it in its chain."""
    above = ec.generate_private_key(ec.SECP256R1())
    chain = []
    for subject_name, public, issuer in (
        (x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)]), key.public_key(), CHAINED),
        (CHAINED, above.public_key(), CHAINED),
    ):
        chain.append(
            x509.CertificateBuilder()
            .subject_name(subject_name)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.fromtimestamp(NOW, UTC))
            .not_valid_after(datetime.fromtimestamp(NOW, UTC) + timedelta(days=6))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
            .sign(above, hashes.SHA256())
        )
    return Pair(tuple(chain), key, names)


def written(path, pair):
    chain, key = pair.as_pem()
    path.write_bytes(key + chain)
    return path


def made(name):
    certificate, key = make_self_signed([name], NOW)
    return Pair((certificate,), key, (name,))


def shown(tls, version=SSL.TLS1_3_VERSION, name=b"a.example", offered=(), signatures=b""):
    """Do a handshake; return the names in the chain that was shown, and the protocol that was agreed on."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(version)
    context.set_max_proto_version(version)
    if signatures:
        SSL._lib.SSL_CTX_set1_sigalgs_list(context._context, signatures)
    client = SSL.Connection(context, None)
    client.set_connect_state()
    client.set_tlsext_host_name(name)
    if offered:
        client.set_alpn_protos(list(offered))
    protocol = TLSMemoryBIOFactory(tls, False, Factory.forProtocol(Protocol)).buildProtocol(None)
    tls.serverConnectionForTLS(protocol)  # makes the contexts
    server = SSL.Connection(tls._options[0].getContext(), None)
    server.set_accept_state()
    for _ in range(6):
        for one, other in ((client, server), (server, client)):
            try:
                one.do_handshake()
            except SSL.WantReadError:
                pass
            try:
                other.bio_write(one.bio_read(65536))
            except SSL.WantReadError:
                pass
    chain = client.get_peer_cert_chain(as_cryptography=True)
    names = [one.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value for one in chain]
    return names, client.get_alpn_proto_negotiated()


def test_a_client_is_shown_the_kind_of_key_it_can_use(clock, tmp_path, rsa_key):
    both = [
        written(tmp_path / "ecdsa.pem", issued("ecdsa", ec.generate_private_key(ec.SECP256R1()), "a.example")),
        written(tmp_path / "rsa.pem", issued("rsa", rsa_key, "a.example")),
    ]
    store = CertificateStore((), clock, both)
    store.load()
    tls = ListenerTls(store)
    for version in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
        assert shown(tls, version)[0] == ["ecdsa", "intermediate"]
        assert shown(tls, version, signatures=b"RSA-PSS+SHA256")[0] == ["rsa", "intermediate"]


def test_a_second_kind_that_cannot_be_shown_leaves_the_first(clock, tmp_path, rsa_key, monkeypatch):
    both = [
        written(tmp_path / "ecdsa.pem", issued("ecdsa", ec.generate_private_key(ec.SECP256R1()), "a.example")),
        written(tmp_path / "rsa.pem", issued("rsa", rsa_key, "a.example")),
    ]
    store = CertificateStore((), clock, both)
    store.load()

    def none(name):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "memfd_create", none)
    assert shown(ListenerTls(store))[0] == ["ecdsa", "intermediate"]


def test_only_certificates_for_the_same_names_stand_beside_each_other(rsa_key):
    key = ec.generate_private_key(ec.SECP256R1())
    one, same = issued("1", key, "a.example", "b.example"), issued("2", rsa_key, "b.example", "a.example")
    other, no_names = issued("3", rsa_key, "a.example"), Pair(one.chain, key, ())
    assert pairs_beside([one, other, same], 0) == [same]
    assert pairs_beside([one, issued("4", key, "a.example", "b.example")], 0) == []
    assert pairs_beside([no_names, Pair(same.chain, rsa_key, ())], 0) == []


def test_a_stand_in_is_shown_until_a_certificate_is_issued(clock, tmp_path):
    path = tmp_path / "ecdsa.pem"
    store = CertificateStore((), clock, [path], lambda: made("stand-in.example"))
    store.load()
    told = []
    store.on_change = lambda: told.append(store.generation)
    tls = ListenerTls(store)
    assert (store.provisional, subject(handshake(tls))) == (True, "CN=stand-in.example")
    assert store.read().pairs == store.pairs  # the same at each look
    store.look()
    assert told == []
    written(path, issued("issued", ec.generate_private_key(ec.SECP256R1()), "a.example"))
    store.look()
    assert (store.provisional, told, subject(handshake(tls))) == (False, [2], "CN=issued")


def test_what_was_issued_goes_before_what_the_configuration_names(clock, tmp_path):
    files = tmp_path / "own.pem", tmp_path / "own.key"
    write_self_signed(*files, ["own.example"], NOW)
    path = written(tmp_path / "ecdsa.pem", issued("issued", ec.generate_private_key(ec.SECP256R1()), "a.example"))
    store = CertificateStore([files], clock, [path, tmp_path / "rsa.pem"], lambda: made("stand-in.example"))
    store.load()
    tls = ListenerTls(store)
    assert [subject(handshake(tls, name)) for name in ("a.example", "own.example", "x.example")] == [
        "CN=issued",
        "CN=own.example",
        "CN=issued",
    ]


def test_a_broken_file_leaves_what_is_in_use(clock, tmp_path):
    path = written(tmp_path / "ecdsa.pem", issued("issued", ec.generate_private_key(ec.SECP256R1()), "a.example"))
    store = CertificateStore((), clock, [path])
    store.load()
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ConfigurationError):
        store.read()
    store.look()
    assert subject(handshake(ListenerTls(store))) == "CN=issued"


@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
def test_a_proof_is_shown_to_who_asks_for_it_and_to_nobody_else(clock, tmp_path, rsa_key, version):
    both = [
        written(tmp_path / "ecdsa.pem", issued("ecdsa", ec.generate_private_key(ec.SECP256R1()), "a.example")),
        written(tmp_path / "rsa.pem", issued("rsa", rsa_key, "a.example")),
    ]
    store = CertificateStore((), clock, both)
    store.load()
    tls = ListenerTls(store)
    assert shown(tls, version, offered=[PROTOCOL]) == (["ecdsa", "intermediate"], b"")
    store.proofs["a.example"] = made("proof")
    assert (shown(tls, version, offered=[PROTOCOL])[0][0], shown(tls, version, offered=[PROTOCOL])[1]) == (
        "proof",
        PROTOCOL,
    )
    for offered in ([], [b"imap"], [b"h2", PROTOCOL]):
        assert shown(tls, version, offered=offered) == (["ecdsa", "intermediate"], b"")
    assert shown(tls, version, name=b"b.example", offered=[PROTOCOL])[1] == b""
    store.proofs.clear()
    assert shown(tls, version, offered=[PROTOCOL])[1] == b""
