"""Instructions of mailnode's own process for one command or message, where other work makes times mean little.

``python -m benchmarks.instructions`` starts a server under valgrind's callgrind, which counts nothing until a row begins, and
prints the least of some rounds for each row. ``--tree FOLDER`` takes another checkout's server (and ``FOLDER/.venv``), filled and
asked by this one's clients, so that two versions are asked the same. What other processes do (scans of messages) is not in it.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from benchmarks.imap_client import Imap
from benchmarks.lab import LIMITS, UNJUDGED, USER
from benchmarks.mailboxes import content
from benchmarks.messages import Messages
from benchmarks.peers import PASSWORD, MailNodeForLoad, RelayForLoad, Sink, cpu_seconds
from benchmarks.rows_imap import THUNDERBIRD
from benchmarks.rows_pop3 import Pop3
from tests.end_to_end.servers import ROOT, wait_for

SETTINGS = "[search]\nindex = false\n" + UNJUDGED + LIMITS
COPIES = 4  # further mailboxes with the messages of the INBOX, each of which a row selects for the first time
PIPELINED = 50  # APPENDs at a time while the mailbox is filled
# What people do with mail teaches a filter some seconds later, which would fall into whatever is counted then.
NOTHING_LEARNT = """
try:
    from mailnode.upkeep import learner
    learner.ROUND = 1e9
except ImportError:  # of a version that learns nothing
    pass
"""
IDLE = 0.05  # processor seconds a second, of a server that runs slowly
SECONDS = "4"  # how long SMTP's load lasts: its messages are counted


class Counted:
    """What makes a server one whose instructions are counted. It stands before its class."""

    pid: int
    folder: Path
    _env: dict[str, str]
    tree = ROOT
    counting = True  # False: as it is by itself
    patience = 600.0

    def twistd(self, *arguments: str) -> list[str]:
        """Return the command line, run by callgrind and the interpreter of the checkout."""
        command = super().twistd(*arguments)[2:]  # type: ignore[misc]
        command[1] = NOTHING_LEARNT + command[1]
        self._env = dict(self._env, PYTHONPATH=str(self.tree), PYTHONHASHSEED="0")
        output = f"--callgrind-out-file={self.folder / 'counted'}"
        callgrind = ["valgrind", "--tool=callgrind", "--instr-atstart=no", output] if self.counting else []
        return [*callgrind, str(self.python), *command]

    @property
    def python(self) -> Path:
        """The interpreter of the checkout."""
        return self.tree / ".venv" / "bin" / "python" if self.tree != ROOT else Path(sys.executable)

    def ctl(self, *arguments: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the checkout's own mailnode command."""
        command = [self.python, "-m", "mailnode.ctl.main", "--config", self.folder / "mailnode.toml", *arguments]
        env = dict(os.environ, PYTHONPATH=str(self.tree))
        return subprocess.run(
            command, input=stdin, check=check, text=True, cwd=self.folder, env=env, capture_output=True
        )

    def count(self, work: Callable[[], int]) -> int:
        """Return the instructions of what ``work`` has done, for each of the number it returns."""
        self.wait_until_idle()
        self._control("--zero")
        self._control("--instr=on")
        done = work()
        self._control("--instr=off")
        self._control("--dump")
        newest = max(self.folder.glob("counted.*"), key=lambda path: int(path.suffix[1:]))
        counted = totals(newest.read_text())
        newest.unlink()
        return counted // done

    def wait_until_idle(self) -> None:
        """Wait until it does next to nothing: what a row left to be done later is none of the next."""

        def idle() -> bool:
            before = cpu_seconds(self.pid)
            time.sleep(1)
            return cpu_seconds(self.pid) - before < IDLE

        wait_for(idle, "idle", 120)

    def _control(self, what: str) -> None:
        subprocess.run(["callgrind_control", what, str(self.pid)], check=True, capture_output=True)


def totals(dump: str) -> int:
    """Return the instructions that a dump of callgrind sums up."""
    found = re.search(r"^totals: (\d+)", dump, re.MULTILINE)
    assert found is not None
    return int(found[1])


class Server(Counted, MailNodeForLoad):
    """A server with a mailbox."""


class Relay(Counted, RelayForLoad):
    """A server that hands on what it gets."""


class Ground:
    """What the rows work with: the servers and the connections to them, made when first asked for."""

    def __init__(self, folder: Path, size: int, settings: str) -> None:
        self.folder, self.size, self.settings = folder, size, settings
        self._made: dict[str, Any] = {}
        self.fresh = itertools.count(1000)  # of messages that nobody asked about before
        self.boxes = itertools.count()
        self.messages = [Messages(11).message(4096) for _ in range(200)]

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what was made under this name, or make it."""
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]

    @property
    def server(self) -> Server:
        """The one with the mailbox, started again once it was filled: nothing of it is in memory."""
        return self.once("server", self._server)  # type: ignore[no-any-return]

    def _server(self) -> Server:
        server = Server(self.folder / "server", USER, partitions=1, extra=self.settings)
        server.counting = False
        server.start()
        server.add_account(USER)
        client = Imap("127.0.0.1", server.ways["imap", "none", False], USER, PASSWORD)
        messages = content(self.size)
        while some := list(itertools.islice(messages, PIPELINED)):
            for tag in [client.append(b"INBOX", message) for message in some]:
                client.answer(tag)
        client.command(b"SELECT INBOX")
        for number in range(COPIES):
            client.command(b"CREATE Box%d" % number)
            client.command(b"COPY 1:* Box%d" % number)
        client.close()
        server.wait_until_idle()
        server.stop()
        del server.counting
        return server.start()  # type: ignore[return-value]

    @property
    def relay(self) -> Relay:
        """The one that hands on, to a sink."""
        sink = self.once("sink", lambda: Sink(self.folder).start())
        return self.once("relay", lambda: Relay(self.folder / "relay", sink, self.settings, 1).start())  # type: ignore[no-any-return]

    def imap(self, name: str = "", *, tls: bool = False) -> Imap:
        """The connection of a name, with the INBOX selected."""

        def make() -> Imap:
            client = self.login(tls=tls)
            client.command(b"SELECT INBOX")
            return client

        return self.once(f"imap {name} {tls}", make)  # type: ignore[no-any-return]

    def login(self, *, tls: bool = False) -> Imap:
        """A connection of its own."""
        way = ("implicit" if tls else "none", False)
        return Imap("127.0.0.1", self.server.ways["imap", *way], USER, PASSWORD, tls=tls)

    def pop3(self) -> Pop3:
        """A connection of its own."""
        return Pop3(self.server, ("none", False), USER)  # type: ignore[arg-type]

    def close(self) -> None:
        """Stop all."""
        for made in self._made.values():
            made.stop() if hasattr(made, "stop") else made.close()


Round = Callable[[Ground], int]  # does what comes before, then counts; returns the instructions for one


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    round: Round


def repeated(command: bytes, times: int, *, tls: bool = False) -> Round:
    """The same command over and over, asked before."""

    def one(ground: Ground) -> int:
        client = ground.imap(tls=tls)
        for _ in range(3):
            client.command(command)

        def work() -> int:
            for _ in range(times):
                client.command(command)
            return times

        return ground.server.count(work)

    return one


def each(commands: Callable[[Ground], Iterator[bytes]], times: int) -> Round:
    """So many commands, of which none is like the one before."""

    def one(ground: Ground) -> int:
        client, stream = ground.imap(), commands(ground)
        for command in itertools.islice(stream, 4):
            client.command(command)

        def work() -> int:
            for command in itertools.islice(stream, times):
                client.command(command)
            return times

        return ground.server.count(work)

    return one


def fresh(command: bytes) -> Callable[[Ground], Iterator[bytes]]:
    """The command about messages that nobody asked about before."""
    return lambda ground: (command % number for number in ground.fresh)


def stores(command: bytes) -> Callable[[Ground], Iterator[bytes]]:
    """A flag is set and taken away again."""
    return lambda ground: (
        command % (number // 2 % 50 + 1, b"+-"[number % 2 : number % 2 + 1]) for number in itertools.count()
    )


def bulk(ground: Ground) -> int:
    """FETCH of 100 bodies that nobody asked about."""
    client, first = ground.imap(), next(ground.fresh)
    ground.fresh = itertools.count(first + 100)
    return ground.server.count(lambda: len(client.command(b"FETCH %d:%d (BODY.PEEK[])" % (first, first + 99))) and 1)


def select_first(ground: Ground) -> int:
    """SELECT of a mailbox that this process has not seen."""
    client, box = ground.login(), next(ground.boxes)
    if not box:
        client.command(b"SELECT Box%d" % box)
        box = next(ground.boxes)
    return ground.server.count(lambda: len(client.command(b"SELECT Box%d" % box)) and 1)


def append(ground: Ground) -> int:
    """APPEND of 4 KiB, each waited for."""
    client = ground.imap()

    def work(times: int = 40) -> int:
        for number in range(times):
            client.answer(client.append(b"Drafts", ground.messages[number]))
        return times

    work(3)
    return ground.server.count(work)


def moved(command: bytes, *before: bytes) -> Round:
    """What takes messages out of a mailbox of its own; for each message."""

    def one(ground: Ground) -> int:
        client = ground.imap("moving")
        for text in (b"SELECT INBOX", b"COPY 1:200 Trash", b"SELECT Trash", *before):
            client.command(text)
        return ground.server.count(lambda: len(client.command(command)) and 200)

    return one


def pushed(ground: Ground) -> int:
    """A flag that one session changes and another is told of in IDLE."""
    idler, storer = ground.imap("idler"), ground.imap()
    idler.socket.sendall(b"idle IDLE\r\n")
    idler.until(b"\r\n")

    def work(times: int = 40) -> int:
        for command in itertools.islice(stream, times):
            storer.command(command)
            idler.line_with(b"FETCH")
        return times

    stream = stores(b"STORE %d %bFLAGS (\\Seen)")(ground)
    work(2)
    counted = ground.server.count(work)
    idler.socket.sendall(b"DONE\r\n")
    idler.answer(b"idle")
    return counted


def logins(*, tls: bool) -> Round:
    """LOGIN and LOGOUT over a connection of their own."""

    def one(ground: Ground) -> int:
        def work(times: int = 20) -> int:
            for _ in range(times):
                client = ground.login(tls=tls)
                client.command(b"LOGOUT")
                client.close()
            return times

        work(2)
        return ground.server.count(work)

    return one


def pop3_login(ground: Ground) -> int:
    """A login and QUIT of a large maildrop."""

    def work(times: int = 3) -> int:
        for _ in range(times):
            ground.pop3().close()
        return times

    work(1)
    return ground.server.count(work)


def pop3(command: bytes, times: int) -> Round:
    """A command about the whole maildrop."""

    def one(ground: Ground) -> int:
        client = ground.pop3()

        def work(times: int = times) -> int:
            for _ in range(times):
                client.socket.sendall(command + b"\r\n")
                client.lines()
            return times

        work(1)
        counted = ground.server.count(work)
        client.close()
        return counted

    return one


def retrieved(ground: Ground) -> int:
    """RETR, each waited for."""
    client, first = ground.pop3(), next(ground.fresh)
    ground.fresh = itertools.count(first + 103)

    def work(numbers: range) -> int:
        for number in numbers:
            client.socket.sendall(b"RETR %d\r\n" % number)
            client.lines()
        return len(numbers)

    work(range(first, first + 3))
    counted = ground.server.count(lambda: work(range(first + 3, first + 103)))
    client.close()
    return counted


def smtp(sessions: int, size: int, *options: str) -> Round:
    """Messages by SMTP, with their delivery."""

    def one(ground: Ground) -> int:
        server = ground.server
        port = server.ways[
            "smtp", "implicit" if "implicit" in options else "starttls" if "tls" in options else "none", False
        ]
        return server.count(lambda: load(port, sessions, size, *options))

    return one


def load(port: int, sessions: int, size: int, *options: str) -> int:
    """Run SMTP's load; return the messages."""
    command = [sys.executable, "-m", "benchmarks.smtp_load", "127.0.0.1", str(port), str(sessions), SECONDS, str(size)]
    done = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, check=True)
    return int(done.stdout.split()[0])


def relayed(ground: Ground) -> int:
    """Messages that are handed on, until the next server has them."""
    relay = ground.relay

    def work() -> int:
        before = relay.sink.messages()
        count = load(relay.ports["smtp"], 20, 4096)
        wait_for(lambda: relay.sink.messages() - before >= count, "relay", 120)
        return count

    return relay.count(work)


ROWS = [
    Row("imap NOOP", repeated(b"NOOP", 200)),
    Row("imap NOOP, TLS", repeated(b"NOOP", 200, tls=True)),
    Row("imap STORE one", each(stores(b"STORE %d %bFLAGS (\\Seen)"), 100)),
    Row("imap STORE one, silent, by UID", each(stores(b"UID STORE %d %bFLAGS.SILENT (\\Seen)"), 100)),
    Row("imap STORE one, pushed by IDLE to another", pushed),
    Row(
        "imap FETCH flags, envelope and size of 300 messages", repeated(b"FETCH 1:300 (FLAGS ENVELOPE RFC822.SIZE)", 5)
    ),
    Row("imap FETCH envelope and size of 300", repeated(b"FETCH 1:300 (ENVELOPE RFC822.SIZE)", 5)),
    Row("imap FETCH flags, envelope and size of one", repeated(b"FETCH 7 (FLAGS ENVELOPE RFC822.SIZE)", 50)),
    Row("imap FETCH four header fields of 300", repeated(b"FETCH 1:300 (%b)" % THUNDERBIRD, 5)),
    Row("imap FETCH body structure of 300", repeated(b"FETCH 1:300 (BODYSTRUCTURE)", 5)),
    Row("imap UID FETCH flags of all", repeated(b"UID FETCH 1:* (FLAGS)", 2)),
    Row("imap FETCH one body, first", each(fresh(b"FETCH %d (BODY.PEEK[])"), 100)),
    Row("imap FETCH one body, again", repeated(b"FETCH 1234 (BODY.PEEK[])", 100)),
    Row("imap FETCH one part, first", each(fresh(b"FETCH %d (BODY.PEEK[1])"), 100)),
    Row("imap FETCH one part, again", repeated(b"FETCH 1220 (BODY.PEEK[1])", 100)),
    Row("imap FETCH 100 bodies, first", bulk),
    Row("imap STATUS", repeated(b"STATUS Sent (MESSAGES UNSEEN UIDNEXT)", 50)),
    Row("imap SEARCH by flag", repeated(b"SEARCH UNSEEN", 5)),
    Row("imap LIST", repeated(b'LIST "" "*"', 50)),
    Row("imap SELECT, first", select_first),
    Row("imap SELECT, again", repeated(b"SELECT INBOX", 5)),
    Row("imap COPY of 10", repeated(b"COPY 11:20 Archive", 20)),
    Row("imap MOVE of 200, a message", moved(b"MOVE 1:200 Archive")),
    Row("imap EXPUNGE of 200, a message", moved(b"EXPUNGE", b"STORE 1:* +FLAGS.SILENT (\\Deleted)")),
    Row("imap APPEND, 4 KiB, to drafts", append),
    Row("imap, login and logout", logins(tls=False)),
    Row("imap, login and logout, TLS", logins(tls=True)),
    Row("pop3, login and QUIT", pop3_login),
    Row("pop3 LIST", pop3(b"LIST", 3)),
    Row("pop3 UIDL", pop3(b"UIDL", 3)),
    Row("pop3 RETR, 3 KiB, first", retrieved),
    Row("smtp 4 KiB, 1 session", smtp(1, 4096)),
    Row("smtp 4 KiB, 20 sessions", smtp(20, 4096)),
    Row("smtp 4 KiB, 20 sessions, TLS", smtp(20, 4096, "implicit")),
    Row("smtp 64 KiB, 20 sessions", smtp(20, 65536)),
    Row("smtp 1 MiB, 1 session", smtp(1, 1 << 20)),
    Row("smtp 4 KiB, 20 sessions, reconnecting", smtp(20, 4096, "reconnect")),
    Row("smtp 4 KiB, 20 sessions, reconnecting, STARTTLS", smtp(20, 4096, "reconnect", "tls")),
    Row("relay 4 KiB, 20 sessions", relayed),
]


@click.command()
@click.option("--only", default="", metavar="PATTERN", help="Only rows whose name matches this regular expression.")
@click.option("--rounds", default=3, show_default=True, help="How often each is counted; the least stands.")
@click.option("--messages", default=10_000, show_default=True, help="Messages in the mailbox.")
@click.option("--tree", type=click.Path(path_type=Path, exists=True), default=ROOT, help="Another checkout.")
@click.option("--settings", type=click.File(), help="What else stands in the configuration of an older version.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write all rounds to this file.")
def main(only: str, rounds: int, messages: int, tree: Path, settings: Any, json_file: Path | None) -> None:
    """Count what commands and messages cost."""
    if shutil.which("callgrind_control") is None:
        raise click.ClickException("valgrind is not installed")
    Counted.tree = tree.resolve()
    folder = Path(tempfile.mkdtemp(prefix="mailnode-instructions-"))
    counted: dict[str, list[int]] = {}
    ground = Ground(folder, messages, settings.read() if settings else SETTINGS)
    try:
        for row in ROWS:
            if re.search(only, row.name):
                counted[row.name] = [row.round(ground) for _ in range(rounds)]
                click.echo(f"{row.name:52} {min(counted[row.name]):12,}")
                if json_file is not None:
                    json_file.write_text(json.dumps(counted, indent=1))
    finally:
        ground.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
