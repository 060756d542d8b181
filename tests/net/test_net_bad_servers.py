"""Servers that answer anything but what they should, at each stage: how much is taken of them, how long they are waited for,
and what it comes to. The clock and the transport are the test's own."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from mailnode.interfaces.outbound import OutboundMessage, OutboundReport, Target, TargetFailed
from mailnode.net.client_tls import ClientTls
from mailnode.net.outbound import Outbound
from mailnode.net.outbound_link import CONTENT_GRACE, CONTENT_RATE, MAX_UNREAD, MAX_WAIT, WRITE_PIECE
from mailnode.smtp.wire.client import TIMEOUTS
from mailnode.smtp.wire.client_replies import MAX_LINE, MAX_REPLY
from mailnode.values.envelope import PLAIN_RCPT, MailOptions

CONTENT = b"Subject: hello\r\n\r\nbody\r\n"
PIECE = 16 * 1024
# Each stage with the answer that leads on, the scope of a failure there, and whether the server may have the message.
STAGES = {
    "greeting": (b"220 x\r\n", "greeting", False),
    "hello": (b"250 x\r\n", "greeting", False),
    "mail": (b"250 2.1.0 ok\r\n", "lost", False),
    "rcpt": (b"250 2.1.5 ok\r\n", "lost", False),
    "data": (b"354 go on\r\n", "lost", False),
    "end": (b"250 2.0.0 taken\r\n", "lost", True),
}
AT_STAGE = pytest.mark.parametrize("stage", STAGES)


class Peer:
    """One message on its way to a server that a test plays, from the connection on."""

    def __init__(
        self,
        hello: bytes = STAGES["hello"][0],
        read: Any = None,
        recipients: int = 1,
        lmtp: bool = False,
        size: int = len(CONTENT),
    ) -> None:
        async def read_content(offset: int, length: int) -> bytes:
            return CONTENT[offset : offset + length]

        self.reactor: Any = MemoryReactorClock()
        self.outbound = Outbound(self.reactor, "us.test", ClientTls(), self.reactor)
        message = OutboundMessage(
            "me@us.test",
            (("you@d.test", PLAIN_RCPT),) * recipients,
            read or read_content,
            MailOptions(size=size),
        )
        target = Target("mx.test", "192.0.2.1", tls="none", lmtp=lmtp)
        self.ended: list[OutboundReport | Failure] = []
        Deferred.fromCoroutine(self.outbound.send(target, message)).addBoth(self.ended.append)
        self.transport = StringTransport()
        self.protocol = self.reactor.tcpClients[0][2].buildProtocol(None)
        self.protocol.makeConnection(self.transport)
        self.hello = hello
        self.took = 0
        self.lost = False

    def until(self, stage: str) -> Peer:
        """Answer as one should until a stage's answer is waited for."""
        for name, (answer, _, _) in STAGES.items():
            if name == stage:
                return self
            self.say(self.hello if name == "hello" else answer)
        return self

    def say(self, data: bytes) -> None:
        if self.is_open:
            self.took += len(data)
            self.protocol.dataReceived(data)

    def lose(self) -> None:
        """Let the transport tell that it is gone, once."""
        if not self.lost:
            self.lost = True
            self.protocol.connectionLost(Failure(ConnectionError()))

    @property
    def is_open(self) -> bool:
        return not self.ended and not self.transport.disconnecting

    def failed(self) -> TargetFailed:
        """What sending failed with; the connection is closed and nothing of it is left."""
        (ended,) = self.ended
        assert isinstance(ended, Failure) and isinstance(ended.value, TargetFailed), ended
        assert self.transport.disconnecting
        self.lose()
        assert self.outbound._links == {} and self.outbound._kept == {}
        assert self.reactor.getDelayedCalls() == []
        return ended.value

    def replies(self) -> list[str]:
        (ended,) = self.ended
        assert isinstance(ended, OutboundReport)
        return [str(reply) for reply in ended.replies]


def cut_off(stage: str, what: bytes, most: int) -> TargetFailed:
    """Let a server say the same for ever; it is cut off at once, with no more taken than ``most`` octets and one read."""
    peer = Peer().until(stage)
    peer.took = 0
    for _ in range(10_000):
        if not peer.is_open:
            break
        peer.say((what * PIECE)[:PIECE])
    failed = peer.failed()
    assert peer.took <= most + PIECE
    assert peer.reactor.seconds() == 0
    assert (failed.scope, failed.in_doubt) == STAGES[stage][1:]
    return failed


@AT_STAGE
def test_replies_without_end(stage):
    cut_off(stage, b"250-and more\r\n", MAX_REPLY)


@AT_STAGE
def test_a_line_without_end(stage):
    cut_off(stage, b"2", MAX_LINE)


@AT_STAGE
@pytest.mark.parametrize(
    "garbage", [b"HTTP/1.1 400 Bad Request\r\n", b"\x00\xff\x16\x03\x01\r\n", b"\r\n", b"250\x00ok\r\n", b"999 ok\r\n"]
)
def test_what_is_no_reply(stage, garbage):
    cut_off(stage, garbage, len(garbage))


@AT_STAGE
def test_a_line_of_ten_megabytes(stage):
    peer = Peer().until(stage)
    peer.took = 0
    line = b"250 " + b"x" * 10_000_000 + b"\r\n"
    for start in range(0, len(line), PIECE):
        peer.say(line[start : start + PIECE])
    assert peer.took <= MAX_LINE + PIECE
    assert (peer.failed().scope, peer.took < 2 * PIECE) == (STAGES[stage][1], True)


@AT_STAGE
@pytest.mark.parametrize("what", [b"2", b"250-x\r\n", b""], ids=["octets", "lines", "nothing"])
def test_one_answer_has_its_time_however_it_trickles_in(stage, what):
    peer = Peer().until(stage)
    began = peer.reactor.seconds()
    while not peer.ended:
        assert peer.reactor.seconds() - began <= TIMEOUTS[stage]
        peer.reactor.advance(30)
        if what:
            peer.say(what)
    assert TIMEOUTS[stage] <= peer.reactor.seconds() - began <= TIMEOUTS[stage] + 30
    failed = peer.failed()
    assert (failed.scope, failed.in_doubt, failed.text) == (*STAGES[stage][1:], "timed out waiting for a reply")


def test_all_answers_to_one_group_have_an_hour():
    peer = Peer(hello=b"250-x\r\n250 PIPELINING\r\n", recipients=20).until("mail")
    began = peer.reactor.seconds()
    while not peer.ended:
        peer.say(b"250 ok\r\n")
        peer.reactor.advance(TIMEOUTS["rcpt"] - 1)
    assert MAX_WAIT <= peer.reactor.seconds() - began < MAX_WAIT + TIMEOUTS["rcpt"]
    assert peer.failed().text == "timed out waiting for a reply"


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage != "end"])
def test_yes_to_everything_in_advance(stage):
    """What is said before it was asked for is no answer; a message is never sent by it."""
    peer = Peer().until(stage)
    names = list(STAGES)
    peer.say(b"".join(STAGES[name][0] for name in names[names.index(stage) :]))
    failed = peer.failed()
    assert (failed.scope, failed.in_doubt) == ("lost", False)
    assert b".\r\n" not in peer.transport.value()


def test_yes_to_everything_in_advance_within_a_pipeline():
    peer = Peer(hello=b"250-x\r\n250 PIPELINING\r\n").until("mail")
    peer.say(b"250 ok\r\n250 ok\r\n354 go on\r\n250 taken\r\n")
    failed = peer.failed()
    assert (failed.scope, failed.in_doubt) == ("lost", False)
    assert b"\r\n.\r\n" not in peer.transport.value()


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ("mail", b"354 go on\r\n"),
        ("rcpt", b"354 go on\r\n"),
        ("mail", b"221 bye\r\n421 closing\r\n"),
        ("hello", b"250 x\r\n421 4.3.2 shutting down\r\n"),
    ],
)
def test_replies_that_do_not_fit(stage, said):
    peer = Peer().until(stage)
    peer.say(said)
    failed = peer.failed()
    assert (failed.scope, failed.in_doubt) == ("lost", False)
    assert failed.reply is not None


def test_yes_instead_of_go_on_is_a_no_for_now():
    peer = Peer().until("data")
    peer.say(b"250 2.0.0 taken\r\n")
    assert peer.replies() == ["451 4.5.0 The server did not go on to the content"]


class Slow(Peer):
    """The content waits for the test."""

    def __init__(self) -> None:
        self.piece: Deferred[bytes] = Deferred()

        async def read(offset: int, length: int) -> bytes:
            return await self.piece

        super().__init__(read=read)
        self.until("end")


def test_yes_in_the_middle_of_the_content_is_not_believed():
    peer = Slow()
    peer.say(b"250 2.0.0 taken\r\n")
    peer.piece.callback(CONTENT)
    failed = peer.failed()
    assert (failed.scope, failed.in_doubt) == ("lost", False)
    assert not peer.transport.value().endswith(b"\r\n.\r\n")


def test_no_in_the_middle_of_the_content_is_the_answer():
    peer = Slow()
    peer.say(b"552 5.3.4 too large\r\n")
    peer.piece.callback(CONTENT)
    assert peer.replies() == ["552 5.3.4 too large"]


def test_a_server_that_talks_on_in_the_middle_of_the_content():
    peer = Slow()
    peer.took = 0
    while peer.is_open:
        peer.say(b"250-x\r\n" * 1000)
    assert MAX_UNREAD <= peer.took <= MAX_UNREAD + 7000
    peer.lose()
    peer.piece.callback(CONTENT)
    assert peer.failed().in_doubt is False


def test_a_server_that_does_not_read_the_content():
    peer = Slow()
    peer.transport.producer.pauseProducing()
    peer.piece.callback(CONTENT)
    peer.reactor.advance(TIMEOUTS["content"] - 1)
    assert not peer.ended
    peer.reactor.advance(1)
    failed = peer.failed()
    assert (failed.text, failed.in_doubt) == ("timed out sending the message", False)


class Large(Peer):
    """A message of several pieces, which the transport takes only when a test says so."""

    def __init__(self, pieces: int) -> None:
        content = b"x" * (WRITE_PIECE - 2) + b"\r\n"

        async def read(offset: int, length: int) -> bytes:
            return (content * pieces)[offset : offset + length]

        super().__init__(read=read, size=pieces * WRITE_PIECE)
        self.until("data")
        self.transport.write = self.write_and_be_full  # type: ignore[method-assign]
        self.say(STAGES["data"][0])

    def write_and_be_full(self, data: bytes) -> None:
        StringTransport.write(self.transport, data)
        if self.transport.producer is not None:
            self.transport.producer.pauseProducing()

    def takes(self) -> None:
        """The server has read something, and the transport takes one more piece."""
        self.transport.producer.resumeProducing()


def test_a_server_that_reads_a_little_every_few_minutes_has_the_time_of_the_least_rate():
    peer = Large(pieces=1000)
    step = TIMEOUTS["content"] - 1
    while not peer.ended:
        peer.reactor.advance(step)
        if not peer.ended:
            peer.takes()
    failed = peer.failed()
    assert (failed.text, failed.scope, failed.in_doubt) == ("timed out sending the message", "lost", False)
    taken = len(peer.transport.value())
    assert CONTENT_GRACE < peer.reactor.seconds() < max(CONTENT_GRACE, taken / CONTENT_RATE) + step


def test_a_server_with_a_thin_line_gets_all_of_it():
    peer, pieces = Large(pieces=20), 0
    while not peer.transport.value().endswith(b"\r\n.\r\n"):
        peer.reactor.advance(WRITE_PIECE / CONTENT_RATE - 1)
        peer.takes()
        pieces += 1
    assert pieces >= 20 and peer.reactor.seconds() > 5 * CONTENT_GRACE
    peer.say(STAGES["end"][0])
    assert peer.replies() == ["250 2.0.0 taken"]


def test_a_race_on_the_way_to_one_that_does_not_answer():
    reactor: Any = MemoryReactorClock()
    outbound = Outbound(reactor, "us.test", ClientTls(), reactor)
    targets = [Target("mx.test", "2001:db8::1"), Target("mx.test", "192.0.2.1")]
    ended: list[Any] = []
    Deferred.fromCoroutine(outbound.reach(targets)).addBoth(ended.append)
    assert [client[0] for client in reactor.tcpClients] == ["2001:db8::1"]
    reactor.advance(0.25)
    assert [client[0] for client in reactor.tcpClients] == ["2001:db8::1", "192.0.2.1"]
    reactor.tcpClients[1][2].buildProtocol(None).makeConnection(StringTransport())
    (reached,) = ended
    assert (reached.target, reached.failed) == (targets[1], ())


def test_who_has_an_answer_of_lmtp_keeps_it_when_the_others_get_none():
    peer = Peer(recipients=2, lmtp=True).until("rcpt")
    for answer in ("rcpt", "rcpt", "data", "end"):
        peer.say(STAGES[answer][0])
    assert peer.ended == []
    peer.reactor.advance(MAX_WAIT)
    [report] = peer.ended
    assert isinstance(report, OutboundReport)
    assert [(reply.code, reply.status) for reply in report.replies] == [(250, "2.0.0"), (451, "4.4.2")]
