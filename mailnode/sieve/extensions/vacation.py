"""Answers while somebody is away (RFC 5230, RFC 6131)."""

from __future__ import annotations

import hashlib

from mailnode.errors import BadAddress
from mailnode.message.words import clean
from mailnode.message.written_text import given_entity, read_addresses
from mailnode.sieve.actions import RejectMessage, VacationReply
from mailnode.sieve.addresses import field_addresses
from mailnode.sieve.constructs import (
    ArgumentKind,
    Checking,
    ScriptCall,
    SieveArgument,
    SieveCommand,
    SieveExtension,
    SieveTag,
)
from mailnode.sieve.copies import check_copy, filed_copy
from mailnode.sieve.faults import ScriptFailed
from mailnode.sieve.run import ScriptRun
from mailnode.values.address import parse_address

DAY = 86_400
DEFAULT_DAYS = 7
MAX_DAYS = 366
MAX_REASON = 64 * 1024  # characters
MAX_SUBJECT = 500
_TO_US = ("to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc")
_OF_LISTS = ("list-id", "list-help", "list-subscribe", "list-unsubscribe", "list-post", "list-owner", "list-archive")
_ROBOTS = frozenset({"mailer-daemon", "listserv", "majordomo", "daemon", "root", "noreply", "no-reply", "donotreply"})
_BULK = frozenset({"bulk", "list", "junk"})


def _vacation(run: ScriptRun, call: ScriptCall) -> None:
    if run.vacations:
        raise ScriptFailed("vacation may be reached once")
    if any(isinstance(one, RejectMessage) for one in run.actions):
        raise ScriptFailed("vacation does not go together with reject")
    if not run.facts.is_delivery:
        raise ScriptFailed("vacation is for messages that are being delivered")
    run.vacations += 1
    reply = _reply(run, call)
    if why := unanswered(run, run.texts(call, ":addresses")):
        run.note(f"no answer: {why}")
        return
    run.note(f"answer {reply.to}, unless it was answered within {reply.period} s")
    run.act(reply)


def _reply(run: ScriptRun, call: ScriptCall) -> VacationReply:
    sender = run.text(call, ":from")
    if sender and not is_mailbox(sender):
        raise ScriptFailed(f'vacation: ":from" is no address: {sender[:80]}')
    subject = one_line(run.text(call, ":subject"))
    mime = call.has(":mime")
    reason = clean(run.text(call, "reason"))
    if len(reason) > MAX_REASON:
        raise ScriptFailed(f"the answer is longer than {MAX_REASON} characters")
    try:
        if mime:
            given_entity(reason)
    except ValueError as error:
        raise ScriptFailed(f"no answer can be made of what is said: {error}") from None
    return VacationReply(
        reason,
        period(call),
        run.text(call, ":handle") or made_handle(call),
        subject or default_subject(run),
        sender,
        run.facts.envelope.sender,
        mime,
        filed_copy(run, call),
    )


def one_line(text: str) -> str:
    """Return text as it may stand in a header field: no line ends, and not endless."""
    return " ".join(clean(text).split())[:MAX_SUBJECT]


def default_subject(run: ScriptRun) -> str:
    """RFC 5230 5.3: that of the message behind "Auto: "."""
    values = run.mail.values("subject")
    return one_line("Auto: " + values[0]) if values and values[0] else "Automated reply"


def period(call: ScriptCall) -> int:
    """Return for how many seconds nobody is answered again (RFC 5230 4.1, RFC 6131 3)."""
    if call.has(":seconds"):
        return min(call.number(":seconds"), MAX_DAYS * DAY)
    return min(max(call.number(":days", DEFAULT_DAYS), 1), MAX_DAYS) * DAY


def made_handle(call: ScriptCall) -> str:
    """RFC 5230 4.2: what is said alike is the same answer, before variables are expanded."""
    told = [repr(call.bound.get(name)) for name in (":subject", ":from", ":mime", "reason")]
    return hashlib.sha256("\0".join(told).encode("utf-8", "replace")).hexdigest()


def unanswered(run: ScriptRun, addresses: tuple[str, ...]) -> str:
    """Return why a message is not to be answered (RFC 5230 4.5 and 4.6, RFC 3834 2), "" for no reason."""
    sender = run.facts.envelope.sender
    local = sender.rpartition("@")[0].lower().partition("+")[0]
    mail = run.mail
    if not sender:
        return "nobody is named who could be answered"
    if local in _ROBOTS or local.startswith("owner-") or local.endswith(("-request", "-owner", "-bounces")):
        return "a program sent it"
    if any(mail.named(name) for name in _OF_LISTS):
        return "it came through a list"
    if any(value.partition(";")[0].strip().lower() != "no" for value in mail.values("auto-submitted")):
        return "it is an automatic message"
    if any(value.strip().lower() in _BULK for value in mail.values("precedence")):
        return "it was sent to many"
    known = (run.facts.envelope.recipient, *run.facts.own_addresses, *addresses)
    own = {key for one in known for key in _keys(one)}
    if _keys(sender)[0] in own:
        return "it came from the account itself"
    lines = [line for name in _TO_US for line in mail.named(name)]
    written = (f"{box}@{domain}" for box, domain in field_addresses(lines))
    if not any(own.intersection(_keys(one)) for one in written):
        return "none of the account's addresses stands in it"
    return ""


def _keys(written: str) -> tuple[str, ...]:
    """Return what an address is known by, and the one of which it has a detail."""
    try:
        address = parse_address(written.strip())
        return address.key, address.base().key
    except BadAddress:
        return (written.strip().lower(),)


def is_mailbox(text: str) -> bool:
    """Whether a text is an address, or several (RFC 5230 4.3)."""
    try:
        return not any(c < " " or c == "\x7f" for c in text) and bool(read_addresses(text))
    except BadAddress:
        return False


def _check(checking: Checking, call: ScriptCall) -> None:
    check_copy(checking, call)
    for text in call.constants(":from"):
        if not is_mailbox(text):
            checking.refuse(call, ":from", f'"{text[:80]}" is no address')
    for text in call.constants("reason") if call.has(":mime") else ():
        try:
            given_entity(text)
        except ValueError as error:
            checking.refuse(call, "reason", f"no answer can be made of this: {error}")


EXTENSIONS = (
    SieveExtension(
        "vacation",
        "RFC 5230",
        "vacation",
        commands=(
            SieveCommand(
                "vacation",
                (SieveArgument("reason", ArgumentKind.STRING),),
                (
                    SieveTag("days", ArgumentKind.NUMBER, group="period"),
                    SieveTag("subject", ArgumentKind.STRING),
                    SieveTag("from", ArgumentKind.STRING),
                    SieveTag("addresses", ArgumentKind.STRINGS),
                    SieveTag("mime"),
                    SieveTag("handle", ArgumentKind.STRING),
                ),
                run=_vacation,
                check=_check,
            ),
        ),
    ),
    SieveExtension(
        "vacation-seconds",
        "RFC 6131",
        ":seconds of vacation",
        tags=(SieveTag("seconds", ArgumentKind.NUMBER, group="period", on=("vacation",)),),
        implies=("vacation",),
    ),
)
