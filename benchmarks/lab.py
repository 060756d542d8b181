"""The servers under measurement, each started once in a folder of its own, and what the rows share."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks.imap_client import Imap
from benchmarks.judged import Rspamd
from benchmarks.mailboxes import content, fill_maildir, fill_mailnode
from benchmarks.peers import (
    PASSWORD,
    Dovecot,
    MailNodeForLoad,
    OpenDkim,
    PostfixForLoad,
    RelayForLoad,
    SigningRelayForLoad,
    Sink,
    open_to_daemons,
    tree,
)
from mailnode.net.no_reactor import run_now
from mailnode.server.administration import administration
from mailnode.server.configuration import configuration
from tests.end_to_end.servers import ROOT, Dns, wait_for
from tests.end_to_end.ways import HEADER, Way

USER = "bob@a.test"
BIG_USER = "big@a.test"  # has the large mailbox
TOOLS = (
    "/usr/sbin/postfix",
    "/usr/sbin/dovecot",
    "/usr/lib/dovecot/lmtp",
    "/usr/lib/dovecot/pop3",
    "/usr/sbin/opendkim",
    "/usr/bin/rspamd",
)


def missing() -> list[str]:
    """Return the peers' programs that are not installed."""
    return [tool for tool in TOOLS if not os.path.exists(tool)]


UNJUDGED = "[judgement]\nchecks = []\n"  # what is compared with servers that judge nothing


class Lab:
    """Starts servers when a row first asks for them; stops all at the end."""

    def __init__(
        self,
        rounds: int,
        seconds: float,
        size: int,
        progress: Callable[[str], None],
        *,
        quick: bool = False,
        store_size: int = 1_000_000,
        sessions: int = 5000,
        workers: int = 1,
    ) -> None:
        """:param workers: processes with which mailnode serves.
        :param store_size: messages of the rows about large stores. :param sessions: of the rows about idle ones.
        :param size: messages of the IMAP rows' mailbox. :param progress: told what happens."""
        self.rounds, self.seconds, self.size, self.progress, self.quick = rounds, seconds, size, progress, quick
        self.workers = workers
        self.store_size, self.sessions = store_size, sessions
        self.folder = Path(tempfile.mkdtemp(prefix="mailnode-benchmark-"))
        open_to_daemons(self.folder)
        self.errors: list[str] = []
        self.way: Way | None = None  # how to connect; None: each protocol in the way its rows have without one
        self._made: dict[str, Any] = {}
        self._filled: set[str] = set()

    def close(self) -> None:
        """Check the stores, stop everything and remove the folder."""
        self.forget_connections()
        for server in self._made.values():
            if isinstance(server, MailNodeForLoad):
                self.progress("checking")
                self.check(server)
        for server in self._made.values():
            with contextlib.suppress(AssertionError):
                server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def forget_connections(self) -> None:
        """Close all IMAP connections: what follows a mistake begins with new ones."""
        for name in [name for name, made in self._made.items() if isinstance(made, Imap)]:
            self._made.pop(name).close()

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what was made under this name, or make it."""
        if name not in self._made:
            self.progress(f"starting {name}")
            self._made[name] = make()
        return self._made[name]

    def first(self, name: str) -> bool:
        """Whether this is the first time that somebody asks about this name: for what is filled once."""
        known = name in self._filled
        self._filled.add(name)
        return not known

    def drop(self, name: str) -> None:
        """Stop one server and forget it."""
        server = self._made.pop(name, None)
        if server is not None:
            server.stop()

    # servers

    def mailnode(
        self, name: str = "mailnode", extra: str = "", *, judgement: str = UNJUDGED, **options: Any
    ) -> MailNodeForLoad:
        """A mailnode with one account; limits of the default configuration, but for how much one client may do.

        :param judgement: that section of the configuration."""

        def make() -> MailNodeForLoad:
            extras = judgement + LIMITS + extra  # keys of its last section may stand in ``extra``
            node = MailNodeForLoad(self.folder / name, USER, extra=extras, workers=self.workers, **options)
            node.start()
            node.add_account(USER)
            return node

        return self.once(name, make)

    def sink(self, name: str) -> Sink:
        """An smtp-sink."""
        return self.once(f"sink {name}", lambda: Sink(self.folder).start())

    def relay(self, sink: Sink) -> RelayForLoad:
        """A mailnode that relays all mail to a sink."""
        return self.once(
            "relay", lambda: RelayForLoad(self.folder / "relay", sink, LIMITS + UNJUDGED, self.workers).start()
        )

    def signing_relay(self, sink: Sink) -> RelayForLoad:
        """A mailnode that signs what an account submits, and relays it to a sink."""
        return self.once(
            "signing relay",
            lambda: SigningRelayForLoad(self.folder / "signing", sink, LIMITS + UNJUDGED, self.workers).start(),
        )

    def postfix(self, delivery: str) -> PostfixForLoad:
        """Postfix that delivers to "maildir", to Dovecot by "lmtp", or relays ("relay:PORT", "signed relay:PORT")."""
        if delivery == "lmtp":
            lmtp = self.dovecot("dovecot-lmtp").ports["lmtp"]
        name = f"postfix-{re.sub(r'[^a-z0-9]', '-', delivery)}"
        port = lmtp if delivery == "lmtp" else int(delivery.partition(":")[2] or 0)
        node = self.mailnode()

        def make() -> PostfixForLoad:
            signers = self.once("opendkim", lambda: OpenDkim(self.folder).start()).ports if "signed" in delivery else ()
            made = PostfixForLoad(delivery, port, node.folder / "cert.pem", node.folder / "key.pem", signers)
            made.start()
            if delivery == "lmtp":
                made.delivered_elsewhere = self.dovecot("dovecot-lmtp").delivered
            return made

        return self.once(name, make)

    def judging_postfix(self, dns: Dns) -> PostfixForLoad:
        """A Postfix that asks rspamd about each message, and delivers into a Maildir."""
        node = self.mailnode()
        files = node.folder / "cert.pem", node.folder / "key.pem"

        def make() -> PostfixForLoad:
            made = PostfixForLoad("maildir", 0, *files, [self.once("rspamd", lambda: Rspamd(dns).start()).port])
            made.start()
            return made

        return self.once("judging postfix", make)

    def dovecot(self, name: str = "dovecot") -> Dovecot:
        """A Dovecot with Maildirs and the same certificate."""
        node = self.mailnode()
        return self.once(
            name, lambda: Dovecot(self.folder / name, node.folder / "cert.pem", node.folder / "key.pem").start()
        )

    # the large mailbox

    def big(self, peer: str) -> MailNodeForLoad | Dovecot:
        """The server with the large mailbox of BIG_USER: "mailnode" or "dovecot"."""
        return self._big_mailnode() if peer == "mailnode" else self._big_dovecot()

    def _big_mailnode(self) -> MailNodeForLoad:
        def make() -> MailNodeForLoad:
            node = MailNodeForLoad(self.folder / "big", BIG_USER, extra=LIMITS + UNJUDGED, workers=self.workers).start()
            node.add_account(BIG_USER)
            node.stop()
            self.progress(f"filling mailnode with {self.size}")
            fill_mailnode(node.config, BIG_USER, content(self.size))
            node.start()
            self.progress("waiting for the search index")
            node.wait_until_indexed()
            node.wait_until_looked_through()
            return node

        return self.once("big mailnode", make)

    def _big_dovecot(self) -> Dovecot:
        node = self._big_mailnode()

        def make() -> Dovecot:
            dovecot = Dovecot(self.folder / "big-dovecot", node.folder / "cert.pem", node.folder / "key.pem").start()
            self.progress(f"filling Dovecot with {self.size}")
            fill_maildir(dovecot.maildir(BIG_USER), content(self.size))
            dovecot.own()
            with contextlib.closing(self.login(dovecot)) as client:
                for name in (b"Archive", b"Drafts", b"Sent", b"Trash", b"Junk"):
                    client.command(b"CREATE " + name)
                client.command(b"SELECT INBOX")
            return dovecot

        return self.once("big dovecot", make)

    def login(self, server: MailNodeForLoad | Dovecot, user: str = BIG_USER) -> Imap:
        """A connection in the row's way; without one with TLS from the first octet."""
        tls, proxied = self.way or ("implicit", False)
        port = server.ways["imap", tls, proxied] if self.way else server.ports["imaps"]
        how = {"tls": tls == "implicit", "starttls": tls == "starttls", "proxied": proxied}
        return Imap("127.0.0.1", port, user, PASSWORD, **how)

    def imap(self, peer: str, number: int = 0) -> Imap:
        """A connection with the large mailbox selected; the same for the same arguments."""

        def make() -> Imap:
            client = self.login(self.big(peer))
            client.command(b"SELECT INBOX")
            return client

        return self.once(f"imap {peer} {number} {self.way or ''}", make)

    def imaps(self, count: int = 1) -> tuple[list[Imap], list[Imap]]:
        """So many connections to each server."""
        ours, theirs = ([self.imap(peer, number) for number in range(count)] for peer in ("mailnode", "dovecot"))
        return ours, theirs

    # loads

    def smtp_load(self, address: str, port: int, sessions: int, size: int, *options: str) -> tuple[int, float]:
        """Run the load process; return messages acknowledged and the seconds it took."""
        command = [sys.executable, "-m", "benchmarks.smtp_load", address, str(port), str(sessions), str(self.seconds)]
        done = subprocess.run(
            [*command, str(size), *options], cwd=ROOT, capture_output=True, text=True, timeout=self.seconds * 10 + 120
        )
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        count, seconds = done.stdout.split()
        return int(count), float(seconds)

    def delivered(self, server: Any, sessions: int, size: int, *options: str) -> int:
        """Run the load until all is in the mailbox (or, for a relay, with the next server); return messages."""
        before = server.delivered()
        port = server.ports["smtp"]
        if self.way is not None:
            tls, proxied = self.way
            port = server.ways["smtp", tls, proxied]
            named = {"none": (), "starttls": ("tls",), "implicit": ("implicit",)}[tls]
            options = (*options, *named, *((f"header={HEADER.decode().strip()}",) if proxied else ()))
        count, _ = self.smtp_load(server.address, port, sessions, size, *options)
        wait_for(lambda: server.delivered() - before >= count, f"delivery of {count} messages", 600)
        found = server.delivered() - before
        if found != count:
            self.errors.append(f"{type(server).__name__}: {count} acknowledged, {found} delivered")
        return count

    def rate(self, server: Any, sessions: int, size: int, *options: str) -> float:
        """Return messages a second until all are delivered."""
        started = time.monotonic()
        count = self.delivered(server, sessions, size, *options)
        return count / max(time.monotonic() - started - START_UP, 0.001)

    def syncs(self, ours: Counted, theirs: Counted | None = None) -> str:
        """Return, as a note, how often the servers sync for each of what is counted while they work for two seconds."""
        kept, self.seconds = self.seconds, 2.0
        try:
            return "/".join(self._syncs(*counted) for counted in (ours, theirs) if counted is not None)
        finally:
            self.seconds = kept

    def _syncs(self, pid: int, work: Callable[[], int]) -> str:
        """Count the fsync and fdatasync calls of a process and its descendants with strace."""
        strace = shutil.which("strace")
        if strace is None:
            return "no strace"
        output, pids = self.folder / "strace", tree(pid)
        tracer = subprocess.Popen(
            [strace, "-f", "-c", "-e", "trace=fsync,fdatasync", "-o", str(output), *(f"-p{one}" for one in pids)],
            stderr=subprocess.PIPE,
        )
        assert tracer.stderr is not None
        for _ in pids:
            tracer.stderr.readline()  # that it attached
        count = work()
        tracer.terminate()
        tracer.communicate()
        calls = sum(int(line.split()[3]) for line in output.read_text().splitlines() if line.strip().endswith("sync"))
        return f"{calls / max(count, 1):.2f}"

    def check(self, node: MailNodeForLoad) -> None:
        """Stop a mailnode and compare all rows of its store with each other."""
        node.stop()
        with administration(configuration(node.config, None)) as parts:
            faults: list[str] = run_now(parts.mail.verify())  # type: ignore[attr-defined]
        self.errors += faults[:20]


Counted: TypeAlias = tuple[int, Callable[[], int]]  # a process, and work that returns how much was done
LIMITS = (
    "[submission]\nrecipients_per_hour = 0\nnew_recipients_per_day = 0\n"
    "[limits]\nconnections = 10000\nconnections_per_address = 10000\nmessages_per_session = 1000000\n"
    "connections_per_minute = 0\nmessages_per_minute = 0\nrecipients_per_minute = 0\nrefused_recipients_per_minute = 0\n"
)
START_UP = 0.35  # seconds the load's process needs before its first connection; the same for both


__all__ = ["PASSWORD", "USER", "Lab", "missing"]
