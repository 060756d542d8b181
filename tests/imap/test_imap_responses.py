"""The lines a server says, octet for octet, and the capability list."""

import pytest

from mailnode.imap.capabilities import EXTENSIONS, capabilities
from mailnode.imap.commands import enable, id, namespace, status
from mailnode.imap.commands.enable import ENABLES
from mailnode.imap.commands.search import Found, esearch_response, search_response
from mailnode.imap.commands.table import TABLE
from mailnode.imap.wire import responses as r


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
        (namespace.response(), b'* NAMESPACE (("" "/")) NIL NIL\r\n'),
        (
            status.response("Entwürfe", [("UNSEEN", 1), ("MESSAGES", 2)]),
            b"* STATUS Entw&APw-rfe (UNSEEN 1 MESSAGES 2)\r\n",
        ),
        (status.response("a b", []), b'* STATUS "a b" ()\r\n'),
        (b"".join(search_response([])), b"* SEARCH\r\n"),
        (b"".join(search_response([[2], [5]])), b"* SEARCH 2 5\r\n"),
        (b"".join(search_response([[2, 5]], 917)), b"* SEARCH 2 5 (MODSEQ 917)\r\n"),
    ],
)
def test_lines(line, expected):
    assert line == expected


@pytest.mark.parametrize(
    ("returns", "found", "expected"),
    [
        ("ALL", [1, 2, 3, 7], b" UID ALL 1:3,7 MODSEQ 9"),
        ("ALL", [], b" UID"),
        ("MIN MAX COUNT", [4, 9], b" UID MIN 4 MAX 9 COUNT 2 MODSEQ 9"),
        ("MIN MAX COUNT ALL", [], b" UID COUNT 0"),
    ],
)
def test_esearch(returns, found, expected):
    about = Found(len(found), found[0], found[-1], 9) if found else Found(0)
    line = esearch_response(b"A1", True, frozenset(returns.split()), [found[:2], found[2:]], about)
    assert b"".join(line) == b'* ESEARCH (TAG "A1")' + expected + b"\r\n"


def test_esearch_by_number_without_modseq():
    line = esearch_response(b"t", False, frozenset({"ALL"}), [[1]], Found(1, 1, 1))
    assert b"".join(line) == b'* ESEARCH (TAG "t") ALL 1\r\n'


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
    assert set(EXTENSIONS) >= set(ENABLES)
    for name in ("ID", "ENABLE", "IDLE", "NAMESPACE", "MOVE", "UNSELECT"):
        assert name in EXTENSIONS
        assert name.encode() in TABLE
