"""A private Exim for the end-to-end tests.

Debian's exim4 cannot be installed beside its postfix; its program can be unpacked beside it (.ci/run does), with the user it
wants to find.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
from pathlib import Path

import pytest
import trustme
from servers import STRICT, Process, wait_for

from tests.open_folder import open_folder

UNPACKED = "/opt/exim4/usr/sbin"
USER = "Debian-exim"


def exim() -> str:
    """Return the path of the program; without it, or its user, the test skips or fails."""
    found = shutil.which("exim4", path=f"{os.environ['PATH']}:/usr/sbin:{UNPACKED}")
    with contextlib.suppress(KeyError):
        if found is not None and os.getuid() == 0 and pwd.getpwnam(USER):
            return found
    (pytest.fail if STRICT else pytest.skip)("exim4 is not installed, or this is not root")
    raise AssertionError


class Exim:
    """One daemon with TLS: the mailbox ``carl``, a local part ``later`` that it puts off, and a route to one other server."""

    def __init__(self, domain: str, address: str, port: int, route: tuple[str, str, int]) -> None:
        """:param route: (domain, address, port) of a server it relays to."""
        self._program = exim()
        self._opened = open_folder("exim")
        self.folder = folder = Path(self._opened.name)
        self.address, self.port = address, port
        for name in ("spool", "log", "mail"):
            (folder / name).mkdir()
            shutil.chown(folder / name, USER)
        trustme.CA().issue_cert(f"mx.{domain}").private_key_and_cert_chain_pem.write_to_path(str(folder / "tls.pem"))
        shutil.chown(folder / "tls.pem", USER)
        self.configuration = folder / "exim.conf"
        self.configuration.write_text(self._text(domain, *route))
        self.process: Process | None = None

    def _text(self, domain: str, other: str, other_address: str, other_port: int) -> str:
        return f"""exim_path = {self._program}
primary_hostname = mx.{domain}
spool_directory = {self.folder}/spool
log_file_path = {self.folder}/log/%slog
pid_file_path = {self.folder}/exim.pid
local_interfaces = {self.address}
daemon_smtp_ports = {self.port}
tls_certificate = {self.folder}/tls.pem
tls_advertise_hosts = *
host_lookup =
rfc1413_hosts =
deliver_drop_privilege
check_spool_space = 0
check_log_space = 0
acl_smtp_rcpt = rcpt
begin acl
rcpt:
  defer local_parts = later
        message = not before tomorrow
  accept domains = {domain}
         verify = recipient
  accept domains = {other}
  deny message = relay not permitted
begin routers
local:
  driver = accept
  domains = {domain}
  local_parts = carl
  transport = box
other:
  driver = manualroute
  domains = {other}
  route_list = {other} {other_address}::{other_port}
  self = send
  transport = smtp
begin transports
box:
  driver = appendfile
  directory = {self.folder}/mail/box
  maildir_format
  return_path_add
  user = {USER}
smtp:
  driver = smtp
  allow_localhost
begin retry
* * F,1h,1s
"""

    def start(self) -> Exim:
        """Start the daemon in the foreground and wait for its banner."""
        self.process = Process([self._program, "-C", str(self.configuration), "-bdf", "-q2s"], cwd=self.folder)

        def listening():
            with contextlib.suppress(OSError), socket.create_connection((self.address, self.port), 5) as connection:
                return connection.recv(100).startswith(b"220")
            return False

        try:
            wait_for(listening, "Exim")
        except BaseException:
            self.stop()
            raise
        return self

    def messages(self) -> list[bytes]:
        """Return every message in the mailbox, as stored."""
        return [path.read_bytes() for path in (self.folder / "mail" / "box" / "new").glob("*")]

    def log(self) -> str:
        """Return what it logged."""
        return "".join(path.read_text() for path in sorted((self.folder / "log").glob("*")))

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.stop()
        self._opened.cleanup()
