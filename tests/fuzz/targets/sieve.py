"""Sieve: scripts that anybody who has an account may store, and mail that anybody may send, which scripts look at."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from mailnode.delivery.sieve_mail import (
    FilteredMail,
    NewMail,
    failure_mail,
    notification_mail,
    refusal_mail,
    refusal_reply,
    vacation_mail,
    was_redirected,
)
from mailnode.message.headers import field_names, header_end
from mailnode.sieve.actions import KeepMessage, NotifySomebody, RejectMessage, VacationReply
from mailnode.sieve.checker import compile_script
from mailnode.sieve.facts import EnvelopeFacts, SieveFacts
from mailnode.sieve.faults import ScriptRefused, ValueRefused
from mailnode.sieve.interpreter import outcome, run_script
from mailnode.sieve.limits import ScriptLimits
from mailnode.sieve.mailto import parse_mailto
from mailnode.sieve.parser import parse
from mailnode.sieve.rules import (
    AwayNotice,
    ChangedByHand,
    MailRule,
    MailRules,
    RuleCondition,
    RulesRefused,
    read_condition,
    read_rules,
    write_rules,
)
from mailnode.sieve.sequence import ScriptToRun, edited, run_sequence
from mailnode.sieve.writer import write
from mailnode.values.address import Address
from tests.fuzz.target import Target, variant

SCRIPTS = Path(__file__).parents[2] / "sieve/chosen_scripts.txt"
NAMES = """fileinto mime foreverypart extracttext variables regex reject vacation enotify relational copy imap4flags mailbox
editheader body date index subaddress envelope include duplicate replace enclose convert extlists"""
REQUIRE = "require [" + ", ".join(f'"{name}"' for name in NAMES.split()) + "];\n"
MESSAGE = b"From: a@b.test\r\nTo: c@d.test\r\nSubject: x y\r\n\r\nbody\r\n"
LIMITS = ScriptLimits(steps=5000)
LOOKS_AT_ALL = b"""
if anyof (header :matches ["subject", "received", "content-type"] ["*=*", "?*"], address :detail :contains ["to", "from"] "x",
  date :originalzone :matches "date" "iso8601" "*", body :content "" :contains "x", exists "x") { fileinto "a${1}"; }
foreverypart { if header :mime :anychild :param ["charset", "filename"] :matches ["content-type", "content-disposition"] "*" {
  extracttext :first 20 "t"; set :upper :quotewildcard "u" "${t}"; } }
if header :regex "subject" "(a|b)*c" { addheader "X-S" "${1}"; deleteheader :matches "subject" "*x*"; }
"""
CHANGES = (
    b"",
    b'replace "x";',
    b'enclose :subject "y" "z";',
    b'convert "text/html" "text/plain" "";',
    b'foreverypart { if header :mime :contains "content-type" "a" { replace "x"; } foreverypart { extracttext "t"; } }',
    b'foreverypart { foreverypart { enclose :headers "from" "x"; replace :mime "y"; convert "a/b" "text/plain" ""; } }',
)


def _run(script: bytes, message: bytes) -> None:
    facts = SieveFacts(message, EnvelopeFacts("a@b.test", "c@d.test"), 1_700_000_000)
    found = outcome(run_script(compile_script(script), facts, LIMITS), lambda question: None)
    assert found.actions


def script(data: bytes) -> None:
    """Compile octets and run what can be run; what is written of the tree is read as the same."""
    _run(data, MESSAGE)
    nodes = parse(data.decode("utf-8").removeprefix("\ufeff"))
    assert write(parse(write(nodes))) == write(nodes)


def commands(data: bytes) -> None:
    """As :func:`script`, behind all that can be required."""
    _run(REQUIRE.encode() + data, MESSAGE)


def message(data: bytes) -> None:
    """Look at a message in every way there is, and change it; and have another script change what came of that."""
    bits, content = variant(data)
    _run(REQUIRE.encode() + LOOKS_AT_ALL + CHANGES[bits % len(CHANGES)], content)
    sources = CHANGES[bits % len(CHANGES)], b'addheader "X-Second" "1"; keep;'
    scripts = [ScriptToRun("s", "d", compile_script(REQUIRE.encode() + source)) for source in sources]
    facts = SieveFacts(content, EnvelopeFacts("a@b.test", "c@d.test"), 1_700_000_000)
    found = outcome(run_sequence(scripts, facts, LIMITS), lambda question: None)
    kept = found.actions[-1]
    assert isinstance(kept, KeepMessage)
    assert found.failed is not None or edited(content, kept.content).startswith(b"X-Second: 1\r\n")


def rules(data: bytes) -> None:
    """Read rules of a script; what is written of them is the script, and conditions in words are read as themselves."""
    found = read_rules(data)
    for rule in found.rules:
        for condition in rule.conditions:
            assert read_condition(condition.words()) == condition, condition
    text = data.decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n")
    assert write_rules(found).decode("utf-8").replace("\r\n", "\n") == text


def sent(data: bytes) -> None:
    """Write mail about a message whose header is these octets, with them as what a script says; nothing of them becomes a field."""
    said = data.decode("utf-8", "replace")
    about = FilteredMail(data, Address("a", "b.test"), Address("c", "d.test"))
    new = NewMail("<1@d.test>", 1_700_000_000.0, "d.test")
    was_redirected(data, about.recipient)
    made = [
        failure_mail(about.recipient, said, said, about, new),
        refusal_mail(RejectMessage(said, False), about, new, data),
        refusal_mail(RejectMessage(said, True), about, new, None),
    ]
    for mime in (False, True):
        made.append(vacation_mail(VacationReply(said, 1, said, said, said, mime=mime), about, new, True))
    for content in filter(None, made):
        names = field_names(content[: header_end(content)])
        assert MADE.issuperset(name for name in names if not name.startswith(b"content-")), names
        assert len(set(names)) == len(names), names
    reply = refusal_reply(RejectMessage(said, True))
    assert reply is not None and all(line.isascii() and line.isprintable() for line in reply.lines)


def uri(data: bytes) -> None:
    """Read a URI of mail, and write the notification it asks for."""
    text = data.decode("utf-8", "replace")
    told = parse_mailto(text)
    about = FilteredMail(MESSAGE, Address("a", "b.test"), Address("c", "d.test"))
    action = NotifySomebody(text, told.recipients, told.subject, told.body, text)
    content = notification_mail(action, about, NewMail("<1@d.test>", 0.0, "d.test"), about.recipient, True)
    names = field_names(content[: header_end(content)])
    assert names.count(b"from") == names.count(b"auto-submitted") == names.count(b"content-type") == 1, names
    assert not {b"bcc", b"sender", b"received", b"resent-to"}.intersection(names), names


MADE = frozenset(
    b"from to subject date message-id in-reply-to references auto-submitted mime-version".split()
)  # fields that mail of ours has, beside those of its content
LINES = tuple(line.encode() for line in SCRIPTS.read_text(encoding="utf-8").splitlines())
WORDS = (
    b"if ",
    b"not ",
    b"anyof (",
    b")",
    b"{",
    b"}",
    b";",
    b'"',
    b"[",
    b"]",
    b",",
    b":is ",
    b"text:\r\n",
    b"\r\n.\r\n",
)
WORDS += (b"header ", b":matches ", b"keep", b"/*", b"*/", b"#", b"10K", b"${1}", b"${hex:41}", b"\\")
RULES = write_rules(
    MailRules(
        (
            MailRule(
                "a",
                (RuleCondition("from", "a", exact=True), RuleCondition("over", octets=1024)),
                any_of=True,
                stop=True,
            ),
            MailRule("b", (RuleCondition("list", "a"),), folder="a", flags=("a",), forward="a@b.test"),
            MailRule("c", forward="a@b.test", keeps_copy=False),
        ),
        AwayNotice("a\na", "a", 3, date(2026, 1, 1), date(2026, 1, 2)),
    )
)
TARGETS = (
    Target("sieve-script", script, (b"keep;", b'if true { redirect "a@b.test"; }'), (ScriptRefused,), WORDS),
    Target("sieve-commands", commands, LINES[:40], (ScriptRefused,), WORDS, held=1024 * 1024),
    Target(
        "sieve-rules",
        rules,
        tuple(RULES.replace(b'"a"', one) for one in (b'"a"', b'"\\\\"', b'"\xc3\xa4\r\n# Rule: x"')),
        (ChangedByHand, RulesRefused),
        (
            *WORDS,
            b"# Rule: ",
            b":contains ",
            b"addflag ",
            b"fileinto :create ",
            b":copy ",
            b"discard;",
            b"stop;",
            b"\r\n\r\n",
        ),
    ),
    Target(
        "sieve-message",
        message,
        (
            b"\0" + MESSAGE,
            b"\1Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>x\r\n--b--\r\n",
            b"\4Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\nContent-Type: a/b\r\n\r\ny\r\n--b--\r\n",
            b"\5Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: a/b\r\n\r\ny\r\n--b--\r\n",
            b"\3Content-Type: text/html; charset=x\r\nDate: Mon, 1 Jan 2024 00:00:00 +0100\r\n\r\nx",
        ),
        words=(
            b"Subject:",
            b"Content-Type:",
            b"multipart/mixed; boundary=b",
            b"--b",
            b"\r\n\r\n",
            b"=?utf-8?q?",
            b"?=",
        ),
        held=1024 * 1024,
    ),
    Target(
        "sieve-sent",
        sent,
        (
            MESSAGE,
            b"Subject: =?utf-8?q?a=0D=0ABcc:?= b\r\nMessage-ID: <a@b>\r\nReferences: <c@d> <e@f>\r\nIn-Reply-To: <g@h>\r\n\r\n",
            b"Original-Recipient: rfc822; a@b.test\r\nX-Sieve-Redirected-From: c@d.test\r\nDelivered-To: x@y\r\n\r\n",
            b"Content-Type: text/html; charset=utf-8\r\nSubject: x\r\n\r\n<p>\xc3\xa4",
            b'"A \xc3\xa4" <a@b.test>, b@c.test',
        ),
        words=(b"Subject:", b"Message-ID: <", b"Content-Type: ", b"\r\nBcc: ", b"\r\n\r\n", b"=?utf-8?q?", b"\xc2\x85"),
        held=2 * 1024 * 1024,
    ),
    Target(
        "sieve-uri",
        uri,
        (
            b"mailto:a@b.test",
            b"mailto:a@b.test,c@d.test?to=e@f.test&cc=g@h.test&bcc=i@j.test&subject=x%0D%0ABcc:&body=y&x-a=z&importance=high",
            b"MAILTO:%22a%20b%22@c.test?from=x@y.test&received=z&references=%3Ca@b%3E",
        ),
        (ValueRefused,),
        (b"mailto:", b"?", b"&", b"=", b"%0D%0A", b"%00", b"%C3%A4", b"subject=", b"to=", b"x-a=", b"@b.test"),
    ),
)
