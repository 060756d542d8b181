"""One session over a real pump: who speaks, what goes out when, what is given back, and how it ends, on random ways too."""

import random

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure

from mailnode.dialog.session import HURRY_SECONDS, Session, SessionEnds, Why
from mailnode.net.pump import GATHERED, Pump
from mailnode.values.wire import NEED_DATA, PAUSED

LARGE = b"x" * GATHERED + b"\n"


class Lines:
    """A connection whose events are lines. The next comes when the last has been answered."""

    def __init__(self):
        self.lines = []
        self.answered = True

    begun = None

    @property
    def buffered(self):
        return sum(map(len, self.lines))

    def receive_data(self, data):
        self.lines += data.splitlines()

    def receive_eof(self):
        pass

    def next_event(self):
        if not self.answered:
            return PAUSED
        if not self.lines:
            return NEED_DATA
        self.answered = False
        return self.lines.pop(0)

    def tls_started(self):
        pass


class Login:
    """Counts what is to happen once."""

    def __init__(self):
        self.logouts = 0

    def logout(self):
        self.logouts += 1


class Talk(Session):
    """``quit`` says goodbye, ``fail`` raises, ``message`` begins one that ``end`` ends; all other lines wait for ``held``
    when there is one, and are echoed."""

    protocol = "talk"

    def __init__(self, channel, connection):
        super().__init__(channel)
        self.connection = connection
        self.login = self.given = Login()
        self.held = []
        self.hold = False
        self.running = 0
        self.paused = False
        self.given_back = 0
        self.words = []
        self.in_message = False
        self.silent_end = False
        self.faults = []  # what must not be, noted: what is raised here the session would catch

    def expect(self, holds, what):
        if not holds:
            self.faults.append(what)

    async def greet(self):
        await self._run(b"hello")

    async def answer(self, event):
        try:
            await self._run(event)
        finally:
            self.connection.answered = True

    async def _run(self, line):
        self.running += 1
        self.expect(self.running == 1, "two at a time")
        self.expect(not self.channel.closed, "run behind the end")
        try:
            if self.hold:
                self.held.append(Deferred())
                await self.held[-1]
            if line == b"fail":
                raise RuntimeError("as was asked for")
            if line == b"large":
                for _ in range(3):
                    self.write(LARGE)
                    self.paused = True
                    await self.sent()
                    self.paused = False
                    self.ensure_there()
            self.expect(self.given.logouts == self.given_back == 0, "given back under what runs")
            self.in_message = line == b"message" or (self.in_message and line != b"end")
            self.write(line + b"\n")
            if line == b"quit":
                self.leave()
        finally:
            self.running -= 1
            self.paused = False

    def last_words(self, why):
        self.words.append(why)
        self.expect(not self.running or self.paused, "last words into what runs")
        return None if self.silent_end else b"" if why is Why.SAID else why.name.encode() + b"\n"

    def may_end_now(self):
        return not self.in_message

    def give_back(self):
        self.given_back += 1


class Place:
    """A session, its pump and its transport."""

    def __init__(self):
        self.clock = Clock()
        self.connection = Lines()
        self.transport = StringTransport()
        self.pump = Pump("talk", self.connection, self._make, self.clock)
        self.pump.makeConnection(self.transport)

    def _make(self, channel):
        self.session = Talk(channel, self.connection)
        return self.session

    def say(self, *lines):
        self.pump.dataReceived(b"".join(line + b"\n" for line in lines))

    def heard(self):
        value = self.transport.value()
        self.transport.clear()
        return value

    def lose(self):
        self.pump.connectionLost(Failure(ConnectionLost()))

    def release(self):
        self.session.hold = False
        while self.session.held:
            self.session.held.pop(0).callback(None)


@pytest.fixture
def events():
    seen = []

    def note(event):
        if event.get("event", "").startswith("session.e"):
            seen.append((event["event"], event["fields"]))

    globalLogPublisher.addObserver(note)
    yield seen
    globalLogPublisher.removeObserver(note)


@pytest.fixture
def place():
    place = Place()
    assert place.heard() == b"hello\n"
    return place


def test_events_are_answered_in_turn(place):
    place.session.hold = True
    place.say(b"a", b"b")
    assert place.heard() == b"" and place.session.running == 1
    place.release()
    assert place.heard() == b"a\nb\n"


def test_the_turn_ends_when_the_output_has_left(place):
    place.pump.pauseProducing()
    said = []

    async def say():
        said.append(place.session.channel.closed)
        place.session.write(b"pushed\n")

    Deferred.fromCoroutine(place.session.push(say))  # the output is full: it is written, and nothing after it
    Deferred.fromCoroutine(place.session.push(say))
    assert len(said) == 1
    place.pump.resumeProducing()
    assert len(said) == 2 and place.heard() == b"pushed\npushed\n"


def test_an_event_waits_for_what_is_pushed(place):
    waiting = Deferred()

    async def say():
        place.session.write(b"one ")
        await waiting
        place.session.write(b"two\n")

    Deferred.fromCoroutine(place.session.push(say))
    place.say(b"a")
    assert place.heard() == b""
    waiting.callback(None)
    assert place.heard() == b"one two\na\n"


def test_nothing_is_pushed_behind_the_end(place):
    place.session.hold = True
    place.say(b"quit")
    said = []

    async def say():
        said.append(True)

    Deferred.fromCoroutine(place.session.push(say))
    place.release()
    assert place.heard() == b"quit\n" and not said


ENDS = {
    "timeout": (lambda place: place.clock.advance(60), Why.TIMEOUT, "timeout"),
    "shutdown": (lambda place: place.pump.draining(), Why.SHUTDOWN, "shutdown"),
    "account": (lambda place: place.session.end("the account was changed"), Why.ACCOUNT, "the account was changed"),
}


@pytest.mark.parametrize("how", ENDS)
def test_between_two_events_the_end_is_at_once(place, how, events):
    end, why, reason = ENDS[how]
    end(place)
    assert place.heard() == why.name.encode() + b"\n" and place.transport.disconnecting
    assert place.session.given.logouts == place.session.given_back == 1
    place.lose()
    assert place.session.given.logouts == place.session.given_back == 1
    assert [fields["reason"] for name, fields in events if name == "session.ended"] == [reason]


@pytest.mark.parametrize("how", ["shutdown", "account"])
def test_what_runs_is_answered_first(place, how):
    end, why, _ = ENDS[how]
    place.session.hold = True
    place.say(b"a", b"b")
    end(place)
    end(place)
    assert place.heard() == b"" and not place.session.given_back
    place.release()
    assert place.heard() == b"a\n" + why.name.encode() + b"\n"
    assert place.session.words == [why] and place.session.given.logouts == 1


def test_a_message_is_finished_first(place):
    place.say(b"message", b"part")
    place.heard()
    place.pump.draining()
    assert place.heard() == b""
    place.say(b"part", b"end", b"more")
    assert place.heard() == b"part\nend\nSHUTDOWN\n"


def test_a_message_does_not_hold_up_a_timeout(place):
    place.say(b"message")
    place.heard()
    place.clock.advance(60)
    assert place.heard() == b"TIMEOUT\n"


def test_an_end_asked_for_under_a_full_output_is_at_once(place):
    place.pump.pauseProducing()
    Deferred.fromCoroutine(place.session.push(place.session.greet))
    place.pump.draining()
    assert place.heard() == b"hello\nSHUTDOWN\n" and place.session.given.logouts == 1
    place.pump.resumeProducing()
    assert place.heard() == b""


def fill(place):
    """Let the output be full from the next write on."""
    write = place.transport.write
    place.transport.write = lambda data: (write(data), place.pump.pauseProducing())


def test_an_answer_that_waits_for_its_reader_ends_between_two_responses(place):
    fill(place)
    place.say(b"large")
    assert place.session.running == 1
    place.pump.draining()
    assert place.heard() == LARGE + b"SHUTDOWN\n"
    assert place.session.running == 0 and place.session.given.logouts == 1


def test_an_answer_does_not_end_within_a_response(place):
    async def say():
        place.session.write(LARGE)
        await place.session.sent(within=True)
        place.session.write(b"end\n")

    fill(place)
    Deferred.fromCoroutine(place.session.push(say))
    place.pump.draining()
    assert place.heard() == LARGE
    place.pump.resumeProducing()
    assert place.heard() == b"end\nSHUTDOWN\n"


def test_a_client_that_does_not_read_a_response_holds_up_the_end_for_half_a_minute(place):
    async def say():
        place.session.write(LARGE)
        await place.session.sent(within=True)

    fill(place)
    Deferred.fromCoroutine(place.session.push(say))
    place.clock.advance(10)
    place.session.channel.set_timeout(1800)
    place.session.end("the account was changed")
    place.clock.advance(HURRY_SECONDS - 1)
    assert not place.transport.disconnected
    place.clock.advance(1)
    assert place.transport.disconnected
    place.lose()
    assert place.session.given.logouts == 1


def test_trouble_is_told_and_logged(place, events):
    place.say(b"fail", b"a")
    assert place.heard() == b"TROUBLE\n" and place.transport.disconnecting
    assert place.session.words == [Why.TROUBLE] and place.session.given.logouts == 1
    assert [name for name, _ in events] == ["session.ended", "session.error"]


def test_trouble_in_the_middle_of_an_answer_breaks_the_connection(place):
    place.session.silent_end = True
    place.say(b"fail")
    assert place.heard() == b"" and place.transport.disconnected


def test_a_client_that_cannot_be_told_does_not_wait(place):
    def broken(why):
        raise RuntimeError("no words")

    place.session.last_words = broken
    place.pump.draining()
    assert place.transport.disconnected
    assert place.session.given.logouts == place.session.given_back == 1


def test_what_runs_when_the_connection_goes_is_finished_and_then_all_is_given_back(place):
    place.session.hold = True
    place.say(b"a")
    place.lose()
    assert place.session.over and not place.session.given_back
    place.release()
    assert place.session.given.logouts == place.session.given_back == 1


def test_what_fails_when_the_connection_has_gone_gives_all_back_too(place):
    place.session.hold = True
    place.say(b"fail")
    place.lose()
    place.release()
    assert place.session.given.logouts == place.session.given_back == 1 and place.session.words == []


def test_what_waits_for_a_reader_who_goes_raises(place):
    place.pump.pauseProducing()
    raised = []

    async def say():
        try:
            await place.session.sent()
        except SessionEnds:
            raised.append(True)
            raise

    Deferred.fromCoroutine(place.session.push(say))
    place.lose()
    assert raised and place.session.given.logouts == 1


def test_an_end_before_the_greeting():
    place = Place.__new__(Place)
    place.clock, place.connection, place.transport = Clock(), Lines(), StringTransport()
    place.pump = Pump("talk", place.connection, place._make, place.clock, implicit_tls=True)
    place.pump.makeConnection(place.transport)
    place.pump.draining()
    assert place.heard() == b"SHUTDOWN\n"
    place.pump.handshakeCompleted()
    assert place.heard() == b""


class Walk:
    """A random way through a life. After every step the invariants are looked at."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.place = Place()
        self.place.transport.write = self._write
        self.full = self.lost = False
        self.begun_under_full = 0

    def _write(self, data):
        self.place.session.expect(not self.place.pump.closed, "written behind the end")

    def steps(self):
        place, session = self.place, self.place.session
        yield 6, lambda: place.say(self.random.choice([b"a", b"large", b"message", b"end"]))
        yield 1, lambda: place.say(b"fail")
        yield 1, lambda: place.say(b"quit")
        yield 3, lambda: setattr(session, "hold", not session.hold)
        yield 3, lambda: session.held and session.held.pop(0).callback(None)
        yield 2, lambda: Deferred.fromCoroutine(session.push(self._push)).addErrback(self._raised)
        yield 4, self._turn_the_tap
        yield 1, place.pump.draining
        yield 1, lambda: session.end("the account was changed")
        yield 1, lambda: place.clock.advance(self.random.choice([1, 61]))
        yield 1, self._lose

    def _raised(self, failure):
        self.place.session.expect(failure.check(RuntimeError), failure.getErrorMessage())

    async def _push(self):
        session = self.place.session
        self.begun_under_full += self.full
        session.expect(self.begun_under_full <= 1, "pushed under a full output")
        await session._run(b"large" if self.random.random() < 0.3 else b"pushed")

    def _turn_the_tap(self):
        if self.lost or self.place.pump.closed:
            return
        self.full = not self.full
        self.begun_under_full = 0
        if self.full:
            self.place.pump.pauseProducing()
        else:
            self.place.pump.resumeProducing()

    def _lose(self):
        if not self.lost:
            self.lost = True
            self.place.lose()

    def check(self):
        session = self.place.session
        assert session.faults == []
        assert len(session.words) <= 1
        assert session.given.logouts == session.given_back <= 1
        assert not (session.running and session.given_back)
        if not session.running and not self.full and not self.place.pump.closed:
            assert session._out == [], "left unsaid"
        if self.place.pump.closed and not session.running and (self.lost or session.words):
            assert session.given_back == 1

    def run(self, steps):
        for _ in range(steps):
            choices = list(self.steps())
            self.random.choices([step for _, step in choices], [weight for weight, _ in choices])[0]()
            self.check()
        session = self.place.session
        self._lose()
        self.place.release()
        self.check()
        assert session.given_back == 1 and session.running == 0


@pytest.mark.parametrize("seed", range(300))
def test_random_ways(seed, events):
    Walk(seed).run(60)
    errors = {fields["error"] for name, fields in events if name == "session.error"}
    assert errors <= {"RuntimeError: as was asked for"}
