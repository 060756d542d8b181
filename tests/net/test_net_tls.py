"""Certificates: choice by name, reload, and no resumption from one port on another."""

import os
import ssl

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from OpenSSL import SSL
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory

from mailnode.errors import ConfigurationError
from mailnode.net.self_signed import write_self_signed
from mailnode.net.tls import POLL, CertificateStore, ListenerTls, check_pair, read_pair
from tests.fuzz.certificates import KEY_DER, PUBLIC_DER, leaf, pem, signed

NOW = 1.8e9


@pytest.fixture
def pair(tmp_path):
    def make(name, *names, now=NOW):
        files = tmp_path / f"{name}.pem", tmp_path / f"{name}.key"
        write_self_signed(*files, names or (name,), now)
        return files

    return make


@pytest.fixture
def clock():
    clock = Clock()
    clock.advance(NOW)
    return clock


def written(folder, certificate, key):
    files = folder / "written.pem", folder / "written.key"
    files[0].write_bytes(pem(b"CERTIFICATE", certificate))
    files[1].write_bytes(pem(b"PRIVATE KEY", key))
    return files


def handshake(tls, name=None, version=None, session=None):
    """Do a handshake in memory; return the client's connection object."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if version:
        context.minimum_version = context.maximum_version = version
    return exchange(tls, context, name, session)


def exchange(tls, context, name=None, session=None):
    factory = TLSMemoryBIOFactory(tls, False, Factory.forProtocol(Protocol))
    server = factory.buildProtocol(None)
    transport = StringTransport()
    server.makeConnection(transport)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname=name, session=session)
    for _ in range(10):
        try:
            client.do_handshake()
            done = True
        except ssl.SSLWantReadError:
            done = False
        if outgoing.pending:
            server.dataReceived(outgoing.read())
        incoming.write(transport.value())
        transport.clear()
        if done:
            break
    assert done
    with pytest.raises(ssl.SSLWantReadError):
        client.read()  # takes the tickets of TLS 1.3 in, if there are any
    return client


def subject(client):
    from cryptography import x509

    return x509.load_der_x509_certificate(client.getpeercert(True)).subject.rfc4514_string()


def test_a_certificate_is_chosen_by_name(pair, clock):
    store = CertificateStore([pair("a.example"), pair("b.example", "b.example", "*.b.example")], clock)
    store.load()
    tls = ListenerTls(store)
    assert subject(handshake(tls, "a.example")) == "CN=a.example"
    assert subject(handshake(tls, "B.example")) == "CN=b.example"
    assert subject(handshake(tls, "mail.b.example")) == "CN=b.example"
    assert subject(handshake(tls, "x.mail.b.example")) == "CN=a.example"
    assert subject(handshake(tls, "unknown.example")) == "CN=a.example"
    assert subject(handshake(tls)) == "CN=a.example"


def test_versions_below_1_2_are_refused(pair, clock):
    store = CertificateStore([pair("a.example")], clock)
    store.load()
    context = ListenerTls(store)
    handshake(context, version=ssl.TLSVersion.TLSv1_2)
    handshake(context, version=ssl.TLSVersion.TLSv1_3)
    options = context._options[0]._options
    assert options & SSL.OP_NO_TLSv1 and options & SSL.OP_NO_TLSv1_1


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("name", [None, "a.example", "b.example"])
def test_who_offers_protocols_is_served_as_who_does_not(pair, clock, version, name):
    store = CertificateStore([pair("a.example"), pair("b.example")], clock)
    store.load()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1", "imap"])
    client = exchange(ListenerTls(store), context, name)
    assert client.selected_alpn_protocol() is None
    assert subject(client) == f"CN={name or 'a.example'}"


# SMTP trap 17: on another listener, or the same
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_of_one_listener_is_not_resumed_anywhere(pair, clock, version):
    store = CertificateStore([pair("a.example")], clock)
    store.load()
    first, second = ListenerTls(store), ListenerTls(store)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    session = exchange(first, context).session
    assert not exchange(first, context, session=session).session_reused
    assert not exchange(second, context, session=session).session_reused


def test_a_renewed_certificate_is_taken_by_the_poll(pair, clock):
    files = pair("a.example")
    store = CertificateStore([files], clock)
    store.load()
    tls = ListenerTls(store)
    assert subject(handshake(tls)) == "CN=a.example"
    store.watch()
    write_self_signed(*files, ["renewed.example"], NOW)
    clock.advance(POLL)
    assert subject(handshake(tls)) == "CN=renewed.example"
    store.stop()
    assert not clock.getDelayedCalls()


def test_a_broken_certificate_keeps_the_old_and_is_tried_again_only_when_it_changes(pair, clock, monkeypatch):
    events = []
    monkeypatch.setattr("mailnode.net.tls.emit", lambda log, name, warning=False, **fields: events.append(name))
    files = pair("a.example")
    store = CertificateStore([files], clock)
    store.load()
    store.watch()
    good = files[0].read_bytes()
    files[0].write_bytes(good[: len(good) // 2])
    clock.advance(POLL)
    clock.advance(POLL)
    assert subject(handshake(ListenerTls(store))) == "CN=a.example"
    assert events == ["tls.loaded", "tls.kept"]
    files[0].write_bytes(good)
    clock.advance(POLL)
    assert events == ["tls.loaded", "tls.kept"], "what is in use already is nothing new"
    write_self_signed(*files, ["renewed.example"], NOW)
    clock.advance(POLL)
    assert events == ["tls.loaded", "tls.kept", "tls.loaded"]
    store.stop()


def test_a_certificate_that_belongs_to_another_key_is_kept_out(pair, clock):
    files, other = pair("a.example"), pair("b.example")
    store = CertificateStore([files], clock)
    store.load()
    with pytest.raises(ConfigurationError, match=r"tls\.key: .*does not belong"):
        store.read([(other[0], files[1])])
    read = store.read([other])
    assert store.pairs[0].names == ("a.example",), "to read is not to use"
    assert store.use(read)
    assert store.pairs[0].names == ("b.example",)


def test_every_mistake_is_told_with_its_key(pair, clock, tmp_path):
    files = pair("a.example")
    store = CertificateStore([files], clock)
    store.load()
    with pytest.raises(ConfigurationError) as caught:
        store.read([files, (tmp_path / "x", files[1]), (files[0], tmp_path / "y")])
    assert [mistake.partition(":")[0] for mistake in caught.value.mistakes] == [
        "tls.name[0].certificate",
        "tls.name[1].key",
    ]


def test_the_same_certificates_are_nothing_new(pair, clock):
    files = pair("a.example")
    store = CertificateStore([files], clock)
    store.load()
    before = store.generation
    assert not store.use(store.read())
    files[0].write_bytes(files[0].read_bytes())
    assert not store.use(store.read([files]))
    assert store.generation == before


def test_what_did_not_change_is_not_read_again(pair, clock, monkeypatch):
    """The server may have given up the right to read keys."""
    store = CertificateStore([pair("a.example")], clock)
    store.load()
    monkeypatch.setattr("mailnode.net.tls.read_pair", None)
    assert not store.use(store.read())


def test_an_expired_certificate_does_not_replace_one_that_is_not(pair, clock):
    store = CertificateStore([pair("a.example")], clock)
    store.load()
    with pytest.raises(ConfigurationError, match="expired"):
        store.read([pair("old.example", now=NOW - 86400 * 3000)])
    assert store.pairs[0].names == ("a.example",)


def test_what_is_wrong_with_files(pair, tmp_path):
    good, other = pair("a.example"), pair("b.example")
    assert check_pair(*good) == []
    assert [part for part, _ in check_pair(tmp_path / "x", tmp_path / "y")] == ["certificate", "key"]
    assert check_pair(good[0], other[1]) == [("key", f"{other[1]}: does not belong to the certificate {good[0]}")]
    empty = tmp_path / "empty"
    empty.touch()
    assert "holds no certificate" in check_pair(empty, good[1])[0][1]
    assert "holds no private key" in check_pair(good[0], empty)[0][1]
    assert "holds no private key" in check_pair(good[0], good[0])[0][1]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x3d"),  # a version there is not
        (b"a@x.test", b"\xff@x.test"),  # a name that is no UTF-8
        (b"\x0c\x08a@x.test", b"\x04\x08a@x.test"),  # a name that is no text: OpenSSL does not read that
        (PUBLIC_DER[-4:], bytes(4)),  # a key that is no point of its curve
    ],
)
def test_damage_within_a_certificate_keeps_the_old(pair, clock, tmp_path, old, new):
    assert check_pair(*written(tmp_path, leaf(), KEY_DER)) == []
    good = pair("a.example")
    store = CertificateStore([good], clock)
    store.load()
    shown = store.pairs
    store.watch()
    for part, file in zip(written(tmp_path, leaf().replace(old, new), KEY_DER), good, strict=True):
        part.replace(file)
    clock.advance(POLL)
    assert store.pairs == shown
    assert [part for part, _ in check_pair(*good)] == ["certificate"]
    assert clock.getDelayedCalls()  # the poll goes on
    store.stop()


def test_extensions_that_cannot_be_read_name_nothing(tmp_path):
    basic, alternative = b"\x06\x03\x55\x1d\x13", b"\x06\x03\x55\x1d\x11"
    files = written(tmp_path, leaf().replace(basic, alternative), KEY_DER)
    assert check_pair(*files) == []
    assert read_pair(*files).names == ()


def test_a_key_that_tls_does_not_know_is_told(tmp_path):
    key = X25519PrivateKey.generate()
    files = written(
        tmp_path,
        signed(key.public_key()),
        key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
    )
    assert check_pair(*files) == [("certificate", f"{files[0]}: of a kind that OpenSSL does not use for TLS")]


def test_the_first_load_refuses_in_words(pair, clock, tmp_path):
    with pytest.raises(ConfigurationError, match=r"tls\.certificate: .*cannot be read"):
        CertificateStore([(tmp_path / "x", tmp_path / "y")], clock).load()


def test_a_self_signed_key_is_readable_by_its_owner_alone(pair):
    certificate, key = pair("mail.example", "mail.example", "127.0.0.1")
    assert os.stat(key).st_mode & 0o777 == 0o600
    context = ssl.create_default_context(cafile=str(certificate))
    assert context.cert_store_stats()["x509"] == 1
