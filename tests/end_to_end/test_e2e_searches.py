"""Searches that take long stand in nobody's way, and end when their client has gone."""

import itertools

import pytest
from imap_wire import Wire
from servers import MailNode, wait_for
from ways import EveryWay
from worker_servers import Workers

LINE = b"0123456789 abcdefghijklmnopqrstuvwxyz 0123456789 abcdefghijkl\r\n"
SEARCH = "SEARCH TEXT zero " + " ".join(f"NOT BODY word{number}" for number in range(45))
EXTRA = "[limits]\ngreet_pause = 0\n"  # what comes by a balancer is of strangers, who would wait while searches end
SEARCHES = 12  # each way to connect has two


class Node(EveryWay, MailNode):
    """One process."""


class Nodes(EveryWay, Workers):
    """Several."""


@pytest.fixture(scope="module", params=[1, 2])
def searched(request, tmp_path_factory):
    """A server whose alice has a message of 12 MiB."""
    folder = tmp_path_factory.mktemp("node")
    server = Node(folder, extra=EXTRA) if request.param == 1 else Nodes(folder, request.param, extra=EXTRA)
    server.start()
    try:
        for name in ("alice", "bob"):
            server.add_account(f"{name}@a.test")
        with Wire(server, "alice@a.test", "INBOX") as wire:
            assert wire.append("INBOX", b"Subject: large\r\n\r\n" + LINE * (12 * 1024 * 1024 // len(LINE))).startswith(
                b"OK"
            )
        yield server
    finally:
        server.stop()


def test_mail_and_other_sessions_are_not_behind_searches(searched):
    """Shown by the order of events: long after they began, and before the last of them ends."""
    dials = itertools.islice(itertools.cycle(searched.dials()), SEARCHES)
    wires = [Wire(searched, "alice@a.test", "INBOX", dial=dial) for dial in dials]
    other = Wire(searched, "bob@a.test", "INBOX")
    tags = [wire.begin(SEARCH) for wire in wires]
    for dial in searched.dials():
        with dial.smtp() as client:
            client.sendmail("x@side.test", ["bob@a.test"], b"Subject: small\r\n\r\nsmall\r\n")
            client.sendmail("x@side.test", ["alice@a.test"], b"Subject: not so small\r\n\r\n" + b"text\r\n" * 20_000)
    assert other.ask("NOOP")[-2:] == [b"* 6 EXISTS", b"* 6 RECENT"]
    assert other.ask("SEARCH SUBJECT small") == [b"* SEARCH 1 2 3 4 5 6"]
    under_way = [wire for wire in wires if wire.silent()]
    assert len(under_way) > SEARCHES // 2
    for wire, tag in zip(wires, tags, strict=True):
        answer, untagged = wire.finish(tag)
        assert answer == b"OK SEARCH completed"
        assert b"* SEARCH" in untagged
    for wire in (*wires, other):
        wire.close()


def test_searches_whose_clients_have_gone_leave_their_places(searched):
    for _ in range(SEARCHES):
        wire = Wire(searched, "alice@a.test", "INBOX")
        wire.begin(SEARCH)
        wire.close()
    with Wire(searched, "alice@a.test", "INBOX") as wire:
        assert b"* SEARCH 1" in wire.ask("SEARCH TEXT abcdef")

    def open_sessions():
        ended = {event["session"] for event in searched.events("session.close")}
        return {event["session"] for event in searched.events("session.login")} - ended

    wait_for(lambda: not open_sessions(), "every session ends")
