"""A mailbox moves in from Dovecot by the recipe of docs/moving.rst."""

from __future__ import annotations

import contextlib
import imaplib
import os
import pwd
import re
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
from haproxy_server import TCP, haproxy
from servers import PASSWORD, ROOT, STRICT, Process, free_port, program, wait_for
from ways import Dial, every_way

from tests.open_folder import open_folder

PAGE = (ROOT / "docs/moving.rst").read_text()
RECIPE = (
    re.search(r"^\.\. code-block:: text\n\n((?:   .*\n|\n)+)", PAGE, re.MULTILINE)[1].replace("\n   ", "\n").strip()
)
ARRIVED = '"12-Feb-2023 03:04:05 +0000"'


@pytest.fixture(scope="module")
def dovecot(node):
    """The port of a Dovecot with TLS, as one installs it; any password will do."""
    command = program("dovecot")
    if os.getuid() != 0:
        (pytest.fail if STRICT else pytest.skip)("Dovecot starts as root only")
    with open_folder("dovecot") as folder:
        server, port = start_dovecot(node, command, Path(folder))
        try:
            yield port
        finally:
            server.stop()


def start_dovecot(node, command, folder):
    owner = pwd.getpwnam("nobody")
    (folder / "mail").mkdir()
    shutil.chown(folder / "mail", owner.pw_uid, owner.pw_gid)
    port = free_port()
    (folder / "dovecot.conf").write_text(
        f"""base_dir = {folder}/run
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
ssl = required
ssl_cert = <{node.folder}/cert.pem
ssl_key = <{node.folder}/key.pem
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid={owner.pw_uid} gid={owner.pw_gid} home={folder}/mail/%u
}}
mail_location = maildir:~/Maildir
first_valid_uid = 1
service imap-login {{
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {port}
    ssl = yes
  }}
}}
"""
    )
    server = Process([command, "-F", "-c", str(folder / "dovecot.conf")], cwd=folder)

    def answers():
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
            return True
        return False

    wait_for(answers, "Dovecot")
    return server, port


def session(node, port, user):
    context = ssl.create_default_context(cafile=str(node.ca))
    client = imaplib.IMAP4_SSL("localhost", port, ssl_context=context, timeout=60)
    client.login(user, PASSWORD)
    return client


def append(client, mailbox, flags, subject, size=0):
    content = (
        f"From: a@b.test\r\nSubject: {subject}\r\n\r\n{'x' * 70}\r\n".encode() + b"y" * 70 * (size // 70) + b"\r\n"
    )
    assert client.append(mailbox, flags, ARRIVED, content)[0] == "OK"


def contents(client, mailbox):
    """Return {subject: (flags, date of arrival)} of a mailbox."""
    assert client.select(mailbox, readonly=True)[0] == "OK"
    found = {}
    _, lines = client.fetch("1:*", "(FLAGS INTERNALDATE BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    for about, subject in (line for line in lines if isinstance(line, tuple)):
        flags = set(imaplib.ParseFlags(about)) - {b"\\Recent"}
        found[subject.decode().split(":")[1].strip()] = (flags, re.search(rb'INTERNALDATE "([^"]+)"', about)[1])
    return found


@pytest.fixture
def front(node, way, tmp_path):
    """The port of a way; a haproxy is before it if it is proxied: mbsync knows no PROXY."""
    port = node.ways["imap", *way]
    if not way[1]:
        yield port
        return
    front = free_port()
    text = f"{TCP}listen new\n    bind 127.0.0.1:{front}\n    server new 127.0.0.1:{port} send-proxy\n"
    process = haproxy(tmp_path, text, [front])
    try:
        yield front
    finally:
        process.stop()


# What mbsync is told of the new server; the recipe has the last.
SECURED = {
    "none": "SSLType None\nAuthMechs PLAIN",
    "starttls": "SSLType STARTTLS\nCertificateFile {ca}",
    "implicit": "SSLType IMAPS\nCertificateFile {ca}",
}


@every_way
def test_a_mailbox_moves_in_with_folders_flags_and_dates(node, dovecot, way, front, tmp_path):
    dial = Dial(node, *way)
    user = f"mover-{dial.name}"
    node.add_account(f"{user}@a.test")
    with session(node, dovecot, user) as old:
        append(old, "INBOX", r"(\Seen \Flagged)", "one")
        append(old, "INBOX", r"()", "two", size=10_000_000)
        for name in ('"Projects"', '"Projects.2024"', '"Gr&APwA3w-e"', '"Sent"'):
            old.create(name)
            append(old, name, r"(\Seen \Answered $Forwarded)", f"in {name[1:-1]}")

    (tmp_path / "old-password").write_text(PASSWORD)
    (tmp_path / "new-password").write_text(PASSWORD)
    there, here = (SECURED[tls].format(ca=node.ca) for tls in ("implicit", way[0]))
    (tmp_path / "mbsyncrc").write_text(
        RECIPE.replace("Host old.example.org", f"Host localhost\nPort {dovecot}")
        .replace("Host mail.example.org", f"Host localhost\nPort {front}")
        .replace("User alice@example.org", f"User {user}@a.test")
        .replace("User alice\n", f"User {user}\n")
        .replace("SSLType IMAPS", there, 1)
        .replace("SSLType IMAPS\n\nIMAPStore", f"{here}\n\nIMAPStore")
    )
    (tmp_path / "state").mkdir()

    def mbsync():
        done = subprocess.run(
            [program("mbsync"), "-c", "mbsyncrc", "moving"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            env=dict(os.environ, HOME=str(tmp_path)),
        )
        assert done.returncode == 0, done.stdout + done.stderr

    mbsync()
    date = b"12-Feb-2023 03:04:05 +0000"
    with dial.imap(f"{user}@a.test") as new:
        assert contents(new, "INBOX") == {"one": ({b"\\Seen", b"\\Flagged"}, date), "two": (set(), date)}
        everything = {b"\\Seen", b"\\Answered", b"$Forwarded"}
        for name in ("Projects", "Projects/2024", "Gr&APwA3w-e", "Sent"):
            assert contents(new, f'"{name}"') == {f"in {name.replace('/', '.')}": (everything, date)}

    with session(node, dovecot, user) as old:
        old.select("INBOX")
        assert old.store("2", "+FLAGS", r"(\Seen)")[0] == "OK"
        append(old, "INBOX", r"()", "three")
    mbsync()
    with dial.imap(f"{user}@a.test") as new:
        assert contents(new, "INBOX") == {
            "one": ({b"\\Seen", b"\\Flagged"}, date),
            "two": ({b"\\Seen"}, date),
            "three": (set(), date),
        }
