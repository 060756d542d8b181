"""Operations on the store itself, while no server runs: as the owner of the data directory, under its lock."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mailnode import interpreter
from mailnode.admin import doctor
from mailnode.admin.administration import RunningServer, StoppedStore, StoreCopies, StoreFiles
from mailnode.admin.dispatch import NO_SERVER, OPERATIONS, run
from mailnode.admin.operations import OperationFailed, Reason
from mailnode.config.schema import Config
from mailnode.errors import ConfigurationError, DirectoryLocked
from mailnode.server import administration, configuration, demo, publishing
from mailnode.server.setting_up import MachineAtHand
from mailnode.server.trying_mail import MailAtHand
from mailnode.values.program import ProgramEndpoint


def configured(file: Path | None, data: Path | None) -> Config:
    """Return the configuration of a file, or the demonstration's. :raises ConfigurationError: every mistake."""
    interpreter.require_fit()
    return configuration.configuration(file, data)


def asked_programs(config: Config) -> list[tuple[str, str, ProgramEndpoint]]:
    """Return the programs that policies ask: where the configuration names each, the policy, the place."""
    return configuration.programs(config)


def demonstration(data: Path) -> tuple[demo.Shown, str]:
    """Return what the demonstration in a data directory tells, as data and as one screen. :raises OperationFailed:"""
    told = demo.recall(data)
    if told is None:
        raise OperationFailed(Reason.NOT_FOUND, f"{data}: no demonstration was started here")
    return told, demo.screen(told, data)


def machine_at_hand() -> MachineAtHand:
    """Return the machine that setup works on."""
    return MachineAtHand()


def mail_at_hand() -> MailAtHand:
    """Return what sends and reads a message for a trial."""
    return MailAtHand()


def key_digest(file: Path) -> str:
    """Return SHA-256 of the public key of a private one, as TLSA records have it. :raises ConfigurationError:"""
    return publishing.file_key_digest(file)


def run_directly(config: Config, name: str, arguments: Mapping[str, object]) -> object:
    """Do one operation on the store, or on its files. :raises OperationFailed: :raises DirectoryLocked: another process works
    on them. :raises ConfigurationError: files are not what was said of them."""
    data, works_on = config.server.data, OPERATIONS[name].works_on
    if works_on is RunningServer:
        raise OperationFailed(Reason.UNREACHABLE, f"{data}: {NO_SERVER}")
    check_owner(data)
    if works_on is StoreCopies:
        return administration.with_copies(config, lambda copies: run(copies, name, arguments))
    if works_on in (StoppedStore, StoreFiles):
        return administration.with_stopped_store(config, lambda store: run(store, name, arguments))
    try:
        return administration.with_store(config, lambda admin: run(admin, name, arguments))
    except DirectoryLocked:
        raise
    except ConfigurationError as error:
        if name == doctor.doctor.name:  # which has to say what else is wrong, then above all
            explain = bool(arguments.get("explain"))
            return administration.examine_without_store(config, "; ".join(error.mistakes), explain)
        raise OperationFailed(Reason.UNREACHABLE, "\n".join(error.mistakes)) from None


@contextmanager
def operations(config: Config) -> Iterator[Callable[[str, Mapping[str, object]], object]]:
    """Open the store for many operations, while no server runs. :raises OperationFailed: :raises DirectoryLocked: another process
    works on it. :raises ConfigurationError: it cannot be opened."""
    check_owner(config.server.data)
    with administration.operations(config) as call:
        yield call


def check_owner(data: Path) -> None:
    """Refuse to work on somebody else's store: files made by the wrong user would lock the server out.

    :raises OperationFailed: not the owner, or no such directory.
    """
    try:
        owner = data.stat().st_uid
    except FileNotFoundError:
        raise OperationFailed(
            Reason.UNREACHABLE, f"{data}: there is no such directory: no server was started here yet"
        ) from None
    except OSError as error:
        raise OperationFailed(Reason.UNREACHABLE, f"{data}: {error.strerror}") from None
    if owner != os.geteuid():
        try:
            name = pwd.getpwuid(owner).pw_name
        except KeyError:
            name = str(owner)
        raise OperationFailed(Reason.UNREACHABLE, f"{data}: belongs to {name}; run this as {name}")
