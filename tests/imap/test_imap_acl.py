"""ACL and RIGHTS= (RFC 4314), LIST-MYRIGHTS (RFC 8440): mailboxes of other accounts."""

import pytest
from imap_world import play
from shared_world import SharedWorld

from mailnode.imap import carrying
from mailnode.net.no_reactor import run_now
from mailnode.values.flags import FLAGGED, SEEN

OTHER = "Other Users/alice@example.org"


@pytest.fixture
def shared(tmp_path):
    """Play a script with alice (C:), bob (C2:) and carol (C3:)."""

    def run(script, prepare=lambda world: None):
        def make():
            world = SharedWorld(tmp_path)
            for name, user in (("", "alice"), ("2", "bob"), ("3", "carol")):
                world.enter(name, user)
            prepare(world)
            return world

        return play(make, script)

    return run


def inbox(rights, who="bob@example.org"):
    """INBOX with two messages, shared."""

    def prepare(world):
        world.put()
        world.put(flags=SEEN | FLAGGED)
        world.give("INBOX", who, rights)

    return prepare


def test_who_has_which_rights(shared):
    shared(
        """
        C: a GETACL INBOX
        S: * ACL INBOX alice@example.org lrswipkxteacd
        S: a OK GETACL completed
        C: b SETACL INBOX bob@example.org lrs
        S: b OK SETACL completed
        C: c SETACL INBOX BOB@example.org +wc
        S: c OK SETACL completed
        C: d SETACL INBOX -anyone e
        S: d OK SETACL completed
        C: e GETACL INBOX
        S: * ACL INBOX alice@example.org lrswipkxteacd -anyone ed bob@example.org lrswkxc
        S: e OK GETACL completed
        C: f SETACL INBOX bob@example.org -rswc
        S: f OK SETACL completed
        C: g DELETEACL INBOX -anyone
        S: g OK DELETEACL completed
        C: h GETACL INBOX
        S: * ACL INBOX alice@example.org lrswipkxteacd bob@example.org l
        S: h OK GETACL completed
        C: i MYRIGHTS INBOX
        S: * MYRIGHTS INBOX lrswipkxteacd
        S: i OK MYRIGHTS completed
        C: j LISTRIGHTS INBOX bob@example.org
        S: * LISTRIGHTS INBOX bob@example.org "" l r s w i p k x t e a c d
        S: j OK LISTRIGHTS completed
        C: k LISTRIGHTS INBOX alice@example.org
        S: * LISTRIGHTS INBOX alice@example.org lrswipkxteacd
        S: k OK LISTRIGHTS completed
        C: l DELETEACL INBOX bob@example.org
        S: l OK DELETEACL completed
        C: m GETACL INBOX
        S: * ACL INBOX alice@example.org lrswipkxteacd
        S: m OK GETACL completed
        """
    )


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("SETACL INBOX bob@example.org lrq", "BAD …"),
        ("SETACL INBOX bob@example.org lR", "BAD …"),
        ("SETACL INBOX bob@example.org +-l", "BAD …"),
        ('SETACL INBOX "" l', "BAD …"),
        ("SETACL INBOX - l", "BAD …"),
        ("SETACL INBOX bob@example.org", "BAD …"),
        ("SETACL INBOX dora@example.org l", "NO [NONEXISTENT] No such account"),
        ("SETACL INBOX nobody l", "NO [NONEXISTENT] No such account"),
        ("SETACL INBOX alice@example.org -a", "NO [CANNOT] A mailbox's owner has all rights"),
        ("DELETEACL INBOX -alice@example.org", "NO [CANNOT] A mailbox's owner has all rights"),
        ("SETACL nowhere bob@example.org l", "NO [NONEXISTENT] No such mailbox"),
        ("GETACL nowhere", "NO [NONEXISTENT] No such mailbox"),
        ("MYRIGHTS nowhere", "NO [NONEXISTENT] No such mailbox"),
        ("LISTRIGHTS nowhere bob@example.org", "NO [NONEXISTENT] No such mailbox"),
        ("CREATE {10+}\r\nOther User", "OK …"),
        ('CREATE "Other Users"', "NO [CANNOT] …"),
        ('CREATE "Other Users/x"', "NO [CANNOT] …"),
        ('RENAME Sent "Other Users/x"', "NO [CANNOT] …"),
    ],
)
def test_what_cannot_be(shared, command, answer):
    first, _, rest = command.partition("\r\n")
    more = f"\nC: {rest}" if rest else ""
    shared(f"C: a {first}{more}\nS: a {answer}")


def test_what_is_shared_is_found(shared):
    shared(
        rf"""
        C2: a NAMESPACE
        S2: * NAMESPACE (("" "/")) (("Other Users/" "/")) (("Shared Folders/" "/"))
        S2: a OK NAMESPACE completed
        C2: b LIST "" "Other*"
        S2: * LIST (\HasNoChildren) "/" "{OTHER}/INBOX"
        S2: b OK LIST completed
        C2: c LIST "" "other users/%/%"
        S2: c OK LIST completed
        C2: d LIST "Other Users/" %
        S2: * LIST (\NonExistent \Noselect \HasChildren) "/" "{OTHER}"
        S2: d OK LIST completed
        C2: e LIST "" "{OTHER}/INBOX" RETURN (MYRIGHTS STATUS (MESSAGES UNSEEN))
        S2: * LIST (\HasNoChildren) "/" "{OTHER}/INBOX"
        S2: * STATUS "{OTHER}/INBOX" (MESSAGES 2 UNSEEN 2)
        S2: * MYRIGHTS "{OTHER}/INBOX" lr
        S2: e OK LIST completed
        C2: f LIST "" INBOX RETURN (MYRIGHTS)
        S2: * LIST (\HasNoChildren) "/" INBOX
        S2: * MYRIGHTS INBOX lrswipkxteacd
        S2: f OK LIST completed
        C2: g SUBSCRIBE "{OTHER}/INBOX"
        S2: g OK SUBSCRIBE completed
        C2: h LSUB "" "Other*"
        S2: * LSUB () "/" "{OTHER}/INBOX"
        S2: h OK LSUB completed
        C2: i STATUS "{OTHER}/Inbox" (MAILBOXID)
        S2: * STATUS "{OTHER}/Inbox" (MAILBOXID (Facc-1))
        S2: i OK STATUS completed
        C3: a LIST "" "Other*"
        S3: a OK LIST completed
        C3: b SELECT "{OTHER}/INBOX"
        S3: b NO [NONEXISTENT] No such mailbox
        C3: c STATUS "{OTHER}/INBOX" (MESSAGES)
        S3: c NO [NONEXISTENT] No such mailbox
        C: a LIST "" "Other*"
        S: a OK LIST completed
        """,
        inbox("lr"),
    )


def test_anyone_and_what_is_taken_from_one(shared):
    def prepare(world):
        inbox("lr", "anyone")(world)
        world.give("INBOX", "-carol@example.org", "r")

    shared(
        rf"""
        C2: a STATUS "{OTHER}/INBOX" (MESSAGES)
        S2: * STATUS "{OTHER}/INBOX" (MESSAGES 2)
        S2: a OK STATUS completed
        C3: a MYRIGHTS "{OTHER}/INBOX"
        S3: * MYRIGHTS "{OTHER}/INBOX" l
        S3: a OK MYRIGHTS completed
        C3: b STATUS "{OTHER}/INBOX" (MESSAGES)
        S3: b NO [NOPERM] You may not do that with this mailbox
        C3: c SELECT "{OTHER}/INBOX"
        S3: c NO [NOPERM] You may not do that with this mailbox
        """,
        prepare,
    )


def test_reading_without_any_other_right(shared):
    shared(
        rf"""
        C2: a SELECT "{OTHER}/INBOX"
        S2: * FLAGS …
        S2: * OK [PERMANENTFLAGS ()] Flags kept
        S2: * 2 EXISTS
        S2: * 0 RECENT
        …
        S2: a OK [READ-ONLY] SELECT completed
        C2: b FETCH 1:* (FLAGS BODY[TEXT] EMAILID)
        S2: * 1 FETCH (FLAGS () EMAILID (Macc-1) BODY[TEXT] {{6}}
        S2: body
        S2: )
        S2: * 2 FETCH (FLAGS (\Flagged) EMAILID (Macc-2) BODY[TEXT] {{6}}
        S2: body
        S2: )
        S2: b OK FETCH completed
        C2: c STORE 1 +FLAGS (\Seen)
        S2: c NO [NOPERM] You may not do that with this mailbox
        C2: d EXPUNGE
        S2: d OK EXPUNGE completed
        C2: e SETACL "{OTHER}/INBOX" carol@example.org l
        S2: e NO [NOPERM] You may not do that with this mailbox
        C2: f GETACL "{OTHER}/INBOX"
        S2: f NO [NOPERM] You may not do that with this mailbox
        C2: g LISTRIGHTS "{OTHER}/INBOX" nobody
        S2: g NO [NOPERM] You may not do that with this mailbox
        C2: h COPY 1:2 Sent
        S2: h OK [COPYUID …] COPY completed
        C2: i STATUS Sent (MESSAGES)
        S2: * STATUS Sent (MESSAGES 2)
        S2: i OK STATUS completed
        C2: j MOVE 1 Sent
        S2: j NO [NOPERM] You may not do that with this mailbox
        C2: z STATUS Sent (MESSAGES)
        S2: * STATUS Sent (MESSAGES 2)
        S2: z OK STATUS completed
        C2: k COPY 1 "{OTHER}/INBOX"
        S2: k NO [NOPERM] You may not do that with this mailbox
        C2: l APPEND "{OTHER}/INBOX" {{5}}
        S2: l NO [NOPERM] You may not do that with this mailbox
        C2: m DELETE "{OTHER}/INBOX"
        S2: m NO [NOPERM] You may not do that with this mailbox
        C2: n CREATE "{OTHER}/INBOX/x"
        S2: n NO [NOPERM] You may not do that with this mailbox
        C2: o CREATE "{OTHER}/x"
        S2: o NO [NOPERM] You may not do that with this mailbox
        C2: p CLOSE
        S2: p OK CLOSE completed
        C2: q SETMETADATA "{OTHER}/INBOX" (/shared/comment "x")
        S2: q NO [NOPERM] You may not do that with this mailbox
        C2: r SETMETADATA "{OTHER}/INBOX" (/private/comment "x")
        S2: r OK SETMETADATA completed
        C2: s GETMETADATA "{OTHER}/INBOX" /private/comment
        S2: * METADATA "{OTHER}/INBOX" (/private/comment "x")
        S2: s OK GETMETADATA completed
        C: a GETMETADATA INBOX /private/comment
        S: a OK GETMETADATA completed
        """.replace("        …\n", "        S2: …\n"),
        inbox("lr"),
    )


def test_what_one_has_seen_is_ones_own(shared):
    shared(
        rf"""
        ! world.clients[""].ask("x SELECT INBOX")
        ! world.clients["2"].ask('x SELECT "{OTHER}/INBOX"')
        C2: a STORE 1 +FLAGS (\Seen)
        S2: * 1 FETCH (FLAGS (\Seen))
        S2: a OK STORE completed
        C: a NOOP
        S: a OK NOOP completed
        C: b FETCH 1:2 FLAGS
        S: * 1 FETCH (FLAGS (\Recent))
        S: * 2 FETCH (FLAGS (\Seen \Flagged \Recent))
        S: b OK FETCH completed
        C: c STORE 2 -FLAGS (\Seen \Flagged)
        S: * 2 FETCH (FLAGS (\Recent))
        S: c OK STORE completed
        C2: b NOOP
        S2: * 2 FETCH (FLAGS ())
        S2: b OK NOOP completed
        C2: c FETCH 2 BODY[TEXT]
        S2: * 2 FETCH (BODY[TEXT] {{6}}
        S2: body
        S2:  FLAGS (\Seen))
        S2: c OK FETCH completed
        C2: d STATUS "{OTHER}/INBOX" (UNSEEN)
        S2: * STATUS "{OTHER}/INBOX" (UNSEEN 0)
        S2: d OK STATUS completed
        C: d STATUS INBOX (UNSEEN)
        S: * STATUS INBOX (UNSEEN 2)
        S: d OK STATUS completed
        C2: e STORE 1:2 FLAGS (\Answered \Deleted)
        S2: e NO [NOPERM] You may not do that with this mailbox
        C2: f STORE 1 -FLAGS (\Seen \Answered)
        S2: * 1 FETCH (FLAGS ())
        S2: f OK STORE completed
        C2: g UID SEARCH UNSEEN
        S2: * SEARCH 1
        S2: g OK SEARCH completed
        """,
        inbox("lrs"),
    )


def test_what_the_owner_has_seen_is_told_to_nobody_else(shared):
    shared(
        rf"""
        ! world.clients[""].ask("x SELECT INBOX")
        ! world.clients["2"].ask('x SELECT "{OTHER}/INBOX"')
        ! world.clients["3"].ask("x ENABLE CONDSTORE")
        ! world.clients["3"].ask('x SELECT "{OTHER}/INBOX"')
        C2: a IDLE
        S2: + idling
        C: a STORE 1 +FLAGS (\Seen)
        S: * 1 FETCH (FLAGS (\Seen \Recent))
        S: a OK STORE completed
        C: b STORE 1 +FLAGS (\Answered)
        S: * 1 FETCH (FLAGS (\Seen \Answered \Recent))
        S: b OK STORE completed
        S2: * 1 FETCH (FLAGS (\Answered))
        C: c STORE 1 -FLAGS (\Seen)
        S: * 1 FETCH (FLAGS (\Answered \Recent))
        S: c OK STORE completed
        C2: DONE
        S2: a OK IDLE terminated
        C3: a NOOP
        S3: * 1 FETCH (UID 1 FLAGS (\Answered) MODSEQ (…))
        S3: a OK NOOP completed
        C: d STORE 1:2 +FLAGS (\Seen)
        S: * 1 FETCH (FLAGS (\Seen \Answered \Recent))
        S: * 2 FETCH (FLAGS (\Seen \Flagged \Recent))
        S: d OK STORE completed
        C3: b NOOP
        S3: b OK NOOP completed
        C3: c STORE 1 +FLAGS (\Seen)
        S3: * 1 FETCH (UID 1 FLAGS (\Seen \Answered) MODSEQ (…))
        S3: c OK STORE completed
        """,
        lambda world: (inbox("lrs")(world), world.give("INBOX", "carol@example.org", "lrs")),
    )


def test_placing_and_taking_away(shared):
    shared(
        rf"""
        C2: a APPEND "{OTHER}/INBOX" (\Seen \Flagged \Deleted $New) {{4+}}
        C2: X: y
        S2: a OK [APPENDUID … 3] APPEND completed
        C2: b SELECT "{OTHER}/INBOX"
        S2: * FLAGS …
        S2: * OK [PERMANENTFLAGS (\Seen \Deleted)] Flags kept
        S2: * 3 EXISTS
        …
        S2: b OK [READ-WRITE] SELECT completed
        C2: c FETCH 3 FLAGS
        S2: * 3 FETCH (FLAGS (\Seen \Deleted))
        S2: c OK FETCH completed
        C2: d MOVE 2:3 Archive
        S2: * OK [COPYUID … 2:3 1:2] Moved
        S2: * 3 EXPUNGE
        S2: * 2 EXPUNGE
        S2: d OK MOVE completed
        C2: e STORE 1 +FLAGS.SILENT (\Deleted \Answered)
        S2: * 1 FETCH (FLAGS (\Deleted))
        S2: e OK STORE completed
        C2: f EXPUNGE
        S2: * 1 EXPUNGE
        S2: f OK EXPUNGE completed
        C2: g SELECT Archive
        S2: …
        S2: g OK [READ-WRITE] SELECT completed
        C2: h FETCH 1:2 FLAGS
        S2: * 1 FETCH (FLAGS (\Flagged \Recent))
        S2: * 2 FETCH (FLAGS (\Seen \Deleted \Recent))
        S2: h OK FETCH completed
        C2: i COPY 1:2 "{OTHER}/INBOX"
        S2: i OK [COPYUID … 1:2 4:5] COPY completed
        C2: j MOVE 1 "{OTHER}/INBOX"
        S2: * OK [COPYUID … 1 6] Moved
        S2: * 1 EXPUNGE
        S2: j OK MOVE completed
        C: a SELECT INBOX
        S: …
        S: a OK [READ-WRITE] SELECT completed
        C: b FETCH 1:* FLAGS
        S: * 1 FETCH (FLAGS (\Recent))
        S: * 2 FETCH (FLAGS (\Deleted \Recent))
        S: * 3 FETCH (FLAGS (\Recent))
        S: b OK FETCH completed
        """.replace("        …\n", "        S2: …\n"),
        inbox("lrsite"),
    )


def test_within_the_mailboxes_of_one_owner(shared):
    def prepare(world):
        inbox("lrs")(world)
        run_now(world.account.create("Team"))
        world.give("Team", "bob@example.org", "lrsiwkxte")

    shared(
        rf"""
        C2: a CREATE "{OTHER}/Team/one/two"
        S2: a OK [MAILBOXID (Facc-…)] CREATE completed
        C2: b MYRIGHTS "{OTHER}/Team/one"
        S2: * MYRIGHTS "{OTHER}/Team/one" lrswikxtecd
        S2: b OK MYRIGHTS completed
        C2: c RENAME "{OTHER}/Team/one" "{OTHER}/Team/three"
        S2: c OK RENAME completed
        C2: d RENAME "{OTHER}/Team/three" Mine
        S2: d NO [CANNOT] A mailbox stays in its account
        C2: e RENAME "{OTHER}/Team/three" "{OTHER}/three"
        S2: e NO [NOPERM] You may not do that with this mailbox
        C2: f RENAME Sent "{OTHER}/Team/Sent"
        S2: f NO [CANNOT] A mailbox stays in its account
        C2: g LIST "" "{OTHER}/*"
        S2: * LIST (\HasNoChildren) "/" "{OTHER}/INBOX"
        S2: * LIST (\HasChildren) "/" "{OTHER}/Team"
        S2: * LIST (\HasChildren) "/" "{OTHER}/Team/three"
        S2: * LIST (\HasNoChildren) "/" "{OTHER}/Team/three/two"
        S2: g OK LIST completed
        C: a LIST "" "Team/*"
        S: * LIST (\HasChildren) "/" Team/three
        S: * LIST (\HasNoChildren) "/" Team/three/two
        S: a OK LIST completed
        C2: x SELECT "{OTHER}/INBOX"
        S2: …
        S2: x OK [READ-WRITE] SELECT completed
        C2: h STORE 1 +FLAGS.SILENT \Seen
        S2: h OK STORE completed
        C2: i COPY 1:2 "{OTHER}/Team"
        S2: i OK [COPYUID … 1:2 1:2] COPY completed
        C2: j STATUS "{OTHER}/Team" (MESSAGES UNSEEN)
        S2: * STATUS "{OTHER}/Team" (MESSAGES 2 UNSEEN 1)
        S2: j OK STATUS completed
        C: b STATUS Team (MESSAGES UNSEEN)
        S: * STATUS Team (MESSAGES 2 UNSEEN 1)
        S: b OK STATUS completed
        C2: k MOVE 1 "{OTHER}/Team"
        S2: k NO [NOPERM] You may not do that with this mailbox
        C2: l SELECT "{OTHER}/Team"
        S2: …
        S2: l OK [READ-WRITE] SELECT completed
        C2: m FETCH 1:2 FLAGS
        S2: * 1 FETCH (FLAGS (\Seen))
        S2: * 2 FETCH (FLAGS (\Flagged))
        S2: m OK FETCH completed
        C2: n MOVE 2 "{OTHER}/Team/three/two"
        S2: * OK [COPYUID … 2 1] Moved
        S2: * 2 EXPUNGE
        S2: n OK MOVE completed
        C2: o DELETE "{OTHER}/Team/three/two"
        S2: o OK DELETE completed
        C2: p DELETE "{OTHER}/Team"
        S2: p OK DELETE completed
        C2: q NOOP
        S2: q OK NOOP completed
        """,
        prepare,
    )


def test_a_right_that_is_taken_back_ends_the_view(shared):
    shared(
        rf"""
        ! world.clients["2"].ask('x SELECT "{OTHER}/INBOX"')
        C2: a IDLE
        S2: + idling
        ! world.put()
        S2: * 3 EXISTS
        S2: * 0 RECENT
        C: a SETACL INBOX bob@example.org -r
        S: a OK SETACL completed
        S2: * BYE The selected mailbox was deleted
        C: b SETACL INBOX bob@example.org ""
        S: b OK SETACL completed
        ! world.enter("4", "bob")
        C4: a LIST "" "Other*"
        S4: a OK LIST completed
        """,
        inbox("lr"),
    )


def test_a_right_that_is_taken_back_unheard_ends_the_view_at_the_next_look(tmp_path):
    world = SharedWorld(tmp_path)
    inbox("lrsw")(world)
    bob = world.enter("2", "bob", f"{OTHER}/INBOX")
    world.hints.lost = True
    world.give("INBOX", "bob@example.org", "lr")
    assert bob.ask(r"a STORE 1 +FLAGS (\Flagged)") == ["a NO [NOPERM] You may not do that with this mailbox"]
    assert bob.ask("b FETCH 1 (FLAGS INTERNALDATE)")[-1] == "b OK FETCH completed"
    world.give("INBOX", "bob@example.org", "")
    answer = bob.ask("c FETCH 1 (RFC822.SIZE BODY.PEEK[TEXT])")
    assert answer[0].startswith("c NO [NONEXISTENT]") or answer[0].startswith("* BYE"), answer
    assert bob.closed


def test_how_much_one_copy_into_another_account_may_hold(shared, monkeypatch):
    monkeypatch.setattr(carrying, "MAX_HELD", 2000)

    def prepare(world):
        inbox("lr")(world)
        for _ in range(8):
            world.put()

    shared(
        f"""
        C2: a SELECT "{OTHER}/INBOX"
        S2: …
        S2: a OK …
        C2: b COPY 1:10 Sent
        S2: b NO [LIMIT] A limit was reached
        C2: c STATUS Sent (MESSAGES)
        S2: * STATUS Sent (MESSAGES 0)
        S2: c OK STATUS completed
        C2: d COPY 1:2 Sent
        S2: d OK [COPYUID … 1:2 1:2] COPY completed
    """,
        prepare,
    )


def test_what_is_noted_about_a_mailbox_that_one_may_only_look_up(shared):
    shared(
        f"""
        C: a SETMETADATA INBOX (/shared/comment "x")
        S: a OK SETMETADATA completed
        C2: b GETMETADATA "{OTHER}/INBOX" /shared/comment
        S2: b NO [NOPERM] You may not do that with this mailbox
        C2: c LIST "" "{OTHER}/INBOX" RETURN (METADATA (/shared/comment))
        S2: * LIST (\\HasNoChildren) "/" "{OTHER}/INBOX"
        S2: * METADATA "{OTHER}/INBOX" (/shared/comment NIL)
        S2: c OK LIST completed
    """,
        inbox("l"),
    )


def test_where_one_may_put_and_not_look(shared):
    """RFC 4315 3, RFC 5819 2, RFC 9051 6.3.9.2, 6.3.12 and 6.4.7: nothing is told of what is in such a mailbox."""

    def prepare(world):
        inbox("lrswite")(world)
        run_now(world.account.create("Drop"))
        world.give("Drop", "bob@example.org", "li")

    shared(
        rf"""
        C2: a LIST "" "{OTHER}/*" RETURN (STATUS (MESSAGES))
        S2: * LIST (\Noselect \HasNoChildren) "/" "{OTHER}/Drop"
        S2: * LIST (\HasNoChildren) "/" "{OTHER}/INBOX"
        S2: * STATUS "{OTHER}/INBOX" (MESSAGES 2)
        S2: a OK LIST completed
        C2: b APPEND "{OTHER}/Drop" {{6+}}
        C2: a: b
        C2:
        S2: b OK APPEND completed
        C2: c APPEND INBOX {{6+}}
        C2: a: b
        C2:
        S2: c OK [APPENDUID …] APPEND completed
        C2: d SELECT INBOX
        S2: …
        S2: d OK [READ-WRITE] SELECT completed
        C2: e COPY 1 "{OTHER}/Drop"
        S2: e OK COPY completed
        C2: f COPY 1 "{OTHER}/INBOX"
        S2: f OK [COPYUID … 1 3] COPY completed
        C2: g UID MOVE 1 "{OTHER}/Drop"
        S2: * 1 EXPUNGE
        S2: g OK MOVE completed
        C2: h SELECT "{OTHER}/INBOX"
        S2: …
        S2: h OK [READ-WRITE] SELECT completed
        C2: i COPY 1:3 "{OTHER}/Drop"
        S2: i OK COPY completed
        C2: j MOVE 2 "{OTHER}/Drop"
        S2: * 2 EXPUNGE
        S2: j OK MOVE completed
        C: k STATUS Drop (MESSAGES)
        S: * STATUS Drop (MESSAGES 7)
        S: k OK STATUS completed
    """,
        prepare,
    )
