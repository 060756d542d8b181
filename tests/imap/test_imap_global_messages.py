"""message/global in a session of IMAP4rev2 (RFC 9051 6.4.5.1 and 7.5.2), and in one that has not enabled it."""

import os

import pytest
from imap_world import play

from mailnode.imap.bodies import PIECE
from mailnode.net.no_reactor import run_now

INNER = b"Subject: bounced\r\nFrom: a@b.test\r\n\r\neins\r\nzwei"
ENVELOPE = (
    '(NIL "bounced" ((NIL NIL "a" "b.test")) ((NIL NIL "a" "b.test")) ((NIL NIL "a" "b.test")) NIL NIL NIL NIL NIL)'
)
TEXT = '("text" "plain" ("charset" "us-ascii") NIL NIL "7bit"'
WITHOUT = f'("message" "global" NIL NIL NIL "8bit" {len(INNER)}'
WITH = f"{WITHOUT} {ENVELOPE} {TEXT} 10 1) 4)"
WITH_ALL = f"{WITHOUT} {ENVELOPE} {TEXT} 10 1 NIL NIL NIL NIL) 4 NIL NIL NIL NIL)"
REPORT = '"report" ("boundary" "b") NIL NIL NIL'


def report(content: bytes = INNER, more: bytes = b"") -> bytes:
    """A notice of failure as RFC 6533 has it, as far as that matters here."""
    return (
        b"Subject: failed\r\nContent-Type: multipart/report; boundary=b\r\n\r\n--b\r\n\r\nsorry\r\n--b\r\n"
        b"Content-Type: message/global\r\nContent-Transfer-Encoding: 8bit\r\n"
        + more
        + b"\r\n"
        + content
        + b"\r\n--b--\r\n"
    )


def with_reports(make_world):
    def make():
        world = make_world()
        world.put()
        world.put(report())
        world.put(b'Subject: =?utf-8?q?x?=\r\nContent-Description: "message" "global" \xc3\xa9\r\n\r\nno such part\r\n')
        world.connect(select="INBOX")
        return world

    return make


def test_its_structure_is_told_to_those_who_enabled_imap4rev2(make_world):
    play(
        with_reports(make_world),
        f"""
        C: a FETCH 2 BODY
        S: * 2 FETCH (BODY ({TEXT} 5 0){WITHOUT}) "report"))
        S: a OK FETCH completed
        C: b FETCH 2 (BODY.PEEK[2.HEADER] BODY.PEEK[2.1])
        S: * 2 FETCH (BODY[2.HEADER] NIL BODY[2.1] NIL)
        S: b OK FETCH completed
        C: c ENABLE IMAP4rev2
        S: * ENABLED IMAP4rev2
        S: c OK ENABLE completed
        C: d FETCH 2 BODY
        S: * 2 FETCH (BODY ({TEXT} 5 0){WITH} "report"))
        S: d OK FETCH completed
        C: e UID FETCH 2 (FLAGS BODYSTRUCTURE)
        S: * 2 FETCH (UID 2 FLAGS (…) BODYSTRUCTURE ({TEXT} 5 0 NIL NIL NIL NIL){WITH_ALL} {REPORT}))
        S: e OK FETCH completed
        C: f FETCH 2 (BODY.PEEK[2.HEADER.FIELDS (From)] BODY.PEEK[2.1] BODY.PEEK[2.TEXT]<0.4> BINARY.SIZE[2.1])
        S: * 2 FETCH (BODY[2.HEADER.FIELDS (From)] {{18}}
        S: From: a@b.test
        S:
        S:  BODY[2.1] {{10}}
        S: eins
        S: zwei BODY[2.TEXT]<0> {{4}}
        S: eins BINARY.SIZE[2.1] 10)
        S: f OK FETCH completed
        C: g FETCH 1:2 (UID BODY)
        S: * 1 FETCH (UID 1 BODY {TEXT} 6 1))
        S: * 2 FETCH (UID 2 BODY ({TEXT} 5 0){WITH} "report"))
        S: g OK FETCH completed
        """,
    )


def test_words_like_it_in_a_header_change_nothing(make_world):
    world = with_reports(make_world)()
    client = world.clients[""]
    before = client.ask("a FETCH 3 (UID BODYSTRUCTURE)")
    client.ask("b ENABLE IMAP4rev2")
    assert client.ask("a FETCH 3 (UID BODYSTRUCTURE)") == before


def test_one_that_cannot_be_read_keeps_nobody_from_the_others(file_world):
    world = file_world
    for _ in range(3):
        world.put(report(os.urandom(PIECE).hex().encode()))
    refs = [row[1] for row in run_now(world.box().rows([1, 2, 3], ("blob",)))]
    world.store._partitions[0].blobs.path(refs[1].blob_id).unlink()
    world.store.recent.clear()
    client = world.connect(select="INBOX")
    client.ask("e ENABLE IMAP4rev2")
    lines = client.ask("a FETCH 1:3 BODYSTRUCTURE")
    assert [line[:9] for line in lines] == ["* 1 FETCH", "* 3 FETCH", "a NO [COR"]
    assert all('"8bit" 524288 (NIL NIL' in line for line in lines[:2])


def test_one_that_is_kept_no_more_is_missing(make_world):
    """Expunged elsewhere, and swept before this session was told."""
    world = with_reports(make_world)()
    client = world.clients[""]
    client.ask("e ENABLE IMAP4rev2")
    world.expunge(2)
    assert WITH in client.ask("a FETCH 1:2 BODY")[1], "it is not gone for a session that has not been told"
    world.sweep()
    assert client.ask("b FETCH 1:2 BODY")[1].startswith("b NO ")


@pytest.mark.parametrize("enabled", [False, True])
def test_urls_of_catenate_name_what_lies_in_it(file_world, enabled):
    """RFC 4469 3: what a section is, is what it is to FETCH."""
    client = with_reports(lambda: file_world)().clients[""]
    if enabled:
        client.ask("e ENABLE IMAP4rev2")
    said = client.ask('a APPEND INBOX CATENATE (URL "/INBOX/;UID=2/;SECTION=2.HEADER")')[-1]
    assert said.startswith("a OK [APPENDUID" if enabled else "a NO [BADURL")


def test_it_is_as_any_part_where_imap4rev2_is_hidden(make_world):
    world = with_reports(make_world)()
    world.logins.hidden = "IMAP4REV2"
    client = world.connect("2", select="INBOX")
    assert client.ask("a ENABLE IMAP4rev2")[0] == "* ENABLED"
    assert f'{WITHOUT}) "report"' in client.ask("b FETCH 2 BODY")[0]
