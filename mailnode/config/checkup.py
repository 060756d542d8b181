"""What a check says beyond mistakes of the file: what the serving user may read and write, and what is allowed but
seldom meant."""

from __future__ import annotations

import json
import os
import pwd
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TypeVar

from mailnode.config.demo import certificate_files
from mailnode.config.endpoints import reached_locally, tcp_port
from mailnode.config.fields import Network
from mailnode.config.schema import WITH_LOGIN, Config, Tls, TlsName
from mailnode.config.server_scripts import read_server_scripts
from mailnode.errors import ConfigurationError

T = TypeVar("T")

MAX_LOOKED_AT = 1000  # entries of the data directory

_MAIL_FILE = re.compile(r"mail-([0-9]{2})\.db\Z")


@dataclass(frozen=True, slots=True)
class User:
    """Who serves. ``starts_as_root``: what is read and opened at the start is so by root, as with ``twistd --uid``."""

    name: str
    uid: int
    gid: int
    starts_as_root: bool = False


def present_user() -> User:
    """Return who runs this."""
    return User(_name(os.geteuid()), os.geteuid(), os.getegid())


def serving_user(config: Config, name: str = "") -> User:
    """Return who will serve: the one of that name; without a name, when root asks, the owner of the data directory; else
    who runs this. :raises ConfigurationError: no such user."""
    if name:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            raise ConfigurationError([f"{name}: no such user"]) from None
        return User(entry.pw_name, entry.pw_uid, entry.pw_gid)
    ours = present_user()
    try:
        owner = config.server.data.stat()
    except OSError:
        return ours
    return User(_name(owner.st_uid), owner.st_uid, owner.st_gid) if ours.uid == 0 and owner.st_uid else ours


def check_up(config: Config, user: User, file: Path | None = None, log: Path | None = None) -> list[str]:
    """Return warnings. :param file: the configuration's. :param log: the file the log goes to, if it is one.

    :raises ConfigurationError: what the user cannot read or write but must.
    """
    looked: list[tuple[bool, str]] = as_user(user, lambda: list(_access(config, user, file, log)))
    mistakes = [text for fatal, text in looked if fatal] + as_user(user, lambda: _script_mistakes(config))
    if mistakes:
        raise ConfigurationError(mistakes)
    return [*(text for _, text in looked), *warnings(config)]


def _script_mistakes(config: Config) -> list[str]:
    try:
        read_server_scripts(config)
    except ConfigurationError as error:
        return list(error.mistakes)
    return []


# Access


def _access(config: Config, user: User, file: Path | None, log: Path | None) -> Iterator[tuple[bool, str]]:
    """Yield (whether it keeps the server from serving, what is wrong)."""
    data = config.server.data
    for path in (data, *_inside(data)):
        if wrong := _cannot_write(path):
            yield True, f"server.data: {path}: {wrong} by the user {user.name}"
    if wrong := _laid_out_otherwise(config):
        yield True, f"server.partitions: {wrong}"
    if wrong := _no_driver(config):
        yield True, f"store.url: {wrong}"
    if wrong := _no_jose(config):
        yield True, f"auth.oauth: {wrong}"
    if wrong := _no_acme(config):
        yield True, f"acme: {wrong}"
    for key, given in _read_later(config):
        if given is not None and (wrong := _cannot_read(given)):
            yield True, f"{key}: {given}: {wrong} by the user {user.name}"
    made = () if file is not None else certificate_files(data)  # the demonstration's first start makes them
    at_start = "; read by root at the start, but renewed ones will not be taken over" if user.starts_as_root else ""
    if config.tls is not None:
        pairs: list[tuple[str, Tls | TlsName]] = [("tls", config.tls)]
        pairs += [(f"tls.name[{index}]", name) for index, name in enumerate(config.tls.name)]
        for key, pair in pairs:
            for part, path in (("certificate", pair.certificate), ("key", pair.key)):
                if (wrong := _cannot_read(path)) and (path not in made or path.exists()):
                    yield not at_start, f"{key}.{part}: {path}: {wrong} by the user {user.name}{at_start}"
    if file is not None and (wrong := _cannot_read(file)):
        again = "; read by root at the start, but a reload will not work" if user.starts_as_root else ""
        yield not again, f"{file}: {wrong} by the user {user.name}{again}"
    if log is not None and (wrong := _cannot_write(log)):
        again = "; opened by root at the start, but not again after it was rotated" if user.starts_as_root else ""
        yield not again, f"log: {log}: {wrong} by the user {user.name}{again}"


def _read_later(config: Config) -> Iterator[tuple[str, Path | None]]:
    """Yield the files that the server reads with the rights of its user, with their keys; None where a key names none."""
    for key, server in config.queue.next_hops():
        yield f"{key}.password_file", server.password_file
        yield f"{key}.proxy_password_file", server.proxy_password_file
    yield "auth.client_ca", config.auth.client_ca
    if config.acme is not None:
        yield "acme.eab_key_file", config.acme.eab_key_file
        yield "acme.ca_file", config.acme.ca_file
        for index, zone in enumerate(config.acme.zone):
            yield f"acme.zone[{index}].key_file", zone.key_file
    if config.auth.oauth is not None:
        yield "auth.oauth.keys_file", config.auth.oauth.keys_file
        yield "auth.oauth.client_secret_file", config.auth.oauth.client_secret_file


def _inside(data: Path) -> list[Path]:
    try:
        with os.scandir(data) as entries:
            kept = [data / entry.name for _, entry in zip(range(MAX_LOOKED_AT), entries, strict=False)]
    except OSError:
        return []  # not there yet; or not to be read, which is said of the directory itself
    return sorted(path for path in kept if path.is_file() or path.is_dir())


def _cannot_read(path: Path) -> str:
    try:
        path.stat()
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return "" if os.access(path, os.R_OK, effective_ids=True) else "cannot be read"


def _cannot_write(path: Path) -> str:
    """Return what keeps a file or directory from being read and written, or from being made; "" for nothing."""
    try:
        inside = os.X_OK if path.is_dir() else 0
        path.stat()
    except FileNotFoundError:
        above = next(parent for parent in path.parents if parent.exists())
        can = above.is_dir() and os.access(above, os.W_OK | os.X_OK, effective_ids=True)
        return "" if can else f"cannot be made in {above}"
    except OSError as error:
        return f"cannot be reached ({error.strerror})"
    return "" if os.access(path, os.R_OK | os.W_OK | inside, effective_ids=True) else "cannot be read and written"


def as_user(user: User, look: Callable[[], list[T]]) -> list[T]:
    """Return what a function returns that is run with a user's rights, in a process of its own; its result is plain.

    :raises ConfigurationError: nobody but root, or that user, can."""
    if user.uid == os.geteuid():
        return look()
    if os.geteuid() != 0:
        raise ConfigurationError([f"only root, or the user {user.name}, can look with the rights of {user.name}"])
    reading, writing = os.pipe()
    # Ctrl-C is for the parent alone, and after the fork: what the interpreter does around one loses an interrupt, and the child
    # ends what it has begun.
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    child = os.fork()
    if child != 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
    else:
        try:
            os.initgroups(user.name, user.gid)
            os.setgid(user.gid)
            os.setuid(user.uid)
            with os.fdopen(writing, "w") as answer:
                json.dump(look(), answer)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    if not text:
        raise ConfigurationError([f"cannot look with the rights of the user {user.name}"])
    found: list[T] = json.loads(text)
    return found


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _laid_out_otherwise(config: Config) -> str:
    """Return why a start would refuse the number of partitions, or "", as far as the names of the files tell."""
    if config.store.url != "sqlite:":
        return ""
    try:
        numbers = [int(found[1]) for name in os.listdir(config.server.data) if (found := _MAIL_FILE.match(name))]
    except OSError:
        return ""  # not there yet, or said already
    if not numbers or max(numbers) + 1 == config.server.partitions:
        return ""
    return f"the data was laid out with {max(numbers) + 1}, which cannot be changed to {config.server.partitions}"


def _no_driver(config: Config) -> str:
    """Return why there would be no way to the database, or "", as far as what is installed tells."""
    if config.store.url == "sqlite:":
        return ""
    return _missing("PostgreSQL needs mailnode[postgres]", "psycopg", "psycopg_pool")


def _no_jose(config: Config) -> str:
    """Return why signed tokens could not be read, or ""."""
    if config.auth.oauth is None or config.auth.oauth.introspection_url:
        return ""
    return _missing("signed tokens need mailnode[oauth]", "joserfc.jwt")


def _no_acme(config: Config) -> str:
    """Return why no certificate could be got, or ""."""
    return "" if config.acme is None else _missing("certificates from an authority need mailnode[acme]", "acme.client")


def _missing(needs: str, *modules: str) -> str:
    try:
        for name in modules:
            import_module(name)
    except ImportError as error:
        return f"{needs}: {error}"
    return ""


# Allowed, but seldom meant


def warnings(config: Config) -> list[str]:
    """Return what of a configuration is probably not meant: an open relay, a listener nobody can log in on,
    metrics for everybody, guesses that nothing holds up, a check without those it stands on, or asked twice, a score
    that nothing reaches."""
    found = []
    for index, listener in enumerate(config.listener):
        key = f"listener[{index}]"
        if listener.protocol == "managesieve" and not config.sieve.enabled:
            found.append(f"{key}: nobody can change filters there: they are switched off ([sieve] enabled)")
        if listener.protocol in WITH_LOGIN and listener.tls == "none" and not listener.plain_login:
            found.append(
                f"{key}: nobody can log in there: it has neither TLS (tls) nor logins without it (plain_login)"
            )
        more_than_policies = listener.protocol == "http" and not set(listener.pages) <= {"mta-sts", "clients"}
        if more_than_policies and listener.tls == "implicit" and not reached_locally(listener.endpoint):
            found.append(
                f'{key}.pages: whoever reaches it sees /health and /metrics, unless it is ["mta-sts", "clients"]'
            )
        for network in listener.relay_from:
            if wide := _wide(network):
                found.append(
                    f"{key}.relay_from: {network}: {wide}: they may send to any domain without a login (open relay)"
                )
        for name in ("xclient_from", "proxy_from"):
            for network in getattr(listener, name):
                if wide := _wide(network):
                    found.append(f"{key}.{name}: {network}: {wide}: they may say that they are any other client")
    for network in config.auth.no_throttle_for:
        if wide := _wide(network):
            found.append(f"auth.no_throttle_for: {network}: {wide}: they may guess passwords without being held up")
    return found + _unproved(config) + _missing_checks(config) + _double_checks(config) + _unreached(config)


def _unproved(config: Config) -> list[str]:
    """An authority comes to port 80, or 443, and to no other."""
    acme = config.acme
    if acme is None or acme.challenge == "dns-01" or acme.webroot is not None:
        return []
    number, tls = (80, "none") if acme.challenge == "http-01" else (443, "implicit")
    for listener in config.listener:
        right = listener.tls == tls and (tls == "implicit" or listener.protocol == "http")
        if right and tcp_port(listener.endpoint) in (number, 0):
            return []
    what = "a listener for http without TLS" if number == 80 else 'a listener with tls = "implicit"'
    return [f"acme.challenge: {acme.challenge} needs {what} that is reached at port {number}; here none is"]


def _missing_checks(config: Config) -> list[str]:
    """DMARC goes by what SPF and DKIM found before; without one of them nothing follows from a failure."""
    asked = [entry.name for _, entry in config.policies()]
    if "dmarc" not in asked:
        return []
    missing = [name for name in ("spf", "dkim") if name not in asked[: asked.index("dmarc")]]
    return [f"judgement.checks: dmarc has no effect without {' and '.join(missing)} before it"] if missing else []


def _double_checks(config: Config) -> list[str]:
    """Only the first entry of a policy stands in the place that ``checks`` gives it."""
    names = [entry.name for entry in config.policy]
    return [
        f"policy[{index}]: {name} stands in judgement.checks, and in more than one [[policy]]: it is asked twice"
        for index, name in enumerate(names)
        if name in config.judgement.checks and name in names[:index]
    ]


def _unreached(config: Config) -> list[str]:
    junk, refused = config.judgement.junk_at, config.judgement.refuse_at
    if not refused or junk < refused:
        return []
    return [f"judgement.junk_at: no score leads into the junk mailbox: from refuse_at, {refused:g}, on all is refused"]


def _wide(network: Network) -> str:
    """Return who the clients of a network are, unless they are few or of this site."""
    if network.prefixlen == 0:
        return "everybody on the Internet"
    if network.is_private or network.is_loopback or network.is_link_local or network.num_addresses == 1:
        return ""
    return "clients with public addresses"
