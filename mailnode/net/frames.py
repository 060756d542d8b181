"""Frames on a stream: four octets of length, most significant first, then so many octets."""

from __future__ import annotations

import struct

MAX_FRAME = 64 * 1024 * 1024  # octets; the largest unit is an envelope with very many recipients
_LENGTH = struct.Struct(">I")


class FrameTooLong(ValueError):
    """A frame over :data:`MAX_FRAME`."""


def frame(payload: bytes) -> bytes:
    """Return a payload as it travels. :raises FrameTooLong:"""
    if len(payload) > MAX_FRAME:
        raise FrameTooLong(f"{len(payload)} octets")
    return _LENGTH.pack(len(payload)) + payload


class FrameReader:
    """Takes octets as they come, gives whole frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._wanted = _LENGTH.size  # octets of the buffer before there is anything to look at

    def receive(self, data: bytes) -> list[bytes]:
        """Return the payloads that are whole now. :raises FrameTooLong: what follows cannot be read."""
        buffer = self._buffer
        buffer += data
        payloads: list[bytes] = []
        at = 0
        while len(buffer) - at >= self._wanted:
            size = _LENGTH.unpack_from(buffer, at)[0]
            if size > MAX_FRAME:
                raise FrameTooLong(f"{size} octets")
            end = at + _LENGTH.size + size
            if len(buffer) < end:
                self._wanted = end - at
                break
            payloads.append(bytes(memoryview(buffer)[at + _LENGTH.size : end]))
            at = end
            self._wanted = _LENGTH.size
        del buffer[:at]
        return payloads
