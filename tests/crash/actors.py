"""Clients that go on until the server is gone. Each writes down what it is about to ask, and what it was told."""

from __future__ import annotations

import poplib
import random
import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable

from tests.crash.expected import FAR, Expected, There
from tests.crash.journal import Journal
from tests.crash.messages import content, name
from tests.stress.client import Client, Lost
from tests.stress.model import members

READERS = ("ann@a.test", "bob@a.test")  # by IMAP
FETCHER = "pop@a.test"  # by POP3
MAILBOXES = ("INBOX", "Kept", "Moved")
FLAGS = (r"\Seen", r"\Flagged", r"\Answered", "own")
GONE = (Lost, OSError, EOFError, smtplib.SMTPServerDisconnected)
_ENOUGH = 12  # messages of a mailbox, from which on more are expunged than come
_CODE = re.compile(rb"OK \[(\w+)([^\]]*)\]")


class Refused(Exception):
    """The server did not do what it can do."""


class Actor(threading.Thread):
    """One client. ``trouble``: what went wrong though nobody had killed the server."""

    def __init__(
        self, node, journal: Journal, expected: Expected, number: int, seed: str, gone: Callable[[], bool]
    ) -> None:
        """:param number: of the time the server was started. :param gone: whether it is being killed."""
        super().__init__(name=f"{type(self).__name__} {seed}")
        self.node, self.journal, self.expected, self.number, self.gone = node, journal, expected, number, gone
        self.chance = random.Random(seed)
        self.trouble: Exception | None = None
        self._names = 0

    def run(self) -> None:
        try:
            self.work()
        except GONE as error:
            self.trouble = None if self.gone() else error
        except Exception as error:
            if not self.gone() or not isinstance(error, (Refused, smtplib.SMTPException, poplib.error_proto)):
                self.trouble = error
        finally:
            self.journal.hang_up()

    def work(self) -> None:
        """Go on until the connection is gone."""
        raise NotImplementedError

    def new_name(self) -> str:
        """Return one of a message that nobody sent yet: one in six goes into a file of its own."""
        self._names += 1
        lines = self.chance.choice((1, 3, 10, 30, 100, 2500))
        return name(f"{type(self).__name__.lower()}-{self.number}", self._names, lines)

    def accounts(self) -> list[str]:
        """Return some."""
        return self.chance.sample((*READERS, FETCHER), self.chance.choice((1, 1, 2)))


class Stranger(Actor):
    """Another server, without TLS."""

    def connect(self) -> smtplib.SMTP:
        """Return a connection, greeted."""
        return smtplib.SMTP(self.node.address, self.node.ports["smtp"], timeout=60)

    def recipients(self) -> list[str]:
        """Return whom the next message is for."""
        return self.accounts()

    def work(self) -> None:
        client = self.connect()
        try:
            while True:
                to, message = self.recipients(), self.new_name()
                asked = self.journal.begun("deliver", name=message, to=[FAR if "far" in one else one for one in to])
                refused = client.sendmail("ann@a.test", to, content(message))
                if refused:
                    raise Refused(refused)
                self.journal.done(asked)
        finally:
            client.close()


class Submitter(Stranger):
    """A user's program: over TLS, with a login, to others here and elsewhere."""

    def connect(self) -> smtplib.SMTP:
        context = ssl.create_default_context(cafile=self.node.ca)
        client = smtplib.SMTP_SSL("localhost", self.node.ports["submissions"], timeout=60, context=context)
        client.login("ann@a.test", self.node.password)
        return client

    def recipients(self) -> list[str]:
        return self.chance.choice((["you@far.test"], self.accounts(), [*self.accounts(), "you@far.test"]))


class HandsOver(Actor):
    """Speaks LMTP, whose end of data is answered for each recipient."""

    def work(self) -> None:
        with socket.create_connection((self.node.address, self.node.ports["lmtp"]), 60) as connection:
            self.lines = connection.makefile("rb")
            self._reply(b"2")
            while True:
                to, message = self.accounts(), self.new_name()
                asked = self.journal.begun("deliver", name=message, to=to)
                for command in ("LHLO x", "MAIL FROM:<x@far.test>", *(f"RCPT TO:<{one}>" for one in to), "DATA"):
                    connection.sendall(command.encode() + b"\r\n")
                    self._reply(b"3" if command == "DATA" else b"2")
                connection.sendall(content(message) + b".\r\n")
                for _ in to:
                    self._reply(b"2")
                self.journal.done(asked)

    def _reply(self, wanted: bytes) -> None:
        while (line := self.lines.readline())[3:4] == b"-":
            pass
        if not line:
            raise EOFError
        if not line.startswith(wanted):
            raise Refused(line)


class Fetcher(Actor):
    """Fetches by POP3, and deletes most of what it fetched."""

    def work(self) -> None:
        while True:
            client = poplib.POP3_SSL(
                "localhost",
                self.node.ports["pop3s"],
                timeout=60,
                context=ssl.create_default_context(cafile=self.node.ca),
            )
            try:
                client.user(FETCHER)
                client.pass_(self.node.password)
                self._fetch(client)
            except poplib.error_proto as error:
                raise (EOFError() if "EOF" in str(error) else error) from error
            finally:
                client.close()

    def _fetch(self, client: poplib.POP3) -> None:
        known = set(self.expected_names())
        deleted = []
        for number in range(1, len(client.list()[1]) + 1):
            lines = client.retr(number)[1]
            subject = next(line for line in lines if line.startswith(b"Subject: "))[9:].decode()
            if subject in known and len(deleted) < 6 and self.chance.random() < 0.8:
                client.dele(number)
                deleted.append(subject)
        asked = self.journal.begun("expunge", account=FETCHER, mailbox="INBOX", names=deleted)
        client.quit()
        self.journal.done(asked)

    def expected_names(self) -> list[str]:
        """Return what was acknowledged, so that it is known whose it is."""
        self.journal.feed(self.expected)
        return self.expected.certain((FETCHER, "INBOX"))


class Reader(Actor):
    """A mail program on IMAP, the only one of its account."""

    account = READERS[0]

    def work(self) -> None:
        self.client = Client(self.node, self.account)
        self.uids: dict[str, int] = {}
        try:
            while True:
                self._select(self.chance.choice(MAILBOXES))
                for _ in range(self.chance.randint(1, 4)):
                    self.chance.choice((self._append, self._flag, self._flag, self._copy, self._move, self._expunge))()
        finally:
            self.client.close()

    def _ask(self, command: bytes) -> tuple[list[bytes], tuple[str, list[bytes]]]:
        """Return the untagged responses and the code of OK with its words."""
        *lines, last = self.client.responses(self.client.send(command))
        if not last.startswith(b"OK"):
            raise Refused(command[:100] + b": " + last)
        found = _CODE.match(last)
        return lines, (found[1].decode(), found[2].split()) if found else ("", [])

    def _select(self, mailbox: str) -> None:
        self.mailbox = mailbox
        self._ask(b"SELECT " + mailbox.encode() + b" (CONDSTORE)")
        self.uids = {}
        for line in self._ask(b"UID FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[0]:
            found = re.search(rb"UID (\d+)", line), re.search(rb"Subject: (\S+)", line)
            if all(found):
                self.uids[found[1][1].decode()] = int(found[0][1])

    def _some(self, without: str = "") -> list[str]:
        """Return up to three messages of this mailbox that were acknowledged; none of them is in another."""
        self.journal.feed(self.expected)
        names = [one for one in self.expected.certain((self.account, self.mailbox)) if one in self.uids]
        if without:
            there = self.expected.held.get((self.account, without), {})
            names = [one for one in names if one not in there or there[one].there is There.NO]
        return sorted(
            self.chance.sample(names, min(len(names), self.chance.randint(1, 3))), key=lambda one: self.uids[one]
        )

    def _set(self, names: list[str]) -> bytes:
        return ",".join(str(self.uids[one]) for one in names).encode()

    def _begun(self, kind: str, names: list[str], **more):
        return self.journal.begun(kind, account=self.account, mailbox=self.mailbox, names=names, **more)

    def _append(self) -> None:
        if len(self.uids) > _ENOUGH:
            return
        message, flags = self.new_name(), self.chance.sample(FLAGS, 1)
        octets = content(message)
        asked = self.journal.begun("append", account=self.account, mailbox=self.mailbox, name=message, flags=flags)
        _, (code, words) = self._ask(
            f"APPEND {self.mailbox} ({' '.join(flags)}) {{{len(octets)}+}}\r\n".encode() + octets
        )
        assert code == "APPENDUID"
        self.uids[message] = int(words[1])
        self.journal.done(asked, uids=[int(words[1])])

    def _flag(self) -> None:
        if names := self._some():
            self._store(names, [self.chance.choice(FLAGS)], self.chance.random() < 0.7)

    def _store(self, names: list[str], flags: list[str], add: bool) -> None:
        asked = self._begun("flag", names, flags=flags, add=add)
        lines, _ = self._ask(
            b"UID STORE %s %sFLAGS (%s)" % (self._set(names), b"+" if add else b"-", flags[0].encode())
        )
        modseqs = [int(found[1]) for line in lines if (found := re.search(rb"MODSEQ \((\d+)\)", line))]
        self.journal.done(asked, modseq=max(modseqs, default=0))

    def _copy(self) -> None:
        self._elsewhere("copy")

    def _move(self) -> None:
        self._elsewhere("move")

    def _elsewhere(self, kind: str) -> None:
        to = self.chance.choice([one for one in MAILBOXES if one != self.mailbox])
        if not (names := self._some(without=to)):
            return
        asked = self._begun(kind, names, to=to)
        lines, (_, words) = self._ask(b"UID %s %s %s" % (kind.upper().encode(), self._set(names), to.encode()))
        if kind == "move":
            words = next(
                found[2].split() for line in lines if (found := _CODE.match(line, 2)) and found[1] == b"COPYUID"
            )
            for one in names:
                del self.uids[one]
        self.journal.done(asked, uids=members(words[2]))

    def _expunge(self) -> None:
        for _ in range(1 + len(self.uids) // _ENOUGH):
            if not (names := self._some()):
                return
            self._store(names, [r"\Deleted"], True)
            asked = self._begun("expunge", names)
            self._ask(b"UID EXPUNGE " + self._set(names))
            for one in names:
                del self.uids[one]
            self.journal.done(asked)


class OtherReader(Reader):
    """The same of another account."""

    account = READERS[1]


ACTORS = (Stranger, Submitter, HandsOver, Fetcher, Reader, OtherReader)
