"""What the commands work on, the table of commands, and what their failures are called."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from mailnode import errors
from mailnode.errors import DomainError
from mailnode.interfaces.accounts import IDirectory
from mailnode.interfaces.runtime import IClock, IHints, IThreads
from mailnode.interfaces.store import IMailStore, IQueueStore
from mailnode.values.directory import Credential

# Exit codes of the mailnode command; documented in docs/commands.rst.
OK, FAILED, USAGE, NOT_FOUND, UNREACHABLE, CONFLICT = range(6)

_WORDS: dict[type[DomainError], tuple[int, str]] = {
    errors.NoSuchAccount: (NOT_FOUND, "no such account or address"),
    errors.NoSuchDomain: (NOT_FOUND, "no such domain"),
    errors.NoSuchMailbox: (NOT_FOUND, "no such mailbox"),
    errors.MailboxExists: (CONFLICT, "there is a mailbox of that name"),
    errors.AlreadyExists: (CONFLICT, "exists already"),
    errors.InUse: (CONFLICT, "is in use"),
    errors.BadAddress: (USAGE, "not an address or domain"),
    errors.BadMailboxName: (USAGE, "not a mailbox name"),
    errors.Busy: (FAILED, "the server is too busy, try again"),
    errors.StoreUnavailable: (FAILED, "the store cannot be written at the moment; see the log"),
}


@dataclass(frozen=True, slots=True)
class Office:
    """The parts of a server, or of a store without one, that commands need."""

    directory: IDirectory
    mail: IMailStore
    queue: IQueueStore
    clock: IClock
    threads: IThreads
    hints: IHints
    make_credentials: Callable[..., list[Credential]]
    reload: Callable[[], Awaitable[dict[str, Any]]] | None = None  # None: no server is running


class CommandFailed(Exception):
    """A command that could not be done; ``code`` is the exit code, the text is for a person."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


F = TypeVar("F", bound=Callable[..., Awaitable[Any]])


@dataclass(frozen=True, slots=True)
class Command:
    """One command: a coroutine function of an office and keyword arguments; ``changes`` goes to the log."""

    function: Callable[..., Awaitable[Any]]
    changes: bool


COMMANDS: dict[str, Command] = {}


def command(name: str, *, changes: bool = False) -> Callable[[F], F]:
    """Enter a coroutine function into the table."""

    def enter(function: F) -> F:
        COMMANDS[name] = Command(function, changes)
        return function

    return enter


async def run(office: Office, name: str, arguments: dict[str, Any]) -> Any:
    """Run one command; the result is plain JSON data. :raises CommandFailed:"""
    try:
        function = COMMANDS[name].function
        inspect.signature(function).bind(office, **arguments)
    except (KeyError, TypeError):
        raise CommandFailed(USAGE, f"no such command: {name}") from None
    try:
        return await function(office, **arguments)
    except DomainError as error:
        code, words = next((found for kind, found in _WORDS.items() if isinstance(error, kind)), (FAILED, "refused"))
        named = (value for key, value in arguments.items() if key != "password")
        subject = next((value for value in named if isinstance(value, str)), "")
        detail = str(error)
        text = f"{subject}: {words}" if subject else words
        raise CommandFailed(code, f"{text} ({detail})" if detail and detail != subject else text) from error
    except ValueError as error:
        raise CommandFailed(USAGE, str(error)) from error
