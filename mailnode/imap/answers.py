"""Tagged answers, and the one table that maps errors to them (RFC 3501 7.1, RFC 5530)."""

from __future__ import annotations

from dataclasses import dataclass

from mailnode import errors
from mailnode.imap.view.view import NoSuchNumber
from mailnode.imap.wire import responses


@dataclass(frozen=True, slots=True)
class Answer:
    """The end of a command. ``code`` is a response code without brackets; ``text`` is never empty."""

    text: str
    code: bytes = b""
    status: bytes = b"OK"

    def line(self, tag: bytes) -> bytes:
        """Return the tagged response line."""
        return responses.status(tag, self.status, self.text, self.code)


class CommandRefused(Exception):
    """Raised by a command to end it with NO or BAD."""

    def __init__(self, text: str, code: bytes = b"", status: bytes = b"NO") -> None:
        super().__init__(text)
        self.answer = Answer(text, code, status)


# The first class that fits decides. The texts are general: the cause stands in the log.
_REFUSALS: tuple[tuple[type[Exception], Answer], ...] = (
    (NoSuchNumber, Answer("No such message number", b"", b"BAD")),
    (errors.OverQuota, Answer("Over quota", b"OVERQUOTA", b"NO")),
    (errors.AlreadyExists, Answer("Mailbox already exists", b"ALREADYEXISTS", b"NO")),
    (errors.NoSuchMailbox, Answer("No such mailbox", b"NONEXISTENT", b"NO")),
    (errors.NoSuchMessage, Answer("Some messages were expunged", b"EXPUNGEISSUED", b"NO")),
    (errors.BadMailboxName, Answer("Not a mailbox name this server allows", b"CANNOT", b"NO")),
    (errors.NotPermitted, Answer("You may not do that with this mailbox", b"NOPERM", b"NO")),
    (errors.MailboxRefused, Answer("Not possible with this mailbox", b"CANNOT", b"NO")),
    (errors.KeywordLimit, Answer("No more keywords can be added", b"LIMIT", b"NO")),
    (errors.LimitReached, Answer("A limit was reached", b"LIMIT", b"NO")),
    (errors.InUse, Answer("In use by another session", b"INUSE", b"NO")),
    (errors.TooManyFailures, Answer("Too many failed logins, try again later", b"UNAVAILABLE", b"NO")),
    (errors.Busy, Answer("Too busy, try again later", b"UNAVAILABLE", b"NO")),
    (errors.DiskFull, Answer("The server's disk is full, try again later", b"UNAVAILABLE", b"NO")),
    (errors.StoreUnavailable, Answer("Mail storage is unavailable, try again later", b"UNAVAILABLE", b"NO")),
    (errors.BlobDamaged, Answer("A message could not be read", b"CORRUPTION", b"NO")),
    (errors.AuthenticationFailed, Answer("Wrong login or password", b"AUTHENTICATIONFAILED", b"NO")),
    (errors.LoginNotAllowed, Answer("This account may not log in", b"AUTHORIZATIONFAILED", b"NO")),
    (errors.NoSuchAccount, Answer("No such account", b"AUTHORIZATIONFAILED", b"NO")),
)
UNKNOWN_TROUBLE = Answer("Temporary trouble, try again later", b"UNAVAILABLE", b"NO")


def refusal(error: Exception) -> Answer | None:
    """Return the answer to an error, or None when it is not one that a client can cause."""
    if isinstance(error, CommandRefused):
        return error.answer
    for kind, answer in _REFUSALS:
        if isinstance(error, kind):
            return answer
    return None
