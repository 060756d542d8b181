"""What scripts say that is to be sent, as mail: answers, refusals, notifications, what is sent on, and what their owners are told.

Pure: a message's header and an action of the script go in, octets come out. Messages have CRLF line ends and are ASCII but for
addresses that cannot be, in which case they need SMTPUTF8. Whom they go to and under which reverse-path is told beside them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from mailnode.delivery.circles import MAX_VISITS, mark, visited
from mailnode.errors import BadAddress
from mailnode.message.compose import date_field, foreign_text, message_id_field
from mailnode.message.dsn import DsnRecipient, dsn
from mailnode.message.headers import fields, first
from mailnode.message.mdn import refusal_mdn
from mailnode.message.notices import notice
from mailnode.message.seven_bit import to_seven_bit
from mailnode.message.words import decode_words
from mailnode.message.written_text import (
    NamedAddress,
    address_field,
    address_text,
    given_entity,
    read_addresses,
    text_entity,
    text_field,
    thread_fields,
)
from mailnode.sieve.actions import NotifySomebody, RejectMessage, VacationReply
from mailnode.sieve.mailto import parse_mailto
from mailnode.values.address import Address, parse_address
from mailnode.values.envelope import MAYBE_FORGED
from mailnode.values.smtp_reply import Reply

MAX_REPLY_LINE = 400  # characters of one line of a reply; RFC 5321 4.5.3.1.5 has 512 octets with code and line end
MAX_REPLY_LINES = 20
MAX_TOLD = 200  # characters of a line of what a script's owner is told
MAX_LINES_TOLD = 20  # mistakes of a script

_REFUSED = "Refused by the recipient's mail filter"
_REDIRECTED = b"X-Sieve-Redirected-From"
_IMPORTANCE = {1: b"high", 3: b"low"}


@dataclass(frozen=True, slots=True)
class FilteredMail:
    """The message that a script ran on."""

    header: bytes  # its block, as it came
    sender: Address | None  # the reverse-path, None for the null one
    recipient: Address  # it came in for: whose script it was
    notices: str = ""  # that may be sent to the reverse-path: see values.envelope


@dataclass(frozen=True, slots=True)
class NewMail:
    """What makes a message of ours one of its own."""

    message_id: str
    seconds: float  # UTC, for its Date field
    hostname: str  # this server's


def senders(text: str) -> tuple[Address, ...]:
    """Return the addresses of a ``:from``, for a look whether the account may send as each; none where there are none."""
    try:
        return tuple([address for _, address in read_addresses(text)]) if text else ()
    except BadAddress:
        return ()


def _from(said: str, about: FilteredMail, may_send: bool) -> Sequence[NamedAddress]:
    """RFC 5230 4.3: a ``:from`` that is not the account's is passed over."""
    return read_addresses(said) if may_send and senders(said) else [("", about.recipient)]


def vacation_mail(action: VacationReply, about: FilteredMail, new: NewMail, may_send: bool = False) -> bytes | None:
    """Return the answer (RFC 5230 5), which goes to the reverse-path with the null one (5.1) and NOTIFY=NEVER. The language has
    looked whether there is to be one. None: there is nobody, or what the script says is no entity of MIME.

    :param may_send: whether the account may send as all :func:`senders` of the action's ``:from``.
    """
    if about.sender is None:
        return None
    try:
        content = given_entity(action.reason) if action.mime else text_entity(action.reason)
    except ValueError:
        return None
    message = (
        address_field("From", _from(action.sender, about, may_send))
        + address_field("To", [("", about.sender)])
        + text_field("Subject", action.subject)
        + date_field(new.seconds)
        + message_id_field(new.message_id)
        + thread_fields(about.header)
        + b"Auto-Submitted: auto-replied (vacation)\r\nMIME-Version: 1.0\r\n"
        + content
    )
    return to_seven_bit(message) or message


def answer_key(action: VacationReply, sender: Address) -> str:
    """Return what it is remembered by that a sender had this answer (RFC 5230 4.2): 64 characters."""
    return hashlib.sha256(f"{action.handle}\0{sender.key}".encode("utf-8", "replace")).hexdigest()


def unrefusable(about: FilteredMail) -> str:
    """Return why the sender is not told by mail that a message was refused (RFC 5429 2.1.2 and 2.2), "" where it is."""
    if about.sender is None:
        return "it has the null sender"
    if about.notices == MAYBE_FORGED:
        return "neither SPF nor a signature vouches for the sender"
    return ""


def refusal_reply(action: RejectMessage) -> Reply | None:
    """Return what the sender's server is told where all recipients refuse, or each has a reply of its own (RFC 5429 2.5).

    None: the words of a ``reject`` are not ASCII, and go by mail as they are (2.2); ``ereject`` says others in their place (2.1.1).
    """
    if not action.reason.isascii():
        return Reply(550, "5.7.1", (_REFUSED,)) if action.in_session else None
    lines = [" ".join(line.split()) for line in action.reason.splitlines()]
    cut = [line[at : at + MAX_REPLY_LINE] for line in lines for at in range(0, len(line), MAX_REPLY_LINE)]
    said = tuple(["".join(c if " " <= c <= "~" else "?" for c in line) for line in cut[:MAX_REPLY_LINES]])
    return Reply(550, "5.7.1", said or (_REFUSED,))


def refusal_mail(
    action: RejectMessage, about: FilteredMail, new: NewMail, original: bytes | None, envelope_id: str = ""
) -> bytes | None:
    """Return what the sender is told by mail, with the null reverse-path: for ``reject`` an MDN, for ``ereject`` a DSN. None: it
    may not be told, see :func:`unrefusable`.

    :param original: the whole message as it came, None where its header is to do. :param envelope_id: of it, for the log.
    """
    if about.sender is None or unrefusable(about):
        return None
    if not action.in_session:
        return refusal_mdn(
            to=about.sender,
            recipient=about.recipient,
            reason=action.reason or _REFUSED,
            hostname=new.hostname,
            message_id=new.message_id,
            seconds=new.seconds,
            original_header=about.header,
            original=original,
        )
    return dsn(
        reporting_mta=new.hostname,
        kind="failed",
        to=str(about.sender),
        sender=f"MAILER-DAEMON@{new.hostname}",
        message_id=new.message_id,
        date_seconds=new.seconds,
        arrival_seconds=None,
        recipients=[DsnRecipient(str(about.recipient), "5.7.1", diagnostic=_REFUSED, log_id=envelope_id)],
        original_header=about.header,
        original=original,
        envid="",
        smtputf8=not about.sender.is_ascii,
        refusal=action.reason or _REFUSED,
    )


def notification_mail(
    action: NotifySomebody, about: FilteredMail, new: NewMail, owner: Address, may_send: bool = False
) -> bytes:
    """Return the message that tells ``action.recipients`` of another (RFC 5436 2.7). The language has looked whether somebody is
    to be told.

    :param owner: whose script it is. :param may_send: as for :func:`vacation_mail`. :raises ValueRefused: its URI is none.
    """
    uri = parse_mailto(action.method)
    to = [("", parse_address(one)) for one in uri.to]
    cc = [("", parse_address(one)) for one in uri.cc]
    importance = _IMPORTANCE.get(action.importance)
    said = [text_field(name, value) for name, value in uri.fields]
    if importance is not None and not any(name == "Importance" for name, _ in uri.fields):
        said.append(b"Importance: " + importance + b"\r\n")
    written = address_text(owner).replace("\\", "\\\\").replace('"', '\\"')
    return (
        b'Auto-Submitted: auto-notified;\r\n\towner-email="' + foreign_text(written, True) + b'"\r\n'
        + address_field("From", _from(action.sender, about, may_send))
        + (address_field("To", to) if to else b"")
        + (address_field("Cc", cc) if cc else b"")
        + text_field("Subject", action.subject)
        + date_field(new.seconds)
        + message_id_field(new.message_id)
        + b"".join(said)
        + b"MIME-Version: 1.0\r\n"
        + text_entity(action.body)
    )  # fmt: skip


def notification_sender(action: NotifySomebody, about: FilteredMail, may_send: bool = False) -> Address | None:
    """Return the reverse-path of a notification: the null one where the message has it (RFC 5436 2.7)."""
    return None if about.sender is None else _from(action.sender, about, may_send)[0][1]


def redirect_fields(recipient: Address) -> bytes:
    """Return what stands on top of a message that is sent on: for whom it was, by which it is known when it comes back."""
    return redirect_field(recipient) + mark(recipient)


def redirect_field(recipient: Address) -> bytes:
    """Return the first of them: the other one is put on top of whatever is led on. b"" where it cannot be named in ASCII."""
    field = mark(recipient)
    return _REDIRECTED + b": " + field.partition(b": ")[2] if field else b""


def was_redirected(header: bytes, recipient: Address) -> bool:
    """Whether a message was sent on for a recipient before: to send it on again would let it go round."""
    named = (field.value.decode("utf-8", "replace") for field in fields(header) if field.is_named(_REDIRECTED))
    if not recipient.domain:
        return False
    return recipient.key in visited(header) or any(_is(one, recipient) for one in islice(named, MAX_VISITS))


def _is(written: str, address: Address) -> bool:
    try:
        return parse_address(written).key == address.key
    except BadAddress:
        return False


def failure_mail(
    account: Address, script: str, why: str, about: FilteredMail, new: NewMail, mailbox: str = ""
) -> bytes:
    """Return what the owner of a script is told, once, when it fails; it goes out with the null reverse-path.

    :param script: its name. :param why: the reason with its line, or mistakes, one a line. :param mailbox: where the message is
        in already; "": it was on its way.
    """
    subject = decode_words(first(about.header, b"subject") or b"")[:MAX_TOLD]
    kept = "The message was filed into your inbox, as every message is while the filter fails. It is:"
    paths = [f"From:    {about.sender or '<> (a notice of a mail server)'}", f"To:      {about.recipient}"]
    if mailbox:
        kept, paths = f'The message stays in "{mailbox[:MAX_TOLD]}". It is:', []
    lines = [
        f'Your mail filter "{script[:MAX_TOLD]}" failed, and nothing that it says was done:',
        "",
        *(line[:MAX_TOLD] for line in why.splitlines()[:MAX_LINES_TOLD]),
        "",
        kept,
        "",
        *paths,
        f"Subject: {subject}",
        "",
        "To mend it, change the filter at that line with the program that you made it with, and store it again. You are told",
        "of this version of the filter only this once.",
    ]
    sender = f"MAILER-DAEMON@{new.hostname}"
    return notice(sender, str(account), "Your mail filter failed", lines, new.message_id, new.seconds)
