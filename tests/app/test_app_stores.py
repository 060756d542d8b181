"""The store as a start of the server finds it: in the calling thread, on files."""

from pathlib import Path

import pytest

from mailnode.config.loader import read
from mailnode.errors import StoreUnavailable
from mailnode.net.hints import LocalHints
from mailnode.net.no_reactor import CallingThread, StandingClock, run_now
from mailnode.stores import OwnStores
from mailnode.values.queue import QueuedEnvelope, QueuedRecipient, Submission

NOW = 1_800_000_000.0


@pytest.fixture
def opened(tmp_path):
    """Return a function that starts the stores on the test's data directory; the test's end stops them."""
    running = []

    def start(**server):
        settings = {"server": {"hostname": "mx.a.test", "data": str(tmp_path / "data"), **server}}
        settings["listener"] = [{"protocol": "smtp", "endpoint": "tcp:25"}]
        config = read(settings, Path("/"))
        stores = OwnStores(config, StandingClock(), CallingThread(), LocalHints(), None)
        run_now(stores.start())
        running.append(stores)
        return stores

    yield start
    for stores in running:
        run_now(stores.stop())


def test_a_lease_of_a_killed_server_is_released_by_the_next_start(opened):
    stores = opened()
    blob = run_now(stores.blobs.put(b"Hello\r\n"))
    recipient = QueuedRecipient(0, "u@b.test", "b.test", next_try=NOW)
    envelope = QueuedEnvelope("e1", "me@a.test", blob.ref, NOW, NOW + 1000, recipients=(recipient,))
    run_now(stores.queue.enqueue(Submission(envelope, blob, None)))
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
