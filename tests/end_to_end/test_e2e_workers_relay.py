"""Mail for other servers that a further worker takes: the first one's queue delivers it."""

import contextlib
import ssl

import pytest
from scripted_peer import Scripted
from servers import PASSWORD, free_port, wait_for
from worker_servers import relaying

ELSEWHERE = "127.0.0.14"
RECIPIENTS = 700  # more than one unit of the queue stores


@pytest.fixture
def elsewhere():
    peer = Scripted(ELSEWHERE, free_port(ELSEWHERE), {})
    yield peer
    peer.stop()


@pytest.fixture
def node(tmp_path, elsewhere):
    with relaying(tmp_path, elsewhere) as server:
        yield server


def test_one_message_for_many_recipients_elsewhere_reaches_them_all(node, elsewhere):
    everyone = [f"u{number}@r.test" for number in range(RECIPIENTS)]
    for index in (1, 0):
        elsewhere.taken.clear()
        with contextlib.closing(node.connect(index, "submission")) as client:
            client.starttls(context=ssl.create_default_context(cafile=node.ca))
            client.login("alice@a.test", PASSWORD)
            assert not client.sendmail(
                "alice@a.test", everyone, "From: alice@a.test\r\nSubject: to all\r\n\r\nbody\r\n"
            )

        wait_for(lambda: sum(len(to) for to, _ in elsewhere.taken) >= RECIPIENTS, "all recipients")
        assert sorted(name for to, _ in elsewhere.taken for name in to) == sorted(everyone)
        assert all(b"Subject: to all" in content for _, content in elsewhere.taken)
        wait_for(lambda: not node.queue(), "an empty queue")
