"""SEARCH through a session, and its evaluation."""

import random
from array import array
from datetime import UTC, date, datetime
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imap_world import START, play

from mailnode.imap.commands.matching import _groups, matching
from mailnode.imap.messages.search_keys import (
    All,
    And,
    HasFlag,
    HasKeyword,
    InBody,
    InHeader,
    InSet,
    IsRecent,
    Larger,
    Not,
    Or,
)
from mailnode.imap.messages.search_tests import BODIES, HEADERS, ROWS, VIEW, cost, flagged, header_test, row_test
from mailnode.imap.view.view import View
from mailnode.message.search_text import fold
from mailnode.net.no_reactor import run_now
from mailnode.values.casemap import casemap
from mailnode.values.flags import DELETED, FLAGGED, MAX_KEYWORDS, SEEN, KeywordTable
from mailnode.values.mailbox import MailboxSnapshot
from mailnode.values.sets import SeqSet

MESSAGES = [
    b"From: Alice <alice@example.org>\r\nTo: bob@example.net\r\nSubject: Hello World\r\n"
    b"Date: Mon, 6 Nov 2023 23:30:00 -0500\r\nX-Spam: no\r\n\r\nThe quick brown fox\r\n",
    b"From: =?utf-8?q?Ren=C3=A9?= <rene@example.org>\r\nCc: carol@example.com\r\n"
    b"Subject: =?utf-8?b?R3LDvMOfZQ==?= again\r\nDate: Wed, 8 Nov 2023 00:10:00 +1300\r\n"
    b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    b"Stra=DFe und caf=E9=\r\n haus\r\n",
    b"From: Dan <dan@example.org>\r\nBcc: hidden@example.org\r\nSubject: nothing\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\nprologue\r\n--b\r\n'
    b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    b"PHA+SGVsbG8gPGI+V29ybGQ8L2I+PC9wPg==\r\n--b\r\n"
    b"Content-Type: application/octet-stream\r\n\r\nfox in a box\r\n--b\r\n"
    b"Content-Type: message/rfc822\r\n\r\nSubject: wrapped up\r\n\r\nletter inside\r\n--b--\r\n",
]


@pytest.fixture
def client(make_world):
    world = make_world()
    days = [datetime(2023, 11, day, 22, tzinfo=UTC) for day in (1, 2, 3)]
    for raw, at, offset in zip(MESSAGES, days, (0, 180, -60), strict=True):
        world.put(raw, internaldate=int(at.timestamp()) * 1_000_000, internaldate_offset=offset)
    world.flag(1, "add", SEEN)
    world.flag(2, "add", FLAGGED, ["Work"])
    client = world.connect(select="INBOX")
    client.world = world
    return client


def found(client, keys, literal=None):
    if literal is not None:
        keys += f" {{{len(literal)}+}}"
        client.send(f"t SEARCH {keys}\r\n".encode() + literal + b"\r\n")
        said = client.received().decode().split("\r\n")
    else:
        said = client.ask(f"t SEARCH {keys}")
    assert said[1] == "t OK SEARCH completed", said
    return said[0].removeprefix("* SEARCH").strip()


# IMAP trap 41: each key
@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("ALL", "1 2 3"),
        ("2:3", "2 3"),
        ("UID 1,3", "1 3"),
        ("SEEN", "1"),
        ("UNSEEN", "2 3"),
        ("FLAGGED", "2"),
        ("KEYWORD work", "2"),
        ("UNKEYWORD WORK", "1 3"),
        ("RECENT", "1 2 3"),
        ("OLD", ""),
        ("NEW", "2 3"),
        ("UNDELETED UNANSWERED UNDRAFT", "1 2 3"),
        ("NOT SEEN NOT FLAGGED", "3"),
        ("OR SEEN FLAGGED", "1 2"),
        ("OR (SEEN FLAGGED) (UNSEEN UNFLAGGED)", "3"),
        ("NOT (OR SEEN FLAGGED)", "3"),
        ("FROM alice", "1"),
        ("FROM EXAMPLE.ORG", "1 2 3"),
        ("TO bob", "1"),
        ("CC carol", "2"),
        ("BCC hidden", "3"),
        ("SUBJECT hello", "1"),
        ("SUBJECT llo wor", None),
        ('SUBJECT "llo wor"', "1"),
        ("HEADER X-Spam no", "1"),
        ('HEADER x-spam ""', "1"),
        ('HEADER Cc ""', "2"),
        ("HEADER Subject again", "2"),
        ("BODY fox", "1"),
        ("BODY FOX", "1"),
        ('BODY "hello world"', "3"),
        ('TEXT "hello world"', "1 3"),
        ("BODY subject", "3"),
        ('BODY "wrapped up"', "3"),
        ('BODY "letter inside"', "3"),
        ("TEXT x-spam", "1"),
        ('BODY ""', "1 2 3"),
        ("NOT BODY fox", "2 3"),
        ("OR BODY fox SUBJECT nothing", "1 3"),
        ("NOT (OR BODY fox TEXT nothing)", "2"),
        ("LARGER 200 SMALLER 300", "2"),
        ("SINCE 2-Nov-2023", "2 3"),
        ("ON 3-Nov-2023", "2 3"),
        ("ON 2-Nov-2023", ""),
        ("BEFORE 2-Nov-2023", "1"),
        ("SENTON 6-Nov-2023", "1"),
        ("SENTON 8-Nov-2023", "2"),
        ("SENTBEFORE 8-Nov-2023", "1"),
        ("SENTSINCE 1-Jan-1990", "1 2"),
        ("NOT SENTSINCE 1-Jan-1990", "3"),
    ],
)
def test_keys(client, keys, expected):
    if expected is None:
        assert client.ask(f"t SEARCH {keys}")[0].startswith("t BAD")
    else:
        assert found(client, keys) == expected


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("OLDER 100", "1 2"),
        ("YOUNGER 100", "2 3"),
        ("OLDER 99", "1 2 3"),
        ("YOUNGER 99", "3"),
        ("OLDER 101", "1"),
        ("YOUNGER 101", "1 2 3"),
        ("NOT OLDER 100", "3"),
        ("OLDER 1 YOUNGER 4294967295", "1 2 3"),
        ("OR (OLDER 101) (YOUNGER 1 SUBJECT three)", "1"),
        ("OLDER 100 BODY body", "1 2"),
    ],
)
def test_ages_within_seconds(make_world, keys, expected):
    """WITHIN: by the second, whatever the zone (RFC 5032 2)."""
    world = make_world()
    for age, raw in ((101, b"one"), (100, b"two"), (99, b"three")):
        at = int(START - age) * 1_000_000 + 999_999
        world.put(b"Subject: %b\r\n\r\nbody\r\n" % raw, internaldate=at, internaldate_offset=600)
    client = world.connect(select="INBOX")
    assert found(client, keys) == expected
    if keys == "OLDER 100":
        world.clock.advance(1)
        assert found(client, keys) == "1 2 3"


# IMAP trap 41: encoded words and decoded bodies
@pytest.mark.parametrize(
    ("keys", "literal", "expected"),
    [
        ("CHARSET UTF-8 SUBJECT", "grüße".encode(), "2"),
        ("CHARSET utf-8 SUBJECT", "GRÜSSE".encode(), "2"),
        ("CHARSET UTF-8 FROM", "rené".encode(), "2"),
        ("CHARSET UTF-8 FROM", "rené".encode(), "2"),
        ("CHARSET UTF-8 BODY", "straße und café haus".encode(), "2"),
        ("CHARSET US-ASCII BODY", b"strasse", "2"),
        ("BODY", "café".encode(), "2"),
    ],
)
def test_charsets_and_decoding(client, keys, literal, expected):
    assert found(client, keys, literal) == expected


# IMAP trap 41: charsets that are none
def test_unknown_charset(client):
    assert client.ask("t SEARCH CHARSET X-KLINGON ALL")[0].startswith("t NO [BADCHARSET (")


# IMAP trap 41: nothing found is said
def test_results(make_world):
    def make():
        world = make_world()
        for _ in range(6):
            world.put()
        world.expunge(1)
        world.connect(select="INBOX")
        return world

    play(
        make,
        """
        C: a SEARCH SEEN
        S: * SEARCH
        S: a OK SEARCH completed
        C: b UID SEARCH 2:3
        S: * SEARCH 3 4
        S: b OK SEARCH completed
        C: c SEARCH RETURN (MIN MAX COUNT ALL) NOT 3
        S: * ESEARCH (TAG "c") MIN 1 MAX 5 ALL 1:2,4:5 COUNT 4
        S: c OK SEARCH completed
        C: d UID SEARCH RETURN () 2:4
        S: * ESEARCH (TAG "d") UID ALL 3:5
        S: d OK SEARCH completed
        C: e SEARCH RETURN (MIN ALL COUNT) SEEN
        S: * ESEARCH (TAG "e") COUNT 0
        S: e OK SEARCH completed
        C: f SEARCH RETURN (ALL) SEEN
        S: * ESEARCH (TAG "f")
        S: f OK SEARCH completed
        C: g SEARCH 4:9
        S: * SEARCH 4 5
        S: g OK SEARCH completed
        C: g SEARCH NOT 7:9 OR 8 3
        S: * SEARCH 3
        S: g OK SEARCH completed
        C: g SEARCH 7:9
        S: * SEARCH
        S: g OK SEARCH completed
        C: g SEARCH RETURN (ALL) 9
        S: * ESEARCH (TAG "g")
        S: g OK SEARCH completed
        C: g UID SEARCH UID 77
        S: * SEARCH
        S: g OK SEARCH completed
        C: h SEARCH UID 1:99
        S: * SEARCH 1 2 3 4 5
        S: h OK SEARCH completed
        """,
    )


@pytest.mark.parametrize(
    ("options", "keys", "said"),
    [
        ("PARTIAL 1:3", "ALL", "PARTIAL (1:3 1:3)"),
        ("PARTIAL 3:1", "ALL", "PARTIAL (3:1 1:3)"),
        ("PARTIAL -1:-3", "ALL", "PARTIAL (-1:-3 598:600)"),
        ("PARTIAL -3:-1", "ALL", "PARTIAL (-3:-1 598:600)"),
        ("PARTIAL -2:-3", "SUBJECT n7", "PARTIAL (-2:-3 577,587)"),
        ("PARTIAL 2:3", "SUBJECT n7", "PARTIAL (2:3 17,27)"),
        ("PARTIAL 59:70", "SUBJECT n7", "PARTIAL (59:70 587,597)"),
        ("PARTIAL 61:70", "SUBJECT n7", "PARTIAL (61:70 NIL)"),
        ("PARTIAL -59:-70", "SUBJECT n7", "PARTIAL (-59:-70 7,17)"),
        ("PARTIAL -61:-70", "SUBJECT n7", "PARTIAL (-61:-70 NIL)"),
        ("PARTIAL 1:2 COUNT", "SUBJECT n7", "PARTIAL (1:2 7,17) COUNT 60"),
        ("PARTIAL 1:2 MIN MAX", "SUBJECT n7", "MIN 7 MAX 597 PARTIAL (1:2 7,17)"),
        ("PARTIAL -1:-1 MAX MIN", "SUBJECT n7", "MIN 7 MAX 597 PARTIAL (-1:-1 597)"),
        ("MIN", "UID 300:* SUBJECT n7", "MIN 307"),
        ("MAX", "UID 1:300 SUBJECT n7", "MAX 297"),
        ("MIN MAX", "SUBJECT n7", "MIN 7 MAX 597"),
        ("PARTIAL 1:600 MIN", "BODY nothing", "PARTIAL (1:600 NIL)"),
        ("PARTIAL 1:4294967295", "UNSEEN", "PARTIAL (1:4294967295 1:600)"),
    ],
)
def test_parts_of_a_result(hundreds, options, keys, said):
    assert hundreds.ask(f"a UID SEARCH RETURN ({options}) {keys}") == [
        f'* ESEARCH (TAG "a") UID {said}',
        "a OK SEARCH completed",
    ]


@pytest.fixture
def hundreds(make_world):
    """600 messages, of which each tenth has the subject n7."""
    world = make_world()
    for number in range(1, 601):
        world.put(b"Subject: n%d\r\n\r\nbody\r\n" % (number % 10))
    client = world.connect(select="INBOX")
    client.world = world
    return client


@pytest.mark.parametrize(
    ("options", "read"), [("PARTIAL 1:2", 256), ("PARTIAL -1:-2", 256), ("MIN", 256), ("MAX", 256), ("MIN COUNT", 600)]
)
def test_parts_of_a_result_do_not_cost_the_whole(hundreds, monkeypatch, options, read):
    rows = type(hundreds.world.box()).rows
    asked = []

    async def counted(self, uids, *args):
        asked.extend(uids)
        return await rows(self, uids, *args)

    monkeypatch.setattr(type(hundreds.world.box()), "rows", counted)
    hundreds.ask(f"a SEARCH RETURN ({options}) SUBJECT n7")
    assert len(asked) == read


def test_a_damaged_message_is_passed_over(client):
    world = client.world
    if hasattr(world, "store"):
        run_now(world.engine.write("mail-00", lambda tx: tx.execute("DELETE FROM blob")))
        world.store.recent.clear()
    else:
        world.account.content.clear()
    assert found(client, "BODY fox") == ""
    assert found(client, "SUBJECT hello") == "1"


def test_a_message_expunged_elsewhere_keeps_its_number(client):
    client.world.expunge(1)
    assert found(client, "BODY fox") == "1"
    assert found(client, "SUBJECT again") == "2"


# --- evaluation


def test_costs_and_groups():
    header, body, seen = InHeader("x-other", "a"), InBody("b"), HasFlag(SEEN)
    subject, size = InHeader("subject", "s"), Larger(5)
    assert [cost(k) for k in (seen, subject, header, body)] == [VIEW, ROWS, HEADERS, BODIES]
    assert cost(Not(Or(seen, And((size, body))))) == BODIES
    assert _groups((body, size, header, seen, subject)) == [seen, And((size, subject)), And((header, body))]


def test_dear_keys_see_only_what_cheap_ones_left(make_world, request):
    if "sqlite" in request.node.name:
        return
    world = make_world()
    for number in range(20):
        world.put(b"Subject: n%d\r\n\r\nbody\r\n" % number)
    world.flag(5, "add", SEEN)
    client = world.connect(select="INBOX")
    assert client.ask("a SEARCH BODY body SUBJECT n4 SEEN")[0] == "* SEARCH 5"
    assert world.account.reads == 1


def _random_key(rng, depth=0):
    leaves = [
        lambda: HasFlag(rng.choice([SEEN, FLAGGED, DELETED]), rng.random() < 0.5),
        lambda: InSet(SeqSet(((rng.randint(1, 8), rng.randint(1, 8)),))),
        lambda: InHeader("subject", rng.choice("0123456789")),
        lambda: InHeader("x-number", rng.choice("0123456789")),
        lambda: InBody(rng.choice("0123456789")),
        lambda: Larger(rng.randint(40, 60)),
        lambda: All(),
    ]
    if depth < 3 and rng.random() < 0.5:
        inner = [_random_key(rng, depth + 1) for _ in range(rng.randint(2, 4))]
        return rng.choice([And(tuple(inner)), Or(*inner[:2]), Not(inner[0])])
    return rng.choice(leaves)()


def _plainly(key, number, flags, raw):
    """What a key means, said as simply as possible."""
    match key:
        case And():
            return all(_plainly(k, number, flags, raw) for k in key.keys)
        case Or():
            return _plainly(key.left, number, flags, raw) or _plainly(key.right, number, flags, raw)
        case Not():
            return not _plainly(key.key, number, flags, raw)
        case HasFlag():
            return bool(flags & key.bit) == key.on
        case InSet():
            return any(min(r) <= number <= max(r) for r in key.messages.ranges)
        case InHeader():
            line = next(x for x in raw.split(b"\r\n") if x.lower().startswith(key.field.encode()))
            return key.text.encode() in line.split(b":")[1]
        case InBody():
            return key.text.encode() in raw.split(b"\r\n\r\n")[1]
        case Larger():
            return len(raw) > key.octets
    return True


def test_random_trees_mean_what_they_say(make_world):
    rng = random.Random(7)
    world = make_world()
    raws, flags = [], []
    for _ in range(8):
        raw = b"Subject: %d\r\nX-Number: %d\r\n\r\n%d" % tuple(
            rng.randint(0, 10 ** rng.randint(1, 9)) for _ in range(3)
        )
        raws.append(raw)
        flags.append(rng.randint(0, 31))
        world.put(raw, flags=flags[-1])
    session = world.connect(select="INBOX").session
    found = []

    async def look():
        found[:] = await matching(session, key, range(8))

    for _ in range(150):
        key = _random_key(rng)
        expected = [i for i in range(8) if _plainly(key, i + 1, flags[i], raws[i])]
        run_now(session.push(look))
        assert found == expected, key


def test_fold():
    assert fold("STRASSE") == fold("straße") == "strasse"
    assert fold("e\u0301") == fold("É")
    assert fold("ASCII") == "ascii"
    assert fold("ΌΣΟΣ") == fold("όσος")
    assert fold("ＦＵＬＬ ﬁne ①") == "full fine 1"


def test_what_the_collation_takes_for_the_same_is_found():
    """I18NLEVEL=1 (RFC 5255 4.2): any two texts that i;unicode-casemap makes equal are folded alike."""
    for point in (*range(0x80, 0x3400), *range(0xA640, 0xAC00), *range(0xF900, 0x11000), *range(0x1E900, 0x1F200)):
        character = chr(point)
        assert fold(character) == fold(casemap(character)), hex(point)


@given(st.text(max_size=12), st.text(max_size=12))
def test_each_character_is_folded_for_itself(left, right):
    """So a part of a text is found in it whatever stands beside it."""
    assert fold(left + "é" + right) == fold(left) + fold("é") + fold(right)


def test_folding_takes_time_by_length_alone(monkeypatch):
    monkeypatch.setattr("mailnode.values.casemap.CHARACTERS", 100)
    began = process_time()
    fold("\u0301\u0323" * 200_000)
    fold("".join(map(chr, range(0x4E00, 0x9FA5))))
    assert process_time() - began < 5


# IMAP trap 52: days as they were written
def test_days_are_counted_as_written():
    from mailnode.imap.messages.search_tests import day_of

    at = int(datetime(2023, 11, 6, 23, 30, tzinfo=UTC).timestamp()) * 1_000_000
    day = (date(2023, 11, 6) - date(1970, 1, 1)).days
    assert (day_of(at, 0), day_of(at, 30), day_of(at, -1440)) == (day, day + 1, day - 1)
    assert day_of(-1, 0) == -1


def test_large_messages_are_looked_through_part_by_part(make_world):
    filler = b"0123456789abcdef\r\n" * 20_000  # over PIECE
    world = make_world()
    world.put(b"Subject: one\r\nX-Other: kept\r\n\r\n" + filler + b"at the very end\r\n")
    world.put(b"Subject: two\r\n\r\nsmall, at the very end\r\n")
    world.put(
        b"Subject: three\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: image/png\r\n\r\n"
        + filler
        + b"\r\n--b\r\nContent-Type: text/plain\r\n\r\nat the very end\r\n--b--\r\n"
    )
    client = world.connect(select="INBOX")
    assert found(client, 'BODY "at the very end"') == "1 2 3"
    assert found(client, "BODY 9abcdef") == "1"
    assert found(client, "TEXT three") == "3"
    assert found(client, "BODY three") == ""
    assert found(client, "HEADER X-Other kept") == "1"
    assert found(client, 'NOT HEADER X-Other ""') == "2 3"


def test_damaged_large_messages_are_passed_over(make_world, request):
    if "sqlite" in request.node.name:
        return
    world = make_world()
    world.put(b"Subject: one\r\nX-Other: kept\r\n\r\n" + b"x" * 300_000)
    world.put(b"Subject: two\r\nX-Other: kept\r\n\r\nx")
    client = world.connect(select="INBOX")
    for blob_id, data in world.account.content.items():
        if len(data) > 1000:
            world.account.content[blob_id] = data[:100]
    assert found(client, "BODY x") == "2"


@pytest.mark.parametrize(
    ("block", "text", "expected"),
    [
        (b"Subject: Plain Words\r\n", "plain", True),
        (b"Subject: Plain Words\r\n", "n w", True),
        (b"Subject: Plain\r\n Words\r\n", "plain words", True),
        (b"Subject: Plain\r\n\tWords\r\n", "plain words", True),
        (b"Subject: Plain\r\n", "words", False),
        (b"To: words\r\nSubject: other\r\n", "words", False),
        (b"Subject: =?utf-8?q?w=6Frds?=\r\n", "words", True),
        (b"Subject: =?utf-8?b?d29yZHM=?=\r\n", "WORDS", True),
        ("Subject: \N{KELVIN SIGN}elvin\r\n".encode(), "kelvin", True),
        ("Subject: Stra\N{LATIN SMALL LETTER SHARP S}e\r\n".encode(), "strasse", True),
        (b"Subject: a\0b\r\n", "a b", True),
        (b"Subject:\r\n", "", True),
        (b"From: x\r\n", "", False),
    ],
)
def test_a_header_holds_a_text_however_it_is_written(block, text, expected):
    assert header_test(InHeader("subject", text))(block) is expected


@pytest.mark.parametrize(
    ("block", "text", "expected"),
    [
        (b"From: user-from (c)@(d) domain.org\r\n", "user-from@domain.org", True),
        (b"From: user-from (c)@(d) domain.org\r\n", "(c)@(d)", True),
        (b"From: first . last @ x . y\r\n", "first.last@x.y", True),
        (b'From: "first last"@x.y\r\n', "first last@x.y", True),
        (b'From: "a\\b" <"c\\d"@x>\r\n', "cd@x", True),
        (b"From: A (C) <a@b>\r\nTo: c(e)@d\r\n", "c@d", False),
        (b"Subject: user (c)@d\r\nFrom: a@b\r\n", "user@d", False),
    ],
)
def test_an_address_is_found_as_the_envelope_shows_it(block, text, expected):
    assert header_test(InHeader("from", text))(block) is expected


def test_text_and_body_look_everywhere(make_world):
    world = make_world()
    world.put(
        b"Subject: s\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\nbefore\r\n--B\r\n"
        b"Content-Type: text/html\r\n\r\n<a href=x:4711>here</a>\r\n--B\r\n"
        b"Content-Disposition: attachment; filename*=utf-8''%C3%BCbung.pdf\r\n\r\n.\r\n--B--\r\nbehind\r\n"
    )
    client = world.connect(select="INBOX")
    for word in ("before", "behind", "4711", "here"):
        assert client.ask(f"a SEARCH BODY {word}")[0] == client.ask(f"b SEARCH TEXT {word}")[0] == "* SEARCH 1"
    assert client.ask("d SEARCH TEXT bung.pdf")[0] == "* SEARCH 1"
    assert client.ask("e SEARCH BODY bung.pdf")[0] == "* SEARCH"


def test_flags_of_many_messages(make_world):
    world = make_world()
    for number in range(9):
        world.put(flags=FLAGGED if number % 3 else SEEN)
    client = world.connect(select="INBOX")
    assert client.ask("a SEARCH FLAGGED")[0] == "* SEARCH 2 3 5 6 8 9"
    assert client.ask("b SEARCH UNFLAGGED")[0] == "* SEARCH 1 4 7"
    assert client.ask("c SEARCH KEYWORD unknown")[0] == "* SEARCH"
    assert client.ask("d SEARCH UNKEYWORD unknown 2:3")[0] == "* SEARCH 2 3"
    assert client.ask("e SEARCH NEW")[0] == "* SEARCH 2 3 5 6 8 9"
    assert client.ask("f SEARCH OLD")[0] == "* SEARCH"


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 1.0])
def test_one_flag_is_found_wherever_its_bit_is(share):
    rng = random.Random(7)
    count = 400
    keywords = KeywordTable(tuple(f"k{number}" for number in range(MAX_KEYWORDS)))
    flags = [sum(1 << bit for bit in range(63) if rng.random() < share) for _ in range(count)]
    uids, modseqs = array("I", range(1, count + 1)), array("Q", [9] * count)
    snapshot = MailboxSnapshot(1, 1, count + 1, 9, uids, array("Q", flags), modseqs, keywords, 200)
    view = View(snapshot)
    wanted: list = [HasFlag(bit, on) for bit in (SEEN, FLAGGED, DELETED) for on in (True, False)]
    wanted += [HasKeyword(name, on) for name in (*keywords.names, "unknown") for on in (True, False)]
    wanted += [IsRecent(True), IsRecent(False)]
    for key in wanted:
        test = row_test(key, view, [])
        for candidates in (range(count), range(37, 311), range(5, 5)):
            assert flagged(key, view, candidates) == [index for index in candidates if test((), index)], key
