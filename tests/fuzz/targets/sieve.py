"""Sieve: scripts that anybody who has an account may store, and mail that anybody may send, which scripts look at."""

from __future__ import annotations

from pathlib import Path

from mailnode.sieve.checker import compile_script
from mailnode.sieve.facts import EnvelopeFacts, SieveFacts
from mailnode.sieve.faults import ScriptRefused
from mailnode.sieve.interpreter import outcome, run_script
from mailnode.sieve.limits import ScriptLimits
from mailnode.sieve.parser import parse
from mailnode.sieve.writer import write
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
    """Look at a message in every way there is, and change it."""
    bits, content = variant(data)
    change = (b"", b'replace "x";', b'enclose :subject "y" "z";', b'convert "text/html" "text/plain" "";')[bits % 4]
    _run(REQUIRE.encode() + LOOKS_AT_ALL + change, content)


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
TARGETS = (
    Target("sieve-script", script, (b"keep;", b'if true { redirect "a@b.test"; }'), (ScriptRefused,), WORDS),
    Target("sieve-commands", commands, LINES[:40], (ScriptRefused,), WORDS, held=1024 * 1024),
    Target(
        "sieve-message",
        message,
        (
            b"\0" + MESSAGE,
            b"\1Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>x\r\n--b--\r\n",
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
)
