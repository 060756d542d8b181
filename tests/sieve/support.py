"""A script and a message in a few lines."""

from __future__ import annotations

import os

from mailnode.sieve.actions import EditedContent, FileMessage, KeepMessage, SieveAction
from mailnode.sieve.checker import compile_script
from mailnode.sieve.facts import EnvelopeFacts, SieveFacts
from mailnode.sieve.faults import ScriptRefused
from mailnode.sieve.interpreter import SieveOutcome, outcome, run_script
from mailnode.sieve.limits import ScriptLimits
from mailnode.sieve.questions import Question, SieveAnswer

STRICT = bool(os.environ.get("MAILNODE_TESTS_STRICT"))  # every program must be there
NOW = 1_796_026_530.0  # Mon, 30 Nov 2026 08:15:30 UTC
MESSAGE = (
    "From: Bob <bob+work@Example.com>\r\n"
    "To: me@example.com, Team: a@x.example;\r\n"
    "Subject: Hello World\r\n"
    "Date: Mon, 30 Nov 2026 09:15:30 +0100\r\n"
    "Message-ID: <1@example.com>\r\n"
    "X-Multi: one\r\nX-Multi: two\r\nX-Empty:\r\n"
    "\r\nbody text\r\n"
)

PARTS = (
    "From: a@example.com\r\nTo: me@example.com\r\nSubject: parts\r\nMIME-Version: 1.0\r\n"
    'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello\r\n'
    "--b\r\nContent-Type: text/html\r\n\r\n<p>rich <b>text</b></p>\r\n--b\r\n"
    'Content-Type: application/pdf\r\nContent-Disposition: attachment; filename="x.pdf"\r\n\r\nPDF\r\n--b--\r\n'
)


def run(
    script: str,
    message: str | bytes = MESSAGE,
    answers: dict[Question, SieveAnswer] | None = None,
    limits: ScriptLimits | None = None,
    sender: str = "bob@example.com",
    recipient: str = "me@example.com",
    parts: dict[str, str] | None = None,
    **facts: object,
) -> SieveOutcome:
    """Return what a script wants done with a message. What is asked is answered from ``answers``, else with None."""
    data = message if isinstance(message, bytes) else message.encode()
    told = SieveFacts(data, EnvelopeFacts(sender, recipient, parts or {}), NOW, **facts)  # type: ignore[arg-type]
    compiled = compile_script(script.encode())
    return outcome(run_script(compiled, told, limits), lambda question: (answers or {}).get(question))


def actions(script: str, message: str | bytes = MESSAGE, **facts: object) -> tuple[SieveAction, ...]:
    """Return the actions of a script that does not fail."""
    found = run(script, message, **facts)  # type: ignore[arg-type]
    assert found.failure is None, found.failure
    return found.actions


def content(script: str, message: str | bytes = MESSAGE, **facts: object) -> EditedContent:
    """Return the message as the last action has it."""
    edited = getattr(actions(script, message, **facts)[-1], "content", None)
    assert isinstance(edited, EditedContent)
    return edited


def filed(script: str, message: str | bytes = MESSAGE, **facts: object) -> list[str]:
    """Return the mailboxes a script files into; "(keep)" for the implicit one."""
    found = []
    for action in actions(script, message, **facts):
        if isinstance(action, FileMessage):
            found.append(action.mailbox)
        elif isinstance(action, KeepMessage):
            found.append("(keep)" if action.implicit else "INBOX")
    return found


def holds(test: str, message: str | bytes = MESSAGE, require: str = "", **facts: object) -> bool:
    """Return what a test says. ``require``: extensions, with spaces between."""
    names = ", ".join(f'"{name}"' for name in ["fileinto", *require.split()])
    return filed(f'require [{names}];\nif {test} {{ fileinto "yes"; }}', message, **facts) == ["yes"]


def mistakes(script: str | bytes) -> list[str]:
    """Return what is wrong with a script, "line:column text" each; nothing where it compiles."""
    try:
        compile_script(script.encode() if isinstance(script, str) else script)
    except ScriptRefused as refused:
        return [f"{one.line}:{one.column} {one.text}" for one in refused.mistakes]
    return []
