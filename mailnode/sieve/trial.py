"""A script tried on a message in a file: what it did and what is to be done, in words and as plain data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import tzinfo
from typing import TypedDict

from mailnode.message.addresses import display_text, mailboxes, parse_addresses
from mailnode.message.headers import first
from mailnode.message.lineends import to_crlf
from mailnode.sieve.actions import (
    DiscardMessage,
    EditedContent,
    FileMessage,
    KeepMessage,
    NotifySomebody,
    RedirectMessage,
    RejectMessage,
    RememberDuplicate,
    SieveAction,
    VacationReply,
)
from mailnode.sieve.checker import compile_script
from mailnode.sieve.facts import EnvelopeFacts, SieveFacts
from mailnode.sieve.faults import ScriptRefused
from mailnode.sieve.interpreter import outcome, run_script
from mailnode.sieve.questions import IncludedScript, MailboxPresent, Question, SieveAnswer
from mailnode.values.mailbox_name import mailbox_name


class ToldStep(TypedDict):
    """One thing a script did."""

    line: int
    text: str


class TriedScript(TypedDict):
    """What came of a trial; ``failure`` is "" when the script ran to its end."""

    sender: str
    recipient: str
    steps: list[ToldStep]
    actions: list[dict[str, object]]
    words: list[str]
    failure: str
    log: list[str]
    header: str  # as the last action that files or sends has it


def trial_account(
    mailboxes: Iterable[str], source: Callable[[IncludedScript], bytes | None]
) -> Callable[[Question], SieveAnswer]:
    """Return what answers the questions of a trial: there are these mailboxes and INBOX, and scripts to include; everything else
    is answered with no.

    :param source: returns a script, None where there is none. :raises BadMailboxName: none can have one of these names.
    """
    names = {"INBOX", *map(mailbox_name, mailboxes)}

    def answer(question: Question) -> SieveAnswer:
        if isinstance(question, MailboxPresent):
            return question.name in names
        if isinstance(question, IncludedScript):
            found = source(question)
            try:
                return None if found is None else compile_script(found)
            except ScriptRefused as refused:
                return str(refused.mistakes[0])
        return None

    return answer


def try_script(
    source: bytes,
    message: bytes,
    now: float,
    zone: tzinfo,
    sender: str | None = None,
    recipient: str | None = None,
    answer: Callable[[Question], SieveAnswer] = lambda question: None,
) -> TriedScript:
    """Run a script on a message.

    :param now: UTC seconds. :param sender: and ``recipient``: the envelope; None for what the message says of it.
    :param answer: knows about the account. :raises ScriptRefused: the script cannot be compiled.
    """
    script = compile_script(source)
    data = to_crlf(message)
    sender = _address(data, b"return-path", b"from") if sender is None else sender
    recipient = _address(data, b"delivered-to", b"to") if recipient is None else recipient
    environment = {"phase": "during", "location": "MDA", "name": "mailnode"}
    facts = SieveFacts(data, EnvelopeFacts(sender, recipient), now, zone, environment)
    found = outcome(run_script(script, facts, trace=True), answer)
    return {
        "sender": sender,
        "recipient": recipient,
        "steps": [{"line": step.line, "text": step.text} for step in found.trace],
        "actions": [_as_data(action) for action in found.actions],
        "words": [in_words(action) for action in found.actions],
        "failure": str(found.failure or ""),
        "log": list(found.logged),
        "header": _header(data, found.actions),
    }


def _address(data: bytes, *names: bytes) -> str:
    """The first address of the first of these fields; "" without one."""
    for name in names:
        value = first(data, name)
        if value is not None:
            return next((display_text(box) for box in mailboxes(parse_addresses(value, 1))), "")
    return ""


def _as_data(action: SieveAction) -> dict[str, object]:
    told: dict[str, object] = {"action": _NAMES[type(action)]}
    for name, value in asdict(action).items():
        if name == "content":
            told["edited"] = value is not None
        else:
            told[name] = list(value) if isinstance(value, tuple) else value
    return told


_NAMES: dict[type, str] = {
    KeepMessage: "keep",
    FileMessage: "fileinto",
    RedirectMessage: "redirect",
    DiscardMessage: "discard",
    RejectMessage: "reject",
    VacationReply: "vacation",
    NotifySomebody: "notify",
    RememberDuplicate: "remember",
}


def _header(data: bytes, actions: tuple[SieveAction, ...]) -> str:
    edited = [one for action in actions if isinstance(one := getattr(action, "content", None), EditedContent)]
    block = edited[-1].header if edited else None
    if block is None:
        block = data.partition(b"\r\n\r\n")[0] + b"\r\n"
    return block.decode("utf-8", "replace").replace("\r\n", "\n").rstrip("\n") + "\n"


def in_words(action: SieveAction) -> str:
    """Return what is to be done, for a person."""
    if isinstance(action, KeepMessage):
        kept = "kept, because nothing else was said" if action.implicit else "kept"
        return kept + _with_flags(action.flags)
    if isinstance(action, FileMessage):
        return f'filed into "{action.mailbox}"' + _with_flags(action.flags)
    if isinstance(action, RedirectMessage):
        return f"sent on to {'the members of ' if action.from_list else ''}{action.address}"
    if isinstance(action, DiscardMessage):
        return "not kept (discard)"
    if isinstance(action, RejectMessage):
        return f"refused: {action.reason}"
    if isinstance(action, VacationReply):
        return f"answered to {action.to}, at most once in {action.period} seconds: {action.subject}"
    if isinstance(action, NotifySomebody):
        return f"told to {', '.join(action.recipients)}: {action.subject}"
    return f"remembered for {action.seconds} seconds as {action.id}"


def _with_flags(flags: tuple[str, ...]) -> str:
    return f", with {' '.join(flags)}" if flags else ""
