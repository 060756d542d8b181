"""Debian's Postfix and Dovecot in private configurations under a temporary folder, on 127.0.0.1."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import apsw
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from benchmarks.imap_client import Imap
from tests.end_to_end.servers import MailNode, Postfix, Process, free_port, wait_for
from tests.end_to_end.ways import WAYS, EveryWay
from tests.processes import start

PASSWORD = "correct horse battery"
SIGNED_USER = "out@side.test"  # whose mail is signed


def open_to_daemons(folder: Path) -> None:
    """Let other users' daemons pass through a folder of ours."""
    folder.chmod(folder.stat().st_mode | 0o055)


class MailNodeForLoad(EveryWay, MailNode):
    """The tests' mailnode, with its log in a file as the peers have theirs, and a count of what is delivered."""

    patience = 60.0  # seconds until it must have started

    def __init__(self, folder: Path, user: str, *, partitions: int = 0, workers: int = 1, **options: Any) -> None:
        """:param user: whose mailboxes are counted. :param partitions: 0: the default."""
        self._partitions = partitions
        self._workers = workers
        super().__init__(folder, **options)
        open_to_daemons(folder)
        self.log = folder / "log"
        self.user = user
        self._imap: Imap | None = None

    def _configuration(self, *arguments: Any) -> str:
        text: str = super()._configuration(*arguments)
        text = text.replace("[server]\n", f"[server]\nworkers = {self._workers}\n", 1)
        if self._partitions:
            text = text.replace("[server]\n", f"[server]\npartitions = {self._partitions}\n", 1)
        return text

    def twistd(self, *arguments: str) -> list[str]:
        """Return the command line, with a log file: no fork of ours, which would share memory with it and begin in the middle."""
        command = ["env", *super().twistd(*arguments)]
        at = command.index("mailnode")
        return [*command[:at], f"--logfile={self.log}", *command[at:]]

    def start(self) -> MailNodeForLoad:
        """Start and wait until every listener accepts."""
        self.log.unlink(missing_ok=True)
        self.process = Process(self.twistd("--config", str(self.config)), cwd=self.folder, env=self._env)
        process = self.process

        def up() -> bool:
            if process.popen.poll() is not None:
                raise AssertionError("\n".join(process.lines))
            with contextlib.suppress(FileNotFoundError):
                return '"server.start"' in self.log.read_text()
            return False

        wait_for(up, "mailnode", self.patience)
        return self

    def wait_until_indexed(self) -> None:
        """Wait until the search index has every message."""
        wait_for(
            lambda: not self._counted("SELECT count(*) FROM account WHERE next_message - 1 > indexed_message"),
            "index",
            900,
        )

    def wait_until_looked_through(self) -> None:
        """Wait until the filters, too, have looked at all that many messages hold which came at once."""
        unseen = "SELECT count(*) FROM account a LEFT JOIN filter f ON f.account_id = a.account_id"
        wait_for(
            lambda: not self._counted(f"{unseen} WHERE a.count_used >= 500 AND a.modseq > coalesce(f.modseq, 1)"),
            "the filters",
            900,
        )

    def index_octets(self) -> int:
        """Return what the search index has on the disk, as its rows say."""
        return self._counted("SELECT coalesce(sum(length(data) + length(places)), 0) FROM search_terms")

    def mail_octets(self) -> int:
        """Return the octets of all mail."""
        return self._counted("SELECT coalesce(sum(size), 0) FROM placement")

    def _counted(self, statement: str) -> int:
        total = 0
        for path in (self.folder / "data").glob("mail-*.db"):
            with contextlib.closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as db:
                total += int(db.execute(statement).fetchone()[0])
        return total

    def stop(self) -> int:
        """SIGTERM, and wait."""
        self._imap = None
        return int(super().stop())

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self.process is not None
        return int(self.process.popen.pid)

    def cpu_seconds_of(self, rate: Callable[[], float]) -> float:
        """Return the processor seconds all its processes spend a message while a rate is measured."""
        before, started = sum(map(cpu_seconds, tree(self.pid))), time.monotonic()
        messages = rate() * (time.monotonic() - started)
        return (sum(map(cpu_seconds, tree(self.pid))) - before) / max(messages, 1)

    def log_pages(self) -> int:
        """Pages in the write-ahead logs of the store: checkpoint work that is left."""
        return sum(path.stat().st_size for path in self.data.glob("*.db-wal")) // 4096

    def count(self, mailbox: str = "INBOX") -> int:
        """How many messages are in a mailbox."""
        if self._imap is None:
            self._imap = Imap(self.address, self.ports["imaps"], self.user, PASSWORD, tls=True)
        return self._imap.count(mailbox)

    def delivered(self) -> int:
        """How many messages have reached the mailbox."""
        return self.count()


class RelayForLoad(MailNodeForLoad):
    """A mailnode that relays everything to one sink."""

    def __init__(self, folder: Path, sink: Sink, limits: str, workers: int) -> None:
        self.sink = sink
        port = free_port()
        relay = (
            f'[[listener]]\nprotocol = "smtp"\ntls = "none"\nendpoint = "tcp:{port}:interface=127.0.0.1"\n'
            f'relay_from = ["127.0.0.1"]\n[queue.smarthost]\nhost = "{sink.address}"\nport = {sink.port}\ntls = "none"\n'
        )
        super().__init__(folder, "", domains=("relay.test",), extra=limits + relay, workers=workers)
        self.ports["smtp"] = port

    def delivered(self) -> int:
        """How many messages the sink has."""
        return self.sink.messages()


class SigningRelayForLoad(RelayForLoad):
    """The same for what an account submits, which is signed with the two keys of its domain."""

    def __init__(self, folder: Path, sink: Sink, limits: str, workers: int) -> None:
        self.submission = free_port()
        listener = (
            f'[[listener]]\nprotocol = "submission"\ntls = "none"\nplain_login = true\n'
            f'endpoint = "tcp:{self.submission}:interface=127.0.0.1"\n'
        )
        super().__init__(folder, sink, limits + listener, workers)
        self.ports["smtp"] = self.submission

    def start(self) -> SigningRelayForLoad:
        """Start, with the account and its domain."""
        super().start()
        self.ctl("domain", "add", SIGNED_USER.rpartition("@")[2])
        self.add_account(SIGNED_USER)
        return self


class OpenDkim:
    """Debian's opendkim, once for each kind of key, as what Postfix asks about each message."""

    def __init__(self, folder: Path) -> None:
        self.ports = (free_port(), free_port())
        self._folder = folder
        self._popens: list[subprocess.Popen[bytes]] = []

    def start(self) -> OpenDkim:
        """Start both and wait until they listen."""
        keys = (rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate())
        for port, key, algorithm in zip(self.ports, keys, ("rsa-sha256", "ed25519-sha256"), strict=True):
            file = self._folder / f"{algorithm}.pem"
            file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            file.chmod(0o600)
            configuration = self._folder / f"{algorithm}.conf"
            configuration.write_text(
                f"Mode s\nDomain {SIGNED_USER.rpartition('@')[2]}\nSelector {algorithm}\nKeyFile {file}\n"
                f"SignatureAlgorithm {algorithm}\nCanonicalization relaxed/relaxed\nOversignHeaders From,Subject,Date,To\n"
                f"Socket inet:{port}@127.0.0.1\nInternalHosts 127.0.0.1\nBackground no\nRequireSafeKeys no\n"
            )
            self._popens.append(start(["/usr/sbin/opendkim", "-f", "-x", str(configuration)]))
        for port in self.ports:
            wait_for(lambda port=port: listens("127.0.0.1", port), "opendkim")  # type: ignore[misc]
        return self

    def stop(self) -> None:
        """End both."""
        for popen in self._popens:
            popen.terminate()
            popen.wait()


class Sink:
    """Postfix's smtp-sink, which takes everything and counts."""

    def __init__(self, folder: Path, address: str = "127.0.0.1", port: int = 0, *options: str) -> None:
        self.folder, self.address, self.port = folder, address, port or free_port(address)
        self._options = options
        self._output = folder / f"sink-{address}-{self.port}"
        self._popen: subprocess.Popen[bytes] | None = None

    def start(self) -> Sink:
        """Start and wait until it listens."""
        command = ["/usr/sbin/smtp-sink", "-c", *self._options, f"{self.address}:{self.port}", "1000"]
        if os.getuid() == 0:
            command[1:1] = ["-u", "nobody"]
        with self._output.open("wb") as output:
            self._popen = start(command, stdout=output, stderr=subprocess.STDOUT)

        wait_for(lambda: listens(self.address, self.port), "smtp-sink")
        return self

    def messages(self) -> int:
        """How many it took."""
        with self._output.open("rb") as output:
            output.seek(max(0, self._output.stat().st_size - 400))
            counts = re.findall(rb"mesg=(\d+)", output.read())
        return int(counts[-1]) if counts else 0

    def stop(self) -> None:
        """End it."""
        if self._popen is not None:
            self._popen.terminate()
            self._popen.wait()


def listens(address: str, port: int) -> bool:
    """Whether somebody takes connections there."""
    with contextlib.suppress(OSError), socket.create_connection((address, port), 5):
        return True
    return False


def tree(pid: int) -> list[int]:
    """Return the ids of a process and of all its descendants."""
    children = [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in _children(task)]
    return [pid, *(found for child in children for found in tree(child))]


def _children(task: Path) -> list[str]:
    return (task / "children").read_text().split()


def cpu_seconds(pid: int) -> float:
    """Return the processor seconds a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Dovecot:
    """IMAP, POP3 and LMTP over Maildir, any number of users with one password."""

    def __init__(self, folder: Path, certificate: Path, key: Path) -> None:
        folder.mkdir(parents=True)
        open_to_daemons(folder)
        self.folder = folder
        self.address = "127.0.0.1"
        self.ports = {name: free_port() for name in ("imap", "imaps", "pop3", "pop3s", "lmtp")}
        self.password, self.ca = PASSWORD, certificate.with_name("ca.pem")
        self.ways = {(protocol, *way): free_port() for protocol in ("imap", "pop3") for way in WAYS.values()}
        self.mail = folder / "mail"
        self.mail.mkdir()
        owner = pwd.getpwnam("nobody")
        shutil.chown(self.mail, owner.pw_uid, owner.pw_gid)
        ports = self.ports
        (folder / "dovecot.conf").write_text(
            f"""base_dir = {folder}/run
log_path = {folder}/log
protocols = imap pop3 lmtp
listen = 127.0.0.1
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
disable_plaintext_auth = no
auth_mechanisms = plain login
passdb {{
  driver = static
  args = password={PASSWORD.replace(" ", "_")} nopassword=y
}}
userdb {{
  driver = static
  args = uid={owner.pw_uid} gid={owner.pw_gid} home={self.mail}/%u
}}
mail_location = maildir:{self.mail}/%u/Maildir
first_valid_uid = 1
mail_max_userip_connections = 10000
mail_fsync = always
default_process_limit = 10000
default_client_limit = 10000
haproxy_trusted_networks = 127.0.0.0/8
service anvil {{
  client_limit = 60000
}}
service imap {{
  process_limit = 6000
  vsz_limit = 0
}}
service imap-login {{
  service_count = 0
  inet_listener imap {{
    port = {ports["imap"]}
  }}
  inet_listener imaps {{
    port = {ports["imaps"]}
    ssl = yes
  }}
{self._listeners("imap")}
}}
service pop3-login {{
  service_count = 0
  inet_listener pop3 {{
    port = {ports["pop3"]}
  }}
  inet_listener pop3s {{
    port = {ports["pop3s"]}
    ssl = yes
  }}
{self._listeners("pop3")}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {ports["lmtp"]}
  }}
}}
protocol lmtp {{
  postmaster_address = postmaster@a.test
}}
"""
        )
        self.process: Process | None = None

    def _listeners(self, protocol: str) -> str:
        yes = {True: "yes", False: "no"}
        return "\n".join(
            f"  inet_listener {protocol}-{tls}{'-proxied' * proxied} {{\n    port = {port}\n"
            f"    ssl = {yes[tls == 'implicit']}\n    haproxy = {yes[proxied]}\n  }}"
            for (name, tls, proxied), port in self.ways.items()
            if name == protocol
        )

    def start(self) -> Dovecot:
        """Start in the foreground and wait for IMAP to greet."""
        self.process = Process(["/usr/sbin/dovecot", "-F", "-c", str(self.folder / "dovecot.conf")], cwd=self.folder)

        def greets() -> bool:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.ports["imap"]), 5) as peer:
                return peer.recv(200).startswith(b"* OK")
            return False

        wait_for(greets, "Dovecot")
        return self

    def delivered(self) -> int:
        """How many messages have reached the mailbox of the load."""
        return len(list((self.mail / "bob@a.test" / "Maildir" / "new").glob("*")))

    def maildir(self, user: str) -> Path:
        """Return a user's Maildir, made when it is not there."""
        path = self.mail / user / "Maildir"
        for name in ("cur", "new", "tmp"):
            (path / name).mkdir(parents=True, exist_ok=True)
        return path

    @property
    def pid(self) -> int:
        """Of the running master."""
        assert self.process is not None
        return int(self.process.popen.pid)

    def own(self) -> None:
        """Give all mail files to the mail user."""
        subprocess.run(["chown", "-R", "nobody:nogroup", str(self.mail)], check=True)

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.stop()


class PostfixForLoad(Postfix):
    """The tests' Postfix with other ways of delivery, and with a certificate."""

    def __init__(self, delivery: str, port: int, certificate: Path, key: Path, milters: Sequence[int] = ()) -> None:
        """:param delivery: "maildir", "lmtp" (to ``port``) or "relay" (to ``port``). :param milters: their ports."""
        super().__init__("a.test", "127.0.0.1", free_port(), [])
        self.ports = {"smtp": self.port}
        self.ways = {("smtp", *way): free_port() for way in WAYS.values()}
        self._relayed = "relay" in delivery
        settings = {
            "smtpd_tls_cert_file": str(certificate),
            "smtpd_tls_key_file": str(key),
            "smtpd_tls_security_level": "may",
            "smtpd_client_connection_count_limit": "0",
            "smtpd_client_connection_rate_limit": "0",
            "default_process_limit": "200",
            "maillog_file": str(self.folder / "log"),
            "maillog_file_prefixes": str(self.folder),
        }
        if milters:
            settings["smtpd_milters"] = ", ".join(f"inet:127.0.0.1:{milter}" for milter in milters)
        if delivery == "lmtp":
            settings["virtual_transport"] = f"lmtp:inet:127.0.0.1:{port}"
        if self._relayed:
            settings["virtual_transport"] = f"smtp:[127.0.0.1]:{port}"
        with (self.configuration / "main.cf").open("a") as main:
            main.writelines(f"{name} = {value}\n" for name, value in settings.items())
        with (self.configuration / "master.cf").open("a") as master:
            master.write("lmtp unix - - n - - lmtp\n")
            for (_, tls, proxied), port in self.ways.items():
                master.write(
                    f"127.0.0.1:{port} inet n - n - - smtpd\n"
                    + "  -o smtpd_tls_wrappermode=yes\n" * (tls == "implicit")
                    + "  -o smtpd_upstream_proxy_protocol=haproxy\n" * proxied
                )
        self.delivered_elsewhere: Callable[[], int] | None = None

    @property
    def pid(self) -> int:
        """Of the running master, which was made by the process that was started."""
        return int((self.folder / "spool" / "pid" / "master.pid").read_text())

    def delivered(self) -> int:
        """How many messages have reached the mailbox."""
        if self.delivered_elsewhere is not None:
            return self.delivered_elsewhere()
        with contextlib.suppress(FileNotFoundError), os.scandir(self.folder / "mail" / "box" / "new") as entries:
            return sum(1 for _ in entries)
        return 0


__all__ = [
    "PASSWORD",
    "SIGNED_USER",
    "Dovecot",
    "MailNodeForLoad",
    "OpenDkim",
    "PostfixForLoad",
    "RelayForLoad",
    "SigningRelayForLoad",
    "Sink",
    "cpu_seconds",
    "listens",
    "open_to_daemons",
    "tree",
]
