"""The log of what a session refuses: a line for each refusal, with who asked and why, and no flood of them."""

from __future__ import annotations

from twisted.logger import Logger

from mailnode.values.events import EventFields, emit
from mailnode.values.smtp_reply import Reply

MAX_LINES = 50  # lines about refusals of one session, until a message of it is taken
MAX_SAID = 320  # characters of what a client said that are logged

_log = Logger()


class RefusalLog:
    """Counts and logs the refusals of one session."""

    def __init__(self, session: str, protocol: str) -> None:
        self._session = session
        self._protocol = protocol
        self._left = MAX_LINES

    def taken(self) -> None:
        """A message was taken: the client is one whose further refusals are worth their lines."""
        self._left = MAX_LINES

    def command(self, reply: Reply, command: str, **fields: str) -> None:
        """A command was refused before it led to a sender or recipient anybody could judge.

        :param fields: further ones of ``command.refused``: who asked, and what it was about.
        """
        fields = {"reason": reply.text} | {name: value[:MAX_SAID] for name, value in fields.items()}
        self._say("command.refused", reply, protocol=self._protocol, command=command, **fields)

    def recipient(self, reply: Reply, **fields: str) -> None:
        """RCPT was refused. :param fields: further ones of ``recipient.refused``, with the reason."""
        self._say("recipient.refused", reply, **fields)

    def message(self, reply: Reply, **fields: str) -> None:
        """MAIL, or a message, was refused. :param fields: further ones of ``message.refused``, with the reason."""
        self._say("message.refused", reply, **fields)

    def _say(self, event: str, reply: Reply, **fields: str) -> None:
        if self._left == 0:
            return
        self._left -= 1
        status = reply.status or str(reply.code)
        told: EventFields = fields
        emit(_log, event, session=self._session, **told, code=reply.code, status=status)
        if self._left == 0:
            emit(_log, "session.quiet", session=self._session, protocol=self._protocol, lines=MAX_LINES)
