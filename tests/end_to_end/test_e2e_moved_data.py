"""The data directory moved away, replaced or emptied beneath a running server: nothing is acknowledged that no start finds."""

import contextlib
import json
import poplib
import shutil
import smtplib
import ssl
import urllib.error
import urllib.request

import pytest
from imap_wire import Wire
from servers import PASSWORD, MailNode
from ways import Dial, EveryWay, large

LARGE = 300_000
APPEND = "APPEND INBOX {24+}\r\nSubject: appended\r\n\r\nx\r\n"


class Node(EveryWay, MailNode):
    """One that is reached in every way."""


def serve(folder, workers):
    node = Node(folder / "node")
    text = node.config.read_text()
    node.config.write_text(text.replace("[server]\n", f"[server]\nworkers = {workers}\npartitions = 1\n", 1))
    node.start()
    node.add_account("alice@a.test")
    return node


def health(node):
    try:
        with urllib.request.urlopen(f"http://{node.address}:{node.ports['http']}/health", timeout=10) as answer:
            return answer.status, json.load(answer)["status"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)["status"]


def send(dial, size):
    """Send a message; return the code it is answered with."""
    with dial.smtp() as client:
        try:
            client.sendmail("x@side.test", ["alice@a.test"], large("x", size))
        except smtplib.SMTPResponseException as error:
            return error.smtp_code
        except smtplib.SMTPRecipientsRefused as error:
            ((code, _),) = error.recipients.values()
            return code
    return 250


def delete_by_pop3(node):
    """Delete the first message; return whether QUIT acknowledged that."""
    client = poplib.POP3_SSL(
        node.address, node.ports["pop3s"], timeout=30, context=ssl.create_default_context(cafile=node.ca)
    )
    try:
        client.user("alice@a.test")
        client.pass_(PASSWORD)
        client.dele(1)
        client.quit()
    except poplib.error_proto:
        return False
    finally:
        with contextlib.suppress(OSError):
            client.close()
    return True


def move(data):
    data.rename(data.with_name("away"))
    return lambda: data.with_name("away").rename(data)


def replace(data):
    back = move(data)
    data.mkdir()

    def restore():
        shutil.rmtree(data)
        back()

    return restore


def replace_partition(data):
    (data / "mail-00.db").rename(data / "away.db")
    shutil.copy(data / "away.db", data / "mail-00.db")
    return lambda: (data / "away.db").rename(data / "mail-00.db")


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("lose", [move, replace, replace_partition])
def test_nothing_is_acknowledged_until_the_files_are_back(tmp_path, lose, workers):
    node = serve(tmp_path, workers)
    assert {send(dial, size) for dial in node.dials() for size in (100, LARGE)} == {250}
    assert health(node) == (200, "ok")
    standing = Wire(node, "alice@a.test", "INBOX")
    back = lose(node.data)
    assert health(node) == (503, "store")
    for dial in node.dials():
        for size in (100, LARGE):
            assert 400 <= send(dial, size) < 500
        for command in (APPEND, "STORE 1 FLAGS (\\Deleted)", "COPY 1 Trash", "CREATE Elsewhere"):
            assert standing.ask(command, ok=False)[-1].startswith(b"NO ")
    assert not delete_by_pop3(node)
    assert health(node) == (503, "store")
    back()
    assert health(node) == (200, "ok")
    assert {send(dial, size) for dial in node.dials() for size in (100, LARGE)} == {250}
    standing.ask(APPEND)
    standing.close()
    assert node.stop() == 0
    said = [event["error"] for event in node.events("store.failed") if event["tenancy"] == "mail-00"]
    assert all(str(node.data / "mail-00.db") in text for text in said), said
    assert 1 <= len(said) <= workers, said  # each process says it once
    assert not [line for line in node.process.lines if "Traceback" in line]


def test_a_removed_data_directory_is_said_and_ends_nothing(tmp_path):
    node = serve(tmp_path, 1)
    dial = Dial(node, "none", False)
    assert send(dial, 100) == 250
    shutil.rmtree(node.data)
    assert 400 <= send(dial, 100) < 500
    assert health(node) == (503, "store")
    assert node.stop() == 0
    assert not [line for line in node.process.lines if "Traceback" in line]
