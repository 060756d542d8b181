"""Random histories of two mailboxes against a model, with a client that lives on the change feed alone."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from store_support import Loop, RecordingHints, make_facts
from twisted.internet.task import Clock

from mailnode.net.no_reactor import CallingThread
from mailnode.store.blobs.local import LocalBlobs
from mailnode.store.engines.engine import mail_tenancy
from mailnode.store.engines.sqlite import SqliteEngine
from mailnode.store.facades.mail_store import MailStore
from mailnode.store.units.flag_changes import store_flags_together
from mailnode.store.units.sweeping import RETENTION
from mailnode.values.flags import DELETED
from mailnode.values.mailbox import NewMessage

BOXES = (1, 2)
uids = st.lists(st.integers(1, 12), max_size=6, unique=True).map(sorted)
box = st.sampled_from(BOXES)
flags = st.integers(0, 31)
modes = st.sampled_from(("set", "add", "remove"))
steps = st.one_of(
    st.tuples(st.just("append"), box, st.integers(1, 3), flags),
    st.tuples(st.just("flags"), box, uids, modes, flags),
    st.tuples(st.just("together"), st.lists(st.tuples(box, uids, modes, flags, st.booleans()), min_size=2, max_size=6)),
    st.tuples(st.just("copy"), box, uids, box),
    st.tuples(st.just("move"), box, uids, box),
    st.tuples(st.just("expunge"), box, uids, st.booleans()),
    st.tuples(st.just("look"), box),
    st.tuples(st.just("remember"), box),
    st.tuples(st.just("sweep")),
)


class World:
    """The store, what it should hold, and what a client knows."""

    def __init__(self, tmp):
        self.loop = Loop()
        self.clock = Clock()
        self.engine = SqliteEngine(None, 1)
        self.loop.run(self.engine.start())
        self.blobs = LocalBlobs(tmp, CallingThread(), self.clock)
        self.hints = RecordingHints()
        self.store = MailStore(self.engine, self.blobs, self.hints, self.clock, 1)
        self.loop.run(self.store.provision("ann"))
        self.ann = self.store.account("ann")
        self.model = {number: {} for number in BOXES}  # uid -> flags
        self.next = dict.fromkeys(BOXES, 1)
        self.client = {number: {} for number in BOXES}
        self.known = dict.fromkeys(BOXES, 0)
        self.blob = self.loop.run(self.blobs.put(b"x"))

    def box(self, number):
        return self.ann.open(number)

    def append(self, number, count, bits):
        messages = [NewMessage(self.blob, make_facts(1), 0, flags=bits) for _ in range(count)]
        appended = self.loop.run(self.box(number).append(messages))
        assert list(appended.uids) == self.place(number, [bits] * count)

    def place(self, number, all_bits):
        placed = list(range(self.next[number], self.next[number] + len(all_bits)))
        self.next[number] += len(all_bits)
        self.model[number].update(zip(placed, all_bits, strict=True))
        return placed

    def flags(self, number, asked, mode, bits):
        stored = self.loop.run(self.box(number).store_flags(asked, mode, bits))
        model = self.model[number]
        for uid in asked:
            if uid in model:
                model[uid] = {"set": bits, "add": model[uid] | bits, "remove": model[uid] & ~bits}[mode]
        assert [row[:2] for row in stored.changed] == [(uid, model[uid]) for uid in asked if uid in model]

    def together(self, changes):
        """Flag changes as one unit: each does what it would do alone, after those before it."""
        before = self.loop.run(self.ann.modseq())
        modseqs = {
            number: dict(zip(one.uids, one.modseqs, strict=True))
            for number, one in ((number, self.loop.run(self.box(number).snapshot())) for number in BOXES)
        }
        calls = [
            ("ann", number, asked, mode, bits, (), before if condition else None)
            for number, asked, mode, bits, condition in changes
        ]
        results = self.loop.run(self.engine.write(mail_tenancy(0), store_flags_together, calls))
        for (number, asked, mode, bits, condition), (stored, altered) in zip(changes, results, strict=True):
            model, known = self.model[number], modseqs[number]
            changed, modified, new = [], [], []
            for uid in (uid for uid in asked if uid in model):
                if condition and known[uid] > before:
                    modified.append(uid)
                    continue
                after = {"set": bits, "add": model[uid] | bits, "remove": model[uid] & ~bits}[mode]
                if after != model[uid]:
                    new.append(uid)
                model[uid] = after
                changed.append((uid, after))
            assert list(stored.modified) == modified
            assert [row[:2] for row in stored.changed] == changed
            assert altered == bool(new)
            assert len({modseq for uid, _, modseq in stored.changed if uid in new}) <= 1
            for uid, _, modseq in stored.changed:
                assert (modseq > max(before, known[uid])) == (uid in new)
                assert modseq == known[uid] or uid in new
                known[uid] = modseq
        changes_made = sum(altered for _, altered in results)
        assert self.loop.run(self.ann.modseq()) == before + changes_made
        assert len({stored.modseq for stored, altered in results if altered}) == changes_made

    def copy(self, number, asked, target):
        copied = self.loop.run(self.box(number).copy(asked, target))
        live = [uid for uid in asked if uid in self.model[number]]
        assert list(copied.source) == live
        assert list(copied.target) == self.place(target, [self.model[number][uid] for uid in live])

    def move(self, number, asked, target):
        moved = self.loop.run(self.box(number).move(asked, target))
        live = [uid for uid in asked if uid in self.model[number]]
        bits = [self.model[number].pop(uid) for uid in live]
        assert list(moved.source) == live
        assert list(moved.target) == self.place(target, bits)

    def expunge(self, number, asked, only_deleted):
        gone = self.loop.run(self.box(number).expunge(asked, only_deleted))
        model = self.model[number]
        expected = [uid for uid in asked if uid in model and (not only_deleted or model[uid] & DELETED)]
        assert list(gone) == expected
        for uid in expected:
            del model[uid]

    def remember(self, number):
        """The client is content with what memory holds up to the last hint."""
        heard = self.hints.published[-1][1] if self.hints.published else None
        changes = self.loop.run(self.box(number).changes(self.known[number], heard=heard))
        self.learn(number, changes)
        snapshot = self.loop.run(self.box(number).snapshot())
        assert changes.highest_modseq <= snapshot.highest_modseq

    def look(self, number):
        """The client asks the store."""
        changes = self.loop.run(self.box(number).changes(self.known[number]))
        self.learn(number, changes)
        snapshot = self.loop.run(self.box(number).snapshot())
        assert snapshot.highest_modseq == changes.highest_modseq
        assert snapshot.uidnext == self.next[number]

    def learn(self, number, changes):
        """The client takes in what changed, and then knows what a new one would."""
        client = self.client[number]
        assert not {uid for uid, _, _ in changes.changed} & set(changes.expunged)
        for uid in changes.expunged:
            client.pop(uid, None)
        for uid, bits, modseq in changes.changed:
            assert modseq > self.known[number]
            client[uid] = bits
        self.known[number] = changes.highest_modseq
        snapshot = self.loop.run(self.box(number).snapshot())
        assert client == dict(zip(snapshot.uids, snapshot.flags, strict=True)) == self.model[number]

    def sweep(self):
        """All clients look, then a week goes by: what was told may be forgotten."""
        for number in BOXES:
            self.look(number)
        self.clock.advance(RETENTION + 1)
        self.loop.run(self.store.sweep(self.clock.seconds()))

    def finish(self):
        for number in BOXES:
            self.look(number)
        status = {one.mailbox_id: one for one in self.loop.run(self.ann.status(BOXES))}
        for number in BOXES:
            bits = self.model[number].values()
            assert status[number].messages == len(bits)
            assert status[number].unseen == sum(not bit & 1 for bit in bits)
            assert status[number].deleted == sum(bool(bit & DELETED) for bit in bits)
        assert self.loop.run(self.store.verify()) == []
        self.loop.run(self.engine.stop())


@settings(max_examples=40)
@given(st.lists(steps, max_size=25))
def test_any_history(tmp_path_factory, history):
    world = World(tmp_path_factory.getbasetemp() / "unused")
    for step, *arguments in history:
        getattr(world, step)(*arguments)
    world.finish()
