"""What is to be done with a message: data, in the order the script said it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EditedContent:
    """A message as the script changed it (RFC 5293, RFC 5703): None stands for what is as it came."""

    header: bytes | None  # with its empty line
    body: bytes | None


@dataclass(frozen=True, slots=True)
class KeepMessage:
    """File it where it would go without a script (RFC 5228 4.3). ``flags``: IMAP names. ``implicit``: nobody said so."""

    flags: tuple[str, ...] = ()
    content: EditedContent | None = None
    implicit: bool = False


@dataclass(frozen=True, slots=True)
class FileMessage:
    """File it into a mailbox (RFC 5228 4.1); what comes first decides: ``mailbox_id`` (RFC 9042), ``use`` (RFC 8579), the name."""

    mailbox: str
    flags: tuple[str, ...] = ()
    create: bool = False  # RFC 5490 3.2
    use: str = ""
    mailbox_id: str = ""
    content: EditedContent | None = None


@dataclass(frozen=True, slots=True)
class FiledCopy:
    """Where a copy of what is sent is filed (RFC 8580)."""

    mailbox: str
    flags: tuple[str, ...] = ()
    create: bool = False
    use: str = ""
    mailbox_id: str = ""


@dataclass(frozen=True, slots=True)
class RedirectMessage:
    """Send it on (RFC 5228 4.2). ``notify`` and ``ret`` as in RFC 3461, ``by`` as in RFC 2852, "" where nobody said anything;
    ``from_list``: ``address`` is the name of a list whose members get it (RFC 6134 2.8)."""

    address: str
    notify: str = ""
    ret: str = ""
    by: str = ""
    from_list: bool = False
    content: EditedContent | None = None


@dataclass(frozen=True, slots=True)
class DiscardMessage:
    """Let it go without a word (RFC 5228 4.4)."""


@dataclass(frozen=True, slots=True)
class RejectMessage:
    """Refuse it (RFC 5429). ``in_session``: by a reply of SMTP or LMTP where that can still be said (``ereject``)."""

    reason: str
    in_session: bool


@dataclass(frozen=True, slots=True)
class VacationReply:
    """Answer its sender, unless the same was answered not long ago (RFC 5230)."""

    reason: str  # text, or with ``mime`` an entity with its header
    period: int  # seconds
    handle: str  # what the answer is remembered by, for each sender
    subject: str = ""  # "" for one that is made of the message's
    sender: str = ""  # of the answer; "" for the address the message came in for
    to: str = ""
    mime: bool = False
    copy: FiledCopy | None = None


@dataclass(frozen=True, slots=True)
class NotifySomebody:
    """Tell somebody by other means (RFC 5435). ``importance`` 1 is high, 3 low."""

    method: str  # a URI
    recipients: tuple[str, ...] = ()  # of a mailto URI
    subject: str = ""
    body: str = ""
    sender: str = ""  # of the notification; "" for the address the message came in for
    importance: int = 2
    options: tuple[str, ...] = ()
    copy: FiledCopy | None = None


@dataclass(frozen=True, slots=True)
class RememberDuplicate:
    """Remember an id under a handle, from now or when the message was delivered (RFC 7352)."""

    handle: str
    id: str
    seconds: int


SieveAction = (
    KeepMessage
    | FileMessage
    | RedirectMessage
    | DiscardMessage
    | RejectMessage
    | VacationReply
    | NotifySomebody
    | RememberDuplicate
)
