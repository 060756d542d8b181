"""QRESYNC (RFC 7162 3.2): nothing that happened is lost, whatever the client was told before the connection broke."""

import random
import re

import pytest
from imap_world import play

from mailnode.net.no_reactor import run_now
from mailnode.values.flags import DELETED, FLAGGED, SEEN


def with_messages(make_world, count, **connect):
    def make():
        world = make_world()
        for _ in range(count):
            world.put()
        connect.setdefault("select", "INBOX")
        world.connect(**connect)
        return world

    return make


def enabled(make_world, count=6, select="INBOX"):
    world = with_messages(make_world, count, select="")()
    client = world.clients[""]
    assert client.ask("e ENABLE QRESYNC") == ["* ENABLED QRESYNC", "e OK ENABLE completed"]
    if select:
        client.ask(f"s SELECT {select}")
    return world, client


def highest(world):
    return run_now(world.box().snapshot()).highest_modseq


def uidvalidity(world):
    return run_now(world.box().snapshot()).uidvalidity


def resynced(world, parameters, name="second", enable="QRESYNC"):
    """What a new connection is told by SELECT, without what every SELECT says."""
    client = world.connect(name)
    client.ask(f"e ENABLE {enable}")
    said = client.ask(f"s SELECT INBOX (QRESYNC ({parameters}))")
    assert said[-1] == "s OK [READ-WRITE] SELECT completed", said
    return [line for line in said[:-1] if "FETCH" in line or "VANISHED" in line]


# IMAP trap 25: ENABLED is said
def test_enabled_is_always_said(make_world):
    client = with_messages(make_world, 1)().clients[""]
    assert client.ask("a ENABLE CONDSTORE")[0] == "* ENABLED CONDSTORE"
    assert client.ask("b ENABLE CONDSTORE QRESYNC") == ["* ENABLED CONDSTORE QRESYNC", "b OK ENABLE completed"]
    assert client.ask("c ENABLE QRESYNC") == ["* ENABLED QRESYNC", "c OK ENABLE completed"]


def test_qresync_enables_condstore(make_world):
    world, client = enabled(make_world)
    world.flag(1, "add", SEEN)
    assert re.fullmatch(r"\* 1 FETCH \(UID 1 FLAGS \(\\Seen \\Recent\) MODSEQ \(\d+\)\)", client.ask("a NOOP")[0])


# IMAP trap 26: not without ENABLE
def test_what_needs_enable_is_refused_without(make_world):
    world = with_messages(make_world, 2)()
    client = world.clients[""]
    client.ask("e ENABLE CONDSTORE")
    for command in ("SELECT Sent (QRESYNC (7 5))", "UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)"):
        assert client.ask(f"a {command}") == ["a BAD QRESYNC is not enabled"]
    assert client.ask("b UID FETCH 1 (UID)")[0] == "* 1 FETCH (UID 1)"  # what was selected still is


def test_vanished_belongs_to_uid_fetch_with_changedsince(make_world):
    _, client = enabled(make_world)
    for command in (
        "FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)",
        "UID FETCH 1:* (FLAGS) (VANISHED)",
        "UID FETCH 1:* (FLAGS) (VANISHED VANISHED CHANGEDSINCE 1)",
        "UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 CHANGEDSINCE 1)",
        "UID FETCH 1:* (FLAGS) (VANISHED 1 CHANGEDSINCE 1)",
        "UID FETCH 1:* (FLAGS) ()",
    ):
        assert re.fullmatch("a BAD .*", client.ask(f"a {command}")[-1]), command


def test_select_tells_what_was_missed(make_world):
    world = with_messages(make_world, 8)()
    known = highest(world)
    world.flag(2, "add", SEEN)
    world.flag(5, "add", DELETED)
    world.expunge(3, 4, 7)
    world.put()
    said = resynced(world, f"{uidvalidity(world)} {known}")
    assert said[0] == "* VANISHED (EARLIER) 3:4,7"
    assert [re.sub(r"\d+\)\)$", "n))", line) for line in said[1:]] == [
        "* 2 FETCH (UID 2 FLAGS (\\Seen) MODSEQ (n))",
        "* 3 FETCH (UID 5 FLAGS (\\Deleted) MODSEQ (n))",
        "* 6 FETCH (UID 9 FLAGS (\\Recent) MODSEQ (n))",
    ]


def test_select_tells_of_known_messages_only(make_world):
    world = with_messages(make_world, 8)()
    known = highest(world)
    for uid in (2, 5, 8):
        world.flag(uid, "add", SEEN)
    world.expunge(1, 3, 7)
    said = resynced(world, f"{uidvalidity(world)} {known} 3:5,7,900:4294967295")
    assert said[0] == "* VANISHED (EARLIER) 3,7"
    assert [line.split(" FLAGS")[0] for line in said[1:]] == ["* 3 FETCH (UID 5"]


# IMAP trap 25: real expunges alone
def test_only_real_expunges_are_told(make_world):
    """None of those the client had heard of, none that is still there, and nothing where nothing happened."""
    world = with_messages(make_world, 6)()
    world.expunge(2)
    known = highest(world)
    assert resynced(world, f"{uidvalidity(world)} {known} 1:100") == []
    world.expunge(5)
    assert resynced(world, f"{uidvalidity(world)} {known} 1:100", "third") == ["* VANISHED (EARLIER) 5"]


# IMAP trap 25: another UIDVALIDITY
def test_another_uidvalidity_says_nothing(make_world):
    world = with_messages(make_world, 4)()
    known = highest(world)
    world.flag(1, "add", SEEN)
    world.expunge(2)
    assert resynced(world, f"{uidvalidity(world) + 1} {known} 1:4 (1:4 1:4)") == []


# IMAP trap 26: what is kept no more
def test_what_is_kept_no_more_is_told_as_all_that_is_missing(make_world):
    world = with_messages(make_world, 9)()
    known = highest(world)
    world.expunge(2, 3)
    world.sweep()
    world.expunge(8)
    validity = uidvalidity(world)
    assert resynced(world, f"{validity} {known}") == ["* VANISHED (EARLIER) 2:3,8"]
    assert resynced(world, f"{validity} {known} 1:2,7:4000", "third") == ["* VANISHED (EARLIER) 2,8"]
    assert resynced(world, f"{validity} {highest(world) - 1}", "fourth") == ["* VANISHED (EARLIER) 8"]


def test_matching_numbers_bound_what_is_told(make_world):
    """RFC 7162 3.2.5.2: up to the last pair that holds the client knows of everything."""
    world = with_messages(make_world, 9)()
    world.expunge(2, 3)
    world.sweep()
    world.expunge(8)
    validity = uidvalidity(world)  # 1 4 5 6 7 9
    for number, (pairs, told) in enumerate(
        [
            ("(1 1)", "2:3,8"),
            ("(1,2 1,2)", "2:3,8"),
            ("(1:5 1:5)", "2:3,8"),
            ("(2,3 4,5)", "8"),
            ("(2:6 4:8)", "8"),
            ("(2,6 4,9)", ""),
            ("(6,900 9,4000)", ""),
        ]
    ):
        said = resynced(world, f"{validity} 1 1:4000 {pairs}", str(number))
        assert [line for line in said if "VANISHED" in line] == [f"* VANISHED (EARLIER) {told}"] * bool(told), pairs


def test_an_empty_mailbox(make_world):
    world = with_messages(make_world, 0)()
    assert resynced(world, f"{uidvalidity(world)} 1") == []
    assert resynced(world, f"{uidvalidity(world)} 1 1:5 (1 1)", "third") == []
    known = highest(world)
    world.put()
    world.expunge(1)
    assert resynced(world, f"{uidvalidity(world)} {known}", "fourth") == ["* VANISHED (EARLIER) 1"]


def test_uid_fetch_vanished(make_world):
    world, client = enabled(make_world, 9)
    known = highest(world)
    world.flag(6, "add", SEEN)
    world.expunge(2, 3, 9)
    client.ask("n NOOP")
    said = client.ask(f"a UID FETCH 3:8 (FLAGS) (CHANGEDSINCE {known} VANISHED)")
    assert said[0] == "* VANISHED (EARLIER) 3"
    assert re.fullmatch(r"\* 4 FETCH \(UID 6 FLAGS \(\\Seen \\Recent\) MODSEQ \(\d+\)\)", said[1])
    assert said[2:] == ["a OK FETCH completed"]
    said = client.ask(f"b UID FETCH 1:* (FLAGS) (VANISHED CHANGEDSINCE {known})")
    assert said[0] == "* VANISHED (EARLIER) 2:3,9"  # the highest there was is meant by * too
    assert client.ask(f"c UID FETCH 1:* (UID) (CHANGEDSINCE {highest(world)} VANISHED)") == ["c OK FETCH completed"]
    world.sweep()
    assert client.ask(f"d UID FETCH 1:900 (UID) (CHANGEDSINCE {known} VANISHED)")[0] == "* VANISHED (EARLIER) 2:3,9"


def test_what_is_yet_to_be_told_is_told_once(make_world):
    """A message that the client still counts goes by VANISHED without EARLIER, which alters its numbers (3.2.10)."""
    world, client = enabled(make_world, 6)
    known = highest(world)
    world.expunge(2)
    said = client.ask(f"a UID FETCH 1:* (UID) (CHANGEDSINCE {known} VANISHED)")
    assert said == ["* VANISHED 2", f"a OK [HIGHESTMODSEQ {highest(world)}] FETCH completed"]


# IMAP trap 25: VANISHED in the place of EXPUNGE
def test_vanished_stands_for_expunge_everywhere(make_world):
    def make():
        world, _ = enabled(make_world, 9)
        world.connect("2", select="INBOX")
        return world

    play(
        make,
        r"""
        C: a UID STORE 1,3 +FLAGS.SILENT (\Deleted)
        S: * 1 FETCH (UID 1 MODSEQ (…))
        S: * 3 FETCH (UID 3 MODSEQ (…))
        S: a OK [HIGHESTMODSEQ …] STORE completed
        C: b EXPUNGE
        S: * VANISHED 1,3
        S: b OK [HIGHESTMODSEQ …] EXPUNGE completed
        C: c EXPUNGE
        S: c OK EXPUNGE completed
        C: d STORE 1:2 +FLAGS.SILENT (\Deleted)
        S: * 1 FETCH (UID 2 MODSEQ (…))
        S: * 2 FETCH (UID 4 MODSEQ (…))
        S: d OK [HIGHESTMODSEQ …] STORE completed
        C: e UID EXPUNGE 4:9
        S: * VANISHED 4
        S: e OK [HIGHESTMODSEQ …] EXPUNGE completed
        C: f MOVE 2 Trash
        S: * OK [COPYUID … 5 1] Moved
        S: * VANISHED 5
        S: f OK [HIGHESTMODSEQ …] MOVE completed
        C: g IDLE
        S: + idling
        ! world.expunge(6, 8)
        S: * VANISHED 6,8
        C: DONE
        S: g OK [HIGHESTMODSEQ …] IDLE terminated
        C: h CLOSE
        S: h OK CLOSE completed
        C2: i NOOP
        S2: * 8 EXPUNGE
        S2: * 6 EXPUNGE
        S2: * 5 EXPUNGE
        S2: * 4 EXPUNGE
        S2: * 3 EXPUNGE
        S2: * 2 EXPUNGE
        S2: * 1 EXPUNGE
        S2: i OK NOOP completed
        """,
    )


def test_the_answer_to_expunge_has_its_own_modseq(make_world):
    world, client = enabled(make_world)
    world.flag(2, "add", DELETED)
    assert client.ask("a EXPUNGE")[-1] == f"a OK [HIGHESTMODSEQ {highest(world)}] EXPUNGE completed"
    said = client.ask("b UID MOVE 3 Trash")[-1]
    assert said == f"b OK [HIGHESTMODSEQ {highest(world)}] MOVE completed"


def test_a_delayed_vanished_holds_the_modseq_back(make_world):
    """RFC 7162 6: a client whose connection breaks here asks again from before the expunge it was not told of."""
    world, client = enabled(make_world)
    before = highest(world)
    world.expunge(2)
    said = client.ask("a STORE 1 +FLAGS.SILENT (\\Seen)")
    assert said[-1] == f"a OK [HIGHESTMODSEQ {before}] STORE completed"
    said = client.ask("b FETCH 1:3 (MODSEQ)")
    assert said[-1] == f"b OK [HIGHESTMODSEQ {before}] FETCH completed"
    said = client.ask(f"c STORE 1 (UNCHANGEDSINCE {before}) +FLAGS.SILENT (\\Flagged)")
    assert said[-2:] == [
        f"* OK [HIGHESTMODSEQ {before}] Highest mod-sequence",
        "c OK [MODIFIED 1] Conditional STORE failed for some",
    ]
    assert client.ask("d NOOP") == ["* VANISHED 2", f"d OK [HIGHESTMODSEQ {highest(world)}] NOOP completed"]
    assert client.ask("e NOOP") == ["e OK NOOP completed"]


def test_vanished_names_no_message_the_client_was_not_told_of(make_world):
    world, client = enabled(make_world, 3)
    world.hints.lost = True
    uid = world.put()
    world.expunge(uid)
    assert not [line for line in client.ask("a NOOP") if "VANISHED" in line]


def test_closed_is_said_when_select_leaves_a_mailbox(make_world):
    _, client = enabled(make_world)
    for command in ("SELECT Sent", "EXAMINE INBOX", "SELECT Nowhere"):
        assert client.ask(f"a {command}")[0] == "* OK [CLOSED] Previous mailbox closed"
    assert client.ask("b SELECT INBOX")[0].startswith("* FLAGS")  # none was selected
    client.ask("c UNSELECT")
    assert client.ask("d SELECT INBOX")[0].startswith("* FLAGS")


def test_a_message_that_is_seen_now_says_uid_and_modseq(make_world):
    """RFC 7162 3.2.4."""
    _, client = enabled(make_world, 2)
    said = client.ask("a FETCH 1 BODY[]")
    assert re.fullmatch(r" UID 1 FLAGS \(\\Seen \\Recent\) MODSEQ \(\d+\)\)", said[-2]), said
    said = client.ask("b UID FETCH 2 (FLAGS BODY[])")
    assert "MODSEQ (" in said[0] and said[-2] == ")"


@pytest.mark.parametrize("seed", range(6))
def test_a_client_that_reconnects_at_any_time_ends_equal(make_world, seed):
    """Two sessions change the mailbox; a third is told, breaks off behind any answer, comes back with what it knows."""
    draw = random.Random(seed)
    world, client = enabled(make_world, 12)
    other = world.connect("other", select="INBOX")
    state = dict.fromkeys(range(1, 13), ())
    modseq, validity = highest(world), uidvalidity(world)
    for step in range(60):
        change = draw.choice(("flag", "expunge", "put", "none", "sweep"))
        live = run_now(world.box().snapshot()).uids.tolist()
        if change == "flag" and live:
            other.ask(f"x UID STORE {draw.choice(live)} {draw.choice('+-')}FLAGS (\\Flagged)")
        elif change == "expunge" and live:
            world.expunge(*draw.sample(live, min(2, len(live))))
        elif change == "put":
            world.put()
        elif change == "sweep" and not draw.randrange(4):
            world.sweep()
        other.ask("y NOOP")
        known = draw.choice(sorted(state) or [1])
        command = draw.choice(
            ("NOOP", "FETCH 1:* (UID FLAGS)", "reconnect", f"UID STORE {known} +FLAGS (\\Seen)", "STORE 1 FLAGS ()")
        )
        if command == "reconnect" or step == 59:
            client.lose()
            client = world.connect()
            client.ask("e ENABLE QRESYNC")
            known = ",".join(map(str, sorted(state)))
            command = f"SELECT INBOX (QRESYNC ({validity} {modseq}{' ' * bool(known)}{known}))"
        modseq = learn(state, modseq, client.ask(f"t{step} {command}"))
    snapshot = run_now(world.box().snapshot())
    bits = dict(zip(snapshot.uids, snapshot.flags, strict=True))
    assert set(state) <= set(bits), "an expunge was lost"
    for uid, flags in state.items():
        assert [bool(bits[uid] & bit) for bit in (SEEN, FLAGGED)] == ["\\Seen" in flags, "\\Flagged" in flags], uid


def learn(state, modseq, said):
    """Do what RFC 7162 6 has a client do; return the highest mod-sequence it then knows."""
    told, highest_sent = None, 0
    for line in said:
        if found := re.match(r"\* VANISHED (?:\(EARLIER\) )?(\S+)$", line):
            for part in found[1].split(","):
                low, _, high = part.partition(":")
                for uid in range(int(low), int(high or low) + 1):
                    state.pop(uid, None)
        if found := re.search(r"UID (\d+) FLAGS \(([^)]*)\)", line):
            state[int(found[1])] = tuple(name for name in found[2].split() if name != "\\Recent")
        if found := re.search(r"HIGHESTMODSEQ (\d+)", line):
            told = int(found[1])
        if found := re.search(r"MODSEQ \((\d+)\)", line):
            highest_sent = max(highest_sent, int(found[1]))
    return max(modseq, highest_sent) if told is None else told
