"""Mail of an account in a backup moves in."""

import json
import shutil

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
