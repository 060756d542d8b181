"""What programs beside the server answer to the policies that ask them: milters, rspamd, clamd, spamd."""

from __future__ import annotations

import json
import re
from typing import Any

from program_fakes import ALICE, ORIGIN, SENDER, FakeContext, FakeLink, FakePrograms, at_end, judged
from twisted.internet.defer import Deferred

from mailnode.interfaces.programs import ProgramFailed
from mailnode.policy import clamav, milter, rspamd, spamassassin
from mailnode.policy.options import read
from mailnode.policy.wire import milter as packets
from mailnode.values.envelope import Recipient
from mailnode.values.policy import PolicyRequest, Verdict
from tests.fuzz.target import Target, pieces, variant

FIELD = re.compile(rb"[!-9;-~]+:(?: [^\r\n\0]*)?\r\n(?:[ \t][^\r\n\0]*\r\n)*")
STAGES = ("connect", "helo", "mail", "rcpt", "data")


def _checked(outcome: list[Any]) -> None:
    """What came of a question is a verdict that can be said, or a failure; no question stays open."""
    assert outcome
    if not isinstance(outcome[0], Verdict):
        assert outcome[0].check(ProgramFailed), outcome[0].getTraceback()
        return
    verdict = outcome[0]
    assert verdict.text.isascii() and (verdict.text.isprintable() or not verdict.text)
    assert verdict.reason.isascii() and (verdict.reason.isprintable() or not verdict.reason)
    assert all(FIELD.fullmatch(line) for line in verdict.headers), verdict.headers


def _answered(module: Any, options: dict[str, object], answer: bytes) -> None:
    def hears(link: FakeLink) -> None:
        if not link.ended:
            for piece in pieces(answer):
                link.say(piece)
            link.end()

    programs = FakePrograms(hears)
    policy = module.make(read(module.OPTIONS, options), FakeContext(programs))
    outcome: list[Any] = []
    judged(policy, at_end()).addBoth(outcome.append)
    programs.clock.advance(100)
    _checked(outcome)


def ask_rspamd(data: bytes) -> None:
    """Answer the policy of rspamd over HTTP; without the first bit, with a header that is in order."""
    bits, content = variant(data)
    head = b"" if bits & 1 else b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content)
    _answered(rspamd, {}, head + content)


def ask_clamd(data: bytes) -> None:
    """Answer the policy of clamd."""
    _answered(clamav, {"endpoint": "unix:/run/clamd"}, data)


def ask_spamd(data: bytes) -> None:
    """Answer the policy of spamd."""
    _answered(spamassassin, {}, data)


def ask_milter(data: bytes) -> None:
    """Be a milter for the session of a client: each write is answered by some of what is there."""
    bits, stream = variant(data)
    left = [stream]

    def hears(link: FakeLink) -> None:
        step = 1 + bits % 50
        link.say(left[0][:step] if bits & 64 else left[0])
        left[0] = left[0][step:] if bits & 64 else b""

    programs = FakePrograms(hears)
    options = {"endpoint": "unix:/run/milter", "not_done": ["fields", "body"] if bits & 128 else []}
    policy = milter.make(read(milter.OPTIONS, options), FakeContext(programs))
    requests = [PolicyRequest(stage, ORIGIN, SENDER, Recipient(ALICE) if stage == "rcpt" else None) for stage in STAGES]
    for request in (*requests, at_end()):
        outcome: list[Any] = []
        judged(policy, request).addBoth(outcome.append)
        programs.clock.advance(10)
        _checked(outcome)
    Deferred.fromCoroutine(_ended(policy))
    assert all(link.aborted or link.closed or link.ended for link in programs.links)


async def _ended(policy: Any) -> None:
    policy.session_ended(ORIGIN.session)


def _reply(kind: bytes, *texts: bytes) -> bytes:
    return packets.packet(kind, *texts)


AGREED = packets.octets(packets.NEGOTIATE, b"".join(number.to_bytes(4, "big") for number in (6, 0x21, 0)))
GO_ON = packets.octets(packets.CONTINUE)
RSPAMD = {
    "action": "add header",
    "score": 7.5,
    "required_score": 15,
    "symbols": {"BAYES_SPAM": {"score": 5.1, "options": ["x"]}, "B": {"score": -1}},
    "messages": {"smtp_message": "no, thanks"},
    "milter": {"add_headers": {"X-Spam": {"value": "Yes\r\n more", "order": 0}, "X-Y": ["a", {"value": "b"}]}},
}
SPAMD = b"SPAMD/1.1 0 EX_OK\r\nContent-length: 40\r\nSpam: True ; 15.3 / 5.0\r\n\r\n 5.0 BAYES_99  Bayes\r\n-1.0 ALL_TRUSTED x"

TARGETS = (
    Target(
        "rspamd",
        ask_rspamd,
        (
            b"\0" + json.dumps(RSPAMD).encode(),
            b'\1HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"a":\r\n3\r\n 1}\r\n0\r\n\r\n',
            b"\1HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 500 x\r\n\r\n",
        ),
        words=(
            b'"',
            b"{",
            b"}",
            b"[",
            b"]",
            b":",
            b",",
            b"1e309",
            b"NaN",
            b"-1",
            b"null",
            b"true",
            b"\\u0000",
            b"\\ud800",
            b"\r\n",
            b"0\r\n\r\n",
            b"[" * 500,
        ),
    ),
    Target(
        "clamd",
        ask_clamd,
        (
            b"stream: OK\0",
            b"1: stream: Eicar-Test-Signature FOUND\0",
            b"INSTREAM size limit exceeded. ERROR\0",
            b"instream(127.0.0.1@3310): OK\0",
        ),
        words=(b"\0", b" FOUND", b" ERROR", b": ", b"OK", b"instream(", b")"),
    ),
    Target(
        "spamd",
        ask_spamd,
        (SPAMD, SPAMD.replace(b"Content-length: 40\r\n", b""), b"SPAMD/1.1 76 Bad header line\r\n\r\n"),
        words=(b"\r\n", b"\r\n\r\n", b"Content-length: ", b"Spam: ", b" ; ", b" / ", b"-99.5", b" RULE_A "),
    ),
    Target(
        "milter",
        ask_milter,
        (
            b"\0" + AGREED + GO_ON * 12,
            b"\0"
            + AGREED
            + GO_ON * 9
            + _reply(b"h", b"X-A", b"b")
            + b"\0\0\0\r"
            + b"i"
            + bytes(4)
            + b"X-B\0c\n d\0"
            + _reply(b"q", b"odd")
            + GO_ON,
            b"\0" + AGREED + GO_ON + _reply(b"y", b"550 5.7.1 no %% thanks"),
            b"\0" + AGREED + GO_ON * 5 + packets.octets(b"r"),
            b"\175" + AGREED + packets.octets(b"p") * 5 + packets.octets(b"d"),
            b"\300"
            + AGREED
            + GO_ON * 9
            + _reply(b"m", b"\0\0\0\1Subject", b"x")
            + _reply(b"b", b"body")
            + packets.octets(b"a"),
        ),
        words=(
            GO_ON,
            AGREED,
            b"\0\0\0",
            b"\0",
            b"\xff\xff",
            _reply(b"h", b"X", b"y"),
            _reply(b"y", b"450 x"),
            packets.octets(b"s"),
            packets.octets(b"t"),
        ),
    ),
)
