"""``mailnode store verify --contents`` and ``--repair`` on a server that serves meanwhile, whichever process a client meets."""

import contextlib
import imaplib
import json
import os
import re
import signal
import sqlite3
import ssl
import urllib.error
import urllib.request
from pathlib import Path

import apsw
import pytest
from servers import PASSWORD, MailNode, wait_for
from ways import Dial, EveryWay, large


class Node(EveryWay, MailNode):
    """One with a listener for each way to connect."""


@pytest.fixture(params=[1, 2])
def node(request, tmp_path):
    node = Node(tmp_path / "node")
    text = node.config.read_text()
    text = text.replace("[server]\n", f"[server]\nworkers = {request.param}\n", 1)
    # The index reads messages when it likes, and would find what is wrong before anybody asked.
    node.config.write_text(text + "\n[search]\nindex = false\n")
    node.start()
    node.add_account("bob@a.test")
    yield node
    node.stop()


def verify(node, *options):
    """Return what the command says, and how it ends."""
    done = node.ctl("store", "verify", "--json", *options, check=False)
    return json.loads(done.stdout), done.returncode


def health(node):
    """Return the code, the status, and how much is told to be damaged."""
    try:
        with urllib.request.urlopen(f"http://{node.address}:{node.ports['http']}/health", timeout=60) as answer:
            code, told = answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            code, told = error.code, json.load(error)
    return code, told["status"], told.get("found"), told.get("set_aside")


def read(node):
    """Return how FETCH of all in INBOX ends, and the subjects of what is whole."""
    client = Dial(node, "none", False).imap()
    count = int(client.select("INBOX")[1][0])
    kind, told = client.uid("FETCH", "1:*", "(BODY.PEEK[])")
    if kind == "NO":  # with which it tells those that it has
        told = client.response("FETCH")[1]
    found = [re.search(rb"Subject: (\S+)", row[1])[1].decode() for row in told if isinstance(row, tuple)]
    client.logout()
    return count, kind, found


def test_a_message_whose_file_is_cut_is_named_set_aside_and_taken_back(node):
    client = Dial(node, "none", False).imap()
    for name, size in (("one", 100), ("two", 5_000_000), ("three", 100)):
        assert client.append("INBOX", None, None, large(name, size))[0] == "OK"
    assert verify(node, "--contents")[0]["messages"] == 3
    [path] = [path for path in node.data.joinpath("blobs", "files").rglob("*") if path.is_file()]
    octets = path.read_bytes()
    path.write_bytes(octets[: len(octets) // 2])
    assert verify(node)[1] == 0  # which looks whether it is there
    assert read(node) == (3, "NO", ["one", "three"])
    wait_for(lambda: health(node) == (503, "damaged", 1, 0), "what was found by reading")
    assert node.wait_event("store.damaged")["error"].startswith(str(path))
    assert str(path) in node.ctl("status").stdout
    told, code = verify(node, "--contents")
    assert code == 1 and len(told["faults"]) == 1 and str(path) in told["faults"][0]
    assert health(node) == (503, "damaged", 2, 0)  # with what the comparison found
    told, code = verify(node, "--repair")
    assert health(node) == (503, "damaged", 0, 1)
    assert "! bob@a.test: 1 messages are set aside, in mail-0" in node.ctl("status").stdout
    assert (code, told["faults"], len(told["mended"]), len(told["set_aside"])) == (0, [], 1, 1)
    assert str(path) in told["set_aside"][0] and "UID 2 of mailbox 1" in told["set_aside"][0]
    assert "set aside: " in node.ctl("store", "verify", "--contents").stdout
    assert read(node) == (3, "NO", ["one", "three"])
    assert node.ctl("store", "acknowledge").stdout == "acknowledged  1\n"
    assert read(node) == (3, "NO", ["one", "three"])
    assert health(node) == (200, "ok", None, None)
    node.stop()
    node.start()
    assert health(node) == (200, "ok", None, None)
    path.write_bytes(octets)
    told, code = verify(node, "--repair")
    assert (code, told["faults"], told["set_aside"]) == (0, [], [])
    assert told["mended"][0].endswith("message 2 can be read again")
    assert read(node) == (3, "OK", ["one", "two", "three"])


def test_what_searches_found_by_wrong_facts_is_forgotten_by_a_repair(node):
    client = Dial(node, "none", False).imap()
    for number in range(1, 101):  # as many as there must be for answers to be remembered
        assert client.append("INBOX", None, None, b"Subject: number %d.\r\n\r\nx\r\n" % number)[0] == "OK"
    client.logout()
    node.stop()
    assert [path for path in node.data.glob("mail-*.db") if facts_swapped(path)]
    node.start()
    clients = [Dial(node, "none", False).imap() for _ in range(6)]  # whichever process takes them
    for one in clients:
        one.select("INBOX")
        assert one.uid("SEARCH", "SUBJECT", '"number 1."')[1] == [b"2"]
    told, code = verify(node, "--repair")
    assert (code, len(told["mended"])) == (0, 2), told
    for one in clients:
        assert one.uid("SEARCH", "SUBJECT", '"number 1."')[1] == [b"1"]
        one.logout()


def facts_swapped(path):
    """Have two messages of a partition say of themselves what the other one does; whether it has any."""
    columns = "envelope, bodystructure, sort, fields, body, parts"
    with contextlib.closing(sqlite3.connect(path, timeout=60)) as connection, connection:
        rows = connection.execute(
            f"SELECT {columns} FROM message WHERE message_id IN (1, 2) ORDER BY message_id"
        ).fetchall()
        for message_id, row in zip((2, 1), rows, strict=False):
            marks = ", ".join(f"{column} = ?" for column in columns.split(", "))
            connection.execute(f"UPDATE message SET {marks} WHERE message_id = {message_id}", row)
    return bool(rows)


def damaged_page(path):
    """Overwrite a page with rows of messages, if the partition has any; return whether it was done."""
    connection = apsw.Connection(str(path))
    pages = list(
        connection.execute("SELECT pageno FROM dbstat WHERE name = 'message' AND pagetype = 'leaf' ORDER BY path")
    )
    connection.close()
    if len(pages) < 3:
        return False
    with path.open("r+b") as file:
        file.seek((pages[1][0] - 1) * 4096)
        file.write(b"\xa5" * 4096)
    return True


def with_damaged_page(node):
    """Start the server again with a damaged page in the file of bob's partition, which is returned."""
    client = Dial(node, "none", False).imap()
    for number in range(60):
        assert client.append("INBOX", None, None, b"Subject: s%d\r\n\r\nx\r\n" % number)[0] == "OK"
    client.logout()
    node.stop()
    [path] = [path for path in sorted(node.data.glob("mail-*.db")) if damaged_page(path)]
    node.start()
    return path


def test_a_file_with_a_damaged_page_is_made_anew_while_others_are_served(node):
    for number in range(20):
        node.add_account(f"n{number}@a.test")
    path = with_damaged_page(node)
    count, kind, before = read(node)
    assert (count, kind) == (60, "NO") and 30 < len(before) < 60
    wait_for(lambda: health(node)[:2] == (503, "damaged"), "what was found by reading")
    beside = [(name, imap_of(node, name)) for name in (f"n{number}@a.test" for number in range(20))]
    told, code = verify(node, "--repair")
    assert (code, told["faults"], len(told["set_aside"])) == (0, [], 60 - len(before))
    assert f"{path.name}: made anew with" in told["mended"][0]
    [event] = node.events("store.rebuilt")
    assert event["lost"] and event["aside"] == f"{path}.damaged-1"
    for _ in range(4):  # whichever process takes it
        assert read(node) == (60, "NO", before)
    for name, one in beside:
        assert one.noop()[0] == "OK", name
        assert one.append("INBOX", None, None, b"Subject: after\r\n\r\nx\r\n")[0] == "OK", name
        one.logout()
    client = Dial(node, "none", False).imap()
    assert client.append("INBOX", None, None, b"Subject: after\r\n\r\nx\r\n")[0] == "OK"
    client.logout()
    node.stop()
    node.start()
    assert read(node) == (61, "NO", [*before, "after"])
    assert verify(node, "--contents")[1] == 0
    assert health(node) == (503, "damaged", 0, 60 - len(before))


@pytest.mark.parametrize("node", [2], indirect=True)
def test_no_file_is_made_anew_while_a_worker_starts_that_may_open_it(node):
    path = with_damaged_page(node)
    killed = node.events("worker.start")[-1]["pid"]
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: killed in [event["pid"] for event in node.events("worker.ended")], "its end")
    [starting] = wait_for(lambda: workers_of(node.process.popen.pid), "the next one")
    os.kill(starting, signal.SIGSTOP)
    try:
        told, code = verify(node, "--repair")
        assert starting not in [event["pid"] for event in node.events("worker.start")]
        assert code == 1 and not any("made anew" in line for line in told["mended"])
        assert any("another process may have it open" in fault for fault in told["faults"])
    finally:
        os.kill(starting, signal.SIGCONT)
    wait_for(lambda: starting in [event["pid"] for event in node.events("worker.start")], "its start")
    assert any(f"{path.name}: made anew with" in line for line in verify(node, "--repair")[0]["mended"])


def submit(node, to, text):
    client = Dial(node, "none", False).submission("bob@a.test")
    lines = "\r\n".join(text[start : start + 900] for start in range(0, len(text), 900))
    client.sendmail("bob@a.test", [to], f"From: bob@a.test\r\n\r\n{lines}\r\n")
    client.quit()


def test_a_queue_with_a_damaged_page_is_made_anew_and_the_message_on_it_held(node):
    node.ctl("queue", "pause")
    for number in range(8):
        submit(node, f"u{number}@r.test", os.urandom(15_000).hex())
    before = [one["id"] for one in node.queue()]
    assert len(before) == 8
    node.stop()
    path = node.data / "queue.db"
    with contextlib.closing(apsw.Connection(str(path))) as connection:
        query = "SELECT pageno FROM dbstat WHERE name = 'blob' AND pagetype = 'overflow' ORDER BY path"
        [page, *_] = next(iter(connection.execute(query)))
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xa5" * 4096)
    node.start()
    told, code = verify(node, "--repair")
    assert (code, told["faults"], len(told["set_aside"])) == (0, [], 1), told
    assert "queue.db: made anew with" in told["mended"][0]
    [event] = node.events("queue.unreadable")
    assert event["held"] == "yes" and event["envelope"] in before
    [damaged] = json.loads(node.ctl("queue", "list", "--reason", "damaged", "--json").stdout)
    assert damaged["id"] == event["envelope"]
    assert health(node)[:2] == (200, "ok")
    submit(node, "after@r.test", "x")
    assert len(node.queue()) == 9
    node.ctl("queue", "drop", "--yes", damaged["id"])
    assert len(node.queue()) == 8
    assert verify(node, "--contents")[1] == 0


def workers_of(pid):
    """Its children that are workers, or are to be."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if b"processes.worker" in Path(f"/proc/{child}/cmdline").read_bytes()]


def imap_of(node, name):
    client = imaplib.IMAP4_SSL(
        node.address, node.ports["imaps"], ssl_context=ssl.create_default_context(cafile=node.ca), timeout=60
    )
    client.login(name, PASSWORD)
    client.select()
    return client
