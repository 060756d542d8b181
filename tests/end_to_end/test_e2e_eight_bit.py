"""8-bit mail of our users for a server without 8BITMIME: said in ASCII and signed anew, whatever its size and the way it came."""

import contextlib
import email
import json
import ssl

import dkim
import pytest
from scripted_peer import Scripted
from servers import PASSWORD, free_port, wait_for
from worker_servers import relaying

ELSEWHERE = "127.0.0.15"


@pytest.fixture
def elsewhere():
    peer = Scripted(ELSEWHERE, free_port(ELSEWHERE), {"EHLO": "250-scripted.test\r\n250 SIZE 99999999"})
    yield peer
    peer.stop()


@pytest.fixture
def node(tmp_path, elsewhere):
    with relaying(tmp_path, elsewhere) as server:
        yield server


@pytest.mark.parametrize("size", [4096, 10_000_000])
def test_it_arrives_in_ascii_and_says_the_same(node, elsewhere, size):
    keys = json.loads(node.ctl("domain", "dkim", "a.test", "--json").stdout)
    records = {f"{key['name']}.".encode(): key["text"].encode() for key in keys}
    body = "Grüße aus dem Süden, Zeile für Zeile\r\n" * (size // 40)
    text = f"From: alice@a.test\r\nContent-Type: text/plain; charset=utf-8\r\nMIME-Version: 1.0\r\n\r\n{body}"
    for index in (0, 1) if size < 10_000 else (1,):
        elsewhere.heard.clear()
        elsewhere.taken.clear()
        with contextlib.closing(node.connect(index, "submission")) as client:
            client.starttls(context=ssl.create_default_context(cafile=node.ca))
            client.login("alice@a.test", PASSWORD)
            client.sendmail("alice@a.test", ["u@r.test"], text.encode(), mail_options=["BODY=8BITMIME"])
        wait_for(lambda: elsewhere.taken, "the message", 60)
        [(recipients, content)] = elsewhere.taken
        assert (tuple(recipients), content.isascii()) == (("u@r.test",), True)
        assert email.message_from_bytes(content).get_payload(decode=True) == body.encode()
        assert content.count(b"DKIM-Signature:") == 2
        for number in (0, 1):
            assert dkim.DKIM(content).verify(idx=number, dnsfunc=lambda name, timeout=5: records.get(name))
        [mail] = [line for line in elsewhere.heard if line.startswith("MAIL")]
        assert "BODY" not in mail and f"SIZE={len(content)}" in mail
        wait_for(lambda: not node.queue(), "an empty queue")
    assert not list(node.folder.glob("**/mailnode-scan-*"))
