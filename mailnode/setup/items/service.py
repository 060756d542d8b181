"""Has the server run now and after a restart of the machine: by systemd, or where there is none by a plain command."""

from __future__ import annotations

import grp
import shlex
from typing import cast

from mailnode.admin.administration import Reloaded
from mailnode.admin.operations import OperationFailed
from mailnode.errors import ConfigurationError
from mailnode.setup.files import digest, holds, write
from mailnode.setup.items.system_user import serving_name, serving_owner
from mailnode.setup.row import SetupItem, Surrounded
from mailnode.setup.trouble import SetupTrouble
from mailnode.setup.unit import start_command, unit_text
from mailnode.values.item import Item, ItemState

UNIT, NAME = "unit", "service"
SYSTEMCTL_TIMEOUT = 330.0  # seconds: a unit may take 300 to start
START_PATIENCE = 60.0  # seconds for a server that was started to answer
LOOK = 0.2  # seconds between looks
SERVED = "served"


def has_systemd(around: Surrounded) -> bool:
    """Whether systemd runs this machine."""
    return around.places.systemd.is_dir() and around.is_root


def is_running(around: Surrounded) -> bool:
    """Whether a server answers."""
    try:
        answer = around.operate("ping", {})
    except (OperationFailed, ConfigurationError):
        return False
    return isinstance(answer, dict) and answer.get("running") is True


def _unit_text(around: Surrounded) -> str:
    group = grp.getgrgid(serving_owner(around).gid).gr_name
    return unit_text(around.places, serving_name(around), group)


def _look_at_unit(around: Surrounded) -> Item:
    if not has_systemd(around):
        return Item(
            UNIT, ItemState.SKIPPED, "systemd does not run this machine: the server is started by a plain command"
        )
    path = around.places.unit
    if not path.exists():
        return Item(UNIT, ItemState.TO_DO, f"{path} is to be written")
    if holds(path, _unit_text(around)):
        return Item(UNIT, ItemState.DONE, str(path))
    if around.progress.is_ours(path):
        return Item(UNIT, ItemState.TO_DO, f"{path} is to be written anew")
    return Item(UNIT, ItemState.DONE, f"{path}, which is not as setup writes it, and stays as it is")


def _write_unit(around: Surrounded) -> None:
    around.write(around.places.unit, _unit_text(around), 0o644)
    _systemctl(around, "daemon-reload")


def _systemctl(around: Surrounded, *words: str) -> None:
    command = ["systemctl", *words]
    ran = around.machine.run(command, SYSTEMCTL_TIMEOUT)
    if ran.code != 0:
        said = (ran.errors or ran.output).strip().splitlines()[:1] or ["it did not say why"]
        mend = f"{' '.join(command)}\njournalctl -u {around.places.unit.name} -n 50"
        raise SetupTrouble(f"systemd did not do {' '.join(words)}: {said[0]}", mend)


def _look_at_service(around: Surrounded) -> Item:
    if not is_running(around):
        return Item(NAME, ItemState.TO_DO, "the server does not run yet", _plain_command(around))
    if around.progress.value(SERVED, "config") != digest(around.places.config):
        return Item(NAME, ItemState.TO_DO, "the server has not read the configuration as it is now", "mailnode reload")
    return Item(NAME, ItemState.DONE, "the server runs")


def serve(around: Surrounded) -> None:
    """Have a server run with the configuration as it is now. :raises SetupTrouble:"""
    served = digest(around.places.config)
    if is_running(around):
        _take_over(around)
    else:
        _start(around)
    around.progress.remember(SERVED, "config", served)


def _take_over(around: Surrounded) -> None:
    """Have a running server read its configuration; what cannot change live needs a restart."""
    needs = cast(Reloaded, around.operate("reload", {}))["needs_restart"]
    if needs and has_systemd(around):
        _systemctl(around, "restart", around.places.unit.name)
        _wait(around)
    elif needs:
        raise SetupTrouble(f"the server has to be started anew for {', '.join(needs)}", "Stop it, and run setup again.")


def _start(around: Surrounded) -> None:
    if has_systemd(around):
        _systemctl(around, "enable", "--now", around.places.unit.name)
    else:
        _start_plainly(around)
    _wait(around)


def _start_plainly(around: Surrounded) -> None:
    log = around.places.data / "mailnode.log"
    if not log.exists():
        write(log, b"", 0o600, serving_owner(around))
    ran = around.machine.run(_daemon(around), START_PATIENCE)
    if ran.code != 0:
        said = [line for line in ran.errors.splitlines() if line.strip()][-3:] or ["it did not say why"]
        mend = shlex.join(start_command(around.places))
        if not around.is_root and "Permission denied" in ran.errors:
            mend = "The ports of mail are for root to open: run setup as root."
        raise SetupTrouble(f"the server did not start: {'; '.join(said)}", mend)


def _daemon(around: Surrounded) -> list[str]:
    places, owner = around.places, serving_owner(around)
    command = [str(places.programs / "twistd")]
    if around.is_root:
        command += ["--uid", str(owner.uid), "--gid", str(owner.gid)]
    command += ["--pidfile", str(places.data / "mailnode.pid"), "--logfile", str(places.data / "mailnode.log")]
    return [*command, "--rundir", str(places.data), "mailnode", "--config", str(places.config)]


def _plain_command(around: Surrounded) -> str:
    return "" if has_systemd(around) else f"At each start of the machine: {shlex.join(_daemon(around))}"


def _wait(around: Surrounded) -> None:
    until = around.machine.now() + START_PATIENCE
    while not is_running(around):
        if around.machine.now() >= until:
            where = (
                f"journalctl -u {around.places.unit.name}"
                if has_systemd(around)
                else f"tail {around.places.data}/mailnode.log"
            )
            raise SetupTrouble(f"the server was started, and does not answer within {START_PATIENCE:g} s", where)
        around.machine.pause(LOOK)


UNIT_ITEM = SetupItem(
    UNIT,
    _look_at_unit,
    _write_unit,
    needs=("configuration",),
    explained="The unit starts the server with the machine, after a crash too, with one capability (low ports) and nothing else.",
)
ITEM = SetupItem(
    NAME,
    _look_at_service,
    serve,
    needs=("unit",),
    explained="The server has to run before accounts and keys are made in it.",
)
