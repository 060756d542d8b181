"""The clock of the machine is set back and forward by an hour while the server runs."""

import smtplib
import ssl
import time

import pytest
from servers import PASSWORD, MailNode, free_port, wait_for
from wall_clock import WallClock


class Stepped:
    """A server whose time of day can be set. Its resolver is down, so that foreign mail is tried again and again."""

    def __init__(self, folder):
        clock = WallClock(folder / "clock")
        self.set = clock.set
        extra = (
            f'[dns]\nservers = ["127.0.0.1:{free_port()}"]\n[limits]\nsmtp_timeout = 3\n'
            "[queue]\nretry = [1.0]\nlifetime = 100000\n"
        )
        self.node = MailNode(folder / "node", extra=extra, path=(clock.folder,)).start()
        self.node.add_account("alice@a.test")

    def connect(self):
        return smtplib.SMTP(self.node.address, self.node.ports["smtp"], timeout=30)

    def submit(self):
        with smtplib.SMTP(self.node.address, self.node.ports["submission"], timeout=30) as client:
            client.starttls(context=ssl.create_default_context(cafile=self.node.ca))
            client.login("alice@a.test", PASSWORD)
            client.sendmail("alice@a.test", ["someone@far.test"], "From: alice@a.test\r\n\r\nhello\r\n")

    def tries(self):
        return len(self.node.events("queue.deferred"))

    def wait_tries(self, more):
        wanted = self.tries() + more
        wait_for(lambda: self.tries() >= wanted, f"{more} more tries", 15)


@pytest.fixture
def stepped(tmp_path):
    made = Stepped(tmp_path)
    yield made
    made.node.stop()


# SMTP trap 36: a whole server
def test_nothing_stalls_and_nothing_storms(stepped):
    stepped.submit()
    stepped.wait_tries(1)
    with stepped.connect() as silent:
        stepped.set(-3600)
        stepped.wait_tries(2)
        stepped.submit()  # logins, commits and deliveries work on
        assert silent.getreply()[0] == 421  # its timeout came though the clock is an hour behind
    with stepped.connect() as standing:
        before = stepped.tries()
        started = time.monotonic()
        stepped.set(3600)
        stepped.wait_tries(2)
        for _ in range(4):
            time.sleep(0.5)
            assert standing.noop()[0] == 250  # two hours did not pass for it
        tries = stepped.tries() - before
        assert tries <= 2 * 3 * (time.monotonic() - started + 1)  # two messages, a try a second or so
    assert not [line for line in stepped.node.process.lines if "Traceback" in line]
