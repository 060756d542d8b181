"""Mail to and from Exim, with TLS and BDAT, and what each of the two refuses the other."""

import imaplib
import smtplib
import ssl
from email.message import EmailMessage

import pytest
from exim_server import Exim
from servers import PASSWORD, Dns, MailNode, free_port, wait_for

A, EXIM = "127.0.0.2", "127.0.0.5"


class Two:
    """A mailnode and an Exim that know each other."""

    def __init__(self, folder):
        self.port = free_port()
        self.exim = Exim("e.test", EXIM, self.port, ("a.test", A, self.port))
        self.dns = Dns(folder / "dns", [f"host-record=mx.e.test,{EXIM}", "mx-host=e.test,mx.e.test,10"])
        extra = f"[queue]\nport = {self.port}\nretry = [3600.0]\n"
        self.node = MailNode(folder / "a", address=A, smtp_port=self.port, dns=self.dns, extra=extra)

    def start(self):
        self.exim.start()
        self.node.start()
        self.node.add_account("alice@a.test")
        return self

    def stop(self):
        for part in (self.node, self.dns, self.exim):
            part.stop()

    def submit(self, recipient, subject, text="A line\n.\n..dots\n"):
        with smtplib.SMTP_SSL(A, self.node.ports["submissions"], context=self.context(), timeout=30) as client:
            client.login("alice@a.test", PASSWORD)
            client.send_message(message("alice@a.test", recipient, subject, text))

    def give_exim(self, recipient, subject, text="A line\n.\n..dots\n"):
        with smtplib.SMTP(EXIM, self.port, timeout=30) as client:
            client.send_message(message("carl@e.test", recipient, subject, text))

    def in_exim(self, subject):
        return wait_for(lambda: [one for one in self.exim.messages() if f"{subject}".encode() in one], subject)

    def in_inbox(self, subject):
        return wait_for(lambda: self._inbox(subject), subject)

    def _inbox(self, subject):
        with imaplib.IMAP4_SSL(A, self.node.ports["imaps"], ssl_context=self.context(), timeout=30) as client:
            client.login("alice@a.test", PASSWORD)
            client.select("INBOX", readonly=True)
            _, (numbers,) = client.search(None, "TEXT", f'"{subject}"')
            return [client.fetch(number, "(BODY.PEEK[])")[1][0][1] for number in numbers.split()]

    def context(self):
        return ssl.create_default_context(cafile=self.node.ca)


def message(sender, recipient, subject, text):
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = sender, recipient, subject
    made.set_content(text)
    return made


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    made = Two(tmp_path_factory.mktemp("two"))
    try:
        yield made.start()
    finally:
        made.stop()


def test_to_exim(two):
    two.submit("carl@e.test", "to exim")
    (got,) = two.in_exim("Subject: to exim")
    assert b"Return-path: <alice@a.test>" in got and b"\nA line\n.\n..dots\n" in got
    sent = two.node.wait_event("queue.sent", recipient="carl@e.test")
    assert "TLS" in sent["tls"] and sent["ip"] == EXIM


def test_from_exim(two):
    two.give_exim("alice@a.test", "from exim", "A line\n.\n..dots\n" + "long " * 30 + "\n")
    (got,) = two.in_inbox("from exim")
    assert b"\r\nA line\r\n.\r\n..dots\r\n" in got and b"(Exim 4." in got
    assert " X=TLS" in two.exim.log() and " K" in two.exim.log()  # by STARTTLS and BDAT


def test_a_megabyte_each_way(two):
    text = "0123456789" * 7 + "\n.\n"
    two.submit("carl@e.test", "large to exim", text * 14_000)
    two.give_exim("alice@a.test", "large from exim", text * 14_000)
    (there,) = two.in_exim("Subject: large to exim")
    (here,) = two.in_inbox("large from exim")
    assert there.count(b"\n.\n") == here.count(b"\r\n.\r\n") == 14_000


def test_whom_exim_does_not_know_comes_back_from_us(two):
    two.submit("nobody@e.test", "for nobody there")
    failed = two.node.wait_event("queue.failed", recipient="nobody@e.test")
    assert failed["status"].startswith("5.") and failed["reply"].startswith("550")
    (bounce,) = two.in_inbox("for nobody there")
    assert b"multipart/report" in bounce and b"nobody@e.test" in bounce


def test_whom_we_do_not_know_comes_back_from_exim(two):
    two.give_exim("nobody@a.test", "for nobody here")
    (bounce,) = two.in_exim("nobody@a.test")
    assert b"Return-path: <>" in bounce and b"550" in bounce


def test_what_exim_puts_off_waits(two):
    two.submit("later@e.test", "later")
    deferred = two.node.wait_event("queue.deferred", recipient="later@e.test")
    assert deferred["status"].startswith("4.") and "not before tomorrow" in deferred["reply"]


def test_a_bounce_of_exim_is_taken_with_its_null_reverse_path(two):
    with smtplib.SMTP(EXIM, two.port, timeout=30) as client:
        client.sendmail("", ["alice@a.test"], b"From: <>\r\nSubject: null from exim\r\n\r\nx\r\n")
    (got,) = two.in_inbox("null from exim")
    assert b"Return-Path: <>" in got
