"""Strangers at a real server: behind a balancer's PROXY header, and as swaks tells of them with XCLIENT."""

import contextlib
import socket
import subprocess
import time

import pytest
from servers import MailNode, free_port, program

PAUSE = 1.0


class Spoken:
    """A client that a balancer speaks for, by hand."""

    def __init__(self, port, address, early=b""):
        self._socket = socket.create_connection(("127.0.0.1", port), 30)
        self._began = time.monotonic()
        self._socket.sendall(f"PROXY TCP4 {address} 192.0.2.200 40000 25\r\n".encode() + early)
        self.greeting = self.read()
        self.waited = time.monotonic() - self._began

    def read(self):
        return self._socket.recv(4096).decode()

    def say(self, words):
        self._socket.sendall(words.encode())
        return self.read()

    def close(self):
        self._socket.close()


@pytest.fixture(scope="module")
def doors():
    return {"proxy": free_port(), "relay": free_port()}


@pytest.fixture(scope="module")
def node(tmp_path_factory, doors):
    extra = f"""
[[listener]]
protocol = "smtp"
endpoint = "haproxy:tcp:{doors["proxy"]}:interface=127.0.0.1"
proxy_from = ["127.0.0.0/8"]
[[listener]]
protocol = "smtp"
endpoint = "tcp:{doors["relay"]}:interface=127.0.0.1"
xclient_from = ["127.0.0.0/8"]
[limits]
greet_pause = {PAUSE}
connections_per_minute = 5
refused_recipients_per_minute = 2
"""
    made = MailNode(tmp_path_factory.mktemp("node"), extra=extra).start()
    made.add_account("alice@a.test")
    yield made
    made.stop()


@pytest.fixture
def spoken(node, doors):
    with contextlib.ExitStack() as ends:

        def make(address, early=b""):
            client = Spoken(doors["proxy"], address, early)
            ends.callback(client.close)
            return client

        yield make


def test_who_speaks_first_is_refused(node, spoken):
    client = spoken("192.0.2.1", b"EHLO bot.test\r\n")
    assert client.greeting.startswith("554 5.5.1 ")
    assert client.waited >= PAUSE
    assert node.wait_event("session.ended", peer="192.0.2.1")["reason"] == "spoke before the greeting"


def test_whose_mail_was_taken_waits_no_more(node, spoken):
    client = spoken("192.0.2.2")
    assert client.greeting.startswith("220 ")
    assert client.waited >= PAUSE
    client.say("EHLO far.test\r\n")
    client.say("MAIL FROM:<a@far.test>\r\n")
    client.say("RCPT TO:<alice@a.test>\r\n")
    client.say("DATA\r\n")
    assert client.say("Subject: x\r\n\r\nx\r\n.\r\n").startswith("250 ")
    assert spoken("192.0.2.2").waited < PAUSE


def test_who_comes_too_often_is_told_to_come_later(node, spoken):
    greetings = [spoken("192.0.2.3", b"early\r\n").greeting[:3] for _ in range(7)]
    assert greetings == ["554"] * 5 + ["421"] * 2
    told = node.wait_event("client.limited", peer="192.0.2.3")
    assert (told["what"], told["limit"]) == ("connections", 5)


def test_swaks_says_for_whom_it_speaks(node, doors):
    """Two recipients that there are not, and then even one that there is."""
    command = [program("swaks"), "--server", "127.0.0.1", "--port", str(doors["relay"]), "--from", "a@far.test"]
    command += ["--xclient-addr", "198.51.100.7", "--xclient-helo", "far.test", "--xclient-name", "[UNAVAILABLE]"]
    command += ["--xclient-proto", "ESMTP", "--xclient-destaddr", "192.0.2.200", "--xclient-destport", "25"]
    command += ["--quit-after", "RCPT", "--to"]
    for recipient, code in (("no@a.test", "550"), ("nobody@a.test", "550"), ("alice@a.test", "451 4.7.1")):
        done = subprocess.run([*command, recipient], capture_output=True, text=True, timeout=60, check=False)
        assert "XCLIENT" in done.stdout
        assert f"<** {code}" in done.stdout
    assert node.wait_event("client.limited", what="refused_recipients")["peer"] == "198.51.100.7"
    assert node.wait_event("recipient.refused", recipient="alice@a.test")["peer"] == "198.51.100.7"
