"""The directories of the server: where its mail is, and where its keys are."""

from __future__ import annotations

import pwd
import stat
from pathlib import Path

from mailnode.setup.files import Owner, make_directory
from mailnode.setup.items.system_user import serving_owner
from mailnode.setup.row import SetupItem, Surrounded
from mailnode.setup.trouble import SetupTrouble
from mailnode.values.item import Item, ItemState

NAME = "directories"


def _wanted(around: Surrounded) -> list[tuple[Path, int, Owner]]:
    """Return each with its mode and owner."""
    owner = serving_owner(around)
    keeper = Owner(_uid_of_setup(around, owner), owner.gid)
    return [
        (around.places.data, 0o700, owner),
        (around.places.tls, 0o750, keeper),
        (around.places.records, 0o755, keeper),
    ]


def _uid_of_setup(around: Surrounded, owner: Owner) -> int:
    """Return who keeps what the server only reads: root, or without root who serves."""
    return 0 if around.is_root else owner.uid


def _look(around: Surrounded) -> Item:
    wrong = [text for path, mode, owner in _wanted(around) if (text := _wrong(path, mode, owner))]
    if wrong:
        return Item(NAME, ItemState.TO_DO, "; ".join(wrong))
    return Item(NAME, ItemState.DONE, f"mail in {around.places.data}, keys in {around.places.tls}")


def _wrong(path: Path, mode: int, owner: Owner) -> str:
    try:
        found = path.stat()
    except FileNotFoundError:
        return f"{path} is not there"
    if not stat.S_ISDIR(found.st_mode):
        return f"{path} is no directory"
    if (found.st_uid, found.st_gid) != (owner.uid, owner.gid):
        return f"{path} belongs to somebody else"
    if stat.S_IMODE(found.st_mode) & ~mode:
        return f"{path} is open to more people than it should be"
    return ""


def _do(around: Surrounded) -> None:
    wanted = _wanted(around)
    for path, _, owner in wanted:
        _refuse_others(path, owner)
    for path, mode, owner in wanted:
        if _wrong(path, mode, owner):
            make_directory(path, mode, owner)


def _refuse_others(path: Path, owner: Owner) -> None:
    """:raises SetupTrouble: there is something of somebody else's, which is not taken from them."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(found.st_mode):
        raise SetupTrouble(f"{path} is no directory", f"Move it away and run setup again:\nmv {path} {path}.old")
    if found.st_uid != owner.uid and any(path.iterdir()):
        mend = "Name an empty directory, or one that is not there yet, with --config or --data."
        mend += f"\nOr, if all of it is to be the server's: chown -R {owner.uid}:{owner.gid} {path}"
        raise SetupTrouble(f"{path} belongs to {_name(found.st_uid)}, and there is something in it", mend)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


ITEM = SetupItem(
    NAME,
    _look,
    _do,
    needs=("system-user",),
    explained="Nobody but the server can look into its data directory. Keys can be read by it and are kept by root.",
)
