"""The main job with Python's own clients: submit, deliver, read over IMAP on two devices, download over POP3."""

import imaplib
import json
import poplib
import smtplib
import ssl
import urllib.request
from email.message import EmailMessage

import pytest
from servers import PASSWORD


def message(subject, to="bob@a.test", sender="alice@a.test"):
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = sender, to, subject
    made.set_content("Gr\u00fc\u00dfe, and a line that begins\n.with a dot\n")
    return made


def context(node):
    return ssl.create_default_context(cafile=node.ca)


def submit(node, made, *, implicit=False, user="alice@a.test", **arguments):
    if implicit:
        client = smtplib.SMTP_SSL(node.address, node.ports["submissions"], context=context(node), timeout=30)
    else:
        client = smtplib.SMTP(node.address, node.ports["submission"], timeout=30)
        client.starttls(context=context(node))
    with client:
        client.login(user, PASSWORD)
        return client.send_message(made, **arguments)


def imap(node, user="bob@a.test"):
    client = imaplib.IMAP4_SSL(node.address, node.ports["imaps"], ssl_context=context(node), timeout=30)
    client.login(user, PASSWORD)
    return client


def found(client, subject):
    client.noop()
    _, (numbers,) = client.search(None, "SUBJECT", f'"{subject}"')
    return numbers.split()


@pytest.mark.parametrize("implicit", [False, True])
def test_submit_and_read(node, implicit):
    subject = f"read me {implicit}"
    submit(node, message(subject), implicit=implicit)
    client = imap(node)
    client.select("INBOX")
    (number,) = found(client, subject)
    _, data = client.fetch(number, "(FLAGS BODY.PEEK[])")
    body = data[0][1]
    assert b"Subject: " + subject.encode() in body
    assert b"\r\n.with a dot\r\n" in body
    assert body.startswith(b"Return-Path: <alice@a.test>\r\n")
    assert b"ESMTPSA" in body
    assert b"Message-ID:" in body or b"Message-Id:" in body
    client.logout()


def test_two_devices_see_the_same_state(node):
    submit(node, message("two devices"))
    phone, laptop = imap(node), imap(node)
    phone.select("INBOX")
    laptop.select("INBOX")
    (number,) = found(phone, "two devices")
    laptop.send(b"i1 IDLE\r\n")
    assert laptop.readline().startswith(b"+ ")
    phone.store(number, "+FLAGS", "(\\Seen \\Flagged)")
    line = laptop.readline()
    assert line.startswith(b"* " + number + b" FETCH (") and b"\\Seen" in line and b"\\Flagged" in line
    submit(node, message("pushed"))
    lines = [laptop.readline()]
    while b" EXISTS" not in lines[-1]:
        lines.append(laptop.readline())
    phone.store(number, "+FLAGS", "(\\Deleted)")
    phone.expunge()
    while b" EXPUNGE" not in lines[-1]:
        lines.append(laptop.readline())
    assert lines[-1] == b"* " + number + b" EXPUNGE\r\n"
    laptop.send(b"DONE\r\n")
    while not lines[-1].startswith(b"i1 OK"):
        lines.append(laptop.readline())
    for client in (phone, laptop):
        client.logout()


def test_pop3_downloads_and_removes_and_imap_sees_it(node):
    submit(node, message("for pop", to="alice@a.test"))
    watcher = imap(node, "alice@a.test")
    watcher.select("INBOX")
    assert found(watcher, "for pop")
    client = poplib.POP3_SSL(node.address, node.ports["pop3s"], context=context(node), timeout=30)
    client.user("alice@a.test")
    client.pass_(PASSWORD)
    count, _ = client.stat()
    _, lines, octets = client.retr(count)
    assert b"Subject: for pop" in lines and b".with a dot" in lines
    assert octets == len(b"".join(line + b"\r\n" for line in lines))
    assert len(client.uidl()[1]) == count
    client.dele(count)
    assert found(watcher, "for pop")  # not before QUIT
    client.quit()
    assert not found(watcher, "for pop")
    watcher.logout()


def test_the_account_must_own_the_sender(node):
    with pytest.raises(smtplib.SMTPResponseException) as refused:
        submit(node, message("forged", sender="bob@a.test"), from_addr="alice@a.test")
    assert refused.value.smtp_code in (550, 553, 554)
    with pytest.raises((smtplib.SMTPSenderRefused, smtplib.SMTPResponseException)):
        submit(node, message("forged"), from_addr="bob@a.test")


def test_no_password_without_tls(node):
    with smtplib.SMTP(node.address, node.ports["submission"], timeout=30) as client:
        client.ehlo()
        assert not client.has_extn("auth")
        assert client.docmd("AUTH", "PLAIN AGFsaWNlQGEudGVzdAB4")[0] in (530, 538, 503)
        assert client.docmd("MAIL", "FROM:<alice@a.test>")[0] == 530
    with imaplib.IMAP4(node.address, node.ports["imap"], timeout=30) as plain:
        assert "LOGINDISABLED" in plain.capabilities
        with pytest.raises(imaplib.IMAP4.error):
            plain.login("bob@a.test", PASSWORD)


def test_receiving_refuses_at_rcpt(node):
    with smtplib.SMTP(node.address, node.ports["smtp"], timeout=30) as client:
        client.ehlo("client.test")
        client.mail("someone@elsewhere.test")
        assert client.rcpt("nobody@a.test")[0] == 550
        assert client.rcpt("someone@elsewhere.test")[0] == 550
        for accepted in ("bob@a.test", "BOB+tag@A.Test", "postmaster@a.test", "Postmaster"):
            assert client.rcpt(accepted)[0] == 250, accepted
        code, text = client.data(b"Subject: from outside\r\n\r\nhello\r\n")
        assert code == 250
        envelope = text.split()[-1].decode()
    accepted = node.wait_event("message.accepted", envelope=envelope)
    assert accepted["session"]
    node.wait_event("message.delivered", envelope=envelope)


# SMTP trap 28: over sockets
def test_wrong_passwords_are_all_alike(node):
    answers = set()
    for user in ("bob@a.test", "nobody@a.test"):
        with smtplib.SMTP_SSL(node.address, node.ports["submissions"], context=context(node), timeout=60) as client:
            with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
                client.login(user, "wrong")
            answers.add((refused.value.smtp_code, refused.value.smtp_error))
    assert len(answers) == 1


def test_a_new_password_ends_live_sessions(node):
    node.add_account("carol@a.test")
    client = imap(node, "carol@a.test")
    node.ctl("account", "password", "carol@a.test", "--password-stdin", stdin="another one\n")
    assert client.readline().startswith(b"* BYE")


def test_health_and_metrics(node):
    base = f"http://{node.address}:{node.ports['http']}"
    with urllib.request.urlopen(base + "/health", timeout=30) as answer:
        assert answer.status == 200
        assert json.load(answer)
    with urllib.request.urlopen(base + "/metrics", timeout=30) as answer:
        assert b"mailnode_" in answer.read()
