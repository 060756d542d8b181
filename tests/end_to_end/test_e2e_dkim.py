"""What leaves a server is verified where it arrives, by OpenDKIM with the records that the command printed, in a DNS server."""

import imaplib
import json
import os
import smtplib
import ssl
import subprocess
from dataclasses import replace
from types import SimpleNamespace

import pytest
from servers import PASSWORD, STRICT, Dns, MailNode, Postfix, free_port, program, wait_for

from mailnode.admin.dkim import domain_dkim, domain_dkim_rotate
from mailnode.admin.dkim_rotation import DkimRotation
from mailnode.config.demo import demo_config
from mailnode.net.lookup import BlockingLookup
from mailnode.net.no_reactor import run_now
from mailnode.server.administration import administration

# Names below .test will not do: the resolver in OpenDKIM knows that there are none.
A, B, POSTFIX, RESOLVER = "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.6.53"
HEAD = b"From: Alice <alice@a.example>\r\nTo: bob@b.example\r\nSubject: "
TEXT = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
BODIES = {
    "small": b"A line  with spaces \t\r\n\r\n.\r\n" + b"x" * 60 + b"\r\n" * 3,
    "four": (b"0123456789" * 7 + b"\r\n") * 57,
    "eight": "Grüße aus Köln, §5\r\n".encode() * 200,
    "large": (b"QUJD" * 18 + b"\r\n") * 135_000,  # 10 MB, which Postfix takes
}


def text_pieces(text):
    """The strings of a TXT record, as dnsmasq reads them."""
    return ",".join(f'"{text[at : at + 250]}"' for at in range(0, len(text), 250))


class World:
    """Two mailnodes, a Postfix, and OpenDKIM with a resolver that has the keys."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.dns = Dns(
            folder / "dns",
            [
                "local=/example/",
                f"host-record=mx.b.example,{B}",
                f"host-record=mx.p.example,{POSTFIX}",
                "mx-host=b.example,mx.b.example,10",
                "mx-host=p.example,mx.p.example,10",
            ],
        )
        extra = f"[queue]\nport = {self.port}\nretry = [1.0]\n"
        common = {"smtp_port": self.port, "dns": self.dns, "extra": extra}
        self.a = MailNode(folder / "a", ("a.example",), address=A, **common)
        self.b = MailNode(folder / "b", ("b.example",), address=B, **common)
        self.postfix = Postfix("p.example", POSTFIX, self.port, [])
        self.resolver = None

    def start(self):
        for node, user in ((self.a, "alice@a.example"), (self.b, "bob@b.example")):
            node.start()
            node.add_account(user)
        self.postfix.start()
        self.publish("dkim")
        return self

    def publish(self, verb):
        """Change the keys of a.example, and publish the records of those there are."""
        keys = json.loads(self.a.ctl("domain", verb, "a.example", "--json").stdout)
        lines = []
        for key in keys:
            lines.append(f"txt-record={key['name']}," + text_pieces(key["text"]))
        if self.resolver is not None:
            self.resolver.stop()
        self.resolver = Dns(self.folder / "resolver", lines, port=53, address=RESOLVER)
        return [key["selector"] for key in keys if key["state"] == "active"]

    def stop(self):
        for part in (self.a, self.b, self.postfix, self.dns, self.resolver):
            if part is not None:
                part.stop()

    def verdicts(self, message):
        """What OpenDKIM says of each signature of a message, as it would tell a mail program."""
        configuration = self.folder / "opendkim.conf"
        configuration.write_text(f"Mode v\nNameservers {RESOLVER}\nUserID root\n")
        path = self.folder / "message"
        path.write_bytes(message)
        command = [program("opendkim"), "-x", str(configuration), "-t", str(path), "-vv"]
        told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        result = (told.stdout + told.stderr).partition("Authentication-Results'")[2].partition("'\n")[0]
        return [
            (word.split()[0], part)
            for word in result.split("dkim=")[1:]
            for part in word.split()
            if part.startswith("header.a=")
        ]


NOW = 1_800_000_000.0
PASSED = [("pass", "header.a=rsa-sha256"), ("pass", "header.a=ed25519-sha256")]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    if os.getuid() != 0:
        (pytest.fail if STRICT else pytest.skip)("the resolver's port 53 is for root only")
    program("opendkim")
    made = World(tmp_path_factory.mktemp("world"))
    try:
        yield made.start()
    finally:
        made.stop()


def context(node):
    return ssl.create_default_context(cafile=node.ca)


def submit(node, to, content, **options):
    with smtplib.SMTP_SSL(node.address, node.ports["submissions"], context=context(node), timeout=60) as client:
        client.login("alice@a.example", PASSWORD)
        client.sendmail("alice@a.example", to, content, **options)


def messages(node, user, subject):
    """Return the messages of INBOX whose subject holds a text."""
    with imaplib.IMAP4_SSL(node.address, node.ports["imaps"], ssl_context=context(node), timeout=60) as client:
        client.login(user, PASSWORD)
        client.select("INBOX", readonly=True)
        _, (numbers,) = client.search(None, "SUBJECT", f'"{subject}"')
        return [client.fetch(number, "(BODY.PEEK[])")[1][0][1] for number in numbers.split()]


@pytest.mark.parametrize("name", BODIES)
def test_what_arrives_is_verified(world, name):
    content = HEAD + name.encode() + b"\r\n" + TEXT + BODIES[name]
    submit(world.a, ["bob@b.example", "carl@p.example", "alice@a.example"], content, mail_options=["BODY=8BITMIME"])
    (at_b,) = wait_for(lambda: messages(world.b, "bob@b.example", name), "delivery by mailnode")
    (at_home,) = wait_for(lambda: messages(world.a, "alice@a.example", name), "delivery at home")
    subject = b"\nSubject: " + name.encode() + b"\n"
    (at_postfix,) = wait_for(lambda: [m for m in world.postfix.messages() if subject in m], "delivery by Postfix")
    assert world.verdicts(at_b) == world.verdicts(at_home) == world.verdicts(at_postfix) == PASSED
    assert at_b.index(b"a=rsa-sha256") < at_b.index(b"a=ed25519-sha256") < at_b.index(b"Subject: ")
    if name != "large":
        assert [verdict for verdict, _ in world.verdicts(at_b.replace(b"Subject: ", b"Subject: no "))] == ["fail"] * 2


# SMTP trap 38: its signature holds
def test_a_notice_is_verified(world):
    submit(world.a, ["nobody@b.example"], HEAD + b"to nobody\r\n" + TEXT + b"hi\r\n")
    (notice,) = wait_for(lambda: messages(world.a, "alice@a.example", "could not be delivered"), "the notice")
    assert world.verdicts(notice) == PASSED


def test_new_keys_sign_from_the_next_message_on(world):
    old = world.publish("dkim-rotate")
    submit(world.a, ["bob@b.example"], HEAD + b"before\r\n" + TEXT + b"hi\r\n")
    new = world.publish("dkim-activate")
    submit(world.a, ["bob@b.example"], HEAD + b"afterwards\r\n" + TEXT + b"hi\r\n")
    for subject, selectors in (("before", old), ("afterwards", new)):
        (got,) = wait_for(lambda subject=subject: messages(world.b, "bob@b.example", subject), "delivery")
        assert world.verdicts(got) == PASSED
        assert all(f"s={selector};".encode() in got for selector in selectors)
    assert not set(old) & set(new)


def test_a_key_signs_when_a_resolver_tells_its_record(tmp_path):
    port = free_port()
    with administration(demo_config(tmp_path / "data")) as opened:
        clock = SimpleNamespace(seconds=lambda: NOW)
        admin = replace(opened, dns=BlockingLookup(lambda: [f"127.0.0.1:{port}"]), clock=clock)

        rotation = DkimRotation(admin)
        run_now(rotation.begin())
        made = run_now(domain_dkim_rotate(admin, "mailnode.test"))
        lines = [f"txt-record={key['name']}," + text_pieces(key["text"]) for key in made if key["state"] == "next"]
        for zone, later, states in ((["local=/test/"], 0, 2), (lines, 0, 2), (lines, 7199, 2), (lines, 7200, 0)):
            dns = Dns(tmp_path / "dns", ["local-ttl=7200", *zone], port)
            try:
                run_now(rotation.look(NOW + later))
            finally:
                dns.stop()
            found = [key["state"] for key in run_now(domain_dkim(admin, "mailnode.test"))]
            assert found.count("next") == states, (later, found)


def test_nothing_private_is_told(world):
    told = world.a.ctl("domain", "dkim", "a.example").stdout + "\n".join(world.a.process.lines)
    assert "PRIVATE" not in told and "MIIEv" not in told
    assert (world.a.data / "directory.db").stat().st_mode & 0o77 == 0
