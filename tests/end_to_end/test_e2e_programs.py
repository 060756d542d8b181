"""Mail that real programs judge: rspamd, ClamAV's clamd, SpamAssassin's spamd."""

import imaplib
import smtplib
import ssl

import pytest
from judging import Clamd, Rspamd, Spamd
from servers import PASSWORD, MailNode, wait_for

HEAD = b"From: a@side.test\r\nTo: bob@a.test\r\nSubject: "


def policy(name, endpoint, options="", on_failure="pass"):
    return (
        f'[[policy]]\nname = "{name}"\non_failure = "{on_failure}"\n'
        f'options = {{ endpoint = "{endpoint}", timeout = "20s"{options} }}\n'
    )


@pytest.fixture
def running(tmp_path):
    """Start a program and a server that asks it."""
    parts = []

    def start(kind, name, **more):
        helper = kind(tmp_path / name)
        parts.append(helper)
        node = MailNode(tmp_path / "node", extra=policy(name, helper.endpoint, **more)).start()
        parts.append(node)
        node.add_account("bob@a.test")
        return helper, node

    yield start
    for part in reversed(parts):
        part.stop()


def send(node, subject, body=b"hello\r\n"):
    with smtplib.SMTP(node.address, node.ports["smtp"], "client.test", timeout=60) as client:
        client.sendmail("a@side.test", ["bob@a.test"], HEAD + subject + b"\r\n\r\n" + body)


def refused(node, subject, body=b"hello\r\n"):
    with pytest.raises(smtplib.SMTPDataError) as error:
        send(node, subject, body)
    return error.value.smtp_code, error.value.smtp_error.decode()


def message_in(node, mailbox, subject):
    """The header of the message with a subject, unfolded."""

    def look():
        with imaplib.IMAP4_SSL(node.address, node.ports["imaps"], ssl_context=context) as client:
            client.login("bob@a.test", PASSWORD)
            client.select(mailbox)
            found = client.search(None, "SUBJECT", subject)[1][0].split()
            if not found:
                return None
            return client.fetch(found[0], "(BODY[HEADER])")[1][0][1].replace(b"\r\n ", b" ").decode()

    context = ssl.create_default_context(cafile=node.ca)
    return wait_for(look, f"{subject} in {mailbox}")


def test_rspamd(running):
    _, node = running(Rspamd, "rspamd")
    send(node, b"lunch")
    plain = message_in(node, "INBOX", "lunch")
    assert "X-Told: a@side.test 1 127.0.0.1 client.test " in plain
    envelope = node.events("message.accepted")[0]["envelope"]
    assert f"client.test {envelope}\r\n" in plain
    send(node, b"mild")
    assert "rspamd: no action, 2.5 of 15.0: MILD +2.5 (+2.1)" in message_in(node, "INBOX", "mild")
    send(node, b"cheap", b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 20_000)
    assert "junk, score 5.9 of 5.0; rspamd: add header, 7.0 of 15.0: CHEAP +7.0" in message_in(node, "Junk", "cheap")
    assert refused(node, b"later") == (451, "4.7.1 Come back later")
    assert refused(node, b"never") == (550, "5.7.1 Never again")


def test_clamd_and_what_becomes_of_mail_when_it_is_down(running):
    clamd, node = running(Clamd, "clamav", options=", largest = 1000000", on_failure="defer")
    send(node, b"clean")
    message_in(node, "INBOX", "clean")
    assert refused(node, b"bad", b"some " + Clamd.BAD + b"\r\n") == (
        550,
        "5.7.1 Message has malware in it: Ours.Test.UNOFFICIAL",
    )
    assert "Ours.Test" in node.wait_event("message.refused")["reason"]
    send(node, b"large", (b"y" * 70 + b"\r\n") * 20_000)
    assert "clamav: not asked: more than 1000000 octets" in message_in(node, "INBOX", "large")
    clamd.stop()
    assert refused(node, b"clean again") == (451, "4.7.1 Message cannot be checked now, try again later")
    failed = node.wait_event("policy.failed", policy="clamav")
    assert "no connection" in failed["error"] or "refused" in failed["error"]


def test_clamd_that_takes_less_than_it_is_sent(running):
    _, node = running(Clamd, "clamav")
    send(node, b"large", (b"y" * 70 + b"\r\n") * 20_000)
    message_in(node, "INBOX", "large")
    assert "StreamMaxLength" not in node.wait_event("policy.failed")["error"]
    assert "size limit exceeded" in node.wait_event("policy.failed")["error"]


def test_spamd(running):
    spamd, node = running(Spamd, "spamassassin")
    send(node, b"mild")
    assert "spamassassin: 1.3 of 5.0: MILD +1.3 (+1.3)" in message_in(node, "INBOX", "mild")
    send(node, b"cheap mild")
    assert "spamassassin: 5.8 of 5.0: CHEAP +4.5, MILD +1.3 (+5.8)" in message_in(node, "Junk", "cheap")
    spamd.stop()
    send(node, b"lunch")
    message_in(node, "INBOX", "lunch")
    assert "connection refused" in node.wait_event("policy.failed", policy="spamassassin")["error"]
