"""A server that starts quickly after it was killed, and what its mailboxes hold."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from pathlib import Path

from tests.crash.actors import FETCHER, MAILBOXES, READERS
from tests.crash.expected import Found, Place, Row
from tests.crash.messages import is_whole
from tests.end_to_end.servers import PASSWORD, MailNode, wait_for
from tests.end_to_end.wall_clock import WallClock
from tests.free_ports import free_port
from tests.processes import PATIENCE, end, start
from tests.stress.client import Client

HERE = Path(__file__).parent
LEASE = 130  # seconds, more than any lasts of those in the store: of an envelope, of a maildrop
PLACES: tuple[Place, ...] = (*((one, mailbox) for one in READERS for mailbox in MAILBOXES), (FETCHER, "INBOX"))
_ROW = re.compile(rb"\* \d+ FETCH \((?=.*?\bUID (\d+))(?=.*?FLAGS \(([^)]*)\))", re.DOTALL)
_SUBJECT = re.compile(rb"Subject: (\S+)")
_BODY = re.compile(rb"BODY\[\] \{\d+\}\r\n")


class Lost(Exception):
    """What was acknowledged does not hold."""


class Sink(socketserver.ThreadingTCPServer):
    """Where mail for others goes to. It keeps the name of each message before it answers 250."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", free_port()), _Conversation)
        self.taken: list[tuple[float, str]] = []
        self.broken: list[str] = []
        self.conversations: set[int] = set()  # that go on, by number of their sockets
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def process_request(self, request, client_address) -> None:
        self.conversations.add(request.fileno())
        super().process_request(request, client_address)

    def shutdown_request(self, request) -> None:
        self.conversations.discard(request.fileno())
        super().shutdown_request(request)

    def handle_error(self, request, client_address) -> None:
        """A client that is gone."""

    def drain(self) -> None:
        """Wait until what a killed server had sent is taken: it may still lie in the kernel when that server is gone."""
        with socket.create_connection(self.server_address, PATIENCE) as last, last.makefile("rb") as lines:
            lines.readline()  # whoever connected before was accepted before
        wait_for(lambda: not self.conversations, "the end of all conversations")

    def twice(self) -> list[str]:
        """Return the names of messages taken more than once."""
        return [name for name, count in Counter(name for _, name in self.taken).items() if count > 1]

    def stop(self) -> None:
        """End it."""
        self.shutdown()
        self.server_close()


class _Conversation(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(b"220 sink.test ESMTP\r\n")
        while verb := self.rfile.readline()[:4].upper():
            if verb == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                lines = []
                while (line := self.rfile.readline()) != b".\r\n":
                    if not line:
                        return
                    lines.append(line.removeprefix(b"."))
                self._take(b"".join(lines))
            self.wfile.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 sink.test\r\n")

    def _take(self, octets: bytes) -> None:
        name = _SUBJECT.search(octets)[1].decode()
        self.server.taken.append((time.time(), name))
        if not is_whole(name, octets):
            self.server.broken.append(name)


class Node(MailNode):
    """A server that is forked from a process that has imported everything."""

    password = PASSWORD

    def __init__(self, folder: Path, *, workers: int, sink: Sink, store: str = "") -> None:
        """:param store: that section of the configuration."""
        self.clock = WallClock(folder / "clock")
        here = "127.0.0.1/32"
        super().__init__(
            folder,
            path=(self.clock.folder,),
            extra=f'[queue]\nretry = [0.5]\n[queue.smarthost]\nhost = "127.0.0.1"\nport = {sink.server_address[1]}\n'
            f'tls = "none"\n[submission]\nrecipients_per_hour = 0\nloud_from = 0\n{store}',
        )
        text = self.config.read_text().replace("[server]\n", f"[server]\nworkers = {workers}\npartitions = 2\n", 1)
        self.config.write_text(
            text.replace('protocol = "smtp"\n', f'protocol = "smtp"\nno_policy_for = ["{here}"]\n', 1)
        )
        self.log = folder / "log"
        self._zygote: subprocess.Popen[str] | None = None
        self.pid = 0
        self._read_from = 0

    @property
    def environment(self) -> dict[str, str]:
        """With which it runs."""
        return self._env

    def begin(self) -> None:
        """Start without waiting for it."""
        if self._zygote is None:
            self._zygote = start(
                [sys.executable, str(HERE / "server_zygote.py")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=self._env,
            )
        self._read_from = self.log.stat().st_size if self.log.exists() else 0
        arguments = ["-n", "--pidfile=", "mailnode", "--config", str(self.config)]
        order = {"arguments": arguments, "folder": str(self.folder), "log": str(self.log)}
        self._zygote.stdin.write(json.dumps(order) + "\n")
        self._zygote.stdin.flush()
        self.pid = int(self._zygote.stdout.readline())

    def start(self) -> Node:
        """Start and wait until it serves."""
        self.begin()
        wait_for(self._serves, "a start")
        return self

    def _serves(self) -> bool:
        text = self.log.read_text()[self._read_from :] if self.log.exists() else ""
        if '"server.start"' in text:
            return True
        state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        assert state not in "ZX", f"it ended:\n{text[-4000:]}"
        return False

    def stop(self) -> int:
        """SIGTERM, and wait."""
        return self._ended(signal.SIGTERM, [self.pid]) if self.pid else 0

    def kill(self) -> None:
        """SIGKILL to it and all that it started, and wait."""
        self._ended(signal.SIGKILL, [self.pid, *descendants(self.pid)])

    def _ended(self, number: int, pids: list[int]) -> int:
        for pid in pids:
            end_one(pid, number)
        _, status = self._zygote.stdout.readline().split()
        wait_for(lambda: not any(map(runs, pids)), "the end of what was killed")
        self.pid = 0
        return int(status)

    def close(self) -> None:
        """End what is left."""
        if self._zygote is not None:
            if self.pid:
                self.kill()
            end(self._zygote)
            self._zygote.stdin.close()
            self._zygote.stdout.close()

    def queued(self) -> int:
        """Return how many envelopes are in the queue."""
        with urllib.request.urlopen(f"http://{self.address}:{self.ports['http']}/metrics", timeout=60) as page:
            return int(float(re.search(rb"^mailnode_queue_envelopes (\S+)", page.read(), re.MULTILINE)[1]))

    def complaints(self) -> list[str]:
        """Return the lines of the log that nothing explains."""
        return [line for line in self.log.read_text().splitlines() if "Traceback" in line or '"critical"' in line]


def descendants(pid: int) -> list[int]:
    """Return the processes that a process started, and those that they started."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for one in found:  # which grows meanwhile
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def end_one(pid: int, number: int) -> None:
    """Send a signal to a process, which may be gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def runs(pid: int) -> bool:
    """Whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


class Look:
    """Reads what is in the mailboxes. What was once seen whole is not read again."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._whole: set[tuple[Place, int]] = set()

    def mailboxes(self, *, everything: bool = False) -> dict[Place, Found]:
        """Return what each holds. :param everything: read all content again."""
        if everything:
            self._whole.clear()
        found: dict[Place, Found] = {}
        for account in (*READERS, FETCHER):
            client = Client(self._node, account)
            for place in PLACES:
                if place[0] == account:
                    found[place] = self._mailbox(client, place)
            client.close()
        return found

    def _mailbox(self, client: Client, place: Place) -> Found:
        *lines, last = client.responses(client.send(b"EXAMINE " + place[1].encode()))
        if not last.startswith(b"OK"):
            raise Lost(f"{place} cannot be read: {last!r}")
        told = b"\n".join(lines)
        numbers = [
            int(re.search(rb"\[%s (\d+)" % word, told)[1]) for word in (b"UIDVALIDITY", b"UIDNEXT", b"HIGHESTMODSEQ")
        ]
        mailbox = Found(*numbers, [])
        names: dict[int, str] = {}
        flags: dict[int, frozenset[str]] = {}
        for line in client.responses(client.send(b"UID FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")):
            if row := _ROW.match(line):
                names[int(row[1])] = _SUBJECT.search(line)[1].decode()
                flags[int(row[1])] = frozenset(row[2].decode().split())
        broken = self._broken(client, place, names)
        mailbox.rows = [Row(uid, names[uid], flags[uid], uid not in broken) for uid in sorted(names)]
        return mailbox

    def _broken(self, client: Client, place: Place, names: dict[int, str]) -> set[int]:
        unread = {uid for uid in names if (place, uid) not in self._whole}
        if unread:
            uids = ",".join(map(str, sorted(unread))).encode()
            for line in client.responses(client.send(b"UID FETCH %s (UID BODY.PEEK[])" % uids)):
                uid, octets = re.search(rb"UID (\d+)", line), _BODY.search(line)
                if uid and octets and int(uid[1]) in names:
                    length = int(octets[0].split(b"{")[1].split(b"}")[0])
                    if is_whole(names[int(uid[1])], line[octets.end() : octets.end() + length]):
                        self._whole.add((place, int(uid[1])))
                        unread.discard(int(uid[1]))
        return unread
