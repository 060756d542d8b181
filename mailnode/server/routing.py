"""The routing table a configuration asks for. Sees ``config`` and ``delivery.routing``."""

from __future__ import annotations

from mailnode.config.loader import read_secret
from mailnode.config.routes import Route, Smarthost
from mailnode.config.schema import Queue
from mailnode.delivery import routing
from mailnode.delivery.routing import EVERYBODY, NextHop, RoutingTable, Way


def routing_table(queue: Queue) -> RoutingTable:
    """Return the table, with passwords read from their files. Blocks. :raises OSError, UnicodeDecodeError:"""
    routes = [
        routing.Route(
            one.domains or (EVERYBODY,),
            Way(_next_hop(one), one.name, tuple(one.source)),
            one.senders or (EVERYBODY,),
        )
        for one in queue.route
    ]
    if queue.smarthost is not None:
        routes.append(
            routing.Route((EVERYBODY,), Way(_next_hop(queue.smarthost), sources=tuple(queue.smarthost.source)))
        )
    return RoutingTable(routes)


def _next_hop(wanted: Route | Smarthost) -> NextHop | None:
    if not wanted.host:
        return None
    password = read_secret(wanted.password_file) if wanted.password_file is not None else ""
    return NextHop(wanted.host, wanted.port, wanted.tls, wanted.username, password)
