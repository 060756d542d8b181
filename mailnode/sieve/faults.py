"""What may be wrong with a script: when it is compiled, with the place; and when it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class ScriptMistake:
    """What is wrong at a place of a script; lines and columns count from 1, columns in characters."""

    line: int
    column: int
    text: str

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.text}"


class ScriptRefused(Exception):
    """A script that cannot be compiled. ``mistakes`` has at least one, in the order of their places."""

    def __init__(self, mistakes: Sequence[ScriptMistake]) -> None:
        self.mistakes = tuple(sorted(mistakes))
        super().__init__("\n".join(map(str, self.mistakes)))


class ScriptFailed(Exception):
    """A script that fails while it runs (RFC 5228 2.10.6)."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class ValueRefused(ValueError):
    """What a check of an extension says of an argument; the place is added by who called it."""
