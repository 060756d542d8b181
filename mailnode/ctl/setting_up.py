"""Does ``mailnode setup``: the terminal, the operations with the rights of who serves, what is printed."""

from __future__ import annotations

import json
import pwd
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import TextIO, TypedDict

import click

from mailnode.admin.operations import OperationFailed, Reason
from mailnode.config.checkup import User, as_user
from mailnode.config.file import data_directory
from mailnode.config.loader import load
from mailnode.ctl import direct
from mailnode.ctl.parts import EXIT_CODES, Place
from mailnode.errors import BadAddress, ConfigurationError
from mailnode.setup.answers import Answers, read_answers
from mailnode.setup.checking import MachineChecks
from mailnode.setup.items.system_user import serving_name
from mailnode.setup.progress import Progress, alone
from mailnode.setup.report import SetupLines, is_well, last_line, spoken_command
from mailnode.setup.row import SetupPlaces, Surrounded
from mailnode.setup.runner import file_trouble, go_through
from mailnode.setup.table import ITEMS, QUESTIONS
from mailnode.setup.trouble import SetupTrouble
from mailnode.setup.unit import USUAL_CONFIG, USUAL_DATA
from mailnode.values.address import Address, check_own, own_domain_fault, parse_address
from mailnode.values.doctor import DoctorSettings
from mailnode.values.item import Item

PATIENCE_ON_TERMINAL = 600  # seconds that DNS and mail are waited for where somebody looks on
ENDED = 128  # exit code, to which shells add the number of the signal: 130 for Ctrl-C
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # the last: the connection to the terminal broke


class OperationDone(TypedDict, total=False):
    """What came of an operation that was done as another user, as JSON holds it."""

    result: object
    reason: int
    text: str
    mistakes: list[str]


@dataclass(frozen=True, slots=True)
class Wishes:
    """The options of the command."""

    answers: Path | None
    dry_run: bool
    explain: bool
    wait: int | None  # seconds; None: as it suits who looks on
    as_json: bool


def set_up(place: Place, address: str, wishes: Wishes) -> None:
    """Go through all items and print how they stand. :raises OperationFailed: :raises ConfigurationError:
    :raises SystemExit: something is left to do, or somebody ended it."""
    account, places = _account(address), _places(place)
    received: list[int] = []
    items: list[Item] = []
    report = SetupLines({item.name for item in ITEMS}, explain=wishes.explain)
    try:
        with _ended_by(received), nullcontext() if wishes.dry_run else alone(places.config.with_name("setup.lock")):
            around = _surrounded(account, places, wishes)
            for item in go_through(ITEMS, around, dry=wishes.dry_run):
                items.append(item)
                for line in () if wishes.as_json else report.lines(item):
                    click.echo(line)
            spoken = spoken_command(items, _command(around))
    except SetupTrouble as trouble:
        raise OperationFailed(Reason.CONFLICT, f"{trouble.seen}. {trouble.mend}".strip()) from None
    except BrokenPipeError:  # who reads has gone
        raise
    except OSError as error:
        raise OperationFailed(Reason.FAILED, ". ".join(filter(None, file_trouble(error)))) from None
    except KeyboardInterrupt:
        with suppress(OSError):  # the terminal may be gone
            click.echo("mailnode: ended here; what is marked done stays so, and the same command goes on", err=True)
        sys.exit(ENDED + (received[0] if received else signal.SIGINT))
    told = [asdict(item) for item in items]
    if spoken and not wishes.as_json:
        click.echo(spoken)
    click.echo(json.dumps(told, indent=2, ensure_ascii=False) if wishes.as_json else last_line(items))
    if not is_well(items):
        sys.exit(EXIT_CODES[Reason.FAILED])


@contextmanager
def _ended_by(received: list[int]) -> Iterator[None]:
    """Have each signal that ends a program end setup as Ctrl-C does: what was begun for a trial is taken back.

    :param received: has the numbers of those that came."""

    def end(number: int, frame: FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt

    before = {one: signal.signal(one, end) for one in ENDING if signal.getsignal(one) is not signal.SIG_IGN}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _account(text: str) -> Address:
    """:raises OperationFailed: no address that an account can have."""
    try:
        address = parse_address(text)
        check_own(address)
        if fault := own_domain_fault(address.domain_key):
            raise BadAddress(f"its domain is {fault}")
        if "." not in address.domain_key:
            raise BadAddress("its domain has no dot")
    except BadAddress as error:
        raise OperationFailed(Reason.WRONG_VALUE, f"{text}: no address that can be set up: {error}") from None
    return address


def _places(place: Place) -> SetupPlaces:
    config = (place.file or Path(USUAL_CONFIG)).absolute()
    data = _data(place, config)
    for path in (config, data):
        if not str(path).isprintable():  # it would stand in units and in configurations of others
            raise OperationFailed(Reason.WRONG_VALUE, f"{str(path)!r}: has control characters in its name")
    return SetupPlaces(config, data, Path(sys.executable).parent)


def _data(place: Place, config: Path) -> Path:
    if place.given_data is not None:
        return place.given_data
    try:
        return data_directory(config)
    except ConfigurationError:  # there is no file yet, or it is said later what is wrong with it
        return Path(USUAL_DATA)


def _surrounded(account: Address, places: SetupPlaces, wishes: Wishes) -> Surrounded:
    terminal = _Person() if _is_terminal(sys.stdin) and not (wishes.as_json or wishes.dry_run) else None
    patience = wishes.wait if wishes.wait is not None else PATIENCE_ON_TERMINAL if terminal else 0
    progress = Progress(places.config.with_name("setup.json"), keeps=not wishes.dry_run)
    given = read_answers(wishes.answers, QUESTIONS) if wishes.answers is not None else {}
    machine = direct.machine_at_hand()
    around: Surrounded

    def operate(name: str, arguments: Mapping[str, object]) -> object:
        return _operate(places, _serving(around), name, arguments)

    around = Surrounded(
        account,
        places,
        machine,
        direct.mail_at_hand(),
        operate,
        Answers(given, progress, terminal),
        progress,
        MachineChecks(machine, str(places.data), lambda: _doctor_settings(places)),
        lambda line: None if wishes.as_json else click.echo(f"{'':<8} {line}"),
        0.0 if wishes.dry_run else float(patience),
    )
    return around


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()  # None: it was closed before this program began


def _command(around: Surrounded) -> list[str]:
    """Return how a command about this server is called, from whoever runs setup."""
    places = around.places
    own = [str(places.programs / "mailnode"), "--config", str(places.config)]
    return ["runuser", "-u", serving_name(around), "--", *own] if around.is_root else own


def _doctor_settings(places: SetupPlaces) -> DoctorSettings:
    """Return whom checks ask: as the configuration says, where there is one that can be read."""
    try:
        return load(places.config).doctor.settings()
    except ConfigurationError:
        return DoctorSettings()


def _serving(around: Surrounded) -> User:
    name = serving_name(around)
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise OperationFailed(Reason.UNREACHABLE, f"there is no user {name} yet") from None
    return User(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _operate(places: SetupPlaces, user: User, name: str, arguments: Mapping[str, object]) -> object:
    """Do an operation with the rights of the user who serves. :raises OperationFailed: :raises ConfigurationError:"""

    def work() -> list[OperationDone]:
        try:
            return [{"result": Place(places.config, places.data).call(name, **arguments)}]
        except OperationFailed as failed:
            return [{"reason": int(failed.reason), "text": failed.text}]
        except ConfigurationError as error:
            return [{"mistakes": list(error.mistakes)}]
        except Exception as error:  # in another process: its traceback would be seen by nobody
            return [{"reason": int(Reason.FAILED), "text": f"{type(error).__name__}: {error}"}]

    [outcome] = as_user(user, work)
    if "mistakes" in outcome:
        raise ConfigurationError(outcome["mistakes"])
    if "reason" in outcome:
        raise OperationFailed(Reason(outcome["reason"]), outcome["text"])
    return outcome["result"]


class _Person:
    """Who sits at the terminal. See :class:`Terminal`."""

    def ask(self, words: str, suggested: str, secret: bool) -> str:
        """See Terminal. A secret is typed twice, since it is not seen."""
        while True:
            answer = _prompt(words, suggested, secret)
            if not (secret and answer) or _prompt("The same again", "", True) == answer:
                return answer
            self.say("The two are not the same.")

    def say(self, line: str) -> None:
        """See Terminal."""
        click.echo(line, err=True)


def _prompt(words: str, suggested: str, secret: bool) -> str:
    shown = bool(suggested) and not secret
    try:
        return str(click.prompt(words, default=suggested, hide_input=secret, show_default=shown, err=True))
    except click.Abort:
        # click has one word for the end of the input and for Ctrl-C: who presses Ctrl-D wants to leave, too
        raise KeyboardInterrupt from None
