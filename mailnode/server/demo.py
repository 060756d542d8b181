"""The demonstration: its certificate, its two accounts with random passwords, and the screen that tells about them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from mailnode.admin.administration import Administration
from mailnode.admin.dispatch import run
from mailnode.admin.operations import OperationFailed, Reason
from mailnode.config.demo import ACCOUNTS, ADDRESS, DOMAIN, DemoListener, certificate_files, demo_listeners
from mailnode.durable import write_whole
from mailnode.errors import ConfigurationError
from mailnode.net.listeners import PORT_TAKEN
from mailnode.net.self_signed import write_self_signed
from mailnode.store.disk.directories import make_directory


class ShownAccount(TypedDict):
    """One account of the demonstration."""

    address: str
    password: str


class Shown(TypedDict):
    """What the screen shows, and ``demo.json`` has."""

    accounts: list[ShownAccount]
    listeners: list[DemoListener]


FILE = "demo.json"  # in the data directory, mode 0600: clear passwords
LOG = "mailnode.log"  # in the data directory: the terminal has its one screen, and nothing else
TAKEN = (
    "another program has the ports, perhaps another demonstration: --port-offset N (after the word mailnode) adds N to "
    "every port"
)

_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


def prepare_certificate(data: Path, now: float) -> None:
    """Make the certificate if there is none. Blocks. :raises OSError:"""
    certificate, key = certificate_files(data)
    if not (certificate.exists() and key.exists()):
        make_directory(data)
        write_self_signed(certificate, key, [f"mail.{DOMAIN}", DOMAIN, "localhost", ADDRESS], now)


def prepare_log(data: Path) -> Path:
    """Return the file the log goes to, whose directory is there. :raises OSError:"""
    make_directory(data)
    return data / LOG


def in_words(mistakes: Sequence[str]) -> list[str]:
    """Return why it cannot start, as it concerns who tries it."""
    return [TAKEN if mistake == PORT_TAKEN else mistake for mistake in mistakes]


async def prepare_accounts(admin: Administration, data: Path, port_offset: int) -> Shown:
    """Make the accounts that are not there yet; remember their passwords; return what the screen shows.

    An account whose password is unknown (the file was lost) gets a new one. :raises ConfigurationError: it cannot be done.
    """
    try:
        return await _prepare_accounts(admin, data, port_offset)
    except OperationFailed as error:
        raise ConfigurationError([error.text]) from error


async def _prepare_accounts(admin: Administration, data: Path, port_offset: int) -> Shown:
    known = recall(data)
    passwords = {entry["address"]: entry["password"] for entry in (known["accounts"] if known else ())}
    for name in ACCOUNTS:
        address = f"{name}@{DOMAIN}"
        if address in passwords and await _exists(admin, address):
            continue
        password = passwords.setdefault(address, _password())
        # Remembered first: a crash in between leaves an account that the next start finds and gives this password.
        _remember(data, passwords, port_offset)
        if await _exists(admin, address):
            await run(admin, "account.password", {"address": address, "password": password})
        else:
            await run(admin, "account.add", {"address": address, "password": password})
    return _remember(data, passwords, port_offset)


def recall(data: Path) -> Shown | None:
    """Return what was remembered in a data directory, or None. :raises OperationFailed: it cannot be read."""
    try:
        shown: Shown = json.loads((data / FILE).read_bytes())
        return shown
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise OperationFailed(
            Reason.FAILED, f"{data / FILE}: {getattr(error, 'strerror', None) or 'damaged'}"
        ) from None


def screen(shown: Shown, data: Path) -> str:
    """Return one screen: where it listens, who may log in, a line that sends and one that reads, where the log is."""
    first, second = shown["accounts"][0], shown["accounts"][-1]
    ports = {(entry["protocol"], entry["tls"]): entry["port"] for entry in shown["listeners"]}
    lines = ["mailnode runs on this machine only, and mail for other domains is refused.", ""]
    lines += [
        f"  {entry['protocol']:<11} {ADDRESS}:{entry['port']:<6} {_TLS[entry['tls']]}" for entry in shown["listeners"]
    ]
    lines += ["", "  account               password"]
    lines += [f"  {entry['address']:<21} {entry['password']}" for entry in shown["accounts"]]
    lines += [
        "",
        f"Send a message from {first['address']} to {second['address']} (it prints nothing when it has worked):",
        f"  curl -sSk smtps://{ADDRESS}:{ports['submission', 'implicit']} -u {first['address']}:{first['password']}"
        f" --mail-from {first['address']} --mail-rcpt {second['address']}"
        f" -H 'From: {first['address']}' -H 'To: {second['address']}' -H 'Subject: hello' -F '=It works.'",
        "Read it:",
        f"  curl -sSk 'imaps://{ADDRESS}:{ports['imap', 'implicit']}/INBOX;MAILINDEX=1'"
        f" -u {second['address']}:{second['password']}",
        "",
        f"Its log is {data / LOG}. Ctrl-C ends it.",
    ]
    return "\n".join(lines)


_TLS = {"none": "no encryption", "starttls": "STARTTLS", "implicit": "TLS, self-signed certificate"}


def _password() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(16))


async def _exists(admin: Administration, address: str) -> bool:
    try:
        await run(admin, "account.show", {"address": address})
    except OperationFailed:
        return False
    return True


def _remember(data: Path, passwords: dict[str, str], port_offset: int) -> Shown:
    shown: Shown = {
        "accounts": [{"address": address, "password": password} for address, password in passwords.items()],
        "listeners": demo_listeners(port_offset),
    }
    write_whole(data / FILE, json.dumps(shown, indent=2).encode())
    return shown
