"""What a session says: the replies in one place, and the one table from domain errors to replies.

Texts are generic. The cause of a refusal goes to the log with the session's id.
"""

from __future__ import annotations

from mailnode.errors import (
    AuthenticationFailed,
    BadAddress,
    Busy,
    DiskFull,
    DomainError,
    LimitReached,
    LoginNotAllowed,
    OverQuota,
    Refused,
    StoreUnavailable,
    TooManyFailures,
)
from mailnode.values.policy import Verdict
from mailnode.values.smtp_reply import Reply

OK = Reply(250, "2.0.0", ("Ok",))
SENDER_OK = Reply(250, "2.1.0", ("Sender ok",))
RECIPIENT_OK = Reply(250, "2.1.5", ("Recipient ok",))
CHUNK_OK = Reply(250, "2.0.0", ("Octets received",))
GO_ON = Reply(354, "", ("End data with <CR><LF>.<CR><LF>",))
BYE = Reply(221, "2.0.0", ("Bye",))
START_TLS = Reply(220, "2.0.0", ("Ready to start TLS",))
CANNOT_VERIFY = Reply(252, "2.1.5", ("Send some mail, and see",))
HELP = Reply(214, "2.0.0", ("EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT STARTTLS AUTH", "See RFC 5321"))
LMTP_HELP = Reply(214, "2.0.0", ("LHLO MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT STARTTLS", "See RFC 2033"))

LOGGED_IN = Reply(235, "2.7.0", ("Authentication successful",))
NOT_OWNER = Reply(553, "5.7.1", ("Sender address is not one of this account",))
NO_AUTHOR = Reply(550, "5.6.0", ("The message has no From field",))
ONE_BOUNCE = Reply(452, "4.5.3", ("One recipient at a time for the null sender",))
LOOP = Reply(554, "5.4.6", ("Too many hops: mail loop",))
CIRCLE = Reply(554, "5.4.6", ("Mail forwarding loop: it was here before",))
NOT_IN_LINES = Reply(554, "5.6.3", ("Binary content that cannot be converted: signed, or no MIME",))
HEADER_TOO_LARGE = Reply(552, "5.3.4", ("Message header too large",))

NO_ROOM = Reply(452, "4.3.1", ("No room for more mail at present, try again later",))
TROUBLE = Reply(451, "4.3.0", ("Try again later",))
TROUBLE_CLOSING = Reply(421, "4.3.0", ("Internal trouble, try again later",))
TIMED_OUT = Reply(421, "4.4.2", ("Timed out, closing",))
SHUTTING_DOWN = Reply(421, "4.3.2", ("The server is shutting down, try again later",))
LOGGED_OUT = Reply(421, "4.7.0", ("The session was ended, log in again",))
NOT_LOGGED_IN_ANY_MORE = Reply(451, "4.7.0", LOGGED_OUT.lines)
SPOKE_FIRST = Reply(554, "5.5.1", ("SMTP synchronization error: data before our greeting",))
TOO_MANY_CONNECTIONS = Reply(421, "4.7.0", ("Too many connections from there in a short time, try again later",))
TOO_MANY_MESSAGES = Reply(451, "4.7.1", ("Too many messages from there in a short time, try again later",))
TOO_MANY_RECIPIENTS = Reply(451, "4.7.1", ("Too many recipients from there in a short time, try again later",))
TOO_MANY_REFUSED = Reply(451, "4.7.1", ("Too many unknown recipients from there in a short time, try again later",))
TOO_MANY = Reply(421, "4.7.0", ("Too many connections, try again later",))

# The first that fits. Whatever is not a domain error is unknown trouble and temporary.
_ERRORS: tuple[tuple[type[DomainError], Reply], ...] = (
    (OverQuota, Reply(452, "4.2.2", ("Mailbox full",))),
    (BadAddress, Reply(553, "5.1.3", ("Bad address",))),
    (LimitReached, Reply(552, "5.3.4", ("Message too large",))),
    (Busy, TROUBLE),
    (DiskFull, NO_ROOM),
    (StoreUnavailable, TROUBLE),
    (DomainError, TROUBLE),
)
_LOGIN_ERRORS: tuple[tuple[type[DomainError], Reply], ...] = (
    (AuthenticationFailed, Reply(535, "5.7.8", ("Authentication credentials invalid",))),
    (LoginNotAllowed, Reply(525, "5.7.13", ("This account may not log in",))),
    (TooManyFailures, Reply(454, "4.7.0", ("Too many failed logins, try again later",))),
)
_LOGIN_TROUBLE = Reply(454, "4.7.0", ("Temporary authentication failure",))


class Rejected(Exception):
    """A message that is answered with this reply and not kept."""

    def __init__(self, reply: Reply, policy: str = "", stage: str = "", why: str = "") -> None:
        """:param policy: which refused, at ``stage``; :param why: for the log, where it says more than the reply."""
        super().__init__(reply.text)
        self.reply = reply
        self.policy = policy
        self.stage = stage
        self.why = why or reply.text

    @property
    def about(self) -> dict[str, str]:
        """Fields of events that say who refused and why."""
        fields = {"policy": self.policy, "stage": self.stage} if self.stage else {}
        return {**fields, "reason": self.why}


def not_author(field: str) -> Reply:
    """Return the reply to a message whose field of that name holds an address the account may not send as."""
    return Reply(550, "5.7.1", (f"{field} address is not one of this account",))


def unclear_author(why: str) -> Reply:
    """Return the reply to a message that does not say clearly who answers for it. :param why: printable ASCII."""
    return Reply(550, "5.6.0", (why,))


def reply_to(error: Exception) -> Reply:
    """Return the reply to a refused recipient or message."""
    if isinstance(error, Rejected):
        return error.reply
    if isinstance(error, Refused):
        return Reply(450 if error.status.startswith("4") else 550, error.status, (error.text,))
    return next((reply for kind, reply in _ERRORS if isinstance(error, kind)), TROUBLE)


def login_reply(error: Exception) -> Reply:
    """Return the reply to a failed AUTH (RFC 4954 6)."""
    return next((reply for kind, reply in _LOGIN_ERRORS if isinstance(error, kind)), _LOGIN_TROUBLE)


def verdict_reply(verdict: Verdict, refuse_code: int = 550) -> Reply | None:
    """Return the reply a verdict asks for, None when there is nothing against going on."""
    if verdict.action == "refuse":
        return Reply(refuse_code, verdict.status or "5.7.1", (verdict.text or "Refused by policy",))
    if verdict.action == "defer":
        return Reply(451, verdict.status or "4.7.1", (verdict.text or "Try again later",))
    return None


def rejection(verdict: Verdict, stage: str, refuse_code: int = 550) -> Rejected | None:
    """Return what a verdict of a stage asks for, None when there is nothing against going on."""
    reply = verdict_reply(verdict, refuse_code)
    if reply is None:
        return None
    own = [reason.text for reason in verdict.reasons if reason.policy == verdict.by]
    return Rejected(reply, verdict.by, stage, verdict.reason or (own[-1] if own else ""))


def about(error: Exception) -> dict[str, str]:
    """Return fields of events that say why something was refused, and which policy did."""
    return error.about if isinstance(error, Rejected) else {"reason": reason_of(error)}


def reason_of(error: Exception) -> str:
    """Return why something was refused, for the log."""
    if isinstance(error, Rejected):
        return error.why
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
