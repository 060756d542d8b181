"""Messages that came side by side to an account with little room: it exceeds its quota by less than one of them."""

import pytest
from servers import PASSWORD, wait_for
from ways import WAYS, Dial, EveryWay, large
from worker_servers import Workers

QUOTA = 2_000  # octets
PROTOCOLS = ["smtp", "submission", "lmtp"]
CASES = [
    *((protocol, 4096, ("none", False)) for protocol in PROTOCOLS),
    *((PROTOCOLS[number % 3], 10_000_000, way) for number, way in enumerate(WAYS.values())),
]


class Node(EveryWay, Workers):
    """One that is reached in every way."""


@pytest.fixture(scope="module", params=[1, 2])
def node(request, tmp_path_factory):
    server = Node(tmp_path_factory.mktemp("quota"), request.param)
    server.start()
    try:
        yield server
    finally:
        assert server.stop() == 0
        assert not [line for line in server.process.lines if "Traceback" in line]


def add_narrow(node, address):
    quota = ("--quota-bytes", str(QUOTA))
    node.ctl("account", "add", address, "--password-stdin", *quota, stdin=PASSWORD + "\n")


def subjects(node, address):
    with Dial(node, "implicit", False).imap(address) as client:
        client.select("INBOX", readonly=True)
        _, found = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        return [part[1].split()[1].decode() for part in found if isinstance(part, tuple)]


def sessions(dial, protocol, count):
    """Return sessions that mail comes by."""
    for _ in range(count):
        session = dial.submission("writer@a.test") if protocol == "submission" else getattr(dial, protocol)()
        session.ehlo("x.test")
        yield session


@pytest.fixture(scope="module", autouse=True)
def writer(node):
    node.add_account("writer@a.test")


@pytest.mark.parametrize(("protocol", "size", "way"), CASES)
def test_one_of_two_without_size_finds_the_account_full(node, protocol, size, way):
    dial = Dial(node, *way)
    address = f"{protocol}-{dial.name}-{size}@a.test"
    add_narrow(node, address)
    sender = "writer@a.test"
    both = list(sessions(dial, protocol, 2))
    for session in both:
        assert session.mail(sender)[0] == 250
        assert session.rcpt(address)[0] == 250
    first, second = both
    assert first.data(large("first", size, sender=sender))[0] == 250
    code, words = second.data(large("second", size, sender=sender))
    assert (code, words.split()[0]) == (452, b"4.2.2")
    for session in both:
        session.quit()
    assert subjects(node, address) == ["first"]
    assert not node.queue()


def test_the_copy_for_a_full_account_of_several_waits_for_room(node):
    node.add_account("wide@a.test")
    add_narrow(node, "narrow@a.test")
    (first,) = sessions(Dial(node, "none", False), "smtp", 1)
    (second,) = sessions(Dial(node, "none", False), "smtp", 1)
    for session, recipients in ((first, ["narrow@a.test"]), (second, ["narrow@a.test", "wide@a.test"])):
        session.mail("x@side.test")
        for recipient in recipients:
            assert session.rcpt(recipient)[0] == 250
    assert first.data(large("first", QUOTA))[0] == 250
    assert second.data(large("second", QUOTA))[0] == 250
    first.quit()
    second.quit()
    wait_for(lambda: subjects(node, "wide@a.test") == ["second"], "the other copy")
    node.wait_event("queue.deferred", status="4.2.2")
    assert subjects(node, "narrow@a.test") == ["first"]
    node.ctl("account", "quota", "narrow@a.test", "--bytes", str(10 * QUOTA))
    node.ctl("queue", "retry", node.queue()[0]["id"])
    wait_for(lambda: subjects(node, "narrow@a.test") == ["first", "second"], "the copy that waited")
