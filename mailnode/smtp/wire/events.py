"""What a server connection tells its session. Each event but unfinished :class:`Content` waits for its answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from mailnode.values.address import Address
from mailnode.values.envelope import PLAIN_MAIL, MailOptions, Recipient
from mailnode.values.smtp_reply import Reply


@dataclass(frozen=True, slots=True)
class Helo:
    """HELO, EHLO or LHLO. ``extended`` is False for HELO."""

    name: str
    extended: bool


@dataclass(frozen=True, slots=True)
class Mail:
    """MAIL. ``reverse_path`` None is the null sender."""

    reverse_path: Address | None
    options: MailOptions = PLAIN_MAIL


@dataclass(frozen=True, slots=True)
class Rcpt:
    """RCPT."""

    recipient: Recipient


@dataclass(frozen=True, slots=True)
class DataStart:
    """DATA with at least one accepted recipient: 354, or a refusal."""


class Content(NamedTuple):
    """Octets of the message: CRLF line ends only, dots unstuffed; after MAIL with BODY=BINARYMIME any octets.

    ``complete``: the DATA or BDAT command is over and waits for its answer. ``last``: so is the message.
    ``fault``: the content cannot be taken, for this reason; nothing of the message may be kept. It comes only with
    ``complete``; after a fault no octets are told. ``binary``: said with ``last``, the message was to be of any octets, and is not
    of lines that end with CRLF.
    """

    data: bytes
    complete: bool = False
    last: bool = False
    fault: Reply | None = None
    binary: bool = False


@dataclass(frozen=True, slots=True)
class Rset:
    """RSET: forget the transaction."""


@dataclass(frozen=True, slots=True)
class Vrfy:
    """VRFY with its argument."""

    argument: str


@dataclass(frozen=True, slots=True)
class Help:
    """HELP."""


@dataclass(frozen=True, slots=True)
class Noop:
    """NOOP."""


@dataclass(frozen=True, slots=True)
class Quit:
    """QUIT."""


@dataclass(frozen=True, slots=True)
class StartTls:
    """STARTTLS, with nothing behind it: 220, then TLS."""


@dataclass(frozen=True, slots=True)
class AuthStart:
    """AUTH. ``initial`` is the decoded initial response, None when there is none (RFC 4954 4)."""

    mechanism: str
    initial: bytes | None


@dataclass(frozen=True, slots=True)
class AuthResponse:
    """The decoded answer to a challenge."""

    data: bytes


@dataclass(frozen=True, slots=True)
class AuthCancelled:
    """The exchange is over, by ``*`` or by an answer that cannot be read; ``reply`` says which."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class Xclient:
    """XCLIENT from a network that may. ``address``, ``name`` in HELO: "" where the relay does not know; None: as it was."""

    address: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A command the connection refuses by itself: send ``reply``. An event, so that replies leave in order.

    ``verb`` "": none that is known. ``said``: the argument of MAIL or RCPT as the client wrote it, for the log; of no other
    command, for it may be a password that came out of step.
    """

    reply: Reply
    verb: str = ""
    said: str = ""


@dataclass(frozen=True, slots=True)
class HangUp:
    """The session cannot go on: send ``reply`` and close."""

    reply: Reply


Event = (
    Helo
    | Mail
    | Rcpt
    | DataStart
    | Content
    | Rset
    | Vrfy
    | Help
    | Noop
    | Quit
    | StartTls
    | AuthStart
    | AuthResponse
    | AuthCancelled
    | Xclient
    | Refusal
    | HangUp
)
