"""Mail in binary: what a mailbox here and a server without BINARYMIME get of it are lines, and the same octets."""

import imaplib
import smtplib
import ssl
from email import message_from_bytes

import pytest
from exim_server import Exim
from servers import PASSWORD, Dns, MailNode, free_port, wait_for

A, EXIM = "127.0.0.2", "127.0.0.5"
OCTETS = bytes(range(256)) * 2000 + b"\r\n.\r\nQUIT\r\n"
MESSAGE = (
    b"From: alice@a.test\r\nSubject: octets\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
    b"Content-Transfer-Encoding: binary\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nsee\r\n"
    b"--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n" + OCTETS + b"\r\n--b--\r\n"
)


@pytest.fixture
def two(tmp_path):
    port = free_port()
    exim = Exim("e.test", EXIM, port, ("a.test", A, port))
    dns = Dns(tmp_path / "dns", [f"host-record=mx.e.test,{EXIM}", "mx-host=e.test,mx.e.test,10"])
    node = MailNode(
        tmp_path / "node", address=A, smtp_port=port, dns=dns, extra=f"[queue]\nport = {port}\n[dkim]\nenabled = true\n"
    )
    try:
        exim.start()
        node.start()
        node.add_account("alice@a.test")
        yield node, exim
    finally:
        for part in (node, dns, exim):
            part.stop()


def octets_of(message):
    return [part.get_payload(decode=True) for part in message_from_bytes(message).walk() if not part.is_multipart()][1]


def test_a_mailbox_and_another_server_get_lines(two):
    node, exim = two
    context = ssl.create_default_context(cafile=node.ca)
    with smtplib.SMTP_SSL(A, node.ports["submissions"], context=context, timeout=30) as client:
        client.login("alice@a.test", PASSWORD)
        assert client.has_extn("binarymime")
        client.mail("alice@a.test", ["BODY=BINARYMIME"])
        for recipient in ("alice@a.test", "carl@e.test"):
            assert client.rcpt(recipient)[0] == 250
        assert client.docmd("DATA")[0] == 503
        client.send(b"BDAT %d LAST\r\n" % len(MESSAGE) + MESSAGE)
        assert client.getreply()[0] == 250
    (there,) = wait_for(exim.messages, "the mail at Exim")
    assert octets_of(there.replace(b"\n", b"\r\n")) == OCTETS
    assert b"Content-Transfer-Encoding: binary" not in there
    node.wait_event("message.delivered", recipient="alice@a.test")
    with imaplib.IMAP4_SSL(A, node.ports["imaps"], ssl_context=context, timeout=30) as client:
        client.login("alice@a.test", PASSWORD)
        client.select("INBOX", readonly=True)
        kept = client.fetch("1", "(BODY.PEEK[])")[1][0][1]
    assert octets_of(kept) == OCTETS
    assert b"\0" not in kept
    assert kept.count(b"\n") == kept.count(b"\r\n") == kept.count(b"\r")
    assert max(map(len, kept.split(b"\r\n"))) <= 998
