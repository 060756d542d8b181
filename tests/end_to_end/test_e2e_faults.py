"""What must not happen under kill -9, a full or read-only disk, a wrong key or a port in use."""

import concurrent.futures
import os
import random
import re
import shutil
import smtplib
import socket
import ssl
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from servers import PASSWORD, MailNode, free_port
from ways import HEADER, WAYS, Dial, EveryWay, every_way

from tests.open_folder import open_folder
from tests.processes import start

KILLS = 50

# Another process: sends messages until the server is gone, and prints the subject of each that was acknowledged.
SENDER = r"""
import smtplib, socket, ssl, sys
address, port, header, tls, ca, run, worker = sys.argv[1:]
padding = "".join(chr(97 + i % 26) + ("\r\n" if i % 70 == 69 else "") for i in range(3000))
context = ssl.create_default_context(cafile=ca)
class Client(smtplib.SMTP):
    def _get_socket(self, *_):
        made = socket.create_connection((address, int(port)), 60)
        made.sendall(header.encode())
        return context.wrap_socket(made, server_hostname="localhost") if tls == "implicit" else made
try:
    with Client("localhost", 1) as client:
        if tls == "starttls":
            client.starttls(context=context)
        number = 0
        while True:
            name = f"{run}-{worker}-{number}"
            body = f"Subject: {name}\r\n\r\n{padding}\r\nend of {name}\r\n"
            if number % 7 == 3:
                body += padding * 40 + f"\r\nend of {name}\r\n"
            client.sendmail("load@side.test", ["kept@a.test"], body)
            print(name, flush=True)
            number += 1
except (OSError, smtplib.SMTPException):
    pass
"""


class Node(EveryWay, MailNode):
    """One with a listener for each way to connect."""


def senders(node, run, ways):
    return [
        start(
            [sys.executable, "-c", SENDER, node.address, str(node.ways["smtp", tls, proxied])]
            + [HEADER.decode() * proxied, tls, node.ca, str(run), tls],
            stdout=subprocess.PIPE,
            text=True,
        )
        for tls, proxied in ways
    ]


# SMTP trap 35: in accept
def test_fifty_kills_under_load_lose_nothing_acknowledged(tmp_path):
    """Acknowledgements are recorded by other processes; after all kills every one of them is there, whole.

    Each time three send, one without TLS, one with STARTTLS and one with implicit TLS; every second time behind PROXY.
    """
    chance = random.Random(20261123)
    node = Node(tmp_path / "node").start()
    node.add_account("kept@a.test")
    acknowledged = []
    for run in range(KILLS):
        ways = [way for way in WAYS.values() if way[1] == (run % 2 == 1)]
        clients = senders(node, run, ways)
        acknowledged += [client.stdout.readline().strip() for client in clients]
        assert acknowledged[-3:] == [f"{run}-{tls}-0" for tls, _ in ways]  # the load is on in each of them
        for _ in range(chance.randrange(12)):
            acknowledged.append(clients[run % 3].stdout.readline().strip())
        node.kill()
        for client in clients:
            acknowledged += client.communicate(timeout=60)[0].split()
        node.start()
    assert len(acknowledged) > KILLS
    stored = read_all(node, "kept@a.test")
    assert not set(acknowledged) - set(stored)
    for name, body in stored.items():
        assert body.rstrip().endswith(f"end of {name}".encode()), name
    node.stop()


def read_all(node, user):
    """Return every message of INBOX by subject; a message that stands twice must be the same."""
    import poplib

    context = ssl.create_default_context(cafile=node.ca)
    client = poplib.POP3_SSL(node.address, node.ports["pop3s"], context=context, timeout=120)
    client.user(user)
    client.pass_(PASSWORD)
    count, _ = client.stat()
    found = {}
    for number in range(1, count + 1):
        lines = client.retr(number)[1]
        subject = next(line for line in lines if line.startswith(b"Subject: "))[9:].decode()
        found[subject] = b"\r\n".join(lines)
    client.quit()
    return found


def start_fails(node, *texts):
    done = subprocess.run(
        node.twistd("--config", str(node.config)),
        capture_output=True,
        text=True,
        env=node._env,
        cwd=node.folder,
        timeout=60,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 1, output
    assert "Traceback" not in output, output
    for text in texts:
        assert text in output, output


def test_a_port_in_use(tmp_path):
    node = MailNode(tmp_path / "node")
    with socket.create_server((node.address, node.ports["imaps"])):
        start_fails(node, str(node.ports["imaps"]))
    node.start()  # nothing was left half started
    assert node.stop() == 0


def test_a_second_server_on_the_same_data(tmp_path):
    node = MailNode(tmp_path / "node").start()
    other = MailNode(tmp_path / "other")
    other.config.write_text(other.config.read_text().replace(str(other.data), str(node.data)))
    start_fails(other, str(node.data))
    node.stop()


def test_a_wrong_key(tmp_path):
    node, other = MailNode(tmp_path / "node"), MailNode(tmp_path / "other")
    (node.folder / "key.pem").write_bytes((other.folder / "key.pem").read_bytes())
    start_fails(node, "tls.key")
    (node.folder / "key.pem").write_text("no key at all\n")
    start_fails(node, "tls.key")


def test_every_mistake_at_once(tmp_path):
    node = MailNode(tmp_path / "node")
    text = node.config.read_text().replace("tcp:", "tpc:", 1).replace('hostname = "', 'hostname = "-')
    node.config.write_text(text + "[limits]\nrecipients = 0\nspeed = 3\n")
    start_fails(node, "listener[0].endpoint: ", "server.hostname: ", "limits.recipients: ", "limits.speed: ")
    done = node.ctl("check", check=False)
    assert done.returncode == 1 and "listener[0].endpoint: " in done.stdout + done.stderr


@pytest.fixture
def opened():
    with open_folder("faults") as folder:
        yield Path(folder)


@pytest.mark.skipif(os.getuid() == 0 and not os.path.exists("/usr/bin/setpriv"), reason="needs setpriv")
def test_a_read_only_data_directory(opened):
    node = MailNode(opened / "node").start()
    node.add_account("kept@a.test")
    node.stop()
    for path in (node.data, *node.data.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    (node.folder / "key.pem").chmod(0o644)
    node.folder.chmod(0o755)
    if os.getuid() == 0:  # root writes anywhere: run as somebody else
        original = node.twistd
        node.twistd = lambda *arguments: [
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            *original(*arguments),
        ]
    start_fails(node, str(node.data))


def test_a_resolver_that_is_down_at_start(tmp_path):
    node = MailNode(tmp_path / "node", extra=f'[dns]\nservers = ["127.0.0.1:{free_port()}"]\n').start()
    node.add_account("alice@a.test")
    with smtplib.SMTP(node.address, node.ports["submission"], timeout=30) as client:
        client.starttls(context=ssl.create_default_context(cafile=node.ca))
        client.login("alice@a.test", PASSWORD)
        client.sendmail("alice@a.test", ["someone@far.test"], "From: alice@a.test\r\n\r\nhello\r\n")
    node.wait_event("queue.deferred", recipient="someone@far.test")
    node.stop()


def converse(dial, protocol, *turns):
    """Send turns to a listener and return everything it says until it closes.

    Each turn but the last is a group of SMTP commands, and waits for the replies to all of them.
    """
    with dial.secured(protocol) as connection:
        said = b""
        try:
            for turn in turns[:-1]:
                wanted = len(re.findall(rb"^[0-9]{3} ", said, re.MULTILINE)) + turn.count(b"\r\n")
                connection.sendall(turn)
                while len(re.findall(rb"^[0-9]{3} .*\r\n", said, re.MULTILINE)) < wanted:
                    piece = connection.recv(65536)
                    assert piece, said
                    said += piece
            connection.sendall(turns[-1])
            socket.socket.shutdown(connection, socket.SHUT_WR)
            while piece := connection.recv(65536):
                said += piece
        except (ConnectionError, ssl.SSLError):  # cut off, or ended without the end of TLS
            pass
        return said


def resident(node):
    with open(f"/proc/{node.process.popen.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) * 1024


HOSTILE = {
    "an over-long command": ("smtp", b"EHLO " + b"x" * 10_000_000 + b"\r\nNOOP\r\nQUIT\r\n"),
    "a never-ending line": ("smtp", b"x" * 20_000_000),
    "junk": ("smtp", bytes(range(256)) * 20_000),
    "bare line feeds": ("smtp", b"EHLO x\nMAIL FROM:<a@b>\n" * 1000 + b"\r\nQUIT\r\n"),
    "a million header lines": (
        "smtp",
        b"EHLO x\r\n",
        b"MAIL FROM:<a@b.test>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\n",
        b"X: y\r\n" * 1_000_000 + b"\r\n.\r\nQUIT\r\n",
    ),
    "a huge literal before login": ("imap", b"a LOGIN {4000000000+}\r\n" + b"x" * 20_000_000),
    "an endless tag": ("imap", b"a" * 20_000_000),
    "nested lists": ("imap", b"a SEARCH " + b"(" * 60_000 + b"\r\nb LOGOUT\r\n"),
    "NUL and 8-bit": ("imap", b"a LOGIN \xff\x00 x\r\nb LOGOUT\r\n"),
    "half a command": ("imap", b"a LOGI"),
    "an endless POP3 command": ("pop3", b"USER " + b"x" * 20_000_000),
    "POP3 junk": ("pop3", bytes(range(256)) * 20_000),
}


@every_way
def test_hostile_input_is_answered_in_bounded_memory(node, way):
    dial = Dial(node, *way)
    with smtplib.SMTP(node.address, node.ports["smtp"], timeout=30) as bystander:
        bystander.ehlo("calm.test")
        before = resident(node)
        for name, (listener, *turns) in HOSTILE.items():
            said = converse(dial, listener, *turns)
            assert b"Traceback" not in said, name
            assert bystander.noop()[0] == 250, name
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda case: converse(dial, *case), list(HOSTILE.values())))
        assert bystander.noop()[0] == 250
        assert resident(node) - before < 150 * 1024 * 1024
    assert not [line for line in node.process.lines if "Traceback" in line]


SMUGGLED = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\n.\r",
    b"\r\n.\r",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
]


# SMTP trap 10: over a socket
@every_way
@pytest.mark.parametrize("command", [b"EHLO x", b"DATA"])
def test_who_does_not_wait_for_our_reply_is_turned_away(node, command, way):
    before = [b"EHLO x\r\n", b"MAIL FROM:<a@side.test>\r\nRCPT TO:<bob@a.test>\r\n"] if command == b"DATA" else []
    said = converse(Dial(node, *way), "smtp", *before, command + b"\r\n" + b"NOOP\r\n" * 500_000)
    assert said.splitlines(keepends=True)[-1] == b"554 5.5.0 SMTP synchronization error: data before our reply\r\n"


@every_way
def test_who_does_not_wait_is_told_so_and_hears_of_the_end(node, way):
    with Dial(node, *way).smtp() as client:
        client.sock.sendall(b"EHLO x\r\n" + b"NOOP\r\n" * 500_000)
        with client.sock.makefile("rb") as said:
            assert said.readline() == b"554 5.5.0 SMTP synchronization error: data before our reply\r\n"
            assert said.readline() == b""  # the end of TLS, not a broken connection
        client.close()


# SMTP trap 1: over a socket, with what is stored
@pytest.mark.parametrize("ending", SMUGGLED)
def test_no_second_envelope_is_smuggled(node, ending):
    inner = b"MAIL FROM:<evil@side.test>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n"
    said = converse(
        Dial(node, "none", False),
        "smtp",
        b"EHLO x\r\n",
        b"MAIL FROM:<a@side.test>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\n",
        b"Subject: outer\r\n\r\nbody" + ending + inner + b"QUIT\r\n",
    )
    assert said.count(b"queued as") <= 1
    assert b"550 5.5.2" in said or b"554 5.5.2" in said
    assert said.count(b"354 ") == 1


# SMTP trap 25: every way, over a socket, and nothing is queued
def test_nobody_is_relayed_for(node):
    ours = "a.test"
    ways = [
        "victim@elsewhere.test",
        "victim@ELSEWHERE.test",
        "victim@elsewhere.test.",
        "victim@[192.0.2.1]",
        "victim@[127.0.0.1]",
        f"victim@[{node.address}]",
        "victim@localhost",
        f"victim%elsewhere.test@{ours}",
        f"victim%elsewhere.test@{ours.upper()}",
        f"elsewhere.test!victim@{ours}",
        f"elsewhere.test!victim@[{node.address}]",
        f"victim@elsewhere.test@{ours}",
        f'"victim@elsewhere.test"@{ours}',
        f'"victim%elsewhere.test"@{ours}',
        f"@{ours}:victim@elsewhere.test",
        f"@{ours},@side.test:victim@elsewhere.test",
        f"@elsewhere.test:victim@{ours}",
        f"victim@sub.{ours}",
        f"victim@{ours}.",
        f"victim@{ours}.elsewhere.test",
    ]
    for way in ways:
        with smtplib.SMTP(node.address, node.ports["smtp"], timeout=30) as client:
            client.ehlo("client.test")
            assert client.docmd("MAIL", f"FROM:<bob@{ours}>")[0] == 250
            code, text = client.docmd("RCPT", f"TO:<{way}>")
            assert code in (501, 550, 553, 554), (way, text)
            assert client.docmd("DATA")[0] in (503, 554)
    assert [row for row in node.queue() if "victim" in str(row)] == []


def test_a_reset_between_the_end_of_data_and_the_reply(node):
    """The message is there, whole, or it is not; nobody else notices, and no failure is logged."""
    with smtplib.SMTP(node.address, node.ports["smtp"], timeout=30) as bystander:
        bystander.ehlo("calm.test")
        for number, dial in enumerate([*node.dials()] * 6):
            connection = dial.smtp()
            connection.ehlo("x.test")
            for command in ("MAIL FROM:<a@side.test>", "RCPT TO:<bob@a.test>", "DATA"):
                assert connection.docmd(command)[0] in (250, 354)
            size = 100_000 if number // len(WAYS) % 3 == 0 else 100
            connection.sock.sendall(f"Subject: reset-{number}\r\n\r\n{'x' * size}\r\nend of reset\r\n.\r\n".encode())
            # closed with RST at once, whatever the server is doing
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
            assert bystander.noop()[0] == 250
    stored = {name: body for name, body in read_all(node, "bob@a.test").items() if name.startswith("reset-")}
    accepted = [event for event in node.events("message.accepted") if event["sender"] == "a@side.test"]
    assert len(stored) <= 36 and all(body.endswith(b"\r\nend of reset") for body in stored.values())
    assert len(accepted) >= len(stored)
    assert not [line for line in node.process.lines if "Traceback" in line or "session.error" in line]


def test_a_server_whose_data_directory_was_removed_still_ends(tmp_path):
    node = MailNode(tmp_path / "node").start()
    node.add_account("bob@a.test")
    shutil.rmtree(node.data)
    assert node.stop() == 0
    assert node.events("server.stop")
