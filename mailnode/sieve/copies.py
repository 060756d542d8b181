"""Where a copy of what is sent is filed (RFC 8580): said by the tags of fileinto on the action that sends."""

from __future__ import annotations

from mailnode.sieve.actions import FiledCopy
from mailnode.sieve.constructs import ScriptCall
from mailnode.sieve.flag_lists import flag_list
from mailnode.sieve.places import checked_mailbox
from mailnode.sieve.run import ScriptRun


def filed_copy(run: ScriptRun, call: ScriptCall) -> FiledCopy | None:
    """Return where the copy goes, None where none is wanted. :raises ScriptFailed: to no mailbox that can be."""
    if not call.has(":fcc"):
        return None
    return FiledCopy(
        checked_mailbox(run.text(call, ":fcc")),
        tuple(flag_list(run.texts(call, ":flags"))),
        call.has(":create"),
        run.text(call, ":specialuse"),
        run.text(call, ":mailboxid"),
    )
