"""DMARC from the records in a DNS server to the header in the mailbox, and from there to the report that its owner reads."""

from __future__ import annotations

import gzip
import imaplib
import json
import smtplib
import time
from base64 import b64encode
from email import message_from_bytes
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import SMTP
from types import SimpleNamespace

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from servers import PASSWORD, Dns, MailNode, wait_for
from test_e2e_dkim import text_pieces
from test_e2e_relay import context
from wall_clock import WallClock

from mailnode.values.tls_report import DAY
from tests.free_ports import free_port

NEAR, FAR = "127.0.0.2", "127.0.0.3"
CLIENT = "192.0.2.9"
HERE = f"v=spf1 ip4:{CLIENT} -all"
REJECT = "v=DMARC1; p=reject"
RECORDS = {
    # RFC 9989 B.1, B.4.1, B.4.2
    "_dmarc.example.com": REJECT,
    "_dmarc.signing.example.com": REJECT,
    # RFC 9989 B.4.3
    "_dmarc.bank.example": "v=DMARC1; p=reject; psd=y",
    "_dmarc.giant.bank.example": REJECT,
    "_dmarc.quiet.example": "v=DMARC1; p=quarantine",
    # who wants reports, and who makes them
    "_dmarc.far.test": "v=DMARC1; p=reject; rua=mailto:postmaster@far.test",
    "_dmarc.near.test": "v=DMARC1; p=none",
}
SENDERS = ("example.com", "child.example.com", "example.net", "mail.giant.bank.example", "far.test")
SIGNERS = ("example.com", "example.net", "signing.example.com", "mail.mega.bank.example", "far.test")
DEEP = "a.b.c.d.e.f.g.h.i.j.k.example.com"


def messages(node, user, subject, mailbox="INBOX"):
    """Return the messages of a mailbox whose subject holds a text; none where there is no such mailbox."""
    with imaplib.IMAP4_SSL(node.address, node.ports["imaps"], ssl_context=context(node), timeout=30) as client:
        client.login(user, PASSWORD)
        if client.select(mailbox, readonly=True)[0] != "OK":
            return []
        _, (numbers,) = client.search(None, "SUBJECT", f'"{subject}"')
        return [client.fetch(number, "(BODY.PEEK[])")[1][0][1] for number in numbers.split()]


def noon_of_tomorrow():
    """Seconds from now: a test must not begin before midnight and end behind it, nor verify what is signed later."""
    return DAY / 2 - time.time() % DAY + DAY


class Keys:
    """One key, which everybody signs with."""

    def __init__(self):
        key = Ed25519PrivateKey.generate()
        self.secret = b64encode(key.private_bytes_raw())
        self.text = f"v=DKIM1; k=ed25519; p={b64encode(key.public_key().public_bytes_raw()).decode()}"

    def sign(self, message, domain):
        fields = [b"from", b"subject"]
        kind = b"ed25519-sha256"
        signature = dkim.sign(
            message, b"s1", domain.encode(), self.secret, include_headers=fields, signature_algorithm=kind
        )
        return signature + message


class World:
    """One who receives, judges and reports; and the owner of a domain, who reads the report."""

    def __init__(self, folder, workers):
        self.clock = WallClock(folder / "clock")
        self.clock.set(noon_of_tomorrow())
        dns = SimpleNamespace(port=free_port())
        common = {"dns": dns, "path": (self.clock.folder,)}
        self.far = MailNode(folder / "far", ("far.test",), address=FAR, **common)
        extra = f"[queue]\nport = {self.far.ports['smtp']}\n"
        extra += '[dmarc_reports]\nsender = "dmarc@near.test"\norganization = "Near"\n'
        self.near = MailNode(folder / "near", ("near.test",), address=NEAR, extra=extra, **common)
        text = self.near.config.read_text().replace("[server]\n", f"[server]\nworkers = {workers}\n", 1)
        here = 'protocol = "smtp"\n'
        self.near.config.write_text(text.replace(here, f'{here}xclient_from = ["127.0.0.0/8"]\n', 1))
        self.keys = Keys()
        self.dns = Dns(folder / "dns", self.records(), port=dns.port)

    def records(self):
        records = [f"local=/{name}/" for name in ("com", "net", "example")]
        texts = list(RECORDS.items()) + [(name, HERE) for name in SENDERS]
        texts += [(f"s1._domainkey.{name}", self.keys.text) for name in SIGNERS]
        self.near.data.mkdir(mode=0o700)
        made = json.loads(self.near.ctl("domain", "dkim-rotate", "near.test", "--json").stdout)
        texts += [(key["name"], key["text"]) for key in made]
        records += [f"txt-record={name},{text_pieces(text)}" for name, text in texts]
        return [*records, "mx-host=far.test,mx.far.test,10", f"host-record=mx.far.test,{FAR}"]

    def start(self):
        self.far.start()
        self.far.add_account("postmaster@far.test")
        self.near.start()
        self.near.add_account("receiver@near.test")
        return self

    def stop(self):
        for part in (self.near, self.far, self.dns):
            part.stop()

    def restart_on(self, seconds):
        self.near.stop()
        self.clock.set(seconds)
        self.near.start()

    def due(self):
        """What is to be reported."""
        told = json.loads(self.near.ctl("dmarc", "due", "--json").stdout)
        return [(one["domain"], one["passed"], one["failed"]) for one in told]

    def client(self):
        """A client from elsewhere."""
        client = smtplib.SMTP(NEAR, self.near.ports["smtp"], "client.test", timeout=30)
        client.ehlo()
        assert client.docmd(f"XCLIENT ADDR={CLIENT} NAME=[UNAVAILABLE]")[0] == 220
        client.ehlo_resp = client.helo_resp = None
        return client

    def send(self, author, sender, signer="", more=""):
        """Send a message; return the reply when it was refused, else the message as it stands in the mailbox."""
        subject = f"n{time.monotonic_ns()}"
        text = (
            f"From: <sender@{author}>\r\n{more}To: <receiver@near.test>\r\nSubject: {subject}\r\n\r\nhello\r\n".encode()
        )
        if signer:
            text = self.keys.sign(text, signer)
        with self.client() as client:
            try:
                client.sendmail(f"sender@{sender}" if sender else "", ["receiver@near.test"], text)
            except smtplib.SMTPDataError as refused:
                return refused.smtp_code, refused.smtp_error.decode()
        (got,) = wait_for(lambda: messages(self.near, "receiver@near.test", subject), "delivery")
        return message_from_bytes(got)


@pytest.fixture(scope="module", params=[1, 2])
def world(request, tmp_path_factory):
    world = World(tmp_path_factory.mktemp("dmarc"), request.param)
    try:
        yield world.start()
    finally:
        world.stop()


@pytest.mark.parametrize(
    ("author", "sender", "signer"),
    [
        ("example.com", "example.com", ""),  # RFC 9989 B.1.1, 1
        ("example.com", "child.example.com", ""),  # 2
        ("example.com", "elsewhere.example", "example.com"),  # RFC 9989 B.1.2, 1
        ("child.example.com", "elsewhere.example", "example.com"),  # 2
        ("example.com", "elsewhere.example", "signing.example.com"),  # RFC 9989 B.4.1
        (DEEP, "example.com", "signing.example.com"),  # RFC 9989 B.4.2
        ("giant.bank.example", "mail.giant.bank.example", "mail.mega.bank.example"),  # RFC 9989 B.4.3
    ],
)
def test_what_its_domain_vouches_for_arrives(world, author, sender, signer):
    got = world.send(author, sender, signer)
    results = got["Authentication-Results"].replace("\r\n", "")
    assert f"dmarc=pass header.from={author} policy.dmarc=none" in results


@pytest.mark.parametrize(
    ("author", "sender", "signer", "owner"),
    [
        ("child.example.com", "example.net", "", "example.com"),  # RFC 9989 B.1.1, 3
        ("child.example.com", "elsewhere.example", "example.net", "example.com"),  # RFC 9989 B.1.2, 3
        ("giant.bank.example", "elsewhere.example", "mail.mega.bank.example", "giant.bank.example"),
        (DEEP, "example.net", "example.net", "example.com"),
    ],
)
def test_what_nobody_vouches_for_is_refused(world, author, sender, signer, owner):
    code, text = world.send(author, sender, signer)
    assert code == 550
    assert text.startswith(f"5.7.1 Refused by the DMARC policy of {owner}: nothing vouches for {author}:")


def test_quarantine_is_the_junk_mailbox(world):
    with world.client() as client:
        text = "From: a@quiet.example\r\nSubject: quarantined\r\n\r\nhello\r\n"
        client.sendmail("a@example.net", ["receiver@near.test"], text)
    (got,) = wait_for(lambda: messages(world.near, "receiver@near.test", "quarantined", "Junk"), "the junk mailbox")
    assert b"dmarc=fail header.from=quiet.example policy.dmarc=quarantine" in got
    assert b"X-Mailnode-Reason: junk" in got


def test_the_owner_is_told_and_reads_it(world):
    world.send("far.test", "far.test", "far.test")
    world.send("far.test", "far.test")
    assert world.send("mail.far.test", "example.net")[0] == 550
    wait_for(lambda: world.due() == [("far.test", 2, 1)], "all three to be counted")
    assert "<domain>far.test</domain>" in world.near.ctl("dmarc", "draft", "far.test").stdout
    world.restart_on(noon_of_tomorrow() + DAY)
    sent = world.near.wait_event("dmarc_report.sent", domain="far.test")
    assert (sent["to"], sent["messages"], sent["failures"]) == ("mailto:postmaster@far.test", 3, 1)
    got = world.far.wait_event("report.received", kind="dmarc", domain="far.test")
    assert (got["organization"], got["passed"], got["failed"]) == ("Near", 2, 1)
    (source,) = json.loads(world.far.ctl("dmarc", "reports", "--failing", "--json").stdout)
    assert (source["domain"], source["source"], source["passed"], source["failed"]) == ("far.test", CLIENT, 2, 1)
    (report,) = json.loads(world.far.ctl("dmarc", "received", "--json").stdout)
    assert (report["organization"], report["sender"], report["verified"]) == ("Near", "near.test", True)
    shown = json.loads(world.far.ctl("dmarc", "report", report["id"], "--json").stdout)
    assert shown["published"].startswith("p=reject sp=reject")
    assert {(row["about"], row["result"], row["passed"]) for row in shown["rows"]} == {
        ("far.test", "pass", True),
        ("mail.far.test", "reject", False),
    }
    assert "example.net" in world.far.ctl("dmarc", "report", report["id"]).stdout
    assert messages(world.far, "postmaster@far.test", "Report Domain")  # the mail is there all the same


TLS_REPORT = {
    "organization-name": "Company-X",
    "date-range": {"start-datetime": "2026-04-01T00:00:00Z", "end-datetime": "2026-04-01T23:59:59Z"},
    "contact-info": "sts-reporting@example.com",
    "report-id": "5065427c-23d3-47ca-b6e0-946ea0e8c4be",
    "policies": [
        {
            "policy": {
                "policy-type": "sts",
                "policy-string": ["version: STSv1", "mode: enforce"],
                "policy-domain": "far.test",
                "mx-host": ["mx.far.test"],
            },
            "summary": {"total-successful-session-count": 5326, "total-failure-session-count": 303},
            "failure-details": [
                {
                    "result-type": "certificate-expired",
                    "sending-mta-ip": "2001:db8:abcd:0012::1",
                    "receiving-mx-hostname": "mx.far.test",
                    "failed-session-count": 100,
                },
                {
                    "result-type": "starttls-not-supported",
                    "sending-mta-ip": "2001:db8:abcd:0013::1",
                    "receiving-mx-hostname": "mx.far.test",
                    "receiving-ip": "203.0.113.56",
                    "failed-session-count": 203,
                },
            ],
        }
    ],
}


def test_a_report_of_tls_comes_by_mail_and_a_command_shows_it(world):
    """As RFC 8460 5.3 has it: multipart/report, JSON packed by gzip, signed by who says so."""
    told = MIMEMultipart("report", report_type="tlsrpt")
    told["From"] = "tlsrpt@example.com"
    told["To"] = "postmaster@far.test"
    told["Subject"] = "Report Domain: far.test Submitter: example.com Report-ID: <1@example.com>"
    told["TLS-Report-Domain"], told["TLS-Report-Submitter"] = "far.test", "example.com"
    told.attach(MIMEText("A report of TLS."))
    packed = MIMEApplication(gzip.compress(json.dumps(TLS_REPORT).encode()), "tlsrpt+gzip")
    packed.add_header("Content-Disposition", "attachment", filename="example.com!far.test!1!2!1.json.gz")
    told.attach(packed)
    signed = world.keys.sign(told.as_bytes(policy=SMTP), "example.com")
    with smtplib.SMTP(FAR, world.far.ports["smtp"], "mail.example.com", timeout=30) as client:
        client.sendmail("tlsrpt@example.com", ["postmaster@far.test"], signed)
    got = world.far.wait_event("report.received", kind="tls", domain="far.test")
    assert (got["organization"], got["passed"], got["failed"]) == ("Company-X", 5326, 303)
    (listed,) = json.loads(world.far.ctl("tls", "received", "--domain", "far.test", "--json").stdout)
    assert (listed["passed"], listed["failed"], listed["sender"]) == (5326, 303, "example.com")
    assert listed["verified"] is True
    assert (listed["begun"], listed["ended"]) == ("2026-04-01T00:00:00Z", "2026-04-01T23:59:59Z")
    shown = json.loads(world.far.ctl("tls", "received-report", listed["id"], "--json").stdout)
    assert shown["identifier"] == TLS_REPORT["report-id"] and shown["contact"] == "sts-reporting@example.com"
    assert {(row["source"], row["result"], row["count"]) for row in shown["rows"] if not row["passed"]} == {
        ("2001:db8:abcd:12::1", "certificate-expired", 100),
        ("2001:db8:abcd:13::1", "starttls-not-supported", 203),
    }
    assert "203.0.113.56" in world.far.ctl("tls", "received-report", listed["id"]).stdout
    assert messages(world.far, "postmaster@far.test", "Submitter: example.com")  # the mail is there all the same
