"""Lists of tags and values, as signatures and the records of their keys are written (RFC 6376 3.2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

# RFC 6376 3.2: tag-name, FWS around it and before its value
_TAG = re.compile(rb"(?:\A|(?<=;))[ \t\r\n]*([A-Za-z][A-Za-z0-9_]*)[ \t\r\n]*=[ \t\r\n]*([^;]*)")
WHITE = b" \t\r\n"  # octets of FWS


@lru_cache(maxsize=32)  # a signature's is asked for three times
def read_tags(text: bytes) -> Mapping[bytes, bytes]:
    """Return the values by tag, white space around them cut. :raises ValueError: it is no such list, or has a tag twice."""
    found = _TAG.findall(text)
    tags = {name: value.rstrip(WHITE) for name, value in found}
    _, _, last = text.rpartition(b";")
    if not len(tags) == len(found) == text.count(b";") + bool(last.strip(WHITE)):
        raise ValueError("no list of tags")
    return tags


def read_list(value: bytes) -> tuple[bytes, ...]:
    """Return what stands between colons, words without white space in them."""
    return tuple(b"".join(value.split()).split(b":"))
