"""What is said to people about backups, and about what was deleted: the commands' help, and how their results read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import click

from mailnode.admin.administration import BackupRecord, BackupReport, Restored
from mailnode.admin.backup_import import BackupImported
from mailnode.admin.restoring import MailRestored
from mailnode.admin.undelete import Undeleted
from mailnode.ctl import display
from mailnode.ctl.parts import show, shown
from mailnode.ctl.wording import Words

F = TypeVar("F", BackupReport, Restored, MailRestored, BackupImported)

_DIRECTORY: dict[str, list[click.Parameter]] = {"directory": [click.Argument(["directory"], metavar="DIR")]}
_LIST: dict[str, list[click.Parameter]] = {
    "only_list": [
        click.Option(["--list", "only_list"], is_flag=True, help="Show what would come back, and bring nothing.")
    ]
}


def _told(human: Callable[[F], str], *wrong: str) -> Callable[[F, bool], None]:
    """Return what prints a result, and has the command end with 1 when it has one of what is wrong."""

    def told(result: F, as_json: bool) -> None:
        show(result, as_json, human)
        if any(result.get(name) for name in wrong):
            click.get_current_context().exit(1)

    return told


def _made(result: BackupReport) -> str:
    lines = [
        f"backup: {result['backup']}",
        f"databases: {result['databases']}, {result['unchanged']} as they were",
        f"files of messages: {result['files']}, {result['new_files']} new",
        f"octets copied: {result['new_octets']}",
    ]
    if result["removed"]:
        lines.append(f"removed: {display.as_text(result['removed'])}")
    if not result["databases"]:
        lines.append("the databases are PostgreSQL's: pg_dump copies them, before this")
    missing = [f"the file of a message is missing: {blob_id}" for blob_id in result["missing"]]
    return "\n".join([*lines, *_faults([*missing, *result["faults"]])])


def _listed(result: Sequence[BackupRecord]) -> str:
    return display.table(result, ("backup", "databases", "files", "octets", "missing", "faults"))


def _restored(result: Restored) -> str:
    lines = [f"backup: {result['backup']}", f"accounts: {result['accounts']}", f"files of messages: {result['files']}"]
    return "\n".join([*lines, *(_faults(result["faults"]) or ["all right"])])


def _faults(faults: Sequence[str]) -> list[str]:
    return [f"! {display.as_text(fault)}" for fault in faults]


_SEARCH = (
    'Only messages with this text in subject, sender, recipient, Message-ID or date of arrival ("2026-11-30", UTC).'
)


def _undeleted(result: Undeleted) -> str:
    lines = [f"deleted messages: {result['found']}", f"octets: {result['octets']}", f"back: {result['undeleted']}"]
    rows = display.table(result["messages"], ("mailbox", "deleted", "date", "sender", "subject", "size"))
    return "\n".join([*([rows, ""] if rows else []), *lines])


def _mail_restored(result: MailRestored) -> str:
    lines = [
        f"backup: {result['backup']}",
        f"messages in it: {result['found']}",
        f"there already: {result['present']}",
        f"back: {result['restored']}",
    ]
    if result["damaged"]:
        lines.append(f"! damaged in the backup: {result['damaged']}")
    rows = display.table(result["messages"], ("mailbox", "date", "sender", "subject", "size"))
    return "\n".join([*([rows, ""] if rows else []), *lines])


def _imported(result: BackupImported) -> str:
    lines = [
        f"backup: {result['backup']}",
        f"messages in it: {result['found']}",
        f"here already: {result['present']}, {result['flags_added']} got flags",
        f"brought: {result['brought']}",
    ]
    if result["subscribed"]:
        lines.append(f"mailboxes subscribed: {result['subscribed']}")
    for name in result["scripts"]:
        in_use = ", which filters mail now" if name == result["active_script"] else ""
        lines.append(f"filter script brought: {display.as_text(name)}{in_use}")
    if result["damaged"]:
        lines.append(f"damaged in the backup: {result['damaged']}")
    return "\n".join(lines)


backup_imported = _told(_imported, "damaged")

BACKUP_WORDS = {
    "backup.make": Words(
        """Copy the store into DIR, while the server runs or not: everything, as it is at one moment.

        DIR is made, or has earlier backups. Files of messages that one of them has are not copied again (on the same disk
        they are links), nor are databases that nobody has written to. A backup is complete or not there; a run that was cut off
        is gone on with by the next. Run it as the owner of the data directory. Ends with 1 when something is missing or
        damaged in the store; what can be read is in the backup all the same.
        """,
        _told(_made, "missing", "faults"),
        path=("backup",),
        instead=_DIRECTORY,
        options={
            "keep": "Afterwards, if nothing is wrong, remove all backups but the latest KEEP, and files that none of these"
            " needs. 0: none."
        },
    ),
    "backup.list": Words(
        "List the backups in DIR, the oldest first.",
        shown(_listed),
        path=("backups",),
        instead=_DIRECTORY,
        options={"verify": "Read all of each, and say what is not as it was written."},
    ),
    "backup.restore": Words(
        """Put a backup of DIR in the place of the store, while no server runs and where no store is.

        Each octet is held against its digest, and the store against itself afterwards. Mailboxes get a new UIDVALIDITY, so that no
        program takes a new message for one it knows. What waited in the queue is sent again, unless --pause-queue. When it
        was cut off, run it again; until it has ended no server starts there.
        """,
        _told(_restored, "faults"),
        path=("restore",),
        instead=_DIRECTORY,
        options={
            "backup": "Which, by its name; without it, the latest.",
            "pause_queue": "Let nothing go out of the queue until mailnode queue resume.",
        },
    ),
    "backup.restore-mail": Words(
        """Bring back mail of ADDRESS from a backup of DIR, while the server runs or not: what the account had then and has not now.

        A message that stands anywhere in the account, by its octets, is left alone: nothing comes twice, and it can be run again.
        It comes back into the mailbox it was in, which is made when it is not there, as a new message with its flags and dates;
        the quota holds. The account must exist. The server reads DIR itself, and needs the right to.
        """,
        _told(_mail_restored, "damaged"),
        path=("restore-mail",),
        instead=_DIRECTORY | _LIST,
        options={
            "backup": "Which, by its name; without it, the latest.",
            "mailbox": "Only what was in this mailbox.",
            "search": _SEARCH,
            "into": "Put all of it into this mailbox.",
            "was": "The address the account had then, where it has another one now.",
        },
    ),
    "mail.undelete": Words(
        """Bring back what ADDRESS has deleted: expunged messages, and those of deleted mailboxes, for as long as
        [store] keep_deleted says.

        A message comes back where it was last, as a new one with its flags; deleted mailboxes are made again. What stands
        elsewhere in the account, by its octets, is not deleted: it was moved or copied, or a backup brought it back. The quota
        holds. Run again, it does nothing.
        """,
        shown(_undeleted),
        path=("undelete",),
        instead=_LIST,
        options={
            "mailbox": "Only what was in this mailbox.",
            "since": "Only what was deleted within this time: 90, 30m, 2h, 7d.",
            "search": _SEARCH,
            "into": "Put all of it into this mailbox.",
        },
    ),
}
