"""Why mail waits, or went back, as one of few words that filters, sums and metrics go by. docs/queue.rst explains them."""

from __future__ import annotations

from enum import StrEnum


class WaitReason(StrEnum):
    """``NEW``, ``HELD`` and ``PAUSED`` are how things stand, ``OTHER`` what was tried before there were reasons; the others are
    what the last try came to."""

    NEW = "new"
    HELD = "held"
    PAUSED = "paused"
    REFUSED = "refused"
    SLOW_DOWN = "slow-down"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    LOST = "lost"
    DNS = "dns"
    LOOP = "loop"
    UNSUPPORTED = "unsupported"
    FULL = "full"
    LOCAL = "local"
    DAMAGED = "damaged"
    GIVEN_UP = "given-up"
    OTHER = "other"
    REQUIRETLS = "requiretls"
    # TLS that we ask for ourselves, and what fails of what a domain publishes, by its name in RFC 8460 4.3
    TLS = "tls"
    STARTTLS_NOT_SUPPORTED = "starttls-not-supported"
    CERTIFICATE_HOST_MISMATCH = "certificate-host-mismatch"
    CERTIFICATE_EXPIRED = "certificate-expired"
    CERTIFICATE_NOT_TRUSTED = "certificate-not-trusted"
    VALIDATION_FAILURE = "validation-failure"
    TLSA_INVALID = "tlsa-invalid"
    DNSSEC_INVALID = "dnssec-invalid"
    DANE_REQUIRED = "dane-required"
    STS_POLICY_FETCH_ERROR = "sts-policy-fetch-error"
    STS_POLICY_INVALID = "sts-policy-invalid"
    STS_WEBPKI_INVALID = "sts-webpki-invalid"


_BY_NAME = {str(reason): reason for reason in WaitReason}


def tls_reason(result: str) -> WaitReason:
    """Return the reason of a result of RFC 8460 4.3."""
    return _BY_NAME.get(result, WaitReason.VALIDATION_FAILURE)
