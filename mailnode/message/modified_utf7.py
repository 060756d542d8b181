"""Modified UTF-7: how mailbox names stand on the wire of IMAP, and in the folder names of a Maildir (RFC 3501 5.1.3)."""

from __future__ import annotations

import binascii
import re

_UNSHIFTED = re.compile(rb"[\x20-\x25\x27-\x7e]*\Z")
# One run of printable octets, "&-", or a shift: "&" modified-base64 "-".
_PIECE = re.compile(rb"([\x20-\x25\x27-\x7e]+)|&([A-Za-z0-9+,]*)-")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")


def encode_name(name: str) -> bytes:
    """Return a name in modified UTF-7."""
    if name.isascii() and name.isprintable():
        return name.replace("&", "&-").encode("ascii")
    return _UNPRINTABLE.sub(_shift, name.replace("&", "&-")).encode("ascii")


def _shift(found: re.Match[str]) -> str:
    base64 = binascii.b2a_base64(found.group().encode("utf-16-be"), newline=False)
    return "&" + base64.decode("ascii").rstrip("=").replace("/", ",") + "-"


def decode_name(wire: bytes) -> str | None:
    """Return the name a client wrote in modified UTF-7, or None when it is not exactly that: 8-bit octets, controls,
    printable ASCII inside a shift, a superfluous shift, half a surrogate pair, stray bits."""
    if b"&" not in wire:
        return wire.decode("ascii") if _UNSHIFTED.match(wire) else None
    pieces: list[str] = []
    at = 0
    shifted = False  # the piece before was a shift to base64
    while at < len(wire):
        found = _PIECE.match(wire, at)
        if found is None:
            return None
        at = found.end()
        if found.group(1) is not None:
            pieces.append(found.group(1).decode("ascii"))
            shifted = False
        elif not found.group(2):
            pieces.append("&")
            shifted = False
        else:
            text = None if shifted else _unshift(found.group(2))
            if text is None:
                return None
            pieces.append(text)
            shifted = True
    return "".join(pieces)


def _unshift(base64: bytes) -> str | None:
    padded = base64.replace(b",", b"/") + b"=" * (-len(base64) % 4)
    try:
        octets = binascii.a2b_base64(padded, strict_mode=True)
        text = octets.decode("utf-16-be")
    except (binascii.Error, UnicodeDecodeError):
        return None
    if any(" " <= c <= "~" for c in text) or _shift_text(octets) != base64:
        return None
    return text


def _shift_text(octets: bytes) -> bytes:
    return binascii.b2a_base64(octets, newline=False).rstrip(b"=").replace(b"/", b",")
