"""Certificates held against TLSA records and names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256, sha512

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mailnode.interfaces.outbound import TlsaRecord, TlsRule
from mailnode.net.peer_certificate import chain_problem, dane_problem, name_problem

NAMES = ("mx.example", "d.example")
PAST = datetime.now(UTC) - timedelta(days=1)
ROOT = trustme.CA()
MIDDLE = ROOT.create_child_ca()


def read(pem: trustme.Blob) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.bytes())


def chain(authority: trustme.CA = ROOT, name: str = "mx.example", **more: object) -> list[x509.Certificate]:
    """A certificate and all above it, the root included."""
    parts = [read(pem) for pem in authority.issue_cert(name, **more).cert_chain_pems]  # type: ignore[arg-type]
    return [*parts, read(ROOT.cert_pem)]


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def key(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def record(usage: int, certificate: x509.Certificate, selector: int = 1, matching: int = 1) -> TlsaRecord:
    data = key(certificate) if selector else der(certificate)
    return TlsaRecord(usage, selector, matching, (data, sha256(data).digest(), sha512(data).digest())[matching])


def result(shown: list[x509.Certificate], *records: TlsaRecord) -> str:
    problem = dane_problem(shown, TlsRule("dane", records, NAMES))
    return problem.result if problem is not None else ""


@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
def test_every_way_to_name_a_certificate(selector: int, matching: int) -> None:
    shown = chain(MIDDLE)
    assert result(shown, record(3, shown[0], selector, matching)) == ""
    assert result(shown, record(2, shown[1], selector, matching)) == ""
    assert result(shown, record(2, shown[2], selector, matching)) == ""
    other = chain(trustme.CA())
    assert result(other, record(3, shown[0], selector, matching)) == "validation-failure"
    assert result([other[0]], record(2, shown[1], selector, matching)) != ""


def test_of_the_servers_own_certificate_neither_name_nor_time_counts() -> None:
    for shown in (chain(name="other.example"), chain(not_after=PAST)):
        assert result(shown[:1], record(3, shown[0])) == ""
        assert result(shown, record(3, shown[1])) == "validation-failure"  # that is another one's


def test_one_that_matches_is_enough() -> None:
    shown = chain()
    wrong = TlsaRecord(3, 1, 1, bytes(32))
    assert result(shown, wrong, record(3, shown[0])) == ""
    assert result(shown, wrong, record(2, shown[1])) == ""
    assert result(shown, wrong) == "validation-failure"
    assert result(shown) == "validation-failure"


def test_under_an_authority_name_and_time_count() -> None:
    anchor = record(2, read(ROOT.cert_pem))
    assert result(chain(name="d.example"), anchor) == ""  # the domain's name does as well
    assert result(chain(name="other.example"), anchor) == "certificate-host-mismatch"
    assert result(chain(not_after=PAST), anchor) == "certificate-expired"


def test_an_authority_that_did_not_sign_is_none() -> None:
    """Anybody can send the certificate of an authority along."""
    shown = [chain(trustme.CA())[0], read(ROOT.cert_pem)]
    assert result(shown, record(2, shown[1])) == "certificate-not-trusted"


def test_an_authority_in_the_record_need_not_be_sent() -> None:
    shown = chain()[:1]
    assert result(shown, record(2, read(ROOT.cert_pem), 0, 0)) == ""
    assert result(shown, record(2, read(ROOT.cert_pem))) == "validation-failure"  # a digest alone is none


def test_a_server_is_not_its_own_authority() -> None:
    shown = chain()
    assert result(shown[:1], record(2, shown[0])) == "validation-failure"


def test_names() -> None:
    certificate = read(ROOT.issue_cert("mx.example", "*.wild.example", "192.0.2.1").cert_chain_pems[0])
    for name in ("mx.example", "MX.example", "a.wild.example", "192.0.2.1"):
        assert name_problem(certificate, (name,)) is None, name
    for name in ("example", "a.mx.example", "a.b.wild.example", "wild.example", "192.0.2.2", "2001:db8::1"):
        problem = name_problem(certificate, (name,))
        assert problem is not None, name
        assert problem.result == "certificate-host-mismatch", name


def test_errors_of_openssl() -> None:
    assert [chain_problem(number).result for number in (9, 10, 18, 20)] == [
        "certificate-expired",
        "certificate-expired",
        "certificate-not-trusted",
        "certificate-not-trusted",
    ]
