"""Capabilities that are hidden: from all, from a program by its name, from one account."""

import pytest
from imap_world import World, fake_account
from shared_world import SharedWorld

from mailnode.imap.capabilities import capabilities
from mailnode.imap.commands.table import EXTENSIONS
from mailnode.imap.hiding import Hiding

OUTLOOK = Hiding(clients={"microsoft office 365": frozenset({"UIDONLY", "MOVE"})})


@pytest.fixture
def world(make_world):
    def make(hiding=OUTLOOK, account=""):
        world = make_world(hiding=hiding)
        world.logins.hidden = account
        for _ in range(2):
            world.put()
        return world

    return make


def told(client):
    return client.ask("c CAPABILITY")[0].split()[2:]


def test_a_program_is_not_told_what_it_uses_wrongly(world):
    client = world().connect(login=False)
    assert "UIDONLY" in told(client)
    client.ask('i ID ("version" "Microsoft Office 365" "NAME" "MICROSOFT office 365")')
    assert not {"UIDONLY", "MOVE"} & set(told(client))
    said = client.ask("l LOGIN alice secret")[0]
    assert "UIDONLY" not in said and "QRESYNC" in said
    assert client.ask("e ENABLE UIDONLY QRESYNC") == ["* ENABLED QRESYNC", "e OK ENABLE completed"]
    client.ask("s SELECT INBOX")
    assert client.ask("f FETCH 1 (UID)")[0] == "* 1 FETCH (UID 1)"
    for command in ("MOVE 1 Sent", "UID MOVE 1 Sent"):
        assert client.ask(f"m {command}") == ["m BAD Unknown command or arguments"]


@pytest.mark.parametrize(
    "words", ['("name" "Thunderbird")', "NIL", '("name" NIL)', '("vendor" "Microsoft Office 365")', '("name" "\\\\")']
)
def test_others_are_told_all(world, words):
    client = world().connect()
    client.ask(f"i ID {words}")
    assert {"UIDONLY", "MOVE"} <= set(told(client))
    assert client.ask("e ENABLE UIDONLY")[0] == "* ENABLED UIDONLY"


# IMAP trap 27: hidden from an account
def test_an_account_is_told_less_from_its_login_on(world):
    client = world(account="IDLE QRESYNC").connect(login=False)
    assert {"IDLE", "QRESYNC"} <= set(told(client))
    assert not {"IDLE", "QRESYNC"} & set(client.ask("l LOGIN alice secret")[0].split())
    assert not {"IDLE", "QRESYNC"} & set(told(client))
    assert client.ask("i IDLE") == ["i BAD Unknown command or arguments"]
    assert client.ask("e ENABLE QRESYNC")[0] == "* ENABLED"
    assert client.ask("s SELECT INBOX (QRESYNC (1 1))") == ["s BAD Unknown command or arguments"]


def test_what_is_hidden_from_all(world):
    client = world(Hiding(frozenset({"IDLE"}))).connect(login=False)
    assert "IDLE" not in client.ask("c CAPABILITY")[0]
    client.ask("l LOGIN alice secret")
    assert client.ask("i IDLE") == ["i BAD Unknown command or arguments"]


# What a capability brought: a command with it.
BELONG = [
    ("UIDPLUS", "UID EXPUNGE 1"),
    ("MOVE", "MOVE 1 Sent"),
    ("MOVE", "UID MOVE 1 Sent"),
    ("UNSELECT", "UNSELECT"),
    ("NAMESPACE", "NAMESPACE"),
    ("ID", "ID NIL"),
    ("UNAUTHENTICATE", "UNAUTHENTICATE"),
    ("ACL", "MYRIGHTS INBOX"),
    ("ACL", "GETACL INBOX"),
    ("QUOTA", "GETQUOTAROOT INBOX"),
    ("METADATA", "GETMETADATA INBOX /private/comment"),
    ("METADATA", "SETMETADATA INBOX (/private/comment NIL)"),
    ("UIDBATCHES", "UIDBATCHES 500"),
    ("NOTIFY", "NOTIFY NONE"),
    ("NOTIFY", "NOTIFY SET (PERSONAL (MessageNew MessageExpunge))"),
    ("PREVIEW", "NOTIFY SET (SELECTED (MessageNew (PREVIEW) MessageExpunge))"),
    ("CONDSTORE", "SELECT INBOX (CONDSTORE)"),
    ("CONDSTORE", "EXAMINE INBOX (CONDSTORE)"),
    ("CONDSTORE", "FETCH 1 MODSEQ"),
    ("CONDSTORE", "UID FETCH 1 FLAGS (CHANGEDSINCE 1)"),
    ("CONDSTORE", "STORE 1 (UNCHANGEDSINCE 9) +FLAGS (\\Seen)"),
    ("CONDSTORE", "UID STORE 1 (UNCHANGEDSINCE 9) +FLAGS (\\Seen)"),
    ("CONDSTORE", "SEARCH NOT MODSEQ 1"),
    ("CONDSTORE", "STATUS INBOX (HIGHESTMODSEQ)"),
    ("ESEARCH", "SEARCH RETURN (COUNT) ALL"),
    ("ESEARCH", "UID SEARCH RETURN () ALL"),
    ("MULTISEARCH", "ESEARCH IN (SELECTED) ALL"),
    ("OBJECTID", "ESEARCH IN (PERSONAL) EMAILID M1"),
    ("CONTEXT=SEARCH", "SEARCH RETURN (UPDATE) ALL"),
    ("CONTEXT=SEARCH", "UID SEARCH RETURN (CONTEXT COUNT) ALL"),
    ("CONTEXT=SEARCH", "ESEARCH RETURN (UPDATE) ALL"),
    ("CONTEXT=SEARCH", 'CANCELUPDATE "x"'),
    ("CONTEXT=SORT", "SORT RETURN (UPDATE) (DATE) UTF-8 ALL"),
    ("PREVIEW", "SEARCH RETURN (UPDATE (PREVIEW)) ALL"),
    ("SEARCHRES", "SEARCH RETURN (SAVE) ALL"),
    ("SEARCHRES", "SEARCH $"),
    ("SEARCHRES", "UID SEARCH UID $"),
    ("SEARCHRES", "FETCH $ FLAGS"),
    ("SEARCHRES", "UID STORE $ +FLAGS (\\Seen)"),
    ("SEARCHRES", "COPY $ Sent"),
    ("SEARCHRES", "MOVE $ Sent"),
    ("SEARCHRES", "UID EXPUNGE $"),
    ("PARTIAL", "UID SEARCH RETURN (PARTIAL 1:2) ALL"),
    ("PARTIAL", "UID FETCH 1:* FLAGS (PARTIAL 1:2)"),
    ("WITHIN", "SEARCH OR (NOT YOUNGER 9) OLDER 9"),
    ("SAVEDATE", "SEARCH SAVEDBEFORE 1-Jan-2020"),
    ("SAVEDATE", "FETCH 1 (SAVEDATE)"),
    ("OBJECTID", "FETCH 1 EMAILID"),
    ("OBJECTID", "SEARCH THREADID T1"),
    ("OBJECTID", "STATUS INBOX (MAILBOXID)"),
    ("PREVIEW", "FETCH 1 PREVIEW"),
    ("BINARY", "FETCH 1 BINARY.PEEK[1]"),
    ("BINARY", "FETCH 1 BINARY.SIZE[1]"),
    ("STATUS=SIZE", "STATUS INBOX (SIZE)"),
    ("SORT", "UID SORT (DATE) UTF-8 ALL"),
    ("SORT=DISPLAY", "SORT (DATE REVERSE DISPLAYFROM) UTF-8 ALL"),
    ("ESORT", "SORT RETURN (MIN) (DATE) UTF-8 ALL"),
    ("WITHIN", "SORT (DATE) UTF-8 YOUNGER 9"),
    ("SEARCH=FUZZY", "SEARCH SUBJECT a FUZZY ALL"),
    ("SEARCH=FUZZY", "UID SEARCH RETURN (RELEVANCY) FUZZY BODY body"),
    ("SEARCH=FUZZY", "SORT (RELEVANCY) UTF-8 FUZZY SUBJECT test"),
    ("SEARCH=FUZZY", "THREAD REFERENCES UTF-8 FUZZY SUBJECT test"),
    ("THREAD=REFERENCES", "THREAD REFERENCES UTF-8 ALL"),
    ("THREAD=REFS", "THREAD REFS UTF-8 ALL"),
    ("THREAD=ORDEREDSUBJECT", "UID THREAD ORDEREDSUBJECT UTF-8 ALL"),
    ("SAVEDATE", "THREAD REFERENCES UTF-8 SAVEDON 1-Jan-2020"),
    ("LIST-EXTENDED", 'LIST "" (INBOX Sent)'),
    ("LIST-EXTENDED", 'LIST (SUBSCRIBED) "" *'),
    ("LIST-STATUS", 'LIST "" * RETURN (STATUS (MESSAGES))'),
    ("OBJECTID", 'LIST "" * RETURN (STATUS (MAILBOXID))'),
    ("CHILDREN", 'LIST "" * RETURN (CHILDREN)'),
    ("SPECIAL-USE", 'LIST (SPECIAL-USE) "" *'),
    ("LIST-METADATA", 'LIST "" * RETURN (METADATA (/private/comment))'),
    ("LIST-MYRIGHTS", 'LIST "" * RETURN (MYRIGHTS)'),
    ("CREATE-SPECIAL-USE", "CREATE Kept (USE (\\Archive))"),
    ("MULTIAPPEND", "APPEND INBOX {2+}\r\na\n {2+}\r\nb\n"),
    ("CATENATE", "APPEND INBOX CATENATE (TEXT {2+}\r\na\n)"),
    ("CATENATE", 'APPEND INBOX CATENATE (URL "/INBOX;UID=1")'),
    ("BINARY", "APPEND INBOX ~{2+}\r\na\n"),
    ("REPLACE", "UID REPLACE 1 INBOX {2+}\r\na\n"),
    ("CATENATE", "REPLACE 1 INBOX CATENATE (TEXT {2+}\r\na\n)"),
]


@pytest.mark.parametrize(("capability", "command"), BELONG)
def test_what_belongs_to_a_hidden_capability_is_not_taken(capability, command):
    for hidden in ("", capability):
        world = World(fake_account, hiding=Hiding(frozenset({hidden} - {""})))
        for _ in range(2):
            world.put()
        client = world.connect(select="INBOX")
        said = client.ask(f"t {command}")[-1]
        assert said.startswith("t BAD Unknown") == bool(hidden), said
        assert client.ask("n NOOP")[-1] == "n OK NOOP completed"


def test_every_capability_that_has_to_do_with_what_a_client_says_is_among_them():
    tried = {capability for capability, _ in BELONG}
    switched_on = {"UIDONLY", "QRESYNC", "UTF8=ACCEPT", "ENABLE", "IMAP4rev2"}
    elsewhere = {"URL-PARTIAL", "IDLE", "COMPRESS=DEFLATE", "SASL-IR", "INPROGRESS"}
    only_told = {"RIGHTS=kxte", "I18NLEVEL=1"} | {name for name in EXTENSIONS if name.startswith("QUOTA=")}
    always = {"IMAP4rev1", "LITERAL+"}
    assert set(EXTENSIONS) == (tried | switched_on | elsewhere | only_told | always) - {"SASL-IR"}


def test_an_initial_response_is_not_taken():
    for hidden in (frozenset(), frozenset({"SASL-IR"})):
        client = World(fake_account, hiding=Hiding(hidden)).connect(login=False)
        said = client.ask("a AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==")[0]
        assert said.startswith("a BAD" if hidden else "a OK")
        assert client.ask("b AUTHENTICATE PLAIN")[0].startswith("+ " if hidden else "b BAD")


def test_a_run_of_stores_is_looked_at_one_by_one():
    world = World(fake_account, hiding=Hiding(frozenset({"CONDSTORE"})))
    world.put()
    client = world.connect(select="INBOX")
    client.send(b"a STORE 1 +FLAGS (a)\r\nb STORE 1 (UNCHANGEDSINCE 9) +FLAGS (b)\r\nc STORE 1 +FLAGS.SILENT (c)\r\n")
    said = client.received().decode().split("\r\n")
    assert [line[:5] for line in said if line[:1] in ("a", "b", "c")] == ["a OK ", "b BAD", "c OK "]


@pytest.mark.parametrize(
    ("capability", "commands", "unsaid"),
    [
        ("UIDPLUS", ["COPY 1 Sent", "MOVE 1 Sent", "APPEND INBOX {2+}\r\na\n", "REPLACE 1 INBOX {2+}\r\na\n"], "UID "),
        ("CONDSTORE", ["SELECT INBOX", "EXAMINE INBOX"], "MODSEQ"),
        ("OBJECTID", ["SELECT INBOX", "CREATE New"], "MAILBOXID"),
        ("QRESYNC", ["SELECT INBOX", "SELECT Sent"], "CLOSED"),
        ("CHILDREN", ['LIST "" *'], "Children"),
        ("SPECIAL-USE", ['LIST "" *'], "\\Sent"),
    ],
)
def test_what_belongs_to_a_hidden_capability_is_not_said(capability, commands, unsaid):
    said = []
    for hidden in ("", capability):
        world = World(fake_account, hiding=Hiding(frozenset({hidden} - {""})))
        for _ in range(3):
            world.put()
        client = world.connect(select="INBOX")
        client.ask("a CREATE Above/Below")
        client.ask("b DELETE Above")
        answers = [client.ask(f"t {command}") for command in commands]
        assert all(answer[-1].startswith("t OK") for answer in answers)
        said.append([unsaid in "".join(answer) for answer in answers])
    assert said[0][-1] and all(found for found in said[0])
    assert not any(said[1])


def test_what_is_above_mailboxes_of_others_is_told_as_rfc_3501_has_it(tmp_path):
    world = SharedWorld(tmp_path)
    world.enter("a", "alice").ask("a SETACL INBOX bob@example.org lr")
    bob = world.enter("b", "bob")
    other = '"Other Users/alice@example.org"'
    assert f'* LIST (\\NonExistent \\Noselect \\HasChildren) "/" {other}' in bob.ask('l LIST "Other Users/" %')
    bob.session.hide({"LIST-EXTENDED"})
    assert f'* LIST (\\Noselect \\HasChildren) "/" {other}' in bob.ask('l LIST "Other Users/" %')


def test_what_needs_a_hidden_one_is_hidden_too():
    client = World(fake_account, hiding=Hiding(frozenset({"CONDSTORE", "ESEARCH"}))).connect()
    assert not {"QRESYNC", "SEARCHRES", "PARTIAL", "ESORT", "CONTEXT=SEARCH", "CONTEXT=SORT"} & set(told(client))
    assert client.ask("e ENABLE QRESYNC")[0] == "* ENABLED"


def test_commands_of_the_base_stay_whatever_is_hidden(world):
    everything = frozenset(name.upper() for name in capabilities(authenticated=False))
    client = world(Hiding(everything)).connect(select="INBOX")
    for command in (
        "FETCH 1 (FLAGS UID BODY.PEEK[])",
        "UID FETCH 1 ENVELOPE",
        "STORE 1 FLAGS (\\Seen)",
        "UID STORE 1 +FLAGS (\\Seen)",
        "SEARCH UNSEEN",
        "UID SEARCH TEXT x",
        'LIST "" *',
        "STATUS INBOX (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN)",
        "APPEND INBOX {2+}\r\na\n",
        "UID COPY 1 Sent",
        "EXPUNGE",
        "CLOSE",
    ):
        assert client.ask(f"t {command}")[-1].startswith("t OK"), command


def test_worlds_hide_nothing_by_themselves():
    client = World(fake_account).connect()
    client.ask('i ID ("name" "Microsoft Office 365")')
    assert "UIDONLY" in told(client)
