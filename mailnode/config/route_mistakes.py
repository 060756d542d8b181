"""Mistakes in the ways mail leaves by that only show between keys, between routes, or in the files they name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mailnode.config.routes import NextHop, Route, Smarthost

Mistake = tuple[str, str]  # (key, what is wrong)
LMTP_NEVER_ON = 25  # RFC 2033 5


def route_mistakes(ways: list[tuple[str, Route | Smarthost]]) -> list[str]:
    """Return all mistakes. :param ways: with their keys, in the order in which they are asked."""
    mistakes = []
    earlier: dict[str, tuple[str, Route | Smarthost]] = {}
    for where, one in ways:
        mistakes += [f"{where}.{key}: {what}" for key, what in _mistakes(one)]
        queued_under = _queued_under(one)
        if queued_under:
            place, other = earlier.setdefault(queued_under, (where, one))
            if _way(other) != _way(one):
                key, same = ("host", "the same server") if one.host else ("name", "the same name")
                mistakes.append(f"{where}.{key}: {same} as {place}, with another login, tls, source or limit")
    return mistakes


def read_secret(path: Path) -> str:
    """Return the first line of a file that holds a password. :raises OSError, UnicodeDecodeError:"""
    with path.open("rb") as file:
        return file.read(4096).split(b"\n", 1)[0].rstrip(b"\r").decode("utf-8")


def _mistakes(one: Route | Smarthost) -> Iterator[Mistake]:
    yield from _login_mistakes(one)
    yield from _source_mistakes(one)
    yield from _proxy_mistakes(one)
    if one.protocol == "lmtp" and one.port == LMTP_NEVER_ON:
        yield "port", "LMTP is never spoken on port 25; 24 is usual"
    if isinstance(one, Route):
        yield from _socket_mistakes(one)
        is_fallback = one.after_attempts or one.when_reply
        if not one.domains and not one.senders and not one.accounts and not is_fallback:
            yield "domains", "is required, or senders, or accounts"
        bounded = one.concurrency or one.messages_per_minute or one.messages_per_hour
        if not one.host and one.socket is None and not one.name and (one.source or one.proxy or bounded or is_fallback):
            yield "name", "is required without a host where there is a source, a proxy, a limit or a condition"


def _login_mistakes(server: NextHop) -> Iterator[Mistake]:
    if bool(server.username) != (server.password_file is not None):
        yield "username", "username and password_file belong together"
    elif server.username and server.tls in ("none", "opportunistic"):
        yield "tls", 'a password is not sent without TLS: "required", "verified" or "implicit"'
    elif server.password_file is not None:
        yield from _file_mistakes("password_file", server.password_file)


def _source_mistakes(server: NextHop) -> Iterator[Mistake]:
    if len({":" in source for source in server.source}) < len(server.source):
        yield "source", "two addresses of one family"
    if server.source and server.proxy:
        yield "source", "not with a proxy, which connects from its own address"


def _proxy_mistakes(server: NextHop) -> Iterator[Mistake]:
    if bool(server.proxy_username) != (server.proxy_password_file is not None):
        yield "proxy_username", "proxy_username and proxy_password_file belong together"
    elif server.proxy_username and not server.proxy:
        yield "proxy_username", "only with a proxy"
    elif server.proxy_password_file is not None:
        yield from _file_mistakes("proxy_password_file", server.proxy_password_file)


def _socket_mistakes(route: Route) -> Iterator[Mistake]:
    if route.socket is None:
        return
    if route.protocol != "lmtp":
        yield "protocol", 'should be "lmtp" with a socket'
    for key in ("host", "port", "tls", "username", "source", "proxy"):
        if key in route.model_fields_set:
            yield key, "not with a socket"


def _file_mistakes(key: str, path: Path) -> Iterator[Mistake]:
    try:
        if not read_secret(path):
            yield key, f"{path}: its first line is empty"
    except (OSError, UnicodeDecodeError) as error:
        yield key, f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}"


def _queued_under(one: Route | Smarthost) -> str:
    """Return what stands for a way by itself, whatever the domain; "" where nothing does."""
    name, socket = (one.name, one.socket) if isinstance(one, Route) else ("", None)
    server = f"unix:{socket}" if socket is not None else f"{one.host}:{one.port}" if one.host else ""
    return f"{name}/{server}" if name else server


def _way(server: NextHop) -> dict[str, object]:
    """Return all that says how mail gets to a server."""
    return server.model_dump(include=set(NextHop.model_fields))
