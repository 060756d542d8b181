"""Relay by MX between real servers: mailnode to mailnode, to and from Postfix, past dead, busy and refusing servers."""

import imaplib
import json
import smtplib
import ssl
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from scripted_peer import Scripted
from servers import PASSWORD, Dns, MailNode, Postfix, free_port, wait_for

A, B, POSTFIX = "127.0.0.2", "127.0.0.3", "127.0.0.4"
DEAD, BUSY, REFUSING, LATER = "127.0.0.9", "127.0.0.10", "127.0.0.11", "127.0.0.12"


class World:
    """Two mailnodes, a Postfix, three bad servers and the DNS that leads to them."""

    def __init__(self, folder):
        self.port = free_port()
        self.dns = Dns(
            folder / "dns",
            [
                f"host-record=mx.a.test,{A}",
                f"host-record=mx.b.test,{B}",
                f"host-record=mx.p.test,{POSTFIX}",
                f"host-record=dead.test,{DEAD}",
                f"host-record=busy.test,{BUSY}",
                f"host-record=refusing.test,{REFUSING}",
                f"host-record=later.test,{LATER}",
                "mx-host=a.test,mx.a.test,10",
                "mx-host=b.test,dead.test,5",
                "mx-host=b.test,busy.test,6",
                "mx-host=b.test,mx.b.test,10",
                "mx-host=p.test,mx.p.test,10",
                "mx-host=r.test,refusing.test,10",
                "mx-host=l.test,later.test,10",
            ],
        )
        extra = f"[queue]\nport = {self.port}\nretry = [1.0]\n"
        common = {"smtp_port": self.port, "dns": self.dns, "extra": extra}
        self.a = MailNode(folder / "a", ("a.test",), address=A, **common)
        self.b = MailNode(folder / "b", ("b.test",), address=B, **common)
        self.postfix = Postfix("p.test", POSTFIX, self.port, [("a.test", A, self.port)])
        self.busy = Scripted(BUSY, self.port, {"": "421 4.3.2 too busy"})
        self.refusing = Scripted(REFUSING, self.port, {"RCPT": "550 5.1.1 no such user here"})
        self.later_calls = 0
        self.later = Scripted(LATER, self.port, {"RCPT": self.first_later})

    def first_later(self, line):
        self.later_calls += 1
        return "451 4.7.1 come back later" if self.later_calls == 1 else "250 2.1.5 ok"

    def start(self):
        for node, user in ((self.a, "alice@a.test"), (self.b, "bob@b.test")):
            node.start()
            node.add_account(user)
        self.postfix.start()
        return self

    def stop(self):
        for part in (self.a, self.b, self.postfix, self.busy, self.refusing, self.later, self.dns):
            part.stop()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = World(tmp_path_factory.mktemp("world"))
    try:
        yield made.start()
    finally:
        made.stop()


def context(node):
    return ssl.create_default_context(cafile=node.ca)


def submit(node, user, to, subject, **options):
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = user, ", ".join(to), subject
    made.set_content("Hello.\n")
    with smtplib.SMTP_SSL(node.address, node.ports["submissions"], context=context(node), timeout=30) as client:
        client.login(user, PASSWORD)
        client.send_message(made, user, to, **options)


def messages(node, user, subject):
    """Return the messages of INBOX whose subject holds a text."""
    with imaplib.IMAP4_SSL(node.address, node.ports["imaps"], ssl_context=context(node), timeout=30) as client:
        client.login(user, PASSWORD)
        client.select("INBOX", readonly=True)
        _, (numbers,) = client.search(None, "SUBJECT", f'"{subject}"')
        return [client.fetch(number, "(BODY.PEEK[])")[1][0][1] for number in numbers.split()]


def test_one_message_is_followed_by_id_across_two_nodes(world):
    submit(world.a, "alice@a.test", ["bob@b.test"], "across")
    (got,) = wait_for(lambda: messages(world.b, "bob@b.test", "across"), "delivery to b.test")
    sent = world.a.wait_event("queue.sent", recipient="bob@b.test", reply="queued as")
    here = sent["envelope"]
    there = sent["reply"].split("queued as ")[1].split()[0]
    assert world.a.wait_event("message.accepted", envelope=here)["account"]
    assert world.b.wait_event("message.accepted", envelope=there)
    assert world.b.wait_event("message.delivered", envelope=there)
    received = message_from_bytes(got, policy=policy.default).get_all("Received")
    assert there in received[0] and here in received[1]
    assert "TLS" in sent["tls"]  # opportunistic STARTTLS, the dead and the busy server passed by
    assert world.busy.heard == []
    wait_for(lambda: not world.a.queue(), "an empty queue")


def test_a_refusal_comes_back_as_a_dsn(world):
    submit(world.a, "alice@a.test", ["someone@r.test"], "refused there")
    (bounce,) = wait_for(lambda: messages(world.a, "alice@a.test", "eliver"), "a DSN")
    parsed = message_from_bytes(bounce, policy=policy.default)
    assert parsed.get_content_type() == "multipart/report"
    assert parsed["Return-Path"] == "<>"
    assert parsed["Auto-Submitted"] == "auto-replied"
    status = next(part for part in parsed.walk() if part.get_content_type() == "message/delivery-status")
    fields = status.get_payload()[1]
    assert fields["Action"] == "failed" and fields["Status"] == "5.1.1"
    assert "550 5.1.1 no such user here" in fields["Diagnostic-Code"]
    assert "someone@r.test" in fields["Final-Recipient"]
    assert "refused there" in bounce.decode()


def test_a_temporary_refusal_is_tried_again(world):
    submit(world.a, "alice@a.test", ["someone@l.test"], "later")
    world.a.wait_event("queue.deferred", recipient="someone@l.test", reply="451 4.7.1")
    world.a.wait_event("queue.sent", recipient="someone@l.test")
    assert world.later_calls == 2


def test_to_postfix(world):
    submit(world.a, "alice@a.test", ["carl@p.test"], "to postfix")
    (got,) = wait_for(
        lambda: [m for m in world.postfix.messages() if b"Subject: to postfix" in m], "delivery by Postfix"
    )
    assert b"Return-Path: <alice@a.test>" in got


def test_from_postfix(world):
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "carl@p.test", "alice@a.test", "from postfix"
    made.set_content("A line\n.\n..dots\n")
    with smtplib.SMTP(POSTFIX, world.port, timeout=30) as client:
        client.send_message(made)
    (got,) = wait_for(lambda: messages(world.a, "alice@a.test", "from postfix"), "delivery from Postfix")
    assert b"\r\nA line\r\n.\r\n..dots\r\n" in got
    assert b"(Postfix)" in got


def test_one_message_for_several_places(world):
    everyone = ["alice@a.test", "bob@b.test", "carl@p.test"]
    submit(world.a, "alice@a.test", everyone, "for everyone")
    wait_for(lambda: messages(world.a, "alice@a.test", "for everyone"), "the local copy")
    wait_for(lambda: messages(world.b, "bob@b.test", "for everyone"), "the copy at b.test")
    wait_for(lambda: [m for m in world.postfix.messages() if b"for everyone" in m], "the copy at p.test")


def test_an_operator_holds_shows_and_drops(world):
    world.later_calls = -(10**6)  # every try is put off from now on
    world.later.replies["RCPT"] = "451 4.7.1 come back later"
    submit(world.a, "alice@a.test", ["held@l.test"], "held")
    world.a.wait_event("queue.deferred", recipient="held@l.test")
    (entry,) = [e for e in world.a.queue() if "held@l.test" in json.dumps(e)]
    shown = world.a.ctl("queue", "show", entry["id"]).stdout
    assert "held@l.test" in shown and "451 4.7.1" in shown
    world.a.ctl("queue", "hold", entry["id"])
    world.a.ctl("queue", "release", entry["id"])
    world.a.ctl("queue", "retry", entry["id"])
    world.a.ctl("queue", "drop", entry["id"], "--yes")
    assert entry["id"] not in world.a.ctl("queue", "list", "--json").stdout
    assert world.a.ctl("queue", "drop", entry["id"], "--yes", check=False).returncode == 3


# SMTP trap 26: on the wire to the next server
def test_addresses_of_others_go_on_as_they_came(world):
    world.later.replies["RCPT"] = "250 2.1.5 ok"
    odd = ["name.@l.test", "a..b@l.test", '"c..d"@l.test', ".e@l.test", "f" * 120 + "@l.test", "g+x=y@l.test"]
    with smtplib.SMTP_SSL(
        world.a.address, world.a.ports["submissions"], context=context(world.a), timeout=30
    ) as client:
        client.login("alice@a.test", PASSWORD)
        assert client.docmd("MAIL", "FROM:<alice@a.test> ENVID=PRMD+3dx RET=ODD")[0] == 250
        assert [client.docmd("RCPT", f"TO:<{address}>")[0] for address in odd] == [250] * len(odd)
        assert client.docmd("RCPT", "TO:<x@[127.0.0.1]>")[0] == 550
        assert client.data(b"From: alice@a.test\r\nSubject: odd\r\n\r\nHello.\r\n")[0] == 250
    wait_for(lambda: any(set(recipients) == set(odd) for recipients, _ in world.later.taken), "all of them")
    sent = world.a.wait_event("queue.sent", recipient="name.@l.test")
    assert (sent["ip"], sent["verified"], sent["tls"]) == (LATER, "no", "")
    assert sent["delay"] >= 0
    refused = world.a.wait_event("recipient.refused", recipient="x@[127.0.0.1]")
    assert (refused["sender"], refused["peer"]) == ("alice@a.test", "127.0.0.1")
