"""A full disk: a clear reply, nothing acknowledged lost, and all is well afterwards."""

import contextlib
import imaplib
import itertools
import json
import os
import poplib
import shutil
import smtplib
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from servers import PASSWORD, STRICT, MailNode, Process, wait_for
from ways import BUFFER, EveryWay, large

DISK = 24 * 1024 * 1024  # octets


def resident(pid):
    """Return the octets of memory of a process."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) * 1024


class Node(EveryWay, MailNode):
    """One that is reached in every way."""


class SmallDisk:
    """A server whose data directory is a small file system that only it sees."""

    def __init__(self, folder):
        self.node = Node(folder / "node")
        self._dials = {kind: itertools.cycle(self.node.dials()) for kind in (False, True)}
        self.node.data.mkdir(mode=0o700)
        mount = f"mount -t tmpfs -o size={DISK},mode=0700 tmpfs {self.node.data} && echo mounted && exec sleep 3600"
        self._holder = Process(["unshare", "-m", "sh", "-c", mount], cwd=folder)
        self._holder.wait_line("mounted")
        self._inside = ["nsenter", f"--target={self._holder.popen.pid}", "--mount", f"--wd={folder}", "--"]
        plain = self.node.twistd
        self.node.twistd = lambda *arguments: [*self._inside, *plain(*arguments)]
        self.node.start()
        self.data = Path(f"/proc/{self._holder.popen.pid}/root{self.node.data}")
        self._ballast = self.data / "ballast"
        self.context = ssl.create_default_context(cafile=self.node.ca)
        add = [sys.executable, "-m", "mailnode.ctl.main", "--config", str(self.node.config), "account", "add"]
        subprocess.run(
            [*self._inside, *add, "alice@a.test", "--password-stdin"],
            input=PASSWORD + "\n",
            text=True,
            check=True,
            env=self.node._env,
        )

    @property
    def pid(self):
        return self.node.process.popen.pid

    def stop(self):
        self.node.stop()
        self._holder.stop()

    def health(self):
        try:
            with urllib.request.urlopen(f"http://{self.node.address}:{self.node.ports['http']}/health") as answer:
                return answer.status, json.load(answer)["status"]
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)["status"]

    def pop3(self):
        client = poplib.POP3_SSL(self.node.address, self.node.ports["pop3s"], timeout=30, context=self.context)
        client.user("alice@a.test")
        client.pass_(PASSWORD)
        return client

    def fill(self):
        """Leave no room at all."""
        with open(self._ballast, "ab", buffering=0) as file:
            for size in (65536, 4096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(b"x" * size)

    def shrink(self, octets):
        """Let go of a part of the ballast."""
        os.truncate(self._ballast, self._ballast.stat().st_size - octets)

    def free(self):
        self._ballast.unlink()

    def send(self, name, size):
        """Send a message, of each kind one in each way in turn; return the reply's code and status."""
        with next(self._dials[size > BUFFER]).smtp() as client:
            try:
                client.sendmail("x@side.test", ["alice@a.test"], large(name, size))
            except smtplib.SMTPResponseException as error:
                return error.smtp_code, error.smtp_error.split()[0].decode()
            except smtplib.SMTPRecipientsRefused as error:
                ((code, text),) = error.recipients.values()
                return code, text.split()[0].decode()
        return 250, ""

    def imap(self):
        client = imaplib.IMAP4_SSL(self.node.address, self.node.ports["imaps"], ssl_context=self.context, timeout=30)
        client.login("alice@a.test", PASSWORD)
        return client


@pytest.fixture
def small_disk(tmp_path):
    probe = shutil.which("nsenter") and subprocess.run(
        ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)], capture_output=True
    )
    if not probe or probe.returncode:
        (pytest.fail if STRICT else pytest.skip)("no file system can be mounted here (unshare, mount, nsenter; root)")
    made = SmallDisk(tmp_path)
    yield made
    made.stop()


# SMTP trap 34: a full disk
def test_a_full_disk(small_disk):
    taken = []
    for size in (100, 200_000):
        assert small_disk.send(f"before-{size}", size) == (250, "")
        taken.append(f"before-{size}")
    standing = small_disk.imap()
    standing.select("INBOX")
    before = resident(small_disk.pid)
    small_disk.fill()
    refusals = []
    for number in range(60):
        name = f"full-{number}"
        code, status = small_disk.send(name, 300_000 if number % 3 == 0 else 20_000)
        if code == 250:
            taken.append(name)
        else:
            refusals.append((code, status))
    assert len(refusals) > 20 and set(refusals) == {(452, "4.3.1")}, refusals
    for dial in small_disk.node.dials():
        client = dial.imap("alice@a.test")
        assert client.append("INBOX", None, None, large("appended", 300_000))[0] == "NO"
        client.logout()
    assert standing.noop()[0] == "OK"  # the session goes on, and reading works
    assert standing.fetch("1", "(BODY.PEEK[])")[0] == "OK"
    assert resident(small_disk.pid) - before < 64 * 1024 * 1024

    small_disk.free()
    wait_for(lambda: small_disk.send("after", 300_000)[0] == 250, "mail is taken again", 20)
    assert standing.append("INBOX", None, None, large("appended", 300_000))[0] == "OK"
    standing.logout()

    reader = small_disk.imap()
    reader.select("INBOX", readonly=True)
    found = [part[1].decode() for part in reader.fetch("1:*", "(BODY.PEEK[])")[1] if isinstance(part, tuple)]
    reader.logout()
    subjects = {}
    for text in found:
        name = text.partition("Subject: ")[2].partition("\r\n")[0]
        assert text.endswith(f"\r\nend of {name}\r\n")
        subjects[name] = subjects.get(name, 0) + 1
    assert set(taken) | {"after", "appended"} <= set(subjects)
    assert not [line for line in small_disk.node.process.lines if "Traceback" in line]


def read_and_delete(small_disk, uid):
    """A fresh session of each protocol reads all there is; IMAP expunges one message, POP3 deletes another."""
    reader = small_disk.imap()
    typ, (count,) = reader.select("INBOX")
    assert typ == "OK"
    held = int(count)
    bodies = [part for part in reader.fetch("1:*", "(BODY.PEEK[])")[1] if isinstance(part, tuple)]
    assert len(bodies) == held and all(b"\r\nend of " in text for _, text in bodies)
    assert reader.uid("STORE", uid, "+FLAGS", "(\\Deleted)")[0] == "OK"
    assert reader.expunge()[0] == "OK"
    assert reader.close()[0] == "OK"
    reader.logout()
    client = small_disk.pop3()
    assert client.stat()[0] == held - 1
    assert b"end of" in b"".join(client.retr(1)[1])
    client.dele(1)
    client.quit()
    client = small_disk.pop3()
    assert client.stat()[0] == held - 2
    client.quit()


@pytest.mark.parametrize("met_by", ["mail", "a reader", "a start"])
def test_a_full_disk_serves_reading_and_deleting_also_after_a_restart(small_disk, met_by):
    for number in range(10):
        assert small_disk.send(f"before-{number}", 300_000 if number % 3 == 0 else 20_000) == (250, "")
    assert small_disk.health() == (200, "ok")
    small_disk.fill()
    if met_by == "mail":
        wait_for(lambda: small_disk.send("full", 300_000)[0] == 452, "the disk is full")
        small_disk.fill()  # others take what was given back
        small_disk.shrink(2 * 1024 * 1024)
    if met_by != "a start":
        read_and_delete(small_disk, "3")
        assert small_disk.health() == (503, "full")
    assert small_disk.node.stop() == 0
    small_disk.node.start()
    assert small_disk.health() == (503, "full")
    read_and_delete(small_disk, "5")
    assert small_disk.send("full", 300_000) == small_disk.send("full", 100) == (452, "4.3.1")
    small_disk.free()
    assert small_disk.health() == (200, "ok")
    assert small_disk.send("after", 300_000) == small_disk.send("after", 100) == (250, "")
    read_and_delete(small_disk, "7")
    assert not [line for line in small_disk.node.process.lines if "Traceback" in line]


def test_with_not_one_octet_free_a_start_serves_reading(small_disk):
    for number in range(6):
        assert small_disk.send(f"before-{number}", 300_000 if number % 3 == 0 else 20_000) == (250, "")
    assert small_disk.node.stop() == 0  # what is in the files' logs goes into them: the next stop needs no room for it
    small_disk.node.start()
    small_disk.fill()
    wait_for(lambda: small_disk.send("full", 300_000)[0] == 452, "the disk is full")
    small_disk.fill()
    assert small_disk.node.stop() == 0
    small_disk.fill()
    small_disk.node.start()
    small_disk.fill()
    assert small_disk.health() == (503, "full")
    reader = small_disk.imap()
    typ, (count,) = reader.select("INBOX")
    assert typ == "OK" and int(count) >= 6
    bodies = [part for part in reader.fetch("1:*", "(BODY.PEEK[])")[1] if isinstance(part, tuple)]
    assert len(bodies) == int(count) and all(b"\r\nend of " in text for _, text in bodies)
    reader.logout()
    client = small_disk.pop3()
    assert client.stat()[0] == int(count) and b"end of" in b"".join(client.retr(1)[1])
    client.quit()
    assert small_disk.send("full", 300_000) == small_disk.send("full", 100) == (452, "4.3.1")
    small_disk.free()
    assert small_disk.send("after", 300_000) == small_disk.send("after", 100) == (250, "")
    read_and_delete(small_disk, "3")
    assert not [line for line in small_disk.node.process.lines if "Traceback" in line]
