"""What checks try on the network, against real sockets: servers that answer, are silent, say too much or something else."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import threading
import time
from contextlib import contextmanager

import pytest
import trustme

from mailnode.net import trying
from mailnode.net.own_addresses import own_addresses
from mailnode.net.trying import MAX_BODY, NTP_EPOCH, Trying

HERE = "127.0.0.1"
AUTHORITY = trustme.CA()
TRUSTED = ssl.create_default_context()
AUTHORITY.configure_trust(TRUSTED)


class Clock:
    def seconds(self):
        return time.time()


def tried(call, patience=5.0):
    """Return what one method of a :class:`Trying` says."""
    return asyncio.run(call(Trying(Clock(), patience, TRUSTED)))


@contextmanager
def serving(talk):
    """A TCP server of one connection at a time, each of which is given to ``talk``; yields its port."""
    listening = socket.create_server((HERE, 0))
    ended = threading.Event()

    def serve():
        while not ended.is_set():
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            connection.settimeout(10)
            try:
                with connection:
                    talk(connection)
            except (OSError, ssl.SSLError):
                continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        ended.set()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(10)


def saying(*replies):
    """Return a talk: the first reply at once, each other after a line."""

    def talk(connection):
        lines = connection.makefile("rb")
        for index, reply in enumerate(replies):
            if index:
                lines.readline()
            connection.sendall(reply)
        lines.readline()

    return talk


def test_a_port_that_is_open_or_not():
    with serving(saying(b"")) as port:
        assert tried(lambda net: net.dial(HERE, port)).opened
    told = tried(lambda net: net.dial(HERE, port))
    assert not told.opened and told.words == "connection refused"


def test_a_port_that_is_free_or_not():
    with serving(saying(b"")) as port:
        told = tried(lambda net: net.can_listen(HERE, port))
        assert not told.opened and told.words == "somebody listens there already"
    assert tried(lambda net: net.can_listen(HERE, port)).opened
    assert tried(lambda net: net.can_listen("192.0.2.77", port)).words == "no interface here has this address"


def greet(*replies, patience=5.0):
    with serving(saying(*replies)) as port:
        return tried(lambda net: net.greet(HERE, port, "me.test"), patience)


def test_a_mail_server():
    told = greet(b"220 mx\r\n", b"250-mx hello [192.0.2.1]\r\n250 SIZE\r\n")
    assert told.opened and told.lines == ("220 mx", "250-mx hello [192.0.2.1]", "250 SIZE")
    assert greet(b"554 no\r\n").lines == ("554 no",)


@pytest.mark.parametrize(
    ("says", "words"),
    [
        (b"HTTP/1.1 400 Bad\r\n", "it does not speak SMTP"),
        (b"220-more\r\n" * 100, "it does not speak SMTP"),
        (b"x" * 5000, "it does not speak SMTP"),
    ],
)
def test_what_is_no_mail_server(says, words):
    told = greet(says)
    assert not told.opened and told.words == words


def test_controls_of_a_greeting_are_not_shown():
    assert greet(b"554 \x1b[31m\xff no\r\n").lines == ("554 ?[31m? no",)


def test_one_that_is_silent_is_waited_for_so_long_and_no_longer():
    begun = time.monotonic()
    told = greet(b"", patience=0.2)
    assert not told.opened and told.words == "no answer in time" and time.monotonic() - begun < 3


def with_tls(certificate, talk, first=None):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)

    def talk_tls(connection):
        if first is not None:
            first(connection)
        with context.wrap_socket(connection, server_side=True) as encrypted:
            talk(encrypted)

    return talk_tls


def starttls(connection):
    lines = connection.makefile("rb")
    for reply in (b"220 mx\r\n", b"250 STARTTLS\r\n", b"220 go\r\n"):
        connection.sendall(reply)
        if not reply.startswith(b"220 go"):
            lines.readline()


GOOD = AUTHORITY.issue_cert("a.test")


@pytest.mark.parametrize("first", [None, starttls])
def test_a_certificate(first):
    with serving(with_tls(GOOD, saying(b""), first)) as port:
        told = tried(lambda net: net.certificate(HERE, port, "a.test", first is not None))
        assert (told.trouble, told.names) == ("", ("a.test",)) and told.not_after > time.time()
        told = tried(lambda net: net.certificate(HERE, port, "b.test", first is not None))
        assert "b.test" in told.trouble and told.names == ("a.test",)


def test_a_certificate_that_nobody_trusts_is_told_and_shown():
    with serving(with_tls(trustme.CA().issue_cert("a.test"), saying(b""))) as port:
        told = tried(lambda net: net.certificate(HERE, port, "a.test", False))
        assert told.trouble and told.names == ("a.test",)


def test_no_tls_at_all():
    with serving(saying(b"220 mx\r\n", b"250 mx\r\n", b"502 no\r\n")) as port:
        assert tried(lambda net: net.certificate(HERE, port, "a.test", True)).trouble == "it does not offer STARTTLS"
        told = tried(lambda net: net.certificate(HERE, port, "a.test", False))
        assert told.trouble and not told.not_after


def page(answer):
    return with_tls(GOOD, saying(b"", answer))


def fetch(answer, host="a.test", patience=5.0):
    with serving(page(answer)) as port:
        return tried(lambda net: net.fetch(HERE, host, "/x", port), patience)


def test_a_page():
    told = fetch(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
    assert (told.trouble, told.status, told.body) == ("", 200, b"hello")
    assert fetch(b"HTTP/1.1 301 Moved\r\nLocation: https://b.test/\r\nContent-Length: 0\r\n\r\n").status == 301
    assert "certificate is not right" in fetch(b"", host="b.test").trouble


@pytest.mark.parametrize(
    "answer",
    [
        b"220 mx\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY + 1) + b"x" * (MAX_BODY + 1),
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * (MAX_BODY + 1),
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe",
    ],
)
def test_what_is_no_page(answer):
    assert fetch(answer, patience=1.0).trouble


@contextmanager
def time_server(answer):
    """A UDP server; ``answer`` makes a datagram of the one that came."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind((HERE, 0))
        listening.settimeout(10)

        def serve():
            asked, peer = listening.recvfrom(512)
            listening.sendto(answer(asked), peer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        thread.join(10)


def sntp(asked, ahead=0.0, first=0x24, stratum=2, echoed=None):
    """Return what a server says whose clock is so many seconds before this one's."""
    now = int((time.time() + ahead + NTP_EPOCH) * 2**32)
    echo = asked[40:48] if echoed is None else echoed
    return struct.pack("!BBbb12x8x", first, stratum, 0, 0) + echo + struct.pack("!QQ", now, now)


def offset(answer, patience=3.0):
    with time_server(answer) as port, pytest.MonkeyPatch.context() as patch:
        patch.setattr(trying, "NTP_PORT", port)
        return tried(lambda net: net.clock_offset(HERE), patience)


def test_a_time_server():
    assert abs(offset(sntp)) < 0.5
    assert abs(offset(lambda asked: sntp(asked, ahead=3600.0)) - 3600) < 0.5
    assert abs(offset(lambda asked: sntp(asked, ahead=-90.0)) + 90) < 0.5


@pytest.mark.parametrize(
    "answer",
    [
        lambda asked: b"short",
        lambda asked: sntp(asked, stratum=0),  # "go away"
        lambda asked: sntp(asked, first=0xE4),  # it does not know the time itself
        lambda asked: sntp(asked, first=0x23),  # a question
        lambda asked: sntp(asked, echoed=b"12345678"),  # of a forger who has not seen ours
    ],
)
def test_an_answer_that_does_not_count(answer):
    assert offset(answer) is None


def test_a_time_server_that_is_silent():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent, pytest.MonkeyPatch.context() as patch:
        silent.bind((HERE, 0))
        patch.setattr(trying, "NTP_PORT", silent.getsockname()[1])
        assert tried(lambda net: net.clock_offset(HERE), 0.2) is None


FOUR = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 127.0.0.1
        /32 host LOCAL
     |-- 192.0.2.0
        /24 link UNICAST
     |-- 192.0.2.7
        /32 host LOCAL
     |-- 192.0.2.255
        /32 link BROADCAST
"""
SIX = "00000000000000000000000000000001 01 80 10 80 lo\n20010db8000000000000000000000001 02 40 00 80 eth0\n"
SIX += "fe800000000000000000000000000001 02 40 20 80 eth0\n"


def test_own_addresses(tmp_path):
    (tmp_path / "four").write_text(FOUR)
    (tmp_path / "six").write_text(SIX)
    assert own_addresses(tmp_path / "four", tmp_path / "six") == ["192.0.2.7", "2001:db8::1"]
    assert own_addresses(tmp_path / "none", tmp_path / "none") == []
    assert all(not one.startswith("127.") for one in own_addresses())
