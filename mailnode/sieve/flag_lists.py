"""Lists of IMAP flags in strings (RFC 5232 2)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mailnode.values.flags import MAX_KEYWORD_OCTETS, SYSTEM_FLAGS

MAX_FLAGS = 100  # of one list
_BY_FOLDED = {name.lower(): name for name in SYSTEM_FLAGS}
# RFC 9051 9 flag-keyword: an atom
_KEYWORD = re.compile(r'[^\x00-\x20\x7f-\U0010ffff(){%*"\\\]]+\Z')


def flag_list(texts: Iterable[str]) -> list[str]:
    """Return the flags that stand in strings, each once whatever its case; what is none is left out."""
    found: dict[str, str] = {}
    for text in texts:
        for word in text.split(" "):
            folded = word.lower()
            flag = _BY_FOLDED.get(folded) or (word if len(word) <= MAX_KEYWORD_OCTETS and _KEYWORD.match(word) else "")
            if flag and len(found) < MAX_FLAGS:
                found.setdefault(folded, flag)
    return list(found.values())
