"""What programs that judge mail say, octet by octet, and what is none of it."""

import json

import pytest

from mailnode.policy.verdicts import check
from mailnode.policy.wire import clamd, rspamd
from mailnode.policy.wire.clamd import ClamdAnswer
from mailnode.policy.wire.fields import MAX_FIELD, MAX_FIELDS, field_line, shown, told, weightiest
from mailnode.policy.wire.spamd import MAX_HEADER, MAX_REPORT, SpamdAnswer, SpamdReply, request_head
from mailnode.policy.wire.unreadable import Unreadable
from mailnode.values.policy import Verdict


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"stream: OK\0", ClamdAnswer()),
        (b"1: stream: OK\0", ClamdAnswer()),
        (b"instream(127.0.0.1@53822): OK\0", ClamdAnswer()),
        (b"stream: Ours.Test.UNOFFICIAL FOUND\0", ClamdAnswer("Ours.Test.UNOFFICIAL")),
        (b"stream: a b FOUND\0stream: OK\0", ClamdAnswer("a b")),
        (b"INSTREAM size limit exceeded. ERROR\0", ClamdAnswer(error="INSTREAM size limit exceeded. ERROR")),
        (b"stream: Can't allocate memory ERROR\0", ClamdAnswer(error="stream: Can't allocate memory ERROR")),
    ],
)
def test_clamd_octet_by_octet(said, answer):
    whole = said.index(b"\0")
    assert [clamd.answer(said[:end]) for end in range(whole + 1)] == [None] * (whole + 1)
    assert clamd.answer(said) == answer


@pytest.mark.parametrize(
    "said", [b"\0", b"stream: maybe\0", b"\xff\xfe\0", b"x" * 5000, b"x" * 5000 + b"\0", b"PONG\0"]
)
def test_what_clamd_never_says(said):
    with pytest.raises(Unreadable):
        clamd.answer(said)


def test_what_clamd_is_sent():
    assert clamd.COMMAND + clamd.piece(b"abc") + clamd.END == b"zINSTREAM\0\0\0\0\3abc\0\0\0\0"


REPORT = b"""pts rule name              description
---- ---------------------- --------------------------------------------------
 4.5 OURS                   says cheap
-0.1 MILD                   says 7.5 MILD_AGAIN
 *  1.3 STARRED a line of another form
nan NOT
"""
RULES = (("OURS", 4.5), ("MILD", -0.1), ("STARRED", 1.3))


def spamd_says(report=REPORT, spam=b"True ; 5.8 / 5.0", first=b"SPAMD/1.1 0 EX_OK"):
    return first + b"\r\nContent-length: %d\r\nSpam: %s\r\n\r\n" % (len(report), spam) + report


def read(said, step, ended=True):
    reply = SpamdReply()
    for at in range(0, len(said), step):
        assert reply.answer(False) is None
        reply.receive(said[at : at + step])
    return reply.answer(ended)


@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_spamd_octet_by_octet(step):
    assert read(spamd_says(), step, False) == SpamdAnswer(5.8, 5.0, RULES)
    assert read(spamd_says(b"", b"False ; -1.0 / 5"), step, False) == SpamdAnswer(-1.0, 5.0, ())
    assert read(b"SPAMD/1.1 0 EX_OK\r\nSpam: yes; 7/5\r\n\r\nno length", step) == SpamdAnswer(7.0, 5.0, ())


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 5.8",
        b"SPAMD/1.1 0 EX_OK\r\n\r\n",
        spamd_says(first=b"SPAMD/1.1 76 Bad header line: (EOF during headers)"),
        spamd_says(first=b"SPAMD/1.1 76 EX_PROTOCOL"),
        spamd_says(spam=b"True ; inf / 5.0"),
        spamd_says(spam=b"True ; " + b"9" * 400 + b" / 5.0"),
        spamd_says()[:-1],
        spamd_says(REPORT * 1000),
        spamd_says().replace(b"length: ", b"length: -"),
        spamd_says().replace(b"length: ", b"length: \xb2"),
        b"x" * (MAX_HEADER + 1),
        b"SPAMD/1.1 0 EX_OK\r\n\r\n" + b"x" * (MAX_REPORT + 1),
    ],
)
def test_what_spamd_never_says(said):
    for step in (1000, 1_000_000):
        with pytest.raises(Unreadable):
            read(said, step)


def test_what_spamd_is_sent():
    assert request_head(12, "") == b"REPORT SPAMC/1.5\r\nContent-length: 12\r\n\r\n"
    assert b"\r\nUser: joe\r\n\r\n" in request_head(12, "joe")


def said(**fields):
    return json.dumps({"action": "add header", "score": 9.5, **fields}).encode()


def test_rspamd():
    symbols = {"MILD": {"score": 2.5}, "OURS": {"name": "OURS", "score": 7}, "NONE": {"score": 0}, "ODD": 3}
    milter = {
        "add_headers": {
            "X-Late": {"value": "two", "order": 2},
            "X-Early": ["a", {"value": "b", "order": 1}],
            "X-Odd": 3,
        }
    }
    answer = rspamd.answer(
        said(required_score=15.0, symbols=symbols, milter=milter, messages={"smtp_message": "Try\r\nlater"})
    )
    assert (answer.action, answer.score, answer.needed, answer.text) == ("add header", 9.5, 15.0, "Try later")
    assert answer.symbols == (("MILD", 2.5), ("OURS", 7.0))
    assert answer.headers == (b"X-Early: a\r\n", b"X-Early: b\r\n", b"X-Late: two\r\n")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no",
        b"[" * 100_000,
        b"[]",
        b"{}",
        b"\xff",
        b'{"action": "reject"}',
        b'{"action": 1, "score": 1}',
        b'{"action": "reject", "score": NaN}',
        b'{"action": "reject", "score": 1e999}',
        b'{"action": "reject", "score": true}',
        b'{"action": "reject", "score": %s}' % (b"9" * 4000),
        b'{"action": "reject", "score": %s}' % (b"9" * 10_000),
    ],
)
def test_what_rspamd_never_says(content):
    with pytest.raises(Unreadable):
        rspamd.answer(content)


@pytest.mark.parametrize("odd", [None, [], "x", 5, {"a": []}, [[["x"]]], {"smtp_message": 5, "add_headers": [1]}])
def test_what_is_odd_in_an_answer_is_left_out(odd):
    answer = rspamd.answer(said(symbols=odd, milter=odd, messages=odd, required_score=odd))
    assert (answer.symbols, answer.headers, answer.text) == ((), (), "")


def test_no_more_fields_are_taken_than_fit():
    answer = rspamd.answer(said(milter={"add_headers": {"X": ["y"] * 1000}}))
    assert len(answer.headers) == MAX_FIELDS


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        (b"X-Spam", b"Yes", b"X-Spam: Yes\r\n"),
        (b"X", b"", b"X: \r\n"),
        (b"X", b" a\n\tb\r\n c \r\n", b"X: a\r\n\tb\r\n c\r\n"),
        (b"X", b"a\n \n b", b"X: a\r\n b\r\n"),
        (b"X", b"a\nSubject: b", None),
        (b"X", b"a\rb", None),
        (b"X", b"a\0b", None),
        (b"X Y", b"a", None),
        (b"X:", b"a", None),
        (b"", b"a", None),
        (b"X", b"a" * 950, None),
        (b"X", b"a\n b" * MAX_FIELD, None),
        (b"Received", b"a", None),
        (b"x-MAILNODE-reason", b"not junk", None),
    ],
)
def test_fields(name, value, line):
    assert field_line(name, value) == line
    if line is not None:
        check(Verdict(headers=(line,)))


def test_words():
    assert shown("a\r\nb\u00fc" + "c" * 1000) == "a b " + "c" * 196
    assert told("a\r\nb\u00fc ") == b"a??b\xc3\xbc"
    assert weightiest([("A", 1.0), ("B", -2.5), ("C", 0.0)]) == ": B -2.5, A +1.0"
    assert weightiest([]) == ""
