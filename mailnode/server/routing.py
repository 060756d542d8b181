"""The routing table a configuration asks for. Sees ``config``, ``delivery.routing``, ``interfaces`` and ``values``."""

from __future__ import annotations

import re
from pathlib import Path

from mailnode.config.fields import split_address
from mailnode.config.route_mistakes import read_secret
from mailnode.config.routes import Route, Smarthost
from mailnode.config.schema import Queue
from mailnode.delivery import routing
from mailnode.delivery.routing import EVERYBODY, NextHop, RoutingTable, Way
from mailnode.interfaces.outbound import Proxy
from mailnode.values.queue import DestinationLimits


def routing_table(queue: Queue) -> RoutingTable:
    """Return the table, with passwords read from their files. Blocks. :raises OSError, UnicodeDecodeError:"""
    routes = [_route(one) for one in queue.route]
    if queue.smarthost is not None:
        routes.append(routing.Route((EVERYBODY,), _way(queue.smarthost)))
    return RoutingTable(routes)


def _route(wanted: Route) -> routing.Route:
    return routing.Route(
        wanted.domains or (EVERYBODY,),
        _way(wanted, wanted.name),
        wanted.senders or (EVERYBODY,),
        wanted.after_attempts,
        re.compile(wanted.when_reply, re.IGNORECASE) if wanted.when_reply else None,
        wanted.accounts or (EVERYBODY,),
    )


def _way(wanted: Route | Smarthost, name: str = "") -> Way:
    limits = DestinationLimits(wanted.concurrency, wanted.messages_per_minute, wanted.messages_per_hour)
    return Way(_next_hop(wanted), name, tuple(wanted.source), _proxy(wanted), limits)


def _next_hop(wanted: Route | Smarthost) -> NextHop | None:
    if isinstance(wanted, Route) and wanted.socket is not None:
        return NextHop("", lmtp=True, socket=str(wanted.socket))
    if not wanted.host:
        return None
    password = _secret(wanted.password_file)
    return NextHop(wanted.host, wanted.port, wanted.tls, wanted.username, password, wanted.protocol == "lmtp")


def _proxy(wanted: Route | Smarthost) -> Proxy | None:
    if not wanted.proxy:
        return None
    return Proxy(*split_address(wanted.proxy, 1080), wanted.proxy_username, _secret(wanted.proxy_password_file))


def _secret(path: Path | None) -> str:
    return "" if path is None else read_secret(path)
