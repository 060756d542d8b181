"""An SMTP reply as data (RFC 5321 4.2, RFC 3463, RFC 2034)."""

from __future__ import annotations

from typing import NamedTuple


class Reply(NamedTuple):
    """``status`` is the enhanced code or "" when there is none; ``lines`` are texts without code, at least one."""

    code: int
    status: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """All lines joined by a space."""
        return " ".join(self.lines)

    def __str__(self) -> str:
        return f"{self.code} {self.status + ' ' if self.status else ''}{self.text}"

    @property
    def is_positive(self) -> bool:
        """2yz or 3yz."""
        return 200 <= self.code < 400

    @property
    def is_permanent(self) -> bool:
        """5yz."""
        return 500 <= self.code < 600
