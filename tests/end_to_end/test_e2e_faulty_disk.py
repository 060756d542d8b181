"""Each call to the disk that an operation makes fails in turn: the answer is temporary, nothing is half or twice, what was
acknowledged is there, and once the disk is well so is the server, without a restart."""

import base64
import json
import os
import poplib
import random
import re
import smtplib
import socketserver
import tempfile
import threading
import urllib.request
from collections import Counter
from pathlib import Path

import pytest
from faulty_disk import FAULTS, OPEN, STANDS_STILL, FaultyDisk
from servers import MailNode, wait_for
from ways import Dial, EveryWay

from tests.free_ports import free_port

MOST = 80  # calls of one operation
TOGETHER = 3  # messages an operation is about
PEOPLE = ("ann", "bea", "cid", "dan")
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
LARGE = 200_000  # octets: a file of its own


class Node(EveryWay, MailNode):
    """One with a listener for each way to connect."""


def content(name, size=0):
    """A message that carries its name, says whether it is whole, and does not become small."""
    noise = base64.encodebytes(random.Random(name).randbytes(size * 3 // 4)).replace(b"\n", b"\r\n")
    return b"From: ann@a.test\r\nSubject: %s\r\n\r\n%s" % (name.encode(), noise) + f"end of {name}\r\n".encode()


class Sink(socketserver.ThreadingTCPServer):
    """Where mail for others goes to. ``before`` is called between a message and its 250."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", free_port()), Conversation)
        self.taken = []
        self.before = lambda: None
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class Conversation(socketserver.StreamRequestHandler):
    """As much SMTP as a client needs."""

    def handle(self):
        self.wfile.write(b"220 sink.test ESMTP\r\n")
        while verb := self.rfile.readline()[:4].upper():
            if verb == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                octets = b"".join(iter(self.rfile.readline, b".\r\n"))
                self.server.taken.append(re.search(rb"Subject: (\S+)", octets)[1].decode())
                self.server.before()
            said = self.server.taken[-1].encode() if verb == b"DATA" else b"sink.test"
            self.wfile.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 2.0.0 %s\r\n" % said)


class Site:
    """A server on a disk that fails, its clients, and what it acknowledged."""

    def __init__(self, folder):
        self.sink = Sink()
        self.node = Node(
            folder,
            extra=f'[queue]\nretry = [0.5]\n[queue.smarthost]\nhost = "127.0.0.1"\nport = {self.sink.server_address[1]}\n'
            'tls = "none"\n',
        )
        text = self.node.config.read_text().replace("[server]\n", "[server]\npartitions = 2\n", 1)
        self.node.config.write_text(
            text.replace('protocol = "smtp"\n', 'protocol = "smtp"\nno_policy_for = ["127.0.0.1/32"]\n')
        )
        self.disk = FaultyDisk(folder, self.node.data)
        self.node._env.update(self.disk.environment)
        self.node.start()
        for name in PEOPLE:
            self.node.add_account(f"{name}@a.test")
        self.dial = Dial(self.node, "none", False)
        self.acknowledged = []  # names, with whose they are
        self.numbers = 0
        self.connect()

    def connect(self):
        """Log in: one that works and one that looks."""
        self.smtp = self.dial.smtp()
        self.submission = self.dial.submission("ann@a.test")
        self.imap, self.looker = self.dial.imap("ann@a.test"), self.dial.imap("ann@a.test")
        self.imap.create("Other")

    def name(self):
        """A fresh name."""
        self.numbers += 1
        return f"m{self.numbers}"

    def append(self, name, size=0, mailbox="INBOX"):
        """Whether it is acknowledged; its UID is kept."""
        kind, told = self.imap.append(mailbox, None, None, content(name, size))
        if kind == "OK":
            self.uid = int(re.search(rb"APPENDUID \d+ (\d+)", told[0])[1])
        return self.accepts(kind, told)

    @staticmethod
    def accepts(kind, told):
        """Whether an answer of IMAP is OK; what is not says that it is temporary, or the quota's."""
        assert kind in ("OK", "NO"), told
        if kind == "NO":
            assert re.match(rb"\[(UNAVAILABLE|OVERQUOTA|SERVERBUG|INUSE)\]", told[0]), told
        return kind == "OK"

    def appended(self):
        """Return the UIDs of messages that are there for an operation."""
        self.imap.select("INBOX")
        uids = []
        for _ in range(TOGETHER):
            assert self.append(self.name())
            uids.append(self.uid)
        return ",".join(map(str, uids))

    def next_uid(self, mailbox):
        """Where what comes will stand."""
        return int(re.search(rb"UIDNEXT (\d+)", self.looker.status(mailbox, "(UIDNEXT)")[1][0])[1])

    def names(self, mailbox, uids="1:*", least=1, looker=None):
        """Return the names of messages, each of which must be whole."""
        looker = looker or self.looker
        assert looker.select(mailbox, readonly=True)[0] == "OK"
        kind, told = looker.uid("FETCH", uids, "(UID BODY.PEEK[])")
        assert kind == "OK", told
        found = []
        for row in told:
            if isinstance(row, tuple) and int(re.search(rb"UID (\d+)", row[0])[1]) >= least:
                name = re.search(rb"Subject: (\S+)", row[1])[1].decode()
                if name == "An":
                    continue  # "An account sends unusually much mail"
                assert row[1].endswith(f"end of {name}\r\n".encode())
                found.append(name)
        return found

    def flagged(self, uids):
        """Return how many of these messages are flagged."""
        self.looker.select("INBOX", readonly=True)
        kind, told = self.looker.uid("FETCH", uids, "(FLAGS)")
        assert kind == "OK", told
        return sum(b"\\Flagged" in row for row in told if row)

    def health(self):
        """Whether it says that all is well."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.node.ports['http']}/health", timeout=60) as answer:
            return json.load(answer)["status"] == "ok"


def transact(client, recipients, octets):
    """Whether a message is acknowledged; the reply is temporary where it is not."""
    try:
        client.sendmail("ann@a.test", [f"{one}" for one in recipients], octets)
    except smtplib.SMTPRecipientsRefused as error:
        replies = [code for code, _ in error.recipients.values()]
    except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
        replies = [error.smtp_code]
    else:
        return True
    assert all(400 <= code < 500 for code in replies), replies
    return False


class Arriving:
    """A message for people here."""

    def __init__(self, site, size=0, people=("ann",)):
        self.site, self.size, self.people = site, size, people
        self.name = site.name()
        self.least = site.next_uid("INBOX")

    def act(self):
        done = transact(self.site.smtp, [f"{one}@a.test" for one in self.people], content(self.name, self.size))
        if done:
            self.site.acknowledged += [(self.name, one) for one in self.people]
        return done

    def done(self):
        return self.site.names("INBOX", f"{self.least}:*", self.least).count(self.name)


class ArrivingLarge(Arriving):
    """One that becomes a file."""

    def __init__(self, site):
        super().__init__(site, LARGE)


class ArrivingForMany(Arriving):
    """One that goes through the queue: its recipients are in several partitions."""

    def __init__(self, site):
        super().__init__(site, 0, PEOPLE)


class Leaving:
    """A message to another server."""

    def __init__(self, site):
        self.site, self.name = site, site.name()

    def act(self):
        done = transact(self.site.submission, ["x@far.test"], content(self.name))
        if done:
            self.site.acknowledged.append((self.name, "far"))
        return done

    def done(self):
        return self.site.sink.taken.count(self.name)


class Appending:
    """APPEND."""

    size = 0

    def __init__(self, site):
        self.site, self.name, self.least = site, site.name(), site.next_uid("INBOX")

    def act(self):
        done = self.site.append(self.name, self.size)
        if done:
            self.site.acknowledged.append((self.name, "ann"))
        return done

    def done(self):
        return self.site.names("INBOX", f"{self.least}:*", self.least).count(self.name)


class AppendingLarge(Appending):
    """APPEND of what becomes a file."""

    size = LARGE


class Several:
    """An operation on several messages, all of them or none."""

    def __init__(self, site):
        self.site = site
        self.uids = site.appended()
        self.least = site.next_uid("Other")

    def act(self):
        return self.site.accepts(*self.command())

    def moved(self):
        return len(self.site.names("Other", f"{self.least}:*", self.least)) / TOGETHER

    def left(self):
        return len(self.site.names("INBOX", self.uids)) / TOGETHER


class Flagging(Several):
    """STORE."""

    def command(self):
        return self.site.imap.uid("STORE", self.uids, "+FLAGS.SILENT", "(\\Flagged)")

    def done(self):
        return self.site.flagged(self.uids) / TOGETHER


class Copying(Several):
    """COPY."""

    def command(self):
        return self.site.imap.uid("COPY", self.uids, "Other")

    def done(self):
        return self.moved()


class Moving(Several):
    """MOVE."""

    def command(self):
        return self.site.imap.uid("MOVE", self.uids, "Other")

    def done(self):
        assert self.moved() + self.left() == 1
        return self.moved()


class Expunging(Several):
    """UID EXPUNGE."""

    def __init__(self, site):
        super().__init__(site)
        site.imap.uid("STORE", self.uids, "+FLAGS.SILENT", "(\\Deleted)")

    def command(self):
        return self.site.imap.uid("EXPUNGE", self.uids)

    def done(self):
        return 1 - self.left()


class Popping(Several):
    """DELE and QUIT."""

    def __init__(self, site):
        super().__init__(site)
        self.client = wait_for(lambda: self.opened(site), "the lease of a session that could not end")
        for row in self.client.uidl()[1][-TOGETHER:]:
            self.client.dele(int(row.split()[0]))

    @staticmethod
    def opened(site):
        try:
            return site.dial.pop3("ann@a.test")
        except poplib.error_proto as error:
            assert b"[IN-USE]" in error.args[0]
            return None

    def act(self):
        try:
            return self.client.quit().startswith(b"+OK")
        except poplib.error_proto:
            return False
        finally:
            self.client.close()

    def done(self):
        return 1 - self.left()


OPERATIONS = (
    Arriving,
    ArrivingLarge,
    ArrivingForMany,
    Leaving,
    Appending,
    AppendingLarge,
    Flagging,
    Copying,
    Moving,
    Expunging,
    Popping,
)


@pytest.fixture(scope="module")
def site():
    # In memory: the faults are ours, and waiting for a real disk shows nothing more.
    with tempfile.TemporaryDirectory(prefix="mailnode-faulty-", dir=MEMORY, ignore_cleanup_errors=True) as folder:
        site = Site(Path(folder))
        yield site
        site.disk.lift()
        site.node.stop()
        site.sink.shutdown()
        site.sink.server_close()


def attempt(site, operation, fault, number):
    """Do an operation whose Nth call fails; return whether there was such a call."""
    one = operation(site)
    site.disk.arm(fault, number)
    acknowledged = one.act()
    hits = site.disk.hits
    site.disk.lift()
    assert acknowledged or hits, "it was refused although nothing failed"
    done = one.done()
    assert done in (0, 1)
    # What the queue has on its way comes; what was refused may be there all the same.
    assert done or not acknowledged or operation in (ArrivingForMany, Leaving)
    if not acknowledged:
        after = operation(site)
        assert after.act(), "the disk is well, and it is refused"
    return bool(hits)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_call_fails_in_turn(site, operation, fault):
    number = 1
    while attempt(site, operation, fault, number):
        number += 1
        assert number < MOST, "it does not end"
    assert number > 1 or fault.kinds == OPEN, "it never makes such a call"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_while_the_disk_stands_still_others_are_served(site, operation):
    one, answers = operation(site), []
    working = threading.Thread(target=lambda: answers.append(one.act()))
    site.looker.select("INBOX", readonly=True)
    site.disk.arm(STANDS_STILL, 1)
    working.start()
    wait_for(lambda: site.disk.hits, "a call that waits")
    assert site.looker.noop()[0] == "OK"
    assert site.looker.uid("FETCH", "1", "(FLAGS BODY.PEEK[])")[0] == "OK"
    assert answers == []
    site.disk.lift()
    working.join()
    assert answers == [True]
    wait_for(one.done, "what was acknowledged")


@pytest.mark.parametrize("kind", ["full", "write error", "sync error"])
def test_what_another_server_took_is_noted_and_goes_once(site, kind):
    def settled(name):
        return any(event["reply"].endswith(f" {name}") for event in site.node.events("queue.sent"))

    names = []
    while not names or site.disk.hits:
        one = Leaving(site)
        site.sink.before = lambda: site.disk.arm(FAULTS[kind], len(names))
        names.append(one.name)
        assert one.act()
        wait_for(lambda one=one: one.done() and (site.disk.hits or settled(one.name)), "the end of a try")
        site.disk.lift()
        site.sink.before = lambda: None
    for name in names:
        wait_for(lambda name=name: settled(name), "a settlement")
    assert [site.sink.taken.count(name) for name in names] == [1] * len(names)


def test_what_was_acknowledged_is_there_once(site):
    assert site.disk.trust == 0
    assert json.loads(site.node.ctl("store", "verify", "--json").stdout)["faults"] == []
    wait_for(site.health, "a server that is well")
    site.node.kill()
    site.node.start()
    wait_for(lambda: not site.node.queue(), "the end of the queue")
    held = {one: Counter(site.names("INBOX", looker=site.dial.imap(f"{one}@a.test"))) for one in PEOPLE}
    held["far"] = Counter(site.sink.taken)
    assert site.acknowledged
    for name, whose in site.acknowledged:
        assert held[whose][name] == 1
    assert {count for one in PEOPLE for count in held[one].values()} == {1}
