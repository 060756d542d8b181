"""The base subject of RFC 5256 2.1: what is left of a subject without "Re:", "Fwd:", list tags and "(fwd)".

Works on two indices into the text instead of cutting it again and again, so that a subject of nothing but tags stays
linear.
"""

from __future__ import annotations

import re

_SPACES = re.compile(r"[ \t\r\n]+")
_BLOB = re.compile(r"\[[^\[\]]*\][ \t]*")
_REFWD = re.compile(r"(?:re|fwd?)[ \t]*(?:\[[^\[\]]*\][ \t]*)?:", re.IGNORECASE)
_FWD_HEADER = "[fwd:"
_FWD_TRAILER = "(fwd)"


def base_subject(subject: str) -> tuple[str, bool]:
    """Return (base subject, whether it was a reply or a forward).

    :param subject: decoded, line ends already taken out or not.
    """
    text = subject if subject.isprintable() and "  " not in subject else _SPACES.sub(" ", subject)
    low, high = 0, len(text)
    is_reply = False
    while True:
        high, cut = _cut_trailer(text, low, high)
        low, led = _cut_leader(text, low, high)
        is_reply = is_reply or cut or led
        if text[low : low + 5].lower() == _FWD_HEADER and high > low + 5 and text[high - 1] == "]":
            low, high, is_reply = low + 5, high - 1, True
            continue
        return text[low:high], is_reply


def _cut_trailer(text: str, low: int, high: int) -> tuple[int, bool]:
    """Steps 2: (new end, a "(fwd)" was cut)."""
    cut = False
    while high > low:
        if text[high - 1] == " ":
            high -= 1
        elif high - low >= 5 and text[high - 5 : high].lower() == _FWD_TRAILER:
            high -= 5
            cut = True
        else:
            break
    return high, cut


def _cut_leader(text: str, low: int, high: int) -> tuple[int, bool]:
    """Steps 3 to 5: (new start, a "Re:" or "Fwd:" was cut)."""
    cut = False
    while True:
        while low < high and text[low] == " ":
            low += 1
        after, last = low, low
        while (blob := _BLOB.match(text, after, high)) is not None:
            after, last = blob.end(), blob.start()
        refwd = _REFWD.match(text, after, high)
        if refwd is not None:
            low, cut = refwd.end(), True
            continue
        # Blobs without "Re:" behind them go one by one while something is left: all, or all but the last.
        return (after if after < high else last), cut
