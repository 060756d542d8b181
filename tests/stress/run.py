"""A server, sessions that work on few mailboxes of one account at once, half of them another account's that has rights to them,
and rounds after each of which all must agree."""

from __future__ import annotations

import os
import random
import re
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from math import inf
from pathlib import Path

from tests.end_to_end.servers import MailNode, wait_for
from tests.end_to_end.ways import EveryWay
from tests.stress.client import Client, Lost
from tests.stress.ledger import Ledger
from tests.stress.model import Inconsistent
from tests.stress.session import MAILBOXES, OWNER, READER, RIGHTS, Account, Session

_TOLD_WITHIN = 20.0  # seconds in which a change must be told: 5 where a hint was lost, the rest is for a slow machine
DROPPED_HINTS = Path(__file__).parent / "dropped_hints"
Truth = dict[str, dict[int, frozenset[bytes]]]


class Node(EveryWay, MailNode):
    """A server with several processes."""

    def __init__(self, folder: Path, workers: int, *, drop_hints: bool, extra: str = "") -> None:
        self._workers = workers
        super().__init__(folder, path=(DROPPED_HINTS,) if drop_hints else (), extra=extra)

    def _configuration(self, *arguments) -> str:
        text: str = super()._configuration(*arguments)
        return text.replace("[server]\n", f"[server]\nworkers = {self._workers}\ngrace = 10.0\n", 1)

    @property
    def workers(self) -> list[int]:
        """The process ids of those beside the first."""
        ended = {(event["worker"], event["pid"]) for event in self.events("worker.ended")}
        started = {(event["worker"], event["pid"]) for event in self.events("worker.start")}
        return [pid for _, pid in sorted(started - ended)]


class Stress:
    """One run."""

    def __init__(
        self,
        folder: Path,
        *,
        seed: int,
        workers: int = 2,
        sessions: int = 18,
        drop_hints: bool = False,
        extra: str = "",
    ) -> None:
        """:param extra: more of the configuration."""
        self.node = Node(folder, workers, drop_hints=drop_hints, extra=extra)
        self.ledger = Ledger()
        self.kills = 0
        self._killing = threading.Lock()
        self._chance = random.Random(seed)
        self.sessions = [Session(self.node, n, seed, self.ledger, self._killed) for n in range(sessions)]

    def run(self, *, rounds: int, round_seconds: float = 5.0, most_seconds: float = inf) -> None:
        """Run so many rounds, fewer where so many seconds have passed after one; in every other one a process is killed.

        :raises Inconsistent: the server contradicted itself.
        """
        ends = time.monotonic() + most_seconds
        self.node.start()
        try:
            for account in (OWNER, READER):
                self.node.add_account(account.user)
            self._make_mailboxes()
            with ThreadPoolExecutor(len(self.sessions)) as threads:
                for number in range(rounds):
                    self._round(threads, round_seconds, kill=number % 2 == 1)
                    if time.monotonic() > ends:
                        break
        finally:
            for session in self.sessions:
                session.hang_up()
            ended = self.node.stop()
        if ended:
            raise Inconsistent(f"the server ended with {ended}")
        self._check_log()

    def _make_mailboxes(self) -> None:
        first = Client(self.node, OWNER.user)
        for mailbox in MAILBOXES:
            name = mailbox.encode()
            list(first.responses(first.send(b"CREATE " + name)))
            *_, answer = first.responses(first.send(b"SETACL %b %b %b" % (name, READER.user.encode(), RIGHTS)))
            if not answer.startswith(b"OK"):
                raise Inconsistent(f"SETACL: {answer!r}")
        first.close()

    def _round(self, threads: ThreadPoolExecutor, seconds: float, kill: bool) -> None:
        until = time.monotonic() + seconds
        working = [threads.submit(self._work, session, until) for session in self.sessions]
        if kill and self.node.workers:
            time.sleep(seconds * self._chance.random())
            self._kill_one()
        for work in working:
            work.result()
        truth = {account: self._truth(account) for account in (OWNER, READER)}
        for check in [threads.submit(self._agree, session, truth[session.account]) for session in self.sessions]:
            check.result()

    def _work(self, session: Session, until: float) -> None:
        while time.monotonic() < until:
            self._watched(session, session.step)

    @staticmethod
    def _watched(session: Session, action) -> None:
        try:
            action()
        except Exception as error:
            error.add_note(f"session {session.name} in {session.mailbox}:\n" + "\n".join(session.log[-60:]))
            raise

    def _killed(self) -> int:
        """How many processes were killed: never one that still serves, nor one less than connections were lost by."""
        with self._killing:
            return self.kills

    def _kill_one(self) -> None:
        before = self.node.workers
        with self._killing:
            os.kill(self._chance.choice(before), signal.SIGKILL)
            self.kills += 1
        wait_for(lambda: len(self.node.workers) == len(before) and self.node.workers != before, "another worker")

    def _truth(self, account: Account) -> Truth:
        """What somebody sees who comes now."""
        client, truth = Client(self.node, account.user), {}
        for mailbox in MAILBOXES:
            list(client.responses(client.send(b"EXAMINE " + account.called(mailbox))))
            lines = client.responses(client.send(b"UID FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))
            truth[mailbox] = {}
            for line in lines:
                if found := re.match(rb"\* \d+ FETCH \((?=.*\bUID (\d+))(?=.*FLAGS \(([^)]*)\))", line, re.DOTALL):
                    truth[mailbox][int(found[1])] = frozenset(found[2].split()) - {rb"\Recent"}
                    subject = re.search(rb"Subject: (\S+)", line)
                    self.ledger.seen(mailbox, int(found[1]), subject[1])
            self.ledger.check(mailbox, truth[mailbox])
        client.close()
        return truth

    def _agree(self, session: Session, truth: Truth) -> None:
        """Whoever asks, or waits in IDLE, ends with what is there. Whose process was killed behind their last step comes anew."""
        try:
            self._watched(session, lambda: self._asked(session, truth))
        except Lost:
            if not session.lives_through_a_kill:
                raise
            session.hang_up()
            self._watched(session, lambda: self._asked(session, truth))

    @staticmethod
    def _asked(session: Session, truth: Truth) -> None:
        while not session.mailbox:
            session.connect()
        Stress._told(session, truth)
        if session.idle:
            session.end_idle()
        session.learn(whole=True)  # what it did not know yet may be as old as a hint that was lost
        Stress._told(session, truth)
        deadline = time.monotonic() + _TOLD_WITHIN
        while not session.model.complete and time.monotonic() < deadline:  # of what was told behind that FETCH
            session.learn()
            Stress._told(session, truth)
        if not session.model.complete:
            raise Inconsistent("FETCH left messages out")

    @staticmethod
    def _told(session: Session, truth: Truth) -> None:
        deadline = time.monotonic() + _TOLD_WITHIN
        while (different := session.differs(truth)) and time.monotonic() < deadline:
            if session.idle:
                session.listen(0.2)
            else:
                session.news()
        if different:
            raise Inconsistent(f"was never told: {different}")

    def _check_log(self) -> None:
        """Nothing went wrong inside but what was killed."""
        wrong = [line for line in self.node.process.lines if "Traceback" in line or '"level": "critical"' in line]
        if wrong:
            raise Inconsistent("\n".join(wrong[:20]))

    @property
    def commands(self) -> int:
        """How many were answered."""
        return sum(session.count for session in self.sessions)
