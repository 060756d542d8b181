"""Large messages in and out over every way to connect: without TLS, by STARTTLS, with TLS from the first octet, each with the
PROXY protocol before it or not; and behind a haproxy nobody here wrote."""

import base64
import contextlib
import hashlib
import os
import re
import smtplib
import socket
import ssl
import textwrap
from pathlib import Path

import pytest
from haproxy_server import TCP, haproxy
from servers import PASSWORD, ROOT, MailNode, wait_for
from ways import PROTOCOLS, WAYS, Dial, EveryWay, every_way
from worker_servers import Workers

from tests.free_ports import free_port

SIZES = {"4 KiB": 4096, "10 MB": 10_000_000}


class Node(EveryWay, Workers):
    """One server with a listener for each way and protocol."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(Node(tmp_path_factory.mktemp("transports"), 1)) as node:
        yield node


@contextlib.contextmanager
def running(node):
    node.start()
    try:
        for name in ("alice", "bob"):
            node.add_account(f"{name}@a.test")
        yield node
    finally:
        assert node.stop() == 0


def message(size):
    """Return a message of about a size that no two have in common, and the digest of its body."""
    body = base64.encodebytes(os.urandom(size * 3 // 4)).replace(b"\n", b"\r\n")
    name = hashlib.sha256(body).hexdigest()
    return b"From: alice@a.test\r\nTo: bob@a.test\r\nSubject: %s\r\n\r\n" % name.encode() + body, name


def digest(octets):
    return hashlib.sha256(octets.partition(b"\r\n\r\n")[2]).hexdigest()


def goes_round(dial, size):
    """Submit a message; find it by IMAP and POP3; append it; read it again."""
    octets, name = message(size)
    with dial.submission() as client:
        assert client.sendmail("alice@a.test", ["bob@a.test"], octets) == {}
    client = dial.imap()
    assert client.select("INBOX")[0] == "OK"
    _, (number,) = client.search(None, "SUBJECT", name)
    assert digest(client.fetch(number, "(BODY.PEEK[])")[1][0][1]) == name
    assert client.append("INBOX", "", None, octets)[0] == "OK"
    client.noop()
    _, (numbers,) = client.search(None, "SUBJECT", name)
    other = numbers.split()[1]
    assert client.fetch(other, "(BODY.PEEK[])")[1][0][1] == octets
    client.store(number, "+FLAGS", "(\\Deleted)")
    client.expunge()
    client.logout()
    box = dial.pop3()
    at = len(box.list()[1])
    assert digest(b"".join(line + b"\r\n" for line in box.retr(at)[1])) == name
    box.dele(at)
    box.quit()


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@every_way
def test_a_message_goes_in_and_out(server, way, size):
    goes_round(Dial(server, *way), size)
    if way[1]:
        server.wait_event("session.open", peer="192.0.2.7")


@every_way
def test_a_client_that_stops_reading_holds_nobody_up_and_reads_on(server, way):
    dial = Dial(server, *way)
    octets, name = message(10_000_000)
    client = dial.imap("alice@a.test")
    assert client.append("INBOX", "", None, octets)[0] == "OK"
    client.select("INBOX")
    client.send(b"f UID FETCH * (BODY.PEEK[])\r\n")  # the answer is more than what the kernel keeps for either side
    goes_round(dial, 4096)
    taken = bytearray()
    while b")\r\nf OK " not in taken[-100:]:
        piece = client.sock.recv(1 << 20)
        assert piece, bytes(taken[-200:])
        taken += piece
    assert name.encode() in taken and octets in taken
    client.sock.close()


ENDLESS = {
    "a literal": ("imap", b"a LOGIN {4000000000+}\r\n"),
    "a tag": ("imap", b""),
    "a POP3 command": ("pop3", b"USER "),
    "a command": ("submission", b"EHLO "),
}


def resident(node):
    status = Path(f"/proc/{node.process.popen.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024


@every_way
def test_what_never_ends_is_taken_in_bounded_memory(server, way):
    dial = Dial(server, *way)
    goes_round(dial, 4096)
    before = resident(server)
    for protocol, beginning in ENDLESS.values():
        hostile = dial.secured(protocol)
        with contextlib.suppress(OSError):  # it may be cut off
            hostile.sendall(beginning + b"x" * 8_000_000)
            socket.socket.shutdown(hostile, socket.SHUT_WR)
            while hostile.recv(65536):
                pass
        hostile.close()
    assert resident(server) - before < 24 * 1024 * 1024
    goes_round(dial, 4096)


def test_two_processes(tmp_path):
    with running(Node(tmp_path / "node", 2)) as node:
        for dial in node.dials():
            goes_round(dial, 10_000_000)


def test_a_client_that_just_closes_leaves_no_trouble(server):
    """Neither does TLS, which would have said so first."""
    for way in WAYS.values():
        before = len(server.events("session.close"))
        dial = Dial(server, *way)
        for protocol in PROTOCOLS:
            raw = dial.connect(protocol)
            assert raw.recv(1)
            socket.socket.shutdown(raw, socket.SHUT_WR)
            with contextlib.suppress(OSError):
                while raw.recv(4096):
                    pass
            raw.close()
        wait_for(lambda before=before: len(server.events("session.close")) >= before + len(PROTOCOLS), "the ends")
    assert not [line for line in server.process.lines if "Unhandled" in line or "Traceback" in line]
    assert not server.events("session.error")


def test_behind_haproxy(tmp_path, server):
    """Its health checks come without a client's address."""
    pairs = [
        ((protocol, tls), option)
        for protocol in ("submission", "imap")
        for tls in ("none", "starttls", "implicit")
        for option in ("send-proxy", "send-proxy-v2 proxy-v2-options crc32c")
    ]
    text = TCP
    fronts = {}
    for number, ((protocol, tls), option) in enumerate(pairs):
        fronts[protocol, tls, option] = front = free_port()
        back = server.ways[protocol, tls, True]
        text += f"listen l{number}\n    bind 127.0.0.1:{front}\n    server s 127.0.0.1:{back} {option} check inter 1s\n"
    process = haproxy(tmp_path, text, fronts.values())
    try:
        octets, _ = message(10_000_000)
        for index, ((protocol, tls), option) in enumerate(pairs):
            source = f"127.0.1.{index + 1}"
            dial = Dial(server, tls, False, fronts[protocol, tls, option], (source, 0))
            if protocol == "submission":
                with dial.submission() as client:
                    assert client.sendmail("alice@a.test", ["bob@a.test"], octets) == {}
            else:
                client = dial.imap("alice@a.test")
                assert client.append("INBOX", "", None, octets)[0] == "OK"
                client.select("INBOX")
                assert client.fetch(b"*", "(BODY.PEEK[])")[1][0][1] == octets
                client.sock.close()
            server.wait_event("session.open", peer=source, protocol=protocol)
    finally:
        process.stop()
    assert not [line for line in server.process.lines if "Unhandled" in line or "Traceback" in line]
    assert not server.events("proxy.refused")


def test_as_the_page_says(tmp_path):
    page = (ROOT / "docs/haproxy.rst").read_text()
    listener, text = (
        textwrap.dedent(found) for found in re.findall(r"\.\. code-block:: \w+\n\n((?:   .*\n|\n)+)", page)
    )
    listener = listener[listener.index("[[listener]]") :]
    smtp, imaps, *backs = (free_port() for _ in range(4))
    for port, other in zip((10025, 10993), backs, strict=True):
        listener, text = listener.replace(str(port), str(other)), text.replace(str(port), str(other))
    text = text.replace("bind :25\n", f"bind 127.0.0.1:{smtp}\n").replace("bind :993\n", f"bind 127.0.0.1:{imaps}\n")
    node = MailNode(tmp_path / "node", extra=listener)
    node.password = PASSWORD
    with running(node):
        process = haproxy(tmp_path, text, (smtp, imaps))
        try:
            with smtplib.SMTP("127.0.0.1", smtp, timeout=60, source_address=("127.0.2.1", 0)) as client:
                client.starttls(context=ssl.create_default_context(cafile=node.ca))
                assert client.sendmail("x@side.test", ["bob@a.test"], "Subject: x\r\n\r\nx\r\n") == {}
            client = Dial(node, "implicit", False, imaps, ("127.0.2.2", 0)).imap()
            assert client.select("INBOX") == ("OK", [b"1"])
            client.logout()
            for peer in ("127.0.2.1", "127.0.2.2"):
                node.wait_event("session.open", peer=peer)
        finally:
            process.stop()
