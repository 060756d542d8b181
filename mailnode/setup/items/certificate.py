"""A certificate to begin with: the person's own, or one that nobody vouches for until a better one is there."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from mailnode.setup.answers import Question
from mailnode.setup.items.system_user import serving_owner
from mailnode.setup.row import SetupItem, Surrounded
from mailnode.setup.trouble import SetupTrouble
from mailnode.setup.words import HOST_NAME
from mailnode.values.item import Item, ItemState

NAME = "certificate-files"
KEY_MODE = 0o640  # for root, and the group of the server to read


def _file(text: str) -> str:
    path = Path(text.strip())
    if not path.is_absolute():
        raise ValueError(f"{text}: should be the full path of a file")
    if not path.is_file():
        raise ValueError(f"{text}: there is no such file")
    return str(path)


CERTIFICATE = Question(
    "certificate_file", "The PEM file with your own certificate and those between it and its root", _file
)
KEY = Question("key_file", "The PEM file with its private key", _file)


def certificate_files(around: Surrounded) -> tuple[Path, Path]:
    """Return the certificate and key that the server begins with. :raises SetupTrouble: one was named without the other."""
    own, key = around.answers.known(CERTIFICATE), around.answers.known(KEY)
    if (own is None) != (key is None):
        lacking = KEY if key is None else CERTIFICATE
        raise SetupTrouble(
            "one of certificate_file and key_file is answered without the other", f'{lacking.name} = "..."'
        )
    if own is not None and key is not None:
        return Path(own), Path(key)
    return around.places.tls / "self-signed.pem", around.places.tls / "self-signed.key"


def _look(around: Surrounded) -> Item:
    certificate, key = certificate_files(around)
    if around.answers.known(CERTIFICATE) is not None:
        trouble = around.machine.certificate_trouble(certificate, key, around.answers.of(HOST_NAME))
        if trouble:
            mend = "Put a valid one in its place, or answer certificate_file and key_file anew, and run setup again."
            return Item(NAME, ItemState.FAILED, f"{certificate}: {trouble}", mend)
        return Item(NAME, ItemState.DONE, f"your own, {certificate}")
    if not (certificate.exists() and key.exists()):
        return Item(NAME, ItemState.TO_DO, "a certificate to begin with is to be made")
    if not _is_given(around, key):
        return Item(NAME, ItemState.TO_DO, f"{key} is to be made readable for the server")
    return Item(NAME, ItemState.DONE, f"{certificate}, which nobody vouches for, until there is a better one")


def _is_given(around: Surrounded, key: Path) -> bool:
    found, owner = key.stat(), serving_owner(around)
    return found.st_gid == owner.gid and stat.S_IMODE(found.st_mode) == KEY_MODE


def _do(around: Surrounded) -> None:
    certificate, key = certificate_files(around)
    if not (certificate.exists() and key.exists()):
        around.machine.write_self_signed(certificate, key, [around.answers.of(HOST_NAME)])
    owner = serving_owner(around)
    os.chown(key, 0 if around.is_root else owner.uid, owner.gid)
    key.chmod(KEY_MODE)


ITEM = SetupItem(
    NAME,
    _look,
    _do,
    needs=("name", "directories"),
    explained="Without any certificate no password would cross the network encrypted. Other servers deliver to one that nobody "
    "vouches for; mail programs warn of it.",
)
