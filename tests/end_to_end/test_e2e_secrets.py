"""No password, token or key stands in a log, a metric, an answer or a file, whatever was done with it."""

from __future__ import annotations

import base64
import imaplib
import poplib
import smtplib
import ssl
import urllib.request

import pytest
from servers import MailNode

USER = "alice@a.test"
RIGHT = "right-Xq7ZpT2w"
MISTYPED = "mistyped-Kd93LmVb"
TOKEN = "token-Wm4RsY8c"
RELAY = "relay-Hn5BtG1f"
SECRETS = (RIGHT, MISTYPED, TOKEN, RELAY)


def disguises(secret: str) -> list[bytes]:
    """A secret as it stands, and as base64 has it at each of three offsets, without what stands beside it there."""
    octets = secret.encode()
    return [octets, octets.hex().encode()] + [
        base64.b64encode(b"x" * at + octets)[4 if at else 0 : -4] for at in range(3)
    ]


def secure_context(node) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=node.ca)


def plain(user: str, secret: str) -> str:
    return base64.b64encode(f"\0{user}\0{secret}".encode()).decode()


def bearer(user: str, secret: str) -> str:
    return base64.b64encode(f"user={user}\1auth=Bearer {secret}\1\1".encode()).decode()


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    folder = tmp_path_factory.mktemp("secrets")
    (folder / "relay").touch(mode=0o600)
    (folder / "relay").write_text(f"{RELAY}\n")
    extra = f'[queue.smarthost]\nhost = "127.0.0.1"\nport = 9\nusername = "us"\npassword_file = "{folder / "relay"}"\n'
    node = MailNode(folder / "node", extra=extra).start()
    node.add_account(USER, RIGHT)
    for secret in (RIGHT, MISTYPED):
        imap(node, secret)
        pop3(node, secret)
        submission(node, secret)
    yield node
    node.stop()


def imap(node, secret: str) -> None:
    """Right and wrong, and as people and programs go wrong: half a command, too much, a mechanism nobody knows."""
    commands = [
        f"LOGIN {USER} {secret} {secret}",
        f"LOGIN {secret}",
        f'LOGIN "{USER}" "{secret}',
        f"AUTHENTICATE PLAIN {plain(USER, secret)[:-1]}",
        f"AUTHENTICATE NOSUCH {plain(USER, secret)}",
        f"AUTHENTICATE XOAUTH2 {bearer(USER, TOKEN)}",
        f"AUTHENTICATE OAUTHBEARER {bearer(USER, TOKEN)}",
        f"{secret}",
        f"AUTHENTICATE PLAIN {plain(USER, secret)}",
    ]
    for command in commands:
        with imaplib.IMAP4_SSL("127.0.0.1", node.ports["imaps"], ssl_context=secure_context(node)) as client:
            client.send(f"x {command}\r\n".encode())
            client.send(b"x NOOP\r\n")
            while b" NOOP " not in (line := client.readline()) and line:
                pass


def pop3(node, secret: str) -> None:
    for commands in (
        [f"USER {USER}", f"PASS {secret}"],
        [f"PASS {secret}"],
        [secret],
        [f"AUTH PLAIN {plain(USER, secret)}"],
    ):
        client = poplib.POP3_SSL("127.0.0.1", node.ports["pop3s"], context=secure_context(node))
        for command in commands:
            try:
                client._shortcmd(command)
            except poplib.error_proto:
                pass
        client.close()


def submission(node, secret: str) -> None:
    for command in (
        f"AUTH PLAIN {plain(USER, secret)}",
        f"AUTH {secret}",
        f"AUTH PLAIN {secret}",
        secret,
        f"AUTH XOAUTH2 {bearer(USER, TOKEN)}",
    ):
        with smtplib.SMTP_SSL("127.0.0.1", node.ports["submissions"], context=secure_context(node)) as client:
            client.ehlo()
            client.docmd(command)
            client.docmd("NOOP")


def told(node) -> dict[str, bytes]:
    """All that the server says to its operator, by where."""
    assert node.events("session.login") and node.events("session.refused")
    said = {"log": "\n".join(node.process.lines).encode()}
    with urllib.request.urlopen(f"http://127.0.0.1:{node.ports['http']}/metrics", timeout=30) as answer:
        said["metrics"] = answer.read()
    for command in ("account list", f"account show {USER}", "queue list", "queue summary", "status", "check"):
        done = node.ctl(*command.split(), "--json", check=False)
        said[command] = (done.stdout + done.stderr).encode()
    return said


def test_no_secret_is_told_to_an_operator(node):
    found = {
        (where, secret)
        for where, text in told(node).items()
        for secret in SECRETS
        if any(one in text for one in disguises(secret))
    }
    assert found == set()


def test_no_secret_is_kept_in_a_file(node):
    found = {
        (path.name, secret)
        for path in node.data.rglob("*")
        if path.is_file()
        for secret in SECRETS
        if any(one in path.read_bytes() for one in disguises(secret))
    }
    assert found == set()
