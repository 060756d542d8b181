"""Servers that stop reading in the middle of a message, or read next to nothing of it: mail of an account that is said in ASCII and
signed anew for them, by each way there is."""

import smtplib
import ssl
import threading

import pytest
import trustme
from scripted_peer import Scripted, forget_most_memory, most_memory
from servers import PASSWORD, Dns, MailNode, free_port
from test_e2e_relay import context, wait_for

NEAR, GOOD = "127.0.4.1", "127.0.4.2"
WAYS = {"plain": "127.0.4.3", "starttls": "127.0.4.4", "implicit": "127.0.4.5"}
KINDS = {"stopped": 10, "slow": 11}
SIZE = 10_000_000
PATIENCE = 0.02  # 180 s become 3.6 s, 300 s at the least rate of 500 octets a second 6 s at 25,000
GROWTH = 32 * 1024 * 1024
BODY = ("Grüße aus dem Süden, Zeile für Zeile\r\n" * (SIZE // 40)).encode()
HEADER = b"From: alice@near.test\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"


class World:
    """``near``, a good server, and for each way one that stops and one that is slow."""

    def __init__(self, folder):
        self.port = free_port()
        self.ended = threading.Event()
        authority = trustme.CA()
        trusted = folder / "trusted.pem"
        trusted.write_bytes(authority.cert_pem.bytes())
        (folder / "password").write_text(PASSWORD + "\n")
        (folder / "password").chmod(0o600)
        self.peers = {}
        records, routes = [f"host-record=good.test,{GOOD}"], ""
        for number, (way, kind) in enumerate(((way, kind) for way in WAYS for kind in KINDS), 10):
            domain, address = f"{kind}-{way}.test", f"127.0.4.{number}"
            tls = None
            if way != "plain":
                tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                authority.issue_cert(domain).configure_cert(tls)
            port = free_port(address) if way == "implicit" else self.port
            read = self.stop_reading if kind == "stopped" else self.read_little
            replies = {"EHLO": "250-scripted.test\r\n250 AUTH PLAIN"} if way == "implicit" else {}
            self.peers[domain] = Scripted(address, port, replies, tls=tls, implicit=way == "implicit", read=read)
            records.append(f"host-record={domain},{address}")
            if way == "implicit":
                routes += (
                    f'[[queue.route]]\ndomains = ["{domain}"]\nhost = "{domain}"\nport = {port}\ntls = "implicit"\n'
                    f'username = "near"\npassword_file = "{folder / "password"}"\n'
                )
        self.good = Scripted(GOOD, self.port, {})
        self.dns = Dns(folder / "dns", records)
        extra = f"[queue]\nport = {self.port}\nretry = [600.0]\npatience = {PATIENCE}\n{routes}"
        self.near = MailNode(folder / "near", ("near.test",), address=NEAR, dns=self.dns, extra=extra)
        self.near._env["SSL_CERT_FILE"] = str(trusted)

    def stop_reading(self, file):
        self.ended.wait()

    def read_little(self, file):
        while not self.ended.wait(0.1) and file.read(1000):
            pass

    def start(self):
        self.near.start()
        self.near.add_account("alice@near.test")
        self.near.ctl("domain", "dkim-rotate", "near.test")
        with smtplib.SMTP_SSL(NEAR, self.near.ports["submissions"], context=context(self.near), timeout=60) as client:
            client.login("alice@near.test", PASSWORD)
            self.send(client, "first@good.test", BODY)
            wait_for(lambda: self.good.taken, "the first message")
            self.before = forget_most_memory(self.near.process.popen.pid)
            for domain in self.peers:
                self.send(client, f"u@{domain}", BODY)
            self.send(client, "u@good.test", "kurz: ä\r\n".encode())
        return self

    def send(self, client, recipient, body):
        client.sendmail("alice@near.test", recipient, HEADER + body, mail_options=["BODY=8BITMIME"])

    def stop(self):
        self.ended.set()
        for part in (self.near, self.dns, self.good, *self.peers.values()):
            part.stop()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = World(tmp_path_factory.mktemp("stopped"))
    try:
        yield made.start()
    finally:
        made.stop()


def test_mail_for_others_arrives_meanwhile(world):
    wait_for(lambda: len(world.good.taken) == 2, "the short message")
    first, short = (content for _, content in world.good.taken)
    assert first.isascii() and short.isascii()
    assert first.count(b"DKIM-Signature:") == short.count(b"DKIM-Signature:") == 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", WAYS)
def test_it_is_tried_again_later(world, way, kind):
    deferred = world.near.wait_event("queue.deferred", recipient=f"u@{kind}-{way}.test")
    assert (deferred["status"], deferred["reply"].partition(": ")[2]) == ("4.4.2", "timed out sending the message")
    heard = world.peers[f"{kind}-{way}.test"].heard
    said = {"plain": [], "starttls": ["STARTTLS"], "implicit": ["AUTH"]}[way]
    assert [word for word in (line.split()[0] for line in heard) if word in ("STARTTLS", "AUTH")] == said
    assert not [line for line in heard if "8BITMIME" in line]


def test_none_of_them_costs_more_than_little(world):
    for domain in world.peers:
        world.near.wait_event("queue.deferred", recipient=f"u@{domain}")
    assert most_memory(world.near.process.popen.pid) - world.before < GROWTH
    assert not list(world.near.folder.glob("**/mailnode-scan-*"))
