"""How an index of words is best kept, for texts that may stand anywhere in them: our segments in plain tables, or SQLite's FTS5.

``python -m benchmarks.search_terms`` prints a table, in processor time. All are given the same texts, as they are folded, those of
256 messages at a time; each is asked for texts in turn and returns the messages that may hold them. FTS5 keeps no content. It has
words, of which those that have the text in them are looked up first (fts5vocab), or trigrams, of which a text must have all.
"""

from __future__ import annotations

import contextlib
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import apsw
import click

from benchmarks.mailboxes import content
from mailnode.message.pieces import searched_pieces
from mailnode.message.scanner import scan_entity
from mailnode.message.search_text import zone_texts
from mailnode.store.search import tiers
from mailnode.store.search.segments import Zone, build, holding, ids_at, ids_of, unpacked_size
from mailnode.store.search.terms import patterns_of
from mailnode.values.search import BODY, IndexedText, Segment, SegmentPlace

TOGETHER = 256  # messages of one step
ASKED = 20  # texts of a kind


class Segments:
    """Ours."""

    name = "segments"

    def __init__(self, folder: Path) -> None:
        self.db = apsw.Connection(str(folder / "db"))
        self.db.execute("CREATE TABLE terms (first INTEGER PRIMARY KEY, data BLOB, places BLOB)")
        self.places: list[SegmentPlace] = []
        self._segments: dict[int, Segment] = {}

    def add(self, texts: Sequence[IndexedText]) -> None:
        """Add some messages."""
        count = tiers.merged(self.places, len(texts))
        before = self.places[len(self.places) - count :]
        segment = build(texts, [self._segments.pop(place.first) for place in before])
        del self.places[len(self.places) - count :]
        ids = ids_of(segment)
        size = sum(map(unpacked_size, segment.zones))
        self.places.append(SegmentPlace(segment.first, segment.last, len(ids), size))
        self._segments[segment.first] = segment
        with self.db:
            self.db.executemany("DELETE FROM terms WHERE first = ?", [(place.first,) for place in before])
            self.db.execute("INSERT INTO terms VALUES (?, ?, ?)", (segment.first, *segment.zones[BODY]))

    def find(self, text: str) -> int:
        """Return how many messages may hold a text."""
        patterns, found = patterns_of(text), 0
        for first, data in self.db.execute("SELECT first, data FROM terms").fetchall():
            ids = ids_of(self._segments[first])
            zone = Zone(data, partial(self._places, first))
            found += len(ids_at(ids, holding([zone], patterns, len(ids))))
        return found

    def _places(self, first: int) -> bytes:
        return bytes(self.db.execute("SELECT places FROM terms WHERE first = ?", (first,)).fetchall()[0][0])


class Words:
    """FTS5 with its words."""

    name = "FTS5, words"
    tokenizer = "unicode61 remove_diacritics 0"

    def __init__(self, folder: Path) -> None:
        self.db = apsw.Connection(str(folder / "db"))
        self.db.execute(
            f"CREATE VIRTUAL TABLE words USING fts5 (body, content = '', detail = none, columnsize = 0,"
            f' tokenize = "{self.tokenizer}")'
        )
        self.db.execute("CREATE VIRTUAL TABLE vocabulary USING fts5vocab (words, row)")

    def add(self, texts: Sequence[IndexedText]) -> None:
        """Add some messages."""
        rows = [(one.message_id, "\n".join((one.zones or ())[BODY])) for one in texts]
        with self.db:
            self.db.executemany("INSERT INTO words (rowid, body) VALUES (?, ?)", rows)

    def find(self, text: str) -> int:
        """Return how many messages may hold a text."""
        terms = [term for (term,) in self.db.execute("SELECT term FROM vocabulary WHERE instr(term, ?)", (text,))]
        return self.count(" OR ".join(f'"{term}"' for term in terms)) if terms else 0

    def count(self, query: str) -> int:
        """Return how many messages a query holds for."""
        return len(self.db.execute("SELECT rowid FROM words WHERE words MATCH ?", (query,)).fetchall())


class Trigrams(Words):
    """FTS5 with trigrams."""

    name = "FTS5, trigrams"
    tokenizer = "trigram"

    def find(self, text: str) -> int:
        """Return how many messages may hold a text."""
        return self.count(" AND ".join(f'"{text[at : at + 3]}"' for at in range(len(text) - 2)))


def _texts(count: int) -> tuple[list[IndexedText], int]:
    found, octets = [], 0
    for number, data in enumerate(content(count), 1):
        root = scan_entity(data)
        pieces = [(p.part, data[p.start : p.end], p.in_body) for p in searched_pieces(root.parts())]
        found.append(IndexedText(number, zone_texts(data[: root.body_start], pieces)))
        octets += len(data)
    return found, octets


def _asked(texts: Sequence[IndexedText]) -> dict[str, list[str]]:
    chance = random.Random(5)
    counts: dict[str, int] = {}
    for one in texts[:2000]:
        for word in set("".join((one.zones or ())[BODY]).split()):
            if word.isalpha() and 5 <= len(word) <= 8:
                counts[word] = counts.get(word, 0) + 1
    ranked = sorted(counts, key=lambda word: (counts[word], word))
    rare, common = ranked[len(ranked) // 4 : len(ranked) // 2], ranked[-100:]
    return {
        "rare": chance.sample(rare, ASKED),
        "common": chance.sample(common, ASKED),
        "in a word": [word[1:-1] for word in chance.sample(ranked, ASKED)],
    }


def _median(call: Callable[[str], int], asked: Sequence[str]) -> tuple[float, float]:
    """Return the median of milliseconds, and how many were found on average."""
    took, found = [], 0
    for text in asked:
        started = time.process_time()
        found += call(text)
        took.append((time.process_time() - started) * 1000)
    return statistics.median(took), found / len(asked)


@click.command()
@click.option("--messages", default=10_000, show_default=True)
def main(messages: int) -> None:
    """Compare."""
    texts, octets = _texts(messages)
    asked = _asked(texts)
    click.echo(f"{messages} messages, {octets / 1e6:.0f} MB")
    click.echo("index            us/message  of the mail   " + "   ".join(f"{kind}: ms, found" for kind in asked))
    for kind in (Segments, Words, Trigrams):
        with tempfile.TemporaryDirectory() as name, contextlib.suppress(KeyboardInterrupt):
            made = kind(Path(name))
            started = time.process_time()
            for at in range(0, len(texts), TOGETHER):
                made.add(texts[at : at + TOGETHER])
            took = (time.process_time() - started) / len(texts) * 1e6
            made.db.execute("VACUUM")
            size = (Path(name) / "db").stat().st_size / octets * 100
            row = "   ".join("{:9.1f} {:7.0f}".format(*_median(made.find, some)) for some in asked.values())
            click.echo(f"{made.name:16} {took:10.0f} {size:10.0f} %   {row}")
            made.db.close()


if __name__ == "__main__":
    main()
