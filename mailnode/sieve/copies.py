"""Where a copy of what is sent is filed (RFC 8580): said by the tags of fileinto on the action that sends."""

from __future__ import annotations

from mailnode.sieve.actions import FiledCopy
from mailnode.sieve.constructs import Checking, ScriptCall
from mailnode.sieve.flag_lists import flag_list
from mailnode.sieve.places import check_mailbox, check_use, checked_mailbox, wanted_use
from mailnode.sieve.run import ScriptRun

_OF_A_COPY = (":create", ":flags", ":specialuse", ":mailboxid")


def check_copy(checking: Checking, call: ScriptCall) -> None:
    """Note a place that cannot be, and what says something of a copy where there is none (RFC 8580 3.1)."""
    check_mailbox(checking, call, ":fcc")
    check_use(checking, call)
    for tag in _OF_A_COPY:
        if call.has(tag) and not call.has(":fcc"):
            checking.refuse(call, tag, f"{tag} of {call.row.name} needs :fcc")


def filed_copy(run: ScriptRun, call: ScriptCall) -> FiledCopy | None:
    """Return where the copy goes, None where none is wanted. :raises ScriptFailed: to no mailbox that can be."""
    if not call.has(":fcc"):
        return None
    return FiledCopy(
        checked_mailbox(run.text(call, ":fcc")),
        tuple(flag_list(run.texts(call, ":flags"))),
        call.has(":create"),
        wanted_use(run, call),
        run.text(call, ":mailboxid"),
    )
