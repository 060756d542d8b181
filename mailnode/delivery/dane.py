"""DANE for SMTP (RFC 7672): which TLSA records say what the certificate of a server must be."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_public_key

from mailnode.delivery.mx import Hop
from mailnode.errors import NoSuchName, ResolverFailure
from mailnode.interfaces.outbound import IResolver, TlsaRecord, TlsRule

TRUST_ANCHOR, END_ENTITY = 2, 3  # the usages that count for SMTP (RFC 7672 3.1)
CERTIFICATE, PUBLIC_KEY = 0, 1  # selectors
WHOLE, SHA256, SHA512 = 0, 1, 2  # matching types
LENGTHS = {SHA256: 32, SHA512: 64}  # octets of the digests
MAX_RECORDS = 50  # of one server that are looked at


class TlsaUnknown(Exception):
    """Whether a server has TLSA records cannot be told at present. It must not be used meanwhile (RFC 7672 2.1.2)."""


class Dane:
    """Finds the rule that DANE has for a server."""

    def __init__(self, resolver: IResolver, port: int = 25) -> None:
        """:param port: of the servers found by MX."""
        self._resolver = resolver
        self._port = port

    async def rule(self, domain: str, hop: Hop) -> TlsRule | None:
        """Return the rule for a server of a domain; None: DANE says nothing. Its ``tlsa`` are empty where no record can be
        used: TLS is required, whatever the certificate (RFC 7672 2.2). :raises TlsaUnknown:"""
        if not hop.secure:
            return None
        for base in dict.fromkeys(filter(None, (hop.alias, hop.host))):  # RFC 7672 2.2.3
            records = await self._records(base)
            if records:
                names = tuple(dict.fromkeys((base, hop.host, domain)))  # RFC 7672 3.2.2
                return TlsRule("dane", usable(records), names, tuple(sorted(map(_written, records))))
        return None

    async def _records(self, base: str) -> Sequence[TlsaRecord]:
        name = f"_{self._port}._tcp.{base}"
        try:
            records = await self._resolver.tlsa(name)
        except NoSuchName:
            return ()
        except ResolverFailure:
            raise TlsaUnknown(f"the TLSA records of {name} cannot be looked up or are not valid at present") from None
        return records[:MAX_RECORDS] if records.secure else ()


def usable(records: Sequence[TlsaRecord]) -> tuple[TlsaRecord, ...]:
    """Return the records that can be held against a certificate, in a settled order; of digests by one usage and selector only
    the strongest kind (RFC 7671 9)."""
    good = {record for record in records if _is_usable(record)}
    strong = {(one.usage, one.selector) for one in good if one.matching == SHA512}
    kept = [one for one in good if one.matching != SHA256 or (one.usage, one.selector) not in strong]
    return tuple(sorted(kept, key=lambda one: (one.usage, one.selector, one.matching, one.data)))


def _written(record: TlsaRecord) -> str:
    """RFC 6698 2.2."""
    return f"{record.usage} {record.selector} {record.matching} {record.data.hex().upper()}"


def _is_usable(record: TlsaRecord) -> bool:
    if record.usage not in (TRUST_ANCHOR, END_ENTITY) or record.selector not in (CERTIFICATE, PUBLIC_KEY):
        return False
    if record.matching != WHOLE:
        return len(record.data) == LENGTHS.get(record.matching, -1)
    try:
        (x509.load_der_x509_certificate if record.selector == CERTIFICATE else load_der_public_key)(record.data)
    except Exception:  # what a stranger published; the parsers raise several kinds
        return False
    return True
