"""Whoever asks and does not read: every protocol and every way of writing holds little of what waits to be sent, and goes
on when it is read again."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import imap_world
import pop3_fakes
import pytest
import smtp_fakes
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from mailnode.net.pump import GATHERED, HIGH_WATER
from mailnode.web.site import SiteContent, web_factory

TRANSPORT_BUFFER = 64 * 1024  # where Twisted's transports say that they are full
PIECE = 256 * 1024  # of a message that is sent: what the store decompresses at once
BOUND = TRANSPORT_BUFFER + GATHERED + PIECE
ROUNDS = 60
MESSAGE = b"Subject: big\r\n\r\n" + b"a line of text\r\n" * 20_000


class Unread(StringTransport):
    """A transport whose peer takes nothing until :meth:`read`, and which tells its producer so as Twisted's own do."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.most = 0
        self._told = False

    def write(self, data: bytes) -> None:
        super().write(data)
        held = len(self.value())
        self.most = max(self.most, held)
        if held > TRANSPORT_BUFFER and self.producer is not None and not self._told:
            self._told = True
            self.producer.pauseProducing()

    def abortConnection(self) -> None:
        self.aborted = True
        super().abortConnection()

    aborted = False

    def read(self) -> bytes:
        """Take what is there; the transport is told, and sends on."""
        octets = self.value()
        self.clear()
        if self._told and self.producer is not None:
            self._told = False
            self.producer.resumeProducing()
        return octets

    @property
    def heeds(self) -> bool:
        """Whether it takes input."""
        return self.producerState == "producing"


@pytest.fixture(autouse=True)
def transports(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (imap_world, pop3_fakes, smtp_fakes):
        monkeypatch.setattr(module, "StringTransport", Unread)


def smtp(kind: str) -> Callable[[], tuple[Any, Unread]]:
    def connect() -> tuple[Any, Unread]:
        client = smtp_fakes.World(kind).client()
        return client.pump, client.transport

    return connect


def imap(login: bool) -> Callable[[], tuple[Any, Unread]]:
    def connect() -> tuple[Any, Unread]:
        world = imap_world.World()
        world.put(MESSAGE)
        client = world.connect(login=login, select="INBOX" if login else "")
        return client.pump, client.transport

    return connect


def pop3(login: bool, messages: int = 10) -> Callable[[], tuple[Any, Unread]]:
    def connect() -> tuple[Any, Unread]:
        wire = pop3_fakes.Wire([MESSAGE, *[b"x\r\n"] * messages])
        if login:
            wire.login()
        wire.take()
        return wire.pump, wire.transport

    return connect


# How one connects, what one says, so many times in one segment, how each answer ends.
WAYS = {
    "smtp: replies": (smtp("smtp"), b"HELP\r\n", 500, rb"^214 .*\n"),
    "smtp: replies of many lines": (smtp("smtp"), b"EHLO x\r\n", 500, rb"^250 .*\n"),
    "submission: replies": (smtp("submission"), b"EHLO x\r\n", 500, rb"^250 .*\n"),
    "lmtp: replies": (smtp("lmtp"), b"LHLO x\r\n", 500, rb"^250 .*\n"),
    "imap: before login": (imap(False), b"a CAPABILITY\r\n", 500, rb"^a OK .*\n"),
    "imap: status lines": (imap(True), b"a STATUS INBOX (MESSAGES UNSEEN)\r\n", 200, rb"^a OK .*\n"),
    "imap: streamed content": (imap(True), b"a FETCH 1 BODY.PEEK[]\r\n", 5, rb"^a OK .*\n"),
    "pop3: before login": (pop3(False), b"CAPA\r\n", 500, rb"^\.\r\n"),
    "pop3: replies": (pop3(True), b"STAT\r\n", 1000, rb"^\+OK .*\n"),
    "pop3: lists": (pop3(True, 10_000), b"UIDL\r\n", 1, rb"^\.\r\n"),
    "pop3: streamed content": (pop3(True), b"RETR 1\r\n", 5, rb"^\.\r\n"),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_unsent_output_is_bounded_and_all_is_answered_when_it_is_read(way: Any) -> None:
    connect, command, times, end = way
    pump, transport = connect()
    transport.read()
    transport.most = 0
    said = 0
    for _ in range(ROUNDS):
        if transport.heeds:
            pump.dataReceived(command * times)
            said += times
    assert transport.most < BOUND
    assert transport.heeds == (pump._connection.buffered <= HIGH_WATER)
    assert pump._connection.buffered <= HIGH_WATER + len(command) * times
    heard = bytearray()
    while octets := transport.read():
        heard += octets
    assert transport.most < BOUND and transport.heeds and not pump.closed
    assert len(re.findall(end, bytes(heard), re.MULTILINE)) == said


def idling() -> tuple[Any, Any, Unread]:
    world = imap_world.World()
    uids = [world.put() for _ in range(300)]
    world.connect("other", select="INBOX")
    client = world.connect("idle", select="INBOX")
    client.send(b"i IDLE\r\n")
    assert client.received().startswith(b"+ ")

    def change(number: int) -> None:
        for uid in uids:
            world.flag(uid, "add" if number % 2 else "remove", 1)

    return change, client, client.transport


def test_what_idle_pushes_waits_for_the_reader() -> None:
    change, client, transport = idling()
    for number in range(ROUNDS):
        change(number)
        client.pump._clock.advance(130)  # for "Still here"
        if transport._told:
            break
    full = len(transport.value())
    for number in range(ROUNDS):
        change(number)
        client.pump._clock.advance(1)
    assert transport._told and transport.most < BOUND and len(transport.value()) == full
    while transport.read():
        client.pump._clock.advance(0)
    assert not client.closed
    change(0)
    change(1)
    assert b"* 300 FETCH (" in transport.read()
    client.send(b"DONE\r\n")
    assert transport.read().endswith(b"i OK IDLE terminated\r\n")


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_the_words_of_a_shutdown_are_bounded_and_close(way: Any) -> None:
    connect, command, times, _ = way
    pump, transport = connect()
    pump.dataReceived(command * times)
    for _ in range(ROUNDS):
        pump.draining()
    while transport.read():
        pass
    assert pump.closed and transport.most < BOUND


async def _policy(domain: str) -> None:
    return None


async def _metrics() -> tuple[bytes, bytes]:
    return b"text/plain", b"x" * 40_000


async def _health() -> dict[str, Any]:
    return {"status": "ok"}


def test_http_answers_one_request_of_a_connection() -> None:
    protocol: Any = web_factory(SiteContent(_health, _metrics, _policy), ["metrics"], Clock()).buildProtocol(None)
    transport = Unread()
    transport.protocol = protocol
    protocol.makeConnection(transport)
    for _ in range(ROUNDS):
        if transport.heeds and not transport.disconnecting:
            protocol.dataReceived(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 500)
    answer = transport.read()
    assert transport.most < BOUND and transport.disconnecting
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 1 and b"\r\nConnection: close\r\n" in answer
