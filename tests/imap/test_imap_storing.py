"""STORE, CONDSTORE, EXPUNGE, COPY, MOVE and UIDPLUS (RFC 4315) through a session."""

import re

from imap_world import play
from twisted.internet.defer import Deferred

from mailnode.errors import KeywordLimit, OverQuota
from mailnode.imap.commands import store
from mailnode.imap.wire import connection
from mailnode.net.no_reactor import run_now
from mailnode.values.flags import DELETED, FLAGGED, SEEN


def with_messages(make_world, count, *names):
    def make():
        world = make_world()
        for number in range(1, count + 1):
            world.put(b"Subject: m%d\r\n\r\nbody %d\r\n" % (number, number))
        for name in names or ("",):
            world.connect(name, select="INBOX")
        return world

    return make


def modseqs(world):
    return run_now(world.box().snapshot()).modseqs.tolist()


def test_modes_and_keywords(make_world):
    play(
        with_messages(make_world, 2),
        r"""
        C: a STORE 1:2 +FLAGS (\Seen $Forwarded)
        S: * FLAGS (\Seen \Answered \Flagged \Deleted \Draft $Forwarded)
        S: * OK [PERMANENTFLAGS (\Seen \Answered \Flagged \Deleted \Draft $Forwarded \*)] Flags kept
        S: * 1 FETCH (FLAGS (\Seen $Forwarded \Recent))
        S: * 2 FETCH (FLAGS (\Seen $Forwarded \Recent))
        S: a OK STORE completed
        C: b UID STORE 2 -FLAGS \Seen $FORWARDED
        S: * 2 FETCH (UID 2 FLAGS (\Recent))
        S: b OK STORE completed
        C: c STORE 1 FLAGS ()
        S: * 1 FETCH (FLAGS (\Recent))
        S: c OK STORE completed
        C: d STORE 1 FLAGS.SILENT (\Draft $forwarded)
        S: d OK STORE completed
        C: e FETCH 1 FLAGS
        S: * 1 FETCH (FLAGS (\Draft $Forwarded \Recent))
        S: e OK FETCH completed
        C: f STORE 1 +FLAGS (\Recent)
        S: f BAD …
        C: g STORE 1 +FLAGS (\Bogus)
        S: g BAD …
        C: h UID STORE 7:9 +FLAGS (\Seen)
        S: h OK STORE completed
        """,
    )


def test_a_keyword_is_named_by_flags_before_a_fetch_shows_it(make_world):
    play(
        with_messages(make_world, 1, "1", "2"),
        r"""
        C1: a STORE 1 +FLAGS.SILENT (later)
        S1: * FLAGS (\Seen \Answered \Flagged \Deleted \Draft later)
        S1: * OK [PERMANENTFLAGS (\Seen \Answered \Flagged \Deleted \Draft later \*)] Flags kept
        S1: a OK STORE completed
        C2: b FETCH 1 FLAGS
        S2: * FLAGS (\Seen \Answered \Flagged \Deleted \Draft later)
        S2: * OK [PERMANENTFLAGS (\Seen \Answered \Flagged \Deleted \Draft later \*)] Flags kept
        S2: * 1 FETCH (FLAGS (later))
        S2: b OK FETCH completed
        C2: c SEARCH KEYWORD LATER
        S2: * SEARCH 1
        S2: c OK SEARCH completed
        C2: d SEARCH UNKEYWORD nobody-knows
        S2: * SEARCH 1
        S2: d OK SEARCH completed
        C2: e SEARCH KEYWORD nobody-knows
        S2: * SEARCH
        S2: e OK SEARCH completed
        """,
    )


# IMAP trap 51: PERMANENTFLAGS without a star
def test_a_full_keyword_table_is_told(make_world):
    world = with_messages(make_world, 1)()
    client = world.clients[""]
    names = " ".join(f"k{n}" for n in range(55))
    said = client.ask(f"a STORE 1 FLAGS.SILENT ({names})")
    assert said[1] == f"* OK [PERMANENTFLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft {names})] Flags kept"
    assert client.ask("b STORE 1 +FLAGS (one-more)") == ["b NO [LIMIT] No more keywords can be added"]
    assert client.ask("c STORE 1 -FLAGS.SILENT (one-more K3)") == ["c OK STORE completed"]
    assert run_now(world.box().snapshot()).keywords.full


# IMAP trap 22: shapes of MODSEQ
def test_condstore_shapes(make_world):
    world = with_messages(make_world, 3)()
    client = world.clients[""]
    assert client.ask("a STORE 1 +FLAGS (\\Seen)")[0] == "* 1 FETCH (FLAGS (\\Seen \\Recent))"
    one, two, three = modseqs(world)
    assert one > three > two
    assert client.ask("b FETCH 1:3 MODSEQ") == [
        f"* OK [HIGHESTMODSEQ {one}] Highest mod-sequence",
        f"* 1 FETCH (MODSEQ ({one}))",
        f"* 2 FETCH (MODSEQ ({two}))",
        f"* 3 FETCH (MODSEQ ({three}))",
        "b OK FETCH completed",
    ]
    # enabled by that: every FETCH of flags has it from now on, asked for or not
    assert client.ask("c FETCH 1 FLAGS")[0] == f"* 1 FETCH (FLAGS (\\Seen \\Recent) MODSEQ ({one}))"
    world.flag(2, "add", FLAGGED)
    _, two, _ = modseqs(world)
    assert client.ask("d NOOP")[0] == f"* 2 FETCH (UID 2 FLAGS (\\Flagged \\Recent) MODSEQ ({two}))"
    said = client.ask("e STORE 3 +FLAGS.SILENT (\\Seen)")
    three = modseqs(world)[2]
    assert said == [f"* 3 FETCH (UID 3 MODSEQ ({three}))", "e OK STORE completed"]
    said = client.ask(f"f FETCH 1:* (FLAGS) (CHANGEDSINCE {one})")
    assert said == [
        f"* 2 FETCH (FLAGS (\\Flagged \\Recent) MODSEQ ({two}))",
        f"* 3 FETCH (FLAGS (\\Seen \\Recent) MODSEQ ({three}))",
        "f OK FETCH completed",
    ]
    assert len(client.ask("g FETCH 1:* (UID) (CHANGEDSINCE 0)")) == 4
    assert client.ask("h FETCH 1:* (UID) (CHANGEDSINCE 9223372036854775807)") == ["h OK FETCH completed"]


# IMAP trap 24: nothing changed, nothing raised
def test_a_store_that_changes_nothing_raises_no_modseq(make_world):
    world = with_messages(make_world, 2)()
    client = world.clients[""]
    client.ask("a STORE 1 +FLAGS (\\Seen)")
    before = modseqs(world), run_now(world.box().snapshot()).highest_modseq
    assert client.ask("b STORE 1:2 -FLAGS (\\Answered)") == [
        "* 1 FETCH (FLAGS (\\Seen \\Recent))",
        "* 2 FETCH (FLAGS (\\Recent))",
        "b OK STORE completed",
    ]
    assert client.ask("c STORE 1 +FLAGS.SILENT (\\Seen)") == ["c OK STORE completed"]
    assert (modseqs(world), run_now(world.box().snapshot()).highest_modseq) == before


# IMAP trap 23: numbers or UIDs as they were asked
def test_unchangedsince(make_world):
    world = with_messages(make_world, 3)()
    client = world.clients[""]
    base = run_now(world.box().snapshot()).highest_modseq
    world.flag(2, "add", FLAGGED)
    said = client.ask(f"a STORE 1:3 (UNCHANGEDSINCE {base}) +FLAGS.SILENT (\\Deleted)")
    one, two, three = modseqs(world)
    assert said == [
        f"* OK [HIGHESTMODSEQ {two}] Highest mod-sequence",
        f"* 1 FETCH (UID 1 MODSEQ ({one}))",
        f"* 3 FETCH (UID 3 MODSEQ ({three}))",
        f"* 2 FETCH (UID 2 FLAGS (\\Flagged \\Recent) MODSEQ ({two}))",
        "a OK [MODIFIED 2] Conditional STORE failed for some",
    ]
    assert two > base and one > two
    world.expunge(1)
    client.ask("n NOOP")
    said = client.ask(f"b UID STORE 2:3 (UNCHANGEDSINCE {base}) +FLAGS (\\Answered)")
    assert said[-1] == "b OK [MODIFIED 2:3] Conditional STORE failed for some"
    said = client.ask(f"c STORE 1:2 (UNCHANGEDSINCE {base}) +FLAGS (\\Answered)")
    assert said[-1] == "c OK [MODIFIED 1:2] Conditional STORE failed for some"
    said = client.ask(f"d STORE 1 (UNCHANGEDSINCE {two}) +FLAGS (\\Answered)")
    assert re.fullmatch(r"\* 1 FETCH \(UID 2 FLAGS \(\\Answered \\Flagged \\Recent\) MODSEQ \(\d+\)\)", said[0])
    assert said[1:] == ["d OK STORE completed"]
    assert client.ask("e STORE 1 (UNCHANGEDSINCE 0) +FLAGS (x)")[-1].startswith("e OK [MODIFIED 1]")


# IMAP trap 23: with messages that are gone
def test_unchangedsince_with_messages_gone(make_world):
    """RFC 7162 3.1.3, example 11."""
    world = with_messages(make_world, 3)()
    client = world.clients[""]
    base = run_now(world.box().snapshot()).highest_modseq
    world.flag(2, "add", FLAGGED)
    world.expunge(3)
    said = client.ask(f"a STORE 1:3 (UNCHANGEDSINCE {base}) +FLAGS (\\Seen)")
    assert said[-1] == "a NO [MODIFIED 2] Some messages were expunged"
    assert client.ask("b NOOP")[0] == "* 3 EXPUNGE"


# IMAP trap 22: whatever enables it
def test_what_enables_condstore(make_world):
    for command in (
        "SELECT INBOX (CONDSTORE)",
        "EXAMINE INBOX (CONDSTORE)",
        "STATUS Sent (HIGHESTMODSEQ)",
        "FETCH 1 (MODSEQ)",
        "FETCH 1 FLAGS (CHANGEDSINCE 1)",
        "SEARCH MODSEQ 1",
        "STORE 1 (UNCHANGEDSINCE 1) +FLAGS (\\Seen)",
        "ENABLE CONDSTORE",
        'LIST "" "" RETURN (STATUS (HIGHESTMODSEQ))',
    ):
        world = with_messages(make_world, 1)()
        client = world.clients[""]
        assert "MODSEQ" not in client.ask("b FETCH 1 FLAGS")[0]
        highest = run_now(world.box().snapshot()).highest_modseq
        said = client.ask(f"a {command}")
        assert said[-1].startswith("a OK"), command
        # RFC 7162 3.1: the first of the session tells what the open mailbox has, before it changes anything
        told = [line for line in said if "[HIGHESTMODSEQ" in line]
        assert told == [f"* OK [HIGHESTMODSEQ {highest}] Highest mod-sequence"], command
        assert "[HIGHESTMODSEQ" not in "".join(client.ask("a FETCH 1 (MODSEQ)")), command
        world.flag(1, "add", DELETED)
        assert "MODSEQ (" in client.ask("b NOOP")[0], command


def test_a_bad_number_enables_nothing(make_world):
    client = with_messages(make_world, 1)().clients[""]
    for command in ("FETCH 9 (MODSEQ)", "STORE 9 (UNCHANGEDSINCE 1) +FLAGS (x)"):
        assert client.ask(f"a {command}") == ["a BAD No such message number"]
    assert client.ask("b FETCH 1 FLAGS") == ["* 1 FETCH (FLAGS (\\Recent))", "b OK FETCH completed"]


def test_condstore_enabled_before_a_mailbox_is_open_is_told_by_select_alone(make_world):
    client = make_world_with_client(make_world)().clients[""]
    assert client.ask("a ENABLE CONDSTORE") == ["* ENABLED CONDSTORE", "a OK ENABLE completed"]
    for command in ("SELECT INBOX", "SELECT INBOX (CONDSTORE)"):
        assert sum("[HIGHESTMODSEQ" in line for line in client.ask(f"b {command}")) == 1


def test_a_store_over_messages_expunged_elsewhere(make_world):
    """RFC 2180 4.2: what is still there is stored, and that is OK; only when nothing is, a client that asked for flags
    hears NO."""
    play(
        with_messages(make_world, 5),
        r"""
        ! world.expunge(2, 4)
        C: a STORE 1:3 +FLAGS.SILENT (\Seen)
        S: a OK STORE completed
        C: b STORE 2:4 +FLAGS (\Flagged)
        S: * 3 FETCH (FLAGS (\Seen \Flagged \Recent))
        S: b OK STORE completed
        C: c STORE 2,4 +FLAGS.SILENT (\Seen)
        S: c OK STORE completed
        C: d STORE 2,4 +FLAGS (\Seen)
        S: d NO [EXPUNGEISSUED] Some messages were expunged
        C: e NOOP
        S: * 4 EXPUNGE
        S: * 2 EXPUNGE
        S: e OK NOOP completed
        C: f FETCH 1:3 (UID FLAGS)
        S: * 1 FETCH (UID 1 FLAGS (\Seen \Recent))
        S: * 2 FETCH (UID 3 FLAGS (\Seen \Flagged \Recent))
        S: * 3 FETCH (UID 5 FLAGS (\Recent))
        S: f OK FETCH completed
        """,
    )


def test_enable(make_world):
    play(
        make_world_with_client(make_world),
        """
        C: a ENABLE X-NONSENSE CONDSTORE
        S: * ENABLED CONDSTORE
        S: a OK ENABLE completed
        C: b ENABLE CONDSTORE
        S: * ENABLED CONDSTORE
        S: b OK ENABLE completed
        """,
    )


def make_world_with_client(make_world):
    def make():
        world = make_world()
        world.connect()
        return world

    return make


def test_search_modseq(make_world):
    world = with_messages(make_world, 3)()
    client = world.clients[""]
    world.flag(1, "add", SEEN)
    one, two, three = modseqs(world)
    client.ask("c ENABLE CONDSTORE")
    assert client.ask(f"a SEARCH MODSEQ {three}")[0] == f"* SEARCH 1 3 (MODSEQ {one})"
    assert client.ask(f'b SEARCH MODSEQ "/flags/\\\\draft" all {one + 1}')[0] == "* SEARCH"
    assert client.ask(f"c SEARCH RETURN (MAX) MODSEQ {two}")[0] == f'* ESEARCH (TAG "c") MAX 3 MODSEQ {three}'
    assert client.ask(f"d SEARCH RETURN (MIN MAX) MODSEQ {two}")[0] == f'* ESEARCH (TAG "d") MIN 1 MAX 3 MODSEQ {one}'
    said = client.ask(f"e UID SEARCH RETURN (COUNT) MODSEQ {two}")[0]
    assert said == f'* ESEARCH (TAG "e") UID COUNT 3 MODSEQ {one}'
    assert client.ask(f"f SEARCH RETURN (ALL) MODSEQ {one + 1}")[0] == '* ESEARCH (TAG "f")'


# IMAP trap 24: what raises it
def test_modseq_grows_on_append_flag_and_expunge(make_world):
    world = with_messages(make_world, 2)()
    seen = [run_now(world.box().snapshot()).highest_modseq]
    for change in (lambda: world.put(), lambda: world.flag(1, "add", SEEN), lambda: world.expunge(1)):
        change()
        seen.append(run_now(world.box().snapshot()).highest_modseq)
    assert seen == sorted(set(seen))
    said = world.clients[""].ask("a STATUS INBOX (HIGHESTMODSEQ)")
    assert f"* STATUS INBOX (HIGHESTMODSEQ {seen[-1]})" in said


# IMAP trap 21: in the order of the source
def test_copy_and_copyuid(make_world):
    play(
        with_messages(make_world, 3),
        r"""
        C: a STORE 2 +FLAGS.SILENT (\Flagged kept)
        S: …
        S: a OK STORE completed
        C: b COPY 2:3 Sent
        S: b OK [COPYUID … 2:3 1:2] COPY completed
        C: c UID COPY 1 Sent
        S: c OK [COPYUID … 1 3] COPY completed
        C: d UID COPY 9 Sent
        S: d OK COPY completed, no messages
        C: e COPY 1 Nowhere
        S: e NO [TRYCREATE] No such mailbox
        C: f COPY 9 Sent
        S: f BAD No such message number
        C: g SELECT Sent
        S: …
        S: g OK [READ-WRITE] SELECT completed
        C: h FETCH 1:3 (UID FLAGS BODY.PEEK[TEXT]<5.1>)
        S: * 1 FETCH (UID 1 FLAGS (\Flagged kept \Recent) BODY[TEXT]<5> {1}
        S: 2)
        S: * 2 FETCH (UID 2 FLAGS (\Recent) BODY[TEXT]<5> {1}
        S: 3)
        S: * 3 FETCH (UID 3 FLAGS (\Recent) BODY[TEXT]<5> {1}
        S: 1)
        S: h OK FETCH completed
        """,
    )


# IMAP trap 16: onto itself
def test_copy_onto_itself_shows_the_new_messages(make_world):
    play(
        with_messages(make_world, 2),
        """
        C: a COPY 1:2 INBOX
        S: * 4 EXISTS
        S: * 4 RECENT
        S: a OK [COPYUID … 1:2 3:4] COPY completed
        """,
    )


# IMAP trap 16: MOVE
def test_move_tells_copyuid_before_the_expunges(make_world):
    play(
        with_messages(make_world, 4, "1", "2"),
        """
        C1: a MOVE 1,3 Archive
        S1: * OK [COPYUID … 1,3 1:2] Moved
        S1: * 3 EXPUNGE
        S1: * 1 EXPUNGE
        S1: a OK MOVE completed
        C1: b UID MOVE 2 Nowhere
        S1: b NO [TRYCREATE] No such mailbox
        C2: c NOOP
        S2: * 3 EXPUNGE
        S2: * 1 EXPUNGE
        S2: c OK NOOP completed
        C2: d UID MOVE 2,99 INBOX
        S2: * OK [COPYUID … 2 5] Moved
        S2: * 1 EXPUNGE
        S2: * 2 EXISTS
        S2: * 1 RECENT
        S2: d OK MOVE completed
        C2: e UID MOVE 99 Archive
        S2: e OK MOVE completed, no messages
        """,
    )


def test_copy_of_what_is_gone(make_world):
    play(
        with_messages(make_world, 3),
        """
        ! world.expunge(2)
        C: a COPY 1:2 Sent
        S: * 2 EXPUNGE
        S: a OK [COPYUID … 1 1] COPY completed
        ! world.expunge(3)
        C: b COPY 2 Sent
        S: * 2 EXPUNGE
        S: b NO [EXPUNGEISSUED] Some messages were expunged
        ! world.expunge(1)
        C: c UID MOVE 1 Sent
        S: * 1 EXPUNGE
        S: c OK MOVE completed
        """,
    )


# IMAP trap 16: over quota
def test_copy_over_quota_copies_nothing(make_world):
    world = with_messages(make_world, 3)()
    if hasattr(world, "store"):
        run_now(world.store.set_quota("acc", 100, 0))
    else:
        world.account.quota = 100
    client = world.clients[""]
    for verb in ("COPY", "MOVE") if not hasattr(world, "store") else ("COPY",):
        assert client.ask(f"a {verb} 1:3 Sent") == ["a NO [OVERQUOTA] Over quota"]
    assert client.ask("b STATUS Sent (MESSAGES)")[0] == "* STATUS Sent (MESSAGES 0)"


def test_errors_are_mapped_once():
    from mailnode.imap.answers import refusal

    answer = refusal(OverQuota())
    assert answer is not None and answer.line(b"t") == b"t NO [OVERQUOTA] Over quota\r\n"
    assert refusal(ZeroDivisionError()) is None


def test_a_thousand_messages_at_once(make_world):
    world = make_world()
    for _ in range(1200):
        world.put(b"Subject: x\r\n\r\n")
    client = world.connect(select="INBOX")
    said = client.ask("a STORE 1:* +FLAGS (\\Deleted)")
    assert len(said) == 1201 and said[-1] == "a OK STORE completed"
    said = client.ask("b EXPUNGE")
    assert said[:2] == ["* 1200 EXPUNGE", "* 1199 EXPUNGE"] and len(said) == 1201
    assert client.ask("c STATUS INBOX (MESSAGES)")[0] == "* STATUS INBOX (MESSAGES 0)"


# pipelined commands


class Counted:
    """A mailbox that counts how many of its changes were asked for before the first was done."""

    def __init__(self, mailbox) -> None:
        self.mailbox = mailbox
        self.waiting = []
        self.errors = {}

    def __getattr__(self, name):
        return getattr(self.mailbox, name)

    async def store_flags(self, uids, *arguments):
        turn = Deferred()
        self.waiting.append(turn)
        await turn
        if tuple(uids) in self.errors:
            raise self.errors[tuple(uids)]
        return await self.mailbox.store_flags(uids, *arguments)

    def go_on(self):
        waiting, self.waiting = self.waiting, []
        for turn in waiting:
            turn.callback(None)
        return len(waiting)


def counted(world):
    client = world.connect(select="INBOX")
    selected = client.pump._session.selected
    selected.mailbox = Counted(selected.mailbox)
    client.received()
    return client, selected.mailbox


def test_pipelined_commands_go_to_the_store_together_and_are_answered_each(make_world):
    client, mailbox = counted(with_messages(make_world, 5)())
    mailbox.errors[(2,)] = KeywordLimit("keywords")
    client.send(
        b"a UID STORE 1 +FLAGS (\\Seen)\r\nb UID STORE 2 +FLAGS (x)\r\nc UID STORE 5 +FLAGS.SILENT (\\Flagged)\r\n"
        b"d UID STORE 7 +FLAGS (\\Seen)\r\ne UID STORE 3:4 FLAGS (\\Seen)\r\nf NOOP\r\n"
    )
    assert client.received() == b""
    assert mailbox.go_on() == 5
    assert client.received().decode().splitlines() == [
        r"* 1 FETCH (UID 1 FLAGS (\Seen))",
        "a OK STORE completed",
        "b NO [LIMIT] No more keywords can be added",
        "c OK STORE completed",
        "d OK STORE completed",
        r"* 3 FETCH (UID 3 FLAGS (\Seen))",
        r"* 4 FETCH (UID 4 FLAGS (\Seen))",
        "e OK STORE completed",
        "f OK NOOP completed",
    ]


def test_a_run_ends_where_something_else_begins(make_world):
    for other in (
        b"STORE 2 +FLAGS (\\Seen)",
        b"UID STORE 1 (UNCHANGEDSINCE 1) +FLAGS (\\Seen)",
        b"UID STORE nothing +FLAGS (\\Seen)",
        b"UID STORE 2 +FLAGS {1+}",
        b"UID STORE 1,2 -FLAGS (\\Seen)",
        b"NOOP",
    ):
        client, mailbox = counted(with_messages(make_world, 2)())
        client.send(b"a UID STORE 1 +FLAGS (\\Seen)\r\nb " + other + b"\r\nc UID STORE 2 +FLAGS (\\Seen)\r\n")
        assert mailbox.go_on() == 1, other
        client.lose()


def test_numbers_before_uids_run_together_and_expunge_is_told_with_the_uids(make_world):
    world = with_messages(make_world, 4)()
    client, mailbox = counted(world)
    world.expunge(1)
    client.ask("x FETCH 2 UID")  # which may not be told of it
    commands = (b"a STORE 2 +FLAGS", b"b UID STORE 3 +FLAGS", b"c UID STORE 4 +FLAGS", b"d STORE 3 +FLAGS.SILENT")
    client.send(b"".join(command + b" (\\Seen)\r\n" for command in commands))
    assert mailbox.go_on() == 3
    assert mailbox.go_on() == 1
    assert client.received().decode().splitlines() == [
        r"* 2 FETCH (FLAGS (\Seen))",
        "a OK STORE completed",
        r"* 3 FETCH (UID 3 FLAGS (\Seen))",
        "* 1 EXPUNGE",
        "b OK STORE completed",
        r"* 3 FETCH (UID 4 FLAGS (\Seen))",
        "c OK STORE completed",
        "d OK STORE completed",
    ]


def test_a_run_is_bounded(make_world, monkeypatch):
    monkeypatch.setattr(store, "UNIT", 3)
    monkeypatch.setattr(connection, "TOGETHER", 4)
    client, mailbox = counted(with_messages(make_world, 4)())
    client.send(b"".join(b"a STORE %d +FLAGS (\\Seen)\r\n" % number for number in range(1, 5)))
    assert mailbox.go_on() == 3
    assert mailbox.go_on() == 1
    assert client.received().count(b"a OK") == 4
    client.send(b"".join(b"b UID STORE 9 +FLAGS (\\Seen)\r\n" for _ in range(6)))
    assert mailbox.go_on() == 4
    assert mailbox.go_on() == 2
    assert client.received().count(b"b OK") == 6


def test_a_run_of_numbers_tells_of_messages_expunged_elsewhere(make_world):
    world = with_messages(make_world, 3)()
    client, mailbox = counted(world)
    commands = (b"a STORE 1 +FLAGS", b"b STORE 2 +FLAGS", b"s STORE 2:3 +FLAGS.SILENT", b"c STORE 9 +FLAGS")
    client.send(b"".join(command + b" (\\Seen)\r\n" for command in commands))
    world.expunge(2)
    assert mailbox.go_on() == 2
    assert mailbox.go_on() == 1  # it names a message that the run has already
    lines = client.received().decode().splitlines()
    assert lines[:4] == [
        r"* 1 FETCH (FLAGS (\Seen))",
        "a OK STORE completed",
        "b NO [EXPUNGEISSUED] Some messages were expunged",
        "s OK STORE completed",
    ]
    assert lines[-1].startswith("c BAD ")
