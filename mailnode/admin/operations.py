"""What the commands work on, and the table they enter themselves into."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

# Exit codes of the mailnode command; documented in docs/commands.rst.
OK, FAILED, USAGE, NOT_FOUND, UNREACHABLE, CONFLICT = range(6)


class CommandFailed(Exception):
    """A command that could not be done; ``code`` is the exit code, the text is for a person."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


F = TypeVar("F", bound=Callable[..., Awaitable[Any]])


@dataclass(frozen=True, slots=True)
class Command:
    """One command: a coroutine function of an admin and keyword arguments; ``changes`` goes to the log, what
    ``destroys`` is asked about first."""

    function: Callable[..., Awaitable[Any]]
    changes: bool
    destroys: bool


COMMANDS: dict[str, Command] = {}


def command(name: str, *, changes: bool = False, destroys: bool = False) -> Callable[[F], F]:
    """Enter a coroutine function into the table; one that destroys also changes."""

    def enter(function: F) -> F:
        COMMANDS[name] = Command(function, changes or destroys, destroys)
        return function

    return enter
