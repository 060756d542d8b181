"""Several sessions on one mailbox: what each is told, when, and by which numbers."""

from imap_world import play

from mailnode.net.no_reactor import run_now
from mailnode.values.flags import DELETED, FLAGGED, SEEN


def with_messages(make_world, count, *names, **options):
    def make():
        world = make_world()
        for number in range(1, count + 1):
            world.put(b"Subject: m%d\r\n\r\nbody %d\r\n" % (number, number))
        for name in names or ("",):
            world.connect(name, select="INBOX", **options)
        return world

    return make


# IMAP trap 15: UNSEEN is a number
def test_select_says_all_there_is(make_world):
    def make():
        world = make_world()
        for _ in range(3):
            world.put()
        world.flag(1, "add", SEEN, ["$Work"])
        world.connect()
        return world

    play(
        make,
        r"""
        C: a SELECT INBOX
        S: * FLAGS (\Seen \Answered \Flagged \Deleted \Draft $Work)
        S: * OK [PERMANENTFLAGS (\Seen \Answered \Flagged \Deleted \Draft $Work \*)] Flags kept
        S: * 3 EXISTS
        S: * 3 RECENT
        S: * OK [UNSEEN 2] First unseen message
        S: * OK [UIDVALIDITY …] UIDs valid
        S: * OK [UIDNEXT 4] Predicted next UID
        S: * OK [HIGHESTMODSEQ …] Highest mod-sequence
        S: * OK [MAILBOXID (Facc-…)] Mailbox id
        S: a OK [READ-WRITE] SELECT completed
        C: b EXAMINE INBOX
        S: * OK [CLOSED] Previous mailbox closed
        S: * FLAGS (\Seen \Answered \Flagged \Deleted \Draft $Work)
        S: * OK [PERMANENTFLAGS ()] Flags kept
        S: * 3 EXISTS
        S: * 0 RECENT
        S: * OK [UNSEEN 2] First unseen message
        S: * OK [UIDVALIDITY …] UIDs valid
        S: * OK [UIDNEXT 4] Predicted next UID
        S: * OK [HIGHESTMODSEQ …] Highest mod-sequence
        S: * OK [MAILBOXID (Facc-…)] Mailbox id
        S: b OK [READ-ONLY] EXAMINE completed
        C: c STORE 1 +FLAGS (\Seen)
        S: c NO [CANNOT] Mailbox is open read-only
        C: d EXPUNGE
        S: d NO [CANNOT] Mailbox is open read-only
        C: e MOVE 1 Sent
        S: e NO [CANNOT] Mailbox is open read-only
        C: f SELECT Nowhere
        S: * OK [CLOSED] Previous mailbox closed
        S: f NO [NONEXISTENT] No such mailbox
        C: g FETCH 1 FLAGS
        S: g BAD Command is not allowed now
        """,
    )


# IMAP trap 11: by numbers, and by UID
def test_no_expunge_during_commands_by_sequence_number(make_world):
    play(
        with_messages(make_world, 4),
        r"""
        ! world.expunge(2)
        C: a FETCH 3 (UID)
        S: * 3 FETCH (UID 3)
        S: a OK FETCH completed
        C: b STORE 3 +FLAGS (\Flagged)
        S: * 3 FETCH (FLAGS (\Flagged \Recent))
        S: b OK STORE completed
        C: c SEARCH FLAGGED
        S: * SEARCH 3
        S: c OK SEARCH completed
        C: d NOOP
        S: * 2 EXPUNGE
        S: d OK NOOP completed
        C: e FETCH 2:3 (UID)
        S: * 2 FETCH (UID 3)
        S: * 3 FETCH (UID 4)
        S: e OK FETCH completed
        """,
    )


def test_expunge_is_told_in_uid_commands_and_numbers_descend(make_world):
    play(
        with_messages(make_world, 5),
        r"""
        ! world.expunge(2, 3, 5)
        ! world.put()
        C: a UID FETCH 4 (FLAGS)
        S: * 4 FETCH (UID 4 FLAGS (\Recent))
        S: * 5 EXPUNGE
        S: * 3 EXPUNGE
        S: * 2 EXPUNGE
        S: * 3 EXISTS
        S: * 3 RECENT
        S: a OK FETCH completed
        ! world.expunge(1)
        C: b UID STORE 4 +FLAGS (\Seen)
        S: * 2 FETCH (UID 4 FLAGS (\Seen \Recent))
        S: * 1 EXPUNGE
        S: b OK STORE completed
        ! world.expunge(4)
        C: c UID SEARCH ALL
        S: * SEARCH 4 6
        S: * 1 EXPUNGE
        S: c OK SEARCH completed
        """,
    )


def test_expunged_elsewhere_answers_what_it_was(make_world):
    """RFC 2180 4.1: never another message."""
    play(
        with_messages(make_world, 3),
        r"""
        ! world.expunge(2)
        C: a FETCH 1:3 (UID BODY.PEEK[TEXT])
        S: * 1 FETCH (UID 1 BODY[TEXT] {8}
        S: body 1
        S: )
        S: * 2 FETCH (UID 2 BODY[TEXT] {8}
        S: body 2
        S: )
        S: * 3 FETCH (UID 3 BODY[TEXT] {8}
        S: body 3
        S: )
        S: a OK FETCH completed
        C: b FETCH 2 (BODY[TEXT] RFC822.SIZE)
        S: * 2 FETCH (RFC822.SIZE 23 BODY[TEXT] {8}
        S: body 2
        S: )
        S: b OK FETCH completed
        C: c STORE 2 +FLAGS (\Seen)
        S: c NO [EXPUNGEISSUED] Some messages were expunged
        C: d UID STORE 2 +FLAGS (\Seen)
        S: * 2 EXPUNGE
        S: d OK STORE completed
        """,
    )


# IMAP trap 12: kept no more
def test_swept_messages_are_expungeissued(make_world):
    world = with_messages(make_world, 3)()
    client = world.clients[""]
    world.expunge(2)
    world.sweep()
    assert client.ask("a FETCH 1:3 (RFC822.SIZE)") == [
        "* 1 FETCH (RFC822.SIZE 23)",
        "* 3 FETCH (RFC822.SIZE 23)",
        "a NO [EXPUNGEISSUED] Some messages were expunged",
    ]
    assert client.ask("b UID FETCH 1:3 (RFC822.SIZE)")[-1] == "b OK FETCH completed"


# IMAP trap 13: EXISTS first
def test_exists_before_fetch_of_a_new_message(make_world):
    play(
        with_messages(make_world, 1),
        rf"""
        ! world.put()
        ! world.flag(2, "add", {FLAGGED})
        ! world.flag(1, "add", {SEEN})
        C: a NOOP
        S: * 2 EXISTS
        S: * 2 RECENT
        S: * 1 FETCH (FLAGS (\Seen \Recent))
        S: a OK NOOP completed
        ! world.flag(2, "add", {SEEN})
        C: b NOOP
        S: * 2 FETCH (FLAGS (\Seen \Flagged \Recent))
        S: b OK NOOP completed
        C: c NOOP
        S: c OK NOOP completed
        """,
    )


# IMAP trap 14: two sessions, two flags
def test_both_sessions_flags_survive(make_world):
    play(
        with_messages(make_world, 1, "1", "2"),
        r"""
        C1: a STORE 1 +FLAGS (\Seen)
        S1: * 1 FETCH (FLAGS (\Seen \Recent))
        S1: a OK STORE completed
        C2: b STORE 1 +FLAGS.SILENT (\Flagged)
        S2: * 1 FETCH (FLAGS (\Seen \Flagged))
        S2: b OK STORE completed
        C2: c STORE 1 +FLAGS.SILENT (\Answered)
        S2: c OK STORE completed
        C1: d NOOP
        S1: * 1 FETCH (FLAGS (\Seen \Answered \Flagged \Recent))
        S1: d OK NOOP completed
        C1: e STORE 1 -FLAGS.SILENT (\Seen \Answered)
        S1: e OK STORE completed
        C2: f NOOP
        S2: * 1 FETCH (FLAGS (\Flagged))
        S2: f OK NOOP completed
        C2: g STORE 1 FLAGS (\Draft)
        S2: * 1 FETCH (FLAGS (\Draft))
        S2: g OK STORE completed
        """,
    )


# IMAP trap 14: .SILENT
def test_silent_store_reports_what_somebody_else_changed_unseen(make_world):
    """The foreign change arrives with no hint and no poll between: only the result of STORE shows it."""

    def make():
        world = with_messages(make_world, 1)()
        world.hints.lost = True
        world.clients[""].ask("n NOOP")
        return world

    play(
        make,
        rf"""
        ! world.flag(1, "add", {FLAGGED})
        C: a STORE 1 +FLAGS.SILENT (\Seen)
        S: * 1 FETCH (FLAGS (\Seen \Flagged \Recent))
        S: a OK STORE completed
        C: b NOOP
        S: b OK NOOP completed
        """,
    )


# IMAP trap 15: one session
def test_recent_belongs_to_one_session(make_world):
    play(
        with_messages(make_world, 2, "1", "2"),
        r"""
        C1: a FETCH 1:2 FLAGS
        S1: * 1 FETCH (FLAGS (\Recent))
        S1: * 2 FETCH (FLAGS (\Recent))
        S1: a OK FETCH completed
        C2: b FETCH 1:2 FLAGS
        S2: * 1 FETCH (FLAGS ())
        S2: * 2 FETCH (FLAGS ())
        S2: b OK FETCH completed
        ! world.put()
        C2: c NOOP
        S2: * 3 EXISTS
        S2: * 1 RECENT
        S2: c OK NOOP completed
        C1: d NOOP
        S1: * 3 EXISTS
        S1: * 2 RECENT
        S1: d OK NOOP completed
        C1: e SEARCH RECENT
        S1: * SEARCH 1 2
        S1: e OK SEARCH completed
        C2: f SEARCH NEW
        S2: * SEARCH 3
        S2: f OK SEARCH completed
        C2: g SEARCH OLD
        S2: * SEARCH 1 2
        S2: g OK SEARCH completed
        """,
    )


# IMAP trap 15: EXAMINE leaves it, and no MOVE onto what it opened
def test_examine_leaves_recent_to_others(make_world):
    world = with_messages(make_world, 2, "1")()
    world.put()
    second = world.connect("2")
    assert "* 1 RECENT" in second.ask("a EXAMINE INBOX")
    assert second.ask("a SEARCH RECENT")[0] == "* SEARCH 3"
    assert "* 3 EXISTS" in world.clients["1"].ask("b NOOP")
    assert world.clients["1"].ask("c SEARCH RECENT")[0] == "* SEARCH 1 2 3"


def test_expunge_by_own_command(make_world):
    play(
        with_messages(make_world, 5, "1", "2"),
        rf"""
        ! [world.flag(u, "add", {DELETED}) for u in (1, 3, 4)]
        C1: a UID EXPUNGE 3:99
        S1: * 4 EXPUNGE
        S1: * 3 EXPUNGE
        S1: * 1 FETCH (UID 1 FLAGS (\Deleted \Recent))
        S1: a OK EXPUNGE completed
        C1: b EXPUNGE
        S1: * 1 EXPUNGE
        S1: b OK EXPUNGE completed
        C1: c EXPUNGE
        S1: c OK EXPUNGE completed
        C2: d CHECK
        S2: * 4 EXPUNGE
        S2: * 3 EXPUNGE
        S2: * 1 EXPUNGE
        S2: d OK CHECK completed
        """,
    )


def test_close_expunges_without_a_word_and_unselect_does_not(make_world):
    play(
        with_messages(make_world, 3, "1", "2"),
        rf"""
        ! world.flag(2, "add", {DELETED})
        C1: a UNSELECT
        S1: a OK UNSELECT completed
        C1: b STATUS INBOX (MESSAGES)
        S1: * STATUS INBOX (MESSAGES 3)
        S1: b OK STATUS completed
        C1: c EXAMINE INBOX
        S1: * FLAGS (…)
        S1: * OK [PERMANENTFLAGS ()] Flags kept
        S1: * 3 EXISTS
        S1: * 0 RECENT
        S1: * OK [UNSEEN 1] First unseen message
        S1: * OK [UIDVALIDITY …] UIDs valid
        S1: * OK [UIDNEXT 4] Predicted next UID
        S1: * OK [HIGHESTMODSEQ …] Highest mod-sequence
        S1: * OK [MAILBOXID (Facc-…)] Mailbox id
        S1: c OK [READ-ONLY] EXAMINE completed
        C1: d CLOSE
        S1: d OK CLOSE completed
        C1: e STATUS INBOX (MESSAGES)
        S1: * STATUS INBOX (MESSAGES 3)
        S1: e OK STATUS completed
        C2: f CLOSE
        S2: f OK CLOSE completed
        C2: g STATUS INBOX (MESSAGES)
        S2: * STATUS INBOX (MESSAGES 2)
        S2: g OK STATUS completed
        C2: h CLOSE
        S2: h BAD Command is not allowed now
        """,
    )


# IMAP trap 18: agrees with the view
def test_status_of_the_selected_mailbox_agrees_with_the_view(make_world):
    play(
        with_messages(make_world, 3),
        rf"""
        ! world.flag(1, "add", {SEEN})
        ! world.expunge(2)
        ! world.put()
        C: a STATUS inbox (MESSAGES UNSEEN UIDNEXT RECENT)
        S: * 2 EXPUNGE
        S: * 3 EXISTS
        S: * 3 RECENT
        S: * 1 FETCH (FLAGS (\Seen \Recent))
        S: * STATUS INBOX (MESSAGES 3 UNSEEN 2 UIDNEXT 5 RECENT 3)
        S: a OK STATUS completed
        C: b STATUS INBOX (MESSAGES BOGUS)
        S: b BAD Unknown status item
        C: c LIST "" INBOX RETURN (STATUS (MESSAGES UNSEEN))
        S: * LIST (…) "/" INBOX
        S: * STATUS INBOX (MESSAGES 3 UNSEEN 2)
        S: c OK LIST completed
        """,
    )


# IMAP trap 17: deleted elsewhere
def test_delete_of_the_selected_mailbox_elsewhere_ends_the_session(make_world):
    world = make_world()
    world.put(mailbox="Trash")
    victim, other = world.connect("1", select="Trash"), world.connect("2")
    assert other.ask("a DELETE Trash") == ["a OK DELETE completed"]
    said = victim.ask("b FETCH 1 (ENVELOPE)")
    assert said == ["b NO [NONEXISTENT] No such mailbox", "* BYE The selected mailbox was deleted"]
    assert victim.closed
    assert not other.closed


def test_delete_of_the_selected_mailbox_by_itself(make_world):
    world = make_world()
    client = world.connect(select="Trash")
    assert client.ask("a DELETE Trash") == ["a OK DELETE completed"]
    assert client.ask("b FETCH 1 FLAGS") == ["b BAD Command is not allowed now"]
    assert client.ask("c NOOP") == ["c OK NOOP completed"]


def test_delete_while_idle_says_bye(make_world):
    world = make_world()
    client = world.connect(select="Trash")
    assert client.ask("a IDLE") == ["+ idling"]
    run_now(world.account.delete(world.box("Trash").id))
    world.clock.advance(10)
    assert client.received() == b"* BYE The selected mailbox was deleted\r\n"
    assert client.closed


# IMAP trap 17: renamed
def test_rename_keeps_uids_and_the_selection(make_world):
    world = make_world()
    uid = world.put(mailbox="Trash")
    reader, other = world.connect("1", select="Trash"), world.connect("2")
    assert other.ask("a RENAME Trash Bin/Old") == ["a OK RENAME completed"]
    assert reader.ask(f"b UID FETCH {uid} (RFC822.SIZE)")[0] == f"* 1 FETCH (UID {uid} RFC822.SIZE 23)"
    assert [line for line in other.ask('c LIST "" *') if "Bin" in line or "Trash" in line][-1].endswith("Bin/Old")


# IMAP trap 17: INBOX renamed
def test_rename_of_inbox_moves_its_mail(make_world):
    play(
        with_messages(make_world, 2, "1", "2"),
        """
        C1: a RENAME INBOX Old
        S1: * 2 EXPUNGE
        S1: * 1 EXPUNGE
        S1: a OK RENAME completed
        C2: b NOOP
        S2: * 2 EXPUNGE
        S2: * 1 EXPUNGE
        S2: b OK NOOP completed
        C2: c STATUS Old (MESSAGES)
        S2: * STATUS Old (MESSAGES 2)
        S2: c OK STATUS completed
        """,
    )


def test_lost_hints_cost_seconds_not_news(make_world):
    world = with_messages(make_world, 1)()
    client = world.clients[""]
    world.hints.lost = True
    client.ask("a NOOP")
    world.put()
    assert client.ask("b FETCH 1 UID") == ["* 1 FETCH (UID 1)", "b OK FETCH completed"]
    world.clock.advance(3)
    assert "* 2 EXISTS" in client.ask("c FETCH 1 UID")


def test_a_noop_that_missed_its_hint_tells_half_a_second_later(make_world):
    world = with_messages(make_world, 1)()
    client = world.clients[""]
    client.ask("a NOOP")
    world.hints.lost = True
    world.put()
    assert client.ask("b NOOP") == ["b OK NOOP completed"]  # the store was asked a moment ago
    world.clock.advance(0.5)
    assert client.ask("c NOOP") == ["* 2 EXISTS", "* 2 RECENT", "c OK NOOP completed"]


def test_expunge_asks_the_store_every_time(make_world):
    world = with_messages(make_world, 2)()
    client = world.clients[""]
    client.ask("a NOOP")
    world.hints.lost = True
    world.flag(2, "add", DELETED)
    assert client.ask("b EXPUNGE") == ["* 2 EXPUNGE", "b OK EXPUNGE completed"]


def test_a_message_that_came_and_went_is_never_mentioned(make_world):
    world = with_messages(make_world, 1)()
    client = world.clients[""]
    world.expunge(world.put())
    assert client.ask("a NOOP") == ["a OK NOOP completed"]
