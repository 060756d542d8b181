"""Servers that answer anything but what they should, all of them at once: what it costs, what becomes of their mail, and that
mail for others goes on meanwhile. What RFC 5321 has them waited for is shortened by the configuration."""

import itertools
import json
import smtplib
from email import message_from_bytes, policy

import pytest
from scripted_peer import Scripted, forget_most_memory, most_memory
from servers import PASSWORD, Dns, MailNode, free_port
from test_e2e_relay import context, messages, wait_for

NEAR, GOOD, DEAD, TWIN = (f"127.0.3.{number}" for number in range(1, 5))
PATIENCE = 0.03  # 300 s become 9 s
GROWTH = (
    48 * 1024 * 1024
)  # octets of memory for all of them together, the certificates and modules of a first try included

# What is said in place of a reply, and what the log has for it.
POURED = {
    "garbage": (lambda peer: itertools.repeat(b"\x00\xff\x16\x03" * 4096), "Reply line too long"),
    "web": (lambda peer: itertools.repeat(b"HTTP/1.1 400 Bad Request\r\n"), "Not an SMTP reply"),
    "lines": (lambda peer: itertools.repeat(b"250-and more\r\n" * 1000), "Reply too long"),
    "long": (lambda peer: iter([b"250 ", *[b"x" * 100_000] * 100, b"\r\n"]), "Reply line too long"),
    "octets": (lambda peer: peer.every(0.1, b"2"), "timed out waiting for a reply"),
    "trickle": (lambda peer: peer.every(0.1, b"250-x\r\n"), "timed out waiting for a reply"),
    "silence": (lambda peer: peer.every(0.5, b""), "timed out waiting for a reply"),
}
STAGES = {"": "greeting", "EHLO": "hello", "RCPT": "rcpt", ".": "end"}
CASES = {f"{what}-{name}.test": (verb, what) for verb, name in STAGES.items() for what in POURED}
CIRCLES = ("ours.test", "address.test")
MANY = 100


class World:
    """``near``, one good server, and one bad one for each case."""

    def __init__(self, folder):
        self.port = free_port()
        self.bad = {}
        records = [f"host-record=good.test,{GOOD}"]
        for number, (domain, (verb, what)) in enumerate(CASES.items(), 10):
            address = f"127.0.3.{number}"
            records.append(f"host-record={domain},{address}")
            self.bad[domain] = peer = Scripted(address, self.port, {})
            peer.replies[verb] = lambda line, peer=peer, what=what: POURED[what][0](peer)
        records += ["mx-host=ours.test,mx.near.test,10", f"host-record=mx.near.test,{NEAR}"]
        records += ["mx-host=address.test,other.test,10", f"host-record=other.test,{NEAR}"]
        for number in range(MANY):
            records.append(f"host-record=dead{number}.test,{DEAD}")
            records += [f"mx-host=crowd.test,dead{number}.test,{20 + number}"]
            records += [f"mx-host=dead.test,dead{number}.test,{20 + number}"]
        records.append("mx-host=crowd.test,good.test,10")
        self.good = Scripted(GOOD, self.port, {})
        self.bad["twin.test"] = Scripted(TWIN, self.port, {"EHLO": "250 mx.near.test"})
        records.append(f"host-record=twin.test,{TWIN}")
        self.dns = Dns(folder / "dns", records)
        extra = f"[queue]\nport = {self.port}\nretry = [600.0]\npatience = {PATIENCE}\n"
        self.near = MailNode(
            folder / "near", ("near.test",), address=NEAR, smtp_port=self.port, dns=self.dns, extra=extra
        )
        config = self.near.config.read_text()
        self.near.config.write_text(config.replace("[server]\n", f'[server]\naddresses = ["{NEAR}"]\n', 1))

    def start(self):
        self.near.start()
        self.near.add_account("alice@near.test")
        with smtplib.SMTP_SSL(NEAR, self.near.ports["submissions"], context=context(self.near), timeout=30) as client:
            client.login("alice@near.test", PASSWORD)
            self.send(client, "first@good.test")
            wait_for(lambda: self.good.taken, "the first message")
            self.before = forget_most_memory(self.near.process.popen.pid)
            for domain in (*CASES, "dead.test", "twin.test"):
                self.send(client, f"u@{domain}")
            self.send(client, *(f"two@{domain}" for domain in CASES), "two@good.test")
            for domain in (*CIRCLES, "good.test", "crowd.test"):
                self.send(client, f"u@{domain}")
        return self

    def send(self, client, *recipients):
        client.sendmail("alice@near.test", recipients, b"From: alice@near.test\r\n\r\nhello\r\n")

    def stop(self):
        for part in (self.near, self.dns, self.good, *self.bad.values()):
            part.stop()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = World(tmp_path_factory.mktemp("bad"))
    try:
        yield made.start()
    finally:
        made.stop()


def test_mail_for_others_goes_on_meanwhile(world):
    for recipient in ("u@good.test", "two@good.test", "u@crowd.test"):
        assert world.near.wait_event("queue.sent", recipient=recipient)["ip"] == GOOD
    lines = list(world.near.process.lines)
    sent = max(number for number, line in enumerate(lines) if '"queue.sent"' in line)
    late = world.near.wait_event("queue.deferred", recipient="u@silence-greeting.test")
    assert all(json.loads(line) != late for line in lines[:sent])


@pytest.mark.parametrize("domain", CASES)
def test_it_is_deferred_and_told(world, domain):
    verb, what = CASES[domain]
    deferred = world.near.wait_event("queue.deferred", recipient=f"u@{domain}")
    assert POURED[what][1] in deferred["reply"]
    assert deferred["status"] == ("4.3.2" if verb in ("", "EHLO") else "4.4.2")
    [entry] = json.loads(world.near.ctl("queue", "show", deferred["envelope"], "--json").stdout)["recipients"]
    assert (entry["address"], entry["state"], entry["attempts"]) == (f"u@{domain}", "waiting", 1)
    assert world.bad[domain].poured < 20_000_000


def test_all_of_them_together_cost_little_memory(world):
    for domain in CASES:
        world.near.wait_event("queue.deferred", recipient=f"two@{domain}")
    assert most_memory(world.near.process.popen.pid) - world.before < GROWTH


@pytest.mark.parametrize("domain", CIRCLES)
def test_a_domain_whose_servers_are_we_ourselves(world, domain):
    failed = world.near.wait_event("queue.failed", recipient=f"u@{domain}")
    assert failed["status"] == "5.4.6" and "loops back" in failed["reply"]
    bounced = world.near.wait_event("queue.bounced", envelope=failed["envelope"])
    assert bounced["recipient"] == "alice@near.test"
    notices = wait_for(lambda: messages(world.near, "alice@near.test", "could not be delivered"), "a notice")
    told = [message_from_bytes(notice, policy=policy.default).as_string() for notice in notices]
    assert any(f"u@{domain}" in text and "Status: 5.4.6" in text for text in told)


def test_a_server_that_calls_itself_what_this_one_does(world):
    """As this one would at an address that nobody told it."""
    deferred = world.near.wait_event("queue.deferred", recipient="u@twin.test")
    assert deferred["status"] == "4.4.6" and "calls itself mx.near.test" in deferred["reply"]
    assert not [line for line in world.bad["twin.test"].heard if line.startswith("MAIL")]


def test_a_hundred_servers_of_which_none_answers(world):
    deferred = world.near.wait_event("queue.deferred", recipient="u@dead.test")
    assert deferred["status"] == "4.4.1" and DEAD in deferred["reply"]
