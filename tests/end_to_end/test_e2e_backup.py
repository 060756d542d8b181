"""A backup of a running server, made while mail goes in and out, and what comes of putting it back."""

import imaplib
import json
import random
import smtplib
import ssl
import threading

import pytest
from servers import PASSWORD, MailNode, wait_for

ALICE = "alice@a.test"


@pytest.fixture
def node(tmp_path):
    node = MailNode(tmp_path / "node")
    node.config.write_text(node.config.read_text() + "[store]\ninline_limit = 1000\n")
    node.start()
    node.add_account(ALICE)
    yield node
    node.stop()


@pytest.fixture
def other(tmp_path):
    """A machine without a store."""
    node = MailNode(tmp_path / "other")
    node.data.mkdir(mode=0o700)
    yield node
    node.stop()


class Traffic:
    """Sends numbered messages, every third of them large, and expunges every fourth, until it is to end."""

    def __init__(self, node):
        self._node = node
        self._ending = threading.Event()
        self.sent = 0
        self.expunged = []
        self._threads = [threading.Thread(target=self._send), threading.Thread(target=self._expunge)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error):
        self._ending.set()
        for thread in self._threads:
            thread.join(60)

    def _send(self):
        with smtplib.SMTP(self._node.address, self._node.ports["smtp"], timeout=60) as client:
            while not self._ending.is_set():
                body = random.Random(self.sent).randbytes(3000).hex() if self.sent % 3 == 0 else "x"
                lines = "\r\n".join(body[at : at + 70] for at in range(0, len(body), 70))
                client.sendmail("bob@side.test", [ALICE], f"Subject: number {self.sent}\r\n\r\n{lines}\r\n")
                self.sent += 1

    def _expunge(self):
        client = imap(self._node)
        client.select()
        last = 0
        while not self._ending.is_set():
            client.noop()
            uids = [int(uid) for uid in client.uid("SEARCH", "UID", f"{last + 1}:*")[1][0].split()]
            for uid in uids:
                if uid > last and uid % 4 == 0:
                    client.uid("STORE", str(uid), "+FLAGS", r"(\Deleted)")
                    client.uid("EXPUNGE", str(uid))
                last = max(last, uid)
        client.logout()


def imap(node):
    client = imaplib.IMAP4_SSL(
        node.address, node.ports["imaps"], ssl_context=ssl.create_default_context(cafile=node.ca), timeout=60
    )
    client.login(ALICE, PASSWORD)
    return client


def inbox(node):
    """Return UIDVALIDITY, and the subjects by UID; each message is read whole."""
    client = imap(node)
    client.select()
    uidvalidity = int(client.untagged_responses["UIDVALIDITY"][0])
    found = {}
    for part in client.uid("FETCH", "1:*", "(UID BODY.PEEK[])")[1]:
        if isinstance(part, tuple):
            uid = int(part[0].split(b"UID ")[1].split()[0])
            found[uid] = part[1].split(b"Subject: ")[1].split(b"\r\n")[0].decode()
    client.logout()
    return uidvalidity, found


def backed_up(node, kept):
    return json.loads(node.ctl("backup", str(kept), "--json").stdout)


def test_a_backup_made_while_mail_comes_and_goes_is_whole(node, other, tmp_path):
    kept = tmp_path / "kept"
    with Traffic(node) as traffic:
        wait_for(lambda: traffic.sent >= 30, "thirty messages")
        first = backed_up(node, kept)
        acknowledged = traffic.sent
        second = backed_up(node, kept)
        beyond = traffic.sent
    assert first["missing"] == second["missing"] == first["faults"] == second["faults"] == []
    assert second["new_files"] < second["files"], "what the first has is not copied again"
    assert beyond >= acknowledged
    assert not node.events("store.failed")
    uidvalidity, _ = inbox(node)

    assert json.loads(other.ctl("restore", str(kept), "--json").stdout)["backup"] == second["backup"]
    other.start()
    again, found = inbox(other)
    assert again > uidvalidity
    # Each message that was acknowledged before has its UID, its own octets, or was expunged.
    assert {uid: f"number {uid - 1}" for uid in found} == found
    assert {uid for uid in range(1, acknowledged + 1) if uid % 4} <= set(found)
    assert "all right" in other.ctl("store", "verify").stdout


def test_a_backup_put_back_takes_mail_and_no_store_is_overwritten(node, other, tmp_path):
    kept = tmp_path / "kept"
    with smtplib.SMTP(node.address, node.ports["smtp"], timeout=60) as client:
        client.sendmail("bob@side.test", [ALICE], "Subject: before\r\n\r\nx\r\n")
    backed_up(node, kept)
    refused = node.ctl("restore", str(kept), check=False)
    assert refused.returncode == 5 and "stop it first" in refused.stderr
    other.ctl("restore", str(kept))
    other.start()
    with smtplib.SMTP(other.address, other.ports["smtp"], timeout=60) as client:
        client.sendmail("bob@side.test", [ALICE], "Subject: after\r\n\r\nx\r\n")
    assert list(inbox(other)[1].values()) == ["before", "after"]


def test_deleted_mail_comes_back_while_a_program_looks_at_its_mailbox(node, tmp_path):
    kept = tmp_path / "kept"
    with smtplib.SMTP(node.address, node.ports["smtp"], timeout=60) as client:
        for subject in ("invoice", "report"):
            client.sendmail("bob@side.test", [ALICE], f"Subject: {subject}\r\n\r\n{'x' * 60}\r\n")
    backed_up(node, kept)
    client = imap(node)
    client.select()
    client.store("1:2", "+FLAGS", r"(\Deleted \Flagged)")
    client.expunge()
    undeleted = json.loads(node.ctl("undelete", ALICE, "--search", "invoice", "--json").stdout)
    assert undeleted["undeleted"] == 1
    client.noop()
    assert client.fetch("1", "(UID FLAGS)")[1] == [rb"1 (UID 3 FLAGS (\Flagged \Recent))"]
    restored = json.loads(node.ctl("restore-mail", str(kept), ALICE, "--json").stdout)
    assert (restored["found"], restored["present"], restored["restored"]) == (2, 1, 1)
    client.noop()
    assert client.fetch("2", "(UID FLAGS)")[1] == [rb"2 (UID 4 FLAGS (\Recent))"]
    client.logout()
    assert list(inbox(node)[1].values()) == ["invoice", "report"]
    assert "all right" in node.ctl("store", "verify").stdout
