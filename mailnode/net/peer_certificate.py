"""Whether the certificates a server showed are what they should be: by DANE (RFC 7672), or by name.

Nothing is checked in the handshake itself: a problem is told afterwards, by its name in RFC 8460 4.3.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256, sha512

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from OpenSSL import crypto
from service_identity import VerificationError
from service_identity.cryptography import verify_certificate_hostname, verify_certificate_ip_address
from service_identity.exceptions import CertificateError

from mailnode.interfaces.outbound import TlsaRecord, TlsRule

MAX_CHAIN = 20  # certificates of a server that are looked at: a stranger may show hundreds
_TRUST_ANCHOR, _END_ENTITY = 2, 3  # usages (RFC 7672 3.1)
_DIGESTS: dict[int, Callable[[bytes], bytes]] = {
    0: lambda data: data,
    1: lambda data: sha256(data).digest(),
    2: lambda data: sha512(data).digest(),
}
_OUT_OF_DATE = {9, 10}  # OpenSSL: not yet valid, expired


@dataclass(frozen=True, slots=True)
class CertificateProblem:
    """``result``: as in RFC 8460 4.3. ``text``: for people."""

    result: str
    text: str


def chain_problem(error: int) -> CertificateProblem:
    """Return what an error of OpenSSL's verification (``X509_V_ERR_...``) amounts to."""
    if error in _OUT_OF_DATE:
        return CertificateProblem("certificate-expired", "the certificate is not valid at this time")
    return CertificateProblem("certificate-not-trusted", "the certificate is of no authority that is trusted")


def name_problem(certificate: x509.Certificate, names: Sequence[str]) -> CertificateProblem | None:
    """Return None when a certificate is for one of these hosts (RFC 9525), or IP addresses."""
    if any(_is_for(certificate, name) for name in names):
        return None
    return CertificateProblem("certificate-host-mismatch", f"the certificate is not for {' or '.join(names)}")


def dane_problem(chain: Sequence[x509.Certificate], rule: TlsRule) -> CertificateProblem | None:
    """Return None when certificates match a rule (RFC 7672 3.1). :param chain: as sent, the server's own first."""
    if any(one.usage == _END_ENTITY and _matches(chain[0], one) for one in rule.tlsa):  # no name, no expiry
        return None
    problem = CertificateProblem("validation-failure", "no TLSA record matches the certificate")
    records = [record for record in rule.tlsa if record.usage == _TRUST_ANCHOR]
    # Each once, however many records name it, and however often it is shown.
    for anchor in dict.fromkeys(anchor for record in records for anchor in _anchors(chain[1:], record)):
        failed = chain_failure(chain, _only(anchor)) or name_problem(chain[0], rule.names)
        if failed is None:
            return None
        problem = failed
    return problem


def _anchors(others: Sequence[x509.Certificate], record: TlsaRecord) -> list[x509.Certificate]:
    found = [certificate for certificate in others if _matches(certificate, record)]
    if not found and (record.selector, record.matching) == (0, 0):  # the record is the certificate (RFC 7671 5.2.2)
        found = [x509.load_der_x509_certificate(record.data)]
    return found


def _only(anchor: x509.Certificate) -> crypto.X509Store:
    """Trust an anchor alone, which need not be a root."""
    store = crypto.X509Store()
    store.add_cert(crypto.X509.from_cryptography(anchor))
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    return store


def chain_failure(chain: Sequence[x509.Certificate], store: crypto.X509Store) -> CertificateProblem | None:
    """Verify a chain, the server's own certificate first, up to one that is trusted."""
    own, *others = [crypto.X509.from_cryptography(certificate) for certificate in chain]
    try:
        crypto.X509StoreContext(store, own, others).verify_certificate()
    except crypto.X509StoreContextError as error:
        return chain_problem(error.errors[0])
    return None


def _matches(certificate: x509.Certificate, record: TlsaRecord) -> bool:
    if record.selector == 0:
        data = certificate.public_bytes(Encoding.DER)
    else:
        data = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return _DIGESTS[record.matching](data) == record.data


def _is_for(certificate: x509.Certificate, name: str) -> bool:
    try:
        if is_address(name):
            verify_certificate_ip_address(certificate, name)
        else:
            verify_certificate_hostname(certificate, name)
    except (VerificationError, CertificateError):
        return False
    return True


def is_address(name: str) -> bool:
    """Whether a host is given by its IP address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
