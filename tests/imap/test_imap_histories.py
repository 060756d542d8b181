"""Random histories over the wire: every client that applies what it is told ends with what the store holds, and no
sequence number ever names another message."""

import random
import re

import pytest

from mailnode.net.no_reactor import run_now
from mailnode.values.flags import KeywordTable

_FETCH = re.compile(r"\* (\d+) FETCH \((?:UID (\d+) ?)?(?:FLAGS \(([^)]*)\) ?)?(?:UID (\d+))?(?:MODSEQ \((\d+)\))?\)")
_SYSTEM = ["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft"]


class Believer:
    """A mail program that keeps a list of messages by number and believes every untagged response."""

    def __init__(self, client) -> None:
        self.client = client
        self.slots: list[dict] = []
        self.idle = False
        self.count = 0
        self.take(client.ask("s SELECT INBOX"), expunge=True)

    def take(self, lines, expunge) -> str:
        last = ""
        for line in lines:
            last = line
            if found := re.fullmatch(r"\* (\d+) EXISTS", line):
                assert int(found[1]) >= len(self.slots), "EXISTS fell"
                self.slots += [{} for _ in range(int(found[1]) - len(self.slots))]
            elif found := re.fullmatch(r"\* (\d+) EXPUNGE", line):
                assert expunge, "EXPUNGE where it is not allowed"
                assert 1 <= int(found[1]) <= len(self.slots)
                del self.slots[int(found[1]) - 1]
            elif " FETCH (" in line:
                self._fetched(line)
        return last

    def _fetched(self, line) -> None:
        found = _FETCH.fullmatch(line)
        assert found, line
        assert int(found[1]) <= len(self.slots), "FETCH before EXISTS"
        slot = self.slots[int(found[1]) - 1]
        uid = found[2] or found[4]
        if uid:
            assert slot.setdefault("uid", int(uid)) == int(uid), "the number names another message"
        if found[3] is not None:
            slot["flags"] = set(found[3].split()) - {"\\Recent"}
        if found[5]:
            slot["modseq"] = int(found[5])

    def command(self, text, expunge) -> str:
        self.count += 1
        if self.idle:
            assert self.take(self.client.ask("DONE"), expunge=True) == "i OK IDLE terminated"
            self.idle = False
        return self.take(self.client.ask(f"t{self.count} {text}"), expunge)

    def listen(self) -> None:
        lines = self.client.received().decode().split("\r\n")[:-1]
        assert self.idle or not lines, f"spoken to without a command: {lines}"
        self.take(lines, expunge=True)

    def learn(self) -> None:
        """Fetch what is not known yet, as programs do."""
        if self.slots:
            assert " OK " in self.command("FETCH 1:* (UID FLAGS)", False)


def _act(rng, world, who: Believer) -> None:
    size = len(who.slots)
    number = rng.randint(1, size) if size else 1
    flags = " ".join(rng.sample([*_SYSTEM, "kw1", "kw2"], rng.randint(0, 3)))
    action = rng.choice(["store", "uid store", "silent", "fetch", "uid fetch", "append", "expunge", "uid expunge"] * 2
                        + ["copy", "move", "noop", "noop", "idle", "search", "deliver", "change", "status"])  # fmt: skip
    uid = who.slots[number - 1].get("uid", 1) if size else 1
    mode = rng.choice(["", "+", "-"])
    if action == "deliver":
        world.put()
    elif action == "change" and size:
        world.flag(uid, "add", rng.randint(0, 31))
    elif action == "append":
        who.command(f"APPEND INBOX ({flags}) {{4+}}\r\na: b", True)
    elif action == "store" and size:
        who.command(f"STORE {number} {mode}FLAGS ({flags})", False)
    elif action == "uid store":
        who.command(f"UID STORE {uid} {mode}FLAGS ({flags})", True)
    elif action == "silent" and size:
        _silent(who, number, mode, flags)
    elif action == "fetch" and size:
        who.command(f"FETCH {number} (UID FLAGS)", False)
    elif action == "uid fetch":
        who.command(f"UID FETCH {uid}:* (FLAGS)", True)
    elif action == "expunge" and rng.random() < 0.5:
        who.command("EXPUNGE", True)
    elif action == "uid expunge":
        who.command(f"UID EXPUNGE {uid}", True)
    elif action == "copy" and size:
        who.command(f"COPY {number} {rng.choice(['INBOX', 'Sent'])}", True)
    elif action == "move" and size:
        who.command(f"MOVE {number} {rng.choice(['INBOX', 'Trash'])}", True)
    elif action == "status":
        who.command("STATUS INBOX (MESSAGES)", True)
    elif action == "search":
        who.command("SEARCH UNSEEN", False)
    elif action == "idle" and not who.idle:
        who.take(who.client.ask("i IDLE"), expunge=True)
        who.idle = True
    else:
        who.command("NOOP", True)


def _silent(who: Believer, number: int, mode: str, flags: str) -> None:
    """The client assumes the result of a silent STORE, unless it is told otherwise."""
    if who.idle:
        who.command("NOOP", True)
        if number > len(who.slots):
            return
    slot = who.slots[number - 1]
    before, named = slot.get("flags"), set(flags.split())
    if before is not None:
        slot["flags"] = named if not mode else before | named if mode == "+" else before - named
    if who.command(f"STORE {number} {mode}FLAGS.SILENT ({flags})", False).split(" ")[1] != "OK":
        slot["flags"] = before  # it was expunged


@pytest.mark.parametrize("seed", range(12))
def test_histories(make_world, seed):
    rng = random.Random(seed)
    world = make_world()
    for _ in range(rng.randint(0, 6)):
        world.put()
    everyone = [Believer(world.connect(str(n))) for n in range(3)]
    if seed % 3 == 0:
        everyone[0].command("ENABLE CONDSTORE", True)
    for step in range(120):
        world.hints.lost = seed % 2 == 1 and step % 10 < 7
        who = rng.choice(everyone)
        _act(rng, world, who)
        if rng.random() < 0.2:
            world.clock.advance(rng.choice([0.5, 3.0, 6.0]))
        if rng.random() < 0.2:
            world.pack_views()
        for one in everyone:
            one.listen()
        if rng.random() < 0.3:
            who.learn()
    snapshot = run_now(world.box().snapshot())
    expected = {
        uid: set(KeywordTable(snapshot.keywords.names).flag_names(flags))
        for uid, flags in zip(snapshot.uids, snapshot.flags, strict=True)
    }
    world.clock.advance(0.5)
    for one in everyone:
        one.command("NOOP", True)
        known = [slot.get("flags") for slot in one.slots]
        one.learn()
        assert {slot["uid"]: slot["flags"] for slot in one.slots} == expected
        for before, slot in zip(known, one.slots, strict=True):
            assert before is None or before == slot["flags"], "a change of flags was never told"
