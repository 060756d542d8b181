"""The store as a start of the server finds it: in the calling thread, on files."""

from pathlib import Path

import pytest

from mailnode.config.loader import read
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
