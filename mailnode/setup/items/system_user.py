"""The user that the server runs as, so that a fault in it reaches nothing else on the machine."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

from mailnode.setup.files import Owner
from mailnode.setup.row import SetupItem, Surrounded
from mailnode.setup.trouble import SetupTrouble
from mailnode.setup.words import SYSTEM_USER
from mailnode.values.item import Item, ItemState

NAME = "system-user"
TIMEOUT = 60.0  # seconds for useradd, which may wait for another program that changes users


def serving_name(around: Surrounded) -> str:
    """Return the name of the user who serves: without root it can only be who runs setup."""
    usual = "mailnode" if around.is_root else pwd.getpwuid(os.geteuid()).pw_name
    return around.answers.of(SYSTEM_USER, usual, sure=True)


def serving_owner(around: Surrounded) -> Owner:
    """Return the user who serves. :raises SetupTrouble: there is none yet."""
    name = serving_name(around)
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise SetupTrouble(f"there is no user {name}") from None
    return Owner(entry.pw_uid, entry.pw_gid)


def _look(around: Surrounded) -> Item:
    name = serving_name(around)
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return Item(NAME, ItemState.TO_DO, f"there is no user {name} yet", " ".join(_command(around, name)))
    if entry.pw_uid == 0:
        mend = 'Name another one in the answers, such as user = "mailnode", and run setup again.'
        return Item(NAME, ItemState.FAILED, f"{name} is root, and a mail server must not run as root", mend)
    if os.geteuid() not in (0, entry.pw_uid):
        return Item(NAME, ItemState.FAILED, f"setup cannot act as the user {name}", "Run setup as root.")
    closed = _closed(around) if around.is_root else None
    if closed is not None:
        mend = "Install mailnode where everybody may read it, as README.rst says: in /opt/mailnode, with a Python that is in\n"
        mend += "nobody's home either, such as /usr/bin/python3."
        return Item(
            NAME, ItemState.FAILED, f"{name} cannot run {around.places.programs}: {closed} is closed to others", mend
        )
    return Item(NAME, ItemState.DONE, f"{name}, with the number {entry.pw_uid}")


def _closed(around: Surrounded) -> Path | None:
    """Return the directory above this installation, or the Python it was made with, that others cannot pass; None: they can."""
    programs = around.places.programs
    above = [programs, *programs.parents, *(programs / "python3").resolve().parents]
    return next((path for path in above if path.is_dir() and not path.stat().st_mode & stat.S_IXOTH), None)


def _command(around: Surrounded, name: str) -> list[str]:
    home = str(around.places.data)
    return [
        "useradd",
        "--system",
        "--user-group",
        "--no-create-home",
        "--home-dir",
        home,
        "--shell",
        "/usr/sbin/nologin",
        name,
    ]


def _do(around: Surrounded) -> None:
    name = serving_name(around)
    if not around.is_root:
        raise SetupTrouble(f"there is no user {name}, and only root can make one", "Run setup as root.")
    command = _command(around, name)
    ran = around.machine.run(command, TIMEOUT)
    if ran.code != 0:
        said = (ran.errors or ran.output).strip().splitlines()[-1:] or ["it did not say why"]
        raise SetupTrouble(f"the user {name} could not be made: {said[0]}", " ".join(command))


ITEM = SetupItem(
    NAME,
    _look,
    _do,
    explained="The server has a user of its own that cannot log in. It owns the mail and may read the configuration.",
)
