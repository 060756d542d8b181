"""Programs that are to judge mail and do something else: what becomes of mail is what the configuration says, and soon."""

import contextlib
import smtplib
import socket
import threading

import pytest
from servers import MailNode

from tests.free_ports import free_port

POLICIES = ("rspamd", "clamav", "spamassassin", "milter")
MESSAGE = b"From: a@side.test\r\nTo: bob@a.test\r\nSubject: hello\r\n\r\nhello\r\n"


class BadProgram:
    """Accepts connections, and does the same to each."""

    def __init__(self, does):
        self.port = free_port()
        self.endpoint = f"tcp:127.0.0.1:{self.port}"
        self.over = threading.Event()
        self.listening = socket.create_server(("127.0.0.1", self.port))
        self.does = does
        self.threads = [threading.Thread(target=self.accept, daemon=True)]
        self.threads[0].start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listening.accept()
                self.threads.append(threading.Thread(target=self.serve, args=(connection,), daemon=True))
                self.threads[-1].start()

    def serve(self, connection):
        with connection, contextlib.suppress(OSError):
            self.does(self, connection)

    def stop(self):
        self.over.set()
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive()


def garbage(program, connection):
    while not program.over.is_set():
        connection.sendall(bytes(range(256)) * 256)


def empty_answers(program, connection):
    while not program.over.is_set():
        connection.sendall(bytes(65_536))


def silent(program, connection):
    connection.settimeout(60)
    while connection.recv(65_536):
        pass


def an_octet_now_and_then(program, connection):
    while not program.over.wait(0.05):
        connection.sendall(b"1")


def ends_at_once(program, connection):
    connection.recv(10)


@pytest.mark.parametrize("does", [garbage, empty_answers, silent, an_octet_now_and_then, ends_at_once])
def test_what_becomes_of_mail(tmp_path, does):
    program = BadProgram(does)
    nodes = []
    try:
        for outcome in ("pass", "defer"):
            policies = "".join(
                f'[[policy]]\nname = "{name}"\non_failure = "{outcome}"\n'
                f'options = {{ endpoint = "{program.endpoint}", timeout = 0.5 }}\n'
                for name in POLICIES
            )
            nodes.append(MailNode(tmp_path / outcome, extra="[judgement]\nchecks = []\n" + policies).start())
            nodes[-1].add_account("bob@a.test")
        passes, defers = nodes
        with smtplib.SMTP(passes.address, passes.ports["smtp"], "side.test", timeout=60) as client:
            for _ in range(2):
                client.sendmail("a@side.test", ["bob@a.test"], MESSAGE)
        passes.wait_event("session.close", protocol="smtp")
        failed = [event["policy"] for event in passes.events("policy.failed")]
        assert {name: failed.count(name) for name in POLICIES} == {
            "rspamd": 2,
            "clamav": 2,
            "spamassassin": 2,
            "milter": 3,  # when the client came, and for each message
        }
        with pytest.raises((smtplib.SMTPConnectError, smtplib.SMTPServerDisconnected)):
            smtplib.SMTP(defers.address, defers.ports["smtp"], "side.test", timeout=60)
        defers.wait_event("session.close", protocol="smtp")
        assert [event["policy"] for event in defers.events("policy.failed")] == ["milter"]
        assert all(not node.events("session.error") for node in nodes)
    finally:
        for part in (*nodes, program):
            part.stop()
