"""MT-PRIORITY from the client's command through the queue to the next hop, by whichever process takes the message."""

import contextlib
import smtplib
import ssl

import pytest
from scripted_peer import Scripted
from servers import PASSWORD, free_port, wait_for
from worker_servers import relaying

ELSEWHERE = "127.0.0.15"
LONG = "x" * 70 + "\r\n"


@pytest.fixture
def elsewhere():
    offers = "250-scripted.test\r\n250-SIZE 99999999\r\n250 MT-PRIORITY"
    peer = Scripted(ELSEWHERE, free_port(ELSEWHERE), {"EHLO": offers})
    yield peer
    peer.stop()


@pytest.fixture
def node(tmp_path, elsewhere):
    with relaying(tmp_path, elsewhere) as server:
        yield server


def test_it_is_passed_on_and_logged(node, elsewhere):
    for index, priority, lines in ((1, 3, 1), (0, -4, 1), (1, 9, 60)):
        elsewhere.heard.clear()
        elsewhere.taken.clear()
        with contextlib.closing(node.connect(index, "submission")) as client:
            client.starttls(context=ssl.create_default_context(cafile=node.ca))
            client.login("alice@a.test", PASSWORD)
            assert client.has_extn("mt-priority")
            text = f"From: alice@a.test\r\nSubject: now\r\n\r\n{LONG * lines}"
            client.sendmail("alice@a.test", ["u@r.test"], text, mail_options=[f"MT-PRIORITY={priority}"])
        wait_for(lambda: elsewhere.taken, "the message")
        [mail] = [line for line in elsewhere.heard if line.startswith("MAIL")]
        assert f" MT-PRIORITY={priority} " in f"{mail} "
        assert b" PRIORITY %d;" % priority in elsewhere.taken[0][1].partition(b"\r\nFrom:")[0]
        assert int(node.wait_event("message.accepted", priority=str(priority))["priority"]) == priority
        wait_for(lambda: not node.queue(), "an empty queue")


def test_a_stranger_is_told_of_less(node):
    with contextlib.closing(node.connect(1, "smtp")) as client:
        client.ehlo()
        code, said = client.mail("far@x.test", ["MT-PRIORITY=3"])
        assert (code, said[:8]) == (250, b"2.3.6 0 ")
        with pytest.raises(smtplib.SMTPSenderRefused):
            client.sendmail("far@x.test", ["alice@a.test"], "x", mail_options=["MT-PRIORITY=10"])
