"""What is known to be damaged is told until it is mended or acknowledged, over a restart too, and is not asked of the store."""

from __future__ import annotations

import pytest
from store_support import PARTITIONS
from twisted.logger import globalLogPublisher

from mailnode.errors import BlobDamaged
from mailnode.store.engines.engine import EPHEMERAL, mail_tenancy
from mailnode.store.facades import known_damage
from mailnode.store.facades.account_check import Looked
from mailnode.store.facades.known_damage import COMPARED, KnownDamage


@pytest.fixture
def start(engine, clock, loop):
    """Begins as a server does."""

    begun = []

    def start():
        for known in begun:
            loop.run(known.stop())
        begun.append(KnownDamage(engine, clock, PARTITIONS))
        loop.run(begun[-1].start())
        return begun[-1]

    yield start
    loop.run(engine.write(EPHEMERAL, lambda tx: tx.execute("DELETE FROM damage")))


def set_aside(store, loop, message_id):
    loop.run(store.check("ann").keep(looked({message_id: "its content is lost"})))


def blob_of(store, loop, uid):
    [(_, blob)] = loop.run(store.account("ann").open(1).rows([uid], ["blob"]))
    return blob.blob_id


def looked(damaged=(), sound=()):
    return Looked(None, 0, 0, dict(damaged), list(sound))


def test_messages_that_are_set_aside_are_counted_until_they_are_acknowledged(store, start, loop, clock, make):
    loop.run(store.account("ann").open(1).append([make(), make()]))
    assert start().set_aside == {}
    set_aside(store, loop, 1)
    known = start()
    known.note(blob_of(store, loop, 1), "is not what was written")
    assert (known.set_aside, known.found) == ({"ann": 1}, {})
    assert loop.run(known.acknowledge()) == 1
    assert known.set_aside == start().set_aside == {}
    clock.advance(1)
    set_aside(store, loop, 2)
    loop.run(known.count())
    assert known.set_aside == start().set_aside == {"ann": 1}
    loop.run(store.check("ann").keep(looked(sound=[1, 2])))
    loop.run(known.count())
    assert known.set_aside == {}


def test_what_was_found_is_said_once_and_known_until_it_is_mended(start, loop):
    said = []
    globalLogPublisher.addObserver(said.append)
    known = start()
    for _ in range(2):
        known.note("b1", "blobs/files/b/1/b1: not what was written")
        known.note(COMPARED, "7 faults were found")
    globalLogPublisher.removeObserver(said.append)
    assert [one["fields"]["name"] for one in said if one.get("event") == "store.damaged"] == ["b1", COMPARED]
    again = start()
    assert (
        again.found
        == known.found
        == {"b1": "blobs/files/b/1/b1: not what was written", COMPARED: "7 faults were found"}
    )
    loop.run(again.forget(["b1", "unknown"]))
    assert list(again.found) == list(start().found) == [COMPARED]
    assert loop.run(again.acknowledge()) == 1
    again.note(COMPARED, "7 faults were found")
    assert again.found == start().found == {}
    loop.run(again.forget([COMPARED]))
    again.note(COMPARED, "1 fault was found")  # it was mended in between: that is news
    assert again.found == start().found == {COMPARED: "1 fault was found"}


def test_no_more_is_kept_than_that(start, loop, monkeypatch):
    monkeypatch.setattr(known_damage, "MOST", 2)
    known = start()
    for name in "abc":
        known.note(name, "gone")
    assert list(known.found) == list(start().found) == ["a", "b"]


def test_reading_finds_what_is_damaged_in_rows_and_in_files(store, engine, files, start, loop, make):
    known = start()
    files.tell_damaged, files.tell_sound = known.note, known.is_sound
    inbox = store.account("ann").open(1)
    small = make()
    large = small._replace(blob=loop.run(files.put_file(b"x" * 1000)))
    loop.run(inbox.append([small, large]))
    tenancy = mail_tenancy(store.partition("ann"))
    path = files.path(large.blob.ref.blob_id)
    octets = path.read_bytes()
    path.write_bytes(octets[:10])
    before = loop.run(engine.read(tenancy, lambda tx: tx.execute("SELECT data FROM blob")))[0][0]
    loop.run(engine.write(tenancy, lambda tx: tx.execute("UPDATE blob SET data = ?", (b"\0" * 9,))))
    store.recent.clear()
    for message in (small, large):
        with pytest.raises(BlobDamaged):
            loop.run(inbox.read(message.blob.ref))
    whole = loop.run(inbox.read_several([small.blob.ref, large.blob.ref]))
    assert [type(one) for one in whole] == [BlobDamaged] * 2
    found = {small.blob.ref.blob_id: f"{tenancy}.db: blob ", large.blob.ref.blob_id: f"{path}: "}
    assert known.found.keys() == found.keys()
    assert all(known.found[name].startswith(words) for name, words in found.items())
    path.write_bytes(octets)
    assert len(loop.run(inbox.read(large.blob.ref))) == 1000
    assert list(known.found) == list(start().found) == [small.blob.ref.blob_id]
    loop.run(engine.write(tenancy, lambda tx: tx.execute("UPDATE blob SET data = ?", (before,))))
