"""What a program said is not what its protocol has there."""

from __future__ import annotations


class Unreadable(ValueError):
    """The text says what is wrong, for the log."""
