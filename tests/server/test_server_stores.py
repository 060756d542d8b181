"""The store as a start of the server finds it: in the calling thread, on files."""

import os
import shutil
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
from mailnode.values.address import parse_address
from mailnode.values.mailbox import NewMessage
from mailnode.values.queue import NewEnvelope, QueuedEnvelope, QueuedRecipient

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
