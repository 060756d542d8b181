"""Real servers as processes for the end-to-end tests: mailnode, a DNS server, Postfix.

Each is started on a loopback address and free ports in a folder of its own, and stopped by its process id.
"""

from __future__ import annotations

import contextlib
import fcntl
import grp
import json
import os
import pwd
import select
import shutil
import signal
import socket
import subprocess
import termios
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import trustme

from tests.end_to_end.forked import MAILNODE, TWISTD, run, serve
from tests.free_ports import free_port
from tests.open_folder import open_folder
from tests.processes import PATIENCE, end

ROOT = Path(__file__).parents[2]
STRICT = os.environ.get("MAILNODE_TESTS_STRICT") == "1"
PASSWORD = "correct horse battery"
START_SECONDS = PATIENCE


def program(name: str) -> str:
    """Return the path of a program; without it the test skips by name, or fails where skips are not allowed."""
    found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/usr/lib/postfix/sbin")
    if found is None:
        (pytest.fail if STRICT else pytest.skip)(f"{name} is not installed")
    return found


def wait_for(condition, what: str, seconds: float = PATIENCE):
    """Return the first true answer of ``condition()``; fail when there is none in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {seconds} s")


class Process:
    """A child with its output kept line by line."""

    def __init__(self, command, *, cwd: Path, env: dict[str, str] | None = None) -> None:
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self.popen = serve(command, cwd, env)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        output, rest, data = self.popen.stdout.fileno(), b"", b"-"
        ready = select.poll()
        ready.register(output, select.POLLIN)
        while data:
            ready.poll()
            with self._changed:  # read in here, so that what is no more in the pipe is among the lines
                data = os.read(output, 65536)
                *whole, rest = (rest + data).split(b"\n")
                self.lines += [raw.decode("utf-8", "replace") for raw in whole]
                self._changed.notify_all()

    def catch_up(self) -> None:
        """Wait until all it has said by now is among the lines."""
        with self._changed:
            while self._reader.is_alive() and any(fcntl.ioctl(self.popen.stdout, termios.FIONREAD, bytes(4))):
                self._changed.wait(0.1)

    def wait_line(self, text: str, seconds: float = START_SECONDS, after: int = 0) -> str:
        """Return the first line from index ``after`` on that holds a text."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                for line in self.lines[after:]:
                    if text in line:
                        return line
                remaining = deadline - time.monotonic()
                ended = self.popen.poll() is not None and not self._reader.is_alive()
                if remaining <= 0 or ended:
                    raise AssertionError(f"no line with {text!r} in:\n" + "\n".join(self.lines[-60:]))
                self._changed.wait(min(remaining, 0.5))

    def wait_ready(self, text: str) -> None:
        """Wait for a line that says that it is up; without one it is ended."""
        try:
            self.wait_line(text)
        except BaseException:
            end(self.popen)
            raise

    def stop(self, number: int = signal.SIGTERM, seconds: float = PATIENCE) -> int:
        """Send a signal and wait for the end."""
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        try:
            code = self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            end(self.popen)
            raise AssertionError("did not stop:\n" + "\n".join(self.lines[-60:])) from None
        self._reader.join(5)
        self.popen.stdout.close()
        return code


class MailNode:
    """One mailnode with every listener, its certificate authority and its accounts."""

    LISTENERS = (
        ("smtp", "smtp", "starttls"),
        ("lmtp", "lmtp", "none"),
        ("submission", "submission", "starttls"),
        ("submissions", "submission", "implicit"),
        ("imap", "imap", "starttls"),
        ("imaps", "imap", "implicit"),
        ("pop3", "pop3", "starttls"),
        ("pop3s", "pop3", "implicit"),
        ("sieve", "managesieve", "starttls"),
        ("http", "http", "none"),
    )

    def __init__(
        self,
        folder: Path,
        domains=("a.test",),
        *,
        address: str = "127.0.0.1",
        smtp_port: int | None = None,
        dns: Dns | None = None,
        extra: str = "",
        path: tuple[Path, ...] = (),
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.address = address
        self.hostname = f"mx.{domains[0]}"
        self.ports = {name: free_port(address) for name, _, _ in self.LISTENERS}
        if smtp_port is not None:
            self.ports["smtp"] = smtp_port
        self.config = folder / "mailnode.toml"
        self.data = folder / "data"
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        certificate = authority.issue_cert(self.hostname, "localhost", address, common_name="localhost")
        certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
        for index, part in enumerate(certificate.cert_chain_pems):
            part.write_to_path(str(folder / "cert.pem"), append=index > 0)
        (folder / "key.pem").chmod(0o600)
        self.ca = folder / "ca.pem"
        self.config.write_text(self._configuration(domains, dns, extra))
        self._env = dict(os.environ, PYTHONPATH=os.pathsep.join(map(str, (ROOT, *path))))
        self.process: Process | None = None

    def _configuration(self, domains, dns: Dns | None, extra: str) -> str:
        listeners = "".join(
            f'[[listener]]\nprotocol = "{protocol}"\ntls = "{tls}"\n'
            f'endpoint = "tcp:{self.ports[name]}:interface={self.address}"\n'
            for name, protocol, tls in self.LISTENERS
        )
        servers = f'[dns]\nservers = ["127.0.0.1:{dns.port}"]\n' if dns else ""
        names = "".join(f'[[domain]]\nname = "{domain}"\n' for domain in domains)
        doctor = "" if "[doctor]" in extra else "[doctor]\ndaily = false\n"
        return (
            f'[server]\nhostname = "{self.hostname}"\ndata = "{self.data}"\nlog = "json"\n'
            f'[tls]\ncertificate = "{self.folder / "cert.pem"}"\nkey = "{self.folder / "key.pem"}"\n'
            f"{servers}{doctor}{listeners}{names}{extra}"
        )

    def twistd(self, *arguments: str) -> list[str]:
        """Return a command line that runs twistd in this Python."""
        return [*TWISTD, "-n", "--pidfile=", "mailnode", *arguments]

    def start(self) -> MailNode:
        """Start and wait until every listener accepts."""
        self.process = Process(self.twistd("--config", str(self.config)), cwd=self.folder, env=self._env)
        self.process.wait_ready("server.start")
        return self

    def stop(self) -> int:
        """SIGTERM, and wait."""
        return self.process.stop() if self.process else 0

    def kill(self) -> None:
        """SIGKILL, and wait."""
        self.process.stop(signal.SIGKILL)

    def ctl(self, *arguments: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the mailnode command on this server's configuration."""
        command = [*MAILNODE, "--config", str(self.config), *arguments]
        done = run(command, self.folder, self._env, stdin, PATIENCE)
        if check and done.returncode:
            raise AssertionError(f"mailnode {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def add_account(self, address: str, password: str = PASSWORD) -> None:
        """Add an account by command."""
        self.ctl("account", "add", address, "--password-stdin", stdin=password + "\n")

    def queue(self) -> list[dict]:
        """Return ``mailnode queue list --json``."""
        return json.loads(self.ctl("queue", "list", "--json").stdout)

    def events(self, name: str) -> list[dict]:
        """Return the log's events of a name."""
        found = []
        self.process.catch_up()
        for line in list(self.process.lines):
            if f'"{name}"' in line:
                with contextlib.suppress(ValueError):
                    found.append(json.loads(line))
        return found

    def wait_event(self, name: str, seconds: float = PATIENCE, **fields: str) -> dict:
        """Wait for an event whose fields contain these texts."""

        def seen():
            for event in self.events(name):
                if all(text in str(event.get(field, "")) for field, text in fields.items()):
                    return event
            return None

        return wait_for(seen, f"event {name} {fields}", seconds)


# With which a server counts how TLS with others fares.
REPORTS = '[tls_reports]\nsender = "tls@near.test"\norganization = "Near"\n'


def report_to(node: MailNode, domain: str) -> list[dict]:
    """Return the policies of what a server has to report to a domain, once there is something."""
    command = ["tls", "report", domain, "--json"]
    done = wait_for(
        lambda: next((one for one in [node.ctl(*command, check=False)] if not one.returncode), None), "a report"
    )
    return json.loads(done.stdout)["report"]["policies"]


class Dns:
    """dnsmasq with the records of a test, and no upstream: everything else is refused."""

    def __init__(self, folder: Path, records: list[str], port: int | None = None, address: str = "127.0.0.1") -> None:
        """:param records: dnsmasq options without dashes, ``mx-host=a.test,mx1.a.test,10``. :param port: None: a free one."""
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port() if port is None else port
        configuration = folder / "dnsmasq.conf"
        configuration.write_text(
            "\n".join(
                [
                    f"port={self.port}",
                    f"listen-address={address}",
                    "bind-interfaces",
                    "no-resolv",
                    "no-hosts",
                    "no-poll",
                    "pid-file=",
                    "local=/test/",
                    "local=/10.in-addr.arpa/",
                    *records,
                    "",
                ]
            )
        )
        user = pwd.getpwuid(os.getuid()).pw_name
        group = grp.getgrgid(os.getgid()).gr_name
        self.process = Process(
            [program("dnsmasq"), "--keep-in-foreground", "--log-facility=-", f"--user={user}", f"--group={group}"]
            + [f"--conf-file={configuration}"],
            cwd=folder,
        )
        self.process.wait_ready("started")

    def stop(self) -> None:
        """End it."""
        self.process.stop()


class Postfix:
    """A private Postfix: one smtpd on an address and port, local delivery to one Maildir."""

    def __init__(self, domain: str, address: str, port: int, routes: list[tuple[str, str, int]]) -> None:
        """:param routes: (domain, address, port) of the servers it relays to."""
        if os.getuid() != 0:
            (pytest.fail if STRICT else pytest.skip)("Postfix starts as root only")
        self._postfix = program("postfix")
        self._opened = open_folder("postfix")
        self.folder = folder = Path(self._opened.name)
        self.address, self.port, self.domain = address, port, domain
        configuration, queue, data = folder / "etc", folder / "spool", folder / "lib"
        for path in (configuration, queue, data, folder / "mail"):
            path.mkdir(parents=True)
        shutil.chown(data, "postfix")
        owner = pwd.getpwnam("nobody")
        shutil.chown(folder / "mail", owner.pw_uid, owner.pw_gid)
        # Postfix knows no resolver port, so its way to the test's other server is a fixed route.
        (configuration / "transport").write_text("".join(f"{name} smtp:[{to}]:{at}\n" for name, to, at in routes))
        (configuration / "main.cf").write_text(
            f"""compatibility_level = 3.6
queue_directory = {queue}
data_directory = {data}
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = mx.{domain}
mydestination =
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {folder / "mail"}
virtual_mailbox_maps = static:box/
virtual_uid_maps = static:{owner.pw_uid}
virtual_gid_maps = static:{owner.pw_gid}
virtual_minimum_uid = 1
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
transport_maps = texthash:{configuration / "transport"}
smtp_tls_security_level = may
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtpd_peername_lookup = no
maillog_file = /dev/stdout
minimal_backoff_time = 2s
queue_run_delay = 2s
"""
        )
        (configuration / "master.cf").write_text(
            f"""{address}:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
        )
        self.configuration = configuration
        self.process: Process | None = None

    def start(self, inside: Sequence[str] = ()) -> Postfix:
        """Start the master in the foreground and wait for its listener. :param inside: what runs it elsewhere."""
        self.process = Process([*inside, self._postfix, "-c", str(self.configuration), "start-fg"], cwd="/")

        def listening():
            if inside:
                return self.process.wait_line("daemon started")
            with contextlib.suppress(OSError), socket.create_connection((self.address, self.port), 5) as connection:
                return connection.recv(100).startswith(b"220")
            return False

        try:
            wait_for(listening, "Postfix", PATIENCE)
        except BaseException:
            self.stop()
            raise
        return self

    def messages(self) -> list[bytes]:
        """Return every message in the mailbox, as stored."""
        return [path.read_bytes() for path in (self.folder / "mail" / "box" / "new").glob("*")]

    def stop(self) -> None:
        """End the master, which is not the process that was started but one it made; its children end with it."""
        if self.process is not None:
            pid_file = self.folder / "spool" / "pid" / "master.pid"
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                os.kill(int(pid_file.read_text()), signal.SIGTERM)
            self.process.stop()
        self._opened.cleanup()
