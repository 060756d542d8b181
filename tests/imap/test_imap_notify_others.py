"""NOTIFY (RFC 5465) of mailboxes of others: what rights are needed, and what comes and goes with them (5.9)."""

import pytest
from imap_world import play
from shared_world import SharedWorld

from mailnode.imap import notifying
from mailnode.net.no_reactor import run_now
from mailnode.values.flags import FLAGGED, SEEN

OTHER = "Other Users/alice@example.org"
TEAM = "Shared Folders/team@example.org"
EVENTS = "(MessageNew MessageExpunge)"
ALL = "(MessageNew MessageExpunge FlagChange)"


@pytest.fixture
def shared(tmp_path):
    """Play a script with alice (C:), who shares, and bob (C2:)."""

    def run(script, **context):
        def make():
            world = SharedWorld(tmp_path)
            for name in ("Work", "Work/New", "Secret"):
                run_now(world.account.create(name))
            for name, user in (("", "alice"), ("2", "bob")):
                world.enter(name, user)
            return world

        return play(make, script, **context)

    return run


def test_messages_are_told_of_to_who_may_read(shared):
    shared(
        rf"""
        ! world.give("INBOX", "bob@example.org", "lr")
        ! world.give("Work", "bob@example.org", "l")
        C2: a NOTIFY SET STATUS (subtree "Other Users" {ALL}) (personal {EVENTS})
        S2: * STATUS INBOX …
        S2: * STATUS Archive …
        S2: * STATUS Drafts …
        S2: * STATUS Junk …
        S2: * STATUS Sent …
        S2: * STATUS Trash …
        S2: * LIST (\NoAccess \HasNoChildren) "/" "{OTHER}/Work"
        S2: * STATUS "{OTHER}/INBOX" (MESSAGES 0 UIDNEXT 1 UIDVALIDITY … UNSEEN 0)
        S2: a OK NOTIFY completed
        ! world.put(mailbox="INBOX")
        S2: * STATUS "{OTHER}/INBOX" (MESSAGES 1 UIDNEXT 2 UIDVALIDITY … UNSEEN 1)
        ! world.put(mailbox="Work")
        ! world.put(mailbox="Secret")
        ! world.flag(1, "add", {SEEN})
        ! world.flag(1, "add", {FLAGGED})
        ! world.give("Work", "bob@example.org", "lr")
        S2: * LIST (\HasNoChildren) "/" "{OTHER}/Work"
        S2: * STATUS "{OTHER}/Work" (MESSAGES 1 UIDNEXT 2 UIDVALIDITY … UNSEEN 1)
        ! world.put(mailbox="Work")
        S2: * STATUS "{OTHER}/Work" (MESSAGES 2 UIDNEXT 3 UIDVALIDITY … UNSEEN 2)
        ! world.give("Work", "bob@example.org", "l")
        S2: * LIST (\NoAccess \HasNoChildren) "/" "{OTHER}/Work"
        ! world.put(mailbox="Work")
        ! world.give("INBOX", "bob@example.org", "")
        S2: * LIST (\NoAccess \NonExistent \HasNoChildren) "/" "{OTHER}/INBOX"
        ! world.put(mailbox="INBOX")
        """
    )


def test_what_a_reader_has_seen_is_told_to_them_alone(shared):
    shared(
        rf"""
        ! world.give("INBOX", "bob@example.org", "lrs")
        ! world.put(mailbox="INBOX")
        C2: a NOTIFY SET (mailboxes "Other Users/Alice@Example.org/inbox" {ALL})
        S2: a OK NOTIFY completed
        ! world.enter("3", "bob", "{OTHER}/INBOX")
        C3: a STORE 1 +FLAGS.SILENT (\Seen)
        S3: a OK …
        S2: * STATUS "{OTHER}/INBOX" (MESSAGES 1 UIDNEXT 2 UIDVALIDITY … UNSEEN 0)
        """
    )


def test_a_right_to_look_up_is_a_name_that_comes_and_goes(shared):
    shared(
        rf"""
        C2: a NOTIFY SET (subtree ("Other Users" "Shared Folders") (MailboxName)) (mailboxes INBOX (MailboxName))
        S2: a OK NOTIFY completed
        ! world.give("Work", "bob@example.org", "l")
        S2: * LIST (\NonExistent \HasChildren) "/" "{OTHER}"
        S2: * LIST (\HasNoChildren) "/" "{OTHER}/Work"
        ! world.give("INBOX", "anyone", "l", "team")
        S2: * LIST (\NonExistent \HasChildren) "/" "Shared Folders"
        S2: * LIST (\HasNoChildren) "/" "{TEAM}"
        C: a RENAME Work Play
        S: a OK …
        S2: * LIST (\HasNoChildren) "/" "{OTHER}/Play" ("OLDNAME" ("{OTHER}/Work"))
        C: b SETACL Play bob@example.org lkxr
        S: b OK …
        C2: b CREATE "{OTHER}/Play/Mine"
        S2: b OK …
        C2: c RENAME "{OTHER}/Play/Mine" "{OTHER}/Play/Ours"
        S2: c OK …
        C: c DELETE Play/Ours
        S: c OK …
        S2: * LIST (\HasNoChildren) "/" "{OTHER}/Play"
        S2: * LIST (\NonExistent \HasNoChildren) "/" "{OTHER}/Play/Ours"
        C: d DELETEACL Play bob@example.org
        S: d OK …
        S2: * LIST (\NonExistent \HasNoChildren) "/" "{OTHER}"
        S2: * LIST (\NonExistent \HasNoChildren) "/" "{OTHER}/Play"
        ! world.give("Play", "bob@example.org", "lr")
        S2: * LIST (\NonExistent \HasChildren) "/" "{OTHER}"
        S2: * LIST (\HasNoChildren) "/" "{OTHER}/Play"
        """
    )


def test_mailboxes_of_others_are_told_of_as_they_are_subscribed(shared):
    shared(
        rf"""
        ! world.give("INBOX", "bob@example.org", "lr", "team")
        C2: a NOTIFY SET (subscribed {EVENTS}) (subtree "Shared Folders" (SubscriptionChange))
        S2: a OK NOTIFY completed
        ! world.put(mailbox="INBOX", owner="team")
        ! world.enter("3", "bob")
        C3: a SUBSCRIBE "{TEAM}"
        S3: a OK …
        S2: * LIST (\Subscribed \HasNoChildren) "/" "{TEAM}"
        S2: * STATUS "{TEAM}" (MESSAGES 1 UIDNEXT 2 UIDVALIDITY …)
        ! world.put(mailbox="INBOX", owner="team")
        S2: * STATUS "{TEAM}" (MESSAGES 2 UIDNEXT 3 UIDVALIDITY …)
        C3: b UNSUBSCRIBE "{TEAM}"
        S3: b OK …
        S2: * LIST (\HasNoChildren) "/" "{TEAM}"
        ! world.put(mailbox="INBOX", owner="team")
        """
    )


def test_entries_are_told_of_to_who_may_read(shared):
    shared(
        rf"""
        ! world.give("INBOX", "bob@example.org", "lrw")
        ! world.give("Work", "bob@example.org", "l")
        C2: a NOTIFY SET (subtree "{OTHER}" (MailboxMetadataChange))
        S2: * LIST (\NoAccess \HasNoChildren) "/" "{OTHER}/Work"
        S2: a OK NOTIFY completed
        C: a SETMETADATA INBOX (/shared/comment "x" /private/comment "mine")
        S: a OK …
        S2: * METADATA "{OTHER}/INBOX" /shared/comment
        C: b SETMETADATA Work (/shared/comment "x")
        S: b OK …
        C2: b SETMETADATA "{OTHER}/INBOX" (/shared/comment "y" /private/comment "own")
        S2: b OK …
        C: c NOTIFY SET (personal (MailboxMetadataChange))
        S: c OK …
        ! world.enter("3", "bob")
        C3: a SETMETADATA "{OTHER}/INBOX" (/private/comment "again")
        S3: a OK …
        S2: * METADATA "{OTHER}/INBOX" /private/comment
        C3: b SETMETADATA "{OTHER}/INBOX" (/shared/comment NIL)
        S3: b OK …
        S: * METADATA INBOX /shared/comment
        S2: * METADATA "{OTHER}/INBOX" /shared/comment
        """
    )


def told(world, name="2"):
    return world.clients[name].received().decode().split("\r\n")[:-1]


@pytest.fixture
def world(tmp_path):
    made = SharedWorld(tmp_path)
    made.give("INBOX", "bob@example.org", "lr")
    made.enter("2", "bob")
    return made


def test_lost_hints_about_mailboxes_of_others_are_made_good(world):
    bob = world.clients["2"]
    assert bob.ask(f'a NOTIFY SET (mailboxes "{OTHER}/INBOX" {EVENTS})')[-1].startswith("a OK")
    world.clock.advance(5)
    world.hints.lost = True
    world.put()
    assert not told(world)
    world.clock.advance(5)
    assert [line.partition(" UIDV")[0] for line in told(world)] == [f'* STATUS "{OTHER}/INBOX" (MESSAGES 1 UIDNEXT 2']


@pytest.mark.parametrize("before", [True, False])
def test_lost_hints_about_the_selected_mailbox_of_somebody_else_are_made_good(world, before):
    bob = world.clients["2"]
    commands = [f'a SELECT "{OTHER}/INBOX"', f"b NOTIFY SET (selected {EVENTS})"]
    for command in commands if before else reversed(commands):
        bob.ask(command)
    world.clock.advance(5)
    world.hints.lost = True
    world.put()
    assert not told(world)
    world.clock.advance(5)
    assert told(world)[0] == "* 1 EXISTS"
    bob.ask("c UNSELECT")
    assert "acc" not in world.services.watching._accounts


def test_an_account_that_goes(world):
    bob = world.clients["2"]
    bob.ask(f'a NOTIFY SET (subtree "{OTHER}" (MessageNew MessageExpunge MailboxName)) (personal {EVENTS})')
    run_now(world.directory.set_status("acc", "deleting"))
    run_now(world.store.remove("acc"))
    run_now(world.directory.remove_account("acc"))
    world.clock.advance(10)
    assert [line for line in told(world) if "INBOX" in line] == [
        f'* LIST (\\NoAccess \\NonExistent \\HasNoChildren) "/" "{OTHER}/INBOX"'
    ]
    assert "acc" not in world.services.watching._accounts
    run_now(world.store.account("bob").create("Still/here"))
    world.put(mailbox="Still/here", owner="bob")
    assert told(world)[-1].startswith("* STATUS Still/here (MESSAGES 1")


def test_too_many_mailboxes_all_accounts_together(world, monkeypatch):
    monkeypatch.setattr(notifying, "MOST_WATCHED", 7)
    bob = world.clients["2"]
    wanted = f'a NOTIFY SET (subtree "Other Users" {EVENTS}) (personal {EVENTS})'
    assert bob.ask(wanted)[-1].startswith("a OK")
    run_now(world.account.create("Work"))
    world.give("Work", "bob@example.org", "lr")
    assert told(world) == ["* OK [NOTIFICATIONOVERFLOW] Too many mailboxes to tell of"]
    assert bob.ask(wanted)[-1].startswith("a NO [NOTIFICATIONOVERFLOW]")
    assert not world.services.watching._accounts and not world.hints.has_listener("acc")


def test_what_is_heard_of_ends_with_the_session(world):
    bob = world.clients["2"]
    bob.ask(f'a NOTIFY SET (subtree "Other Users" {EVENTS})')
    assert world.hints.has_listener("acc") and "acc" in world.services.watching._accounts
    bob.lose()
    assert not world.hints.has_listener("acc") and not world.services.watching._accounts
    assert not world.hints.has_listener("bob/sharing")
