"""SEARCH finds the same with the index as without it, whatever is looked for in whatever messages."""

from __future__ import annotations

import base64
import quopri
import random

import pytest
from imap_world import World

from mailnode.errors import BlobDamaged, StoreUnavailable
from mailnode.imap import indexed
from mailnode.imap.commands import matching as search
from mailnode.net.no_reactor import run_now
from mailnode.store.facades import search_index as facade
from mailnode.store.facades.search_index import SearchIndex
from mailnode.store.units import search_index
from mailnode.upkeep.indexer import ROUND, Indexer

WORDS = [
    "apple",
    "Pear",
    "plum-tree",
    "Stra\u00dfe",
    "STRASSE",
    "\u0130stanbul",
    "caf\u00e9",
    "cafe\u0301",
    "\u6f22\u5b57\u3001\u4eee\u540d",
    "a",
    "to",
    "--",
]
WORDS += [
    "x" * 70,
    "0123456789abcdef" * 6,
    "user@host.example",
    "\U0001f600",
    "na\u00efve",
    "e-mail",
    "_under_",
    "don't",
    "100%",
    "\u017fhort",
]
CHARSETS = ("utf-8", "latin-1", "utf-16", "gb18030", "iso-8859-15", "unknown-1", "")


def text(chance: random.Random) -> str:
    return chance.choice((" ", "\r\n", ", ", "")).join(chance.choices(WORDS, k=chance.randint(0, 8)))


def encoded_word(chance: random.Random, words: str) -> bytes:
    data = words.replace("\r\n", " ").encode("utf-8", "replace")
    if chance.random() < 0.3:
        return data
    if chance.random() < 0.5:
        return b"=?utf-8?b?" + base64.b64encode(data) + b"?="
    return b"=?UTF-8*en?Q?" + b"".join(b"=%02X" % octet for octet in data) + b"?="


def body(chance: random.Random, depth: int = 0) -> bytes:
    """A MIME entity, header and body, well-formed or not."""
    kind = chance.choice(("plain", "html", "base64", "qp", "multipart", "message", "binary", "broken"))
    charset = chance.choice(CHARSETS)
    try:
        octets = text(chance).encode(charset if charset and charset != "unknown-1" else "utf-8", "replace")
    except LookupError:
        octets = b""
    of = b"; charset=" + charset.encode() if charset else b""
    if kind == "html":
        words = text(chance).encode()
        return b"Content-Type: text/html%b\r\n\r\n<p title='%b'>a<b>b</b>c &amp; %b</p><script>s</script>" % (
            of,
            words,
            octets,
        )
    if kind == "base64":
        return b"Content-Type: text/plain%b\r\nContent-Transfer-Encoding: base64\r\n\r\n" % of + base64.encodebytes(
            octets
        )
    if kind == "qp":
        return (
            b"Content-Type: text/plain%b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" % of
            + quopri.encodestring(octets)
        )
    if kind == "multipart" and depth < 3:
        boundary = b"B%d" % depth
        parts = b"".join(b"\r\n--%b\r\n%b" % (boundary, body(chance, depth + 1)) for _ in range(chance.randint(0, 3)))
        end = chance.choice((b"\r\n--%b--\r\n" % boundary, b""))
        return b"Content-Type: multipart/mixed; boundary=%b\r\n\r\n%b%b%b%b" % (boundary, octets, parts, end, octets)
    if kind == "message" and depth < 3:
        return b"Content-Type: message/rfc822\r\n\r\n" + message(chance, depth + 1)
    if kind == "binary":
        name = encoded_word(chance, text(chance))
        return b'Content-Type: application/pdf; name="%b"\r\n\r\n%b' % (name.replace(b'"', b""), octets)
    if kind == "broken":
        return chance.choice((b"Content-Type: text/plain; charset\r\n", b"no header", b"\r\n\0\xff\xfe=?x?q?")) + octets
    return b"Content-Type: text/plain%b\r\n\r\n" % of + octets


def message(chance: random.Random, depth: int = 0) -> bytes:
    lines = []
    for name in chance.sample(["From", "to", "SUBJECT", "Cc", "X-Other", "Received", "Reply-To", "List-Id"], k=4):
        value = encoded_word(chance, text(chance))
        if name in ("From", "to", "Cc"):
            value = chance.choice((b"%b <a.b@c.test>", b"a . b @ c.test (%b)", b'"%b" <x@y.test>', b"%b")) % value
        lines.append(name.encode() + b": " + value.replace(b"\r\n", b"\r\n ") + b"\r\n")
    return b"".join(lines) + body(chance, depth)


def needle(chance: random.Random, messages: list[bytes]) -> bytes:
    """Something that may stand in a message: part of a word, of a text, of the octets themselves."""
    if chance.random() < 0.5:
        words = text(chance)
        begin = chance.randrange(len(words) + 1)
        found = words[begin : begin + chance.randint(1, 12)].encode()
    else:
        raw = chance.choice(messages)
        begin = chance.randrange(len(raw) + 1)
        found = raw[begin : begin + chance.choice((1, 3, 6, 20, 70))].decode("utf-8", "ignore").encode()
    return found.replace(b"\0", b"") or b"apple"


def key(chance: random.Random, messages: list[bytes], depth: int = 0) -> bytes:
    kind = chance.choice(
        ("TEXT", "BODY", "SUBJECT", "FROM", "TO", "HEADER X-Other", "HEADER Received", "NOT", "OR", "AND")
    )
    if depth < 3 and kind == "NOT":
        return b"NOT " + key(chance, messages, depth + 1)
    if depth < 3 and kind in ("OR", "AND"):
        left, right = key(chance, messages, depth + 1), key(chance, messages, depth + 1)
        return b"OR %b %b" % (left, right) if kind == "OR" else b"(%b %b FLAGGED)" % (left, right)
    if kind in ("NOT", "OR", "AND"):
        return chance.choice((b"SEEN", b"LARGER 300", b"UNFLAGGED"))
    literal = needle(chance, messages)
    return kind.encode() + b" {%d+}\r\n%b" % (len(literal), literal)


class IndexedWorld:
    """A world whose searches go through the index when it is there."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.index = SearchIndex(world.engine, world.store.partition, 1)
        object.__setattr__(world.services, "index", self.index)
        self.indexer = Indexer(self.index, world.store, world.hints, world.processes, world.clock)

    def make_index(self):
        self.indexer.start()
        for _ in range(40):
            self.world.clock.advance(ROUND / 4)
        run_now(self.indexer.stop())

    def search(self, client, keys: bytes, indexed: bool = True) -> bytes:
        object.__setattr__(self.world.services, "index", self.index if indexed else None)
        [answer, done] = client.ask("a UID SEARCH CHARSET UTF-8 " + keys.decode())
        assert done.startswith("a OK"), done
        return answer


@pytest.fixture
def indexed_world(file_world, monkeypatch):
    for name, value in {"LEAST": 0, "OF_ROWS": 1e9, "OF_MESSAGE": 1e9}.items():
        monkeypatch.setattr(indexed, name, value)

    def wrong(log, event, **fields):
        raise AssertionError(f"{event}: what the messages say hid it")

    monkeypatch.setattr(indexed, "emit", wrong)
    return IndexedWorld(file_world)


def counting_opened(monkeypatch):
    """Return the list of how many messages are opened by each step."""
    opened = []
    read_small = search.read_small

    async def counted(mailbox, blobs, contents, keep=False):
        opened.append(len(blobs))
        return await read_small(mailbox, blobs, contents, keep)

    monkeypatch.setattr(search, "read_small", counted)
    return opened


@pytest.mark.parametrize("seed", range(12))
def test_the_same_is_found_with_the_index_and_without(indexed_world, seed, monkeypatch):
    chance = random.Random(seed)
    monkeypatch.setattr(search_index, "MESSAGES", chance.choice((1, 7, 256)))
    world = indexed_world.world
    messages = [message(chance) for _ in range(60)]
    for raw in messages[:45]:
        world.put(raw, flags=chance.choice((0, 0x08)))
    indexed_world.make_index()
    for raw in messages[45:]:  # not indexed
        world.put(raw)
    world.expunge(*chance.sample(range(1, 46), k=5))
    client = world.connect(select="INBOX")
    for _ in range(60):
        asked = key(chance, messages)
        expected = indexed_world.search(client, asked, indexed=False)
        assert indexed_world.search(client, asked) == expected, asked


def test_only_what_may_hold_the_text_is_opened(indexed_world, monkeypatch):
    world = indexed_world.world
    for number in range(50):
        world.put(b"Subject: s%d\r\n\r\nword%d in the text\r\n" % (number, number))
    indexed_world.make_index()
    world.put(b"Subject: new\r\n\r\nnothing\r\n")
    client = world.connect(select="INBOX")
    opened = counting_opened(monkeypatch)
    assert indexed_world.search(client, b"BODY word42") == "* SEARCH 43"
    assert sum(opened) == 2, "the one that is not indexed yet, and the one that has it, for a trial"
    opened.clear()
    assert indexed_world.search(client, b"NOT BODY zzz") == "* SEARCH " + " ".join(map(str, range(1, 52)))
    assert sum(opened) == 1
    opened.clear()
    assert indexed_world.search(client, b"OR BODY word7 SUBJECT s9") == "* SEARCH 8 10"
    assert sum(opened) <= 2
    opened.clear()
    assert indexed_world.search(client, b'BODY "word42 in"') == "* SEARCH 43"
    assert sum(opened) == 2, "whose words may be apart"
    opened.clear()
    assert indexed_world.search(client, b'BODY "the text"') == "* SEARCH " + " ".join(map(str, range(1, 51)))
    assert sum(opened) == 51, "each of which may have them apart"


@pytest.mark.parametrize("few", [0, 1000])
@pytest.mark.parametrize(("asked", "found"), [("1:*", "3 9"), ("2:8", "3"), ("4,9,12", "9"), ("10:12", "")])
def test_those_that_may_hold_it_are_looked_up_or_looked_for_among_all(indexed_world, monkeypatch, few, asked, found):
    monkeypatch.setattr(indexed, "FEW", few)
    for number in range(1, 21):
        words = b"red apples" if number in (3, 9, 13) else b"plums"
        indexed_world.world.put(b"Subject: %d\r\n\r\n%b\r\n" % (number, words))
    indexed_world.world.expunge(13)
    indexed_world.make_index()
    opened = counting_opened(monkeypatch)
    client = indexed_world.world.connect(select="INBOX")
    assert indexed_world.search(client, b'%b BODY "red apples"' % asked.encode()) == f"* SEARCH {found}".strip()
    assert sum(opened) == len(found.split())


def test_text_is_looked_for_in_all_zones(indexed_world):
    world = indexed_world.world
    world.put(b"Subject: apples\r\n\r\nx\r\n")
    world.put(b"X-Fruit: apples\r\n\r\nx\r\n")
    world.put(b"Subject: x\r\n\r\napples\r\n")
    indexed_world.make_index()
    client = world.connect(select="INBOX")
    assert indexed_world.search(client, b"TEXT apples") == "* SEARCH 1 2 3"
    assert indexed_world.search(client, b"BODY apples") == "* SEARCH 3"
    assert indexed_world.search(client, b"HEADER x-fruit apples") == "* SEARCH 2"


def test_what_is_shown_of_addresses_decides_nothing_of_text(indexed_world):
    world = indexed_world.world
    world.put(b'From: "ap\\ples"@b.test\r\n\r\nx\r\n')
    world.put(b"From: apples@b.test\r\n\r\nx\r\n")
    indexed_world.make_index()
    client = world.connect(select="INBOX")
    assert indexed_world.search(client, b"FROM apples") == "* SEARCH 1 2"
    assert indexed_world.search(client, b"TEXT apples") == "* SEARCH 2"


def test_columns_are_read_of_few(indexed_world, monkeypatch):
    world = indexed_world.world
    for number in range(50):
        world.put(b"From: Sender %d <a@b.test>\r\nSubject: number%d\r\n\r\ntext\r\n" % (number, number))
    indexed_world.make_index()
    client = world.connect(select="INBOX")
    asked = []
    read_rows = search.read_rows

    async def counted(mailbox, view, indexes, columns, keep=False):
        asked.append(len(indexes))
        return await read_rows(mailbox, view, indexes, columns, keep)

    monkeypatch.setattr(search, "read_rows", counted)
    assert indexed_world.search(client, b"SUBJECT number42") == "* SEARCH 43"
    assert indexed_world.search(client, b'FROM "sender 7 "') == "* SEARCH 8"
    assert asked == [1, 1]


def test_few_messages_are_read_at_once(indexed_world, monkeypatch):
    monkeypatch.setattr(indexed, "LEAST", 10)
    indexed_world.world.put(b"Subject: x\r\n\r\napples\r\n")
    indexed_world.make_index()

    async def asked(*args):
        raise AssertionError

    monkeypatch.setattr(indexed_world.index, "candidates", asked)
    client = indexed_world.world.connect(select="INBOX")
    assert indexed_world.search(client, b"BODY apples") == "* SEARCH 1"


def test_nobody_waits_for_what_takes_longer_than_reading(indexed_world, monkeypatch):
    monkeypatch.setattr(indexed, "OF_MESSAGE", facade.OF_A_SEGMENT / 2)
    world = indexed_world.world
    world.put(b"Subject: x\r\n\r\napples\r\n")
    indexed_world.make_index()
    opened = counting_opened(monkeypatch)
    client = world.connect(select="INBOX")
    assert indexed_world.search(client, b"BODY plums") == "* SEARCH"
    assert sum(opened) == 1


def test_more_texts_than_it_is_asked_for(indexed_world):
    world = indexed_world.world
    for number in range(12):
        world.put(b"Subject: x\r\n\r\nword%dx\r\n" % number)
    indexed_world.make_index()
    client = world.connect(select="INBOX")
    keys = b" ".join(b"NOT BODY word%dx" % number for number in range(11))
    assert indexed_world.search(client, keys) == "* SEARCH 12"


def test_a_store_that_does_not_answer_costs_speed_alone(indexed_world, monkeypatch):
    world = indexed_world.world
    world.put(b"Subject: x\r\n\r\napples\r\n")
    indexed_world.make_index()
    read = world.engine.read

    async def refused(tenancy, unit, *args, **kwargs):
        if unit in (search_index.look, search_index.overlapping):
            raise StoreUnavailable(tenancy)
        return await read(tenancy, unit, *args, **kwargs)

    monkeypatch.setattr(world.engine, "read", refused)
    client = world.connect(select="INBOX")
    assert indexed_world.search(client, b"BODY apples") == "* SEARCH 1"


def test_segments_joined_while_somebody_searches_cost_speed_alone(indexed_world, monkeypatch):
    monkeypatch.setattr(search_index, "MESSAGES", 1)
    world = indexed_world.world
    for number in range(3):
        world.put(b"Subject: x\r\n\r\nword%dx\r\n" % number)
    indexed_world.make_index()
    overlapping = search_index.overlapping

    def then_joined(tx, *args):
        found = overlapping(tx, *args)
        tx.execute("UPDATE search_segment SET last_message = last_message + 100 WHERE first_message = 2")
        return found

    async def read(tenancy, unit, *args, **kwargs):
        if unit is overlapping:
            return await world.engine.write(tenancy, then_joined, *args, **kwargs)
        return await type(world.engine).read(world.engine, tenancy, unit, *args, **kwargs)

    monkeypatch.setattr(world.engine, "read", read)
    client = world.connect(select="INBOX")
    opened = counting_opened(monkeypatch)
    assert indexed_world.search(client, b"BODY word1x") == "* SEARCH 2"
    assert sum(opened) == 1


def test_whoever_has_gone_ends_it(indexed_world):
    class Gone(Exception):
        pass

    def gone():
        raise Gone

    world = indexed_world.world
    world.put(b"Subject: x\r\n\r\napples\r\n")
    indexed_world.make_index()
    from mailnode.values.search import BODY, Needle

    with pytest.raises(Gone):
        run_now(indexed_world.index.candidates("acc", 1, (1, 1), [Needle("apples", frozenset({BODY}))], 1e9, gone))


def test_the_index_of_whoever_has_the_mailbox_is_asked(indexed_world, monkeypatch):
    indexed_world.world.put(b"Subject: x\r\n\r\napples\r\n")
    indexed_world.make_index()
    client = indexed_world.world.connect(select="INBOX")
    asked = []

    async def noted(account_id, mailbox_id, *args):
        asked.append((account_id, mailbox_id))

    monkeypatch.setattr(indexed_world.index, "candidates", noted)
    selected = client.session.selected

    async def fresh(*args, **kwargs):
        pass

    monkeypatch.setattr(type(selected), "refresh", fresh)
    monkeypatch.setattr(selected.mailbox, "account_id", "owner")
    client.ask("a SEARCH BODY apples")
    assert asked == [("owner", selected.mailbox.id)]


def test_what_the_index_says_is_tried_and_forgotten_where_a_message_says_otherwise(indexed_world, monkeypatch):
    world = indexed_world.world
    for number in range(1, 21):
        world.put(b"Subject: %d\r\n\r\n%b\r\n" % (number, b"apples" if number % 2 else b"plums"))
    indexed_world.make_index()
    client = world.connect(select="INBOX")
    candidates, forgotten, wrong = SearchIndex.candidates, [], {20}

    async def mistaken(index, *args):
        found = await candidates(index, *args)
        return [one._replace(surely=one.surely | wrong) for one in found]

    async def noted(index, account_id):
        forgotten.append(account_id)
        raise StoreUnavailable(account_id)  # which is no reason to believe it

    logged = []
    monkeypatch.setattr(indexed, "emit", lambda log, event, **fields: logged.append((event, fields["account"])))
    monkeypatch.setattr(SearchIndex, "candidates", mistaken)
    monkeypatch.setattr(SearchIndex, "forget", noted)
    assert indexed_world.search(client, b"BODY apples") == "* SEARCH 1 3 5 7 9 11 13 15 17 19"
    assert forgotten == ["acc"] and logged == [("search.index_wrong", "acc")]
    wrong.clear()
    assert indexed_world.search(client, b"BODY plums") == "* SEARCH 2 4 6 8 10 12 14 16 18 20"
    assert forgotten == ["acc"]


def test_as_few_messages_are_looked_into_for_a_trial_as_that_takes(indexed_world, monkeypatch):
    for number in range(30):
        indexed_world.world.put(b"Subject: %d\r\n\r\napples\r\n" % number)
    indexed_world.make_index()
    client = indexed_world.world.connect(select="INBOX")
    opened = counting_opened(monkeypatch)
    assert indexed_world.search(client, b"BODY apples").split()[2:] == [str(uid) for uid in range(1, 31)]
    assert sum(opened) == indexed.TRIED


def test_a_message_that_cannot_be_read_says_nothing_against_the_index(indexed_world, monkeypatch):
    for number in range(3):
        indexed_world.world.put(b"Subject: %d\r\n\r\napples\r\n" % number)
    indexed_world.make_index()
    client = indexed_world.world.connect(select="INBOX")

    async def damaged(mailbox, blobs, contents, keep=False):
        return [BlobDamaged("gone") for _ in blobs]

    monkeypatch.setattr(search, "read_small", damaged)
    assert indexed_world.search(client, b"BODY apples") == "* SEARCH 1 2 3"
