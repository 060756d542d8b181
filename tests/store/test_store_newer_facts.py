"""Facts that an older scanner found are found anew when they are read, once, and kept."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from mailnode.errors import BlobDamaged, Busy, StoreUnavailable
from mailnode.message.scanner import read_facts
from mailnode.store.facades.newer_facts import KEPT_AT_ONCE
from mailnode.store.units.messages import SCANNED
from mailnode.values.facts import FACTS_VERSION, KEPT_FIELDS

CONTENT = b"Subject: found\r\nFrom: a@b.test\r\n\r\nhello\r\n"
LARGE = b"Subject: large\r\n" + b"List-Id: <x>\r\n" * 2000 + b"\r\nhello\r\n"  # its facts do not fit into a row
COLUMNS = sorted(SCANNED)


class Scanner:
    """The scanner of the server, and how often it was asked."""

    def __init__(self):
        self.sizes = []
        self.under_way = self.most = 0
        self.fails = None
        self.until = None

    async def scan(self, size, read):
        self.sizes.append(size)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            content = await read(0, size)
            if self.until is not None:
                await self.until
            if self.fails is not None:
                raise self.fails
            return read_facts(content)
        finally:
            self.under_way -= 1


@pytest.fixture
def scanner(store):
    made = Scanner()
    store.scan_older(made.scan)
    return made


@pytest.fixture
def inbox(store):
    return store.account("ann").open(1)


def set_version(tx, version):
    tx.execute("UPDATE message SET facts_version = ?", (version,))
    tx.execute("UPDATE blob_ref SET preview = NULL")  # which version 3 brought


def keep_previews_in_rows(tx, preview):
    tx.execute("UPDATE message SET preview = ?", (preview,))
    tx.execute("UPDATE blob_ref SET preview = NULL")


def versions(tx):
    return [row[0] for row in tx.execute("SELECT facts_version FROM message ORDER BY message_id")]


def run_unit(loop, engine, store, unit, *arguments):
    tenancy = f"mail-{store.partition('ann'):02}"
    run = engine.write if arguments else engine.read
    return loop.run(run(tenancy, unit, *arguments))


def make_older(loop, engine, store):
    run_unit(loop, engine, store, set_version, FACTS_VERSION - 1)
    store.recent.clear()


def right(uid, content):
    facts = read_facts(content)
    return (uid, *(getattr(facts, name) for name in COLUMNS))


def test_what_an_older_scanner_found_is_found_anew_once_and_kept(engine, store, inbox, loop, make, scanner, hints):
    many = [b"Subject: %d\r\n\r\nhello\r\n" % number for number in range(KEPT_AT_ONCE + 5)]
    loop.run(inbox.append([make(content) for content in many]))
    modseq = loop.run(store.account("ann").modseq())
    hints.published.clear()
    uids = range(1, len(many) + 1)
    wrong = loop.run(inbox.rows(uids, COLUMNS))
    assert scanner.sizes == []  # those that are as new as the scanner are as they were stored
    make_older(loop, engine, store)
    wanted = [right(uid, content) for uid, content in enumerate(many, 1)]
    assert wanted != wrong
    assert loop.run(inbox.rows(uids, COLUMNS)) == wanted
    assert scanner.sizes == list(map(len, many))
    assert loop.run(inbox.rows(uids, COLUMNS)) == wanted
    assert scanner.sizes == list(map(len, many))
    assert set(run_unit(loop, engine, store, versions)) == {FACTS_VERSION}
    assert loop.run(store.account("ann").modseq()) == modseq and hints.published == []


def test_other_columns_are_read_without_it_and_stand_where_they_were_asked_for(
    engine, store, inbox, loop, make, scanner
):
    loop.run(inbox.append([make(CONTENT), make(CONTENT)]))
    make_older(loop, engine, store)
    plain = loop.run(inbox.rows([1, 2], ["size", "flags", "content", "blob"]))
    assert scanner.sizes == [] and plain[1][:2] == (2, len(CONTENT))
    [one] = loop.run(inbox.rows([1], ["size", "envelope", "blob", "content", "header_size", "flags"]))
    assert one[:3] == (1, len(CONTENT), read_facts(CONTENT).envelope)
    assert one[4:] == (CONTENT, CONTENT.index(b"hello"), 0)
    two = loop.run(inbox.rows([1, 2], ["blob", "content", "envelope"]))
    assert [row[2:] for row in two] == [(CONTENT, read_facts(CONTENT).envelope)] * 2
    assert len(scanner.sizes) == 2


@pytest.mark.parametrize(("content", "fill"), [(CONTENT, 200_000), (LARGE, 0), (LARGE, 200_000), (LARGE, 20_000)])
def test_facts_move_between_row_and_blob(engine, store, inbox, loop, make, files, scanner, content, fill):
    assert b"list-id" in KEPT_FIELDS
    loop.run(inbox.append([make(content, fill=fill), make(CONTENT)]))
    make_older(loop, engine, store)
    wanted = [right(1, content), right(2, CONTENT)]
    for _ in range(2):
        assert loop.run(inbox.rows([1, 2], COLUMNS)) == wanted
    assert len(scanner.sizes) == 2
    assert loop.run(store.verify()) == []  # no blob is left over that nobody needs


def test_first_words_are_told_from_where_schema_13_had_them(engine, store, inbox, loop, make, scanner):
    loop.run(inbox.append([make(CONTENT), make(CONTENT)]))
    run_unit(loop, engine, store, keep_previews_in_rows, b"hello")
    store.recent.clear()
    assert loop.run(inbox.rows([1, 2], ["preview"])) == [(1, b"hello"), (2, b"hello")]
    assert loop.run(inbox.rendered([1, 2], 1, [b"* ", "preview"])) == b"* hello* hello"
    assert scanner.sizes == []


def test_nothing_is_said_at_once_of_what_is_older(engine, store, inbox, loop, make, scanner):
    loop.run(inbox.append([make(CONTENT), make(CONTENT)]))
    make_older(loop, engine, store)
    assert loop.run(inbox.rendered([1, 2], 1, [b"* ", "number", "envelope"])) is None
    loop.run(inbox.rows([1, 2], ["envelope"]))
    envelope = read_facts(CONTENT).envelope
    assert loop.run(inbox.rendered([1, 2], 1, [b"* ", "number", "envelope"])) == b"* 1%s* 2%s" % (envelope, envelope)


@pytest.mark.parametrize("error", [BlobDamaged("x"), Busy("x"), StoreUnavailable("x")])
def test_what_cannot_be_scanned_is_told_as_it_was(engine, store, inbox, loop, make, scanner, error):
    loop.run(inbox.append([make(CONTENT)]))
    before = loop.run(inbox.rows([1], COLUMNS))
    make_older(loop, engine, store)
    scanner.fails = error
    assert loop.run(inbox.rows([1], COLUMNS)) == before
    scanner.fails = None
    assert loop.run(inbox.rows([1], COLUMNS)) == [right(1, CONTENT)]


def test_a_store_that_cannot_write_tells_it_all_the_same(engine, store, inbox, loop, make, scanner, monkeypatch):
    loop.run(inbox.append([make(CONTENT)]))
    make_older(loop, engine, store)

    async def refuse(*arguments):
        raise StoreUnavailable("full")

    with monkeypatch.context() as patched:
        patched.setattr(engine, "write", refuse)
        assert loop.run(inbox.rows([1], COLUMNS)) == [right(1, CONTENT)]
    assert run_unit(loop, engine, store, versions) == [FACTS_VERSION - 1]


def test_one_message_at_a_time_is_scanned_again(engine, store, inbox, loop, make, scanner):
    loop.run(inbox.append([make(CONTENT), make(CONTENT)]))
    make_older(loop, engine, store)
    scanner.until = Deferred()
    loop.call_from_thread(scanner.until.callback, None)
    told = loop.together(*(inbox.rows([1, 2], COLUMNS) for _ in range(3)))
    assert told == [[right(1, CONTENT), right(2, CONTENT)]] * 3
    assert scanner.most == 1


def test_without_a_scanner_they_are_told_as_they_are(engine, store, inbox, loop, make):
    loop.run(inbox.append([make(CONTENT)]))
    before = loop.run(inbox.rows([1], COLUMNS))
    make_older(loop, engine, store)
    assert loop.run(inbox.rows([1], COLUMNS)) == before
    assert loop.run(inbox.rendered([1], 1, ["envelope"])) == b"(envelope)"
