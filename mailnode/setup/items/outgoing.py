"""The way out: to other servers' port 25, or where that is blocked through a smarthost, so that mail leaves either way."""

from __future__ import annotations

from pathlib import Path

from mailnode.config.file import ConfigTable
from mailnode.interfaces.setup import SmarthostLogin
from mailnode.setup.answers import Question, yes_or_no
from mailnode.setup.files import Owner
from mailnode.setup.items.service import is_running
from mailnode.setup.items.system_user import serving_owner
from mailnode.setup.row import AskedChecks, SetupItem, Surrounded
from mailnode.setup.trouble import SetupTrouble
from mailnode.setup.words import ADDRESSES, HOST_NAME
from mailnode.values.item import Item, ItemState

NAME = "outgoing"
CHECK = "port-25-outwards"
IMPLICIT_PORT = "465"
NOBODY = "none"  # the answer to whom to log in as, where nobody does


def _port(text: str) -> str:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 65536):
        raise ValueError(f"{text}: should be a port, from 1 to 65535")
    return text


def _host(text: str) -> str:
    if not text.strip() or any(c.isspace() for c in text.strip()):
        raise ValueError("should be the name of a host")
    return text.strip()


SMARTHOST = Question("smarthost", "The host of the provider that takes your outgoing mail (smarthost)", _host)
PORT = Question("smarthost_port", "Its port", _port)
USERNAME = Question("smarthost_username", "The login there, or none")
PASSWORD = Question("smarthost_password", "The password there", secret=True)
DIRECT = Question("direct", "Send to other servers directly, without a smarthost (yes or no)", yes_or_no)


def password_file(around: Surrounded) -> Path:
    """Return the file with the password of the smarthost."""
    return around.places.config.parent / "smarthost-password"


def smarthost_table(around: Surrounded) -> ConfigTable | None:
    """Return ``[queue.smarthost]`` as the configuration has it; None: mail goes to other servers directly."""
    host = around.answers.known(SMARTHOST)
    if host is None:
        return None
    port = around.answers.of(PORT, "587", sure=True)
    table: ConfigTable = {"host": host, "port": int(port), "tls": _tls(port)}
    username = around.answers.of(USERNAME, NOBODY, sure=True)
    if username != NOBODY:
        table |= {"username": username, "password_file": str(password_file(around))}
    return table


def _tls(port: str) -> str:
    return "implicit" if port == IMPLICIT_PORT else "verified"


def asked(around: Surrounded, running: bool) -> AskedChecks:
    """Return what checks are asked. :param running: whether the server is up."""
    smarthost = around.answers.known(SMARTHOST)
    addresses = tuple(around.answers.of(ADDRESSES).split())
    return AskedChecks(around.answers.of(HOST_NAME), addresses, running, (smarthost,) if smarthost else ())


def _look(around: Surrounded) -> Item:
    if around.answers.known(SMARTHOST) is not None:
        return _look_at_smarthost(around)
    if around.answers.known(DIRECT) == "yes":
        return Item(NAME, ItemState.DONE, "to other servers directly, as was answered")
    blocked = _blocked(around)
    if not blocked:
        return Item(NAME, ItemState.DONE, "to other servers directly: their port 25 is reached")
    mend = (
        "Ask your provider to open port 25 outwards and run setup again, or answer smarthost, smarthost_port,\n"
        'smarthost_username and smarthost_password; direct = "yes" goes on without either.'
    )
    return Item(NAME, ItemState.TO_DO, f"port 25 of other servers is not reached: {blocked}", mend)


def _blocked(around: Surrounded) -> str:
    """Return why mail does not leave to port 25; "": it does, or that could not be tried."""
    for item in around.checked(asked(around, is_running(around))):
        if item.name == CHECK and item.state in (ItemState.FAILED, ItemState.TO_DO):
            return item.seen
    return ""


def _look_at_smarthost(around: Surrounded) -> Item:
    table = smarthost_table(around) or {}
    username, password = table.get("username", ""), ""
    if username:
        try:
            password = password_file(around).read_text("utf-8").partition("\n")[0]
        except FileNotFoundError:
            return Item(NAME, ItemState.TO_DO, f"the password of {username} at {table['host']} is not known yet")
    trouble = around.machine.try_login(SmarthostLogin(table["host"], table["port"], table["tls"], username, password))
    where = f"{table['host']}, port {table['port']}"
    if trouble:
        mend = (
            f"Put the right password into {password_file(around)}, or answer smarthost_... anew, and run setup again."
        )
        return Item(NAME, ItemState.FAILED, f"through {where}, where it did not work: {trouble}", mend)
    return Item(NAME, ItemState.DONE, f"through {where}, which takes {'the login' if username else 'the connection'}")


def _do(around: Surrounded) -> None:
    answers = around.answers
    host = answers.of(SMARTHOST)
    port = answers.of(PORT, "587", optional=True)
    username = answers.of(USERNAME, NOBODY, optional=True)
    if username == NOBODY:
        return
    password = answers.of(PASSWORD)
    trouble = around.machine.try_login(SmarthostLogin(host, int(port), _tls(port), username, password))
    if trouble:
        for question in (SMARTHOST, PORT, USERNAME, PASSWORD):
            answers.forget(question)
        raise SetupTrouble(f"the smarthost {host} cannot be used: {trouble}", "Run setup again with other answers.")
    owner = serving_owner(around)
    keeper = Owner(0 if around.is_root else owner.uid, owner.gid)
    around.write(password_file(around), f"{password}\n", 0o640, keeper)


ITEM = SetupItem(
    NAME,
    _look,
    _do,
    needs=("name", "directories"),
    explained="Many providers block port 25 outwards against spam. Then mail goes through a server that takes it with a login: a "
    "smarthost, of the provider or of a mail service.",
)
