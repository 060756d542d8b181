"""Stores of every schema there was are opened, brought up to date and used; and gone back from."""

from __future__ import annotations

import json
from dataclasses import replace

import apsw
import pytest
from older_schemas import ACCOUNT, CONTENT, QUEUED, UIDVALIDITY, newest, write_older

from mailnode.errors import BackupRefused, ConfigurationError
from mailnode.net.no_reactor import CallingThread, StandingClock
from mailnode.store.backups.directory import BackupDirectory
from mailnode.store.backups.going_back import GoingBack
from mailnode.store.backups.mail import BackupMail
from mailnode.store.backups.making import BackupRun, StoredFiles
from mailnode.store.backups.restoring import is_begun
from mailnode.store.blobs.local import LocalBlobs
from mailnode.store.engines import before_migration, migrate
from mailnode.store.engines.before_migration import KeptCopies
from mailnode.store.engines.migrate import Migration
from mailnode.store.engines.sqlite import SqliteEngine
from mailnode.store.engines.stored_formats import formats_in_use, formats_of_files, tenancies
from mailnode.store.facades.directory import Directory
from mailnode.store.facades.mail_store import MailStore
from mailnode.store.facades.queue import Queue
from mailnode.store.facades.undelete import Undelete
from mailnode.values.address import parse_address
from mailnode.values.stored_format import StoredFormat

SCHEMAS = [
    (kind, number) for kind in ("mail", "queue", "directory", "ephemeral") for number in range(1, newest(kind) + 1)
]
KINDS = ("directory", "queue", "mail")  # of all that is to last, in the order of tenancies
IDS = [f"{kind}-{number}" for kind, number in SCHEMAS]


class Opened:
    """A store in use, in one thread."""

    def __init__(self, data, loop, hints):
        self.loop = loop
        self.engine = SqliteEngine(data, 1)
        loop.run(self.engine.start())
        clock = StandingClock()
        blobs = LocalBlobs(data / "blobs", CallingThread(), clock)
        self.mail = MailStore(self.engine, blobs, hints, clock, 1)
        self.queue = Queue(self.engine, blobs)
        self.directory = Directory(self.engine)
        self.undelete = Undelete(self.engine, blobs, self.mail.partition, clock, hints)
        self.inbox = self.mail.account(ACCOUNT).open(1)

    def uidvalidity(self):
        return self.loop.run(self.inbox.snapshot()).uidvalidity

    def uids(self):
        return list(self.loop.run(self.inbox.snapshot()).uids)

    def close(self):
        self.loop.run(self.engine.stop())


@pytest.fixture
def opened(tmp_path, loop, hints):
    """Opens the store, and closes it at the end."""
    stores = []

    def use():
        while stores:
            stores.pop().close()
        stores.append(Opened(tmp_path / "data", loop, hints))
        return stores[-1]

    yield use
    while stores:
        stores.pop().close()


@pytest.mark.parametrize(("kind", "number"), SCHEMAS, ids=IDS)
def test_a_store_of_this_schema_is_opened_and_used(tmp_path, loop, opened, make, kind, number):
    write_older(tmp_path / "data", kind, number)
    store = opened()
    assert store.engine.damage() == {}
    assert loop.run(store.mail.verify()) == []
    [[uid, blob]] = loop.run(store.inbox.rows([1], ["blob"]))
    assert (uid, loop.run(store.inbox.read(blob))) == (1, CONTENT)
    assert store.uidvalidity() == UIDVALIDITY
    loop.run(store.inbox.append([make()]))
    assert loop.run(store.undelete.place(ACCOUNT, 1, [2], 1)) == 1
    loop.run(store.inbox.store_flags([1], "add", 4, ["$Now"]))
    assert store.uids() == [1, 3, 4]
    assert loop.run(store.mail.verify()) == []
    [envelope] = loop.run(store.queue.envelopes())
    assert envelope.recipients[0].address == "carol@far.test"
    assert loop.run(store.queue.claim("far.test", 1_800_000_000.0, 60.0, 1)) != []
    assert envelope.blob == QUEUED
    assert [account.address for account in loop.run(store.directory.accounts())] == ["alice@mailnode.test"]
    assert [domain.name for domain in loop.run(store.directory.domains())] == ["mailnode.test"]
    kept = [path.name for path in (tmp_path / "data").glob("before-migration/*.db")]
    files = {"mail": "mail-00"}.get(kind, kind)
    assert kept == ([f"{files}-schema-{number}.db"] if number < newest(kind) else [])


def test_the_form_of_each_database_is_told_in_use_and_of_files_that_nobody_opens(tmp_path, loop, opened):
    write_older(tmp_path / "data", "queue", 1)
    names = tenancies(1)
    expected = [StoredFormat(name, newest(kind), newest(kind)) for name, kind in zip(names, KINDS, strict=True)]
    store = opened()
    assert loop.run(formats_in_use(store.engine, names)) == expected
    store.engine.out_of_service["mail-00"] = "left out"
    assert loop.run(formats_in_use(store.engine, names)) == expected[:2]
    store.close()
    for name in names:
        with apsw.Connection(str(tmp_path / f"data/{name}.db")) as connection:
            connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'schema'")
    (tmp_path / "data/queue.db").write_bytes(b"no database" * 1000)
    told = formats_of_files(tmp_path / "data", [*names, "mail-01"])
    assert told == [replace(one, schema=one.schema + 1) for one in (expected[0], expected[2])]


@pytest.mark.parametrize("number", [1, newest("mail")])
def test_mail_is_read_of_backups_of_any_schema(tmp_path, loop, number):
    write_older(tmp_path / "data", "mail", number)
    kept = BackupDirectory(tmp_path / "kept")
    BackupRun(kept, stored(tmp_path)).run(1_790_000_000.0)
    backup = BackupMail(kept.path, "", CallingThread(), StandingClock())
    assert loop.run(backup.mailboxes(parse_address("Alice@mailnode.test"))) == (ACCOUNT, [(1, "INBOX")])
    [message] = loop.run(backup.messages(ACCOUNT, 1, 0))
    assert (message.uid, message.keys.subject) == (1, "of then")
    assert loop.run(backup.read(ACCOUNT, message.blob)) == CONTENT
    assert list(loop.run(backup.messages(ACCOUNT, 1, 1))) == []


# going back


def stored(tmp_path):
    return StoredFiles(tmp_path / "data", tmp_path / "data" / "blobs", 1)


@pytest.fixture
def before(monkeypatch):
    """Makes this the program that knew the schemas up to one of mail."""
    known = migrate.known

    def be(number):
        monkeypatch.setattr(
            migrate,
            "known",
            lambda kind: [step for step in known(kind) if kind != "mail" or step.number <= number],
        )

    return be


def test_going_back_is_the_copies_put_back_and_the_program_before_serves_them(tmp_path, loop, opened, make, before):
    last = newest("mail")
    write_older(tmp_path / "data", "mail", last - 1)
    store = opened()
    loop.run(store.inbox.append([make()]))
    modseq = loop.run(store.mail.account(ACCOUNT).modseq())
    store.close()
    aside, accounts = GoingBack(stored(tmp_path)).run()
    assert accounts == 1
    assert [path.name for path in aside.iterdir()] == ["mail-00.db"]
    before(last - 1)
    store = opened()
    assert store.engine.damage() == {}
    assert store.uids() == [1]
    assert store.uidvalidity() > UIDVALIDITY
    assert loop.run(store.mail.account(ACCOUNT).modseq()) > modseq
    # What came since is in the file that was put aside.
    connection = apsw.Connection(str(aside / "mail-00.db"))
    assert connection.execute("SELECT count(*) FROM message").fetchall() == [(3,)]
    connection.close()
    with pytest.raises(BackupRefused, match="no database was brought up to date"):
        GoingBack(stored(tmp_path))


def test_going_back_that_was_cut_off_is_gone_on_with(tmp_path, opened, monkeypatch, before):
    last = newest("mail")
    write_older(tmp_path / "data", "mail", last - 1)
    opened().close()
    with monkeypatch.context() as patched:
        patched.setattr("mailnode.store.backups.going_back.copy_durably", lambda *names: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            GoingBack(stored(tmp_path)).run()
    assert is_begun(tmp_path / "data"), "no server starts beside it"
    aside, _ = GoingBack(stored(tmp_path)).run()
    assert not is_begun(tmp_path / "data")
    connection = apsw.Connection(str(aside / "mail-00.db"))
    assert connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchall() == [(str(last),)]
    connection.close()
    before(last - 1)
    assert opened().uids() == [1]


def test_a_damaged_copy_is_not_gone_back_to(tmp_path, opened):
    write_older(tmp_path / "data", "mail", 1)
    opened().close()
    [copy] = (tmp_path / "data" / "before-migration").glob("mail*")
    copy.write_bytes(copy.read_bytes()[:5000] + b"x" * 9000)
    with pytest.raises(BackupRefused, match="mail-00-schema-1"):
        GoingBack(stored(tmp_path)).run()
    assert opened().uids() == [1]


def test_all_that_will_change_is_copied_before_any_is_changed(tmp_path, loop, opened, monkeypatch):
    write_older(tmp_path / "data", "mail", newest("mail") - 1)
    known, numbers = migrate.known, {kind: newest(kind) for kind in ("queue", "mail")}

    def with_more(kind):
        more = {"queue": ("CREATE TABLE more (a TEXT)",), "mail": ("NO SUCH WORD",)}
        return [*known(kind), *([Migration(kind, numbers[kind] + 1, more[kind])] if kind in more else [])]

    monkeypatch.setattr(migrate, "known", with_more)
    with pytest.raises(ConfigurationError):
        opened()
    kept = KeptCopies(tmp_path / "data")
    assert set(kept.last()) == {"queue", "mail-00"}
    # A further start has only mail left to change: both belong to the same upgrade.
    with pytest.raises(ConfigurationError):
        opened()
    assert set(kept.last()) == {"queue", "mail-00"}
    GoingBack(stored(tmp_path)).run()
    monkeypatch.setattr(migrate, "known", known)
    assert opened().uids() == [1]


def test_copies_need_room_for_all_of_them(tmp_path, opened, monkeypatch):
    write_older(tmp_path / "data", "mail", 1)
    usage = type("usage", (), {"free": 100})
    with monkeypatch.context() as patched:
        patched.setattr(before_migration.shutil, "disk_usage", lambda path: usage)
        with pytest.raises(ConfigurationError, match="must be free to migrate mail-00"):
            opened()
    assert not (tmp_path / "data" / "before-migration").exists()


# what an older program goes on with


@pytest.fixture
def next_step(monkeypatch):
    """Makes the next schema of mail, and says which is the oldest whose programs go on with it."""
    known = migrate.known

    def be(*steps):
        last = len(known("mail"))
        made = [
            Migration("mail", last + number, (f"CREATE TABLE more{number} (a TEXT)",), read_by)
            for number, read_by in enumerate(steps, 1)
        ]
        monkeypatch.setattr(migrate, "known", lambda kind: [*known(kind), *(made if kind == "mail" else [])])
        return lambda: monkeypatch.setattr(migrate, "known", known)

    return be


def test_a_schema_that_only_adds_is_gone_on_with_by_the_program_before(tmp_path, loop, opened, make, next_step):
    last = newest("mail")
    write_older(tmp_path / "data", "mail", last)
    back = next_step(last)
    opened().close()
    back()
    store = opened()
    loop.run(store.inbox.append([make()]))
    store.close()
    next_step(last)
    assert opened().uids() == [1, 3]


@pytest.mark.parametrize("steps", [(0,), ("last", 0), (0, "last")])
def test_a_schema_that_does_more_is_refused_by_it(tmp_path, opened, next_step, steps):
    last = newest("mail")
    write_older(tmp_path / "data", "mail", last)
    back = next_step(*[last if one else 0 for one in steps])
    opened().close()
    back()
    with pytest.raises(ConfigurationError, match="install the newer version again"):
        opened()


def test_what_a_step_says_of_older_programs_is_read():
    step = migrate.step("mail", 13, "-- Schema 13: more.\n-- Read by 12.\n\nCREATE TABLE more (a TEXT);\n")
    assert step == Migration("mail", 13, ("CREATE TABLE more (a TEXT)",), 12)


def test_the_book_of_copies_survives_what_others_wrote_there(tmp_path):
    kept = KeptCopies(tmp_path)
    kept.folder.mkdir()
    (kept.folder / "last.json").write_text(json.dumps({"files": {"mail-00": "../../x"}, "done": True}))
    assert kept.last() == {}
    (kept.folder / "last.json").write_text("[")
    assert kept.last() == {}
