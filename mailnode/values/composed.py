"""Unicode text in its composed form (NFC), by work that grows with its length alone."""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import lru_cache

# Combining marks in a row, as in Unicode's Stream-Safe Text Format (UAX 15, 13); longer runs are parted.
MOST_MARKS = 30
SHORT = 256  # characters that are put in order in some microseconds, whatever they are
_JOINER = "\u034f"  # COMBINING GRAPHEME JOINER, which is never put in another order
_MADE_OF_MARKS = "\u0f73\u0f75\u0f81"  # none themselves
# What all runs of more than MOST_MARKS are within; looked for first, because that takes an eighth of the time.
_MAYBE_MARKS = re.compile("[\u0300-\U0010ffff]{31,}")


def compose(text: str) -> str:
    """Return the text in NFC. Longer runs of combining marks than any language has are parted: to put them in order
    takes the square of their number, which is minutes for some ten thousand."""
    if text.isascii():
        return text
    if len(text) <= SHORT:
        return unicodedata.normalize("NFC", text)
    return unicodedata.normalize("NFC", _MAYBE_MARKS.sub(lambda run: _long_runs().sub(_part, run.group()), text))


def _part(run: re.Match[str]) -> str:
    marks = run.group()
    return _JOINER.join(marks[at : at + MOST_MARKS] for at in range(0, len(marks), MOST_MARKS))


@lru_cache(maxsize=1)
def _long_runs() -> re.Pattern[str]:
    """Return what finds runs of more than ``MOST_MARKS``; made once, in some 60 ms."""
    spans: list[list[int]] = []
    for point in range(0x300, sys.maxunicode + 1):
        if unicodedata.combining(chr(point)) or chr(point) in _MADE_OF_MARKS:
            if spans and spans[-1][1] == point - 1:
                spans[-1][1] = point
            else:
                spans.append([point, point])
    marks = [f"{chr(first)}-{chr(last)}" for first, last in spans]
    return re.compile("".join(["[", *marks, "]{", str(MOST_MARKS + 1), ",}"]))
