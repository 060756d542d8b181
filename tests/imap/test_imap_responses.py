"""The lines a server says, octet for octet, and the capability list."""

import re

import pytest

from mailnode.imap.capabilities import EXTENSIONS, capabilities
from mailnode.imap.commands import enable, id, namespace, status
from mailnode.imap.commands.enable import ENABLES
from mailnode.imap.commands.table import TABLE
from mailnode.imap.messages import search_returns
from mailnode.imap.messages.search_returns import Returns, SearchResult, esearch_response, read_returns, search_response
from mailnode.imap.wire import responses as r
from mailnode.imap.wire.lexer import Lexer


# IMAP trap 7: a space behind the plus sign, text behind a code
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (r.ok(b"a", "Done"), b"a OK Done\r\n"),
        (r.ok(b"*", "", b"HIGHESTMODSEQ 5"), b"* OK [HIGHESTMODSEQ 5] Done\r\n"),
        (r.no(b"a.b", "No such mailbox", b"TRYCREATE"), b"a.b NO [TRYCREATE] No such mailbox\r\n"),
        (r.status(b"*", b"BAD", "Invalid tag"), b"* BAD Invalid tag\r\n"),
        (r.bye("Closing"), b"* BYE Closing\r\n"),
        (r.continuation(), b"+ OK\r\n"),
        (r.continuation(b""), b"+ \r\n"),
        (r.untagged(b"%d" % 3, b"EXISTS"), b"* 3 EXISTS\r\n"),
        (r.untagged(r.capability(["IMAP4rev1", "IDLE"])), b"* CAPABILITY IMAP4rev1 IDLE\r\n"),
        (enable.response(["CONDSTORE"]), b"* ENABLED CONDSTORE\r\n"),
        (enable.response([]), b"* ENABLED\r\n"),
        (id.response({"name": "mailnode"}), b'* ID ("name" "mailnode")\r\n'),
        (id.response({}), b"* ID NIL\r\n"),
        (namespace.response(), b'* NAMESPACE (("" "/")) (("Other Users/" "/")) (("Shared Folders/" "/"))\r\n'),
        (
            status.response("Entwürfe", [("UNSEEN", b"1"), ("MESSAGES", b"2")]),
            b"* STATUS Entw&APw-rfe (UNSEEN 1 MESSAGES 2)\r\n",
        ),
        (status.response("a b", []), b'* STATUS "a b" ()\r\n'),
        (b"".join(search_response(SearchResult([]))), b"* SEARCH\r\n"),
        (b"".join(search_response(SearchResult([1, 4]))), b"* SEARCH 2 5\r\n"),
        (b"".join(search_response(SearchResult([4, 1], None, 917), b"SORT")), b"* SORT 5 2 (MODSEQ 917)\r\n"),
    ],
)
def test_lines(line, expected):
    assert line == expected


@pytest.mark.parametrize(
    ("options", "found", "expected"),
    [
        (b"ALL", [1, 2, 3, 7], b" UID ALL 1:3,7 MODSEQ 9"),
        (b"ALL", [], b" UID"),
        (b"", [3], b" UID ALL 3 MODSEQ 9"),
        (b"MIN MAX COUNT", [4, 9], b" UID MIN 4 MAX 9 COUNT 2 MODSEQ 9"),
        (b"MIN MAX COUNT ALL", [], b" UID COUNT 0"),
        # as SORT found them (RFC 5267 3.1 and 3.2): in their order, and only what ascends is a range
        (b"MIN MAX ALL", [23765, 23764, 7, 8, 9, 2], b" UID MIN 23765 MAX 2 ALL 23765,23764,7:9,2 MODSEQ 9"),
        (b"PARTIAL 2:4", [9, 5, 6, 1], b" UID PARTIAL (2:4 5:6,1) MODSEQ 9"),
        (b"PARTIAL -1:-2", [9, 5, 6, 1], b" UID PARTIAL (-1:-2 6,1) MODSEQ 9"),
        (b"PARTIAL -2:-1", [9, 5, 6, 1], b" UID PARTIAL (-2:-1 6,1) MODSEQ 9"),
        (b"PARTIAL 4:1000 COUNT", [9, 5, 6, 1], b" UID PARTIAL (4:1000 1) COUNT 4 MODSEQ 9"),
        (b"MIN PARTIAL 5:9", [9, 5, 6, 1], b" UID MIN 9 PARTIAL (5:9 NIL) MODSEQ 9"),
        (b"PARTIAL -5:-4294967295", [9, 5, 6, 1], b" UID PARTIAL (-5:-4294967295 NIL) MODSEQ 9"),
        (b"PARTIAL 1:4294967295", [9, 5, 6, 1], b" UID PARTIAL (1:4294967295 9,5:6,1) MODSEQ 9"),
        (b"PARTIAL 1:5", [], b" UID PARTIAL (1:5 NIL)"),
    ],
)
def test_esearch(monkeypatch, options, found, expected):
    monkeypatch.setattr(search_returns, "NUMBERS", 2)
    returns = read_returns(Lexer(b"RETURN (%b) " % options))
    line = esearch_response(b"A1", True, returns, SearchResult(found, range(100_000), 9 if found else None))
    assert b"".join(line) == b'* ESEARCH (TAG "A1")' + expected + b"\r\n"


def test_esearch_by_number_without_modseq():
    line = esearch_response(b"t", False, Returns(frozenset({"ALL"})), SearchResult([0]))
    assert b"".join(line) == b'* ESEARCH (TAG "t") ALL 1\r\n'


@pytest.mark.parametrize(
    ("options", "count", "named"),
    [
        (b"ALL MIN", 4, [0, 1, 2, 3]),
        (b"COUNT MAX", 4, [0, 1, 2, 3]),
        (b"MIN", 4, [0]),
        (b"MAX", 4, [3]),
        (b"MIN MAX", 4, [0, 3]),
        (b"MIN MAX", 1, [0]),
        (b"MIN MAX", 0, []),
        (b"PARTIAL 2:3", 4, [1, 2]),
        (b"PARTIAL 2:3 MIN", 4, [0, 1, 2]),
        (b"PARTIAL 2:3 MAX", 4, [1, 2, 3]),
        (b"PARTIAL -1:-2 MIN MAX", 4, [0, 2, 3]),
        (b"PARTIAL 7:9 MIN MAX", 1, [0]),
        (b"PARTIAL 2:3 COUNT", 4, [0, 1, 2, 3]),
        (b"PARTIAL 2:3", 0, []),
    ],
)
def test_what_a_result_names(options, count, named):
    assert list(read_returns(Lexer(b"RETURN (%b) " % options)).named(count)) == named


@pytest.mark.parametrize(
    ("options", "enough"),
    [
        (b"", None),
        (b"MIN", (1, False)),
        (b"MAX", (1, True)),
        (b"MIN MAX", None),
        (b"MIN COUNT", None),
        (b"PARTIAL 1:500", (500, False)),
        (b"PARTIAL -100:-1", (100, True)),
        (b"PARTIAL 1:5 MIN", (5, False)),
        (b"PARTIAL 1:5 MAX", None),
        (b"PARTIAL -1:-5 MAX", (5, True)),
        (b"PARTIAL -1:-5 MIN", None),
        (b"PARTIAL 1:5 COUNT", None),
    ],
)
def test_how_many_results_are_enough(options, enough):
    assert read_returns(Lexer(b"RETURN (%b) " % options)).enough == enough


def test_capabilities_before_tls():
    names = capabilities(authenticated=False, start_tls=True, login_disabled=True)
    assert names[0] == "IMAP4rev1"
    assert {"STARTTLS", "LOGINDISABLED", "SASL-IR", "LITERAL+"} <= set(names)
    assert not any(name.startswith("AUTH=") for name in names)


def test_capabilities_under_tls():
    names = capabilities(authenticated=False, mechanisms=("PLAIN", "SCRAM-SHA-256"))
    assert {"AUTH=PLAIN", "AUTH=SCRAM-SHA-256", "SASL-IR"} <= set(names)
    assert not {"STARTTLS", "LOGINDISABLED"} & set(names)


def test_capabilities_after_login():
    names = capabilities(authenticated=True, mechanisms=("PLAIN",), start_tls=True)
    assert names[0] == "IMAP4rev1"
    assert not {"STARTTLS", "LOGINDISABLED", "SASL-IR", "AUTH=PLAIN"} & set(names)
    assert len(set(names)) == len(names)


def test_what_is_advertised_is_read():
    assert {name.upper() for name in EXTENSIONS} >= set(ENABLES)
    for name in ("ID", "ENABLE", "IDLE", "NAMESPACE", "MOVE", "UNSELECT"):
        assert name in EXTENSIONS
        assert name.encode() in TABLE


EVERYDAY = r"""a0 LOGIN alice wrong
a1 LOGIN alice secret
a2 ENABLE QRESYNC
a3 SELECT INBOX
a4 SELECT Nowhere
a5 SELECT INBOX (CONDSTORE)
a6 STORE 1 (UNCHANGEDSINCE 1) +FLAGS (\Seen)
a7 UID STORE 1 +FLAGS (\Deleted)
a8 COPY 1 Sent
a9 COPY 1 Nowhere
b0 UID MOVE 2 Sent
b1 EXPUNGE
b2 CREATE Work
b3 CREATE Work
b4 CREATE a//b
b5 DELETE INBOX
b6 SEARCH CHARSET none TEXT x
b7 EXAMINE INBOX
b8 STORE 1 +FLAGS (\Seen)
b9 APPEND Sent {3+}
x

c0 FETCH 99 FLAGS
c1 AUTHENTICATE PLAIN
c2 CLOSE
c3 LOGOUT
"""
STATUS = re.compile(r"(?:\*|[a-c][0-9]) (?:OK|NO|BAD|BYE)\b(.*)")


# IMAP trap 7: in a session
def test_a_response_code_has_text_behind_it_whatever_is_answered(make_world):
    """Some programs take what ends with a code for damage."""
    world = make_world()
    for _ in range(3):
        world.put()
    client = world.connect(login=False)
    client.send(EVERYDAY.replace("\n", "\r\n").encode())
    said = [found[1] for found in map(STATUS.fullmatch, client.received().decode().split("\r\n")) if found]
    codes = [line for line in said if line.startswith(" [")]
    assert len(codes) > 20
    assert all(re.fullmatch(r" \[[^\]]+\] \S.*", line) for line in codes)
    assert all(line.strip() for line in said)
