"""A machine, a person and a server for items of setup, all of them made up; files are real ones below a folder."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from mailnode.admin.operations import OperationFailed, Reason
from mailnode.errors import UpdateFailed
from mailnode.interfaces.dns import DnsAnswer
from mailnode.interfaces.setup import ProgramRan
from mailnode.net.self_signed import write_self_signed
from mailnode.setup.answers import Answers
from mailnode.setup.progress import Progress
from mailnode.setup.row import SetupPlaces, Surrounded
from mailnode.values.address import parse_address

NOW = 1_790_000_000.0
ME = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
GIVEN = {"hostname": "mail.example.org", "addresses": "198.51.100.7"}


class FakeMachine:
    """Answers as a test says; time passes by pausing alone."""

    def __init__(self) -> None:
        self.time = NOW
        self.addresses: tuple[str, ...] = ("198.51.100.7",)
        self.dns: dict[tuple[str, str], tuple[str, ...]] = {}
        self.failed_names: set[str] = set()
        self.secure_names: set[str] = set()  # of which the resolver checked signatures
        self.at_servers: dict[str, dict[tuple[str, str], tuple[str, ...]]] = {}  # by the server's address
        self.ran: list[list[str]] = []
        self.results: dict[str, ProgramRan] = {}  # by the first word
        self.login_trouble = ""
        self.logins: list[object] = []
        self.certificate_wrong = ""
        self.modules = True
        self.updates: list[object] = []
        self.refuses_updates = ""
        self.page = self.secure_page = b""
        self.on_pause = lambda: None

    def now(self):
        return self.time

    def pause(self, seconds):
        self.time += seconds
        self.on_pause()

    def program(self, name):
        return f"/usr/bin/{name}" if name in self.results else ""

    def run(self, command, timeout):
        self.ran.append(list(command))
        return self.results.get(Path(command[0]).name, ProgramRan(0, "", ""))

    def own_addresses(self):
        return self.addresses

    def look_up(self, questions):
        return {one: self._answer(self.dns, one) for one in questions}

    def look_up_at(self, server, questions):
        return {one: self._answer(self.at_servers[server], one) for one in questions}

    def _answer(self, known, question):
        failed = question.name in self.failed_names
        values = () if failed else known.get((question.name, question.type), ())
        return DnsAnswer(values, failed, question.name in self.secure_names)

    def update_zone(self, server, change):
        self.updates.append((server, change))
        if self.refuses_updates:
            raise UpdateFailed(self.refuses_updates)
        zone = self.at_servers[server.host]
        for one in change.remove:
            zone[one.name, one.type] = tuple(v for v in zone.get((one.name, one.type), ()) if v != one.value)
        for one in change.add:
            zone[one.name, one.type] = (*zone.get((one.name, one.type), ()), one.value)

    def write_self_signed(self, certificate, key, names):
        write_self_signed(certificate, key, names, self.time)

    def has_module(self, name):
        return self.modules

    def certificate_trouble(self, certificate, key, host):
        return self.certificate_wrong

    def page_here(self, host, path, secure):
        return self.secure_page if secure else self.page

    def try_login(self, way):
        self.logins.append(way)
        return self.login_trouble


class FakePerson:
    """Answers by the first words of a question; an exception is raised."""

    def __init__(self, answers: dict[str, object]) -> None:
        self.answers = {words: list(said) if isinstance(said, list) else [said] for words, said in answers.items()}
        self.asked: list[tuple[str, str]] = []
        self.told: list[str] = []
        self.mail: object = None

    def ask(self, words, suggested, secret):
        self.asked.append((words, suggested))
        for begin, said in self.answers.items():
            if words.startswith(begin) and said:
                answer = said.pop(0)
                if isinstance(answer, BaseException):
                    raise answer
                return answer
        raise EOFError

    def say(self, line):
        self.told.append(line)


class FakeServer:
    """Operations: what a test puts there, and a memory of what was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, object]]] = []
        self.running = False
        self.domains: set[str] = set()
        self.accounts: dict[str, dict[str, object]] = {}
        self.keys: list[dict[str, str]] = []
        self.records: list[dict[str, str]] = []
        self.certificates: list[dict[str, object]] = []
        self.results: dict[str, object] = {}
        self.refuses: dict[str, str] = {}

    def __call__(self, name, arguments):
        self.calls.append((name, dict(arguments)))
        if name in self.refuses:
            raise OperationFailed(Reason.WRONG_VALUE, self.refuses[name])
        if name in self.results:
            result = self.results[name]
            return result(arguments) if callable(result) else result
        return getattr(self, name.replace(".", "_").replace("-", "_"))(**arguments)

    def ping(self):
        return {"running": self.running}

    def reload(self):
        return {"needs_restart": []}

    def domain_show(self, name):
        if name not in self.domains:
            raise OperationFailed(Reason.NOT_FOUND, "no such domain")
        return {"name": name}

    def domain_add(self, name):
        self.domains.add(name)
        self.domain_dkim_rotate(name)

    def domain_dkim(self, name):
        return self.keys

    def domain_dkim_rotate(self, name):
        self.keys = [{"selector": "s1", "state": "active"}]

    def domain_records(self, name):
        return {"domain": name, "records": self.records, "notes": []}

    def certificate_list(self):
        return {"certificates": self.certificates}

    def configured_names(self):
        """What [acme] says at the moment: a test puts it there."""
        return ["mail.example.org"]

    def certificate_renew(self):
        self.certificates = [{"names": self.configured_names(), "not_after": "2027-01-01T00:00:00Z"}]

    def account_show(self, address):
        if address not in self.accounts:
            raise OperationFailed(Reason.NOT_FOUND, "no such account")
        return self.accounts[address]

    def account_check(self, address, new):
        return {"address": address}

    def account_add(self, address, password, role):
        self.accounts[address] = {"password": password, "role": role}


class World:
    """A surrounding that may be made anew, as each run of setup does."""

    def __init__(self, folder: Path, given: dict[str, str] | None = None) -> None:
        self.machine = FakeMachine()
        self.server = FakeServer()
        self.given = {"user": ME, **(GIVEN if given is None else given)}
        self.checks: list[object] = []
        self.told: list[str] = []
        self.mail: object = None
        self.places = SetupPlaces(
            folder / "etc/mailnode.toml",
            folder / "data",
            Path("/opt/mailnode-of-a-test/bin"),  # not there: what is installed on this machine is not looked at
            folder / "system/mailnode.service",
            folder / "systemd",
        )
        (folder / "etc").mkdir()
        (folder / "system").mkdir()
        self.person: FakePerson | None = None
        self.patience = 0.0

    def around(self, address="you@example.org") -> Surrounded:
        progress = Progress(self.places.config.with_name("setup.json"))
        return Surrounded(
            parse_address(address),
            self.places,
            self.machine,
            self.mail,
            self.server,
            Answers(self.given, progress, self.person),
            progress,
            lambda asked: self.checks,
            self.told.append,
            self.patience,
        )
