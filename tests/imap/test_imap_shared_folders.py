"""Mailboxes that belong to nobody: the third part of NAMESPACE (RFC 2342 5), their rights (RFC 4314) and their quota (RFC 9208)."""

import pytest
from imap_world import play
from shared_world import SharedWorld

from mailnode.net.no_reactor import run_now
from mailnode.values.rights import ALL

TEAM = "Shared Folders/team@example.org"


def give(world, mailbox, who, rights):
    world.give(mailbox, who, rights, "team")


@pytest.fixture
def shared(tmp_path):
    """Play a script with alice (C:), who may do everything with team's INBOX, bob (C2:), who may read it, and carol (C3:)."""

    def run(script, prepare=lambda world: None):
        def make():
            world = SharedWorld(tmp_path)
            give(world, "INBOX", "alice@example.org", ALL)
            give(world, "INBOX", "bob@example.org", "lrs")
            for name, user in (("", "alice"), ("2", "bob"), ("3", "carol")):
                world.enter(name, user)
            prepare(world)
            return world

        return play(make, script, give=give)

    return run


def test_they_are_found_and_read(shared):
    shared(
        rf"""
        C: a NAMESPACE
        S: * NAMESPACE (("" "/")) (("Other Users/" "/")) (("Shared Folders/" "/"))
        S: a OK NAMESPACE completed
        C: b LIST "" "Shared Folders/*"
        S: * LIST (\HasNoChildren) "/" "{TEAM}"
        S: b OK LIST completed
        C: c LIST "" "Other Users/*"
        S: c OK LIST completed
        C: d LIST "Shared Folders/" % RETURN (STATUS (MESSAGES) MYRIGHTS METADATA (/shared/comment))
        S: * LIST (\HasNoChildren) "/" "{TEAM}"
        S: * STATUS "{TEAM}" (MESSAGES 0)
        S: * MYRIGHTS "{TEAM}" lrswipkxteacd
        S: * METADATA "{TEAM}" (/shared/comment NIL)
        S: d OK LIST completed
        C: e APPEND "{TEAM}" (\Seen) {{8+}}
        C: x: y
        C:
        C:
        S: e OK [APPENDUID …
        C: f STATUS "shared folders/team@example.org" (MESSAGES)
        S: f NO [NONEXISTENT] …
        C2: a EXAMINE "Shared Folders/Team@Example.Org"
        S2: * FLAGS …
        S2: * OK [PERMANENTFLAGS ()] …
        S2: * 1 EXISTS
        S2: …
        S2: a OK [READ-ONLY] EXAMINE completed
        C2: b STATUS "{TEAM}" (MESSAGES UNSEEN)
        S2: * STATUS "{TEAM}" (MESSAGES 1 UNSEEN 1)
        S2: b OK STATUS completed
        C2: c SELECT "{TEAM}/INBOX"
        S2: * OK [CLOSED] …
        S2: c NO [NONEXISTENT] …
        C2: d SUBSCRIBE "{TEAM}"
        S2: d OK SUBSCRIBE completed
        C2: e LIST (SUBSCRIBED) "" "Shared*"
        S2: * LIST (\Subscribed \HasNoChildren) "/" "{TEAM}"
        S2: e OK LIST completed
        C2: f SETMETADATA "{TEAM}" (/private/comment "mine")
        S2: f OK SETMETADATA completed
        C2: g SETMETADATA "{TEAM}" (/shared/comment "ours")
        S2: g NO [NOPERM] …
        C3: a LIST "" "Shared*"
        S3: a OK LIST completed
        C3: b SELECT "{TEAM}"
        S3: b NO [NONEXISTENT] …
        """
    )


def test_the_tree_lies_below_the_inbox(shared):
    shared(
        rf"""
        C2: a CREATE "{TEAM}/Closed"
        S2: a NO [NOPERM] …
        C: a CREATE "{TEAM}/Closed/2026"
        S: a OK [MAILBOXID …
        C: b MYRIGHTS "{TEAM}/Closed"
        S: * MYRIGHTS "{TEAM}/Closed" lrswipkxteacd
        S: b OK MYRIGHTS completed
        C: c GETACL "{TEAM}/Closed/2026"
        S: * ACL "{TEAM}/Closed/2026" alice@example.org lrswipkxteacd bob@example.org lrs
        S: c OK GETACL completed
        C2: b LIST "" "{TEAM}/*"
        S2: * LIST (\HasChildren) "/" "{TEAM}/Closed"
        S2: * LIST (\HasNoChildren) "/" "{TEAM}/Closed/2026"
        S2: b OK LIST completed
        C: d RENAME "{TEAM}/Closed/2026" "{TEAM}/Old"
        S: d OK RENAME completed
        C: e CREATE "{TEAM}/Closed"
        S: e NO [ALREADYEXISTS] …
        C: f DELETE "{TEAM}"
        S: f NO [CANNOT] …
        C: g DELETE "{TEAM}/Closed"
        S: g OK DELETE completed
        C: h RENAME "{TEAM}" "{TEAM}/x"
        S: h NO [CANNOT] …
        C: i CREATE "{TEAM}"
        S: i NO [ALREADYEXISTS] …
        C: j CREATE "Shared Folders"
        S: j NO [CANNOT] …
        C: k CREATE "Shared Folders/mine"
        S: k NO [CANNOT] …
        C: l CREATE "{TEAM}/INBOX"
        S: l NO [NONEXISTENT] …
        C: m CREATE "{TEAM}/INBOX/below"
        S: m OK [MAILBOXID …
        C: n GETACL "{TEAM}/INBOX/below"
        S: * ACL "{TEAM}/INBOX/below" alice@example.org lrswipkxteacd bob@example.org lrs
        S: n OK GETACL completed
        """
    )


def test_a_name_that_only_held_inferiors_has_the_rights_of_the_inbox_when_it_is_a_mailbox_again_or_its_own(shared):
    shared(
        rf"""
        C: a CREATE "{TEAM}/A/B"
        S: a OK …
        C: b DELETE "{TEAM}/A"
        S: b OK …
        C: c CREATE "{TEAM}/A"
        S: c OK …
        C: d GETACL "{TEAM}/A"
        S: * ACL "{TEAM}/A" alice@example.org lrswipkxteacd bob@example.org lrs
        S: d OK …
        C: e DELETE "{TEAM}/A"
        S: e OK …
        ! give(world, "A", "bob@example.org", "l")
        C: f CREATE "{TEAM}/A"
        S: f OK …
        C2: a MYRIGHTS "{TEAM}/A"
        S2: * MYRIGHTS "{TEAM}/A" l
        S2: a OK …
        """
    )


def test_rights_are_given_by_who_may_and_nobody_owns_them(shared):
    shared(
        rf"""
        C2: a SETACL "{TEAM}" carol@example.org lr
        S2: a NO [NOPERM] …
        C: a SETACL "{TEAM}" carol@example.org lr
        S: a OK SETACL completed
        C: b GETACL "{TEAM}"
        S: * ACL "{TEAM}" alice@example.org lrswipkxteacd bob@example.org lrs carol@example.org lr
        S: b OK GETACL completed
        C: c SETACL "{TEAM}" team@example.org lr
        S: c NO [CANNOT] …
        C3: a SELECT "{TEAM}"
        S3: …
        S3: a OK [READ-ONLY] SELECT completed
        C: d SETACL "{TEAM}" carol@example.org ""
        S: d OK SETACL completed
        C3: b IDLE
        S3: …
        S3: * BYE The selected mailbox was deleted
        """
    )


def test_its_quota_is_a_root_of_its_own_for_who_may_read(shared):
    shared(
        rf"""
        C2: a GETQUOTAROOT "{TEAM}"
        S2: * QUOTAROOT "{TEAM}" team@example.org
        S2: * QUOTA team@example.org (STORAGE 0 8 MESSAGE 0 2)
        S2: a OK GETQUOTAROOT completed
        C2: b GETQUOTA TEAM@example.org
        S2: * QUOTA TEAM@example.org (STORAGE 0 8 MESSAGE 0 2)
        S2: b OK GETQUOTA completed
        C2: c GETQUOTAROOT INBOX
        S2: * QUOTAROOT INBOX
        S2: c OK GETQUOTAROOT completed
        C2: d SETQUOTA team@example.org ()
        S2: d NO [NOPERM] …
        C3: a GETQUOTA team@example.org
        S3: a NO [NONEXISTENT] No such quota root
        C3: b GETQUOTAROOT "{TEAM}"
        S3: * QUOTAROOT "{TEAM}"
        S3: b OK GETQUOTAROOT completed
        C: a SETACL "{TEAM}" carol@example.org l
        S: a OK SETACL completed
        C3: c GETQUOTAROOT "{TEAM}"
        S3: * QUOTAROOT "{TEAM}"
        S3: c OK GETQUOTAROOT completed
        C3: d GETQUOTA team@example.org
        S3: d NO [NONEXISTENT] No such quota root
        """,
        lambda world: run_now(world.store.set_quota("team", 8192, 2)),
    )


def test_they_are_searched_with_others(shared):
    def prepare(world):
        run_now(world.store.account("team").create("Below"))
        give(world, "Below", "bob@example.org", "lr")
        for name in ("INBOX", "Below"):
            world.put(b"Subject: hello\r\n\r\nbody\r\n", name, "team")

    shared(
        f"""
        C2: a ESEARCH IN (subtree "{TEAM}") SUBJECT hello
        S2: * ESEARCH (TAG "a" MAILBOX "{TEAM}" UIDVALIDITY …) UID ALL 1
        S2: * ESEARCH (TAG "a" MAILBOX "{TEAM}/Below" UIDVALIDITY …) UID ALL 1
        S2: a OK ESEARCH completed
        C2: b EXAMINE "{TEAM}"
        S2: …
        S2: b OK [READ-ONLY] EXAMINE completed
        C2: c ESEARCH RETURN (COUNT) ALL
        S2: * ESEARCH (TAG "c" MAILBOX "{TEAM}" UIDVALIDITY …) UID COUNT 1
        S2: c OK ESEARCH completed
        """,
        prepare,
    )
