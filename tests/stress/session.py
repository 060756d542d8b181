"""One mail program under stress: it does what chance says, and believes what it is told."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.stress.client import Client, Lost
from tests.stress.ledger import Ledger
from tests.stress.model import Inconsistent, Message, Model, members
from tests.stress.results import SEARCHES, Result, ended, tag_of

REPLACED = "Replaced"  # where flags are replaced as a whole, so that nobody's own keyword lasts
MAILBOXES = ("INBOX", "Shared", REPLACED)
KINDS = (
    "plain",
    "condstore",
    "qresync",
    "imap4rev2",
    "uidonly",
    "qresync uidonly",
    "notify",
    "imap4rev2 qresync",
    "updates",
    "uidonly updates",
    "qresync updates",
)
RIGHTS = b"lrswite"  # what the reader may do
_FLAGS = (rb"\Seen", rb"\Flagged", rb"\Answered", rb"\Draft", b"one", b"two")
_COPYUID = re.compile(rb"OK \[COPYUID \d+ ([\d:,]+) ([\d:,]+)\]")
_STATUS = re.compile(rb'\* STATUS ("[^"]*"|\S+) \(.*?MESSAGES (\d+)')
_NOTIFY = (
    b"NOTIFY SET STATUS (SELECTED-DELAYED (MessageNew MessageExpunge FlagChange)) (%b (MessageNew MessageExpunge))"
)
# What a session of IMAP4rev2 is not told: something recent, numbers found, and flags without the UID (RFC 9051 7.5.2).
_REV1 = re.compile(rb"\* (?:\d+ RECENT|SEARCH|OK \[UNSEEN|\d+ FETCH \((?!.*\bUID )|\d+ FETCH .*\\Recent)", re.DOTALL)
_ENOUGH = 60  # messages of a mailbox, from which on fewer are added
_RECONNECTING = 60.0  # seconds in which a server must take connections again
Chosen = list[tuple[int, Message]]  # by number


@dataclass(frozen=True, slots=True)
class Account:
    """Who logs in, what stands before the names of the mailboxes, and how NOTIFY names them all."""

    user: str
    prefix: str = ""
    every: bytes = b"PERSONAL"

    def called(self, mailbox: str) -> bytes:
        """Return what it calls a mailbox."""
        return b'"%b%b"' % (self.prefix.encode(), mailbox.encode())

    def mailbox(self, name: bytes) -> str:
        """Return which mailbox a name is."""
        return name.strip(b'"').decode().removeprefix(self.prefix)


OWNER = Account("stress@a.test")
READER = Account("reader@a.test", f"Other Users/{OWNER.user}/", b'SUBTREE "Other Users"')


class Session:
    """One of them. Whatever it finds wrong is raised as :class:`Inconsistent`."""

    def __init__(self, node, number: int, seed: int, ledger: Ledger, kills: Callable[[], int]) -> None:
        """:param kills: how many processes were killed until now: only then may a connection be lost."""
        self.account = READER if number % 2 else OWNER  # of each kind one, and the other
        self.kind = KINDS[number % len(KINDS)]
        self.name = f"{number} ({self.kind}) of {self.account.user}"
        self._node, self._ledger, self._kills = node, ledger, kills
        self._chance = random.Random(f"{seed} {number}")
        self._mark = b"own%d" % number
        self._by_uid = "uidonly" in self.kind
        self._appended = 0
        self._seed = seed
        self._number = number
        self._client: Client | None = None
        self._killed_before = 0
        self.mailbox = ""
        self.model = Model(self._by_uid)
        self._saved: dict[str, Model] = {}
        self._results: dict[bytes, Result] = {}  # by tag, of the selected mailbox
        self.idle: bytes = b""
        self._statuses: dict[str, int] = {}  # messages of other mailboxes
        self._moved: tuple[list[int], list[int]] = [], []
        self.count = 0
        self.log: list[str] = []

    # --- one command

    def _ask(self, *commands: tuple[bytes, bool]) -> list[bytes]:
        """Send commands at once, each with whether EXPUNGE may come during it; return the tagged responses."""
        tags = [self._client.send(command) for command, _ in commands]
        answers = []
        for tag, (command, expunge) in zip(tags, commands, strict=True):
            self._note(f"C: {command[:120]!r}")
            for line in self._client.responses(tag):
                self._note(f"S: {line[:200]!r}")
                if line.startswith(b"* "):
                    self._take(line, expunge)
            self._end(line)
            if line.startswith(b"BAD"):
                raise Inconsistent(f"{command[:200]!r}: {line!r}")
            answers.append(line)
            self.count += 1
        return answers

    def _note(self, text: str) -> None:
        self.log.append(text)
        if len(self.log) > 400:
            del self.log[:200]

    def _take(self, line: bytes, expunge: bool) -> None:
        if "imap4rev2" in self.kind and _REV1.match(line):
            raise Inconsistent(f"IMAP4rev2 was told {line[:200]!r}")
        if self.mailbox:
            self._results_told(line, expunge)
            self.model.take(line, expunge)
        self._status_told(line)
        if found := _COPYUID.match(line, 2):
            self._moved = members(found[1]), members(found[2])

    def _results_told(self, line: bytes, expunge: bool) -> None:
        result = self._results.get(tag_of(line) or b"")
        if result is not None:
            result.take(line, expunge, len(self.model.slots))
        self._results.pop(ended(line) or b"", None)
        for number, uid in self.model.told_gone(line) if self._results else ():
            for one in self._results.values():
                one.expunged(number, uid)

    def _follow_results(self) -> None:
        """Ask to be told how results change; by numbers only where messages are told gone by number."""
        for command, by_uid, holds in SEARCHES if "updates" in self.kind else ():
            if by_uid or self.kind == "updates":
                tag = self._client.send(command)
                self._results[tag] = Result(command, by_uid, holds)
                self._note(f"C: {tag!r} {command!r}")
                for line in self._client.responses(tag):
                    self._note(f"S: {line[:200]!r}")
                    if line.startswith(b"* "):
                        self._take(line, command.startswith(b"UID"))
                self._end(line)

    def _status_told(self, line: bytes) -> None:
        if (found := _STATUS.match(line)) and self.account.mailbox(found[1]) != self.mailbox:
            self._statuses[self.account.mailbox(found[1])] = int(found[2])

    def _end(self, answer: bytes) -> None:
        if not self.mailbox:
            return
        self.model.end(answer)
        for lowest, highest in self.model.gone:
            self._ledger.gone(self.mailbox, lowest, highest)
        for uid, token in self.model.bodies:
            self._ledger.seen(self.mailbox, uid, token)
        self.model.gone.clear()
        self.model.bodies.clear()

    # --- its life

    def connect(self) -> None:
        """Connect, log in, and select a mailbox, as often as it takes."""
        deadline = time.monotonic() + _RECONNECTING
        while True:
            self._killed_before = self._kills()
            try:
                self._client = Client(self._node, self.account.user)
                self.mailbox = self.idle = ""
                enabled = [
                    word.upper().encode() for word in self.kind.split() if word in ("qresync", "uidonly", "imap4rev2")
                ]
                if enabled:
                    self._ask((b"ENABLE " + b" ".join(enabled), False))
                self._statuses = {}
                if self.kind == "notify":
                    self._ask((_NOTIFY % self.account.every, False))
                return self.select(self._chance.choice(MAILBOXES))
            except Lost as error:
                if time.monotonic() > deadline or not self._kills():
                    raise Inconsistent("no connection was taken") from error
                time.sleep(0.1)

    def select(self, mailbox: str) -> None:
        """Select a mailbox; with QRESYNC only what is new there is asked for."""
        self._leave()
        known = self._saved.get(mailbox) if "qresync" in self.kind else None
        about = b" (CONDSTORE)" if self.kind == "condstore" else b""
        if known is not None and known.modseq and known.slots:
            uids = b",".join(b"%d" % slot.uid for slot in known.slots)
            about = b" (QRESYNC (%d %d %b))" % (known.uidvalidity, known.modseq, uids)
        else:
            known = None
        *lines, answer = self._client.responses(self._client.send(b"SELECT " + self.account.called(mailbox) + about))
        self._note(f"C: SELECT {mailbox} {about!r}")
        self._note(f"S: {b' | '.join(lines)[-3000:]!r} {answer!r}")
        if not answer.startswith(b"OK"):
            raise Inconsistent(f"SELECT: {answer!r}")
        for line in lines:
            self._status_told(line)
        closed = [index for index, line in enumerate(lines) if line.startswith(b"* OK [CLOSED]")]
        del lines[: closed[0] + 1 if closed else 0]  # of the mailbox before
        self._statuses.pop(mailbox, None)
        model = Model(self._by_uid)
        model.select(lines, known)
        self.model, self.mailbox = model, mailbox
        if known is not None and known.uidvalidity != model.uidvalidity:
            raise Inconsistent("UIDVALIDITY changed")
        self._follow_results()
        self.learn()

    def _leave(self) -> None:
        """Remember what is known of the mailbox for its next SELECT."""
        if self.mailbox:
            self._saved.pop(self.mailbox, None)
            if self.model.complete and self.model.modseq:
                self._saved[self.mailbox] = self.model
        self.mailbox = ""
        self._results = {}

    def learn(self, whole: bool = False) -> None:
        """Fetch UIDs and flags that are not known yet, as programs do."""
        if self.model.slots and (whole or not self.model.complete):
            first = 1
            if not whole:
                first += max((slot.uid or 0 for slot in self.model.slots if slot.flags is not None), default=0)
            late = all(slot.uid is None or slot.uid >= first for slot in self.model.slots if slot.flags is None)
            self._ask((b"UID FETCH %d:* (UID FLAGS)" % (first if late else 1), True))

    def step(self) -> None:
        """Do one thing. A connection that is lost because a process was killed is made anew."""
        try:
            if self._client is None:
                self.connect()
            self._act()
            if self.mailbox and not self.idle and self._chance.random() < (0.8 if "qresync" in self.kind else 0.3):
                self.learn()
        except Lost as error:
            if self._kills() == self._killed_before:
                raise Inconsistent(f"the connection was lost: {error}") from error
            self.hang_up()

    @property
    def lives_through_a_kill(self) -> bool:
        """Whether a process was killed since it connected."""
        return self._kills() != self._killed_before

    def differs(self, truth: dict[str, dict[int, frozenset[bytes]]]) -> str:
        """Say in what it was told otherwise than the mailboxes are; "" when it was not."""
        if self.kind == "notify":
            for mailbox, messages in self._statuses.items():
                if mailbox in truth and messages != len(truth[mailbox]):
                    return f"{mailbox} was told to have {messages} messages, it has {len(truth[mailbox])}"
        return self.model.differs(truth[self.mailbox]) or self._results_differ(truth[self.mailbox])

    def _results_differ(self, truth: dict[int, frozenset[bytes]]) -> str:
        for result in self._results.values():
            if different := result.differs(truth, lambda uid: self._ledger.token(self.mailbox, uid)):
                return different
        return ""

    def news(self) -> None:
        """Ask whether anything is new."""
        time.sleep(0.2)
        self._ask((b"NOOP", True))

    def hang_up(self) -> None:
        """Close without a word, or after the server did."""
        self._leave()
        if self._client is not None:
            self._client.close()
        self._client, self.idle = None, b""

    # --- what it may do

    def _act(self) -> None:
        if self.idle:
            return self.end_idle()
        actions = [self._append] * 5 + [self._store] * 5 + [self._mark_own] * 4 + [self._fetch] * 4
        actions += [self._copy] * 2 + [self._move] * 2 + [self._expunge] * 2 + [self._search, self._saved_search]
        actions += [self._conditional, self._status, self._noop, self._begin_idle, self._switch, self._vanish]
        return self._chance.choice(actions)()

    def _some(self, most: int = 4) -> Chosen:
        """Choose neighbours whose UIDs are known: their numbers and what is known of them."""
        if not self.model.complete:
            self.learn()
        if not self.model.complete or not self.model.slots:
            return []
        first = self._chance.randrange(len(self.model.slots))
        last = first + self._chance.choice([1, 1, 2, most])
        return list(enumerate(self.model.slots, 1))[first : min(last, first + most)]

    def _target(self, chosen: Chosen, command: bytes) -> tuple[bytes, bool]:
        """Return a command about messages, by UID or number, and whether EXPUNGE may come during it."""
        if self._by_uid or self._chance.random() < 0.5:
            return b"UID " + command.replace(b"#", b"%d:%d" % (chosen[0][1].uid, chosen[-1][1].uid)), True
        return command.replace(b"#", b"%d:%d" % (chosen[0][0], chosen[-1][0])), command.split()[0] in (b"COPY", b"MOVE")

    def _append(self) -> None:
        mailbox = self._chance.choice((self.mailbox, *MAILBOXES))
        if len(self.model.slots) > _ENOUGH and self._chance.random() < 0.8:
            return
        self._appended += 1
        token = b"%d-%d-%d" % (self._seed, self._number, self._appended)
        body = b"y" * 70 + b"\r\n"
        body *= self._chance.choice([0, 1, 1, 5, 300])
        message = b"From: a@b.test\r\nSubject: %b\r\n\r\n%bend of %b\r\n" % (token, body, token)
        flags = self._some_flags()
        before = [(b"NOOP", True)] * self._chance.choice([0, 0, 2])
        append = b"APPEND %b (%b) {%d+}\r\n%b" % (self.account.called(mailbox), flags, len(message), message)
        answer = self._ask(*before, (append, True))[-1]
        uid = re.match(rb"OK \[APPENDUID \d+ (\d+)\]", answer)
        if uid is None:
            raise Inconsistent(f"APPEND: {answer!r}")
        self._ledger.appended(mailbox, int(uid[1]), token)

    def _some_flags(self) -> bytes:
        return b" ".join(self._chance.sample(_FLAGS, self._chance.randint(0, 3)))

    def _store(self) -> None:
        chosen = self._some()
        if not chosen:
            return
        flags = rb"\Deleted" if self._chance.random() < 0.3 else self._some_flags()
        mode = self._chance.choice([b"+", b"-", b""] if self.mailbox == REPLACED else [b"+", b"-"])
        silent = self._chance.random() < 0.4 and self.kind != "notify"  # to which older news may come meanwhile
        command = self._target(chosen, b"STORE # %bFLAGS%b (%b)" % (mode, b".SILENT" * silent, flags))
        before = [(slot, slot.flags) for _, slot in chosen]
        if silent:  # what is not told is taken for granted
            named = frozenset(flags.split())
            for slot, had in before:
                if had is not None:
                    slot.flags = {b"": named, b"+": had | named, b"-": had - named}[mode]
        try:
            [answer] = self._ask(command)
        except Lost:
            self._take_back(before)
            raise
        if silent and not answer.startswith(b"OK"):
            self._take_back(before)  # they are gone; that is told at the next command

    @staticmethod
    def _take_back(before: list[tuple[Message, frozenset[bytes] | None]]) -> None:
        for slot, flags in before:
            slot.flags = flags

    def _mark_own(self) -> None:
        chosen = self._some()
        if not chosen or self.mailbox == REPLACED:
            return
        set_ = self._chance.random() < 0.6
        self._marked(chosen, None)
        command = self._target(chosen, b"STORE # %bFLAGS (%b)" % (b"+" if set_ else b"-", self._mark))
        more = [] if command[1] else [self._target(chosen, b"FETCH # (UID FLAGS)")]  # no number changes between them
        answers = self._ask(command, *more)
        if answers[0].startswith(b"OK"):
            self._marked(chosen, set_)

    def _marked(self, chosen: Chosen, set_: bool | None) -> None:
        for _, slot in chosen:
            self._ledger.marked(self.mailbox, slot.uid, self._mark, set_)

    def _conditional(self) -> None:
        chosen = self._some(1)
        if not chosen or not chosen[0][1].modseq or self.mailbox == REPLACED:
            return
        slot = chosen[0][1]
        self._marked(chosen, None)
        store = b"UID STORE %d (UNCHANGEDSINCE %d) +FLAGS (%b)" % (slot.uid, slot.modseq, self._mark)
        [answer] = self._ask((store, True))
        if answer.startswith(b"OK") and b"MODIFIED" not in answer:
            self._marked(chosen, True)

    def _fetch(self) -> None:
        chosen = self._some()
        if chosen:
            items = [b"FLAGS", b"FLAGS INTERNALDATE", b"BODY.PEEK[]", b"BODY[]", b"BODY.PEEK[HEADER]"]
            self._ask(self._target(chosen, b"FETCH # (UID %b)" % self._chance.choice(items)))

    def _copy(self) -> None:
        chosen = self._some()
        if chosen and len(self.model.slots) < _ENOUGH:
            self._to_another(chosen, b"COPY")

    def _move(self) -> None:
        chosen = self._some()
        if not chosen:
            return
        try:
            self._to_another(chosen, b"MOVE")
        except Lost:
            for _, slot in chosen:
                self._ledger.perhaps_gone(self.mailbox, slot.uid)
            raise

    def _to_another(self, chosen: Chosen, verb: bytes) -> None:
        source, target, self._moved = self.mailbox, self._chance.choice(MAILBOXES), ([], [])
        named = {slot.uid for _, slot in chosen}
        [answer] = self._ask(self._target(chosen, b"%b # %b" % (verb, self.account.called(target))))
        if found := _COPYUID.search(answer):
            self._moved = members(found[1]), members(found[2])
        if len(self._moved[0]) != len(self._moved[1]) or not named.issuperset(self._moved[0]):
            raise Inconsistent(f"COPYUID {self._moved} of {named}")
        for uid, copy in zip(*self._moved, strict=True):
            self._ledger.appended(target, copy, self._ledger.token(source, uid))
            if verb == b"MOVE":
                self._ledger.gone(source, uid, uid)

    def _expunge(self) -> None:
        chosen = self._some(1)
        if not chosen:
            return
        uid = chosen[0][1].uid if self._chance.random() < 0.5 else None
        try:
            self._ask((b"UID EXPUNGE %d" % uid, True) if uid else (b"EXPUNGE", True))
        except Lost:
            self._ledger.perhaps_gone(self.mailbox, uid)
            raise

    def _search(self) -> None:
        self._ask((self._chance.choice([b"UID SEARCH UNSEEN", b"UID SEARCH RETURN (ALL COUNT) FLAGGED"]), True))
        if not self._by_uid:
            self._ask((b"SEARCH FLAGGED UNSEEN", False))

    def _saved_search(self) -> None:
        save = b"UID SEARCH RETURN (SAVE) UNSEEN", True
        use = (b"UID FETCH $ (FLAGS)", True) if self._by_uid else (b"FETCH $ (UID FLAGS)", False)
        self._ask(save, use)

    def _status(self) -> None:
        mailbox = self.account.called(self._chance.choice(MAILBOXES))
        self._ask((b"STATUS %b (MESSAGES UIDNEXT UNSEEN)" % mailbox, True))

    def _noop(self) -> None:
        self._ask((self._chance.choice([b"NOOP", b"CHECK"]), True))

    def _switch(self) -> None:
        self.select(self._chance.choice(MAILBOXES))

    def _vanish(self) -> None:
        if self._chance.random() < 0.5:
            self._client.send(b"LOGOUT")
        self.hang_up()

    # --- IDLE

    def _begin_idle(self) -> None:
        self.idle = self._client.send(b"IDLE")
        self._note("C: IDLE")
        while not (line := self._client.line()).startswith(b"+"):
            self._note(f"S: {line!r}")
            self._take(line, True)
        self.listen(self._chance.choice([0.0, 0.05, 0.5]))

    def listen(self, seconds: float) -> None:
        """Take in what comes during IDLE, for a time."""
        deadline = time.monotonic() + seconds
        while self._client.readable(max(0.0, min(0.2, deadline - time.monotonic()))) or time.monotonic() < deadline:
            if self._client.readable(0):
                line = self._client.line()
                self._note(f"S: {line!r}")
                self._take(line, True)

    def end_idle(self) -> None:
        """DONE."""
        self._client.write(b"DONE\r\n")
        self._note("C: DONE")
        for line in self._client.responses(self.idle):
            self._note(f"S: {line!r}")
            if line.startswith(b"* "):
                self._take(line, True)
        self.idle = b""
        self._end(line)
        if not line.startswith(b"OK"):
            raise Inconsistent(f"IDLE: {line!r}")
