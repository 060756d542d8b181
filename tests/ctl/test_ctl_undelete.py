"""Deleted mail brought back by the command, from the store and from a backup."""

import json

import pytest
from backup_support import Site
from click.testing import CliRunner

from mailnode.config.demo import demo_config
from mailnode.ctl.main import main
from mailnode.net.no_reactor import run_now
from mailnode.server.administration import administration

ALICE = "alice@mailnode.test"


def run(data, *arguments, stdin=None, code=0):
    """Run the command on a data directory; return what it says."""
    result = CliRunner().invoke(main, ["--data", str(data), *arguments], input=stdin)
    assert result.exit_code == code, (result.exit_code, result.output, result.exception)
    return result.stdout if not result.stderr else result.stderr


@pytest.fixture
def site(tmp_path):
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    run(data, "account", "add", ALICE, "--password-stdin", stdin="first of these\n")
    return Site(data)


def undeleted(site, *options, code=0):
    return json.loads(run(site.data, "undelete", ALICE, "--json", *options, code=code))


def restored(site, kept, *options, code=0):
    return json.loads(run(site.data, "restore-mail", str(kept), ALICE, "--json", *options, code=code))


def test_what_was_expunged_is_listed_and_comes_back(site):
    site.append("stays")
    site.expunge(site.append("invoice"), site.append("newsletter"))
    told = undeleted(site, "--list")
    assert (told["found"], told["undeleted"]) == (2, 0)
    assert [(one["mailbox"], one["subject"], one["sender"]) for one in told["messages"]] == [
        ("INBOX", "invoice", "Bob"),
        ("INBOX", "newsletter", "Bob"),
    ]
    assert undeleted(site, "--search", "INVOICE")["undeleted"] == 1
    assert list(site.subjects().values()) == ["stays", "invoice"]
    assert undeleted(site, "--search", "<newsletter@side.test>", "--into", "Saved")["undeleted"] == 1
    assert list(site.subjects("Saved").values()) == ["newsletter"]
    assert undeleted(site) == {"undeleted": 0, "found": 0, "octets": 0, "messages": []}
    assert "all right" in run(site.data, "store", "verify")


def test_a_deleted_mailbox_comes_back_with_its_messages(site):
    site.work(lambda mail: mail.create("Work/Old"))
    site.append("one", "Work/Old")

    async def delete(mail):
        await mail.delete((await mail.named("Work/Old")).id)

    site.work(delete)
    site.expunge(site.append("of the INBOX"))
    assert undeleted(site, "--mailbox", "Work/Old")["undeleted"] == 1
    assert list(site.subjects("Work/Old").values()) == ["one"]
    assert site.subjects() == {}


def test_only_what_was_deleted_since_a_time(site):
    site.expunge(site.append("now"))
    assert undeleted(site, "--since", "1h", "--list")["found"] == 1
    assert undeleted(site, "--since", "0", "--list")["found"] == 0


def test_the_quota_holds_for_what_comes_back(site):
    site.expunge(site.append("gone"))
    site.append("stays")
    run(site.data, "account", "quota", ALICE, "--messages", "1")
    assert "its quota is reached" in run(site.data, "undelete", ALICE, code=1)


@pytest.mark.parametrize(("hours", "found"), [(1, 1), (3, 0)])
def test_what_is_deleted_is_kept_as_long_as_the_configuration_says(site, hours, found):
    site.expunge(site.append("gone"))
    config = demo_config(site.data)
    config = config.model_copy(update={"store": config.store.model_copy(update={"keep_deleted": 7200.0})})
    with administration(config) as admin:
        run_now(admin.mail.sweep(admin.clock.seconds() + hours * 3600))
    assert undeleted(site, "--list")["found"] == found


@pytest.fixture
def kept(tmp_path, site):
    """A backup of three messages, of which two are gone for good since."""
    kept = tmp_path / "kept"
    uids = [site.append("invoice"), site.append("report", large=True)]
    site.append("minutes", "Archive", flags=5, keywords=("$Important",))
    run(site.data, "backup", str(kept))
    site.expunge(*uids)
    return kept


def test_mail_comes_back_from_a_backup_once(site, kept):
    told = restored(site, kept, "--list")
    assert (told["found"], told["present"], told["restored"]) == (3, 1, 0)
    told = restored(site, kept)
    assert (told["restored"], told["damaged"]) == (2, 0)
    assert list(site.subjects().values()) == ["invoice", "report"]
    told = restored(site, kept)
    assert (told["found"], told["present"], told["restored"]) == (3, 3, 0)
    assert "all right" in run(site.data, "store", "verify")


def test_what_a_backup_brought_back_is_not_deleted(site, kept):
    assert undeleted(site, "--list")["found"] == 2
    restored(site, kept, "--search", "invoice", "--into", "Back")
    told = undeleted(site)
    assert (told["found"], told["undeleted"], list(site.subjects().values())) == (1, 1, ["report"])


def test_a_mailbox_that_never_was(site, kept):
    assert "Invoces: no such mailbox" in run(site.data, "undelete", ALICE, "--mailbox", "Invoces", code=3)
    words = ("restore-mail", str(kept), ALICE, "--mailbox", "Invoces")
    assert "Invoces: no such mailbox" in run(site.data, *words, code=3)


def test_one_message_one_mailbox_or_a_mailbox_of_its_own(site, kept):
    assert restored(site, kept, "--search", "2023-11-14", "--mailbox", "Archive")["found"] == 1
    assert restored(site, kept, "--search", "report@side.test", "--into", "Back/From backup")["restored"] == 1
    assert list(site.subjects("Back/From backup").values()) == ["report"]
    assert site.subjects() == {}


def test_flags_keywords_and_dates_come_back(site, kept):
    site.expunge(1, mailbox="Archive")
    restored(site, kept, "--mailbox", "Archive")

    async def look(mail):
        box = mail.open((await mail.named("Archive")).id)
        found = await box.snapshot()
        [row] = await box.rows(list(found.uids), ["internaldate", "internaldate_offset"])
        return found.keywords.flag_names(found.flags[0]), row[1:]

    assert site.work(look) == (("\\Seen", "\\Flagged", "$Important"), (1_700_000_000_000_000, 60))


def test_an_account_that_was_removed_and_made_again_gets_its_mail_back(site, kept):
    run(site.data, "account", "remove", ALICE, "--yes")
    run(site.data, "account", "add", "other@mailnode.test", "--password-stdin", stdin="first of these\n")
    site.address = "other@mailnode.test"
    told = run(site.data, "restore-mail", str(kept), site.address, "--was", ALICE)
    assert "back: 3" in told
    assert list(site.subjects("Archive").values()) == ["minutes"]


def test_what_is_damaged_in_the_backup_is_left_out(site, kept):
    path = next((kept / "blobs" / "files").glob("*/*/*"))
    octets = bytearray(path.read_bytes())
    path.unlink()
    octets[1000] ^= 1
    path.write_bytes(octets)
    told = restored(site, kept, code=1)
    assert (told["restored"], told["damaged"]) == (1, 1)


def test_an_address_that_the_backup_does_not_know(site, kept):
    assert "no such account" in run(site.data, "restore-mail", str(kept), ALICE, "--was", "x@mailnode.test", code=3)
    assert "no directory of backups" in run(site.data, "restore-mail", str(kept / "nowhere"), ALICE, code=1)
