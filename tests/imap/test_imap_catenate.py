"""CATENATE (RFC 4469): messages made of parts of others, by APPEND and REPLACE."""

import random

import pytest

from mailnode.imap.bodies import PIECE
from mailnode.imap.messages.urls import in_a_code, read_url
from mailnode.imap.wire.connection import STREAMED_LITERALS
from mailnode.net.no_reactor import run_now

MIXED = (
    b"Subject: draft\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
    b"--b\r\nContent-Type: image/gif\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n"
    b"--b--\r\n"
)
OTHER = b"Subject: \xc3\xa9\r\n\r\nother\r\n"


@pytest.fixture
def world(file_world):
    file_world.put(MIXED)
    file_world.put(OTHER)
    file_world.connect(select="INBOX")
    return file_world


def ask(world, line, bytewise=False):
    client = world.clients[""]
    client.send(b"a " + line + b"\r\n", bytewise)
    return client.received()


async def _content(world, uid):
    [row] = await world.box().rows((uid,), ("blob",))
    return await world.box().read(row[1])


def content(world, uid):
    return run_now(_content(world, uid))


def count(world):
    return len(run_now(world.box().snapshot()).uids)


def test_whole_messages_alone(world):
    said = ask(world, b'APPEND INBOX (\\Draft) CATENATE (URL "/INBOX/;UID=1")')
    assert said.endswith(b" 3] APPEND completed\r\n") and content(world, 3) == MIXED
    assert b"a OK" in ask(world, b"append INBOX catenate (url /INBOX/;uid=2 url /INBOX/;UID=2)")
    assert content(world, 4) == OTHER + OTHER
    flags = ask(world, b"FETCH 1:3 FLAGS")
    assert flags.count(b"\\Seen") == 0 and b"* 3 FETCH (FLAGS (\\Draft \\Recent))" in flags


@pytest.mark.parametrize("bytewise", [False, True])
@pytest.mark.parametrize("sign", [b"", b"+"])
def test_an_attachment_is_replaced(world, bytewise, sign):
    validity = run_now(world.box().snapshot()).uidvalidity
    url = b'URL "/INBOX;UIDVALIDITY=%d/;UID=%d/;SECTION=%b"'
    texts = [b"--b\r\n", b"\r\n--b\r\nContent-Type: text/plain\r\n\r\n", b"\r\n--b--\r\n"]
    line = b"a APPEND INBOX CATENATE (%b TEXT {%d%b}" % (url % (validity, 1, b"HEADER"), len(texts[0]), sign)
    parts = [texts[0] + b" %b %b TEXT {%d%b}" % (url % (validity, 1, b"1.MIME"), url % (validity, 1, b"1"), len(texts[1]), sign),
             texts[1] + b" %b TEXT {%d%b}" % (url % (validity, 2, b"TEXT"), len(texts[2]), sign),
             texts[2] + b")"]  # fmt: skip
    client = world.clients[""]
    for piece in [line, *parts]:
        client.send(piece + b"\r\n", bytewise)
    assert client.received().count(b"+ OK\r\n") == (0 if sign else 3)
    header = MIXED[: MIXED.index(b"--b")]
    assert content(world, 3) == (
        header
        + b"--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b\r\nContent-Type: text/plain\r\n\r\n"
        + OTHER[15:]
        + texts[2]
    )


def test_urls_as_literals(world):
    assert b"a OK" in ask(world, b"APPEND INBOX CATENATE (URL {13+}\r\n/INBOX/;UID=1 TEXT {3+}\r\nxyz)")
    assert content(world, 3) == MIXED + b"xyz\r\n"
    assert b"a OK" in ask(
        world, b"APPEND INBOX CATENATE (TEXT {3+}\r\nxyz URL {13+}\r\n/INBOX/;UID=1 URL {13+}\r\n/INBOX/;UID=2)"
    )
    assert content(world, 4) == b"xyz" + MIXED + OTHER


def test_url_literals_are_bounded(world):
    one = b" URL {13+}\r\n/INBOX/;UID=2"
    for begin in (b"APPEND INBOX CATENATE (TEXT {1+}\r\nx", b"APPEND INBOX CATENATE (URL /INBOX/;UID=2"):
        assert b"a OK" in ask(world, begin + one * STREAMED_LITERALS + b")")
        assert ask(world, begin + one * (STREAMED_LITERALS + 1) + b")") == b"a NO [LIMIT] Too many literals\r\n"
    assert ask(world, b"NOOP").endswith(b"a OK NOOP completed\r\n")


def test_beside_other_messages_and_in_replace(world):
    said = ask(
        world, b"APPEND INBOX CATENATE (URL /INBOX/;UID=2) (\\Seen) {6+}\r\na: b\r\n CATENATE (TEXT {3+}\r\nx:y)"
    )
    assert said.endswith(b" 3:5] APPEND completed\r\n")
    assert [content(world, uid) for uid in (3, 4, 5)] == [OTHER, b"a: b\r\n", b"x:y\r\n"]
    for end in (b"TEXT {3+}\r\nabc URL /INBOX/;UID=2)", b"URL /INBOX/;UID=2)"):
        uid = run_now(world.box().snapshot()).uids.tolist()[-1]
        assert b"Replacement message ready" in ask(world, b"UID REPLACE %d INBOX CATENATE (" % uid + end)
        assert content(world, uid + 1) == (b"abc" if b"abc" in end else b"") + OTHER
    assert count(world) == 5


@pytest.mark.parametrize(
    "url",
    [
        b"/INBOX/;UID=9",
        b"/INBOX;UIDVALIDITY=99/;UID=1",
        b"/Nowhere/;UID=1",
        b"/INBOX/;UID=1/;SECTION=7",
        b"/INBOX/;UID=1/;SECTION=1.HEADER",
        b"/INBOX/;UID=1/;SECTION=MIME",
        b"/INBOX/;UID=1/;SECTION=",
        b"/INBOX/;UID=1/;PARTIAL=0.0",
        b"/INBOX/;UID=1/;PARTIAL=0.",
        b"/INBOX/;UID=1/;PARTIAL=.5",
        b"/INBOX/;UID=1/;PARTIAL=",
        b"/INBOX/;UID=1/;PARTIAL=-1.5",
        b"/INBOX/;UID=1/;PARTIAL=0.5.6",
        b"/INBOX/;UID=1/;PARTIAL=0.99999999999",
        b"/INBOX/;UID=1/;PARTIAL=0.5/;SECTION=1",
        b"/INBOX/;UID=1/;PARTIAL=0.5/;PARTIAL=0.5",
        b"/INBOX/;PARTIAL=0.5",
        b"/INBOX/;UID=0",
        b"/INBOX/;UID=1;UID=2",
        b"/INBOX/;UID=99999999999",
        b"/INBOX",
        b"/;UID=1",
        b"INBOX/;UID=1",
        b"imap://alice@mail.test/INBOX/;UID=1",
        b"//mail.test/INBOX/;UID=1",
        b"",
    ],
)
def test_what_no_url_names(world, url):
    before = run_now(world.account.modseq())
    for text in (b"", b"TEXT {3+}\r\na:b "):
        said = ask(world, b'APPEND INBOX CATENATE (%bURL "%b" TEXT {12+}\r\na LOGOUT\r\n\r\n)' % (text, url))
        assert said == b"a NO [BADURL %b] A part of the message is not there\r\n" % url
    assert ask(world, b"NOOP").endswith(b"a OK NOOP completed\r\n")
    assert run_now(world.account.modseq()) == before


def test_an_expunged_message_is_not_there(world):
    world.expunge(1)
    assert b"[BADURL /INBOX/;UID=1]" in ask(world, b"APPEND INBOX CATENATE (URL /INBOX/;UID=1)")
    assert count(world) == 1


def test_limits_hold_for_the_whole(world):
    from dataclasses import replace

    world.clients[""].session.services = replace(world.services, append_limit=len(MIXED) + 5)
    assert b"a OK" in ask(world, b"APPEND INBOX CATENATE (URL /INBOX/;UID=1 TEXT {5+}\r\nabc\r\n)")
    for end in (b"TEXT {6}", b"TEXT {6+}\r\n123456)", b"URL /INBOX/;UID=2)", b"TEXT {4+}\r\nabcd TEXT {2+}\r\nxy)"):
        assert ask(world, b"APPEND INBOX CATENATE (URL /INBOX/;UID=1 " + end) == b"a NO [TOOBIG] Message too large\r\n"
    assert ask(world, b"APPEND INBOX CATENATE (TEXT {0+}\r\n)") == b"a NO [CANNOT] A message cannot be empty\r\n"
    run_now(world.store.set_quota("acc", run_now(world.account.usage()).bytes_used + 10, 0))
    assert ask(world, b"APPEND INBOX CATENATE (URL /INBOX/;UID=1)") == b"a NO [OVERQUOTA] Over quota\r\n"
    assert count(world) == 3


def test_a_large_message_is_copied_in_pieces(world):
    large = (
        b"Subject: large\r\n\r\n"
        + random.Random(4469).randbytes(3 * PIECE).replace(b"\n", b"").replace(b"\r", b"")
        + b"\r\n"
    )
    uid = world.put(large)
    client = world.clients[""]
    client.send(b"a APPEND INBOX CATENATE (URL /INBOX/;UID=%d URL /INBOX/;UID=%d)\r\n" % (uid, uid))
    for _ in range(20):
        world.clock.advance(0.1)
    assert b"a OK" in client.received() and content(world, uid + 1) == large + large


@pytest.mark.parametrize(
    "parts",
    [b"()", b"(TEXT)", b"(URL)", b"(URL /INBOX/;UID=1", b"(URL /INBOX/;UID=1 )", b"(FILE x)", b"( URL x)", b"(TEXT \"x\")",
     b"(TEXT ~{1+}\r\nx)", b"(TEXT {1+}\r\nx", b"(TEXT {1+}\r\nxURL y)", b"(TEXT {1+}\r\nx))", b"(URL /INBOX/;UID=1)x",
     b"(UTF8 ({1+}\r\nx))", b"(URL ~{1+}\r\nx)", b"(TEXT {1+}\r\nx URL ~{1+}\r\nx)"],
)  # fmt: skip
def test_what_catenate_is_not(world, parts):
    assert ask(world, b"APPEND INBOX CATENATE " + parts).startswith(b"a BAD")
    assert ask(world, b"NOOP").endswith(b"a OK NOOP completed\r\n") and count(world) == 2


def test_utf8_parts(world):
    ask(world, b"ENABLE UTF8=ACCEPT")
    assert b"a OK" in ask(world, b"APPEND INBOX CATENATE (UTF8 (~{4+}\r\na:\xc3\xa9) TEXT {2+}\r\n\r\n)")
    assert content(world, 3) == b"a:\xc3\xa9\r\n"


# URL-PARTIAL: ranges at every edge, of the message and of its parts
@pytest.mark.parametrize("section", [b"", b"HEADER", b"TEXT", b"1", b"2.MIME"])
def test_some_octets_of_what_is_named(world, section):
    where = b"/INBOX/;UID=1" + (b"/;SECTION=" + section if section else b"")
    assert b"a OK" in ask(world, b"APPEND INBOX CATENATE (URL %b)" % where)
    whole = ask(world, b"FETCH 1 BODY.PEEK[%b]" % section).split(b"}\r\n", 1)[1]
    whole = whole[: whole.rindex(b")\r\na OK")]
    size = len(whole)
    edges = ((0, 1), (0, size), (3, 4), (size - 1, 1), (size - 1, 9), (0, size + 9), (size, 5), (size + 9, 1))
    for origin, length in edges:
        end = b"/;PARTIAL=%d.%d" % (origin, length)
        line = b"APPEND INBOX CATENATE (TEXT {3+}\r\n<a< URL %b%b TEXT {5+}\r\n>b>\r\n)" % (where, end)
        assert b"a OK" in ask(world, line)
        meant = whole[origin : origin + length].replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        assert content(world, count(world)) == b"<a<" + meant + b">b>\r\n"
    at = size - 1  # between CR and LF, of most
    halves = b"URL %b/;partial=0.%d URL %b/;Partial=%d" % (where, at, where, at)
    assert b"a OK" in ask(world, b"APPEND INBOX CATENATE (TEXT {1+}\r\nx %b TEXT {2+}\r\n\r\n)" % halves)
    assert content(world, count(world)) == b"x" + whole + b"\r\n"


def test_some_octets_are_no_more_than_the_others_where_partial_is_hidden(world):
    client = world.clients[""]
    client.session.hide({"URL-PARTIAL"})
    assert b"[BADURL /INBOX/;UID=1/;PARTIAL=0.5]" in ask(
        world, b"APPEND INBOX CATENATE (URL /INBOX/;UID=1/;PARTIAL=0.5)"
    )
    assert b"a OK" in ask(world, b"APPEND INBOX CATENATE (URL /INBOX/;UID=1)")


def test_names_in_urls():
    assert read_url(b"/caf%C3%A9%20x/y;UIDVALIDITY=7/;UID=20/;section=1.2.MIME").mailbox == "café x/y"
    found = read_url(b"/inbox;UIDVALIDITY=7/;UID=20/;Section=1.2.MIME")
    assert (found.mailbox, found.uidvalidity, found.uid) == ("INBOX", 7, 20)
    assert (found.section.part, found.section.text) == ((1, 2), "MIME")
    for url in (
        b"/%E9/;UID=1",
        b"/INBOX;UID=1;UIDVALIDITY=3",
        b"/INBOX/;UID=1/;SECTION=HEADER.FIELDS%20(To)",
        b"/a//b/;UID=1",
    ):
        assert read_url(url) is None
    assert in_a_code(b"/x]\r\n\xe9 y") == b"/x%5D%0D%0A%E9%20y"
