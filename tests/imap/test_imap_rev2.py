"""IMAP4rev2 (RFC 9051): what a session that has enabled it is told, and others beside it are not."""

import pytest
from imap_world import play
from shared_world import SharedWorld

from mailnode.errors import StoreUnavailable
from mailnode.imap.capabilities import capabilities
from mailnode.imap.hiding import Hiding, with_what_needs_them


def second_revision(make_world, count=2, also="", select=""):
    """A world with messages, whose client has enabled IMAP4rev2 and selected something afterwards."""
    world = make_world()
    for _ in range(count):
        world.put()
    client = world.connect()
    client.ask(f"e ENABLE IMAP4rev2{also}")
    if select:
        client.ask(f"s SELECT {select}")
    client.received()
    return world, client


def test_nothing_is_told_in_another_way_before_it_is_enabled(make_world):
    world = make_world()
    world.put()
    client = world.connect()
    selected = client.ask("a SELECT INBOX")
    assert "* 1 RECENT" in selected
    assert any("[UNSEEN 1]" in line for line in selected)
    assert not any(line.startswith("* LIST") for line in selected)
    assert client.ask("b SEARCH NEW")[0] == "* SEARCH 1"


@pytest.mark.parametrize("authenticated", [False, True])
def test_it_is_offered_beside_imap4rev1(authenticated):
    """RFC 9051, Appendix A."""
    assert capabilities(authenticated=authenticated)[:2] == ("IMAP4rev1", "IMAP4rev2")


# RFC 9051, Appendix E, 2, and the FETCH side of BINARY
FOLDED_IN = "NAMESPACE UNSELECT UIDPLUS ESEARCH SEARCHRES ENABLE IDLE LIST-EXTENDED LIST-STATUS MOVE BINARY SPECIAL-USE STATUS=SIZE"


def test_all_that_was_folded_in_is_offered_too():
    """Clients of IMAP4rev1 look for that (RFC 9051, Appendix A)."""
    assert set(FOLDED_IN.split()) <= set(capabilities(authenticated=True))
    assert "SASL-IR" in capabilities(authenticated=False)


@pytest.mark.parametrize("hidden", ["IMAP4REV2", "IDLE", "MOVE CONDSTORE", "UIDPLUS", "ESEARCH", "STATUS=SIZE"])
@pytest.mark.parametrize("by_account", [True, False])
def test_it_is_hidden_when_asked_and_where_a_part_of_it_is(make_world, hidden, by_account):
    """What CAPABILITY does not name nobody enables (RFC 5161 3.1)."""
    world = make_world(hiding=Hiding() if by_account else Hiding(frozenset(hidden.split())))
    world.logins.hidden = hidden if by_account else ""
    client = world.connect()
    assert "IMAP4rev1" in client.ask("a CAPABILITY")[0] and "IMAP4rev2" not in client.ask("a CAPABILITY")[0]
    assert client.ask("b ENABLE IMAP4rev2 UIDONLY") == ["* ENABLED UIDONLY", "b OK ENABLE completed"]
    assert "* 0 RECENT" in client.ask("c SELECT INBOX")


def test_it_is_not_hidden_with_what_is_no_part_of_it():
    assert "IMAP4REV2" not in with_what_needs_them({"CONDSTORE", "LITERAL+", "SPECIAL-USE", "QUOTA", "SORT", "UIDONLY"})


@pytest.mark.parametrize(
    ("hidden", "answered"), [("QUOTA", True), ("IMAP4REV2", True), ("QUOTA IMAP4REV2", False), ("IDLE QUOTA", False)]
)
def test_deleted_of_status_came_with_two(make_world, hidden, answered):
    """RFC 9051 6.3.11, RFC 9208 4.1.4."""
    client = make_world(hiding=Hiding(frozenset(hidden.split()))).connect()
    assert client.ask("a STATUS INBOX (DELETED)")[-1].startswith("a OK" if answered else "a BAD")


def test_enabling_changes_no_capabilities(make_world):
    """RFC 9051 6.3.1."""
    client = make_world().connect()
    before = client.ask("a CAPABILITY")
    client.ask("b ENABLE IMAP4rev2")
    assert client.ask("a CAPABILITY") == before


def test_a_session_from_enable_to_close(make_world):
    def make():
        world = make_world()
        for _ in range(3):
            world.put()
        world.connect()
        return world

    play(
        make,
        r"""
        C: a ENABLE imap4rev2
        S: * ENABLED IMAP4rev2
        S: a OK ENABLE completed
        C: b SELECT INBOX
        S: * FLAGS (\Seen \Answered \Flagged \Deleted \Draft)
        S: * OK [PERMANENTFLAGS (\Seen \Answered \Flagged \Deleted \Draft \*)] Flags kept
        S: * 3 EXISTS
        S: * LIST (\HasNoChildren) "/" INBOX
        S: * OK [UIDVALIDITY …] UIDs valid
        S: * OK [UIDNEXT 4] Predicted next UID
        S: * OK [HIGHESTMODSEQ …] Highest mod-sequence
        S: * OK [MAILBOXID (Facc-…)] Mailbox id
        S: b OK [READ-WRITE] SELECT completed
        C: c FETCH 1:2 FLAGS
        S: * 1 FETCH (FLAGS ())
        S: * 2 FETCH (FLAGS ())
        S: c OK FETCH completed
        C: d SEARCH UNSEEN
        S: * ESEARCH (TAG "d") ALL 1:3
        S: d OK SEARCH completed
        C: e UID SEARCH 2
        S: * ESEARCH (TAG "e") UID ALL 2
        S: e OK SEARCH completed
        C: f SEARCH SEEN
        S: * ESEARCH (TAG "f")
        S: f OK SEARCH completed
        C: g SEARCH RETURN (COUNT) ALL
        S: * ESEARCH (TAG "g") COUNT 3
        S: g OK SEARCH completed
        ! world.put()
        ! world.flag(1, "add", 1)
        C: h NOOP
        S: * 4 EXISTS
        S: * 1 FETCH (UID 1 FLAGS (\Seen))
        S: h OK NOOP completed
        C: i STORE 2 +FLAGS (\Deleted)
        S: * 2 FETCH (UID 2 FLAGS (\Deleted))
        S: i OK STORE completed
        C: j STATUS INBOX (MESSAGES DELETED SIZE)
        S: * STATUS INBOX (MESSAGES 4 DELETED 1 SIZE …)
        S: j OK STATUS completed
        C: k EXPUNGE
        S: * 2 EXPUNGE
        S: k OK EXPUNGE completed
        C: l IDLE
        S: + idling
        ! world.put()
        S: * 4 EXISTS
        C: DONE
        S: l OK IDLE terminated
        C: m EXAMINE Sent
        S: * OK [CLOSED] Previous mailbox closed
        S: * FLAGS (\Seen \Answered \Flagged \Deleted \Draft)
        S: * OK [PERMANENTFLAGS ()] Flags kept
        S: * 0 EXISTS
        S: * LIST (\HasNoChildren \Sent) "/" Sent
        S: * OK [UIDVALIDITY …] UIDs valid
        S: * OK [UIDNEXT 1] Predicted next UID
        S: * OK [HIGHESTMODSEQ …] Highest mod-sequence
        S: * OK [MAILBOXID (Facc-…)] Mailbox id
        S: m OK [READ-ONLY] EXAMINE completed
        """,
    )


@pytest.mark.parametrize(
    "command",
    [
        "SEARCH NEW",
        "SEARCH OLD",
        "UID SEARCH RECENT",
        "SEARCH RETURN (COUNT) OR SEEN (UNSEEN NOT RECENT)",
        "SORT (DATE) UTF-8 NEW",
        "UID THREAD REFERENCES UTF-8 SEEN OLD",
        "STATUS INBOX (MESSAGES RECENT)",
        'LIST "" * RETURN (STATUS (RECENT))',
    ],
)
def test_nobody_asks_for_what_is_recent(make_world, command):
    _, client = second_revision(make_world, select="INBOX")
    assert client.ask(f"a {command}") == ["a BAD IMAP4rev2 has no recent messages"]


# IMAP trap 15: gone in IMAP4rev2
def test_recent_messages_are_left_for_a_session_that_knows_what_that_is(make_world):
    world, client = second_revision(make_world, select="INBOX")
    world.put()
    assert client.ask("a NOOP") == ["* 3 EXISTS", "a OK NOOP completed"]
    other = world.connect("2")
    assert "* 3 RECENT" in other.ask("s SELECT INBOX")
    assert client.ask("b STORE 1 FLAGS (\\Recent)")[0].startswith("b BAD")


def test_who_enables_it_in_a_mailbox_forgets_what_was_recent(make_world):
    world = make_world()
    world.put()
    world.put()
    client = world.connect(select="INBOX")
    world.pack_views()
    client.ask("e ENABLE IMAP4rev2")
    assert client.ask("a FETCH 1:2 FLAGS")[:2] == ["* 1 FETCH (FLAGS ())", "* 2 FETCH (FLAGS ())"]
    world.put()
    assert client.ask("b NOOP") == ["* 3 EXISTS", "b OK NOOP completed"]
    assert client.ask("b FETCH 3 FLAGS")[0] == "* 3 FETCH (FLAGS ())"
    assert "* 1 RECENT" in world.connect("2").ask("s SELECT INBOX")
    world.expunge(1, 2)
    assert client.ask("c NOOP") == ["* 2 EXPUNGE", "* 1 EXPUNGE", "c OK NOOP completed"]


def test_the_list_response_of_select_is_accurate(make_world):
    _, client = second_revision(make_world)
    client.ask("a CREATE a/b/c")
    assert '* LIST (\\HasChildren) "/" a/b' in client.ask("b SELECT a/b")
    assert '* LIST (\\HasNoChildren) "/" a/b/c' in client.ask("c EXAMINE a/b/c")
    client.ask('d CREATE "a *%"')
    assert '* LIST (\\HasNoChildren) "/" "a *%"' in client.ask('e SELECT "a *%"')
    failed = client.ask("f SELECT nowhere")
    assert failed[-1] == "f NO [NONEXISTENT] No such mailbox"
    assert not any(line.startswith("* LIST") for line in failed)


def test_a_name_with_inferiors_and_nothing_else_is_not_deleted(make_world):
    """RFC 9051 6.3.5, RFC 5530 3."""
    _, client = second_revision(make_world)
    client.ask("a CREATE a/b")
    assert client.ask("b DELETE a") == ["b OK DELETE completed"]
    assert client.ask("c DELETE a") == ["c NO [HASCHILDREN] Mailbox has inferiors"]
    assert client.ask("d DELETE INBOX") == ["d NO [CANNOT] Not possible with this mailbox"]
    client.ask("e DELETE a/b")
    assert client.ask("f DELETE a")[0].startswith("f OK")


def test_beside_other_extensions(make_world):
    world, client = second_revision(make_world, also=" QRESYNC UIDONLY", count=3, select="INBOX")
    world.flag(2, "add", 4)
    world.expunge(1)
    said = client.ask("a NOOP")
    assert said[:2] == ["* VANISHED 1", said[1]]
    assert said[1].startswith("* 2 UIDFETCH (FLAGS (\\Flagged) MODSEQ (")
    assert client.ask("b UID SEARCH ALL")[0] == '* ESEARCH (TAG "b") UID ALL 2:3'


def test_a_search_saves_its_result_as_before(make_world):
    _, client = second_revision(make_world, select="INBOX")
    assert client.ask("a SEARCH RETURN (SAVE) 2") == ["a OK SEARCH completed"]
    assert client.ask("b SEARCH $")[0] == '* ESEARCH (TAG "b") ALL 2'


def test_large_literals_that_nobody_waits_for_are_taken(make_world):
    """LITERAL- (RFC 7888 5) would end at 4,096 octets; LITERAL+, which is offered, does not."""
    _, client = second_revision(make_world, select="INBOX")
    client.send(b"a APPEND INBOX {5000+}\r\n" + b"Subject: x\r\n\r\n" + b"y" * (5000 - 14) + b"\r\n")
    assert b"a OK [APPENDUID" in client.received()


def test_names_that_are_normalized_are_said(make_world):
    """RFC 9051 6.3.9.7: composed, INBOX in capitals; a separator at the end is no other name."""
    _, client = second_revision(make_world)
    composed, apart = "b\u00fccher", "bu\u0308cher"
    client.send(f'a CREATE "{apart}"\r\n'.encode())
    said = client.received().decode().split("\r\n")
    assert said[0] == f'* LIST (\\HasNoChildren) "/" "{composed}" ("OLDNAME" ("{apart}"))'
    client.send(f'b SELECT "{apart}"\r\n'.encode())
    assert f'* LIST (\\HasNoChildren) "/" "{composed}" ("OLDNAME" ("{apart}"))\r\n' in client.received().decode()
    client.send(f'c SELECT "{composed}"\r\n'.encode())
    assert f'* LIST (\\HasNoChildren) "/" "{composed}"\r\n' in client.received().decode()
    client.send(f'd RENAME "{composed}" "{apart}2"\r\n'.encode())
    said = client.received().decode().split("\r\n")
    assert said[0] == f'* LIST (\\HasNoChildren) "/" "{composed}2" ("OLDNAME" ("{composed}"))'
    assert '* LIST (\\HasNoChildren) "/" INBOX ("OLDNAME" (inbox))' in client.ask("e SELECT inbox")
    assert client.ask("f CREATE plain/")[0].startswith("f OK")
    assert client.ask("g RENAME plain other")[0].startswith("g OK")


def test_no_name_is_normalized_aloud_before(make_world):
    world = make_world()
    client = world.connect()
    client.ask("u ENABLE UTF8=ACCEPT")
    client.send('a CREATE "bu\u0308cher"\r\n'.encode())
    assert client.received().startswith(b"a OK")


def ask(client, line):
    """Send a line of any octets; return the lines that come back."""
    client.send(b"a " + line.encode() + b"\r\n")
    return client.received().decode().split("\r\n")[:-1]


COMPOSED, APART = "b\u00fccher", "bu\u0308cher"


def test_a_name_is_said_as_it_is_by_delete_and_append(make_world):
    """RFC 9051 6.3.5 and 6.3.12."""
    _, client = second_revision(make_world)
    ask(client, f'CREATE "{COMPOSED}/x"')
    old = f'("OLDNAME" ("{APART}"))'
    said = ask(client, f'APPEND "{APART}" {{6+}}\r\na: b\r\n')
    assert said[0] == f'* LIST (\\HasChildren) "/" "{COMPOSED}" {old}' and said[1].startswith("a OK [APPENDUID")
    assert ask(client, f'APPEND "{APART}" CATENATE (TEXT {{6+}}\r\na: b\r\n)')[0].endswith(old)
    assert ask(client, "APPEND inbox {6+}\r\na: b\r\n")[0] == '* LIST (\\HasNoChildren) "/" INBOX ("OLDNAME" (inbox))'
    assert ask(client, f'DELETE "{APART}"') == [
        f'* LIST (\\Noselect \\HasChildren) "/" "{COMPOSED}" {old}',
        "a OK DELETE completed",
    ]
    assert ask(client, f'DELETE "{APART}/x"') == [
        f'* LIST (\\NonExistent \\HasNoChildren) "/" "{COMPOSED}/x" ("OLDNAME" ("{APART}/x"))',
        "a OK DELETE completed",
    ]


def test_nothing_is_said_of_a_name_where_nothing_is_done(make_world):
    _, client = second_revision(make_world)
    for line in (f'DELETE "{APART}"', "DELETE inbox", f'APPEND "{APART}" {{6+}}\r\na: b\r\n', "CREATE inbox"):
        assert [one[:4] for one in ask(client, line)] == ["a NO"], line
    for line in (f'CREATE "{COMPOSED}"', f'APPEND "{COMPOSED}" {{6+}}\r\na: b\r\n', f'DELETE "{COMPOSED}"'):
        assert [one[:4] for one in ask(client, line)] == ["a OK"], line


def test_what_is_done_is_ok_though_its_name_cannot_be_said(make_world, monkeypatch):
    world, client = second_revision(make_world)
    before = world.account.with_inferior

    async def unavailable(name):
        raise StoreUnavailable("for a moment")

    monkeypatch.setattr(world.account, "with_inferior", unavailable, raising=False)
    assert ask(client, f'CREATE "{APART}"')[0].startswith("a OK")
    monkeypatch.setattr(world.account, "with_inferior", before, raising=False)
    assert any(f'"{COMPOSED}"' in line for line in ask(client, 'LIST "" *'))


def test_one_attribute_says_that_a_name_cannot_be_selected(make_world):
    """RFC 9051 9: mbx-list-flags has one mbx-list-sflag; \\NonExistent implies \\Noselect (7.3.1)."""
    _, client = second_revision(make_world)
    client.ask("a CREATE a/b/c")
    client.ask("b DELETE a/b")
    client.ask("c SUBSCRIBE gone/x")
    said = client.ask('d LIST "" a/%') + client.ask('e LIST (SUBSCRIBED) "" gone/*') + client.ask('f LIST "" ""')
    assert said[::2] == [
        '* LIST (\\Noselect \\HasChildren) "/" a/b',
        '* LIST (\\NonExistent \\Subscribed \\HasNoChildren) "/" gone/x',
        '* LIST (\\Noselect) "/" ""',
    ]


def test_levels_of_others_are_not_said_to_be_there_twice(tmp_path):
    """\\NonExistent alone, in the names of somebody else's mailboxes and in all that is said of them in UTF-8."""
    world = SharedWorld(tmp_path)
    alice, bob = world.enter("a", "alice"), world.enter("b", "bob")
    alice.ask("a ENABLE IMAP4rev2")
    bob.ask("a ENABLE IMAP4rev2")
    ask(alice, f'CREATE "{COMPOSED}"')
    assert ask(alice, f'SETACL "{APART}" bob@example.org lrswite')[-1].startswith("a OK")
    assert ask(alice, f'GETACL "{APART}"')[0].startswith(f'* ACL "{COMPOSED}" ')
    assert ask(alice, f'LISTRIGHTS "{APART}" bob@example.org')[0].startswith(f'* LISTRIGHTS "{COMPOSED}" ')
    other = f"Other Users/alice@example.org/{COMPOSED}"
    assert '* LIST (\\NonExistent \\HasChildren) "/" "Other Users"' in ask(bob, 'LIST "" %')
    said = ask(bob, f'SELECT "Other Users/alice@example.org/{APART}"')
    assert f'* LIST (\\HasNoChildren) "/" "{other}" ("OLDNAME" ("Other Users/alice@example.org/{APART}"))' in said
    assert not any("RECENT" in line or "UNSEEN" in line for line in said)
    assert ask(bob, f'MYRIGHTS "{other}"')[0].startswith(f'* MYRIGHTS "{other}" ')
    assert ask(bob, f'STATUS "{other}" (MESSAGES DELETED SIZE)')[0].startswith(f'* STATUS "{other}" (')
    said = ask(bob, f'APPEND "Other Users/alice@example.org/{APART}" {{6+}}\r\na: b\r\n')
    assert said[0].startswith(f'* LIST (\\HasNoChildren) "/" "{other}" ') and said[-1].startswith("a OK [APPENDUID")


def test_searches_take_all_that_rev2_says(make_world):
    """RFC 9051 6.4.4 and 9: RETURN () is ALL, CHARSET UTF-8 is redundant, sizes have 63 bits."""
    world, client = second_revision(make_world, count=0)
    world.put("Subject: \u00e9t\u00e9\r\n\r\nx\r\n".encode())
    client.ask("s SELECT INBOX")
    for keys in (
        "RETURN () ALL",
        "RETURN () SMALLER 9223372036854775807",
        'CHARSET UTF-8 SUBJECT "\u00c9T"',
        'SUBJECT "\u00e9"',
    ):
        assert ask(client, f"SEARCH {keys}") == ['* ESEARCH (TAG "a") ALL 1', "a OK SEARCH completed"], keys
    assert ask(client, "SEARCH LARGER 4294967296")[0] == '* ESEARCH (TAG "a")'
    assert ask(client, "SEARCH CHARSET KOI8-X SUBJECT x")[0].startswith("a NO [BADCHARSET (")
    client.send(b'a SEARCH SUBJECT "\xe9"\r\n')
    assert client.received() == b"a BAD String is not UTF-8\r\n"
    assert ask(client, "FETCH 1 BODY.PEEK[TEXT]<1.9223372036854775807>")[0] == "* 1 FETCH (BODY[TEXT]<1> {2}"
    assert ask(client, "FETCH 1 BINARY.PEEK[1]<9223372036854775807.9223372036854775807>")[0].endswith(" {0}")


# RFC 9051 2.3.2
@pytest.mark.parametrize("keyword", ["$MDNSent", "$Forwarded", "$Junk", "$NotJunk", "$Phishing"])
def test_keywords_everybody_knows_are_kept(make_world, keyword):
    _, client = second_revision(make_world, count=0, select="INBOX")
    assert ask(client, f"APPEND INBOX ({keyword}) {{6+}}\r\na: b\r\n")[-1].startswith("a OK")
    assert ask(client, f"SEARCH KEYWORD {keyword}")[0] == '* ESEARCH (TAG "a") ALL 1'
    assert ask(client, "COPY 1 Sent")[-1].startswith("a OK [COPYUID") and ask(client, "MOVE 1 Trash")[-1].startswith(
        "a OK"
    )
    for name in ("Sent", "Trash"):
        client.ask(f"s SELECT {name}")
        assert ask(client, "FETCH 1 FLAGS")[0] == f"* 1 FETCH (FLAGS ({keyword}))"
        assert ask(client, f"SEARCH UNKEYWORD {keyword}")[0] == '* ESEARCH (TAG "a")'


@pytest.mark.parametrize(
    ("command", "first"),
    [
        ("FETCH 1 RFC822.HEADER", "* 1 FETCH (RFC822.HEADER {17}"),
        ("CHECK", "a OK CHECK completed"),
        ('LSUB "" INBOX', '* LSUB () "/" INBOX'),
    ],
)
def test_what_only_rev1_has_is_answered_when_asked_for(make_world, command, first):
    """RFC 9051, Appendix A: a server of both may."""
    _, client = second_revision(make_world, select="INBOX")
    client.ask("s SUBSCRIBE INBOX")
    assert ask(client, command)[0] == first


def test_the_next_login_of_a_connection_begins_anew(make_world):
    """RFC 8437 3."""
    _, client = second_revision(make_world, select="INBOX")
    assert client.ask("a UNAUTHENTICATE") == ["a OK UNAUTHENTICATE completed"]
    client.ask("b LOGIN alice secret")
    assert "* 2 RECENT" in client.ask("c SELECT INBOX")
    assert client.ask("d SEARCH ALL")[0] == "* SEARCH 1 2"
    assert ask(client, f'STATUS "{COMPOSED}" (MESSAGES)') == ["a NO [CANNOT] Mailbox name is not allowed"]
