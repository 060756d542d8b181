"""Mail of an account in a backup moves in."""

import contextlib
import json
import shutil
import sqlite3

import pytest
from account_support import ALICE, MovingAccount, run
from test_moving_maildir import put, text

from mailnode.admin.backup_import import uidl_of
from mailnode.values.backed_up import BackedUpMessage

BOB = "bob@mailnode.test"


@pytest.fixture
def kept(alice, tmp_path):
    """A directory with a backup of the account's mail."""
    put(tmp_path / "old", "1.a:2,FSa", text("one"))
    (tmp_path / "old/dovecot-keywords").write_text("0 work\n")
    (tmp_path / "old/subscriptions").write_text("Work\n")
    put(tmp_path / "old/.Work", "1.b:2,", text("two"))
    put(tmp_path / "old/.Work", "2.c:2,", text("three"))
    alice.bring("maildir", str(tmp_path / "old"))
    run(alice.data, "backup", str(tmp_path / "kept"))
    return tmp_path / "kept"


@pytest.fixture
def bob(fresh, tmp_path):
    """Another account on another server."""
    account = MovingAccount(shutil.copytree(fresh.data, tmp_path / "other"), BOB)
    return account.make()


def bring(account, kept, *options, code=0):
    return json.loads(
        run(account.data, "import", "mailnode", str(kept), ALICE, account.address, "--json", *options, code=code)
    )


def test_it_comes_to_another_account_of_another_server_and_once(alice, bob, kept):
    told = bring(bob, kept)
    assert (told["found"], told["brought"], told["present"], told["damaged"]) == (3, 3, 0, 0)
    for name in ("INBOX", "Work"):
        assert bob.contents(name) == alice.contents(name)
    told = bring(bob, kept)
    assert (told["brought"], told["present"], told["flags_added"]) == (0, 3, 0)


def test_subscriptions_and_pop3_ids_come_with_it(alice, bob, kept):
    """What a program knows of the mailbox as it was it does not fetch again."""
    before = alice.work(lambda mail: mail.subscriptions())
    assert "Work" in before and "Work" not in bob.work(lambda mail: mail.subscriptions())
    assert bring(bob, kept)["subscribed"] == 1
    assert bob.uidls() == alice.uidls() and bob.work(lambda mail: mail.subscriptions()) == before
    assert bring(bob, kept)["subscribed"] == 0


def sieve(account, *arguments):
    return run(account.data, "sieve", *arguments)


def test_filter_scripts_come_with_it_and_take_no_other_one_s_place(alice, bob, tmp_path):
    for name, source in (("main", "keep;\n"), ("away", "stop;\n"), ("both", "# hers\n")):
        (tmp_path / name).write_text(source)
        sieve(alice, "put", ALICE, name, str(tmp_path / name))
    sieve(alice, "activate", ALICE, "main")
    (tmp_path / "both").write_text("# his\n")
    sieve(bob, "put", BOB, "both", str(tmp_path / "both"))
    run(alice.data, "backup", str(tmp_path / "kept"))
    told = bring(bob, tmp_path / "kept")
    assert (told["scripts"], told["active_script"], told["damaged"]) == (["away", "main"], "main", 0)
    assert {one["name"]: one["active"] for one in json.loads(sieve(bob, "list", BOB, "--json"))} == {
        "away": False,
        "both": False,
        "main": True,
    }
    assert sieve(bob, "show", BOB, "main") == "keep;\n" and sieve(bob, "show", BOB, "both") == "# his\n"
    sieve(bob, "activate", BOB, "away")
    sieve(bob, "delete", BOB, "main", "--yes")
    told = bring(bob, tmp_path / "kept")
    assert (told["scripts"], told["active_script"]) == (["main"], "")
    assert bring(bob, tmp_path / "kept")["scripts"] == []


def test_a_script_that_is_damaged_in_a_backup_and_a_backup_without_scripts(alice, bob, tmp_path):
    (tmp_path / "main").write_text("keep;\n")
    sieve(alice, "put", ALICE, "main", str(tmp_path / "main"))
    run(alice.data, "backup", str(tmp_path / "kept"))

    def change(statement):
        for database in (tmp_path / "kept").rglob("mail-*.db"):
            database.chmod(0o600)
            with contextlib.closing(sqlite3.connect(database)) as connection, connection:
                connection.execute(statement)

    change("UPDATE script SET source = x'73'")
    told = bring(bob, tmp_path / "kept", code=1)
    assert (told["scripts"], told["damaged"]) == ([], 1)
    change("DROP TABLE active_script")
    assert bring(bob, tmp_path / "kept")["scripts"] == []


def test_no_pop3_id_is_given_that_another_message_may_get():
    there = BackedUpMessage(3, 0, (), 1, 0, 0, b"", None, None, 7, None)
    assert (uidl_of(there, 8), uidl_of(there, 7)) == ("7.3", None)
    assert uidl_of(there._replace(uidl="of-dovecot"), 7) == "of-dovecot"


def test_what_is_here_gets_the_flags_it_had(bob, alice, kept):
    bring(bob, kept)

    async def unflag(mail):
        await mail.open((await mail.named("INBOX")).id).store_flags([1], "set", 2)

    bob.work(unflag)
    assert bring(bob, kept)["flags_added"] == 1
    assert bob.contents()[0][1] == {"\\Answered", "\\Flagged", "\\Seen", "work"}


def test_who_is_not_there_is_told(bob, kept):
    run(bob.data, "import", "mailnode", str(kept), "nobody@mailnode.test", BOB, code=3)
    run(bob.data, "import", "mailnode", str(kept), ALICE, "nobody@mailnode.test", code=3)
    run(bob.data, "import", "mailnode", str(kept / "none"), ALICE, BOB, code=1)
