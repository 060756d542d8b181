"""The collation i;unicode-casemap (RFC 5051), by which SEARCH, SORT and THREAD compare text (RFC 5255 4.2, RFC 5256 7)."""

from __future__ import annotations

import unicodedata

CHARACTERS = 65_536  # whose forms are kept


def casemap(text: str) -> str:
    """Return what text is compared by: two texts are equal when these are, and stand in their order.

    Each character for itself is put into title case and then decomposed (RFC 5051 2); so the work grows with the length
    alone, which normalizing a whole text does not.
    """
    return text.upper() if text.isascii() else text.translate(_MAPPED)


class _Mapped(dict[int, str]):
    """What characters become; each is looked up once, until there are very many."""

    def __missing__(self, point: int) -> str:
        character = chr(point)
        title = character.title()
        # Only mappings to one character count: those of UnicodeData.txt, not those of SpecialCasing.txt.
        mapped = unicodedata.normalize("NFKD", title if len(title) == 1 else character)
        if len(self) >= CHARACTERS:
            self.clear()
        self[point] = mapped
        return mapped


_MAPPED = _Mapped()
