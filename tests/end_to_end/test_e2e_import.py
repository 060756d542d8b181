"""Mail moves in from Dovecot by ``mailnode import imap``: with folders and flags, POP3 unique-ids, while both servers are used,
and whoever dies meanwhile."""

from __future__ import annotations

import contextlib
import imaplib
import json
import os
import poplib
import pwd
import shutil
import signal
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from servers import PASSWORD, ROOT, STRICT, MailNode, Process, free_port, program, wait_for

from tests.open_folder import open_folder

ARRIVED = '"12-Feb-2023 03:04:05 +0000"'
MASTER = "admin"
OLD_PASSWORD = "of-the-old-server"


class OldDovecot:
    """Dovecot with TLS, IMAP and POP3, a master user, and any password for everybody else."""

    def __init__(self, node, command, folder):
        self.node = node
        self.folder = folder
        self.imap, self.pop3, self.starttls = free_port(), free_port(), free_port()
        owner = pwd.getpwnam("nobody")
        (folder / "mail").mkdir()
        shutil.chown(folder / "mail", owner.pw_uid, owner.pw_gid)
        (folder / "masters").write_text(f"{MASTER}:{{PLAIN}}{OLD_PASSWORD}\n")
        (folder / "dovecot.conf").write_text(
            f"""base_dir = {folder}/run
log_path = {folder}/log
protocols = imap pop3
listen = 127.0.0.1
ssl = required
ssl_cert = <{node.folder}/cert.pem
ssl_key = <{node.folder}/key.pem
auth_master_user_separator = *
passdb {{
  driver = passwd-file
  master = yes
  args = {folder}/masters
}}
passdb {{
  driver = static
  args = password={OLD_PASSWORD}
}}
userdb {{
  driver = static
  args = uid={owner.pw_uid} gid={owner.pw_gid} home={folder}/mail/%n
}}
mail_location = maildir:~/Maildir
first_valid_uid = 1
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Gesendet {{
    special_use = \\Sent
    auto = subscribe
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {self.starttls}
  }}
  inet_listener imaps {{
    port = {self.imap}
    ssl = yes
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = 0
  }}
  inet_listener pop3s {{
    port = {self.pop3}
    ssl = yes
  }}
}}
"""
        )
        self.process = Process([command, "-F", "-c", str(folder / "dovecot.conf")], cwd=folder)
        wait_for(self._answers, "Dovecot")

    def _answers(self):
        with contextlib.suppress(OSError), self.session("nobody-yet"):
            return True
        return False

    def session(self, user):
        """Return an IMAP session."""
        client = imaplib.IMAP4_SSL("localhost", self.imap, ssl_context=self._context(), timeout=60)
        client.login(user, OLD_PASSWORD)
        return client

    def _context(self):
        return ssl.create_default_context(cafile=str(self.node.ca))

    def uidls(self, user):
        """Return what POP3 tells of INBOX."""
        client = poplib.POP3_SSL("localhost", self.pop3, context=self._context(), timeout=60)
        client.user(user)
        client.pass_(OLD_PASSWORD)
        found = [line.split()[1] for line in client.uidl()[1]]
        client.quit()
        return found


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """A mailnode of this file's own: it is killed."""
    started = MailNode(tmp_path_factory.mktemp("importing"), extra='[limits]\nmessage_size = "60MB"\n').start()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def dovecot(node):
    command = program("dovecot")
    if os.getuid() != 0:
        (pytest.fail if STRICT else pytest.skip)("Dovecot starts as root only")
    with open_folder("dovecot") as folder:
        old = OldDovecot(node, command, Path(folder))
        try:
            yield old
        finally:
            old.process.stop()


def message(subject, body="hello\r\n"):
    return f"From: a@b.test\r\nMessage-ID: <{subject.replace(' ', '.')}@b.test>\r\nSubject: {subject}\r\n\r\n{body}".encode()


def append(client, mailbox, flags, content):
    assert client.append(mailbox, flags, ARRIVED, content)[0] == "OK"


def arguments(node, dovecot, user, *options, name=""):
    where = "--port", str(dovecot.imap), "--ca", str(node.ca), "--json"
    return ["import", "imap", "localhost", name or user, f"{user}@a.test", *where, *options]


@pytest.fixture
def secret(tmp_path):
    file = tmp_path / "old-password"
    file.write_text(OLD_PASSWORD + "\n")
    return "--password-file", str(file)


def contents(node, user, mailbox):
    """Return (content, flags, date) of each message here."""
    client = imaplib.IMAP4_SSL(
        "127.0.0.1", node.ports["imaps"], ssl_context=ssl.create_default_context(cafile=str(node.ca))
    )
    with client:
        client.login(f"{user}@a.test", PASSWORD)
        assert client.select(mailbox, readonly=True)[0] == "OK"
        _, lines = client.fetch("1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")
        return [
            (line[1], {flag.decode() for flag in imaplib.ParseFlags(line[0])} - {"\\Recent"}, line[0].split(b'"')[1])
            for line in lines
            if isinstance(line, tuple)
        ]


def test_a_mailbox_comes_whole_and_then_what_is_new(node, dovecot, secret):
    node.add_account("anna@a.test")
    date = ARRIVED.strip('"').encode()
    with dovecot.session("anna") as old:
        append(old, "INBOX", r"(\Seen \Flagged)", message("one"))
        append(old, "INBOX", "()", b"Subject: bare\n\nlines\n")
        append(old, "INBOX", "()", message("large", "y" * 70 + "\r\n" + ("z" * 70 + "\r\n") * 60_000))
        for name in ('"Projects"', '"Projects/2024"', '"Gr&APwA3w-e"', "Gesendet"):
            old.create(name)
            append(old, name, r"(\Seen \Answered $Forwarded)", message(f"in {name}"))
        old.subscribe('"Projects/2024"')
        old.select("INBOX")
        old.store("2", "+FLAGS", r"(\Deleted)")
        old.expunge()
    with dovecot.session("anna") as old:
        append(old, "INBOX", "()", message("four"))
    uidls = dovecot.uidls("anna")
    pop3 = "--pop3-port", str(dovecot.pop3)
    report = json.loads(node.ctl(*arguments(node, dovecot, "anna", *pop3, *secret)).stdout)
    assert (report["complete"], report["brought"], report["failed"]) == (True, 7, 0)
    assert [
        (body.split(b"Subject: ")[1].split(b"\r\n")[0], *rest) for body, *rest in contents(node, "anna", "INBOX")
    ] == [
        (b"one", {"\\Seen", "\\Flagged"}, date),
        (b"large", set(), date),
        (b"four", set(), date),
    ]
    everything = {"\\Seen", "\\Answered", "$Forwarded"}
    for there, here in (('"Projects/2024"', "Projects/2024"), ('"Gr&APwA3w-e"', "Gr&APwA3w-e"), ("Gesendet", "Sent")):
        assert contents(node, "anna", f'"{here}"') == [(message(f"in {there}"), everything, date)]
    boxes = {one["name"]: one for one in json.loads(node.ctl("mailbox", "list", "anna@a.test", "--json").stdout)}
    assert boxes["Projects/2024"]["subscribed"] and not boxes["Projects"]["subscribed"]
    client = poplib.POP3_SSL("127.0.0.1", node.ports["pop3s"], context=ssl.create_default_context(cafile=str(node.ca)))
    client.user("anna@a.test")
    client.pass_(PASSWORD)
    assert [line.split()[1] for line in client.uidl()[1]] == uidls
    client.quit()

    with dovecot.session("anna") as old:
        old.select("INBOX")
        old.store("2", "+FLAGS", r"(\Seen work)")
        append(old, "INBOX", "()", message("five"))
    report = json.loads(node.ctl(*arguments(node, dovecot, "anna", *secret, name=f"anna*{MASTER}")).stdout)
    (inbox,) = (one for one in report["folders"] if one["folder"] == "INBOX")
    assert (report["brought"], report["present"], report["failed"], inbox["flags_added"]) == (1, 7, 0, 1)
    assert contents(node, "anna", "INBOX")[1][1] == {"\\Seen", "work"}


def test_the_certificate_and_the_password_are_looked_at(node, dovecot, secret, tmp_path):
    node.add_account("carl@a.test")
    where = arguments(node, dovecot, "carl", *secret)
    without = [word for word in where if word not in ("--ca", str(node.ca))]
    refused = node.ctl(*without, check=False)
    assert refused.returncode == 1 and "certificate" in json.loads(refused.stdout)["stopped"]
    (tmp_path / "wrong").write_text("not it\n")
    wrong = arguments(node, dovecot, "carl", "--password-file", str(tmp_path / "wrong"))
    refused = node.ctl(*wrong, check=False)
    assert refused.returncode == 1 and "the login is refused" in json.loads(refused.stdout)["stopped"]


def test_starttls_and_without_tls_where_that_is_asked_for(node, dovecot, secret):
    node.add_account("emil@a.test")
    with dovecot.session("emil") as old:
        append(old, "INBOX", "()", message("one"))
    words = arguments(node, dovecot, "emil", *secret)
    words[words.index("--port") + 1] = str(dovecot.starttls)
    assert json.loads(node.ctl(*words, "--tls", "starttls").stdout)["brought"] == 1
    assert json.loads(node.ctl(*words, "--tls", "none").stdout)["present"] == 1
    refused = node.ctl(*words, check=False)
    assert refused.returncode == 1 and "TLS" in json.loads(refused.stdout)["stopped"]


ODD = ["a &- b", "Sub/tief/tiefer", "INBOX/below", "x" * 180, "dots.in it", " spaces ", "&ZeVnLIqe-", "%\\*"]


def test_folders_with_odd_names_come_over(node, dovecot, secret):
    node.add_account("odd@a.test")
    with dovecot.session("odd") as old:
        made = []
        for name in ODD:
            quoted = '"' + name.replace("\\", "\\\\") + '"'
            if old.create(quoted)[0] == "OK":
                append(old, quoted, "()", message(f"in {len(made)}"))
                made.append(name)
    assert len(made) >= 5
    report = json.loads(node.ctl(*arguments(node, dovecot, "odd", *secret)).stdout)
    assert (report["brought"], report["failed"], report["skipped"]) == (len(made), 0, [])
    assert json.loads(node.ctl(*arguments(node, dovecot, "odd", *secret)).stdout)["brought"] == 0


def started(node, words):
    env = dict(os.environ, PYTHONPATH=str(ROOT))
    command = [sys.executable, "-m", "mailnode.ctl.main", "--config", str(node.config), *words]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def count(node, user):
    boxes = json.loads(node.ctl("mailbox", "list", f"{user}@a.test", "--json").stdout)
    return next(one["messages"] for one in boxes if one["name"] == "INBOX")


@pytest.mark.parametrize("dies", ["command", "server", "ctrl-c"])
def test_the_end_of_either_side_in_the_middle_loses_nothing_and_brings_nothing_twice(node, dovecot, secret, dies):
    user = f"dora-{dies}"
    node.add_account(f"{user}@a.test")
    with dovecot.session(user) as old:
        for number in range(120):
            append(old, "INBOX", "()", message(f"m {number}", ("x" * 70 + "\r\n") * 700))
    # After the first of two batches it waits: so long that it stands there when it is ended, and for the server a while.
    words = arguments(node, dovecot, user, *secret, "--rate", "1500K" if dies == "server" else "20K")
    running = started(node, words)
    try:
        wait_for(lambda: count(node, user) > 0, "the first messages")
        if dies == "command":
            running.kill()
        elif dies == "ctrl-c":
            running.send_signal(signal.SIGINT)
        else:
            node.kill()
            node.start()
        output, _ = running.communicate(timeout=120)
    finally:
        if running.poll() is None:
            running.kill()
            running.wait()
    if dies != "server":
        assert running.returncode == (-signal.SIGKILL if dies == "command" else 1) and count(node, user) < 120
        assert dies == "command" or json.loads(output)["stopped"] == "interrupted"
        report = json.loads(node.ctl(*arguments(node, dovecot, user, *secret)).stdout)
    else:
        report = json.loads(output)
        assert running.returncode == 0
    assert report["complete"]
    found = [body for body, *_ in contents(node, user, "INBOX")]
    assert len(found) == len(set(found)) == 120


FULL = """
mount -t tmpfs -o size=32M tmpfs "$1" && cp -a "$2/." "$1/data" || exit 99
bring() { "$3" -m mailnode.ctl.main --data "$1/data" import maildir "$2" alice@mailnode.test --json 2>/dev/null; echo; }
dd if=/dev/zero of="$1/ballast" bs=1M count=$4 2>/dev/null
TMPDIR=$5 bring "$1" "$6" "$3"
rm "$1/ballast"
TMPDIR=$5 bring "$1" "$6" "$3"
"$3" -m mailnode.ctl.main --data "$1/data" store verify --contents
"""


@pytest.mark.parametrize("full", ["the store", "what messages pass through"])
def test_a_full_disk_ends_it_in_words_and_the_next_run_goes_on(tmp_path, full):
    if os.getuid() != 0:
        (pytest.fail if STRICT else pytest.skip)("a file system is mounted by root only")
    small, made, old = (tmp_path / name for name in ("small", "made", "old"))
    for folder in (small, made, old / "cur"):
        folder.mkdir(parents=True, mode=0o700)
    env = dict(os.environ, PYTHONPATH=str(ROOT))
    add = [sys.executable, "-m", "mailnode.ctl.main", "--data", str(made), "account", "add", "alice@mailnode.test"]
    subprocess.run([*add, "--password-stdin"], input=PASSWORD + "\n", text=True, env=env, check=True)
    for number in range(10):
        (old / "cur" / f"{number}.x:2,S").write_bytes(message(f"m {number}") + os.urandom(900_000).hex().encode())
    scratch = tmp_path if full == "the store" else small
    words = ["unshare", "-m", "sh", "-c", FULL, "sh", small, made, sys.executable, "24", scratch, old]
    done = subprocess.run(list(map(str, words)), env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    decoder = json.JSONDecoder()
    first, end = decoder.raw_decode(done.stdout)
    second, _ = decoder.raw_decode(done.stdout[end:].lstrip())
    assert not first["complete"] and first["brought"] < 10 and first["stopped"]
    assert (second["complete"], first["brought"] + second["brought"], second["present"]) == (True, 10, first["brought"])
    assert "all right" in done.stdout
