"""NAMESPACE (RFC 2342)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mailnode.imap.answers import Answer
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.row import AFTER_LOGIN, CommandRow, bare
from mailnode.imap.others import OTHER_USERS, SHARED
from mailnode.imap.wire import responses
from mailnode.imap.wire.command import Command


# namespace = "NAMESPACE"
@dataclass(frozen=True, slots=True)
class Namespace(Command):
    """RFC 2342 5."""

    verb: ClassVar[str] = "NAMESPACE"


async def namespace(context: Context, command: Namespace) -> Answer:
    """RFC 2342 5."""
    context.write(response())
    return Answer("NAMESPACE completed")


def response() -> bytes:
    """Return ``* NAMESPACE``: the account's own mailboxes, those of others, and those of nobody (RFC 2342 5)."""
    prefixes = ("", OTHER_USERS, SHARED)
    return responses.untagged(
        b"NAMESPACE", *[b'(("%b" %b))' % (prefix.encode("ascii"), responses.HIERARCHY) for prefix in prefixes]
    )


ROWS = (
    CommandRow(
        name=b"NAMESPACE", states=AFTER_LOGIN, parse=bare(Namespace), run=namespace, capabilities=("NAMESPACE",)
    ),
)
