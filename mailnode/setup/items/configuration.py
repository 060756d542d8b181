"""The configuration file, commented, for this machine. It is read by the loader before it is put in its place."""

from __future__ import annotations

from pathlib import Path

from mailnode.config.commented import commented
from mailnode.config.file import ConfigTable
from mailnode.config.loader import load
from mailnode.config.schema import Config
from mailnode.errors import ConfigurationError
from mailnode.setup.checking import LISTENERS
from mailnode.setup.files import Owner, holds, write
from mailnode.setup.items.certificate import Source, acme_table, certificate_files, source
from mailnode.setup.items.outgoing import smarthost_table
from mailnode.setup.items.system_user import serving_owner
from mailnode.setup.items.web_server import found_server
from mailnode.setup.row import SetupItem, Surrounded
from mailnode.setup.trouble import SetupTrouble
from mailnode.setup.web_snippets import web_hosts
from mailnode.setup.words import ADDRESSES, HOST_NAME
from mailnode.values.item import Item, ItemState

NAME = "configuration"
IPV6 = Path("/proc/net/if_inet6")  # there where the machine has IPv6
HEAD = (
    "mailnode, written by mailnode setup for this machine. Change what you like: setup leaves a changed file alone, and says "
    "what it would have in it. Every key is described in docs/configuration.rst; what stands here commented out is the "
    "default. What a change comes to: mailnode reload."
)


def wanted_table(around: Surrounded) -> ConfigTable:
    """Return the configuration of this machine. :raises AnswerNeeded: :raises SetupTrouble:"""
    host, addresses = around.answers.of(HOST_NAME), around.answers.of(ADDRESSES).split()
    table: ConfigTable = {"server": {"hostname": host, "data": str(around.places.data), "addresses": addresses}}
    anywhere = "tcp6" if IPV6.exists() else "tcp"  # tcp6 takes IPv4 too
    listeners: list[ConfigTable] = [
        {"protocol": protocol, "endpoint": f"{anywhere}:{port}", "tls": tls} for protocol, port, tls in LISTENERS
    ]
    listeners.append({"protocol": "http", "endpoint": "tcp:8080:interface=127.0.0.1"})
    if source(around) is Source.AUTHORITY:
        beside = found_server(around) is not None
        names = [name for domain in around.shown for name in web_hosts(domain)]
        table["acme"] = acme_table(around, names, around.places.webroot if beside else None)
        if beside:
            table |= {"mta_sts": {}, "published": {"clients": "yes"}}
        else:
            listeners += [
                {"protocol": "http", "endpoint": f"{anywhere}:80", "pages": []},
                {"protocol": "http", "endpoint": f"{anywhere}:443", "tls": "implicit", "pages": ["mta-sts", "clients"]},
            ]
    else:
        certificate, key = certificate_files(around)
        table["tls"] = {"certificate": str(certificate), "key": str(key)}
    table |= {"domain": [{"name": around.first.domain_key}], "listener": listeners}
    smarthost = smarthost_table(around)
    if smarthost is not None:
        table["queue"] = {"smarthost": smarthost}
    return table


def wanted_text(around: Surrounded) -> str:
    """Return the file as it should be."""
    return commented(wanted_table(around), HEAD)


def present(around: Surrounded) -> Config:
    """Return the configuration as it is. :raises ConfigurationError: every mistake in it."""
    return load(around.places.config)


def _look(around: Surrounded) -> Item:
    path = around.places.config
    if not path.exists():
        return Item(NAME, ItemState.TO_DO, f"{path} is to be written")
    if around.progress.is_ours(path):
        if holds(path, wanted_text(around)):
            return Item(NAME, ItemState.DONE, f"{path}, as setup wrote it")
        return Item(NAME, ItemState.TO_DO, f"{path} is to be written anew, with other answers than before")
    return _look_at_foreign(around, path)


def _look_at_foreign(around: Surrounded, path: Path) -> Item:
    """Look at a file that somebody has changed, or written: it is theirs."""
    try:
        found = present(around)
    except ConfigurationError as error:
        mend = f"Mend it, or move it away and run setup again:\nmv {path} {path}.old"
        return Item(NAME, ItemState.FAILED, f"{path} has mistakes: {'; '.join(error.mistakes)}", mend)
    lacking = _lacking(around, found)
    if lacking:
        return Item(NAME, ItemState.FAILED, f"{path} is not as setup wrote it, and lacks something", "\n".join(lacking))
    return Item(NAME, ItemState.DONE, f"{path}, changed by hand, which setup leaves as it is")


def _lacking(around: Surrounded, found: Config) -> list[str]:
    host = around.answers.known(HOST_NAME)
    lacking = []
    if host and found.server.hostname != host:
        lacking.append(f'hostname = "{host}"   # in [server], or answer hostname as the file has it')
    if found.server.data != around.places.data:
        lacking.append(f'data = "{around.places.data}"   # in [server], or run setup with --data {found.server.data}')
    wanted = smarthost_table(around)
    if wanted is not None and found.queue.smarthost is None:
        lacking.append(commented({"queue": {"smarthost": wanted}}, "").strip())
    return lacking


def write_anew(around: Surrounded) -> None:
    """Write it as it should be. :raises SetupTrouble: the loader refuses it. :raises OSError:"""
    text, path, owner = wanted_text(around), around.places.config, serving_owner(around)
    _try(path, text)
    keeper = Owner(0 if around.is_root else owner.uid, owner.gid)
    around.progress.remember("first", "address", str(around.first))
    around.write(path, text, 0o640, keeper)


def _try(path: Path, text: str) -> None:
    """Have the loader read it, from a file beside. :raises SetupTrouble: it is refused."""
    beside = path.with_name(f".{path.name}.tried")
    try:
        write(beside, text.encode(), 0o600)
        load(beside)
    except ConfigurationError as error:
        raise SetupTrouble(f"what was answered makes no configuration: {'; '.join(error.mistakes)}") from None
    finally:
        beside.unlink(missing_ok=True)


ITEM = SetupItem(
    NAME,
    _look,
    write_anew,
    needs=("name", "directories", "outgoing", "certificate-files"),
    explained="One file says how the server runs. A file that you changed stays yours: setup only says what it lacks.",
)
