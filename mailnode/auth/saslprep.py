"""SASLprep (RFC 4013), so that a password typed on two systems is the same octets."""

from __future__ import annotations

import stringprep
import unicodedata

from mailnode.values.composed import compose

_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def saslprep(text: str) -> str:
    """Return the prepared string; unassigned code points are let through (a "query", RFC 3454 7).

    :raises ValueError: prohibited characters, or right-to-left text mixed against RFC 3454 6.
    """
    mapped = "".join(
        " " if stringprep.in_table_c12(c) else c for c in text if not stringprep.in_table_b1(c)
    )  # RFC 4013 2.1
    # RFC 4013 2.2: NFKC. Character by character, for combining marks that stand in others would make long runs, too.
    prepared = compose("".join([unicodedata.normalize("NFKD", c) for c in mapped]))
    if any(prohibited(c) for c in prepared for prohibited in _PROHIBITED):  # RFC 4013 2.3
        raise ValueError("prohibited character")
    if any(stringprep.in_table_d1(c) for c in prepared):  # RFC 4013 2.4
        if any(stringprep.in_table_d2(c) for c in prepared):
            raise ValueError("mixed directions")
        if not (stringprep.in_table_d1(prepared[0]) and stringprep.in_table_d1(prepared[-1])):
            raise ValueError("mixed directions")
    return prepared
