"""What is wrong with a value somebody wrote into the configuration, as people read it."""

from __future__ import annotations

from collections.abc import Sequence

_BOUNDS = ("literal_error", "greater_than", "greater_than_equal", "less_than", "less_than_equal")


def place(start: str, location: Sequence[str | int]) -> str:
    """Return where a value stands: ``queue.route[0].host``. :param start: the section; empty: keys stand by themselves."""
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return start + path if start else path.removeprefix(".")


def words(kind: str, message: str, given: object) -> str:
    """Return what is wrong, of what pydantic says: the kind of the error, its message, and the value."""
    if kind == "extra_forbidden":
        return "unknown key"
    if kind == "missing":
        return "is required"
    if kind == "model_type":
        return "should be a section of keys"
    message = message.removeprefix("Value error, ").replace("Input should", "should").replace("List should", "should")
    return f"{message}, not {given!r}" if kind in _BOUNDS else message
