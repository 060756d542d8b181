"""A mailnode with several processes, whose connections a test can direct."""

import contextlib
import os
import signal
import smtplib
import socket
import ssl
import urllib.request
from pathlib import Path

from imap_wire import Wire
from prometheus_client.parser import text_string_to_metric_families
from servers import PASSWORD, Dns, MailNode, wait_for

UNLIMITED = "[submission]\nhighest_priority = 9\nrecipients_per_hour = 0\nnew_recipients_per_day = 0\n"


class Workers(MailNode):
    """A mailnode with several workers."""

    def __init__(self, folder, workers, **options):
        self.workers = workers
        super().__init__(folder, **options)

    def _configuration(self, *arguments):
        text = super()._configuration(*arguments)
        return text.replace("[server]\n", f"[server]\nworkers = {self.workers}\ngrace = 10.0\n", 1)

    @property
    def pids(self):
        """Of the first worker and of the others that serve now."""
        ended = {(event["worker"], event["pid"]) for event in self.events("worker.ended")}
        started = {(event["worker"], event["pid"]) for event in self.events("worker.start")}
        return [self.process.popen.pid, *(pid for _, pid in sorted(started - ended))]

    @contextlib.contextmanager
    def only(self, index):
        """Let one of the processes alone run, so that it takes what connects."""
        others = [pid for number, pid in enumerate(self.pids) if number != index]
        for pid in others:
            os.kill(pid, signal.SIGSTOP)
            wait_for(lambda pid=pid: state(pid) == "T", "a stop")
        try:
            yield
        finally:
            for pid in others:
                os.kill(pid, signal.SIGCONT)

    def connect(self, index, name="smtp"):
        """Return an SMTP connection to one of the processes, greeted."""
        with self.only(index):
            return smtplib.SMTP(self.address, self.ports[name], timeout=60)

    def wire(self, index, user="bob@a.test", select="INBOX"):
        """Return an IMAP client that one of the processes serves."""
        with self.only(index):
            raw = socket.create_connection((self.address, self.ports["imap"]), 60)
            greeting = raw.recv(1000)
        assert greeting.startswith(b"* OK")
        return Taken(self, raw, user, select)

    def metrics(self):
        """Return what /metrics says, by name and labels."""
        with urllib.request.urlopen(f"http://{self.address}:{self.ports['http']}/metrics", timeout=60) as answer:
            page = answer.read().decode()
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
        }


@contextlib.contextmanager
def relaying(folder, peer):
    """A server of two processes, with Alice, whose mail for r.test goes to a :class:`scripted_peer.Scripted`."""
    address, port = peer.server_address
    dns = Dns(folder / "dns", [f"host-record=r.test,{address}"])
    server = Workers(
        folder / "node",
        2,
        dns=dns,
        extra=f"[queue]\nport = {port}\nretry = [1.0]\n{UNLIMITED}",
    )
    try:
        server.start()
        server.add_account("alice@a.test")
        yield server
    finally:
        assert server.stop() == 0
        dns.stop()


class Taken(Wire):
    """An IMAP client on a connection that stands already: STARTTLS, then a login."""

    def __init__(self, node, raw, user, select):
        raw.sendall(b"s STARTTLS\r\n")
        answer = b""
        while not answer.endswith(b"\r\n"):
            answer += raw.recv(1000)
        assert answer.startswith(b"s OK")
        self.socket = ssl.create_default_context(cafile=node.ca).wrap_socket(raw, server_hostname=node.hostname)
        self._file = self.socket.makefile("rb")
        self._tags = 0
        self.opened.append(self)
        self.ask(f"LOGIN {user} {{{len(PASSWORD)}+}}\r\n{PASSWORD}")
        if select:
            self.ask(f"SELECT {select}")


def state(pid):
    """The letter of a process' state."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def gone(pid):
    """Whether a process has ended."""
    try:
        return state(pid) == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def shown(node, index):
    """The certificate that one of the processes shows."""
    client = node.connect(index)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    client.starttls(context=context)
    certificate = client.sock.getpeercert(binary_form=True)
    client.close()
    return certificate
