"""The routing table a configuration asks for. Sees ``config`` and ``delivery.routing``."""

from __future__ import annotations

from mailnode.config.loader import read_secret
from mailnode.config.schema import Queue, Route, Smarthost
from mailnode.delivery import routing
from mailnode.delivery.routing import EVERY_DOMAIN, NextHop, RoutingTable


def routing_table(queue: Queue) -> RoutingTable:
    """Return the table, with passwords read from their files. Blocks. :raises OSError, UnicodeDecodeError:"""
    routes = [routing.Route(one.domains, _next_hop(one)) for one in queue.route]
    if queue.smarthost is not None:
        routes.append(routing.Route((EVERY_DOMAIN,), _next_hop(queue.smarthost)))
    return RoutingTable(routes)


def _next_hop(wanted: Route | Smarthost) -> NextHop | None:
    if not wanted.host:
        return None
    password = read_secret(wanted.password_file) if wanted.password_file is not None else ""
    return NextHop(wanted.host, wanted.port, wanted.tls, wanted.username, password)
