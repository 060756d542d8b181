"""Octets that a client sent and nobody has looked at yet (RFC 3501 2.2): CRLF ends a line and nothing else does."""

from __future__ import annotations

from mailnode.imap.wire.lexer import CommandFault


class InputBuffer:
    """Takes octets at its end, gives them out at its front. Each is looked through for a line end once."""

    __slots__ = ("_octets", "_seen")

    def __init__(self) -> None:
        self._octets = bytearray()
        self._seen = 0  # octets in which no CRLF begins

    def __len__(self) -> int:
        return len(self._octets)

    def add(self, data: bytes) -> None:
        """Take octets."""
        self._octets += data

    def clear(self) -> None:
        """Forget them."""
        self._octets.clear()
        self._seen = 0

    def head(self, count: int) -> bytes:
        """Return the first octets, which stay."""
        return bytes(self._octets[:count])

    def take(self, count: int) -> bytes:
        """Give out the first octets, fewer when there are no more."""
        taken = bytes(self._octets[:count])
        self.drop(len(taken))
        return taken

    def drop(self, count: int) -> None:
        """Remove octets from the front; cheap, a bytearray only moves its start."""
        if count:
            del self._octets[:count]
            self._seen = 0

    def line(self, limit: int) -> bytes | None:
        """Give out the next line without its CRLF, None when it is not complete.

        :raises CommandFault: there is none within ``limit`` octets.
        """
        at = self._octets.find(b"\r\n", self._seen)
        if at < 0:
            self._seen = max(len(self._octets) - 1, 0)
            if self._seen > limit:
                raise CommandFault("Line too long")
            return None
        if at > limit:
            raise CommandFault("Line too long")
        line = bytes(self._octets[:at])
        del self._octets[: at + 2]
        self._seen = 0
        return line

    def coming_line(self, limit: int) -> bytes:
        """Return the next line without its CRLF, which stays; nothing when it is not complete within ``limit`` octets."""
        at = self._octets.find(b"\r\n", 0, limit + 2)
        return bytes(self._octets[: max(at, 0)])

    def rest_of_line(self, keep: int) -> bytes | None:
        """Drop octets up to the end of a line; return the last of them before its CRLF, None while it has not come.

        :param keep: how many at most.
        """
        at = self._octets.find(b"\r\n", self._seen)
        if at < 0:
            self.drop(max(len(self._octets) - keep, 0))
            self._seen = max(len(self._octets) - 1, 0)
            return None
        end = bytes(self._octets[max(at - keep, 0) : at])
        self.drop(at + 2)
        return end
