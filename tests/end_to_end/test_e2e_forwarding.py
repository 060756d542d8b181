"""Mail that an alias leads on to Postfix: its reverse-path, its content, and the bounce that comes back by the same way."""

import smtplib
from email import message_from_bytes, policy

import pytest
from scripted_peer import Scripted
from servers import Dns, MailNode, Postfix, free_port
from test_e2e_relay import messages, submit, wait_for

A, B, POSTFIX, REFUSING = "127.0.0.22", "127.0.0.23", "127.0.0.24", "127.0.0.25"


class Town:
    """``a.test`` forwards what ``b.test`` sends to ``p.test``, a Postfix, which has no room for ``gone``."""

    def __init__(self, folder):
        self.port = port = free_port()
        addresses = {"a": A, "b": B, "p": POSTFIX}
        records = [f"host-record=mx.{name}.test,{address}" for name, address in addresses.items()]
        self.dns = Dns(folder / "dns", records + [f"mx-host={name}.test,mx.{name}.test,10" for name in addresses])
        extra = f"[queue]\nport = {port}\nretry = [1.0]\n[limits]\nhops = 8\n"
        common = {"smtp_port": port, "dns": self.dns, "extra": extra}
        self.a = MailNode(folder / "a", ("a.test",), address=A, **common)
        self.b = MailNode(folder / "b", ("b.test",), address=B, **common)
        self.refusing = Scripted(REFUSING, port, {"RCPT": "550 5.2.1 gone for good"})
        self.postfix = Postfix("p.test", POSTFIX, port, [("a.test", A, port), ("gone@p.test", REFUSING, port)])

    def start(self):
        self.a.start()
        self.b.start()
        self.b.add_account("bob@b.test")
        self.a.add_account("anna@a.test")
        for alias, *targets in (
            ("sales@a.test", "anna@a.test", "box@p.test"),
            ("old@a.test", "gone@p.test"),
            ("round@a.test", "round@b.test"),
            ("both@a.test", "anna@a.test", "both@b.test"),
        ):
            self.a.ctl("alias", "add", alias, *targets)
        for name in ("round", "both"):
            self.b.ctl("alias", "add", f"{name}@b.test", f"{name}@a.test")
        self.postfix.start()
        return self

    def stop(self):
        for part in (self.a, self.b, self.postfix, self.refusing, self.dns):
            part.stop()


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    made = Town(tmp_path_factory.mktemp("town"))
    try:
        yield made.start()
    finally:
        made.stop()


def rewritten(town, recipient):
    return town.a.wait_event("message.forwarded", recipient=recipient)["rewritten"]


def test_what_is_forwarded_has_our_reverse_path_and_all_its_octets(town):
    submit(town.b, "bob@b.test", ["sales@a.test"], "to sales")
    (here,) = wait_for(lambda: messages(town.a, "anna@a.test", "to sales"), "delivery here")
    (there,) = wait_for(
        lambda: [m for m in town.postfix.messages() if b"Subject: to sales" in m], "delivery by Postfix"
    )
    sender = rewritten(town, "sales@a.test")
    assert sender.startswith("SRS0=") and sender.endswith("=b.test=bob@a.test")
    assert message_from_bytes(there, policy=policy.default)["Return-Path"] == f"<{sender}>"
    assert message_from_bytes(here, policy=policy.default)["Return-Path"] == "<bob@b.test>"
    sent = here.replace(b"\r\n", b"\n").partition(b"\nReceived: from mx.b.test")[2]
    assert sent and sent in there, "from what the sender's server wrote on, not an octet is another"


def test_a_bounce_of_the_next_server_comes_back_to_the_sender(town):
    submit(town.b, "bob@b.test", ["old@a.test"], "to who is gone")
    (bounce,) = wait_for(lambda: messages(town.b, "bob@b.test", "Undelivered"), "the bounce of Postfix")
    assert b"gone for good" in bounce and b"to who is gone" in bounce
    parsed = message_from_bytes(bounce, policy=policy.default)
    assert parsed["Return-Path"] == "<>" and parsed["To"] == rewritten(town, "old@a.test")
    wait_for(lambda: not town.a.queue() and not town.b.queue(), "empty queues")


def test_nobody_else_is_relayed_for(town):
    submit(town.b, "bob@b.test", ["sales@a.test"], "once more")
    sender = rewritten(town, "sales@a.test")
    for reverse_path, recipient, reply in (
        ("", sender.replace("=bob@", "=victim@"), (550, b"5.1.1")),
        ("", "SRS0=AAAAAAAAAA=AA=p.test=box@a.test", (550, b"5.1.1")),
        ("spam@b.test", sender, (550, b"5.7.1")),
        ("", sender, (250, b"2.1.5")),
    ):
        with smtplib.SMTP(A, town.port, timeout=30) as client:
            client.ehlo("mx.b.test")
            client.mail(reverse_path)
            code, text = client.rcpt(recipient)
            assert (code, text[:5]) == reply, recipient
    refused = [event for event in town.a.events("recipient.refused") if "victim" in event["recipient"]]
    assert len(refused) == 1 and "hash" in refused[0]["reason"]


def test_a_circle_of_two_forwarders_ends_where_it_comes_back(town):
    submit(town.b, "bob@b.test", ["round@a.test"], "round and round")
    (notice,) = wait_for(lambda: [m for m in messages(town.b, "bob@b.test", "") if b"5.4.6" in m], "a notice")
    assert b"round and round" in notice and b"Mail forwarding loop" in notice
    wait_for(lambda: not town.a.queue() and not town.b.queue(), "empty queues")
    (refused,) = [event for event in town.a.events("message.refused") if event["status"] == "5.4.6"]
    assert refused["reason"] == "Mail forwarding loop: it was here before"
    assert len([event for event in town.a.events("message.forwarded") if event["recipient"] == "round@a.test"]) == 1


def test_a_circle_with_a_mailbox_in_it(town):
    """The mailbox here keeps its copies, what would go round ends with a notice of ours."""
    submit(town.b, "bob@b.test", ["both@a.test"], "there and back")
    (notice,) = wait_for(lambda: [m for m in messages(town.b, "bob@b.test", "") if b"both@b.test" in m], "a notice")
    assert b"Status: 5.4.6" in notice and b"there and back" in notice
    wait_for(lambda: not town.a.queue() and not town.b.queue(), "empty queues")
    first, second = messages(town.a, "anna@a.test", "there and back")
    assert sorted(one.count(b"Delivered-To: both@a.test") for one in (first, second)) == [1, 2]
    failed = town.a.wait_event("queue.failed", recipient="both@b.test")
    assert (failed["status"], failed["reply"]) == ("5.4.6", "mail forwarding loop: it was here before")
