"""Two servers whose MX records lead to each other: the message ends by its hops, with one notice to its sender."""

import imaplib
import smtplib
import ssl
from email import message_from_bytes, policy

import pytest
from servers import PASSWORD, Dns, MailNode, free_port, wait_for

C, D = "127.0.0.14", "127.0.0.15"
HOPS = 8


@pytest.fixture
def circle(tmp_path):
    port = free_port()
    nodes, parts = [], []
    try:
        for name, address, other in (("c", C, "d"), ("d", D, "c")):
            records = [
                f"host-record=mx.c.test,{C}",
                f"host-record=mx.d.test,{D}",
                "mx-host=c.test,mx.c.test,10",
                f"mx-host=loop.test,mx.{other}.test,10",
            ]
            parts.append(dns := Dns(tmp_path / f"dns-{name}", records))
            extra = f"[queue]\nport = {port}\nretry = [1.0]\n[limits]\nhops = {HOPS}\n"
            node = MailNode(tmp_path / name, (f"{name}.test",), address=address, smtp_port=port, dns=dns, extra=extra)
            head, smtp, rest = node.config.read_text().partition('protocol = "smtp"\n')
            node.config.write_text(head + smtp + 'relay_from = ["127.0.0.0/8"]\n' + rest)
            parts.append(node)
            nodes.append(node.start())
        nodes[0].add_account("alice@c.test")
        yield nodes
    finally:
        for part in parts:
            part.stop()


def test_it_ends_with_one_notice(circle):
    c, d = circle
    with smtplib.SMTP(c.address, c.ports["smtp"], timeout=30) as client:
        client.sendmail("alice@c.test", ["somebody@loop.test"], "From: alice@c.test\r\nSubject: round\r\n\r\nhello\r\n")
    wait_for(lambda: c.events("message.delivered"), "a notice")
    wait_for(lambda: not c.queue() and not d.queue(), "empty queues")
    accepted = [event for node in circle for event in node.events("message.accepted")]
    assert len([event for event in accepted if event["sender"]]) == HOPS
    (delivered,) = c.events("message.delivered")
    assert delivered["recipient"] == "alice@c.test"
    assert not d.events("message.delivered")
    (notice,) = inbox(c)
    parsed = message_from_bytes(notice, policy=policy.default)
    assert parsed["Return-Path"] == "<>" and parsed.get_content_type() == "multipart/report"
    assert "Status: 5.4.6" in parsed.as_string()


def inbox(node):
    context = ssl.create_default_context(cafile=node.ca)
    with imaplib.IMAP4_SSL(node.address, node.ports["imaps"], ssl_context=context, timeout=30) as client:
        client.login("alice@c.test", PASSWORD)
        client.select("INBOX", readonly=True)
        return [part[1] for part in client.fetch("1:*", "(BODY.PEEK[])")[1] if isinstance(part, tuple)]
