"""What every command of the ``mailnode`` tree is made of: the place it is for, its group, options, question and output."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from mailnode.admin.administration import StoreCopies
from mailnode.admin.control_client import ANSWER_TIMEOUT, ask
from mailnode.admin.dangling import LeavesDangling
from mailnode.admin.dispatch import OPERATIONS
from mailnode.admin.operations import OperationFailed, Reason
from mailnode.config.file import data_directory
from mailnode.ctl.display import as_text
from mailnode.errors import ConfigurationError, DirectoryLocked
from mailnode.values import units

# The whole server (mailnode.ctl.direct) and all that checks a configuration is imported only where a command needs it:
# through the control socket it needs none of it, and a script may call many commands.
if TYPE_CHECKING:
    from mailnode.config.schema import Config

R = TypeVar("R")

DEFAULT_DATA = Path("mailnode-data")
LOCKED = 10.0  # seconds to wait for a server that starts or stops, or for another command
LOOK = 0.1  # seconds between looks
NO_FILE_NEEDED = "a running server is found by its data directory too: mailnode --data DIR ..."

# Documented in docs/commands.rst; 0 is done.
EXIT_CODES = {
    Reason.FAILED: 1,
    Reason.WRONG_VALUE: 2,
    Reason.NOT_FOUND: 3,
    Reason.UNREACHABLE: 4,
    Reason.CONFLICT: 5,
    Reason.BUSY: 6,
}

AS_JSON = click.Option(["--json", "as_json"], is_flag=True, help="Print JSON.")
PASSWORD_STDIN = click.Option(
    ["--password-stdin"], is_flag=True, help="Read the password from the first line of standard input."
)


class OctetsType(click.ParamType[int]):
    """A number of octets, as a number or with a unit: ``500M``, ``2GB``."""

    name = "octets"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number. :raises click.BadParameter:"""
        text = str(value)
        try:
            read = int(text) if text.isascii() and text.isdecimal() else units.octets(text)
        except ValueError:
            self.fail(f"should be a number of octets, or with a unit: 512K, 50MB, 1G; not {text!r}", param, ctx)
        return read


class SecondsType(click.ParamType[int]):
    """A number of seconds, as a number or with a unit: ``90``, ``30m``, ``2d``."""

    name = "seconds"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number. :raises click.BadParameter:"""
        text = str(value)
        try:
            return int(text if text.isascii() and text.isdecimal() else units.seconds(text))
        except ValueError:
            self.fail(f"should be a number of seconds, or with a unit: 90, 30m, 2h, 7d; not {text!r}", param, ctx)


class WallWaits:
    """Time of this machine: the command has nothing else to do meanwhile."""

    def monotonic(self) -> float:
        """Seconds that never step."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


class Place:
    """Which server a command is for: by configuration file, by data directory, or the demonstration's."""

    def __init__(self, config: Path | None, data: Path | None) -> None:
        self.file = config
        self._data = data
        self._config: Config | None = None

    @property
    def given_data(self) -> Path | None:
        """The data directory that was named on the command line."""
        return None if self._data is None else self._data.absolute()

    def config(self) -> Config:
        """Return the checked configuration. :raises ConfigurationError:"""
        from mailnode.ctl import direct

        if self._config is None:
            self._config = direct.configured(self.file, self._data if self.file else self.data())
        return self._config

    def data(self) -> Path:
        """Return the data directory."""
        if self._data is not None:
            return self._data.absolute()
        if self.file is None:
            return DEFAULT_DATA.absolute()
        try:
            return data_directory(self.file)
        except ConfigurationError as error:
            raise ConfigurationError([*error.mistakes, NO_FILE_NEEDED]) from None

    def call(self, name: str, /, **arguments: object) -> object:
        """Do an operation on the server, or on its store while it does not run."""
        given = {key: value for key, value in arguments.items() if value is not None}
        until = time.monotonic() + LOCKED
        operation = OPERATIONS[name]
        while True:
            with contextlib.suppress(FileNotFoundError):
                if operation.works_on is not StoreCopies:
                    return ask(self.data(), name, given, None if operation.long else ANSWER_TIMEOUT)
            from mailnode.ctl import direct

            try:
                return direct.run_directly(self.config(), name, given)
            except DirectoryLocked as error:
                if time.monotonic() >= until:
                    raise OperationFailed(Reason.UNREACHABLE, str(error)) from None
            time.sleep(LOOK)


pass_place = click.make_pass_decorator(Place)


class CommandGroup(click.Group):
    """A click group that ends with our exit codes and without a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        """Run, and put every expected failure into words."""
        try:
            return super().invoke(ctx)
        except OperationFailed as failed:
            click.echo(f"mailnode: {failed.text}", err=True)
            ctx.exit(EXIT_CODES[failed.reason])
        except ConfigurationError as error:
            for mistake in error.mistakes:
                click.echo(f"mailnode: {mistake}", err=True)
            ctx.exit(EXIT_CODES[Reason.FAILED])
        except (BrokenPipeError, KeyboardInterrupt, click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:  # a bug, or a machine in trouble: one line for the person
            click.echo(f"mailnode: {type(error).__name__}: {error}", err=True)
            ctx.exit(EXIT_CODES[Reason.FAILED])


class Destroying(click.Command):
    """A command that takes away what cannot be brought back: done with ``--yes``, or after a terminal's yes.

    Standard input that is no terminal is never read for the answer: what a script pipes in is not meant as one.
    """

    def __init__(
        self, name: str, question: str, params: list[click.Parameter], callback: Callable[..., object], help: str
    ) -> None:
        """:param question: what a person is asked, with the command's arguments as ``{address}``."""
        super().__init__(name, params=params, callback=callback, help=help)
        self.question = question
        self.params.append(click.Option(["--yes"], is_flag=True, help="Do not ask."))

    def invoke(self, ctx: click.Context) -> object:
        """Ask, and go on after a yes."""
        if not ctx.params.pop("yes") and not self._confirmed(ctx):
            raise OperationFailed(
                Reason.WRONG_VALUE,
                f"nothing was done: {self.question.format(**ctx.params)} To do it without a question, use --yes",
            )
        return super().invoke(ctx)

    def _confirmed(self, ctx: click.Context) -> bool:
        if not sys.stdin.isatty():
            return False
        try:
            return click.confirm(self.question.format(**ctx.params), err=True)
        except click.Abort:  # the end of the input, or an interrupt
            return False


def here_and_now() -> tuple[float, tzinfo]:
    """Return UTC seconds since 1970 and the time zone of this machine, for what is done without a server."""
    now = time.time()
    return now, datetime.fromtimestamp(now).astimezone().tzinfo or UTC


def show(result: R, as_json: bool, human: Callable[[R], str]) -> None:
    """Print a result for a person or for a script."""
    if as_json:
        text = json.dumps(result, indent=2, ensure_ascii=False)
        click.echo(text.encode("utf-8", "backslashreplace"))  # of a file's name that is not UTF-8: an escape of JSON
    else:
        text = human(result)
        if text:
            click.echo(text)


def shown(human: Callable[[R], str]) -> Callable[[R, bool], None]:
    """Return what prints a result for a person, or as JSON."""
    return lambda result, as_json: show(result, as_json, human)


def changed(result: LeavesDangling, as_json: bool) -> None:
    """Print what a change did for a script, or warn a person of the aliases it leaves without a target."""
    if as_json:
        show(result, as_json, str)
        return
    for left in result.get("dangling", ()):
        alias, target = as_text(left["address"]), as_text(left["target"])
        click.echo(f"mailnode: warning: mail for {alias} goes to {target}, which does not exist here", err=True)


def read_password(from_stdin: bool) -> str:
    """Ask for a password, or take the first line of standard input."""
    if from_stdin:
        line = sys.stdin.readline(4096)
        password = line.rstrip("\r\n")
        if not password or (len(line) == 4096 and not line.endswith("\n")):
            raise OperationFailed(Reason.WRONG_VALUE, "standard input holds no password")
        return password
    if not sys.stdin.isatty():
        raise OperationFailed(Reason.WRONG_VALUE, "no terminal to ask for a password: use --password-stdin")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))


def file_trouble(error: OSError, file: Path) -> str:
    """Return what is said of a file of the person's own that could not be read or written."""
    said = f"{error.filename or file}: {error.strerror}"
    if not isinstance(error, PermissionError) or os.geteuid() == 0:
        return said
    user = pwd.getpwuid(os.geteuid()).pw_name
    return f"{said}, to the user {user}, who runs this; while the server runs, root may run it, too"
