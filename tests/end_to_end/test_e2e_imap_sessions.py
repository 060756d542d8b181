"""IMAP and POP3 sessions of a real server beside each other: agreement, promptness, bounded memory, locks."""

import contextlib
import poplib
import random
import re
import signal
import smtplib
import socket
import ssl
import threading
import time

import pytest
from imap_wire import Wire, seconds
from servers import PASSWORD, MailNode, wait_for
from ways import Dial, every_way

MESSAGE = b"From: a@a.test\r\nSubject: %s\r\nMessage-ID: <%s@a.test>\r\n\r\nbody of %s\r\n"
STEPS = 500  # of each client's history
FLAGS = ("\\Seen", "\\Flagged", "\\Deleted", "\\Answered", "$Work", "$Later")


def message(name: str) -> bytes:
    return MESSAGE % ((name.encode(),) * 3)


@pytest.fixture(autouse=True)
def _hang_up():
    yield
    while Wire.opened:
        Wire.opened.pop().close()


def fill(wire: Wire, count: int, mailbox: str = "INBOX") -> None:
    """Append one small message and copy it until there are enough."""
    wire.append(mailbox, message("first"))
    wire.ask(f"SELECT {mailbox}")
    held = 1
    while held < count:
        more = min(held, count - held)
        wire.ask(f"COPY 1:{more} {mailbox}")
        held += more


class Follower:
    """A client that believes what it is told about its mailbox: numbers, UIDs, flags."""

    FETCHED = re.compile(rb"\* (\d+) FETCH \((?:UID (\d+) ?)?(?:FLAGS \(([^)]*)\))?.*\)")

    def __init__(self, wire: Wire, mailbox: str) -> None:
        self.wire = wire
        self.numbers: list[int | None] = []  # UIDs by sequence number; None: not asked yet
        self.flags: dict[int, frozenset[bytes]] = {}
        self.told: set[int] = set()  # UIDs whose flags came since this was emptied
        self.take(wire.ask(f"SELECT {mailbox}"))
        self.learn()

    def ask(self, command: str) -> bytes:
        answer, untagged = self.wire.finish(self.wire.begin(command))
        self.take(untagged)
        return answer

    def store(self, some: range, sign: str, silent: bool, flag: str) -> None:
        """STORE; what .SILENT leaves unsaid is what was asked for."""
        uids = [self.numbers[number - 1] for number in some]
        self.told.clear()
        answer = self.ask(f"STORE {some[0]}:{some[-1]} {sign}FLAGS{'.SILENT' if silent else ''} ({flag})")
        if not answer.startswith(b"OK"):  # some are expunged: what became of the others must be asked for
            self.ask(f"FETCH {some[0]}:{some[-1]} (UID FLAGS)")
        elif silent:
            for uid in set(uids) - self.told:
                now, one = self.flags[uid], {flag.encode()}
                self.flags[uid] = frozenset(one if not sign else now | one if sign == "+" else now - one)
        elif not self.told >= set(uids):  # others expunged them, and say so now
            self.ask("NOOP")
            assert (set(uids) - self.told).isdisjoint(self.numbers)

    def append(self, mailbox: str, content: bytes) -> None:
        tag = self.wire.begin(f"APPEND {mailbox} {{{len(content)}+}}")
        self.wire.send(content + b"\r\n")
        self.take(self.wire.finish(tag)[1])

    def take(self, lines: list[bytes]) -> None:
        for line in lines:
            words = line.split()
            if words[2:3] == [b"EXPUNGE"]:
                del self.numbers[int(words[1]) - 1]
            elif words[2:3] == [b"EXISTS"]:
                assert int(words[1]) >= len(self.numbers), "EXISTS fell without EXPUNGE"
                self.numbers += [None] * (int(words[1]) - len(self.numbers))
            elif words[2:3] == [b"FETCH"]:
                self._fetched(line)

    def _fetched(self, line: bytes) -> None:
        number, uid, flags = self.FETCHED.fullmatch(line).groups()
        place = int(number) - 1
        assert place < len(self.numbers), "FETCH of a message nobody announced"
        if uid is not None:
            assert self.numbers[place] in (None, int(uid)), "a number changed its message"
            self.numbers[place] = int(uid)
        if flags is not None and self.numbers[place] is not None:
            self.flags[self.numbers[place]] = frozenset(flags.split()) - {b"\\Recent"}
            self.told.add(self.numbers[place])

    def learn(self) -> None:
        """Ask for all that was not asked for yet."""
        while None in self.numbers:
            assert self.ask(f"FETCH {self.numbers.index(None) + 1}:* (UID FLAGS)").startswith(b"OK")

    def state(self) -> list[tuple[int | None, frozenset[bytes]]]:
        return [(uid, self.flags[uid]) for uid in self.numbers]


def play(node, seed: int, results: list) -> None:
    """One client's history, on a mailbox that others change too."""
    chance = random.Random(seed)
    follower = Follower(Wire(node, "alice@a.test"), "Shared")
    results.append(follower)
    for step in range(STEPS):
        try:
            act(follower, chance, f"{seed}-{step}")
        except Exception as error:  # told by the test, not by a thread
            results.append((seed, step, error))
            raise


def act(follower: Follower, chance: random.Random, name: str) -> None:
    """One thing a client does."""
    held = len(follower.numbers)
    low = chance.randint(1, held) if held else 0
    some = range(low, min(held, low + chance.randrange(4)) + 1)
    other = chance.choice(("Shared", "Other"))
    kind = chance.random()
    if held and kind < 0.4:
        follower.store(some, chance.choice(("+", "-", "")), chance.random() < 0.5, chance.choice(FLAGS))
    elif held and kind < 0.5:
        follower.ask(f"COPY {some[0]}:{some[-1]} {other}")
    elif held and kind < 0.58:
        follower.ask(f"MOVE {some[0]}:{some[-1]} {other}")
    elif held and kind < 0.68:
        follower.ask("EXPUNGE")
    elif held and kind < 0.8:
        follower.ask(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {chance.randrange(1, 500)})")
    elif kind < 0.9 and held < 60:
        follower.append("Shared", message(name))
    else:
        follower.ask("NOOP")
    follower.learn()


def test_sessions_agree_after_random_histories(node):
    """Three clients change one mailbox at the same time; at the end each of them, by what it was told alone, knows what
    a fresh one finds."""
    first = Wire(node, "alice@a.test")
    for mailbox in ("Shared", "Other"):
        first.ask(f"CREATE {mailbox}")
    for number in range(20):
        first.append("Shared", message(f"start-{number}"))
    results: list = []
    clients = [threading.Thread(target=play, args=(node, seed, results)) for seed in (101, 202, 303)]
    for client in clients:
        client.start()
    for client in clients:
        client.join(120)
    assert [one for one in results if not isinstance(one, Follower)] == []
    truth = Follower(Wire(node, "alice@a.test"), "Shared").state()
    assert truth and [uid for uid, _ in truth] == sorted({uid for uid, _ in truth})
    for follower in results:
        follower.ask("NOOP")
        follower.learn()
        assert follower.state() == truth
    assert b"(MESSAGES %d)" % len(truth) in first.ask("STATUS Shared (MESSAGES)")[0]


def test_five_idle_sessions_hear_of_a_thousand_deliveries(node):
    """Each is told of every message, the first within a second and the last soon after it came."""
    idle = [Wire(node, "bob@a.test", "INBOX") for _ in range(5)]
    tags = [wire.idle() for wire in idle]
    deliver(node, "bob@a.test", 1)
    for wire in idle:
        assert seconds(lambda wire=wire: exists(wire, 1)) < 1
    threads = [threading.Thread(target=deliver, args=(node, "bob@a.test", 333)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    for wire in idle:
        assert seconds(lambda wire=wire: exists(wire, 1000)) < 2
    for wire, tag in zip(idle, tags, strict=True):
        wire.send(b"DONE\r\n")
        assert wire.finish(tag)[0].startswith(b"OK")
        wire.close()


def deliver(node, recipient: str, count: int) -> None:
    with smtplib.LMTP(node.address, node.ports["lmtp"]) as client:
        client.ehlo_or_helo_if_needed()
        for number in range(count):
            client.sendmail("load@side.test", [recipient], message(str(number)))


def exists(wire: Wire, count: int) -> None:
    """Read until the mailbox is told to hold so many; it never shrinks and never jumps over."""
    seen = 0
    while seen < count:
        line = wire.line()
        if line.endswith(b" EXISTS"):
            assert seen < int(line.split()[1]) <= count
            seen = int(line.split()[1])


def resident(node) -> int:
    """Octets of memory the server's process holds."""
    with open(f"/proc/{node.process.popen.pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))


@pytest.fixture
def large(node):
    """A mailbox of 200 MB in messages of 4 MB."""
    body = b"".join(b"%076d\r\n" % number for number in range(4 * 1024 * 1024 // 78))
    wire = Wire(node, "alice@a.test")
    wire.ask("CREATE Large")
    wire.append("Large", b"Subject: large\r\n\r\n" + body)
    wire.ask("SELECT Large")
    for number in (1, 2, 4, 8, 16, 18):
        wire.ask(f"COPY 1:{number} Large")
    wire.ask("SELECT Large")
    yield wire
    with contextlib.suppress(OSError):
        wire.ask("SELECT INBOX")
        wire.ask("DELETE Large")


def test_a_reader_that_stops_costs_little_memory_and_nobody_else(node, large):
    before = resident(node)
    readers = [Wire(node, "alice@a.test", "Large", dial=dial) for dial in node.dials(receive_buffer=4096)]
    for reader in readers:
        reader.begin("FETCH 1:* BODY.PEEK[]")
        assert reader.socket.recv(100)
    other = Wire(node, "bob@a.test", "INBOX")
    slowest = max(seconds(lambda: other.ask("NOOP")) for _ in range(50))
    assert slowest < 1
    time.sleep(1)
    assert resident(node) - before < 64 * 1024 * 1024
    for reader in readers:
        reader.close()
    for dial in node.dials():
        with Wire(node, "alice@a.test", "Large", dial=dial) as reader:
            assert sum(map(len, reader.ask("FETCH 1:10 BODY.PEEK[]"))) > 40_000_000
    assert resident(node) - before < 64 * 1024 * 1024


@every_way
def test_a_connection_lost_in_append_leaves_nothing(node, way):
    wire = Wire(node, "alice@a.test", dial=Dial(node, *way))
    files = {path for path in node.data.rglob("*") if path.is_file()}
    tag = wire.begin("APPEND Archive {8000000}")
    assert wire.line().startswith(b"+ ")
    wire.send(b"Subject: half\r\n\r\n" + b"x" * 6_000_000)
    wait_for(lambda: {p for p in node.data.rglob("*") if p.is_file()} - files, f"a temporary file for {tag!r}")
    wire.close()
    wait_for(lambda: not ({p for p in node.data.rglob("*") if p.is_file()} - files), "no file left")
    again = Wire(node, "alice@a.test")
    assert again.ask("STATUS Archive (MESSAGES)") == [b"* STATUS Archive (MESSAGES 0)"]


def waits_beside(other, wire, command):
    """Return how long another session's commands took while one is at work."""
    thread = threading.Thread(target=wire.ask, args=(command,))
    thread.start()
    waits = []
    while thread.is_alive():
        waits.append(seconds(lambda: other.ask("CAPABILITY")))
    thread.join()
    return waits


def test_nobody_waits_while_twenty_thousand_messages_are_listed(node):
    """Another session's NOOP comes between the pieces of a long FETCH, COPY, STORE, SEARCH and MOVE."""
    wire = Wire(node, "alice@a.test")
    wire.ask("CREATE Many")
    wire.ask("CREATE Copies")
    fill(wire, 20_000, "Many")
    wire.ask("SELECT Many")
    other = Wire(node, "bob@a.test", "INBOX")
    waits: dict[str, list[float]] = {}
    for dial in node.dials():
        with Wire(node, "alice@a.test", "Many", dial=dial) as reader:
            waits[dial.name] = waits_beside(other, reader, "FETCH 1:* (FLAGS ENVELOPE BODYSTRUCTURE)")
    for command in (
        "UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1)",
        "UID SEARCH RETURN (ALL COUNT) UNSEEN",
        "STORE 1:* +FLAGS.SILENT (\\Flagged)",
        "COPY 1:* Copies",
        "MOVE 1:* Copies",
    ):
        waits[command] = waits_beside(other, wire, command)
    # The machine of a test may be busy: what is held against a command is that its pieces are not its whole.
    for command, found in waits.items():
        assert sorted(found)[len(found) // 2] < 0.1, command
        assert max(found) < 1, command
    assert wire.ask("STATUS Copies (MESSAGES)") == [b"* STATUS Copies (MESSAGES 40000)"]


def pop3(node, user: str) -> poplib.POP3:
    context = ssl.create_default_context(cafile=node.ca)
    client = poplib.POP3_SSL(node.address, node.ports["pop3s"], context=context, timeout=60)
    client.user(user)
    client.pass_(PASSWORD)
    return client


# IMAP trap 45: sizes
def test_pop3_sizes_are_what_retr_sends(node):
    """Also of a message whose last line has no end, and of one with dots at the start of lines."""
    wire = Wire(node, "alice@a.test")
    for content in (
        b"Subject: x\r\n\r\nno end",
        b"Subject: x\r\n\r\n.dot\r\n..\r\n.",
        b"Subject: x\r\n\r\n",
        b"Subject: x",
    ):
        assert wire.append("INBOX", content).startswith(b"OK")
    client = pop3(node, "alice@a.test")
    count, octets = client.stat()
    sizes = [int(row.split()[1]) for row in client.list()[1]]
    assert (len(sizes), sum(sizes)) == (count, octets)
    for number, size in enumerate(sizes, 1):
        # poplib unstuffs lines and counts their ends
        assert sum(len(line) + 2 for line in client.retr(number)[1]) == size
    client.quit()


# IMAP trap 48: both at once
def test_pop3_and_imap_beside_each_other(node):
    """What POP3 deletes IMAP sees at QUIT; what IMAP expunges POP3 cannot read any more, and its numbers stay."""
    node.add_account("dora@a.test")
    wire = Wire(node, "dora@a.test", "INBOX")
    for name in ("one", "two", "three"):
        wire.append("INBOX", message(name))
    idle = Wire(node, "dora@a.test", "INBOX")
    idle.idle()
    client = pop3(node, "dora@a.test")
    names = client.uidl()[1]
    wire.ask("STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert b"* 1 EXPUNGE" in wire.ask("EXPUNGE")
    with pytest.raises(poplib.error_proto):
        client.retr(1)
    assert b"body of two" in client.retr(2)[1]
    assert client.uidl()[1] == names
    client.dele(2)
    assert wire.ask("NOOP") == []
    client.quit()
    assert b"* 1 EXPUNGE" in wire.ask("NOOP")
    assert [idle.line(), idle.line()].count(b"* 1 EXPUNGE") >= 1
    assert b"body of three" in wire.ask("FETCH 1 BODY.PEEK[TEXT]")[0]
    again = pop3(node, "dora@a.test")
    assert [row.split()[1] for row in again.uidl()[1]] == [names[2].split()[1]]
    again.quit()


def test_a_whole_pop3_session_in_one_segment(node):
    node.add_account("erin@a.test")
    wire = Wire(node, "erin@a.test")
    for name in ("one", "two"):
        wire.append("INBOX", message(name))
    context = ssl.create_default_context(cafile=node.ca)
    with (
        socket.create_connection((node.address, node.ports["pop3s"]), 60) as raw,
        context.wrap_socket(raw, server_hostname=node.hostname) as secure,
        secure.makefile("rb") as replies,
    ):
        secure.sendall(
            f"USER erin@a.test\r\nPASS {PASSWORD}\r\nSTAT\r\nUIDL\r\nRETR 1\r\nRETR 2\r\nDELE 1\r\nQUIT\r\n".encode()
        )
        told = replies.read()
    assert [line[:3] for line in told.splitlines() if line.startswith((b"+OK", b"-ERR"))] == [b"+OK"] * 9
    assert told.count(b"\r\n.\r\n") == 3 and b"body of one\r\n.\r\n+OK" in told
    assert b"(MESSAGES 1)" in wire.ask("STATUS INBOX (MESSAGES)")[0]


# IMAP trap 54: a quota below what is used
def test_a_quota_below_what_is_used(node):
    """Nothing is lost and everything can be read and removed; nothing can be added until there is room."""
    node.add_account("fred@a.test")
    wire = Wire(node, "fred@a.test", "INBOX")
    for name in ("one", "two", "three"):
        wire.append("INBOX", message(name))
    node.ctl("account", "quota", "fred@a.test", "--bytes", "100")
    wire.ask("NOOP")
    assert len(wire.ask("FETCH 1:* BODY[]")) >= 3
    assert wire.ask("COPY 1 Archive", ok=False)[-1].startswith(b"NO [OVERQUOTA]")
    assert wire.ask("APPEND INBOX {10}", ok=False)[-1].startswith(b"NO [OVERQUOTA]")
    wire.ask("MOVE 1 Archive")
    wire.ask("STORE 1:* +FLAGS.SILENT (\\Deleted)")
    wire.ask("EXPUNGE")
    assert wire.ask("STATUS Archive (MESSAGES)") == [b"* STATUS Archive (MESSAGES 1)"]


# IMAP trap 19: after a kill
# IMAP trap 28: the same after a restart
def test_uids_and_sizes_after_a_kill(tmp_path):
    """No UID comes again, also not that of the last message when it was expunged; what stays is as it was."""
    node = MailNode(tmp_path / "node").start()
    try:
        node.add_account("alice@a.test")
        wire = Wire(node, "alice@a.test", "INBOX")
        for name in ("one", "two", "three"):
            wire.append("INBOX", message(name))
        wire.ask("STORE 3 +FLAGS.SILENT (\\Deleted)")
        wire.ask("EXPUNGE")
        kept = wire.ask("FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE MODSEQ BODY.PEEK[])")
        names = pop3(node, "alice@a.test").uidl()[1]
        node.process.stop(signal.SIGKILL)
        node.start()
        wire = Wire(node, "alice@a.test", "INBOX")
        items = "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE MODSEQ BODY.PEEK[])"
        assert [
            line.replace(b" \\Recent", b"").replace(b"\\Recent", b"") for line in wire.ask(f"FETCH 1:* {items}")
        ] == [line.replace(b" \\Recent", b"").replace(b"\\Recent", b"") for line in kept]
        assert re.search(rb"APPENDUID \d+ 4\]", wire.append("INBOX", message("four")))
        assert pop3(node, "alice@a.test").uidl()[1][:2] == names
    finally:
        node.kill()  # the clients are still there: it would wait for them


# IMAP trap 54: the holder of a lock that was killed
def test_a_maildrop_is_free_again_when_its_server_was_killed(tmp_path):
    node = MailNode(tmp_path / "node").start()
    try:
        node.add_account("alice@a.test")
        holder = pop3(node, "alice@a.test")
        with pytest.raises(poplib.error_proto, match="IN-USE"):
            pop3(node, "alice@a.test")
        node.process.stop(signal.SIGKILL)
        node.start()
        pop3(node, "alice@a.test").quit()
        holder.close()
    finally:
        node.stop()


# IMAP trap 54: a password that was changed
def test_sessions_end_with_their_account(node):
    """Disabled, or given a new password: IMAP is told BYE, POP3 closes, and nothing marked is deleted."""
    node.add_account("carol@a.test")
    wire = Wire(node, "carol@a.test")
    wire.append("INBOX", message("kept"))
    for command in (
        ("account", "password", "carol@a.test", "--password-stdin"),
        ("account", "disable", "carol@a.test"),
    ):
        wire = Wire(node, "carol@a.test", "INBOX")
        wire.idle()
        client = pop3(node, "carol@a.test")
        client.dele(1)
        node.ctl(*command, stdin=PASSWORD + "\n")
        while not (line := wire.line()).startswith(b"* BYE"):
            assert line.startswith(b"* "), line
        with pytest.raises(ConnectionError):
            wire.line()
        with pytest.raises((poplib.error_proto, OSError)):
            client.quit()
    node.ctl("account", "enable", "carol@a.test")
    assert b"* 1 EXISTS" in Wire(node, "carol@a.test").ask("SELECT INBOX")


def test_a_mailbox_deleted_elsewhere_ends_what_has_it_open(node):
    wire = Wire(node, "alice@a.test")
    wire.ask("CREATE Doomed")
    wire.append("Doomed", message("doomed"))
    idle = Wire(node, "alice@a.test", "Doomed")
    idle.idle()
    selected = Wire(node, "alice@a.test", "Doomed")
    wire.ask("DELETE Doomed")
    while not (line := idle.line()).startswith(b"* BYE"):
        assert line.startswith(b"* "), line
    answer = selected.ask("FETCH 1 BODY.PEEK[]", ok=False)
    assert answer[-1].startswith((b"NO", b"* BYE")) or answer[0].startswith(b"* BYE"), answer
