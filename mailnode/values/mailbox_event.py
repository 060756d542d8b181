"""What somebody did to messages of a mailbox, for the scripts that are told of it (RFC 6785)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mailnode.values.flags import KeywordTable

SCRIPT_ENTRY = "/shared/imapsieve/script"  # the entry of METADATA that names the script (RFC 6785 2.3.1)

# Causes (RFC 6785 4.3)
APPEND = "APPEND"
COPY = "COPY"
FLAG = "FLAG"


class MailboxEvent(NamedTuple):
    """Messages that are in a mailbox now, or whose flags are other now. ``changed``: bits of the flags that changed, for each
    message; nothing where the cause is none of flags."""

    cause: str
    account_id: str  # the owner of the mailbox
    mailbox_id: int
    uids: Sequence[int]
    actor: str  # the account of who did it
    session: str  # for the log
    changed: Sequence[int] = ()
    keywords: KeywordTable = KeywordTable()
