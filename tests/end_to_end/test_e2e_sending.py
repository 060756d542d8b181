"""Limits and suppressions hold for an account, whichever process it speaks with, and outlive the server."""

import contextlib
import json
import ssl

import pytest
from scripted_peer import Scripted
from servers import PASSWORD, Dns, free_port, wait_for
from worker_servers import Workers

ELSEWHERE = "127.0.0.16"
SETTINGS = "[submission]\nrecipients_per_hour = 4\nnew_recipients_per_day = 3\nsuppress_after = 1\n"
LETTER = "From: alice@a.test\r\nSubject: hi\r\n\r\nx\r\n"


@pytest.fixture
def elsewhere():
    refuse = lambda line: "550 5.1.1 no such user" if "gone" in line else "250 2.1.5 ok"  # noqa: E731
    peer = Scripted(ELSEWHERE, free_port(ELSEWHERE), {"RCPT": refuse})
    yield peer
    peer.stop()


@pytest.fixture
def node(tmp_path, elsewhere):
    dns = Dns(tmp_path / "dns", [f"host-record=r.test,{ELSEWHERE}"])
    extra = f"[queue]\nport = {elsewhere.server_address[1]}\n{SETTINGS}"
    server = Workers(tmp_path / "node", 2, dns=dns, extra=extra)
    server.start()
    server.add_account("alice@a.test")
    yield server
    assert server.stop() == 0
    dns.stop()


@contextlib.contextmanager
def session(node, index):
    with contextlib.closing(node.connect(index, "submission")) as client:
        client.starttls(context=ssl.create_default_context(cafile=node.ca))
        client.login("alice@a.test", PASSWORD)
        client.mail("alice@a.test")
        yield client
        client.rset()


def sending(node):
    return json.loads(node.ctl("account", "sending", "alice@a.test", "--json").stdout)


def test_one_account_in_two_processes(node, elsewhere):
    with session(node, 1) as client:
        client.rset()
        client.sendmail("alice@a.test", ["gone@r.test", "u1@r.test"], LETTER)
    node.wait_event("account.suppressed", recipient="gone@r.test")
    with session(node, 0) as client:
        assert client.rcpt("gone@r.test")[0] == 550
        assert client.rcpt("u2@r.test")[0] == 250  # the third stranger
        code, said = client.rcpt("u3@r.test")
        assert (code, said[:6]) == (450, b"4.7.1 ") and b"never sent to" in said
        assert client.rcpt("u1@r.test")[0] == 250
        assert client.rcpt("alice@a.test")[0] == 450  # the fifth recipient
        assert sending(node)["recipients_within_hour"] == 4
    wait_for(lambda: sending(node)["recipients_within_hour"] == 2, "what was reset given back")
    assert sending(node)["suppressed"] == ["gone@r.test"]
    node.stop()
    node.start()
    with session(node, 1) as client:
        assert client.rcpt("gone@r.test")[0] == 550
        assert [client.rcpt(f"u{n}@r.test")[0] for n in (1, 2, 1, 3)] == [250, 250, 250, 450]
    node.ctl("suppression", "lift", "alice@a.test", "gone@r.test")
    node.ctl("account", "limits", "alice@a.test", "--new-recipients-per-day", "9")
    with session(node, 1) as client:
        assert [client.rcpt(f"{n}@r.test")[0] for n in ("gone", "u3")] == [250, 250]
