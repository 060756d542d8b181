"""Lists of tags and values, as signatures and the records of their keys are written (RFC 6376 3.2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

# RFC 6376 3.2: tag-name, and FWS around it and its value
_NAME = re.compile(rb"[A-Za-z][A-Za-z0-9_]*")
_SPACE = b" \t\r\n"


@lru_cache(maxsize=32)  # a signature's is asked for three times
def read_tags(text: bytes) -> Mapping[bytes, bytes]:
    """Return the values by tag, white space around them cut. :raises ValueError: it is no such list, or has a tag twice."""
    tags: dict[bytes, bytes] = {}
    *specs, last = text.split(b";")
    if last.strip(_SPACE):
        specs.append(last)
    for spec in specs:
        name, equals, value = spec.partition(b"=")
        name = name.strip(_SPACE)
        if not equals or name in tags or not _NAME.fullmatch(name):
            raise ValueError("no list of tags")
        tags[name] = value.strip(_SPACE)
    return tags


def read_list(value: bytes) -> tuple[bytes, ...]:
    """Return what stands between colons."""
    return tuple(one.strip(_SPACE) for one in value.split(b":"))
