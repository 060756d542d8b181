"""Limits and suppressions hold for an account, whichever process it speaks with, and outlive the server."""

import contextlib
import json
import ssl
import urllib.request

import pytest
from scripted_peer import Scripted
from servers import PASSWORD, Dns, Postfix, free_port, wait_for
from worker_servers import Workers

ELSEWHERE, LATE = "127.0.0.16", "127.0.0.17"
SETTINGS = "[submission]\nrecipients_per_hour = 4\nnew_recipients_per_day = 3\nsuppress_after = 1\n"
LETTER = "From: alice@a.test\r\nSubject: hi\r\n\r\nx\r\n"


@pytest.fixture
def elsewhere():
    refuse = lambda line: "550 5.1.1 no such user" if "gone" in line else "250 2.1.5 ok"  # noqa: E731
    peer = Scripted(ELSEWHERE, free_port(ELSEWHERE), {"RCPT": refuse})
    yield peer
    peer.stop()


@pytest.fixture
def node(tmp_path, elsewhere, request):
    dns = Dns(tmp_path / "dns", [f"host-record=r.test,{ELSEWHERE}"])
    extra = f"[queue]\nport = {elsewhere.server_address[1]}\n{getattr(request, 'param', SETTINGS)}"
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


def page(node):
    with urllib.request.urlopen(f"http://{node.address}:{node.ports['http']}/metrics", timeout=60) as answer:
        return answer.read()


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


@pytest.mark.parametrize("node", ["[submission]\nloud_from = 2\nhold_loud = true\n"], indirect=True)
def test_mail_of_the_suddenly_loud_waits_and_postmaster_is_told(node, elsewhere):
    node.ctl("account", "add", "root@a.test", "--role", "admin", "--password-stdin", stdin=PASSWORD + "\n")
    for index, name in ((1, "u1"), (0, "u2"), (1, "u3")):
        with session(node, index) as client:
            client.rset()
            client.sendmail("alice@a.test", [f"{name}@r.test"], LETTER)
    assert node.wait_event("account.loud")["held"] == "yes"
    node.wait_event("message.delivered", recipient="postmaster@a.test")
    wait_for(lambda: len(elsewhere.taken) == 1, "the message before")
    assert [one["held"] for one in node.queue()] == [True, True]
    assert sending(node)["held"] is True
    assert json.loads(node.ctl("account", "release", "alice@a.test", "--json").stdout)["envelopes"] == 2
    wait_for(lambda: len(elsewhere.taken) == 3, "what was held")
    assert sending(node)["held"] is False
    assert b"mailnode_accounts_loud_total 1.0" in page(node)


def test_what_a_server_returns_after_it_took_it_counts(tmp_path):
    """Postfix takes mail for anybody, and says in a notice who is not there."""
    port = free_port(LATE)
    dns = Dns(tmp_path / "dns", [f"host-record=r.test,{LATE}"])
    node = Workers(tmp_path / "node", 2, dns=dns, extra=f"[queue]\nport = {port}\n{SETTINGS}")
    postfix = Postfix("r.test", LATE, port, [("a.test", node.address, node.ports["smtp"])])
    with (postfix.configuration / "main.cf").open("a") as file:
        file.write("virtual_mailbox_maps = inline:{here@r.test=box/}\nsmtpd_reject_unlisted_recipient = no\n")
    try:
        postfix.start()
        node.start()
        node.add_account("alice@a.test")
        with session(node, 0) as client:
            client.rset()
            client.sendmail("alice@a.test", ["gone@r.test", "here@r.test"], LETTER)
        assert node.wait_event("message.returned", recipient="gone@r.test")["status"] == "5.1.1"
        node.wait_event("account.suppressed", recipient="gone@r.test")
        with session(node, 1) as client:
            assert client.rcpt("gone@r.test")[0] == 550
            assert client.rcpt("here@r.test")[0] == 250
    finally:
        assert node.stop() == 0
        postfix.stop()
        dns.stop()


NOTICE = """Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r
\r
--b\r
\r
It failed.\r
--b\r
Content-Type: message/delivery-status\r
\r
Reporting-MTA: dns; r.test\r
\r
Final-Recipient: rfc822; {recipient}\r
Action: failed\r
Status: 5.1.1\r
\r
--b\r
Content-Type: {kind}\r
\r
Received: from x by y id {id}; now\r
Subject: x\r
\r
{body}\r
--b--\r
"""


@pytest.mark.parametrize("node", [SETTINGS.replace("= 4", "= 40")], indirect=True)
def test_a_notice_counts_in_whichever_process_it_comes_and_a_forged_one_nowhere(node, elsewhere):
    with session(node, 0) as client:
        client.rset()
        client.sendmail("alice@a.test", ["u1@r.test", "u2@r.test"], LETTER)
    for recipient in ("u1@r.test", "u2@r.test"):
        sent = node.wait_event("queue.sent", recipient=recipient)
    node.wait_event("queue.removed", envelope=sent["envelope"])

    def come(process, recipient, envelope, kind="text/rfc822-headers", body=""):
        with contextlib.closing(node.connect(process)) as client:
            text = NOTICE.format(recipient=recipient, id=envelope, kind=kind, body=body)
            client.sendmail("", ["alice@a.test"], text)

    for process in (0, 1):
        come(process, "u1@r.test", "0" * 20)
        come(process, "u9@r.test", sent["envelope"])
    come(1, "U1@R.test", sent["envelope"])
    come(0, "u2@r.test", sent["envelope"], "message/rfc822", ("x" * 70 + "\r\n") * 140_000)
    for recipient in ("u1@r.test", "u2@r.test"):
        node.wait_event("account.suppressed", recipient=recipient)
    assert sending(node)["suppressed"] == ["u1@r.test", "u2@r.test"]
    assert len(node.events("message.returned")) == 2
