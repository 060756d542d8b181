"""The machine that ``mailnode setup`` works on, as it is. Blocks; for a command."""

from __future__ import annotations

import http.client
import os
import select
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
from collections.abc import Collection, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from mailnode.interfaces.dns import DnsAnswer, DnsQuestion
from mailnode.interfaces.setup import LookingParts, ProgramRan, SmarthostLogin
from mailnode.net.dns_update import ZoneUpdates
from mailnode.net.lookup import AsyncioLookup, BlockingLookup
from mailnode.net.no_reactor import StandingClock, run_now, run_on_reactor
from mailnode.net.resolver import Resolver, asked_addresses, believed
from mailnode.net.self_signed import write_self_signed
from mailnode.net.this_machine import ThisMachine
from mailnode.net.tls import check_pair, read_pair
from mailnode.net.trying import Trying
from mailnode.values.dns_update import UpdateServer, ZoneChange

SYSTEM_PLACES = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
OUTSIDE = ("192.0.2.1", "2001:db8::1")  # nothing is sent there: asked for is only which address would be used
LOGIN_TIMEOUT = 20.0  # seconds
PAGE_TIMEOUT = 5.0  # seconds
HERE = "127.0.0.1"
MAX_OUTPUT = 65_536  # octets that are kept of what a program says


class MachineAtHand:
    """See :class:`mailnode.interfaces.setup.SetupMachine`."""

    def __init__(self) -> None:
        self._clock = StandingClock()
        self._dns = BlockingLookup(lambda: ())

    def now(self) -> float:
        """See SetupMachine."""
        return self._clock.seconds()

    def pause(self, seconds: float) -> None:
        """See SetupMachine."""
        select.select((), (), (), seconds)

    def program(self, name: str) -> str:
        """See SetupMachine."""
        return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SYSTEM_PLACES}") or ""

    def run(self, command: Sequence[str], timeout: float) -> ProgramRan:
        """See SetupMachine."""
        path = self.program(command[0])
        if not path:
            return ProgramRan(-1, "", f"{command[0]} is not installed")
        try:
            ran = subprocess.run(
                [path, *command[1:]],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=timeout,
                check=False,
                cwd="/",
            )
        except subprocess.TimeoutExpired:
            return ProgramRan(-1, "", f"no end within {timeout:g} s")
        except OSError as error:
            return ProgramRan(-1, "", error.strerror or "it cannot be started")
        return ProgramRan(ran.returncode, *(_text(said) for said in (ran.stdout, ran.stderr)))

    def own_addresses(self) -> tuple[str, ...]:
        """See SetupMachine."""
        found = []
        for outside in OUTSIDE:
            family = socket.AF_INET6 if ":" in outside else socket.AF_INET
            try:
                with socket.socket(family, socket.SOCK_DGRAM) as asking:
                    asking.connect((outside, 9))
                    found.append(str(asking.getsockname()[0]))
            except OSError:  # no way there
                continue
        return tuple(found)

    def look_up(self, questions: Collection[DnsQuestion]) -> Mapping[DnsQuestion, DnsAnswer]:
        """See SetupMachine."""
        return run_now(self._dns.ask(questions))

    def look_up_at(self, server: str, questions: Collection[DnsQuestion]) -> Mapping[DnsQuestion, DnsAnswer]:
        """See SetupMachine."""
        return run_now(BlockingLookup(lambda: (server,)).ask(questions))

    def write_self_signed(self, certificate: Path, key: Path, names: Sequence[str]) -> None:
        """See SetupMachine."""
        write_self_signed(certificate, key, names, self.now())

    def has_module(self, name: str) -> bool:
        """See SetupMachine."""
        try:
            return find_spec(name) is not None
        except ImportError:  # not even what it is in
            return False

    def certificate_trouble(self, certificate: Path, key: Path, host: str) -> str:
        """See SetupMachine."""
        wrong = [what for _, what in check_pair(certificate, key)]
        if wrong:
            return "; ".join(wrong)
        pair = read_pair(certificate, key)
        if pair.not_after.timestamp() <= self.now():
            return f"it expired on {pair.not_after:%Y-%m-%d}"
        if {host, "*." + host.partition(".")[2]}.isdisjoint(pair.names):
            return f"it is not for {host}, but for {', '.join(pair.names) or 'no host'}"
        return ""

    def update_zone(self, server: UpdateServer, change: ZoneChange) -> None:
        """See SetupMachine."""
        before = signal.getsignal(signal.SIGINT)
        try:
            run_on_reactor(lambda reactor: ZoneUpdates(reactor, Resolver(reactor)).update(server, change))
        finally:
            signal.signal(signal.SIGINT, before)  # Ctrl-C was the reactor's meanwhile

    def page_here(self, host: str, path: str, secure: bool) -> bytes:
        """See SetupMachine."""
        link = http.client.HTTPConnection(HERE, 443 if secure else 80, timeout=PAGE_TIMEOUT)
        try:
            if secure:
                link.sock = _unchecked().wrap_socket(
                    socket.create_connection((HERE, 443), PAGE_TIMEOUT), server_hostname=host
                )
            link.request("GET", path, headers={"Host": host})
            answer = link.getresponse()
            return answer.read(MAX_OUTPUT) if answer.status == http.client.OK else b""
        except (OSError, http.client.HTTPException):
            return b""
        finally:
            link.close()

    def looking(self) -> LookingParts:
        """See SetupMachine."""
        resolvers = tuple(asked_addresses(()))
        dns = AsyncioLookup(lambda: ())
        network = Trying(self._clock)
        return LookingParts(dns, network, ThisMachine(), self._clock, resolvers, believed("auto", resolvers))

    def try_login(self, way: SmarthostLogin) -> str:
        """See SetupMachine."""
        context = ssl.create_default_context()
        try:
            with _connected(way, context) as link:
                if way.username:
                    link.login(way.username, way.password)
        except smtplib.SMTPAuthenticationError:
            return "it does not take this login"
        except smtplib.SMTPNotSupportedError:
            return "it does not offer what this login needs"
        except ssl.SSLCertVerificationError as error:
            return f"its certificate is not valid for {way.host}: {error.verify_message.rstrip('.')}"
        except (smtplib.SMTPException, ssl.SSLError):
            return "it does not speak SMTP as it should there"
        except TimeoutError:
            return "no answer in time"
        except (OSError, UnicodeError) as error:
            return f"no connection: {getattr(error, 'strerror', None) or 'the name is not known'}"
        return ""


def _connected(way: SmarthostLogin, context: ssl.SSLContext) -> smtplib.SMTP:
    if way.tls == "implicit":
        return smtplib.SMTP_SSL(way.host, way.port, timeout=LOGIN_TIMEOUT, context=context)
    link = smtplib.SMTP(way.host, way.port, timeout=LOGIN_TIMEOUT)
    try:
        if way.tls != "none":
            link.starttls(context=context)
        link.ehlo()
    except BaseException:
        link.close()
        raise
    return link


def _unchecked() -> ssl.SSLContext:
    """Return what takes any certificate: of a server on this machine, whose pages alone are looked at."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _text(said: bytes) -> str:
    return said[-MAX_OUTPUT:].decode("utf-8", "replace")
