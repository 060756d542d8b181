"""Who guesses at logins with a watch in hand learns nothing of who has an account, whatever state it is in."""

from __future__ import annotations

import base64
import random
import selectors
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

import pytest
from servers import MailNode
from ways import Dial, EveryWay

from mailnode.auth.throttle import FAILURE_DELAY

KINDS = ("unknown", "known", "disabled", "without")  # accounts; the last has no password at all
ROUNDS = 24
CLEARLY = 0.85  # of all pairs of one kind and another, in which the same one took longer: chance makes that of none in 100,000
MUCH = 1.5  # times as long

Try = tuple[str, int]  # kind, round


class Node(EveryWay, MailNode):
    """One that takes passwords without TLS, too: nothing but the login is timed."""


def b64(text: str) -> bytes:
    return base64.b64encode(text.encode())


def of_scram(answer: bytes) -> bytes:
    return base64.b64decode(answer.split()[1])


def final(first: bytes) -> bytes:
    """A wrong proof of what fits otherwise."""
    nonce = first.split(b",")[0]
    return base64.b64encode(b"c=biws," + nonce + b",p=" + base64.b64encode(b"x" * 32))


def scram(name: str) -> bytes:
    return b"a AUTHENTICATE SCRAM-SHA-256 " + b64(f"n,,n={name},r=clientnonce")


@dataclass(frozen=True)
class Way:
    """How a login is tried. ``before``: what is said first. ``last``: what the answer to is timed, made of name, guess and what
    was heard before. ``delay``: how late that answer is by rule."""

    protocol: str
    last: Callable[[str, str, bytes], bytes]
    before: Callable[[str], tuple[bytes, ...]] = lambda name: ()
    delay: float = FAILURE_DELAY


WAYS = {
    "imap": Way("imap", lambda name, guess, _: f'a LOGIN "{name}" "{guess}"'.encode()),
    "pop3": Way("pop3", lambda name, guess, _: f"PASS {guess}".encode(), lambda name: (f"USER {name}".encode(),)),
    "submission": Way(
        "submission", lambda name, guess, _: b"AUTH PLAIN " + b64(f"\0{name}\0{guess}"), lambda name: (b"EHLO x.test",)
    ),
    "scram-salt": Way("imap", lambda name, guess, _: scram(name), delay=0),
    "scram-proof": Way("imap", lambda name, guess, heard: final(of_scram(heard)), lambda name: (scram(name),)),
}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    made = Node(tmp_path_factory.mktemp("node")).start()
    try:
        for way in WAYS:
            for kind in ("known", "disabled"):
                made.add_account(f"{kind}-{way}@a.test")
            made.ctl("account", "disable", f"disabled-{way}@a.test")
            made.ctl("shared", "add", f"without-{way}@a.test")
        yield made
    finally:
        assert made.stop() == 0


def connections(node: Node, protocol: str) -> Iterator[socket.socket]:
    """Greeted ones, each from another network: bounds of guesses are not what is tested."""
    for number in range(2 * 250):
        one = Dial(node, "none", False, source=(f"127.{2 + number // 250}.{number % 250}.1", 0)).connect(protocol)
        assert one.recv(4096)
        yield one


def say(one: socket.socket, said: bytes) -> bytes:
    one.sendall(said + b"\r\n")
    return one.recv(4096)


class Stopwatch:
    """Says one thing on each of many connections, one after the other, and notes how long each answer takes."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._waiting = selectors.DefaultSelector()
        self._asked: dict[Try, float] = {}
        self.seconds: dict[Try, float] = {}
        self.answers: set[bytes] = set()

    def ask(self, which: Try, one: socket.socket, last: bytes) -> None:
        """Say it, and return when the server has looked at it, or the next one would wait for that in the same queue. A
        refusal stands in the log then, and is told a second later."""
        after = len(self._node.process.lines)
        self._waiting.register(one, selectors.EVENT_READ, which)
        self._asked[which] = time.monotonic()
        one.sendall(last + b"\r\n")
        while which not in self.seconds and not self._is_refused(after):
            self._look(0.002)

    def _is_refused(self, after: int) -> bool:
        return any('"session.refused"' in line for line in self._node.process.lines[after:])

    def wait(self) -> None:
        """Return when all are answered."""
        while len(self.seconds) < len(self._asked):
            self._look(60)

    def _look(self, timeout: float) -> None:
        for key, _ in self._waiting.select(timeout):
            now = time.monotonic()
            self.answers.add(key.fileobj.recv(4096))
            self._waiting.unregister(key.fileobj)
            self.seconds[key.data] = now - self._asked[key.data]


def apart(some: list[float], others: list[float]) -> str:
    """Say how two kinds can be told from each other by how long they take; "": not at all.

    A busy machine makes single values of any size, but of both kinds: so what counts is which one is longer in how many pairs,
    and by how much in the middle.
    """
    longer = sum(a > b for a in some for b in others) / (len(some) * len(others))
    ratio = median(some) / median(others)
    if max(longer, 1 - longer) > CLEARLY and max(ratio, 1 / ratio) > MUCH:
        return f"longer in {longer:.0%} of all pairs, {ratio:.2f} times as long"
    return ""


def test_what_is_apart():
    chance = random.Random(1)

    def some(more: float) -> list[float]:
        return [0.02 + more + chance.expovariate(1 / 0.01) for _ in range(ROUNDS)]

    assert not apart(some(0), some(0))
    assert not apart(some(0.001), some(0))
    assert apart(some(0.02), some(0)) and apart(some(0), some(0.02))


# SMTP trap 28: by time, on a whole server
@pytest.mark.parametrize("name", WAYS)
def test_who_is_unknown_or_disabled_or_has_no_password_is_refused_as_late_as_a_wrong_password(node, name):
    way, watch = WAYS[name], Stopwatch(node)
    order = [(kind, number) for number in range(ROUNDS) for kind in random.Random(number).sample(KINDS, len(KINDS))]
    for (kind, number), one in zip(order, connections(node, way.protocol), strict=False):
        login, heard = f"{kind}-{name}@a.test", b""
        for said in way.before(login):
            heard = say(one, said)
        watch.ask((kind, number), one, way.last(login, f"guess {number}", heard))
    watch.wait()
    took = {kind: [watch.seconds[kind, number] - way.delay for number in range(ROUNDS)] for kind in KINDS}
    print({kind: f"{median(seconds):.4f}" for kind, seconds in took.items()})
    assert not {kind: why for kind in KINDS[1:] if (why := apart(took[kind], took["unknown"]))}
    words = {len(of_scram(answer)) for answer in watch.answers} if name == "scram-salt" else watch.answers
    assert len(words) == 1, "the same words for all"
