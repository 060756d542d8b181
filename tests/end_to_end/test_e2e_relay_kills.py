"""SIGKILL while mail is relayed: what was acknowledged reaches the other side whole, and no notice is lost."""

import contextlib
import hashlib
import imaplib
import random
import re
import smtplib
import ssl
import threading
import time
import urllib.request

from scripted_peer import Scripted
from servers import PASSWORD, MailNode, free_port, wait_for
from wall_clock import WallClock

KILLS = 10
PEER = "127.0.0.13"
LEASE = 100  # seconds, more than a lease lasts


def answer(line):
    """Take everybody but those called no."""
    return "550 5.1.1 no such user here" if "<no-" in line else "250 2.1.5 ok"


def content(name):
    """Return a message that tells whether it is whole."""
    body = "".join(f"{hashlib.sha256(f'{name} {n}'.encode()).hexdigest()}\r\n" for n in range(200))
    return f"From: alice@a.test\r\nSubject: {name}\r\n\r\n{body}end of {name}\r\n"


class Sender(threading.Thread):
    """Hands messages over until the server is gone; keeps the names of those that were taken."""

    def __init__(self, address, port, name):
        super().__init__()
        self.address, self.port, self.prefix = address, port, name
        self.taken = []

    def run(self):
        with contextlib.suppress(OSError, smtplib.SMTPException), smtplib.SMTP(self.address, self.port) as client:
            client.ehlo()
            for number in range(1000):
                name = f"{self.prefix}-{number}"
                client.sendmail("alice@a.test", [f"yes-{name}@far.test", f"no-{name}@far.test"], content(name))
                self.taken.append(name)


def queued(node):
    """Return how many envelopes are in the queue."""
    with urllib.request.urlopen(f"http://{node.address}:{node.ports['http']}/metrics", timeout=30) as page:
        return float(re.search(rb"^mailnode_queue_envelopes (\S+)", page.read(), re.MULTILINE)[1])


def notices(node, context):
    """Return the DSNs alice has."""
    with imaplib.IMAP4_SSL(node.address, node.ports["imaps"], ssl_context=context, timeout=30) as client:
        client.login("alice@a.test", PASSWORD)
        client.select("INBOX", readonly=True)
        return [part[1].decode() for part in client.fetch("1:*", "(BODY.PEEK[])")[1] if isinstance(part, tuple)]


# SMTP trap 35: in defer, bounce and complete
def test_no_relayed_mail_is_lost_by_ten_kills(tmp_path):
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    port, clock = free_port(), WallClock(tmp_path / "clock")
    peer = Scripted(PEER, free_port(PEER), {"RCPT": answer})
    extra = (
        f'[[listener]]\nprotocol = "smtp"\nendpoint = "tcp:{port}:interface=127.0.0.1"\nrelay_from = ["127.0.0.0/8"]\n'
        f'[queue]\nretry = [0.5]\n[queue.smarthost]\nhost = "{PEER}"\nport = {peer.server_address[1]}\ntls = "none"\n'
    )
    node = MailNode(tmp_path / "node", extra=extra, path=(clock.folder,)).start()
    try:
        node.add_account("alice@a.test")
        acknowledged = set()
        for kill in range(KILLS):
            senders = [Sender(node.address, port, f"{kill}-{number}") for number in range(2)]
            for sender in senders:
                sender.start()
            time.sleep(chance.uniform(0.1, 0.5))
            node.kill()
            for sender in senders:
                sender.join()
                acknowledged.update(sender.taken)
            clock.set((kill + 1) * LEASE)  # what a killed server had in its hands is due again
            node.start()
        assert len(acknowledged) > KILLS
        wait_for(lambda: queued(node) == 0, "an empty queue", 60)
    finally:
        peer.stop()
        node.stop()
    check_relayed(peer, acknowledged)
    node.start()
    told = notices(node, ssl.create_default_context(cafile=node.ca))
    node.stop()
    refused = {name for name in acknowledged if any(f"rfc822; no-{name}@far.test" in notice for notice in told)}
    assert refused == acknowledged
    assert not [line for line in node.process.lines if "Traceback" in line]


def check_relayed(peer, acknowledged):
    """Every acknowledged message arrived, and whatever arrived is whole."""
    arrived = set()
    for recipients, octets in peer.taken:
        (address,) = recipients
        name = address.removeprefix("yes-").partition("@")[0]
        assert octets.decode().endswith(content(name).partition("\r\n\r\n")[2]), name
        arrived.add(name)
    assert acknowledged <= arrived
