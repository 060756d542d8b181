"""A script as its grammar has it (RFC 5228 8.2), before anybody asked whether its commands exist."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScriptArgument:
    """One argument: a number, a tag (``kind`` says which of two texts it is), a string or a list of strings."""

    kind: str  # tag, number, string, strings
    value: int | str | tuple[str, ...]
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class ScriptNode:
    """A command or a test. ``block`` is None where a semicolon stands, and in tests."""

    name: str  # in lower case
    arguments: tuple[ScriptArgument, ...]
    tests: tuple[ScriptNode, ...]
    block: tuple[ScriptNode, ...] | None
    line: int
    column: int
    is_list: bool = False  # its tests stand in parentheses
