"""A certificate to begin with: the person's own, or one that nobody vouches for until a better one is there."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from enum import Enum, auto
from pathlib import Path
from urllib.parse import urlsplit

from mailnode.config.file import ConfigTable
from mailnode.setup.answers import Question, yes_or_no
from mailnode.setup.items.system_user import serving_owner
from mailnode.setup.row import SetupItem, Surrounded
from mailnode.setup.trouble import SetupTrouble
from mailnode.setup.words import HOST_NAME
from mailnode.values.address import Address
from mailnode.values.item import Item, ItemState

NAME = "certificate-files"
_ASCII_MAILBOX = re.compile(r"[A-Za-z0-9.+_-]+@[A-Za-z0-9.-]+")
KEY_MODE = 0o640  # for root, and the group of the server to read


def _url(text: str) -> str:
    if not text.strip().startswith("https://"):
        raise ValueError(f"{text}: should be a URL that begins with https://")
    return text.strip()


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
ACME = Question(
    "acme",
    "Let the server get certificates by itself from Let's Encrypt, and agree to its terms (letsencrypt.org/repository)",
    yes_or_no,
)
DIRECTORY = Question("acme_directory", "The ACME directory of another authority, a URL", _url)
AUTHORITY = Question("acme_ca_file", "The PEM file of who vouches for that authority's own web server", _file)
QUESTIONS = (CERTIFICATE, KEY, ACME, DIRECTORY, AUTHORITY)


class Source(Enum):
    """Where the certificate comes from."""

    OWN = auto()  # files of the person's
    AUTHORITY = auto()  # the server gets it by itself (ACME)
    SELF_SIGNED = auto()


def source(around: Surrounded) -> Source:
    """Return where it comes from, as far as that was answered."""
    if around.answers.known(CERTIFICATE) is not None or around.answers.known(KEY) is not None:
        return Source.OWN
    return Source.AUTHORITY if around.answers.known(ACME) == "yes" else Source.SELF_SIGNED


def acme_table(around: Surrounded, names: Sequence[str], webroot: Path | None) -> ConfigTable:
    """Return ``[acme]`` as the configuration has it. :param names: beside the host name.
    :param webroot: that another web server shows; None: a listener of this one shows proofs."""
    table: ConfigTable = {"terms_agreed": True, "contact": _contact(around.first), "names": list(names)}
    if webroot is not None:
        table["webroot"] = str(webroot)
    for question, key in ((DIRECTORY, "directory"), (AUTHORITY, "ca_file")):
        answer = around.answers.known(question)
        if answer is not None:
            table[key] = answer
    return table


def _contact(address: Address) -> str:
    """Return an address as authorities take it: in ASCII, the domain as in DNS; "" where it cannot be said so: none is told."""
    contact = f"{address.local}@{address.domain_key}"
    return contact if _ASCII_MAILBOX.fullmatch(contact) else ""


def certificate_files(around: Surrounded) -> tuple[Path, Path]:
    """Return certificate and key in files: one's own, the one that is made to begin with, or where the server puts what it gets.

    :raises SetupTrouble: one's own was named without its key."""
    own, key = around.answers.known(CERTIFICATE), around.answers.known(KEY)
    if (own is None) != (key is None):
        lacking = KEY if key is None else CERTIFICATE
        raise SetupTrouble(
            "one of certificate_file and key_file is answered without the other", f'{lacking.name} = "..."'
        )
    if own is not None and key is not None:
        return Path(own), Path(key)
    if source(around) is Source.AUTHORITY:
        issued = around.places.data / "acme/ecdsa.pem"  # with its key
        return issued, issued
    return around.places.tls / "self-signed.pem", around.places.tls / "self-signed.key"


def _look(around: Surrounded) -> Item:
    certificate, key = certificate_files(around)
    if source(around) is Source.OWN:
        trouble = around.machine.certificate_trouble(certificate, key, around.answers.of(HOST_NAME))
        if trouble:
            mend = "Put a valid one in its place, or answer certificate_file and key_file anew, and run setup again."
            return Item(NAME, ItemState.FAILED, f"{certificate}: {trouble}", mend)
        return Item(NAME, ItemState.DONE, f"your own, {certificate}")
    if around.answers.known(ACME) is None and around.answers.can_ask:
        return Item(NAME, ItemState.TO_DO, "where the certificate comes from is to be settled")
    if source(around) is Source.AUTHORITY:
        if not around.machine.has_module("acme.client"):
            mend = f"In the folder of the sources:\n{around.places.programs}/pip install '.[acme]'"
            return Item(NAME, ItemState.FAILED, "the library that speaks with authorities is not installed", mend)
        return Item(NAME, ItemState.DONE, f"none: the server gets one by itself from {authority_name(around)}")
    if not (certificate.exists() and key.exists()):
        return Item(NAME, ItemState.TO_DO, "a certificate to begin with is to be made")
    if not _is_given(around, key):
        return Item(NAME, ItemState.TO_DO, f"{key} is to be made readable for the server")
    return Item(NAME, ItemState.DONE, f"{certificate}, which nobody vouches for, until there is a better one")


def authority_name(around: Surrounded) -> str:
    """Return how the authority is called: by the host of its directory."""
    directory = around.answers.known(DIRECTORY)
    return "Let's Encrypt" if directory is None else urlsplit(directory).hostname or directory


def _is_given(around: Surrounded, key: Path) -> bool:
    found, owner = key.stat(), serving_owner(around)
    return found.st_gid == owner.gid and stat.S_IMODE(found.st_mode) == KEY_MODE


def _do(around: Surrounded) -> None:
    if around.answers.can_ask:  # nobody else agrees to terms
        around.answers.of(ACME, "yes")
    if source(around) is Source.AUTHORITY:
        return
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
