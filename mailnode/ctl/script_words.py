"""What is said to people about each operation on filter scripts."""

from __future__ import annotations

import sys

import click

from mailnode.admin.attached_scripts import AttachedScript
from mailnode.admin.scripts import ScriptRecord, ScriptShown
from mailnode.ctl.display import anything, table
from mailnode.ctl.given_file import open_file
from mailnode.ctl.parts import shown
from mailnode.ctl.wording import Words


def _scripts(result: list[ScriptRecord]) -> str:
    return table(result, ("name", "active", "size", "version", "changed")) or "no scripts"


def _attached(result: list[AttachedScript]) -> str:
    return (
        table([{**one, "mailbox": one["mailbox"] or "(all others)"} for one in result], ("mailbox", "script")) or "none"
    )


def _source(result: ScriptShown) -> str:
    return source_text(result["source"], sys.stdout.isatty())


def source_text(source: str, is_for_terminal: bool) -> str:
    """Return a source with line feeds, without its last one, as it is; for a terminal without what could steer that."""
    text = source.replace("\r\n", "\n").removesuffix("\n")
    return "".join(c if c.isprintable() or c in "\t\n" else "\ufffd" for c in text) if is_for_terminal else text


_DONE = shown(lambda result: "")  # people hear of what is not done

SCRIPT_WORDS = {
    "sieve.list": Words("List the filter scripts of ACCOUNT.", shown(_scripts)),
    "sieve.versions": Words("List the versions of a script that are kept, the newest first.", shown(anything)),
    "sieve.show": Words(
        "Show a script, as it is or as it was.",
        shown(_source),
        options={"version": "Which version, where it is not the newest."},
    ),
    "sieve.put": Words(
        """Store the script in FILE, or on standard input, under a name. What was there under it stays as an older version.

        It is compiled first: a script with mistakes is not stored, and each is told with its line and column.
        """,
        _DONE,
        options={"activate": "Have it filter the mail of ACCOUNT from now on."},
        instead={"content": [click.Argument(["content"], metavar="[FILE]", type=click.File("rb"), default="-")]},
        prepare=open_file,
    ),
    "sieve.activate": Words("Have a script filter the mail of ACCOUNT, and no other one.", _DONE),
    "sieve.deactivate": Words("Have no script filter the mail of ACCOUNT; those that it has stay.", _DONE),
    "sieve.attached": Words(
        "List which scripts run on what is done in mailboxes of ACCOUNT over IMAP.", shown(_attached)
    ),
    "sieve.attach": Words(
        """Have a script run in mailboxes of ACCOUNT when messages come into them over IMAP, or flags of theirs are changed.

        A name that is empty has a mailbox run none, whatever holds for all others.
        """,
        _DONE,
        options={"mailbox": "Of one mailbox alone; without it, of all that have none of their own."},
    ),
    "sieve.detach": Words(
        "Take a script away from a mailbox of ACCOUNT.",
        _DONE,
        options={"mailbox": "From this one; without it, from all that have none of their own."},
    ),
    "sieve.rename": Words("Give a script another name; an active one stays active.", _DONE),
    "sieve.delete": Words(
        "Remove a script and all its versions. The active one is not removed.",
        _DONE,
        question="Remove the script {name} of {account}, and all its versions?",
    ),
}
