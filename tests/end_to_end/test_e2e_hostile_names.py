"""Names made for an attack, of mailboxes and of who logs in, sent to a real server: they are names, or refused."""

from __future__ import annotations

import base64
import imaplib
import json
import poplib
import smtplib
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from imap_wire import Wire
from servers import MailNode, wait_for

MESSAGE = b"From: a@a.test\r\nSubject: kept\r\n\r\nkept\r\n"
# Ways into files, into SQL, into patterns and formats.
MAILBOXES = (
    "../../planted",
    "..",
    "/etc/planted",
    "./blobs/planted",
    "~/planted",
    "file:planted?mode=memory",
    "x'; DROP TABLE mailbox; --",
    "x' OR '1'='1",
    'x" OR "1"="1',
    "x') UNION SELECT password FROM account --",
    "_",
    "100{0}{x.y}s",
    "$(touch planted)",
    "`touch planted`",
    "|touch planted",
    "-planted",
    "CON:planted",
)
LOGINS = (
    "alice@a.test' --",
    "' OR ''='",
    "' UNION SELECT * FROM account --@a.test",
    "../alice@a.test",
    "alice@a.test\x00",
    "*@a.test",
    "_lice@a.test",
    "alice@a.test\r\n",
    'x" 2026-01-01T00:00:00Z server.start forged=1',
    "\x1b]0;title\x07@a.test",
    "\u2028forged@a.test",
)


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    node = MailNode(tmp_path_factory.mktemp("names") / "node").start()
    for name in ("alice", "bob"):
        node.add_account(f"{name}@a.test")
    yield node
    node.stop()


def quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def names(wire: Wire) -> set[bytes]:
    """Return how each mailbox is listed, without what stands before its name."""
    return {line.rpartition(b' "/" ')[2] for line in wire.ask('LIST "" "*"')}


def files(node) -> set[str]:
    return {path.name for path in Path(node.folder).rglob("*")}


def test_a_mailbox_may_be_called_anything_and_is_a_name_to_nobody_but_its_owner(node):
    """What can be made is listed, holds mail, is renamed and deleted, and touches no file and no other mailbox."""
    with Wire(node, "bob@a.test") as other, Wire(node, "alice@a.test") as wire:
        other.append("INBOX", MESSAGE)
        before, theirs, owned = files(node), names(other), names(wire)
        made = []
        for name in MAILBOXES:
            if not wire.ask(f"CREATE {quoted(name)}", ok=False)[-1].startswith(b"OK"):
                continue
            made.append(name)
            assert wire.append(quoted(name), MESSAGE).startswith(b"OK"), name
            assert b"* 1 EXISTS" in wire.ask(f"SELECT {quoted(name)}"), name
            assert b"MESSAGES 1)" in b"".join(wire.ask(f"STATUS {quoted(name)} (MESSAGES)")), name
            assert wire.ask(f'LIST "" {quoted(name)}'), name
            now = quoted(name + "'")
            wire.ask(f"RENAME {quoted(name)} {now}")
            assert b"MESSAGES 1)" in b"".join(wire.ask(f"STATUS {now} (MESSAGES)")), name
        assert len(made) > 8, made
        for name in MAILBOXES:
            assert other.ask(f"SELECT {quoted(name)}", ok=False)[-1].startswith((b"NO", b"BAD"))
        assert names(other) == theirs
        assert b"* 1 EXISTS" in other.ask("SELECT INBOX")
        assert not [name for name in files(node) - before if "planted" in name]
        for name in reversed(made):
            wire.ask("DELETE " + quoted(name + "'"))
        assert owned <= names(wire)
    assert json.loads(node.ctl("store", "verify", "--json").stdout)["faults"] == []


def context(node) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=node.ca)


def plain(user: str) -> str:
    return base64.b64encode(f"\0{user}\0wrong".encode()).decode()


def imap(node, user: str) -> str:
    with imaplib.IMAP4_SSL("127.0.0.1", node.ports["imaps"], ssl_context=context(node)) as client:
        response = f"\0{user}\0wrong".encode()
        with pytest.raises(imaplib.IMAP4.error) as refused:
            client.authenticate("PLAIN", lambda _: response)
    return str(refused.value)


def imap_login(node, user: str) -> str:
    with imaplib.IMAP4_SSL("127.0.0.1", node.ports["imaps"], ssl_context=context(node)) as client:
        client.send(b'a LOGIN {%d+}\r\n%s "wrong"\r\n' % (len(user.encode()), user.encode()))
        line = client.readline()
        while not line.startswith(b"a "):
            line = client.readline()
    return line.decode()


def pop3(node, user: str) -> str:
    client = poplib.POP3_SSL("127.0.0.1", node.ports["pop3s"], context=context(node))
    try:
        with pytest.raises(poplib.error_proto) as refused:
            client._shortcmd(f"AUTH PLAIN {plain(user)}")
    finally:
        client.close()
    return str(refused.value)


def submission(node, user: str) -> str:
    with smtplib.SMTP_SSL("127.0.0.1", node.ports["submissions"], context=context(node)) as client:
        client.ehlo()
        code, text = client.docmd("AUTH", f"PLAIN {plain(user)}")
    return f"{code} {text.decode()}"


WAYS = (imap, imap_login, pop3, submission)


@pytest.mark.parametrize("way", WAYS)
def test_a_login_by_no_name_that_exists_hears_what_a_wrong_password_does(node, way):
    """Word for word, in each protocol."""
    assert way(node, "nobody@a.test") == way(node, "alice@a.test") == way(node, "alice@nowhere.test")


@pytest.mark.parametrize("way", [imap, pop3, submission])
def test_a_login_by_a_name_made_for_an_attack_is_one_line_of_the_log_and_lets_nobody_in(node, way):
    begin, refused = len(node.process.lines), len(node.events("session.refused"))
    with ThreadPoolExecutor(len(LOGINS)) as threads:  # each waits for a second
        answers = list(threads.map(lambda user: way(node, user), LOGINS))
    assert not [answer for answer in answers if answer.startswith(("2", "+OK"))]
    wait_for(lambda: len(node.events("session.refused")) == refused + len(LOGINS), "an event of each")
    for line in node.process.lines[begin:]:
        assert line.isprintable() and json.loads(line)["event"] != "server.start", line
    assert "Traceback" not in "\n".join(node.process.lines)
