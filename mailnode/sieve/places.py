"""Where a message is filed: the name of a mailbox, and what extensions say instead of it or beside it."""

from __future__ import annotations

import re

from mailnode.errors import BadMailboxName
from mailnode.sieve.constructs import Checking, ScriptCall
from mailnode.sieve.faults import ScriptFailed
from mailnode.sieve.flag_lists import flag_list
from mailnode.sieve.run import ScriptRun
from mailnode.values.mailbox import SPECIAL_USES
from mailnode.values.mailbox_name import mailbox_name

_USE = re.compile(r"\\[!#$&'+,./0-9:;<=>?@A-Z^_`a-z|}~\[-]+\Z")  # use-attr (RFC 6154 6): an atom behind a backslash


def checked_mailbox(text: str) -> str:
    """Return the canonical name of a mailbox. :raises ScriptFailed: none can have this name."""
    try:
        return mailbox_name(text)
    except BadMailboxName as error:
        raise ScriptFailed(f'no mailbox can be named "{text[:80]}": {error}') from None


def check_mailbox(checking: Checking, call: ScriptCall, name: str) -> None:
    """Note a mailbox that cannot be, where the name is known already."""
    for text in call.constants(name):
        try:
            mailbox_name(text)
        except BadMailboxName as error:
            checking.refuse(call, name, f'no mailbox can be named "{text[:80]}": {error}')


def wanted_use(run: ScriptRun, call: ScriptCall) -> str:
    """Return the use that ``:specialuse`` names, "" for none and for one that no mailbox here can have (RFC 8579 4).
    :raises ScriptFailed: it is written as no use can be."""
    if not call.has(":specialuse"):
        return ""
    use = run.text(call, ":specialuse")
    if not _USE.match(use):
        raise ScriptFailed(f'a use is written with a backslash, such as "\\Junk", not "{use[:40]}"')
    return SPECIAL_USES.get(use.upper(), "")


def check_use(checking: Checking, call: ScriptCall) -> None:
    """Note a use that cannot be (RFC 8579 4), where it is known already."""
    for name in ("uses", ":specialuse"):
        for use in call.constants(name):
            if not _USE.match(use):
                checking.refuse(call, name, f'a use is written with a backslash, such as "\\\\Junk", not "{use[:40]}"')


def flags_of(run: ScriptRun, call: ScriptCall) -> tuple[str, ...]:
    """Return the flags an action files with: its own, or those of the internal variable (RFC 5232 5)."""
    return tuple(flag_list(run.texts(call, ":flags")) if call.has(":flags") else run.flags)
