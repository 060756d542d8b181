"""How names of folders stand in a Maildir and on the wire of IMAP, and what they say."""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.message.modified_utf7 import decode_name

DOT = b"&AC4-"  # a dot within a level, which separates levels where it stands by itself


def level_names(written: Sequence[bytes]) -> tuple[tuple[str, ...], str]:
    """Return the levels of a folder's name, and what could not be read of it, in words."""
    oddity = ""
    levels: list[str] = []
    for level in written:
        read = decode_name(level)
        if read is None and not level.isascii():
            try:
                read = level.decode("utf-8")  # as servers write it that were told to
            except UnicodeDecodeError:
                oddity = "it is neither UTF-7 nor UTF-8"
        elif read is None:
            read = _decode_leniently(level)
            oddity = "" if read is not None else "its modified UTF-7 is broken"
        levels.append(level.decode("latin-1") if read is None else read)
    return tuple(levels), oddity


def _decode_leniently(level: bytes) -> str | None:
    """Return a name in modified UTF-7 in which a dot is encoded, as only a Maildir needs it; None: it is broken otherwise too."""
    return "".join(one for one in _dots(level)) if DOT in level and _dots_readable(level) else None


def _dots_readable(level: bytes) -> bool:
    return all(decode_name(piece) is not None for piece in level.split(DOT))


def _dots(level: bytes) -> Sequence[str]:
    pieces = [decode_name(piece) or "" for piece in level.split(DOT)]
    return [piece if not at else "." + piece for at, piece in enumerate(pieces)]
