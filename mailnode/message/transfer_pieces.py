"""Content-Transfer-Encodings undone piece by piece, for parts too large to be held: what comes out is what
:func:`mailnode.message.transfer.decode_transfer` makes of the whole."""

from __future__ import annotations

import binascii
import re
from abc import ABC, abstractmethod

from mailnode.message.transfer import IDENTITY, meant
from mailnode.message.words import NOT_BASE64, lenient_base64


class PieceDecoder(ABC):
    """Takes a body in pieces of any size; holds back what the next piece may change the meaning of."""

    @abstractmethod
    def decode(self, piece: bytes) -> bytes:
        """Return what is certain by now."""

    @abstractmethod
    def finish(self) -> bytes:
        """Return the rest."""


def piece_decoder(encoding: str) -> PieceDecoder | None:
    """Return what undoes an encoding, None when it means none that is known. :param encoding: as in ``facts.Part``."""
    encoding = meant(encoding)
    if encoding in IDENTITY:
        return _Identity()
    if encoding == "base64":
        return _Base64()
    return _QuotedPrintable() if encoding == "quoted-printable" else None


class _Identity(PieceDecoder):
    def decode(self, piece: bytes) -> bytes:
        return piece

    def finish(self) -> bytes:
        return b""


class _Base64(PieceDecoder):
    """Letters are taken four at a time; padding ends a group, another may follow."""

    def __init__(self) -> None:
        self._letters = b""

    def decode(self, piece: bytes) -> bytes:
        *ended, last = piece.split(b"=")
        out = []
        for group in ended:
            out.append(lenient_base64(self._letters + group))
            self._letters = b""
        letters = self._letters + last.translate(None, NOT_BASE64)
        whole = len(letters) - len(letters) % 4
        self._letters = letters[whole:]
        out.append(binascii.a2b_base64(letters[:whole]))
        return b"".join(out)

    def finish(self) -> bytes:
        return lenient_base64(self._letters)


# What a2b_qp takes together: an equals sign said twice, a soft line break, an octet, an equals sign that means nothing, text.
_TOKEN = re.compile(rb"==|=\r|=[0-9A-Fa-f]{2}|=|[^=]+")


class _QuotedPrintable(PieceDecoder):
    """What comes behind a line end stands for itself."""

    def __init__(self) -> None:
        self._held = b""

    def decode(self, piece: bytes) -> bytes:
        data = self._held + piece
        cut = data.rfind(b"\n") + 1
        if cut:
            self._held = data[cut:]
        else:
            cut, self._held = _cut_within_line(data)
        return binascii.a2b_qp(data[:cut])

    def finish(self) -> bytes:
        return binascii.a2b_qp(self._held)


def _cut_within_line(data: bytes) -> tuple[int, bytes]:
    """Return how much of a line without its end can be decoded, and what is held back."""
    at = 0
    for token in _TOKEN.finditer(data):
        if token.group() == b"=\r":  # up to the next LF nothing counts
            return at, b"=\r"
        if token.end() > len(data) - 2 and token.group().startswith(b"="):
            break
        at = token.end()
    return at, data[at:]
