"""Runs a command of the table by its name, and puts failures into words."""

from __future__ import annotations

import inspect
from typing import Any

from mailnode import errors
from mailnode.admin import accounts as _accounts  # noqa: F401  # fills the table
from mailnode.admin import aliases as _aliases  # noqa: F401
from mailnode.admin import domains as _domains  # noqa: F401
from mailnode.admin import grants as _grants  # noqa: F401
from mailnode.admin import mailboxes as _mailboxes  # noqa: F401
from mailnode.admin import queue as _queue  # noqa: F401
from mailnode.admin import server as _server  # noqa: F401
from mailnode.admin.administration import Administration
from mailnode.admin.operations import COMMANDS, CONFLICT, FAILED, NOT_FOUND, USAGE, CommandFailed
from mailnode.errors import DomainError

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


async def run(admin: Administration, name: str, arguments: dict[str, Any]) -> Any:
    """Run one command; the result is plain JSON data. :raises CommandFailed:"""
    try:
        function = COMMANDS[name].function
        inspect.signature(function).bind(admin, **arguments)
    except (KeyError, TypeError):
        raise CommandFailed(USAGE, f"no such command: {name}") from None
    try:
        return await function(admin, **arguments)
    except DomainError as error:
        code, words = next((found for kind, found in _WORDS.items() if isinstance(error, kind)), (FAILED, "refused"))
        about, detail = subject(arguments), str(error)
        text = f"{about}: {words}" if about else words
        raise CommandFailed(code, f"{text} ({detail})" if detail and detail != about else text) from error
    except ValueError as error:
        raise CommandFailed(USAGE, str(error)) from error


def subject(arguments: dict[str, Any]) -> str:
    """Return what a command is about: its first argument that is text and no password; "" without one."""
    return next((value for key, value in arguments.items() if key != "password" and isinstance(value, str)), "")
