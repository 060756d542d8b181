"""A DNS server that never answers: what a message waits for that comes from this machine, and what it says then."""

import smtplib
import socket
import time
from types import SimpleNamespace

import pytest
from servers import MailNode

from mailnode.policy.chain import DNS_SECONDS

HASH = "h=from; bh=frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=; b=AAAA"
MESSAGE = (
    "ARC-Seal: i=1; a=rsa-sha256; d=list.test; s=s1; cv=none; b=AAAA\r\n"
    f"ARC-Message-Signature: i=1; a=rsa-sha256; d=list.test; s=s1; {HASH}\r\n"
    "ARC-Authentication-Results: i=1; list.test; dkim=pass\r\n"
    f"DKIM-Signature: v=1; a=rsa-sha256; d=far.test; s=s1; {HASH}\r\n"
    "From: a@deep.below.far.test\r\nSubject: x\r\n\r\n"
)


@pytest.fixture
def silence():
    with socket.socket(type=socket.SOCK_DGRAM) as held:
        held.bind(("127.0.0.1", 0))
        yield SimpleNamespace(port=held.getsockname()[1])


def test_a_message_waits_for_so_long_and_is_taken(silence, tmp_path):
    node = MailNode(tmp_path / "node", dns=silence, extra="[limits]\ngreet_pause = 0\n").start()
    try:
        node.add_account("alice@a.test")
        with smtplib.SMTP("127.0.0.1", node.ports["smtp"], timeout=60) as client:
            client.ehlo("far.test")
            client.mail("a@far.test")
            client.rcpt("alice@a.test")
            began = time.monotonic()
            assert client.data(MESSAGE)[0] == 250
            assert DNS_SECONDS / 2 < time.monotonic() - began < DNS_SECONDS + 5
        told = node.wait_event("message.judged")
        assert told["outcome"] == "inbox"
        for said in ("dkim@end", "arc@end", "dmarc@end pass (temperror"):
            assert said in told["verdicts"]
        assert "failed" not in told["verdicts"]
    finally:
        node.stop()
