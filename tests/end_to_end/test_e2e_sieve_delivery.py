"""Scripts run on mail as it comes: over SMTP and LMTP, by one process and two, on SQLite and PostgreSQL, with the server killed in
between."""

from __future__ import annotations

import contextlib
import imaplib
import random
import smtplib
import ssl
import threading
import time
from collections import Counter

import pytest
from servers import PASSWORD, STRICT, MailNode, wait_for
from worker_servers import Workers

from tests.store.postgres_cluster import Cluster, binaries

NAMES = ("ann", "bob", "cid", "dan")
KILLS = 3


def letter(number, sender="bob@a.test", to="ann@a.test", body="body"):
    return f"From: <{sender}>\r\nTo: <{to}>\r\nSubject: s{number}\r\nMessage-ID: <m{number}@x.test>\r\n\r\n{body}\r\n"


class Filtered:
    """What these tests do with a server."""

    def __init__(self, node):
        self.node = node
        self.context = ssl.create_default_context(cafile=node.ca)

    def script(self, name, source):
        self.node.ctl("sieve", "put", f"{name}@a.test", "main", "-", "--activate", stdin=source)

    def send(self, *to, number=0, sender="bob@a.test", content=None, lmtp=False, index=0):
        """Return the reply to each recipient of LMTP, or the one to the message."""
        port = self.node.ports["lmtp" if lmtp else "smtp"]
        kind = smtplib.LMTP if lmtp else smtplib.SMTP
        with kind(self.node.address, port, timeout=60) as client:
            client.ehlo("far.test")
            client.mail(sender)
            for one in to:
                assert client.rcpt(one)[0] == 250
            replies = [client.data(content or letter(number, sender, to[0]))]
            replies += [client.getreply() for _ in to[1:]] if lmtp else []
            return replies

    def messages(self, name, mailbox="INBOX"):
        """Return the headers of a mailbox's messages."""
        with imaplib.IMAP4_SSL(self.node.address, self.node.ports["imaps"], ssl_context=self.context) as client:
            client.login(f"{name}@a.test", PASSWORD)
            if client.select(f'"{mailbox}"', readonly=True)[0] != "OK":
                return []
            found = client.fetch("1:*", "(RFC822.HEADER)")[1]
            return [one[1].decode() for one in found if isinstance(one, tuple)]

    def wait(self, name, count, mailbox="INBOX"):
        return wait_for(lambda: len(found := self.messages(name, mailbox)) >= count and found, f"{count} for {name}")


@contextlib.contextmanager
def started(kind, folder):
    """Run a server of a kind, with its accounts."""
    if kind == "one process":
        node, cluster = MailNode(folder), None
    elif kind == "two processes":
        node, cluster = Workers(folder, 2), None
    else:
        programs = binaries()
        if programs is None:
            (pytest.fail if STRICT else pytest.skip)("no PostgreSQL server is installed (initdb)")
        cluster = Cluster(programs)
        cluster.start()
        node = Workers(folder, 2, extra=f'[store]\nurl = "postgresql://tests@/postgres?host={cluster.directory}"\n')
    try:
        node.start()
        for name in NAMES:
            node.add_account(f"{name}@a.test")
        yield Filtered(node)
        assert node.stop() == 0
        assert not [line for line in node.process.lines if "Traceback" in line]
    finally:
        node.stop()
        if cluster is not None:
            cluster.stop()


@pytest.fixture(scope="module", params=["one process", "two processes", "PostgreSQL"])
def world(request, tmp_path_factory):
    with started(request.param, tmp_path_factory.mktemp("filtered")) as made:
        yield made


def test_everything_that_a_script_says_is_done(world):
    world.script(
        "ann",
        """require ["fileinto", "copy", "vacation", "enotify", "mailbox", "imap4flags"];
        redirect :copy "cid@a.test"; notify :message "news" "mailto:dan@a.test"; vacation "away";
        fileinto :create :flags "\\\\Flagged" "Lists/New"; fileinto "Archive";""",
    )
    assert world.send("ann@a.test", number=1)[0][0] == 250
    assert len(world.wait("ann", 1, "Lists/New")) == len(world.wait("ann", 1, "Archive")) == 1
    [redirected] = world.wait("cid", 1)
    assert "X-Sieve-Redirected-From: ann@a.test" in redirected
    assert "Auto-Submitted: auto-notified" in world.wait("dan", 1)[0]
    assert "Auto-Submitted: auto-replied (vacation)" in world.wait("bob", 1)[0]
    assert world.messages("ann") == []
    assert world.send("ann@a.test", number=2)[0][0] == 250
    world.wait("ann", 2, "Archive")
    assert len(world.messages("bob")) == 1, "once in a period"


def test_a_script_that_changes_is_run_at_once_by_every_process(world):
    for number in range(4):
        mailbox = ("Junk", "Archive")[number % 2]
        world.script("cid", f'require "fileinto"; fileinto "{mailbox}";')
        before = len(world.messages("cid", mailbox))
        world.send("cid@a.test", number=number)
        world.wait("cid", before + 1, mailbox)


def test_a_refusal_over_smtp_and_lmtp(world):
    world.script("dan", 'require "reject"; reject "not today";')
    try:
        [(code, text)] = world.send("dan@a.test")
        assert (code, b"not today" in text) == (550, True)
        replies = world.send("dan@a.test", "cid@a.test", lmtp=True)
        assert [code for code, _ in replies] == [550, 250]
    finally:
        world.node.ctl("sieve", "deactivate", "dan@a.test")


def test_a_script_that_fails_loses_nothing_and_its_owner_hears_of_it(world):
    world.script("dan", 'require ["ihave", "fileinto"]; fileinto "Archive"; error "broken here";')
    try:
        before = len(world.messages("dan"))
        assert world.send("dan@a.test", number=7)[0][0] == 250
        found = world.wait("dan", before + 2)
        assert len([one for one in found if "Your mail filter failed" in one]) == 1
        assert world.messages("dan", "Archive") == []
        assert world.node.wait_event("sieve.failed", reason="broken here")["line"] == 1
    finally:
        world.node.ctl("sieve", "deactivate", "dan@a.test")


def test_a_large_message_with_a_test_of_its_body_holds_nobody_up(world):
    world.script(
        "cid",
        'require ["body", "fileinto"]; if body :contains "the very end" { fileinto "Archive"; } else { discard; }',
    )
    before = len(world.messages("cid", "Archive"))
    content = letter(9, to="cid@a.test", body=("x" * 70 + "\r\n") * 140_000 + "the very end")
    longest, done = [0.0], threading.Event()

    def ask():
        with smtplib.SMTP(world.node.address, world.node.ports["smtp"], timeout=60) as client:
            client.ehlo("near.test")
            while not done.is_set():
                began = time.monotonic()
                client.noop()
                longest[0] = max(longest[0], time.monotonic() - began)
                time.sleep(0.01)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        assert world.send("cid@a.test", content=content)[0][0] == 250
    finally:
        done.set()
        asking.join()
    world.wait("cid", before + 1, "Archive")
    assert longest[0] < 5.0, "who reads 10 MB in its own thread holds others up for as long as that takes"


# what a kill leaves


SAYS_MUCH = """require ["fileinto", "copy", "vacation"];
redirect :copy "cid@a.test"; vacation "away"; fileinto "Archive";"""


@pytest.mark.parametrize("kind", ["one process", "two processes"])
def test_a_kill_neither_loses_nor_doubles(kind, tmp_path):
    with started(kind, tmp_path / "node") as world:
        world.script("ann", SAYS_MUCH)
        chance = random.Random(7)
        taken, number = [], 0
        for _ in range(KILLS):
            stop = threading.Thread(target=kill_after, args=(world.node, chance.uniform(0.05, 0.6)))
            stop.start()
            with contextlib.suppress(OSError, smtplib.SMTPException, AssertionError):
                while True:
                    number += 1
                    if world.send("ann@a.test", number=number)[0][0] == 250:
                        taken.append(number)
            stop.join()
            world.node.start()
        assert taken, "nothing came between the kills"
        wait_for(lambda: is_empty(world.node), "an empty queue")
        for name, mailbox in (("ann", "Archive"), ("cid", "INBOX")):
            found = Counter(subjects(world.wait(name, len(taken), mailbox)))
            assert [n for n in taken if found[f"s{n}"] != 1] == [], (name, found)
            assert set(found.values()) == {1}
        answers = [one for one in world.messages("bob") if "auto-replied" in one]
        assert len(answers) == 1
        assert set(subjects(world.messages("cid"))) == set(subjects(world.messages("ann", "Archive")))


def is_empty(node):
    """Whether nothing is queued; what was being tried at two kills waits some minutes, unless it is to be tried now."""
    node.ctl("queue", "retry", "--all")
    return not node.queue()


def kill_after(node, seconds):
    time.sleep(seconds)
    node.kill()


def subjects(headers):
    return [line.partition(": ")[2] for one in headers for line in one.split("\r\n") if line.startswith("Subject: s")]
