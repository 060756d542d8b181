"""A crowd that takes all descriptors there are for connections: who is connected is served, and the store works on."""

import contextlib
import os
import socket
import time
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from servers import wait_for
from ways import Dial, EveryWay, large
from worker_servers import Workers

PIECE = ("y" * 70 + "\r\n").encode() * 64_000  # more than is kept in memory of a message that comes in


def cpu_seconds(pid):
    """Return the processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Few(EveryWay, Workers):
    """A server that may open few files."""

    def __init__(self, folder, workers, files):
        limits = "[limits]\nconnections_per_address = 1000\nmessage_size = 100000000\n"
        super().__init__(folder, workers, extra=limits)
        plain = self.twistd
        self.twistd = lambda *arguments: ["sh", "-c", f'ulimit -n {files}; exec "$@"', "sh", *plain(*arguments)]

    def gauges(self, name):
        """Return the values of a gauge, by process."""
        with urllib.request.urlopen(f"http://{self.address}:{self.ports['http']}/metrics", timeout=60) as answer:
            text = answer.read().decode()
        return {
            sample.labels["process"]: int(sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == f"mailnode_{name}"
        }

    def all_stopped(self):
        stopped = self.gauges("connections_stopped")
        return len(stopped) == self.workers and all(stopped.values())


class Crowd:
    """Connections by several listeners, each with a message on its way."""

    def __init__(self, node):
        self._node = node
        self._waiting = []
        self.taken = []

    def grow(self):
        """One more knocks; return when it was greeted or nobody is let in."""
        name = ("smtp", "lmtp")[len(self.taken) % 2]
        self._waiting.append(socket.create_connection((self._node.address, self._node.ports[name]), 60))
        self._waiting[-1].setblocking(False)
        wait_for(lambda: self._look() or self._node.all_stopped(), "a greeting, or the end of all taking")

    def _look(self):
        """Find who was greeted."""
        for one in self._waiting:
            with contextlib.suppress(BlockingIOError):
                assert one.recv(1000).startswith(b"220 "), "closed without a word"
                self._waiting.remove(one)
                self.taken.append(one)
                return True
        return False

    def knock_in_vain(self, count):
        """So many more come, and wait."""
        for _ in range(count):
            self._waiting.append(socket.create_connection((self._node.address, self._node.ports["smtp"]), 60))
            self._waiting[-1].setblocking(False)

    def begin_messages(self):
        """All begin a large message."""
        while self._look():
            pass
        for one in self.taken:
            file = one.makefile("rb")
            one.settimeout(60)
            lhlo = one.getpeername()[1] == self._node.ports["lmtp"]
            for command in (
                ("LHLO" if lhlo else "EHLO") + " x.test",
                "MAIL FROM:<x@b.test>",
                "RCPT TO:<alice@a.test>",
                "DATA",
            ):
                one.sendall(f"{command}\r\n".encode())
                while (line := file.readline())[3:4] == b"-":
                    pass
                assert line[:1] in b"23", line
            one.sendall(b"Subject: half\r\n\r\n" + PIECE)
            file.close()

    def close(self, count=None):
        for one in self.taken[:count]:
            one.close()
        del self.taken[:count]
        if count is None:
            for one in self._waiting:
                one.close()


def incoming(pids):
    """Return how many files of messages on their way are open."""
    found = 0
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                found += "/incoming/" in os.readlink(descriptor)
    return found


# SMTP trap 34: no descriptors left
@pytest.mark.parametrize(("workers", "files"), [(1, 400), (1, 200), (2, 400)])
def test_no_more_connections_than_leave_the_store_its_descriptors(tmp_path, workers, files):
    node = Few(tmp_path / "node", workers, files)
    node.start()
    crowd = Crowd(node)
    try:
        node.add_account("alice@a.test")
        most = node.gauges("connections_most")
        assert len(most) == workers and all(0 < 2 * count < files for count in most.values())
        fits = sum(most.values()) // 2 - 1  # ways, with two connections each, so that the crowd gets some too
        dials = sorted(node.dials(), key=lambda dial: dial.name != "implicit")[:fits]
        standing = {dial.name: (dial.submission(), dial.imap("alice@a.test")) for dial in dials}
        reader = standing["implicit"][1]
        while not node.all_stopped():
            crowd.grow()
        assert node.gauges("connections") == most
        crowd.knock_in_vain(20)
        crowd.begin_messages()
        wait_for(lambda: incoming(node.pids) == len(crowd.taken), "every message has its file")
        for way, (submission, client) in standing.items():
            submission.sendmail("alice@a.test", ["alice@a.test"], large(f"submitted-{way}", 1_000_000))
            assert client.append("INBOX", None, None, large(f"appended-{way}", 1_000_000))[0] == "OK"
        assert reader.select("INBOX")[0] == "OK"
        found = [part[1].decode() for part in reader.fetch("1:*", "(BODY.PEEK[])")[1] if isinstance(part, tuple)]
        wanted = [f"{how}-{way}" for way in standing for how in ("submitted", "appended")]
        for name in wanted:
            (text,) = [text for text in found if f"Subject: {name}\r\n" in text]
            assert text.endswith(f"\r\nend of {name}\r\n") and len(text) > 990_000
        assert node.gauges("connections") == most
        used, started = sum(map(cpu_seconds, node.pids)), time.monotonic()
        while time.monotonic() - started < 1:
            assert reader.noop()[0] == "OK"
            time.sleep(0.1)
        assert sum(map(cpu_seconds, node.pids)) - used < 0.5, "who waits costs nothing"
        assert len(node.events("listener.full")) == workers

        crowd.close()
        wait_for(lambda: not any(node.gauges("connections_stopped").values()), "connections are taken again")
        with Dial(node, "implicit", False).submission() as late:
            late.sendmail("alice@a.test", ["alice@a.test"], large("afterwards", 1_000_000))
        assert node.events("listener.room")
        for submission, client in standing.values():
            submission.quit()
            client.logout()
    finally:
        crowd.close()
        code = node.stop()
    assert code == 0
    assert not [line for line in node.process.lines if "Traceback" in line or "EMFILE" in line]
    assert bool([line for line in node.process.lines if "open files are few" in line]) == (files == 200)
