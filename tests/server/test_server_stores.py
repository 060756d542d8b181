"""The store as a start of the server finds it: in the calling thread, on files."""

import contextlib
import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from twisted.logger import globalLogPublisher

from mailnode.config.loader import read
from mailnode.errors import ConfigurationError, StoreUnavailable
from mailnode.message.scanner import read_facts
from mailnode.net.hints import LocalHints
from mailnode.net.no_reactor import CallingThread, StandingClock, run_now
from mailnode.server.administration import with_stopped_store
from mailnode.server.stores import OwnStores
from mailnode.store.engines.engine import QUEUE, mail_tenancy
from mailnode.store.engines.sqlite_files import quick_check
from mailnode.store.facades import store_check
from mailnode.store.search.segments import build
from mailnode.values.address import parse_address
from mailnode.values.mailbox import NewMessage
from mailnode.values.queue import NewEnvelope, QueuedEnvelope, QueuedRecipient, QueueFilter
from mailnode.values.search import IndexedText

NOW = 1_800_000_000.0


def accept_older(config, files):
    return with_stopped_store(config, lambda store: store.accept_older(files))


class Opened:
    """Starts the stores on the test's data directory."""

    def __init__(self, data):
        self.data = data
        self.running = []

    def config(self, **server):
        settings = {"server": {"hostname": "mx.a.test", "data": str(self.data), **server}}
        settings["listener"] = [{"protocol": "smtp", "endpoint": "tcp:25"}]
        return read(settings, Path("/"))

    def __call__(self, **server):
        stores = OwnStores(self.config(**server), StandingClock(), CallingThread(), LocalHints(), None)
        run_now(stores.start())
        self.running.append(stores)
        return stores


@pytest.fixture
def opened(tmp_path):
    opened = Opened(tmp_path / "data")
    yield opened
    for stores in opened.running:
        run_now(stores.stop())


def test_a_lease_of_a_killed_server_is_released_by_the_next_start(opened):
    stores = opened()
    blob = run_now(stores.blobs.put(b"Hello\r\n"))
    recipient = QueuedRecipient(0, "u@b.test", "b.test", next_try=NOW)
    envelope = QueuedEnvelope("e1", "me@a.test", blob.ref, NOW, NOW + 1000, recipients=(recipient,))
    run_now(stores.queue.enqueue(NewEnvelope(envelope, blob, None)))
    assert len(run_now(stores.queue.claim("b.test", NOW, 90.0, 10))) == 1
    run_now(stores.stop())  # a clean stop leaves the lease, as a kill does
    again = opened()
    assert len(run_now(again.queue.claim("b.test", NOW, 90.0, 10))) == 1


def test_one_damaged_partition_leaves_the_server_the_others(opened, tmp_path):
    run_now(opened(partitions=2).stop())
    (tmp_path / "data" / "mail-01.db").write_bytes(b"x" * 8192)
    stores = opened(partitions=2)
    assert list(stores.damage()) == ["mail-01.db"]
    served, lost = (
        next(name for name in map(str, range(100)) if stores.mail.partition(name) == number) for number in (0, 1)
    )
    run_now(stores.mail.provision(served))
    stores.mail.require_service(served)
    assert run_now(stores.mail.usage([served]))
    with pytest.raises(StoreUnavailable):
        run_now(stores.mail.usage([lost]))  # what RCPT asks
    with pytest.raises(StoreUnavailable):
        stores.mail.require_service(lost)  # what a login asks
    run_now(stores.mail.sweep(NOW))
    assert run_now(stores.mail.verify()) == []


def add_account(stores, account_id):
    run_now(stores.directory.add_account(account_id, parse_address(f"u{account_id}@a.test"), NOW))
    run_now(stores.mail.provision(account_id))


def append(stores, account_id, message=b"Hello\r\n"):
    blob = run_now(stores.blobs.put(message))
    facts = read_facts(message)
    box = stores.mail.account(account_id).open(1)
    return run_now(box.append([NewMessage(blob, facts, internaldate=0)]))


@pytest.mark.parametrize(("size", "said"), [(10, []), (200_000, ["store.files_missing"])])
def test_a_start_says_that_the_files_of_messages_are_not_there(opened, tmp_path, size, said):
    events = []

    def observe(event):
        if event.get("event") == "store.files_missing":
            events.append(event["event"])
            assert event["fields"] == {"path": str(tmp_path / "data" / "blobs")}

    globalLogPublisher.addObserver(observe)
    try:
        stores = opened()
        run_now(stores.directory.add_domain("a.test"))
        add_account(stores, "1")
        append(stores, "1", b"Subject: x\r\n\r\n" + os.urandom(size))
        run_now(stores.stop())
        run_now(opened().stop())
        assert events == []
        shutil.rmtree(tmp_path / "data" / "blobs")
        run_now(opened().stop())
        assert events == said
    finally:
        globalLogPublisher.removeObserver(observe)


def test_an_older_partition_is_accepted_by_a_command_that_raises_uidvalidity(opened, tmp_path):
    stores = opened(partitions=2)
    old, new = [name for name in map(str, range(100)) if stores.mail.partition(name) == 1][:2]
    run_now(stores.directory.add_domain("a.test"))
    add_account(stores, old)
    first = append(stores, old)
    run_now(stores.stop())
    mail = tmp_path / "data" / "mail-01.db"
    before = mail.read_bytes()
    stores = opened(partitions=2)
    add_account(stores, new)
    lost = append(stores, old), append(stores, new)
    created = run_now(stores.mail.account(old).create("made and lost"))
    run_now(stores.stop())

    mail.write_bytes(before)
    stores = opened(partitions=2)
    assert list(stores.damage()) == ["mail-01.db"]
    for account_id in (old, new):
        with pytest.raises(StoreUnavailable):
            run_now(stores.mail.usage([account_id]))
    run_now(stores.stop())

    assert accept_older(opened.config(partitions=2), ["mail-01"]) == {"files": ["mail-01"], "accounts": 2}
    stores = opened(partitions=2)
    assert stores.damage() == {}
    for account_id, was in ((old, lost[0]), (new, lost[1])):
        snapshot = run_now(stores.mail.account(account_id).open(1).snapshot())
        assert snapshot.uidvalidity > was.uidvalidity
        assert len(snapshot.uids) == (first.uids == (1,) and account_id == old)
        assert append(stores, account_id).modseq > was.modseq
    again = run_now(stores.mail.account(old).create("made and lost"))
    assert again.uidvalidity > created.uidvalidity
    assert again.id > created.id
    assert run_now(stores.mail.verify()) == []


def test_a_name_that_is_no_file_is_refused(opened):
    run_now(opened().stop())
    with pytest.raises(ConfigurationError, match="mail-07: there is no such file, there are directory, queue, mail-00"):
        accept_older(opened.config(), ["mail-07"])


def test_all_files_are_accepted_after_everything_was_put_back(opened):
    stores = opened(partitions=1)
    run_now(stores.directory.add_domain("a.test"))
    add_account(stores, "a")
    was = append(stores, "a")
    run_now(stores.stop())
    assert accept_older(opened.config(partitions=1), ["all"])["files"] == ["directory", "mail-00", "queue"]
    stores = opened(partitions=1)
    assert stores.damage() == {}
    assert run_now(stores.mail.account("a").open(1).snapshot()).uidvalidity > was.uidvalidity


def checked(stores):
    found = run_now(stores.check(NOW))
    return found.accounts, found.files, found.loose, list(found.faults)


def files_of(data):
    return [path for path in (data / "blobs").rglob("*") if path.is_file()]


@pytest.fixture
def furnished(opened):
    """A store with two accounts, each with a message in a file and one in its row."""
    stores = opened(partitions=2)
    run_now(stores.directory.add_domain("a.test"))
    for account_id in ("0", "1"):
        add_account(stores, account_id)
        append(stores, account_id, os.urandom(200_000).hex().encode())
        append(stores, account_id)
    return stores


def test_a_sound_store_has_no_faults(furnished):
    assert checked(furnished) == (2, 2, 0, [])


def test_a_message_whose_file_is_gone_is_named(furnished, opened):
    files_of(opened.data)[0].unlink()
    accounts, files, loose, faults = checked(furnished)
    assert (accounts, files, loose, len(faults)) == (2, 2, 0, 1) and "message 1: its file is missing" in faults[0]


def test_a_file_that_nothing_needs_is_counted_once_it_is_old(furnished, opened):
    fresh = files_of(opened.data)[0].with_name("0" * 20)
    fresh.write_bytes(b"x")
    os.utime(fresh, (NOW, NOW))
    assert checked(furnished) == (2, 2, 0, [])
    os.utime(fresh, (0, 0))
    assert checked(furnished) == (2, 2, 1, [])


def test_a_queued_message_whose_file_is_gone_is_named(furnished, opened):
    known = set(files_of(opened.data))
    blob = run_now(furnished.blobs.put(os.urandom(200_000).hex().encode()))
    recipient = QueuedRecipient(0, "u@b.test", "b.test", next_try=NOW)
    envelope = QueuedEnvelope("e1", "me@a.test", blob.ref, NOW, NOW + 1000, recipients=(recipient,))
    run_now(furnished.queue.enqueue(NewEnvelope(envelope, blob, None)))
    assert checked(furnished) == (2, 3, 0, [])
    [file] = set(files_of(opened.data)) - known
    file.unlink()
    assert checked(furnished) == (2, 3, 0, [f"queue: message e1: its file is missing: {file.name}"])


def test_directory_and_mailboxes_know_the_same_accounts(furnished):
    run_now(furnished.directory.add_account("2", parse_address("u2@a.test"), NOW))
    run_now(furnished.mail.provision("stranger"))
    assert checked(furnished)[3] == [
        "2: an account without mailboxes",
        "stranger: mailboxes of an account that is not there",
    ]


def test_very_many_mailboxes_without_accounts_are_read_twice_and_not_once_for_each(furnished, monkeypatch):
    for number in range(5):
        run_now(furnished.mail.provision(f"stranger{number}"))
    account_ids, asked = furnished.mail.account_ids, []

    async def counted():
        asked.append(None)
        return await account_ids()

    monkeypatch.setattr(furnished.mail, "account_ids", counted)
    assert len(checked(furnished)[3]) == 5
    assert len(asked) == 2


def test_an_account_that_was_made_meanwhile_is_no_fault(furnished, monkeypatch):
    accounts = furnished.directory.accounts

    async def made_between():
        monkeypatch.setattr(furnished.directory, "accounts", accounts)
        add_account(furnished, "2")
        return await accounts()

    monkeypatch.setattr(furnished.directory, "accounts", made_between)
    assert checked(furnished)[3] == []


def test_of_very_many_files_of_the_queue_that_are_gone_no_more_are_looked_for_than_are_told(
    furnished, opened, monkeypatch
):
    monkeypatch.setattr(store_check, "FAULTS", 3)
    monkeypatch.setattr(store_check, "QUEUED", 2)
    known = set(files_of(opened.data))
    for number in range(9):
        blob = run_now(furnished.blobs.put(os.urandom(200_000).hex().encode()))
        recipient = QueuedRecipient(0, "u@b.test", "b.test", next_try=NOW)
        envelope = QueuedEnvelope(f"e{number}", "me@a.test", blob.ref, NOW, NOW + 1000, recipients=(recipient,))
        run_now(furnished.queue.enqueue(NewEnvelope(envelope, blob, None)))
    for file in set(files_of(opened.data)) - known:
        file.unlink()
    files, faults = checked(furnished)[1::2]
    assert (files, len(faults)) == (2 + 4, 3)


def write(stores, tenancy, statement):
    run_now(stores.engine.write(tenancy, lambda tx: tx.execute(statement)))


def test_what_is_damaged_is_said_and_mended_or_set_aside(furnished):
    [(_, blob)] = run_now(furnished.mail.account("0").open(1).rows([1], ["blob"]))
    path = furnished.blobs.path(blob.blob_id)
    path.write_bytes(path.read_bytes()[:-9])
    write(
        furnished,
        mail_tenancy(furnished.mail.partition("0")),
        "UPDATE account SET count_used = 9 WHERE account_id = '0'",
    )
    run_now(furnished.directory.add_account("2", parse_address("u2@a.test"), NOW))
    cut, without = f"its file is cut short or changed: {path}", "2: an account without mailboxes"
    found = run_now(furnished.check(NOW, contents=True))
    assert (found.messages, found.files, found.mended, found.set_aside) == (4, 2, (), ())
    usage = next(fault for fault in found.faults if fault.startswith("0: usage (9, "))
    assert set(found.faults) == {without, usage, f"0: message 1: {cut}"}
    found = run_now(furnished.check(NOW, repair=True))
    assert found.faults == ()
    assert found.set_aside == (f"0: message 1, UID 1 of mailbox 1: {cut}",)
    assert [line.split(",")[0] for line in found.mended[:1]] == [f"{without} has them again"]
    assert found.mended[1].startswith("0: the account uses ") and found.mended[2:] == (
        f"0: message 1 is set aside: {cut}",
    )
    found = run_now(furnished.check(NOW, contents=True))
    assert (found.faults, found.mended, len(found.set_aside)) == ((), (), 1)


def test_where_rows_cannot_be_compared_messages_are_read_all_the_same(furnished):
    write(
        furnished,
        mail_tenancy(furnished.mail.partition("0")),
        "UPDATE mailbox SET uidnext = CAST(x'b1' AS TEXT) WHERE account_id = '0' AND mailbox_id = 2",
    )
    [(_, blob)] = run_now(furnished.mail.account("0").open(1).rows([1], ["blob"]))
    furnished.blobs.path(blob.blob_id).unlink()
    found = run_now(furnished.check(NOW, repair=True))
    [fault] = [fault for fault in found.faults if fault.startswith("0: ")]
    assert fault.startswith("0: its rows cannot be compared: ")
    assert found.messages == 4 and found.set_aside[0].startswith(
        "0: message 1, UID 1 of mailbox 1: its file is missing: "
    )


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE mailbox SET uidnext = CAST(x'b1' AS TEXT) WHERE account_id = '0' AND mailbox_id = 2",
        "DELETE FROM account WHERE account_id = '0'",
        "DELETE FROM mailbox; DELETE FROM account",
    ],
)
def test_of_a_store_that_is_damaged_no_content_is_removed_that_seems_to_be_needed_by_nobody(furnished, damage):
    """Its rows could not be mended: so nobody has looked whether they lack references."""
    tenancy = mail_tenancy(furnished.mail.partition("0"))
    for statement in (*damage.split("; "), "DELETE FROM blob_ref"):
        write(furnished, tenancy, statement)
    contents = "SELECT blob_id FROM blob ORDER BY blob_id"
    before = run_now(furnished.engine.read(tenancy, lambda tx: tx.execute(contents)))
    assert before
    run_now(furnished.check(NOW, repair=True))
    assert run_now(furnished.engine.read(tenancy, lambda tx: tx.execute(contents))) == before


@pytest.mark.parametrize("size", [10, 200_000])
def test_a_queued_message_that_is_not_what_was_written_is_named(furnished, size):
    blob = run_now(furnished.blobs.put(os.urandom(size).hex().encode()))
    recipient = QueuedRecipient(0, "u@b.test", "b.test", next_try=NOW)
    envelope = QueuedEnvelope("e1", "me@a.test", blob.ref, NOW, NOW + 1000, recipients=(recipient,))
    run_now(furnished.queue.enqueue(NewEnvelope(envelope, blob, None)))
    assert run_now(furnished.check(NOW, contents=True)).faults == ()
    write(furnished, QUEUE, "UPDATE blob SET digest = x'00'")
    [fault] = run_now(furnished.check(NOW, contents=True)).faults
    assert fault.startswith("queue: message e1: its ")
    done = run_now(furnished.check(NOW, repair=True))
    assert (done.faults, done.mended, done.set_aside) == ((), (f"{fault}: it is held",), (fault,))
    assert run_now(furnished.queue.envelope("e1")).held
    [damaged] = run_now(furnished.queue.envelopes(which=QueueFilter(reason="damaged")))
    assert damaged.id == "e1"
    assert run_now(furnished.queue.due(NOW, 10)) == []
    assert run_now(furnished.check(NOW, repair=True)).mended == ()


def test_a_damaged_search_index_is_said_and_made_anew(furnished):
    work = run_now(furnished.index.to_index("0"))
    segment = build([IndexedText(one, [["subject"], ["header"], ["word"]]) for one in (1, 2)])
    assert run_now(furnished.index.add("0", work, segment, []))
    assert run_now(furnished.check(NOW, contents=True)).faults == ()
    write(furnished, mail_tenancy(furnished.mail.partition("0")), "UPDATE search_terms SET data = x'00'")
    assert run_now(furnished.check(NOW, contents=True)).faults == ("0: the search index is damaged",)
    assert run_now(furnished.check(NOW, repair=True)).mended == ("0: the search index is made anew",)
    assert run_now(furnished.check(NOW, contents=True)).faults == ()


def test_a_damaged_file_of_the_database_is_named(tmp_path):
    path = tmp_path / "mail-00.db"
    with contextlib.closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE t (a TEXT PRIMARY KEY)")
        made.executemany("INSERT INTO t VALUES (?)", [(f"{number:0100}",) for number in range(1000)])
        made.commit()
    assert quick_check(path) == []
    content = bytearray(path.read_bytes())
    content[8192:12288] = b"x" * 4096
    path.write_bytes(content)
    faults = quick_check(path)
    assert faults and all(fault.startswith("mail-00.db: ") for fault in faults)
    path.write_bytes(b"x" * 8192)
    assert quick_check(path) == ["mail-00.db: file is not a database"]


def test_faults_that_were_found_are_told_until_they_are_mended(furnished, opened):
    tenancy = mail_tenancy(furnished.mail.partition("0"))
    write(furnished, tenancy, "UPDATE mailbox SET unseen = 7 WHERE account_id = '0' AND mailbox_id = 1")
    assert furnished.unacknowledged() == {}
    assert len(run_now(furnished.check(NOW)).faults) == 1
    [(name, words)] = furnished.unacknowledged().items()
    assert name == "store verify" and words.startswith("1 faults were found, such as: 0: mailbox 1 counts")
    run_now(furnished.stop())
    again = opened(partitions=2)
    assert again.unacknowledged() == {name: words}
    assert run_now(again.check(NOW, repair=True)).faults == ()
    assert again.unacknowledged() == {}


def test_of_files_those_that_are_not_served_are_told_though_somebody_knows(opened, tmp_path):
    run_now(opened(partitions=2).stop())
    (tmp_path / "data" / "mail-01.db").write_bytes(b"x" * 8192)
    stores = opened(partitions=2)
    stores.known_damage.note("mail-01.db", "damaged")
    stores.known_damage.note("mail-00.db", "damaged")
    run_now(stores.known_damage.acknowledge())
    assert list(stores.unacknowledged()) == ["mail-01.db"]
