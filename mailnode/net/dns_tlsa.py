"""TLSA records as they come: dnspython takes one of a wrong length for a broken answer, RFC 7672 2.1 for one not to be used."""

from __future__ import annotations

import dns.immutable
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.TLSA
from dns.name import Name
from dns.rdataclass import RdataClass
from dns.rdatatype import RdataType
from dns.wire import Parser

MISSING = 255  # stands for a number that a record of less than three octets has not; none has it otherwise


@dns.immutable.immutable
class LenientTlsa(dns.rdtypes.ANY.TLSA.TLSA):
    """A TLSA record of any length, none included."""

    _cert_length_by_mtype: dict[int, int] = {}

    @classmethod
    def from_wire_parser(
        cls, rdclass: RdataClass, rdtype: RdataType, parser: Parser, origin: Name | None = None
    ) -> LenientTlsa:
        """Read one from an answer."""
        octets = parser.get_remaining()
        usage, selector, matching = octets[:3].ljust(3, bytes([MISSING]))
        return cls(rdclass, rdtype, usage, selector, matching, octets[3:])


def read_tlsa_as_it_is() -> None:
    """Have dnspython use this class. ``dns.rdata.register_type`` is for types it does not know."""
    dns.rdata._rdata_classes[dns.rdataclass.IN, dns.rdatatype.TLSA] = LenientTlsa
