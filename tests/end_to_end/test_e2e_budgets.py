"""What a stranger sends to keep a server busy is answered and costs no memory: a header of 50 MB, ten thousand signatures, a
million recipients."""

import socket
import threading
from collections import Counter
from pathlib import Path

import pytest
from servers import Dns, MailNode
from strangers import Strangers, become

CLIENT = "192.0.2.9"
GROWTH = 48 << 20  # octets of memory for all of it: a message may be as large as that, and is not held
SIGNATURE = b"DKIM-Signature: v=1; a=rsa-sha256; d=d%d.test; s=s; h=from; bh=AAAA; b=AAAA\r\n"


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    strangers = Strangers()
    folder = tmp_path_factory.mktemp("budgets")
    dns = Dns(folder / "dns", [])
    node = MailNode(folder / "node", dns=dns, extra=strangers.extra)
    try:
        node.start()
        node.add_account("alice@a.test")
        yield node, strangers
    finally:
        node.stop()
        dns.stop()


@pytest.fixture
def client(door):
    node, strangers = door
    before = peak(node)
    with strangers.connect() as client:
        assert become(client, CLIENT, "far.test") == 250
        client.mail("a@far.test")
        yield client
    assert peak(node) - before < GROWTH
    with strangers.connect() as client:
        assert client.noop()[0] == 250


def peak(node):
    """Return the octets of memory that a server had at most."""
    status = Path(f"/proc/{node.process.popen.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


@pytest.mark.parametrize(
    ("lines", "code", "said"),
    [
        ([b"X-Large: " + b"x" * 60_000 + b"\r\n"] * 830, 552, b"5.3.4"),
        ([b"X-Large: x\r\n"] + [b" " + b"x" * 60_000 + b"\r\n"] * 830, 552, b"5.3.4"),
        ([b"X-Large: " + b"x" * 50_000_000 + b"\r\n"], 550, b"5.6.0"),
        ([SIGNATURE % number for number in range(10_000)], 552, b"5.3.4"),
        ([SIGNATURE % number for number in range(4_900)], 250, b"2.0.0"),
    ],
    ids=["fields", "folded", "one line", "signatures", "as many signatures as are taken"],
)
def test_a_header(client, lines, code, said):
    client.rcpt("alice@a.test")
    answer, text = client.data(b"".join(lines) + b"From: a@far.test\r\nSubject: x\r\n\r\nx\r\n")
    assert (answer, text[:5]) == (code, said)


def test_a_million_recipients(client):
    block = "".join(f"RCPT TO:<alice+{number}@a.test>\r\n" for number in range(1000)).encode()
    sending = threading.Thread(target=send, args=(client.sock, block))
    sending.start()
    heard = Counter(line[:3].decode() for line in client.file)
    sending.join()
    client.close()
    assert heard == {"250": 1000, "452": 1000, "421": 1}


def send(sock: socket.socket, block: bytes) -> None:
    """Send it a thousand times, or until the server has gone."""
    try:
        for _ in range(1000):
            sock.sendall(block)
    except OSError:
        return
