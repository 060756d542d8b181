"""Backups made and put back by the command, while no server runs."""

import json
import os
import stat

import pytest
from backup_support import Site
from click.testing import CliRunner

from mailnode.config.demo import demo_config
from mailnode.ctl.main import main
from mailnode.errors import ConfigurationError
from mailnode.net.no_reactor import run_now
from mailnode.server.administration import administration
from mailnode.store.engines import migrate
from mailnode.store.engines.migrate import Migration

ALICE = "alice@mailnode.test"


def run(data, *arguments, stdin=None, code=0):
    """Run the command on a data directory; return what it says."""
    result = CliRunner().invoke(main, ["--data", str(data), *arguments], input=stdin)
    assert result.exit_code == code, (result.exit_code, result.output, result.exception)
    return result.stdout if not result.stderr else result.stderr


def made(site, kept, *options, code=0):
    return json.loads(run(site.data, "backup", str(kept), "--json", *options, code=code))


@pytest.fixture
def clock(monkeypatch):
    """The time at which backups are made, one a minute."""
    seconds = [1_790_000_000.0]

    def now(self):
        seconds[0] += 60
        return seconds[0]

    monkeypatch.setattr("mailnode.server.backups.StandingClock.seconds", now)
    return seconds


@pytest.fixture
def site(tmp_path, clock):
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    run(data, "account", "add", ALICE, "--password-stdin", stdin="first of these\n")
    return Site(data)


@pytest.fixture
def kept(tmp_path):
    return tmp_path / "kept"


def restored(tmp_path, kept, *options, code=0):
    """Put a backup into a data directory of its own."""
    data = tmp_path / "restored"
    data.mkdir(mode=0o700, exist_ok=True)
    return Site(data), run(data, "restore", str(kept), "--json", *options, code=code)


def test_what_was_backed_up_comes_back(tmp_path, site, kept):
    site.append("small")
    site.append("large", large=True)
    site.append("kept in Archive", "Archive", flags=1)
    report = made(site, kept)
    assert (report["databases"], report["files"], report["new_files"], report["missing"]) == (3, 1, 1, [])
    again, told = restored(tmp_path, kept)
    assert json.loads(told) == {"backup": report["backup"], "accounts": 1, "files": 1, "faults": []}
    assert list(again.subjects().values()) == ["small", "large"]
    assert list(again.subjects("Archive").values()) == ["kept in Archive"]
    assert (again.data / "secret").exists() == (site.data / "secret").exists()
    assert "all right" in run(again.data, "store", "verify")
    # The password too.
    assert "password" in run(again.data, "account", "show", ALICE)


def test_mailboxes_of_a_restored_store_have_a_new_uidvalidity_and_numbers_from_far_above(tmp_path, site, kept):
    site.append("one")
    made(site, kept)
    later = site.append("given out after the backup")

    async def counters(mail):
        [status] = await mail.status([1])
        return status.uidvalidity, await mail.modseq()

    before = site.work(counters)
    again, _ = restored(tmp_path, kept)
    after = again.work(counters)
    assert after[0] > before[0] and after[1] > before[1]
    assert later == again.append("another") == 2  # the same UID, under another UIDVALIDITY


def test_a_second_run_copies_only_what_is_new(site, kept):
    site.append("first", large=True)
    first = made(site, kept)
    site.append("second", large=True)
    second = made(site, kept)
    assert (second["files"], second["new_files"]) == (2, 1)
    third = made(site, kept)
    assert (third["new_files"], third["unchanged"] > 0) == (0, True)
    names = [one["backup"] for one in json.loads(run(site.data, "backups", str(kept), "--json", "--verify"))]
    assert names == [first["backup"], second["backup"], third["backup"]]


def test_an_earlier_backup_is_put_back_as_it_was(tmp_path, site, kept):
    site.append("first", large=True)
    first = made(site, kept)
    site.append("second", large=True)
    made(site, kept)
    again, _ = restored(tmp_path, kept, "--backup", first["backup"])
    assert list(again.subjects().values()) == ["first"]


def test_what_is_expunged_is_in_a_backup_as_long_as_it_is_kept(tmp_path, site, kept):
    site.expunge(site.append("gone", large=True))
    assert made(site, kept)["files"] == 1


def test_files_are_the_owner_s_alone(site, kept):
    site.append("large", large=True)
    made(site, kept)
    for folder, _, names in os.walk(kept):
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
        for name in names:
            assert stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode) == 0o600, name


def test_files_are_copied_where_the_disk_is_another(site, kept, monkeypatch):
    def no_link(*names):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("mailnode.store.backups.making.os.link", no_link)
    site.append("large", large=True)
    made(site, kept)
    report = made(site, kept)
    assert (report["unchanged"], report["new_files"]) == (0, 0)
    [path] = (kept / "blobs" / "files").glob("*/*/*")
    assert path.stat().st_nlink == 1
    [record, _] = json.loads(run(site.data, "backups", str(kept), "--json", "--verify"))
    assert record["faults"] == []


def test_a_run_that_was_cut_off_is_told_apart_and_gone_on_with(site, kept, monkeypatch):
    site.append("large", large=True)
    monkeypatch.setattr("mailnode.store.backups.making.list_line", lambda *line: 1 / 0)
    run(site.data, "backup", str(kept), code=1)
    monkeypatch.undo()
    assert run(site.data, "backups", str(kept)) == ""
    assert [path.name for path in kept.iterdir() if path.name.endswith(".unfinished")]
    report = made(site, kept)
    assert (report["files"], report["new_files"]) == (1, 0)
    assert not [path.name for path in kept.iterdir() if path.name.endswith(".unfinished")]
    assert "not what was written" not in run(site.data, "backups", str(kept), "--verify")


def test_older_backups_are_removed_with_the_files_that_no_other_needs(site, kept):
    gone = site.append("gone", large=True)
    made(site, kept)
    site.append("stays", large=True)
    site.expunge(gone)
    with administration(demo_config(site.data)) as admin:
        run_now(admin.mail.sweep(admin.clock.seconds() + 10 * 86_400))
    latest = made(site, kept)
    assert latest["files"] == 1
    assert len(list((kept / "blobs" / "files").glob("*/*/*"))) == 2
    removed = made(site, kept, "--keep", "2")["removed"]
    assert len(removed) == 1
    assert len(list((kept / "blobs" / "files").glob("*/*/*"))) == 1
    records = json.loads(run(site.data, "backups", str(kept), "--json", "--verify"))
    assert [record["faults"] for record in records] == [[], []]


@pytest.mark.parametrize("name", ["mail-00.db", "blob"])
def test_damage_of_a_backup_is_found(tmp_path, site, kept, name):
    site.append("large", large=True)
    report = made(site, kept)
    path = kept / report["backup"] / name if name != "blob" else next((kept / "blobs" / "files").glob("*/*/*"))
    octets = bytearray(path.read_bytes())
    octets[len(octets) // 2] ^= 1
    path.unlink()
    path.write_bytes(octets)
    [record] = json.loads(run(site.data, "backups", str(kept), "--json", "--verify"))
    assert len(record["faults"]) == 1 and "not what was written" in record["faults"][0]
    again, told = restored(tmp_path, kept, code=1)
    assert "not what was written" in told
    with pytest.raises(ConfigurationError, match="it is half put back"):
        again.subjects()


def test_a_restore_that_was_cut_off_is_gone_on_with(tmp_path, site, kept, monkeypatch):
    site.append("large", large=True)
    made(site, kept)
    monkeypatch.setattr("mailnode.store.backups.restoring.Restoring._bring_databases", lambda self: 1 / 0)
    restored(tmp_path, kept, code=1)
    monkeypatch.undo()
    again, _ = restored(tmp_path, kept)
    assert list(again.subjects().values()) == ["large"]


def test_nothing_is_put_in_the_place_of_a_store(tmp_path, site, kept):
    site.append("large", large=True)
    made(site, kept)
    assert "is there: a backup is put back where no store is" in run(site.data, "restore", str(kept), code=1)
    assert list(site.subjects().values()) == ["large"]


def test_a_file_that_rows_name_and_is_not_there_is_told_and_the_rest_copied(site, kept):
    site.append("large", large=True)
    site.append("other", large=True)
    sorted((site.data / "blobs" / "files").glob("*/*/*"))[0].unlink()
    report = made(site, kept, code=1)
    assert (len(report["missing"]), report["files"]) == (1, 1)
    assert made(site, kept, "--keep", "1", code=1)["removed"] == [], "the one before may have what this one lacks"


def test_of_a_damaged_database_all_files_are_kept_beside_what_can_be_read(site, kept):
    site.append("large", large=True)
    path = site.data / "mail-00.db"
    octets = bytearray(path.read_bytes())
    octets[-4096:] = bytes(range(256)) * 16
    path.write_bytes(octets)
    report = made(site, kept, code=1)
    assert report["faults"][0].startswith("mail-00.db: ")
    assert (report["databases"], report["files"]) == (3, 1)


def test_what_is_no_directory_of_backups_is_left_alone(tmp_path, site):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis").write_text("x")
    assert "no directory of backups" in run(site.data, "backup", str(tmp_path / "other"), code=1)
    assert "no directory of backups" in run(site.data, "restore", str(tmp_path / "other"), code=1)
    assert "no directory of backups" in run(site.data, "backups", str(tmp_path / "nowhere"), code=1)


def test_going_back_before_an_upgrade_is_one_command(site, monkeypatch):
    site.append("before")
    assert "no database was brought up to date" in run(site.data, "store", "go-back", "--yes", code=1)
    known = migrate.known
    steps = known("mail")
    newer = [*steps, Migration("mail", len(steps) + 1, ("CREATE TABLE more (a TEXT)",))]
    with monkeypatch.context() as patched:
        patched.setattr(migrate, "known", lambda kind: newer if kind == "mail" else known(kind))
        site.append("after")
        told = json.loads(run(site.data, "store", "go-back", "--yes", "--json"))
    assert (told["files"], told["accounts"]) == (["mail-00.db"], 1)
    assert site.subjects() == {1: "before"}
    assert "all right" in run(site.data, "store", "verify")


@pytest.mark.parametrize("option", [(), ("--pause-queue",)])
def test_the_queue_can_be_held_when_it_comes_back(tmp_path, site, kept, option):
    made(site, kept)
    again, _ = restored(tmp_path, kept, *option)
    with administration(demo_config(again.data)) as admin:
        assert bool(run_now(admin.queue.paused())) is bool(option)


def test_what_is_set_aside_comes_back_from_a_backup(site, kept):
    site.append("whole")
    site.append("cut", large=True)
    made(site, kept)
    [path] = [path for path in (site.data / "blobs" / "files").rglob("*") if path.is_file()]
    os.unlink(path)  # its octets are the backup's too
    path.write_bytes(b"cut")
    assert json.loads(run(site.data, "restore-mail", str(kept), ALICE, "--list", "--json"))["present"] == 2
    assert len(json.loads(run(site.data, "store", "verify", "--repair", "--json"))["set_aside"]) == 1
    told = json.loads(run(site.data, "restore-mail", str(kept), ALICE, "--json"))
    assert (told["present"], told["restored"], told["messages"][0]["subject"]) == (1, 1, "cut")
    told = json.loads(run(site.data, "restore-mail", str(kept), ALICE, "--json"))
    assert (told["present"], told["restored"]) == (2, 0)
