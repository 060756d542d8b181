"""The table of all operations, and how one is run by its name with failures put into words."""

from __future__ import annotations

from collections.abc import Mapping

from mailnode import errors
from mailnode.admin import (
    account_import,
    accounts,
    aliases,
    attached_scripts,
    backup_import,
    backups,
    certificates,
    configs,
    dkim,
    dmarc,
    doctor,
    domains,
    filters,
    grants,
    judging,
    mailboxes,
    moving,
    policies,
    published,
    queue,
    queue_steering,
    restoring,
    rights,
    rules,
    scripts,
    sending,
    server,
    shared,
    store,
    suppressions,
    tls,
    trial_login,
    undelete,
)
from mailnode.admin.administration import Administration, RunningServer, StoppedStore, StoreCopies, StoreFiles
from mailnode.admin.operations import AnyOperation, Operation, OperationFailed, Reason
from mailnode.errors import DomainError

_NOUNS = (
    account_import,
    accounts,
    aliases,
    attached_scripts,
    backup_import,
    backups,
    certificates,
    configs,
    dkim,
    dmarc,
    doctor,
    domains,
    filters,
    grants,
    judging,
    mailboxes,
    moving,
    policies,
    published,
    queue,
    queue_steering,
    restoring,
    rights,
    rules,
    scripts,
    sending,
    server,
    shared,
    store,
    suppressions,
    tls,
    trial_login,
    undelete,
)

OPERATIONS: dict[str, AnyOperation] = {
    found.name: found for noun in _NOUNS for found in vars(noun).values() if isinstance(found, Operation)
}

NO_SERVER = "no server is running"

_WORDS: dict[type[DomainError], tuple[Reason, str]] = {
    errors.NoSuchAccount: (Reason.NOT_FOUND, "no such account or address"),
    errors.NoSuchDomain: (Reason.NOT_FOUND, "no such domain"),
    errors.NoSuchMailbox: (Reason.NOT_FOUND, "no such mailbox"),
    errors.MailboxExists: (Reason.CONFLICT, "there is a mailbox of that name"),
    errors.NoSuchScript: (Reason.NOT_FOUND, "no such script"),
    errors.ScriptActive: (
        Reason.CONFLICT,
        "the script is the active one: activate another one, or deactivate it, first",
    ),
    errors.ScriptChanged: (
        Reason.CONFLICT,
        "somebody else has changed it at the same moment, and nothing of this was stored: try again",
    ),
    errors.BadScriptName: (Reason.WRONG_VALUE, "not a name of a script"),
    errors.ScriptQuotaReached: (Reason.FAILED, "the account may not keep this script"),
    errors.AlreadyExists: (Reason.CONFLICT, "exists already"),
    errors.InUse: (Reason.CONFLICT, "is in use"),
    errors.BadAddress: (Reason.WRONG_VALUE, "not an address or domain"),
    errors.BadMailboxName: (Reason.WRONG_VALUE, "not a mailbox name"),
    errors.Busy: (Reason.BUSY, "the server is too busy, try again"),
    errors.LimitReached: (Reason.FAILED, "a limit of the account is reached"),
    errors.OverQuota: (Reason.FAILED, "there is no room, its quota is reached"),
    errors.BackupRefused: (Reason.FAILED, "this cannot be done"),
    errors.StoreUnavailable: (Reason.FAILED, "the store cannot be written at the moment; see the log"),
}


async def run(
    works_on: Administration | StoppedStore | StoreFiles | StoreCopies, name: str, arguments: Mapping[str, object]
) -> object:
    """Run one operation; the result is plain JSON data. :raises OperationFailed:"""
    operation = OPERATIONS.get(name)
    if operation is None:
        raise OperationFailed(Reason.WRONG_VALUE, f"no such command: {name}")
    operation.check(arguments)
    try:
        return await operation(_part(operation, works_on), **arguments)
    except DomainError as error:
        found = (words for kind, words in _WORDS.items() if isinstance(error, kind))
        reason, words = next(found, (Reason.FAILED, "refused"))
        about, detail = error.about or operation.subject(arguments), str(error)
        text = f"{about}: {words}" if about else words
        raise OperationFailed(reason, f"{text} ({detail})" if detail and detail != about else text) from error
    except ValueError as error:
        raise OperationFailed(Reason.WRONG_VALUE, str(error)) from error


def _part(operation: AnyOperation, given: Administration | StoppedStore | StoreFiles | StoreCopies) -> object:
    """Return what an operation works on. :raises OperationFailed: it is not there."""
    if operation.works_on is StoppedStore and isinstance(given, Administration):
        raise OperationFailed(
            Reason.CONFLICT, f"{operation.name}: a server is running on this data directory: stop it first"
        )
    if operation.works_on is StoreCopies and isinstance(given, Administration):
        raise OperationFailed(Reason.WRONG_VALUE, f"{operation.name}: the command does this by itself")
    if operation.works_on is RunningServer or (operation.works_on is StoreFiles and isinstance(given, Administration)):
        server = given.server if isinstance(given, Administration) else None
        if server is None:
            raise OperationFailed(Reason.UNREACHABLE, NO_SERVER)
        return server
    return given
