"""QUOTA: what is held and how much may be, and what EXPUNGE would give back (RFC 9208)."""

import pytest
from imap_world import User, play

from mailnode.errors import NoSuchMailbox, RowsDamaged
from mailnode.imap.commands.quota import quota
from mailnode.imap.commands.table import EXTENSIONS, TABLE
from mailnode.imap.wire.lexer import CommandFault, Lexer
from mailnode.net.no_reactor import run_now
from mailnode.values.flags import DELETED
from mailnode.values.mailbox import Usage

MESSAGE = b"Subject: x\r\n\r\n" + b"y" * 686  # 700 octets


@pytest.fixture
def make_full_world(make_world):
    """Three messages of 700 octets, two of them to be expunged, in an account that may have some more."""

    def make(octets=10_000, messages=5):
        world = make_world()
        for number in range(3):
            world.put(MESSAGE, flags=DELETED if number else 0)
        limit(world, octets, messages)
        world.connect()
        return world

    return make


def limit(world, octets, messages):
    if hasattr(world, "store"):
        run_now(world.store.set_quota("acc", octets, messages))
    else:
        world.account.quota, world.account.most_messages = octets, messages


def test_quota(make_full_world):
    play(
        make_full_world,
        """
        C: a GETQUOTAROOT INBOX
        S: * QUOTAROOT INBOX ""
        S: * QUOTA "" (STORAGE 3 10 MESSAGE 3 5)
        S: a OK GETQUOTAROOT completed
        C: b getquota ""
        S: * QUOTA "" (STORAGE 3 10 MESSAGE 3 5)
        S: b OK GETQUOTA completed
        C: c GETQUOTA {0}
        S: + OK
        C:
        S: * QUOTA "" (STORAGE 3 10 MESSAGE 3 5)
        S: c OK GETQUOTA completed
        C: d GETQUOTA other
        S: d NO [NONEXISTENT] No such quota root
        C: e GETQUOTAROOT "not there yet"
        S: * QUOTAROOT "not there yet" ""
        S: * QUOTA "" (STORAGE 3 10 MESSAGE 3 5)
        S: e OK GETQUOTAROOT completed
        C: f SETQUOTA "" (STORAGE 99999)
        S: f NO [NOPERM] Quotas are set by the administrator
        """,
    )


def test_what_is_not_limited_is_not_told(make_full_world):
    client = make_full_world(messages=0).clients[""]
    assert client.ask('a GETQUOTA ""')[0] == '* QUOTA "" (STORAGE 3 10)'
    client = make_full_world(octets=0).clients[""]
    assert client.ask('a GETQUOTA ""')[0] == '* QUOTA "" (MESSAGE 3 5)'


def test_an_account_without_limits_has_no_quota_root(make_full_world):
    client = make_full_world(0, 0).clients[""]
    assert client.ask("a GETQUOTAROOT INBOX") == ["* QUOTAROOT INBOX", "a OK GETQUOTAROOT completed"]
    assert client.ask('b GETQUOTA ""') == ["b NO [NONEXISTENT] No such quota root"]


@pytest.mark.parametrize(
    ("octets", "limit", "said"), [(0, 1, b"0 1"), (1, 1024, b"1 1"), (1024, 1025, b"1 2"), (3000, 2048, b"3 2")]
)
def test_storage_counts_in_units_of_1024_octets(octets, limit, said):
    assert quota(Usage(octets, limit, 7, 0)) == b'* QUOTA "" (STORAGE ' + said + b")\r\n"


def test_what_expunge_would_give_back(make_full_world):
    play(
        make_full_world,
        """
        C: a STATUS INBOX (MESSAGES DELETED DELETED-STORAGE)
        S: * STATUS INBOX (MESSAGES 3 DELETED 2 DELETED-STORAGE 1400)
        S: a OK STATUS completed
        C: b LIST "" (INBOX Sent) RETURN (STATUS (DELETED-STORAGE))
        S: * LIST (\\HasNoChildren) "/" INBOX
        S: * STATUS INBOX (DELETED-STORAGE 1400)
        S: * LIST (\\HasNoChildren \\Sent) "/" Sent
        S: * STATUS Sent (DELETED-STORAGE 0)
        S: b OK LIST completed
        C: c SELECT INBOX
        S: …
        S: c OK [READ-WRITE] SELECT completed
        C: d STORE 3 -FLAGS.SILENT (\\Deleted)
        S: d OK STORE completed
        C: e STATUS INBOX (DELETED DELETED-STORAGE)
        S: * STATUS INBOX (DELETED 1 DELETED-STORAGE 700)
        S: e OK STATUS completed
        C: f EXPUNGE
        S: * 2 EXPUNGE
        S: f OK EXPUNGE completed
        C: g STATUS INBOX (DELETED DELETED-STORAGE)
        S: * STATUS INBOX (DELETED 0 DELETED-STORAGE 0)
        S: g OK STATUS completed
        """,
    )


def test_a_damaged_message_gives_nothing_back(make_full_world, monkeypatch):
    world = make_full_world()
    box = type(world.box())

    async def damaged(self, uids, columns, keep=False):
        raise RowsDamaged("message", [(uids[0], 700)])

    monkeypatch.setattr(box, "rows", damaged)
    assert world.clients[""].ask("a STATUS INBOX (DELETED-STORAGE)")[0] == "* STATUS INBOX (DELETED-STORAGE 700)"


def test_a_mailbox_that_goes_while_it_is_looked_through_has_no_status(make_full_world, monkeypatch):
    world = make_full_world()

    async def gone(self, claim_recent=False):
        raise NoSuchMailbox

    monkeypatch.setattr(type(world.box()), "snapshot", gone)
    said = world.clients[""].ask('a LIST "" (INBOX Sent) RETURN (STATUS (DELETED-STORAGE))')
    assert [line for line in said if "STATUS" in line] == ["* STATUS Sent (DELETED-STORAGE 0)"]
    assert said[-1] == "a OK LIST completed"
    assert world.clients[""].ask("b STATUS INBOX (DELETED-STORAGE)") == ["b NO [NONEXISTENT] No such mailbox"]


@pytest.mark.parametrize("command", ["APPEND", "COPY"])
def test_what_is_too_much_is_refused_as_over_quota(make_full_world, command):
    world = make_full_world(octets=2100)
    client = world.clients[""]
    client.ask("a SELECT INBOX")
    line = f"b APPEND INBOX {{{len(MESSAGE)}}}" if command == "APPEND" else "b COPY 1 Sent"
    assert client.ask(line) == ["b NO [OVERQUOTA] Over quota"]


@pytest.mark.parametrize(
    "line",
    [
        b"GETQUOTA",
        b"GETQUOTA (",
        b'GETQUOTA "" x',
        b"GETQUOTAROOT",
        b'SETQUOTA ""',
        b'SETQUOTA "" STORAGE 1',
        b'SETQUOTA "" (STORAGE)',
        b'SETQUOTA "" (STORAGE x)',
        b'SETQUOTA "" (STORAGE 9223372036854775808)',
    ],
)
def test_mistakes(line):
    name, _, _ = line.partition(b" ")
    lexer = Lexer(line, len(name))
    with pytest.raises(CommandFault):
        TABLE[name].parse(b"t", lexer)
        lexer.end()


def test_setquota_is_read():
    def read(text):
        return TABLE[b"SETQUOTA"].parse(b"t", Lexer(text)).limits

    assert read(b' "" (storage 512 MESSAGE 0)') == (("STORAGE", 512), ("MESSAGE", 0))
    assert read(b" x ()") == ()


def test_what_is_advertised():
    assert {"QUOTA", "QUOTA=RES-STORAGE", "QUOTA=RES-MESSAGE"} <= set(EXTENSIONS)
    assert "QUOTASET" not in EXTENSIONS  # nobody can set them here


def test_the_number_of_mailboxes_is_a_resource_where_it_is_limited():
    assert quota(Usage(0, 0, 0, 0, 7, 6)) == b'* QUOTA "" (MAILBOX 6 7)\r\n'


@pytest.fixture
def administrator(make_world, monkeypatch):
    monkeypatch.setattr(User, "role", "admin")

    def make():
        world = make_world()
        world.connect()
        return world

    return make


def test_administrators_set_quotas_of_accounts(administrator):
    play(
        administrator,
        """
        C: a GETQUOTA bob@example.org
        S: * QUOTA bob@example.org (STORAGE 2 10)
        S: a OK GETQUOTA completed
        C: b SETQUOTA bob@example.org (storage 100 MESSAGE 50 MAILBOX 20)
        S: * QUOTA bob@example.org (STORAGE 2 100 MESSAGE 3 50 MAILBOX 6 20)
        S: b OK SETQUOTA completed
        C: c SETQUOTA bob@example.org (MESSAGE 5)
        S: * QUOTA bob@example.org (MESSAGE 3 5)
        S: c OK SETQUOTA completed
        C: d SETQUOTA bob@example.org ()
        S: * QUOTA bob@example.org ()
        S: d OK SETQUOTA completed
        C: e GETQUOTA bob@example.org
        S: e NO [NONEXISTENT] No such quota root
        C: f SETQUOTA nobody@example.org (MESSAGE 5)
        S: f NO [NONEXISTENT] No such quota root
        C: g SETQUOTA bob@example.org (ANNOTATION-STORAGE 5)
        S: g NO [CANNOT] No such resource
        C: h SETQUOTA bob@example.org (MESSAGE 5 MESSAGE 6)
        S: h NO [CANNOT] No such resource
        C: i SETQUOTA bob@example.org (MESSAGE 0)
        S: i NO [CANNOT] No such limit
        C: j SETQUOTA bob@example.org (STORAGE 9223372036854775807)
        S: j NO [CANNOT] No such limit
        C: k SETQUOTA "" (MESSAGE 5)
        S: k NO [NOPERM] Quotas are set by the administrator
        """,
    )


def test_only_administrators_are_told_that_they_may(administrator, make_world, monkeypatch):
    assert " QUOTASET" in administrator().clients[""].ask("a CAPABILITY")[0]
    assert " QUOTASET" not in administrator().connect("2", login=False).ask("a CAPABILITY")[0]
    monkeypatch.setattr(User, "role", "user")
    client = make_world().connect()
    assert " QUOTASET" not in client.ask("a CAPABILITY")[0]
    assert client.ask("b GETQUOTA bob@example.org") == ["b NO [NONEXISTENT] No such quota root"]
    assert client.ask("c SETQUOTA bob@example.org (MESSAGE 5)") == ["c NO [NOPERM] Quotas are set by the administrator"]


def test_no_more_mailboxes_than_the_quota_says(file_world):
    run_now(file_world.store.set_quota("acc", 0, 0, 8))
    client = file_world.connect()
    assert client.ask("a CREATE one/two")[0].startswith("a OK")
    assert client.ask("b CREATE three") == ["b NO [OVERQUOTA] Over quota"]
    assert client.ask("c RENAME one/two four/two") == ["c NO [OVERQUOTA] Over quota"]
    assert client.ask("d RENAME one/two four")[0].startswith("d OK")
    assert client.ask('e GETQUOTA ""')[0] == '* QUOTA "" (MAILBOX 8 8)'
    assert client.ask("f DELETE four")[0].startswith("f OK")
    assert client.ask("g CREATE three")[0].startswith("g OK")
