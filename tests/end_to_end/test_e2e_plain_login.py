"""Logins without TLS on listeners of the loopback address that allow it, with Python's own clients."""

import imaplib
import poplib
import smtplib

import pytest
from servers import PASSWORD, MailNode, free_port


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """One mailnode with a further listener for each protocol, and their ports."""
    ports = {protocol: free_port("127.0.0.1") for protocol in ("imap", "pop3", "submission")}
    extra = "".join(
        f'[[listener]]\nprotocol = "{protocol}"\nplain_login = true\nendpoint = "tcp:{port}:interface=127.0.0.1"\n'
        for protocol, port in ports.items()
    )
    server = MailNode(tmp_path_factory.mktemp("plain"), extra=extra)
    server.start()
    try:
        server.add_account("alice@a.test")
        yield server, ports
    finally:
        server.stop()


def test_submit_and_read_without_tls(plain):
    _, ports = plain
    with smtplib.SMTP("127.0.0.1", ports["submission"], timeout=30) as client:
        client.login("alice@a.test", PASSWORD)
        assert not client.has_extn("starttls")
        client.sendmail("alice@a.test", ["alice@a.test"], b"From: alice@a.test\r\nSubject: plain\r\n\r\nhello\r\n")
    with imaplib.IMAP4("127.0.0.1", ports["imap"], timeout=30) as client:
        assert "LOGINDISABLED" not in client.capabilities
        assert "AUTH=PLAIN" in client.capabilities
        client.login("alice@a.test", PASSWORD)
        client.select()
        (header,) = [part[1] for part in client.fetch("1", "(BODY.PEEK[HEADER])")[1] if isinstance(part, tuple)]
        assert b"with ESMTPA" in header and b"ESMTPSA" not in header  # RFC 3848: authenticated, without TLS
    client = poplib.POP3("127.0.0.1", ports["pop3"], timeout=30)
    assert "USER" in client.capa()
    client.user("alice@a.test")
    client.pass_(PASSWORD)
    assert client.stat()[0] == 1
    client.quit()


def test_wrong_passwords_are_refused_there_too(plain):
    _, ports = plain
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        imaplib.IMAP4("127.0.0.1", ports["imap"], timeout=30).login("alice@a.test", "wrong")


def test_other_listeners_take_no_password_without_tls(plain):
    server, _ = plain
    client = imaplib.IMAP4("127.0.0.1", server.ports["imap"], timeout=30)
    assert "LOGINDISABLED" in client.capabilities
    with pytest.raises(imaplib.IMAP4.error, match="PRIVACYREQUIRED"):
        client.login("alice@a.test", PASSWORD)
    with pytest.raises(poplib.error_proto, match="start TLS first"):
        poplib.POP3("127.0.0.1", server.ports["pop3"], timeout=30).user("alice@a.test")
    with smtplib.SMTP("127.0.0.1", server.ports["submission"], timeout=30) as submission:
        with pytest.raises(smtplib.SMTPNotSupportedError):
            submission.login("alice@a.test", PASSWORD)
        assert submission.docmd("MAIL", "FROM:<alice@a.test>")[0] == 530


def test_how_many_sessions_an_account_may_have_changes_by_reload(plain):
    server, ports = plain
    before = server.config.read_text()
    try:
        server.config.write_text(before + "[limits]\nsessions_per_account = 1\n")
        assert "limits" in server.ctl("reload").stdout
        with imaplib.IMAP4("127.0.0.1", ports["imap"], timeout=30) as first:
            first.login("alice@a.test", PASSWORD)
            with imaplib.IMAP4("127.0.0.1", ports["imap"], timeout=30) as second:
                with pytest.raises(imaplib.IMAP4.error, match="UNAVAILABLE"):
                    second.login("alice@a.test", PASSWORD)
                server.config.write_text(before)
                server.ctl("reload")
                second.login("alice@a.test", PASSWORD)
    finally:
        server.config.write_text(before)
