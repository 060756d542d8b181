"""OpenDKIM, a real milter, hears of sessions and verifies their messages; miltertest, which plays a mail server, hears the same."""

import base64
import re
import smtplib
import subprocess

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from judging import OpenDkim, RspamdMilter
from servers import MailNode, program
from test_e2e_programs import message_in

HEAD = b"From: Alice <alice@far.example>\r\nTo: bob@a.test\r\nSubject: %s\r\n"
BODY = b"A line  with spaces \t\r\n\r\n.\r\n" + b"x" * 60 + b"\r\n" * 3


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def records(key):
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return {"one._domainkey.far.example": f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"}


def signed(key, subject, body=BODY):
    message = HEAD % subject + b"References: <a@far.example>\r\n\t<b@far.example>\r\n\r\n" + body
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    headers = [b"from", b"to", b"subject", b"references"]
    return (
        dkim.sign(message, b"one", b"far.example", pem, include_headers=headers, canonicalize=(b"simple", b"simple"))
        + message
    )


@pytest.fixture
def world(tmp_path, records):
    opendkim = OpenDkim(tmp_path / "opendkim", records)
    policy = '[[policy]]\nname = "milter"\non_failure = "defer"\n'
    policy += f'options = {{ endpoint = "{opendkim.endpoint}", called = "opendkim", timeout = "20s" }}\n'
    node = MailNode(tmp_path / "node", extra="[judgement]\nchecks = []\n" + policy).start()
    node.add_account("bob@a.test")
    yield opendkim, node
    node.stop()
    opendkim.stop()


def results(header):
    """What OpenDKIM says of a message, word by word."""
    lines = re.sub(r"\r\n[ \t]+", " ", header).split("\r\n")
    [line] = [line for line in lines if line.startswith("Authentication-Results: milter.a.test;")]
    return line.split()[1:]


def found(header):
    """What it says of the signature."""
    return results(header)[1].rstrip(";").removeprefix("dkim=")


def test_signatures_are_verified_over_one_connection(world, key, tmp_path, records):
    opendkim, node = world
    with smtplib.SMTP(node.address, node.ports["smtp"], "far.example", timeout=60) as client:
        large = BODY * 5000
        for message in (
            signed(key, b"whole"),
            signed(key, b"changed").replace(b"A line", b"A lime"),
            signed(key, b"large", large),
            HEAD % b"unsigned" + b"\r\n" + BODY,
        ):
            client.sendmail("alice@far.example", ["bob@a.test"], message)
        assert found(message_in(node, "INBOX", "whole")) == "pass"
        assert found(message_in(node, "INBOX", "changed")) == "fail"
        assert found(message_in(node, "INBOX", "large")) == "pass"
        assert found(message_in(node, "INBOX", "unsigned")) == "none"
        assert not node.events("policy.failed")
        opendkim.stop()
        with pytest.raises(smtplib.SMTPResponseException) as error:
            client.sendmail("alice@far.example", ["bob@a.test"], signed(key, b"down"))
        assert error.value.smtp_code == 451
        opendkim.socket.unlink(missing_ok=True)
        again = OpenDkim(tmp_path / "opendkim", records)
        try:
            client.sendmail("alice@far.example", ["bob@a.test"], signed(key, b"back"))
            assert found(message_in(node, "INBOX", "back")) == "pass"
        finally:
            client.quit()
            again.stop()
    assert len(node.events("policy.failed")) == 1


SCRIPT = """
conn = mt.connect("unix:%s")
mt.conninfo(conn, "[127.0.0.1]", "127.0.0.1")
mt.mailfrom(conn, "<alice@far.example>")
mt.rcptto(conn, "<bob@a.test>")
mt.header(conn, "From", "Alice <alice@far.example>")
mt.header(conn, "Subject", "unsigned")
mt.eoh(conn)
mt.bodystring(conn, "x\\r\\n")
mt.eom(conn)
mt.echo(mt.getheader(conn, "Authentication-Results", 0) or "nothing")
mt.disconnect(conn)
"""


def test_miltertest_hears_the_same(world, tmp_path):
    opendkim, node = world
    script = tmp_path / "script.lua"
    script.write_text(SCRIPT % opendkim.socket)
    told = subprocess.run(
        [program("miltertest"), "-s", str(script)], capture_output=True, text=True, timeout=60, check=False
    )
    assert "dkim=none" in told.stdout, told.stderr
    with smtplib.SMTP(node.address, node.ports["smtp"], "far.example", timeout=60) as client:
        client.sendmail("alice@far.example", ["bob@a.test"], HEAD % b"unsigned" + b"\r\nx\r\n")
    assert results(message_in(node, "INBOX", "unsigned")) == told.stdout.split()


def test_rspamd_as_one_that_insists_on_what_is_not_done(tmp_path):
    rspamd = RspamdMilter(tmp_path / "rspamd")
    try:
        policy = '[judgement]\nchecks = []\n[[policy]]\nname = "milter"\non_failure = "defer"\n'
        policy += f'options = {{ endpoint = "{rspamd.endpoint}", called = "rspamd", timeout = "20s", '
        policy += 'not_done = ["fields", "recipients", "sender", "body"] }\n'
        node = MailNode(tmp_path / "node", extra=policy).start()
        try:
            node.add_account("bob@a.test")
            with smtplib.SMTP(node.address, node.ports["smtp"], "client.test", timeout=60) as client:
                send = ("alice@far.example", ["bob@a.test"])
                client.sendmail(*send, HEAD % b"lunch" + b"\r\n" + BODY)
                for subject, code, words in (
                    (b"never", 5, b"Never again"),
                    (b"later", 4, b"Come back later"),
                ):
                    with pytest.raises(smtplib.SMTPDataError) as error:
                        client.sendmail(*send, HEAD % subject + b"\r\n" + BODY)
                    assert (error.value.smtp_code // 100, words in error.value.smtp_error) == (code, True)
            told = message_in(node, "INBOX", "lunch")
            assert "X-Told: alice@far.example 1 127.0.0.1 client.test " in told
            assert not node.events("policy.failed")
        finally:
            node.stop()
    finally:
        rspamd.stop()
