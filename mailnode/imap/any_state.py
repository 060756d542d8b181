"""Commands of every state: CAPABILITY, NOOP, LOGOUT, ID (RFC 3501 6.1, RFC 2971)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.logger import Logger

from mailnode.imap.answers import Answer
from mailnode.imap.command_types import Capability, Command, Id, Logout
from mailnode.imap.wire import responses
from mailnode.values.events import emit

if TYPE_CHECKING:
    from mailnode.imap.session import ImapSession

_log = Logger()


async def capability(session: ImapSession, command: Capability) -> Answer:
    """RFC 3501 6.1.1."""
    session.write(responses.untagged(responses.capability(session.capabilities())))
    return Answer("CAPABILITY completed")


async def noop(session: ImapSession, command: Command) -> Answer:
    """RFC 3501 6.1.2, and CHECK (6.4.1): all that happened is announced behind it."""
    return Answer(f"{command.verb} completed")


async def logout(session: ImapSession, command: Logout) -> None:
    """RFC 3501 6.1.3."""
    session.write(responses.bye("Logging out"))
    session.write(Answer("LOGOUT completed").line(command.tag))
    session.flush()
    session.connection.ended()
    session.channel.close()


async def identify(session: ImapSession, command: Id) -> Answer:
    """RFC 2971 3.1: the client's words go to the log and nowhere else."""
    told = " ".join(
        f"{name.decode('utf-8', 'replace')}={(value or b'').decode('utf-8', 'replace')!r}"
        for name, value in command.fields or ()
    )
    emit(_log, "session.client", session=session.session, protocol=session.protocol, client=told[:1000])
    session.write(responses.identification({"name": "mailnode", "version": session.services.version or "unknown"}))
    return Answer("ID completed")
