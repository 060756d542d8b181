"""An operator steers what waits while the server runs: each verb against a server that puts everything off."""

import json
import threading
from email import message_from_bytes, policy

import pytest
from scripted_peer import Scripted
from servers import PATIENCE, MailNode, free_port, wait_for
from test_e2e_relay import messages, submit

NODE, SLOW, OTHER = "127.0.0.16", "127.0.0.17", "127.0.0.18"


class Slow(Scripted):
    """Puts recipients off; those called wait, during a try that lasts until ``go_on``; those called now it takes then."""

    def __init__(self, port):
        self.go_on = threading.Event()
        super().__init__(SLOW, port, {"RCPT": self.rcpt})

    def rcpt(self, line):
        if "<wait" in line:
            self.go_on.wait(PATIENCE)
        again = self.tries(line.partition(">")[0]) > 1
        return "250 2.1.5 ok" if "<now" in line and again else "451 4.7.1 come back later"

    def tries(self, text):
        return sum(line.startswith("RCPT") and text in line for line in list(self.heard))


@pytest.fixture(scope="module")
def slow():
    peer = Slow(free_port(SLOW))
    yield peer
    peer.go_on.set()
    peer.stop()


@pytest.fixture(scope="module")
def other():
    peer = Scripted(OTHER, free_port(OTHER), {})
    yield peer
    peer.stop()


@pytest.fixture(scope="module")
def node(tmp_path_factory, slow):
    extra = (
        "[store]\ninline_limit = 0\n[queue]\nretry = [3600.0]\n"  # each message in a file
        f'[queue.smarthost]\nhost = "{SLOW}"\nport = {slow.server_address[1]}\ntls = "none"\n'
    )
    made = MailNode(tmp_path_factory.mktemp("node"), ("a.test",), address=NODE, extra=extra).start()
    try:
        made.add_account("alice@a.test")
        yield made
    finally:
        made.stop()


def deferred(node, to):
    """Submit a message that is put off; return its id."""
    submit(node, "alice@a.test", [to], to)
    return node.wait_event("queue.deferred", recipient=to)["envelope"]


def gone(node, envelope):
    return wait_for(lambda: envelope not in [one["id"] for one in node.queue()], "its end")


def notice_about(node, to):
    """Wait for the DSN; return its part for machines."""

    def found():
        notices = [message_from_bytes(one, policy=policy.default) for one in messages(node, "alice@a.test", "eliver")]
        status = [
            part for one in notices for part in one.walk() if part.get_content_type() == "message/delivery-status"
        ]
        return next((part.as_string() for part in status if to in part.as_string()), "")

    return wait_for(found, f"a DSN about {to}")


def test_retry(node, slow):
    envelope = deferred(node, "now@r.test")
    assert node.ctl("queue", "retry", "--domain", "r.test", "--state", "deferred").stdout == "recipients: 1\n"
    assert node.wait_event("queue.sent", recipient="now@r.test")["envelope"] == envelope
    gone(node, envelope)
    [found] = json.loads(node.ctl("queue", "list", "--state", "sent", "--domain", "r.test", "--json").stdout)
    assert found["id"] == envelope
    history = json.loads(node.ctl("queue", "show", envelope, "--json").stdout)["history"]
    assert [one["reply"][:3] for one in history] == ["451", "250"]


def test_expire(node, slow):
    envelope = deferred(node, "expire@r.test")
    assert node.ctl("queue", "expire", envelope, "--recipient", "expire@r.test").stdout == "recipients: 1\n"
    assert "4.7.1" in notice_about(node, "expire@r.test")
    assert slow.tries("<expire@") == 2
    gone(node, envelope)


def test_drop_with_a_bounce(node, slow):
    envelope = deferred(node, "bounce@r.test")
    assert node.ctl("queue", "drop", envelope, "--bounce", "--yes").stdout == "recipients: 1\n"
    notice = notice_about(node, "bounce@r.test")
    assert "Status: 5.0.0" in notice and "given up by the administrator" in notice
    assert slow.tries("<bounce@") == 1
    gone(node, envelope)


def test_drop(node, slow):
    envelope = deferred(node, "drop@r.test")
    assert node.ctl("queue", "drop", "--sender", "alice@a.test", "--reply", "come back", "--yes").stdout.startswith(
        "rec"
    )
    gone(node, envelope)
    assert slow.tries("<drop@") == 1
    assert not [event for event in node.events("queue.bounced") if event["envelope"] == envelope]


def test_reroute(node, other):
    envelope = deferred(node, "reroute@r.test")
    there = f"{OTHER}:{other.server_address[1]}"
    node.ctl("queue", "reroute", envelope, "--to", there)
    sent = node.wait_event("queue.sent", recipient="reroute@r.test")
    assert sent["ip"] == OTHER and other.taken[-1][0] == ("reroute@r.test",)
    gone(node, envelope)


def test_another_way_holds_over_a_restart(node, other):
    envelope = deferred(node, "again@r.test")
    node.ctl("queue", "hold", envelope)
    there = f"{OTHER}:{other.server_address[1]}"
    assert "held until" in node.ctl("queue", "reroute", envelope, "--to", there).stdout
    node.stop()
    node.start()
    shown = json.loads(node.ctl("queue", "show", envelope, "--json").stdout)
    assert shown["recipients"][0]["destination"] == f"[{OTHER}]:{other.server_address[1]}"
    node.ctl("queue", "release", envelope)
    assert node.wait_event("queue.sent", recipient="again@r.test")["ip"] == OTHER


def test_what_is_being_tried_ends_its_try_first(node, slow):
    submit(node, "alice@a.test", ["wait@r.test"], "wait")
    wait_for(lambda: slow.tries("<wait@"), "a try")
    told = node.ctl("queue", "drop", "--domain", "r.test", "--state", "leased", "--bounce", "--yes").stdout
    assert told == "recipients: 1\nin a try that ends first: 1\n"
    slow.go_on.set()
    node.wait_event("queue.deferred", recipient="wait@r.test")
    node.ctl("queue", "retry", "--all")  # has the runner look now, instead of within its half minute
    assert "come back later" in notice_about(node, "wait@r.test")
    assert slow.tries("<wait@") == 1


def files(node):
    return {path for path in node.data.joinpath("blobs", "files").rglob("*") if path.is_file()}


def test_a_message_whose_file_is_damaged_is_held_until_it_is_put_back(node, slow):
    known = files(node)
    envelope = deferred(node, "now-cut@r.test")
    [path] = files(node) - known
    octets = path.read_bytes()
    path.write_bytes(octets[:100])
    node.ctl("queue", "retry", envelope)
    told = node.wait_event("queue.unreadable", envelope=envelope)
    assert told["held"] == "yes" and str(path) in told["error"]
    [found] = wait_for(
        lambda: json.loads(node.ctl("queue", "list", "--reason", "damaged", "--json").stdout), "its list"
    )
    assert (found["id"], found["held"], found["recipients"][0]["reason"]) == (envelope, True, "damaged")
    assert str(path) in node.ctl("status").stdout
    path.write_bytes(octets)
    node.ctl("queue", "release", envelope)
    assert node.wait_event("queue.sent", recipient="now-cut@r.test")["envelope"] == envelope
    assert str(path) not in node.ctl("status").stdout
