"""The envelope of RFC 5321 2.3.1 and where it came from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

from mailnode.values.address import Address
from mailnode.values.authentication import AuthenticationResult

TLS_REQUIRED, TLS_OPTIONAL = "required", "optional"

# Of what becomes of a message its reverse-path may be told all that is asked for, failures and nothing else, or nothing.
# "forged": nothing either, for it may be that somebody else wrote it there.
ALL_NOTICES, FAILURES_ALONE, NO_NOTICES, MAYBE_FORGED = "", "failures", "none", "forged"

CLIENT_NAME = "client-name"  # a tag: the client's name, which leads back to its address


@dataclass(frozen=True, slots=True)
class MailOptions:
    """What the parameters of MAIL say of a message: one record from the client's command to that for the next hop.

    ``size``: octets as MAIL declares them (RFC 1870), 0 when it does not. ``prdr``: each recipient is to get a reply of its own to
    the message (draft-hall-prdr-00). The queue keeps neither.
    """

    size: int = 0
    # or 8BITMIME (RFC 6152); BINARYMIME (RFC 3030 3) from MAIL until the message has come, which then is in lines
    body: str = "7BIT"
    smtputf8: bool = False  # RFC 6531
    ret: str = ""  # FULL, HDRS or "" (RFC 3461 4.3)
    envid: str = ""  # decoded (RFC 3461 4.4)
    priority: int = 0  # -9 to 9: of what is due to one destination, the highest goes first
    # TLS_REQUIRED: under verified TLS or not at all; TLS_OPTIONAL: whatever recipients' domains ask (RFC 8689)
    tls: str = ""
    prdr: bool = False


@dataclass(frozen=True, slots=True)
class RcptOptions:
    """What the parameters of RCPT say of a recipient, as far as :class:`MailOptions` goes.

    ``notify`` holds any of ``SUCCESS FAILURE DELAY`` or only ``NEVER``; empty means not given (RFC 3461 4.1).
    ``orcpt`` is the decoded ``addr-type;address`` or "" (RFC 3461 4.2).
    """

    notify: frozenset[str] = frozenset()
    orcpt: str = ""

    @property
    def without_success(self) -> RcptOptions:
        """The same, but for asking to be told of success."""
        if "SUCCESS" not in self.notify:
            return self
        # NOTIFY=SUCCESS alone asks not to hear of failures; with nothing left the default would tell of them.
        return replace(self, notify=(self.notify - {"SUCCESS"}) or frozenset({"NEVER"}))


PLAIN_MAIL, PLAIN_RCPT = MailOptions(), RcptOptions()  # without parameters


@dataclass(frozen=True, slots=True)
class Recipient:
    """One forward-path with its parameters."""

    address: Address
    options: RcptOptions = PLAIN_RCPT


class Origin(NamedTuple):
    """Who handed the message over: goes into Received, into policies and into the log."""

    session: str
    protocol: str  # RFC 3848 keyword: SMTP ESMTP ESMTPS ESMTPSA ESMTPA LMTP UTF8SMTPS ...; "local" for our own DSNs
    peer: str = ""  # the client's IP address, no port; "" for ourselves
    helo: str = ""
    tls: str = ""  # e.g. "TLSv1.3 TLS_AES_256_GCM_SHA384"; "" without TLS
    account_id: str = ""  # of the authenticated submitter; "" otherwise
    account: str = ""  # its primary address


@dataclass(frozen=True, slots=True)
class Envelope:
    """One mail transaction. ``reverse_path`` None is the null sender ``<>``."""

    id: str
    reverse_path: Address | None
    recipients: tuple[Recipient, ...]
    origin: Origin
    received_at: float  # UTC seconds
    options: MailOptions = PLAIN_MAIL
    tags: dict[str, str] = field(default_factory=dict)  # verdicts of policies, for the log and for delivery
    held: bool = False  # it waits in the queue until an operator releases it
    notices: str = ALL_NOTICES  # that may be sent to the reverse-path, by what the message says of itself
    trace: bytes = b""  # whole fields of policies, known only after the content: on top of each copy placed here
    authentication: tuple[AuthenticationResult, ...] = ()  # what the door found out; nothing where it did not look

    def judged(self, trace: bytes, authentication: tuple[AuthenticationResult, ...]) -> Envelope:
        """Return the same with what policies found."""
        return Envelope(
            self.id,
            self.reverse_path,
            self.recipients,
            self.origin,
            self.received_at,
            self.options,
            self.tags,
            self.held,
            self.notices,
            trace,
            authentication,
        )

    @property
    def has_ascii_paths(self) -> bool:
        """Whether no path of it needs SMTPUTF8 (RFC 6531 3.2)."""
        paths = [recipient.address for recipient in self.recipients]
        if self.reverse_path is not None:
            paths.append(self.reverse_path)
        return all(path.is_ascii for path in paths)
