"""FETCH through a session: what it answers, what it reads, what it must never say."""

import gc
import os

import pytest
from imap_world import START, play

from mailnode.errors import RowsDamaged, StoreUnavailable
from mailnode.imap import fetching
from mailnode.imap.bodies import PIECE
from mailnode.imap.fetching import AHEAD
from mailnode.imap.messages.ranges import RANGE
from mailnode.net.no_reactor import run_now
from mailnode.values.flags import FLAGGED, SEEN

NESTED = (
    b"From: Fred Foobar <foobar@Blurdybloop.example>\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\n"
    b"X-Long: one\r\n\ttwo\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="A"\r\n\r\npreamble\r\n'
    b"--A\r\nContent-Type: text/plain\r\n\r\nfirst part\r\n"
    b"--A\r\nContent-Type: message/rfc822\r\n\r\n"
    b"Subject: inner\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n"
    b"--B\r\nContent-Type: text/html\r\n\r\n<p>inner one</p>\r\n"
    b"--B\r\nContent-Type: message/rfc822\r\n\r\nSubject: deep\r\n\r\ndeep body\r\n--B--\r\n"
    b"--A--\r\n"
)


@pytest.fixture
def opened(make_world):
    """Return a client that has selected an INBOX with one nested message."""

    def make(raw=NESTED, **fields):
        world = make_world()
        world.put(raw, **fields)
        client = world.connect(select="INBOX")
        client.world = world
        return client

    return make


def fetched(client, items, command="FETCH 1"):
    """Return what stands between ``FETCH (`` and the last parenthesis, and the tagged line."""
    client.send(f"t {command} {items}\r\n".encode())
    data = client.received()
    body, _, tagged = data.rpartition(b"t ")
    head = b"* 1 FETCH ("
    if not body:
        return b"", tagged
    assert body.startswith(head) and body.endswith(b")\r\n"), body
    return body[len(head) : -3], tagged


SECTIONS = [
    ("BODY.PEEK[1]", b"first part"),
    ("BODY.PEEK[1.MIME]", b"Content-Type: text/plain\r\n\r\n"),
    ("BODY.PEEK[2.HEADER]", b"Subject: inner\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n"),
    ("BODY.PEEK[2.1]", b"<p>inner one</p>"),
    ("BODY.PEEK[2.2]", b"Subject: deep\r\n\r\ndeep body"),
    ("BODY.PEEK[2.2.HEADER]", b"Subject: deep\r\n\r\n"),
    ("BODY.PEEK[2.2.TEXT]", b"deep body"),
    ("BODY.PEEK[2.2.1]", b"deep body"),
    ("BODY.PEEK[2.HEADER.FIELDS (subject X-Nope)]", b"Subject: inner\r\n\r\n"),
    ("BODY.PEEK[2.2.HEADER.FIELDS.NOT (subject)]", b"\r\n"),
    ("BODY.PEEK[HEADER.FIELDS (X-Long)]", b"X-Long: one\r\n\ttwo\r\n\r\n"),
    ("BODY.PEEK[HEADER.FIELDS (Subject)]", b"Subject: =?utf-8?q?caf=C3=A9?=\r\n\r\n"),
    ("BODY.PEEK[HEADER.FIELDS (X-None)]", b"\r\n"),
    ("BODY.PEEK[]", NESTED),
    ("BODY.PEEK[HEADER]", NESTED[: NESTED.index(b"preamble")]),
    ("BODY.PEEK[TEXT]", NESTED[NESTED.index(b"preamble") :]),
    ("RFC822.HEADER", NESTED[: NESTED.index(b"preamble")]),
]


# IMAP trap 32: through a session
@pytest.mark.parametrize(("item", "expected"), SECTIONS)
def test_sections(opened, item, expected):
    label = item.replace(".PEEK", "").encode()
    got, tagged = fetched(opened(), item)
    assert got == b"%b {%d}\r\n%b" % (label, len(expected), expected)
    assert tagged == b"OK FETCH completed\r\n"


# IMAP trap 29: chunks of every section
@pytest.mark.parametrize(("item", "expected"), SECTIONS)
@pytest.mark.parametrize("step", [1, 7, 1000])
def test_a_walk_of_partials_is_the_whole(opened, item, expected, step):
    if item.startswith("RFC822"):
        return
    client = opened()
    label = item.replace(".PEEK", "").encode()
    for origin in [*range(0, len(expected), step)][-40:]:
        piece = expected[origin : origin + step]
        got, _ = fetched(client, f"{item}<{origin}.{step}>")
        assert got == b"%b<%d> {%d}\r\n%b" % (label, origin, len(piece), piece)
    got, _ = fetched(client, f"{item}<{len(expected)}.5>")
    assert got == b"%b<%d> {0}\r\n" % (label, len(expected))
    got, _ = fetched(client, f"{item}<4294967295.4294967295>")
    assert got == b"%b<4294967295> {0}\r\n" % label


# IMAP trap 29: no octets are BAD
def test_zero_octets_are_not_a_partial(opened):
    assert fetched(opened(), "BODY.PEEK[]<0.0>")[1].startswith(b"BAD")


@pytest.mark.parametrize("item", ["BODY.PEEK[3]", "BODY.PEEK[1.HEADER]", "BODY.PEEK[2.1.TEXT]", "BODY.PEEK[9.MIME]"])
def test_parts_that_are_not_there_are_nil(opened, item):
    got, tagged = fetched(opened(), item)
    assert got == item.replace(".PEEK", "").encode() + b" NIL"
    assert tagged.startswith(b"OK")


def test_prefix_stands_before_the_blob(opened):
    prefix = b"Return-Path: <a@b>\r\nDelivered-To: c@d\r\n"
    client = opened(b"Subject: s\r\n\r\nbody", prefix=prefix)
    whole = prefix + b"Subject: s\r\n\r\nbody"
    assert fetched(client, "BODY.PEEK[]")[0] == b"BODY[] {%d}\r\n%b" % (len(whole), whole)
    assert fetched(client, "RFC822.SIZE")[0] == b"RFC822.SIZE %d" % len(whole)
    got = fetched(client, "BODY.PEEK[HEADER.FIELDS (Return-Path Subject)]")[0]
    assert got.endswith(b"{34}\r\nReturn-Path: <a@b>\r\nSubject: s\r\n\r\n")
    assert fetched(client, "BODY.PEEK[]<3.20>")[0] == b"BODY[]<3> {20}\r\n" + whole[3:23]
    assert fetched(client, "BODY.PEEK[1.MIME]")[0].endswith(b"Subject: s\r\n\r\n")


# IMAP trap 31: names as they were sent
def test_field_names_are_echoed_as_sent(opened):
    got, _ = fetched(opened(), 'BODY.PEEK[HEADER.FIELDS (sUbJeCt "x y" From)]')
    assert got.startswith(b'BODY[HEADER.FIELDS (sUbJeCt "x y" From)] {')


# IMAP trap 30: old forms too
@pytest.mark.parametrize(
    ("item", "sets"),
    [
        ("BODY[]", True),
        ("BODY[1]", True),
        ("BODY[HEADER.FIELDS (Subject)]", True),
        ("BODY[TEXT]<0.2>", True),
        ("RFC822", True),
        ("RFC822.TEXT", True),
        ("RFC822.HEADER", False),
        ("BODY.PEEK[]", False),
        ("BODY", False),
        ("ENVELOPE", False),
    ],
)
def test_what_sets_seen(opened, item, sets):
    client = opened()
    got, tagged = fetched(client, item)
    assert got.endswith(b" FLAGS (\\Seen \\Recent)") == sets
    assert tagged == b"OK FETCH completed\r\n"
    assert run_now(client.world.box().snapshot()).flags[0] == (SEEN if sets else 0)
    assert b"\\Seen" in fetched(client, "FLAGS")[0] or not sets


def test_seen_is_reported_once_and_together(opened):
    client = opened()
    got, _ = fetched(client, "(FLAGS BODY[2.1])")
    assert got == b"FLAGS (\\Seen \\Recent) BODY[2.1] {16}\r\n<p>inner one</p>"
    assert client.ask("n NOOP") == ["n OK NOOP completed"]


# IMAP trap 30: not with EXAMINE
def test_examine_sets_nothing(make_world):
    world = make_world()
    world.put()
    client = world.connect()
    client.ask("e EXAMINE INBOX")
    assert b"Seen" not in fetched(client, "BODY[]")[0]
    assert run_now(world.box().snapshot()).flags[0] == 0


def test_metadata_never_opens_a_blob(make_world, request):
    if "sqlite" in request.node.name:
        return
    world = make_world()
    world.put(NESTED)
    client = world.connect(select="INBOX (CONDSTORE)")
    items = "UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE MODSEQ BODY.PEEK[HEADER.FIELDS (From Date)]"
    assert fetched(client, f"({items})")[1].startswith(b"OK")
    assert world.account.reads == 0
    assert fetched(client, "BODY.PEEK[HEADER.FIELDS (From X-Long)]")[1].startswith(b"OK")
    assert world.account.reads == 1


# IMAP trap 37: each item, once
def test_items(opened):
    client = opened(b"Subject: s\r\n\r\nbody\r\n", internaldate=int(START) * 1_000_000, internaldate_offset=-330)
    assert fetched(client, "ALL")[0] == (
        b'FLAGS (\\Recent) INTERNALDATE "14-Nov-2023 16:43:20 -0530" RFC822.SIZE 20 '
        b'ENVELOPE (NIL "s" NIL NIL NIL NIL NIL NIL NIL NIL)'
    )
    assert fetched(client, "(UID UID FLAGS)")[0] == b"UID 1 FLAGS (\\Recent)"
    assert fetched(client, "(FLAGS)", "UID FETCH 1")[0] == b"UID 1 FLAGS (\\Recent)"
    assert fetched(client, "(FLAGS UID)", "UID FETCH 1")[0] == b"FLAGS (\\Recent) UID 1"


# IMAP trap 37: BAD before anything is said
@pytest.mark.parametrize("items", ["(FLAGS BOGUS)", "BODY[1.2", "ALL FLAGS", "(FAST FLAGS)", "BODY[HEADER.FIELDS ()]"])
def test_bad_items_say_nothing_first(opened, items):
    got, tagged = fetched(opened(), items)
    assert got == b"" and tagged.startswith(b"BAD")


# IMAP trap 20: stars, reversed, missing, in an empty mailbox
def test_numbers(make_world):
    def make():
        world = make_world()
        for _ in range(4):
            world.put()
        world.expunge(2)
        world.connect(select="INBOX")
        world.connect("empty", select="Trash")
        return world

    play(
        make,
        """
        C: a UID FETCH 9:* UID
        S: * 3 FETCH (UID 4)
        S: a OK FETCH completed
        C: b UID FETCH *:3 UID
        S: * 2 FETCH (UID 3)
        S: * 3 FETCH (UID 4)
        S: b OK FETCH completed
        C: c UID FETCH 2,7:8 UID
        S: c OK FETCH completed
        C: d FETCH 4 UID
        S: d BAD No such message number
        C: e FETCH 3:4 UID
        S: e BAD No such message number
        C: f FETCH *,1 UID
        S: * 1 FETCH (UID 1)
        S: * 3 FETCH (UID 4)
        S: f OK FETCH completed
        C: g FETCH 3:1,2,2 UID
        S: * 1 FETCH (UID 1)
        S: * 2 FETCH (UID 3)
        S: * 3 FETCH (UID 4)
        S: g OK FETCH completed
        Cempty: a FETCH 1:* UID
        Sempty: a OK FETCH completed
        Cempty: b UID FETCH 1:* UID
        Sempty: b OK FETCH completed
        Cempty: c FETCH 1 UID
        Sempty: c BAD No such message number
        """,
    )


def damage(world):
    """Lose the bytes of every message."""
    if hasattr(world.account, "content"):
        world.account.content.clear()
    else:
        run_now(world.engine.write("mail-00", lambda tx: tx.execute("DELETE FROM blob")))
        world.store.recent.clear()


# IMAP trap 55: missing
def test_a_missing_blob_is_no_and_never_other_octets(opened):
    client = opened()
    damage(client.world)
    assert client.ask("a FETCH 1 (FLAGS BODY[])") == ["a NO [CORRUPTION] A message could not be read"]
    assert run_now(client.world.box().snapshot()).flags[0] == 0, "not read, not seen"
    assert fetched(client, "ENVELOPE")[1].startswith(b"OK")
    assert not client.closed


# IMAP trap 55: short
def test_a_short_blob_is_no(make_world, request):
    if "sqlite" in request.node.name:
        return
    world = make_world()
    world.put(NESTED)
    world.put(b"Subject: whole\r\n\r\nwhole\r\n")
    for blob_id, data in list(world.account.content.items()):
        if data == NESTED:
            world.account.content[blob_id] = data[:-5]
    client = world.connect(select="INBOX")
    client.send(b"t FETCH 1:2 BODY.PEEK[TEXT]\r\n")
    assert (
        client.received()
        == b"* 2 FETCH (BODY[TEXT] {7}\r\nwhole\r\n)\r\nt NO [CORRUPTION] A message could not be read\r\n"
    )


@pytest.mark.parametrize("size", [100_000, PIECE * 2])
@pytest.mark.parametrize("trouble", ["missing", "short", "a directory", "another message"])
def test_a_file_that_cannot_be_read_keeps_nobody_from_the_others(file_world, size, trouble):
    world = file_world
    raws = [b"Subject: x%d\r\n\r\n" % number + os.urandom(size).hex().encode() for number in range(3)]
    for raw in raws:
        world.put(raw)
    _, second, third = (row[1].blob_id for row in run_now(world.box().rows([1, 2, 3], ("blob",))))
    path, other = (world.store._partitions[0].blobs.path(blob_id) for blob_id in (second, third))
    content = path.read_bytes()
    path.unlink()
    world.store.recent.clear()
    if trouble == "short":
        path.write_bytes(content[:-5])
    elif trouble == "a directory":
        path.mkdir()
    elif trouble == "another message":
        path.write_bytes(other.read_bytes()[:-1])
    client = world.connect(select="INBOX")
    client.send(b"t FETCH 1:3 (UID BODY.PEEK[])\r\n")
    lengths = [len(raw) for raw in raws]
    assert client.received() == (
        b"* 1 FETCH (UID 1 BODY[] {%d}\r\n%b)\r\n" % (lengths[0], raws[0])
        + b"* 3 FETCH (UID 3 BODY[] {%d}\r\n%b)\r\n" % (lengths[2], raws[2])
        + b"t NO [CORRUPTION] A message could not be read\r\n"
    )
    assert len(client.ask("t FETCH 1:3 (RFC822.SIZE ENVELOPE BODYSTRUCTURE FLAGS)")) == 4


def test_damage_late_in_a_large_file_breaks_one_connection_only(file_world):
    world = file_world
    for number in range(2):
        world.put(b"Subject: x%d\r\n\r\n" % number + os.urandom(3 * PIECE))
    ((_, ref),) = run_now(world.box().rows([1], ("blob",)))
    path = world.store._partitions[0].blobs.path(ref.blob_id)
    content = bytearray(path.read_bytes())
    content[-PIECE] ^= 1
    path.write_bytes(content)
    client = world.connect("one", select="INBOX")
    client.send(b"t FETCH 1:2 (BODY.PEEK[])\r\n")
    assert client.pump.closed and b"t OK" not in client.received()  # a literal's size was promised
    again = world.connect("two", select="INBOX")
    again.send(b"t FETCH 1:2 (BODY.PEEK[])\r\n")
    received = again.received()
    assert received.startswith(b"* 2 FETCH (BODY[] {")
    assert received.endswith(b")\r\nt NO [CORRUPTION] A message could not be read\r\n")


def test_facts_that_cannot_be_read_keep_nobody_from_the_others(make_world, monkeypatch):
    world = make_world()
    for _ in range(3):
        world.put()
    client = world.connect(select="INBOX")
    box = type(client.session.mailbox.mailbox)
    rows = box.rows

    async def some(self, uids, columns, keep=False):
        found = [row for row in await rows(self, uids, columns) if row[0] != 2]
        raise RowsDamaged("gone", found)

    monkeypatch.setattr(box, "rows", some)
    lines = client.ask("t FETCH 1:3 (UID ENVELOPE INTERNALDATE)")
    assert [line[:5] for line in lines] == ["* 1 F", "* 3 F", "t NO "]
    assert "CORRUPTION" in lines[-1]


def test_only_of_few_messages_what_is_read_is_kept(make_world, monkeypatch):
    world = make_world()
    for _ in range(RANGE + 2):
        world.put()
    client = world.connect(select="INBOX")
    box = type(client.session.selected.mailbox)
    rows = box.rows
    kept = []

    async def noted(self, uids, columns, keep=False):
        kept.append((len(uids), keep))
        return await rows(self, uids, columns, keep)

    monkeypatch.setattr(box, "rows", noted)
    client.ask("t FETCH 1:2 BODY.PEEK[HEADER.FIELDS (FROM)]")
    client.ask("t FETCH 1:* BODY.PEEK[HEADER.FIELDS (FROM)]")
    assert kept == [(2, True), (RANGE, False), (2, False)]
    kept.clear()
    client.ask("t FETCH 1:70 BODY.PEEK[]")
    monkeypatch.setattr(fetching, "KEPT", 69)
    client.ask("t FETCH 1:70 BODY.PEEK[]")
    assert [keep for _, keep in kept] == [True, True, False, False]


def test_large_bodies_come_in_pieces(make_world):
    body = b"".join(b"%07d\r\n" % i for i in range(100_000))
    raw = b"Subject: large\r\n\r\n" + body
    world = make_world(append_limit=10**7)
    world.put(raw, prefix=b"X-P: 1\r\n")
    client = world.connect(select="INBOX")
    sizes = []
    write = client.transport.write
    client.transport.write = lambda data: (sizes.append(len(data)), write(data))
    got, _tagged = fetched(client, "BODY[]")
    assert got == b"BODY[] {%d}\r\nX-P: 1\r\n%b FLAGS (\\Seen \\Recent)" % (len(raw) + 8, raw)
    assert max(sizes) <= PIECE + 200 and len(sizes) > 3
    got, _ = fetched(client, f"BODY[TEXT]<{PIECE - 5}.{PIECE + 11}>")
    assert got == b"BODY[TEXT]<%d> {%d}\r\n" % (PIECE - 5, PIECE + 11) + body[PIECE - 5 : 2 * PIECE + 6]


# IMAP trap 55: that ends early
def test_a_large_blob_that_ends_early_breaks_the_connection(make_world, request):
    if "sqlite" in request.node.name:
        return
    world = make_world()
    world.put(b"Subject: x\r\n\r\n" + b"y" * PIECE * 3)
    client = world.connect(select="INBOX")
    (blob_id,) = world.account.content
    world.account.content[blob_id] = world.account.content[blob_id][: PIECE * 2]
    client.send(b"t FETCH 1 BODY.PEEK[]\r\n")
    assert b"t OK" not in client.received() and client.pump.closed


# IMAP trap 9: a bounded buffer
def test_a_slow_reader_holds_no_memory_and_stops_the_reading(make_world):
    world = make_world()
    for _ in range(3):
        world.put(b"Subject: x\r\n\r\n" + b"y" * PIECE * 4)
    client = world.connect(select="INBOX")
    client.pump.pauseProducing()
    client.send(b"t FETCH 1:3 BODY.PEEK[]\r\nu NOOP\r\n")
    assert len(client.received()) < PIECE * 2
    total = b""
    for _ in range(100):
        client.pump.resumeProducing()
        client.pump.pauseProducing()
        total += client.received()
    client.pump.resumeProducing()
    total += client.received()
    assert total.endswith(b"t OK FETCH completed\r\nu OK NOOP completed\r\n")


# IMAP trap 9: nobody is fetched for
def test_a_lost_connection_ends_a_long_fetch(make_world):
    world = make_world()
    world.put(b"Subject: x\r\n\r\n" + b"y" * PIECE * 4)
    client = world.connect(select="INBOX")
    client.pump.pauseProducing()
    client.send(b"t FETCH 1 BODY.PEEK[]\r\n")
    client.lose()
    assert client.session.selected is None
    assert world.logins.standing == 0
    assert not world.clock.getDelayedCalls()


def test_many_messages_give_others_their_turn(make_world):
    world = make_world()
    for _ in range(700):
        world.put()
    client = world.connect(select="INBOX")
    client.ask("a NOOP")

    def later():
        world.clock.rightNow += 0.05
        return world.clock.rightNow

    client.session.services.clock.seconds = later
    client.send(b"t FETCH 1:* RFC822.SIZE\r\n")
    first = client.received()
    assert 0 < first.count(b"FETCH") < 700 and b"t OK" not in first
    rest = b""
    for _ in range(20):
        world.clock.advance(0)
        rest += client.received()
    assert (first + rest).count(b" FETCH (") == 700 and rest.endswith(b"t OK FETCH completed\r\n")


def lines_of(client, command):
    client.send(b"t " + command + b"\r\n")
    lines = client.received().split(b"\r\n")
    assert lines[-2:] == [b"t OK FETCH completed", b""]
    return lines[:-2]


def test_long_answers_come_in_order_and_whole(make_world):
    world = make_world()
    for number in range(1200):
        world.put(b"Subject: x\r\n\r\n" + b"y" * number)
    client = world.connect(select="INBOX")
    wanted = [b"* %d FETCH (RFC822.SIZE %d)" % (n + 1, n + 14) for n in range(1200)]
    assert lines_of(client, b"FETCH 1:* RFC822.SIZE") == wanted
    assert lines_of(client, b"FETCH 1000,1:2 RFC822.SIZE") == [*wanted[:2], wanted[999]]
    # gaps, and one that is gone and may not be told of yet: it is answered for as long as it is kept
    for uid in (1, 600, 601, 1200):
        world.expunge(uid)
    client.ask("a NOOP")
    left = [n for n in range(1200) if n not in (0, 599, 600, 1199)]
    wanted = [b"* %d FETCH (UID %d RFC822.SIZE %d)" % (at, n + 1, n + 14) for at, n in enumerate(left, 1)]
    assert lines_of(client, b"UID FETCH 1:* RFC822.SIZE") == wanted
    world.expunge(700)
    assert lines_of(client, b"FETCH 1:* (UID RFC822.SIZE)") == wanted
    assert lines_of(client, b"UID FETCH 1:* RFC822.SIZE") == [*wanted, b"* %d EXPUNGE" % (left.index(699) + 1)]


# IMAP trap 12: answered as long as it is kept
def test_what_was_expunged_meanwhile_is_answered_from_rows(make_world, monkeypatch):
    world = make_world()
    for _ in range(5):
        world.put()
    client = world.connect(select="INBOX")
    wanted = lines_of(client, b"FETCH 1:* RFC822.SIZE")
    box = client.session.selected.mailbox
    rendered = type(box).rendered

    async def too_late(self, uids, number, pieces):
        world.expunge(3)
        return await rendered(self, uids, number, pieces)

    monkeypatch.setattr(type(box), "rendered", too_late)
    assert lines_of(client, b"FETCH 1:* RFC822.SIZE")[:5] == wanted


def test_trouble_with_what_is_read_ahead(make_world, monkeypatch):
    world = make_world()
    for _ in range(1100):
        world.put()
    client = world.connect(select="INBOX")
    box = client.session.selected.mailbox
    rendered = type(box).rendered
    asked = []

    async def fails(self, uids, number, pieces):
        asked.append(number)
        if len(asked) > 1:
            raise StoreUnavailable
        return await rendered(self, uids, number, pieces)

    monkeypatch.setattr(type(box), "rendered", fails)
    client.send(b"t FETCH 1:* RFC822.SIZE\r\n")
    answer = client.received()
    assert answer.count(b" FETCH (") == 512 and b"\r\nt NO [UNAVAILABLE]" in answer
    client.pump.pauseProducing()
    client.send(b"u FETCH 1:* RFC822.SIZE\r\n")
    client.lose()
    gc.collect()
    assert client.session.selected is None


# IMAP trap 36: NUL
def test_nul_never_leaves_in_a_literal(opened):
    client = opened(b"Subject: a\0b\r\n\r\nx\0y\r\n")
    got, _ = fetched(client, "(ENVELOPE BODY[] BODY[TEXT]<1.1> BODY.PEEK[HEADER.FIELDS (Subject)])")
    assert b"\0" not in got and b"x\x80y" in got and b"BODY[TEXT]<1> {1}\r\n\x80" in got


def test_a_store_that_cannot_write_keeps_nobody_from_reading(make_world, request):
    from mailnode.errors import StoreUnavailable

    if "sqlite" in request.node.name:
        return
    world = make_world()
    world.put(NESTED)
    client = world.connect(select="INBOX")
    world.account.broken = StoreUnavailable("full")
    got, tagged = fetched(client, "BODY[1]")
    assert got == b"BODY[1] {10}\r\nfirst part" and tagged.startswith(b"OK")
    assert client.ask("s STORE 1 +FLAGS (\\Seen)") == [
        "s NO [UNAVAILABLE] Mail storage is unavailable, try again later"
    ]


def test_unknown_trouble_is_temporary_and_the_session_goes_on(make_world, request):
    if "sqlite" in request.node.name:
        return
    world = make_world()
    world.put()
    client = world.connect(select="INBOX")
    world.account.broken = ZeroDivisionError("boom")
    assert client.ask("s STORE 1 +FLAGS (\\Seen)") == ["s NO [UNAVAILABLE] Temporary trouble, try again later"]
    world.account.broken = None
    assert client.ask("s STORE 1 +FLAGS (\\Seen)")[-1] == "s OK STORE completed"


# IMAP trap 12: another message never
def test_two_messages_are_never_mixed_up(make_world):
    world = make_world()
    bodies = {}
    for number in range(1, 301):
        bodies[number] = b"Subject: n%d\r\n\r\nbody of %d\r\n" % (number, number)
        assert world.put(bodies[number]) == number
    client = world.connect(select="INBOX")
    world.expunge(*range(2, 300, 3))
    client.send(b"t FETCH 1:* (UID BODY.PEEK[])\r\n")
    expected = b"".join(b"* %d FETCH (UID %d BODY[] {%d}\r\n%b)\r\n" % (n, n, len(b), b) for n, b in bodies.items())
    assert client.received() == expected + b"t OK FETCH completed\r\n"


def test_flags_of_the_view_not_of_the_moment(make_world):
    """A hint that came is taken in before the answer; flags and what is announced later agree."""
    world = make_world()
    world.put()
    client = world.connect(select="INBOX")
    world.flag(1, "add", FLAGGED)
    assert client.ask("a FETCH 1 FLAGS") == ["* 1 FETCH (FLAGS (\\Flagged \\Recent))", "a OK FETCH completed"]
    assert client.ask("b NOOP") == ["b OK NOOP completed"]


@pytest.mark.parametrize("item", ["BODY.PEEK[HEADER.FIELDS (X-{})]", "BODY.PEEK[]<{}.99999999>"])
def test_many_items_give_others_their_turn_and_are_not_held_together(make_world, item, monkeypatch):
    world = make_world()
    world.put(b"Subject: x\r\n" + b"X-Y: z\r\n" * 10 + b"\r\n" + b"y" * (PIECE - 1000))
    client = world.connect(select="INBOX")
    turns, sizes = [], []
    call_later, write = world.clock.callLater, client.transport.write

    def later():
        world.clock.rightNow += 0.05
        return world.clock.rightNow

    def begin(delay, callback, *arguments):
        turns.append(delay)
        return call_later(delay, callback, *arguments)

    def taken(data):
        sizes.append(len(data))
        write(data)

    monkeypatch.setattr(world.clock, "seconds", later)
    monkeypatch.setattr(world.clock, "callLater", begin)
    monkeypatch.setattr(client.transport, "write", taken)
    client.send(f"t FETCH 1 ({' '.join(item.format(number) for number in range(40))})\r\n".encode())
    world.clock.advance(0)
    assert client.received().endswith(b"t OK FETCH completed\r\n")
    assert turns.count(0) >= 40 and max(sizes) < 3 * PIECE


def test_many_items_of_a_large_message_are_not_held_together(make_world, monkeypatch):
    world = make_world()
    world.put(b"Subject: x\r\n\r\n" + b"y" * 4 * PIECE)
    client = world.connect(select="INBOX")
    read, held, most = type(world.box()).read, [0], [0]
    write = client.transport.write

    async def reading(self, blob, offset=0, length=None):
        held[0] += length
        most[0] = max(most[0], held[0])
        return await read(self, blob, offset, length)

    def taken(data):
        held[0] = 0
        write(data)

    monkeypatch.setattr(type(world.box()), "read", reading)
    monkeypatch.setattr(client.transport, "write", taken)
    client.send(f"t FETCH 1 ({' '.join(f'BODY.PEEK[]<{number}.{PIECE}>' for number in range(40))})\r\n".encode())
    world.clock.advance(0)
    received = client.received()
    assert received.endswith(b"t OK FETCH completed\r\n") and received.count(b"BODY[]<") == 40
    assert most[0] <= AHEAD + 3 * PIECE


def test_damage_behind_what_is_read_ahead_breaks_the_connection(make_world, request):
    if "sqlite" in request.node.name:
        return
    world = make_world()
    world.put(b"Subject: x\r\n\r\n" + b"y" * 8 * PIECE)
    client = world.connect(select="INBOX")
    (blob_id,) = world.account.content
    world.account.content[blob_id] = world.account.content[blob_id][: PIECE * 7]
    items = " ".join(f"BODY.PEEK[]<{number * PIECE}.{PIECE}>" for number in range(8))
    client.send(f"t FETCH 1 ({items})\r\n".encode())
    received = client.received()
    assert received.startswith(b"* 1 FETCH (BODY[]<0> {") and b"t " not in received and client.pump.closed


def test_hundreds_of_choices_from_a_large_header_look_through_it_once(make_world, monkeypatch):
    world = make_world()
    world.put(b"".join(b"X-%d: %d\r\n" % (number, number) for number in range(20_000)) + b"\r\n")
    client = world.connect(select="INBOX")
    looks = []
    look = fetching.FieldIndex
    monkeypatch.setattr(fetching, "FieldIndex", lambda header: looks.append(len(header)) or look(header))
    items = " ".join(f"BODY.PEEK[HEADER.FIELDS (X-{number})]" for number in range(900))
    client.send(f"t FETCH 1 ({items})\r\n".encode())
    world.clock.advance(0)
    received = client.received()
    assert received.endswith(b"t OK FETCH completed\r\n") and len(looks) == 1
    assert all(b"\r\nX-%d: %d\r\n\r\n" % (number, number) in received for number in range(900))


def test_parts_of_what_a_fetch_names(make_world):
    """PARTIAL (RFC 9394 3.3 and 3.4): of what the set names, before CHANGEDSINCE."""

    def make():
        world = make_world()
        for _ in range(9):
            world.put()
        world.expunge(4, 5)
        world.flag(3, "add", SEEN)
        world.flag(8, "add", SEEN)
        world.connect(select="INBOX")
        return world

    play(
        make,
        """
        C: a UID FETCH 1:* (UID) (PARTIAL -1:-2)
        S: * 6 FETCH (UID 8)
        S: * 7 FETCH (UID 9)
        S: a OK FETCH completed
        C: b UID FETCH 2:5,7:8 UID (PARTIAL 3:2)
        S: * 3 FETCH (UID 3)
        S: * 5 FETCH (UID 7)
        S: b OK FETCH completed
        C: c FETCH 1:3,6 UID (partial 4:9)
        S: * 6 FETCH (UID 8)
        S: c OK FETCH completed
        C: d UID FETCH 1:* UID (PARTIAL 8:9)
        S: d OK FETCH completed
        C: e UID FETCH 77 UID (PARTIAL -1:-9)
        S: e OK FETCH completed
        C: f SEARCH RETURN (SAVE) 2 4 OR 6
        S: f BAD …
        C: g SEARCH RETURN (SAVE) OR 2 OR 4 6
        S: g OK SEARCH completed
        C: h UID FETCH $ UID (PARTIAL -1:-2)
        S: * 4 FETCH (UID 6)
        S: * 6 FETCH (UID 8)
        S: h OK FETCH completed
        C: i FETCH 1 UID (PARTIAL 1:2 PARTIAL 1:2)
        S: i BAD …
        C: j FETCH 1 UID (PARTIAL -1:2)
        S: j BAD …
        C: k FETCH 1 UID (PARTIAL)
        S: k BAD …
        """,
    )


def test_a_part_is_taken_before_changes_are(make_world):
    world = make_world()
    for _ in range(6):
        world.put()
    client = world.connect(select="INBOX")
    since = run_now(world.box().snapshot(False)).highest_modseq
    world.flag(2, "add", SEEN)
    world.flag(5, "add", SEEN)
    client.ask("a NOOP")
    for modifiers in (f"PARTIAL -1:-3 CHANGEDSINCE {since}", f"CHANGEDSINCE {since} PARTIAL -1:-3"):
        said = [line for line in client.ask(f"b UID FETCH 1:6 (UID) ({modifiers})") if "FETCH (" in line]
        assert len(said) == 1
        assert said[0].startswith("* 5 FETCH (UID 5 MODSEQ (")
