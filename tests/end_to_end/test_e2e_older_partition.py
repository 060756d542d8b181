"""A partition of yesterday put back: nothing is answered from it, by any process, until somebody decides."""

import imaplib
import json
import poplib
import smtplib
import ssl
import urllib.error
import urllib.request
import zlib

import pytest
from servers import PASSWORD, MailNode, wait_for


@pytest.fixture(params=[1, 2])
def node(request, tmp_path):
    node = MailNode(tmp_path / "node")
    text = node.config.read_text()
    node.config.write_text(text.replace("[server]\n", f"[server]\nworkers = {request.param}\npartitions = 2\n", 1))
    node.start()
    yield node
    node.stop()


def of_partition(node, number):
    """Add accounts until one lives in the partition; return its address."""
    for name in map(str, range(50)):
        address = f"p{number}n{name}@a.test"
        node.add_account(address)
        shown = json.loads(node.ctl("account", "show", address, "--json").stdout)
        if zlib.crc32(shown["id"].encode()) % 2 == number:
            return address
    raise AssertionError("none of fifty")


def send(node, address):
    """Return the code RCPT is answered with; send a message when it is 250."""
    with smtplib.SMTP(node.address, node.ports["smtp"], timeout=60) as client:
        client.ehlo()
        client.mail("x@side.test")
        code = client.rcpt(address)[0]
        if code == 250:
            assert client.data(b"Subject: x\r\n\r\ny\r\n")[0] == 250
        return code


def imap(node):
    return imaplib.IMAP4_SSL(
        node.address, node.ports["imaps"], ssl_context=ssl.create_default_context(cafile=node.ca), timeout=60
    )


def inbox(node, address):
    """Return UIDVALIDITY and UIDs."""
    client = imap(node)
    client.login(address, PASSWORD)
    client.select()
    uids = client.uid("SEARCH", "ALL")[1][0].split()
    uidvalidity = client.untagged_responses["UIDVALIDITY"][0]
    client.logout()
    return int(uidvalidity), uids


def health(node):
    try:
        with urllib.request.urlopen(f"http://{node.address}:{node.ports['http']}/health", timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


@pytest.mark.parametrize("stopped", [False, True])
def test_an_older_partition_is_not_served_and_then_accepted(node, stopped):
    here, there = of_partition(node, 0), of_partition(node, 1)
    assert send(node, there) == 250
    node.stop()
    data = node.folder / "data"
    before = (data / "mail-01.db").read_bytes()
    node.start()
    assert send(node, there) == 250
    wait_for(lambda: len(inbox(node, there)[1]) == 2, "both messages")
    was = inbox(node, there)
    assert len(was[1]) == 2
    node.stop()
    (data / "mail-01.db").write_bytes(before)
    node.start()

    assert 400 <= send(node, there) < 500
    assert send(node, here) == 250
    assert len(inbox(node, here)[1]) == 1
    for _ in range(4):  # whichever process takes it
        client = imap(node)
        with pytest.raises(imaplib.IMAP4.error, match="UNAVAILABLE"):
            client.login(there, PASSWORD)
        client.shutdown()
    pop = poplib.POP3_SSL(
        node.address, node.ports["pop3s"], timeout=60, context=ssl.create_default_context(cafile=node.ca)
    )
    pop.user(there)
    with pytest.raises(poplib.error_proto, match="SYS/TEMP"):
        pop.pass_(PASSWORD)
    pop.close()
    code, told = health(node)
    assert (code, told["status"], told["files"]) == (503, "damaged", ["mail-01.db"])
    assert str(data / "mail-01.db") in node.ctl("status").stdout
    assert node.events("store.behind")[-1]["file"] == str(data / "mail-01.db")
    refused = node.ctl("store", "reopen", "mail-01", check=False)
    assert refused.returncode and "is older than what was acknowledged" in refused.stderr
    assert node.ctl("store", "accept-older", "mail-01", check=False).returncode == 2
    refused = node.ctl("store", "accept-older", "queue", "--yes", check=False)
    assert refused.returncode and "stop it first" in refused.stderr

    if stopped:
        node.stop()
    beside = imap(node) if not stopped else None
    if beside is not None:
        beside.login(here, PASSWORD)
        beside.select()
    node.ctl("store", "accept-older", "mail-01", "--yes")
    if stopped:
        node.start()
    for _ in range(4):  # whichever process takes it
        now = inbox(node, there)
        assert (now[0] > was[0], len(now[1])) == (True, 1)
    assert send(node, there) == 250
    wait_for(lambda: len(inbox(node, there)[1]) == 2, "the message that came now")
    assert health(node)[0] == 200
    if beside is not None:
        assert beside.noop()[0] == "OK" and len(beside.uid("SEARCH", "ALL")[1][0].split()) == 1
        beside.logout()
        node.stop()
        node.start()
        assert health(node)[0] == 200 and len(inbox(node, there)[1]) == 2


def test_the_latest_file_put_back_is_served_while_the_server_runs(node):
    there = of_partition(node, 1)
    assert send(node, there) == 250
    node.stop()
    data = node.folder / "data"
    latest = (data / "mail-01.db").read_bytes()
    (data / "mail-01.db").write_bytes(b"x" * 9000)
    node.start()
    assert 400 <= send(node, there) < 500
    assert node.ctl("store", "reopen", "mail-01", check=False).returncode
    for ending in ("-wal", "-shm"):
        (data / f"mail-01.db{ending}").unlink(missing_ok=True)
    (data / "mail-01.db").write_bytes(latest)
    node.ctl("store", "reopen", "mail-01")
    for _ in range(4):  # whichever process takes it
        assert len(inbox(node, there)[1]) == 1
    assert send(node, there) == 250
    wait_for(lambda: len(inbox(node, there)[1]) == 2, "the message that came now")
    assert health(node)[0] == 200
    assert node.events("store.in_service")[-1]["file"] == str(data / "mail-01.db")
