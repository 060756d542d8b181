"""The routing table a configuration asks for. Sees ``config``, ``delivery.routing`` and ``values``."""

from __future__ import annotations

from mailnode.config.loader import read_secret
from mailnode.config.routes import Route, Smarthost
from mailnode.config.schema import Queue
from mailnode.delivery import routing
from mailnode.delivery.routing import EVERYBODY, NextHop, RoutingTable, Way
from mailnode.values.queue import DestinationLimits


def routing_table(queue: Queue) -> RoutingTable:
    """Return the table, with passwords read from their files. Blocks. :raises OSError, UnicodeDecodeError:"""
    routes = [
        routing.Route(one.domains or (EVERYBODY,), _way(one, one.name), one.senders or (EVERYBODY,))
        for one in queue.route
    ]
    if queue.smarthost is not None:
        routes.append(routing.Route((EVERYBODY,), _way(queue.smarthost)))
    return RoutingTable(routes)


def _way(wanted: Route | Smarthost, name: str = "") -> Way:
    limits = DestinationLimits(wanted.concurrency, wanted.messages_per_minute, wanted.messages_per_hour)
    return Way(_next_hop(wanted), name, tuple(wanted.source), limits)


def _next_hop(wanted: Route | Smarthost) -> NextHop | None:
    if not wanted.host:
        return None
    password = read_secret(wanted.password_file) if wanted.password_file is not None else ""
    return NextHop(wanted.host, wanted.port, wanted.tls, wanted.username, password)
