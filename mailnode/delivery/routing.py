"""Which way mail leaves: to its domain's own servers, found by MX, or to a next hop that somebody chose.

The table is read from the top, and the first route that names a recipient's domain and the sender has the recipient. Where
it leads to is also what mail is queued under: all that one next hop takes is one destination, tried together. A route
with a name puts it in front, ``bulk/example.com``, so the same server reached in two ways is two destinations.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

from mailnode.delivery.tls_policy import LEVELS
from mailnode.errors import BadAddress
from mailnode.interfaces.outbound import VERIFIED, Proxy
from mailnode.values.address import domain_key, parse_address
from mailnode.values.envelope import TLS_REQUIRED
from mailnode.values.queue import UNLIMITED, DestinationLimits

EVERYBODY = "*"  # of domains, and of senders
NULL_SENDER = "<>"  # as a route names it

_HOST_AND_PORT = re.compile(r"(?:\[(?P<literal>[^][]+)\]|(?P<host>[^][:/]+))(?::(?P<port>[0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class NextHop:
    """One server. ``host``: a name, or an IP address. ``tls``: one of :data:`mailnode.delivery.tls_policy.LEVELS`.
    ``lmtp``: it speaks LMTP. ``socket``: the path of a Unix socket, in place of host, port and TLS.

    :raises ValueError: an unknown level, or a password that would go over an open connection.
    """

    host: str
    port: int = 587
    tls: str = "verified"
    username: str = ""
    password: str = field(default="", repr=False)
    lmtp: bool = False
    socket: str = ""

    def __post_init__(self) -> None:
        if self.tls not in LEVELS:
            raise ValueError("tls: unknown level")
        if self.username and self.tls in ("none", "opportunistic"):
            raise ValueError("tls: a next hop with a login needs required, verified or implicit")

    @property
    def destination(self) -> str:
        """What recipients are queued under. No domain has such a key: none but an address literal has a colon."""
        return f"unix:{self.socket}" if self.socket else f"{self.host.strip('[]')}:{self.port}"

    def level(self, address: str, wanted: str) -> str:
        """Return the level of TLS at one of its addresses. What was sent with REQUIRETLS crosses a network to a verified server
        only (RFC 8689 4.2.1); what is delivered by LMTP on this machine crosses none.

        :param wanted: by the message, ``tls`` of its MailOptions."""
        if self.socket:
            return "none"
        stays = self.lmtp and ip_address(address).is_loopback
        return "verified" if wanted == TLS_REQUIRED and self.tls not in VERIFIED and not stays else self.tls


@dataclass(frozen=True, slots=True)
class Way:
    """How mail leaves. ``next_hop`` None: to the domain's own servers, by MX. ``name``: of the route, "" for none.

    ``sources``: own IP addresses to connect from, one of a family; none: the system chooses. With some, a server is only
    reached at addresses of their families. ``proxy``: who connects for us. ``limits``: of all its destinations together.
    """

    next_hop: NextHop | None = None
    name: str = ""
    sources: tuple[str, ...] = ()
    proxy: Proxy | None = None
    limits: DestinationLimits = UNLIMITED

    def destination(self, domain: str) -> str:
        """Return what mail for a domain's key is queued under."""
        key = domain if self.next_hop is None else self.next_hop.destination
        return f"{self.name}/{key}" if self.name else key

    def source(self, address: str) -> str | None:
        """Return the address to connect to another from: "" is the system's choice, None that there is none."""
        if not self.sources:
            return ""
        return next((own for own in self.sources if (":" in own) == (":" in address)), None)


BY_MX = Way()


@dataclass(frozen=True, slots=True)
class Route:
    """``domains``: of recipients; names, ``.name`` for all below a name, or ``*``. ``senders``: the same of reverse-paths,
    and whole addresses, and ``<>``. ``accounts``: the same of the primary addresses of who submitted. With ``after_attempts``
    (0: none) or ``when_reply`` it is a fallback: it takes whom another way was tried for, after so many failed tries, or when a
    server said so.
    """

    domains: Collection[str]
    way: Way
    senders: Collection[str] = (EVERYBODY,)
    after_attempts: int = 0
    when_reply: re.Pattern[str] | None = None
    accounts: Collection[str] = (EVERYBODY,)

    @property
    def is_fallback(self) -> bool:
        """Whether it takes nobody at first."""
        return bool(self.after_attempts) or self.when_reply is not None


class _Named:
    """A route, with what it names as it is compared."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self._domains = frozenset(map(_key, route.domains))
        self._senders = frozenset(map(_sender_key, route.senders))
        self._accounts = frozenset(map(_sender_key, route.accounts))

    def names(self, mail: _Mail) -> bool:
        """Whether it names all that a route chooses by."""
        return not (
            self._domains.isdisjoint(mail.domains)
            or self._senders.isdisjoint(mail.senders)
            or self._accounts.isdisjoint(mail.accounts)
        )


class _Mail:
    """What a route chooses by, each with all the names that it has."""

    def __init__(self, domain: str, sender: str, account: str) -> None:
        """:param domain: a key. :param sender: the reverse-path. :param account: an address, "" for none."""
        self.domains = {EVERYBODY, *_names(domain)}
        self.senders = _sender_names(sender)
        self.accounts = _sender_names(account) - {NULL_SENDER}


class RoutingTable:
    """Routes, the first that names somebody first."""

    def __init__(self, routes: Sequence[Route] = ()) -> None:
        """:raises ValueError: two ways of one name, or of one host and port, that are not the same."""
        named = list(map(_Named, routes))
        self._routes = [one for one in named if not one.route.is_fallback]
        self._fallbacks = [one for one in named if one.route.is_fallback]
        self._known: dict[str, Way] = {}  # by what is queued for a next hop, and by the name of a way by MX
        for way in (route.way for route in routes):
            key = way.destination("") if way.next_hop is not None else way.name
            if key and self._known.setdefault(key, way) != way:
                raise ValueError(f"{key}: two routes of one name")

    def destination(self, domain: str, sender: str = "", account: str = "") -> str:
        """Return what mail for a domain is queued under.

        :param sender: the reverse-path, "" the null sender. :param account: the primary address of who submitted it, "" nobody.
        :raises mailnode.errors.BadAddress: the domain is none.
        """
        key = domain_key(domain)
        return self._first(key, sender, account).destination(key)

    def way(self, destination: str, sender: str = "", account: str = "") -> tuple[Way, str]:
        """Return the way that a destination's mail leaves by, and the domain whose servers get it; that is "" where the
        way has a next hop."""
        if hop := _chosen(destination):
            return Way(hop), ""
        name, domain = _split(destination)
        way = self._known.get(destination) or self._known.get(name) or self._first(domain, sender, account)
        return way, "" if way.next_hop is not None else domain

    def fallback(self, destination: str, domain: str, sender: str, tries: int, reply: str, account: str = "") -> str:
        """Return what a recipient is queued under from now on whose try failed; "" when that stays as it is, as it does where
        an operator chose the server.

        Fallbacks are asked in their order, from the one on that the recipient goes by already: it comes back to none.

        :param destination: what it was queued under. :param domain: its own. :param tries: that failed; 0: however many.
        :param reply: what the last one came to.
        """
        if _chosen(destination):
            return ""
        key = domain_key(domain)
        mail = _Mail(key, sender, account)
        by = [number for number, one in enumerate(self._fallbacks, 1) if one.route.way.destination(key) == destination]
        for one in self._fallbacks[by[-1] if by else 0 :]:
            tried = 0 < one.route.after_attempts <= tries
            said = one.route.when_reply is not None and one.route.when_reply.search(reply)
            if (tried or said) and one.names(mail):
                return one.route.way.destination(key)
        return ""

    def limits(self, destination: str) -> DestinationLimits:
        """Return what a destination may have, together with all others of its route."""
        name = destination if destination in self._known else _split(destination)[0]
        way = self._known.get(name)
        if way is None or way.limits == UNLIMITED:
            return UNLIMITED
        return replace(way.limits, counted_as=name)

    def by_hand(self, given: str) -> str:
        """Return what mail is queued under that an operator sends another way, by what they call it: HOST, HOST:PORT, or the
        destination of a route with a next hop, whose login and TLS are used then.

        :raises ValueError: it is none of these. :raises mailnode.errors.BadAddress: the host is neither name nor address.
        """
        found = _HOST_AND_PORT.fullmatch(given)
        key = ""
        if found is not None:
            host, port = found["literal"] or found["host"], int(found["port"] or 25)
            key = f"{_host_key(host)}:{port}"
            if not 0 < port < 65536:
                raise ValueError(f"{given}: no such port")
        for known in (given, key):
            way = self._known.get(known)
            if way is not None and way.next_hop is not None:
                return known
        if found is None:
            raise ValueError(f"{given}: neither a host with a port nor what a route leads to")
        return f"[{key.rpartition(':')[0]}]:{port}"

    def is_stale(self, destination: str) -> bool:
        """Whether mail was queued for a way that the table does not have any more."""
        if destination in self._known:
            return False
        name, key = _split(destination)
        return _is_next_hop(key) or (name != "" and name not in self._known)

    def _first(self, domain: str, sender: str, account: str) -> Way:
        mail = _Mail(domain, sender, account)
        return next((one.route.way for one in self._routes if one.names(mail)), BY_MX)


def _names(key: str) -> Iterator[str]:
    """Yield by what a route may name a domain: ``a.b.c`` by itself, by ``.b.c`` and by ``.c``."""
    yield key
    while dot := key.find(".", 1) + 1:
        key = key[dot - 1 :]
        yield key


def _sender_names(reverse_path: str) -> set[str]:
    """Return by what a route may name a sender: the address, with and without its detail, and its domain."""
    try:
        address = parse_address(reverse_path)
        return {EVERYBODY, address.key, address.base().key, *_names(address.domain_key)}
    except BadAddress:
        return {EVERYBODY} if reverse_path else {EVERYBODY, NULL_SENDER}


def _key(domain: str) -> str:
    """Return a domain of a route as it is compared."""
    if domain == EVERYBODY:
        return domain
    below = domain.startswith(".")
    return "." * below + domain_key(domain[below:])


def _sender_key(sender: str) -> str:
    """Return a sender of a route as it is compared. :raises mailnode.errors.BadAddress: neither an address nor a domain."""
    if sender == NULL_SENDER:
        return sender
    return parse_address(sender).key if "@" in sender else _key(sender)


def _split(destination: str) -> tuple[str, str]:
    """Return a route's name, "" for none, and what follows it."""
    name, slash, key = destination.partition("/")
    return (name, key) if slash and ":" not in name else ("", destination)


def _host_key(host: str) -> str:
    """Return a host as it is compared. :raises mailnode.errors.BadAddress: it is neither a name nor an address."""
    try:
        return str(ip_address(host))
    except ValueError:
        return domain_key(host)


def _chosen(destination: str) -> NextHop | None:
    """Return the next hop that an operator chose, which no route leads to: ``[host]:port``."""
    if not destination.startswith("[") or destination.endswith("]"):
        return None
    host, _, port = destination[1:].rpartition("]:")
    return NextHop(host, int(port), "opportunistic")


def _is_next_hop(destination: str) -> bool:
    # "smarthost" is what the only next hop was called before there was a table.
    return destination == "smarthost" or (":" in destination and not destination.startswith("["))
