"""Postfix's smtp-sink with each fault it knows, all at once and beside a server that is well: what becomes of each recipient
of one message."""

import contextlib
import smtplib
import socket
import ssl
from email.message import EmailMessage

import pytest
from servers import PASSWORD, Dns, MailNode, Process, free_port, program, wait_for

SENT, DEFERRED, FAILED = "queue.sent", "queue.deferred", "queue.failed"
# What smtp-sink is told, what becomes of the recipient, and what the status begins with.
SINKS = {
    "well": ([], SENT, "2."),
    # It disconnects, without a word.
    "quits-at-connect": (["-q", "CONNECT"], DEFERRED, "4.3.2"),
    "quits-at-ehlo": (["-q", "EHLO"], DEFERRED, "4.3.2"),
    "quits-at-mail": (["-q", "MAIL"], DEFERRED, "4.4.2"),
    "quits-at-rcpt": (["-q", "RCPT"], DEFERRED, "4.4.2"),
    "quits-at-data": (["-q", "DATA"], DEFERRED, "4.4.2"),
    "quits-at-end": (["-q", "."], DEFERRED, "4.4.2"),
    "quits-at-quit": (["-q", "QUIT"], SENT, "2."),
    "quits-at-helo": (["-e", "-q", "HELO"], DEFERRED, "4.3.2"),
    # It says 421 and disconnects.
    "closes-at-connect": (["-Q", "CONNECT"], DEFERRED, "4."),
    "closes-at-ehlo": (["-Q", "EHLO"], DEFERRED, "4."),
    "closes-at-mail": (["-Q", "MAIL"], DEFERRED, "4."),
    "closes-at-rcpt": (["-Q", "RCPT"], DEFERRED, "4."),
    "closes-at-data": (["-Q", "DATA"], DEFERRED, "4."),
    "closes-at-end": (["-Q", "."], DEFERRED, "4."),
    "closes-at-helo": (["-e", "-Q", "HELO"], DEFERRED, "4."),
    "closes-at-quit": (["-Q", "QUIT"], SENT, "2."),
    # It refuses for good.
    "refuses-connect": (["-f", "CONNECT"], FAILED, "5."),
    "refuses-ehlo": (["-f", "EHLO"], SENT, "2."),
    "refuses-both": (["-f", "EHLO,HELO"], FAILED, "5."),
    "refuses-mail": (["-f", "MAIL"], FAILED, "5."),
    "refuses-rcpt": (["-f", "RCPT"], FAILED, "5."),
    "refuses-data": (["-f", "DATA"], FAILED, "5."),
    "refuses-end": (["-f", "."], FAILED, "5."),
    "refuses-quit": (["-f", "QUIT"], SENT, "2."),
    "refuses-by-name": (["-B", "550 5.7.1 Error: blocked", "-f", "RCPT"], FAILED, "5.7.1"),
    # It refuses for now.
    "later-connect": (["-r", "CONNECT"], DEFERRED, "4."),
    "later-ehlo": (["-r", "EHLO"], DEFERRED, "4."),
    "later-mail": (["-r", "MAIL"], DEFERRED, "4."),
    "later-rcpt": (["-r", "RCPT"], DEFERRED, "4."),
    "later-data": (["-r", "DATA"], DEFERRED, "4."),
    "later-end": (["-r", "."], DEFERRED, "4."),
    "later-both": (["-r", "EHLO,HELO"], DEFERRED, "4."),
    "later-quit": (["-r", "QUIT"], SENT, "2."),
    "later-by-name": (["-b", "451 4.7.1 Error: too many connections", "-r", "MAIL"], DEFERRED, "4.7.1"),
    # It is slow, or says no before it has heard all.
    "slow-data": (["-w", "1"], SENT, "2."),
    "slow-end": (["-W", ".:1"], SENT, "2."),
    "slow-reader": (["-H", "1", "-T", "4096"], SENT, "2."),
    "aborts": (["-A", "0"], FAILED, "5."),
    "aborts-soon": (["-A", "1"], FAILED, "5."),
    # It speaks less.
    "no-esmtp": (["-e"], SENT, "2."),
    "no-pipelining": (["-p"], SENT, "2."),
    "no-xforward": (["-F"], SENT, "2."),
    "no-xclient": (["-C"], SENT, "2."),
    "no-auth": (["-a"], SENT, "2."),
    "no-8bitmime": (["-8"], SENT, "2."),
    "no-dsn": (["-N"], SENT, "2."),
    "no-status": (["-E"], SENT, "2."),
    "pix": (["-P"], SENT, "2."),
    "lmtp-only": (["-L"], FAILED, "5."),
}


class Sinks:
    """A mailnode, its DNS, and an smtp-sink of each kind on an address of its own."""

    def __init__(self, folder):
        self.port = free_port()
        self.addresses = {name: f"127.0.1.{number}" for number, name in enumerate(SINKS, 1)}
        records = [f"host-record=mx.{name}.test,{address}" for name, address in self.addresses.items()]
        records += [f"mx-host={name}.test,mx.{name}.test,10" for name in SINKS]
        self.parts = [Dns(folder / "dns", records)]
        self.node = MailNode(
            folder / "node", dns=self.parts[0], extra=f"[queue]\nport = {self.port}\nretry = [3600.0]\n"
        )
        self.parts.append(self.node)
        for name, (options, _, _) in SINKS.items():
            command = [program("smtp-sink"), "-u", "nobody", *options, f"{self.addresses[name]}:{self.port}", "100"]
            self.parts.append(Process(command, cwd=folder))

    def start(self):
        for address in self.addresses.values():
            wait_for(lambda at=(address, self.port): listens(at), "smtp-sink")
        self.node.start()
        self.node.add_account("alice@a.test")
        return self

    def stop(self):
        for part in reversed(self.parts):
            part.stop()


def listens(address):
    with contextlib.suppress(OSError), socket.create_connection(address, 5):
        return True
    return False


@pytest.fixture(scope="module")
def sinks(tmp_path_factory):
    made = Sinks(tmp_path_factory.mktemp("sinks"))
    try:
        made.start()
        send(made.node, [f"someone@{name}.test" for name in SINKS])
        yield made
    finally:
        made.stop()


def send(node, recipients):
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "alice@a.test", "everyone@well.test", "faults"
    message.set_content("A line\n.\n..dots\n" + "x" * 70 + "\n" + ("y" * 70 + "\n") * 2000)
    context = ssl.create_default_context(cafile=node.ca)
    with smtplib.SMTP_SSL(node.address, node.ports["submissions"], context=context, timeout=30) as client:
        client.login("alice@a.test", PASSWORD)
        client.send_message(message, "alice@a.test", recipients)


@pytest.mark.parametrize("name", SINKS)
def test_what_becomes_of_it(sinks, name):
    _, event, status = SINKS[name]
    recipient = f"someone@{name}.test"
    seen = sinks.node.wait_event(event, recipient=recipient)
    assert seen["host"] == f"mx.{name}.test" and seen["ip"] == sinks.addresses[name]
    if event != SENT:
        assert seen["status"].startswith(status), seen
    if event == FAILED:
        assert sinks.node.wait_event("queue.bounced", envelope=seen["envelope"])
    others = [one for one in (SENT, DEFERRED, FAILED) if one != event]
    assert not [found for one in others for found in sinks.node.events(one) if found["recipient"] == recipient]


def test_one_that_is_well_is_not_kept_waiting_by_the_others(sinks):
    assert sinks.node.wait_event(SENT, recipient="someone@well.test")["delay"] < 5


def test_no_trouble_of_our_own_is_logged(sinks):
    for name in SINKS:
        sinks.node.wait_event(SINKS[name][1], recipient=f"someone@{name}.test")
    assert not [line for line in sinks.node.process.lines if "Traceback" in line]
