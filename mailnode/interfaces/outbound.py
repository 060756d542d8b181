"""The world outside: DNS and other mail servers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from zope.interface import Interface

from mailnode.values.envelope import MailOptions, RcptOptions
from mailnode.values.smtp_reply import Reply


@dataclass(frozen=True, slots=True)
class MxRecord:
    """One MX. ``host`` is an A-label name without trailing dot; "" is the null MX (RFC 7505)."""

    preference: int
    host: str


class IResolver(Interface):
    """DNS. :raises mailnode.errors.ResolverFailure: no answer to rely on
    :raises mailnode.errors.NoSuchName: NXDOMAIN."""

    async def mx(domain: str) -> tuple[MxRecord, ...]:
        """MX records in no order; empty when the name exists without any."""

    async def addresses(host: str) -> tuple[str, ...]:
        """IPv6 and IPv4 addresses (AAAA and A asked at once); empty when the name exists without any."""

    async def txt(name: str) -> tuple[bytes, ...]:
        """TXT records, each joined."""


VERIFIED = ("verified", "implicit")  # levels of a target's TLS that check the certificate


@dataclass(frozen=True, slots=True)
class Proxy:
    """A SOCKS5 server (RFC 1928) at an IP address. ``username`` "": no login (RFC 1929)."""

    address: str
    port: int = 1080
    username: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Target:
    """One server to try. ``address``: its IP address, or the path of a Unix socket. ``tls``: "none", "opportunistic"
    (STARTTLS if offered, plain if it fails), "required" (STARTTLS or nothing, certificate not checked), "verified"
    (certificate must match ``host``), "implicit". ``source``: own IP address to connect from, "" the system's choice.
    ``proxy``: who connects for us. ``lmtp``: it speaks LMTP."""

    host: str
    address: str
    port: int = 25
    tls: str = "opportunistic"
    username: str = ""
    password: str = ""
    source: str = ""
    proxy: Proxy | None = None
    lmtp: bool = False

    @property
    def is_local(self) -> bool:
        """Whether it is a Unix socket."""
        return self.address.startswith("/")

    @property
    def is_six(self) -> bool:
        """Whether its address is one of IPv6."""
        return ":" in self.address and not self.is_local


@dataclass(frozen=True, slots=True)
class OutboundMessage:
    """What is sent. ``read`` gives content octets (CRLF, not dot-stuffed), as many as ``options`` say."""

    reverse_path: str  # "" null
    recipients: tuple[tuple[str, RcptOptions], ...]
    read: Callable[[int, int], Awaitable[bytes]]
    options: MailOptions
    envelope_id: str = ""

    @property
    def size(self) -> int:
        """Octets of the content."""
        return self.options.size


@dataclass(frozen=True, slots=True)
class OutboundReport:
    """How a try at one target ended. ``replies`` has one reply per recipient, in order: 250 taken, 4yz, 5yz.
    ``tls`` describes the encryption used, "" for none. ``remote_dsn``: the server speaks RFC 3461. ``ours``: positions of
    replies that are our own: the server lacks what the message needs for them (SIZE, 8BITMIME, SMTPUTF8)."""

    replies: tuple[Reply, ...]
    tls: str = ""
    remote_dsn: bool = False
    ours: frozenset[int] = frozenset()


class TargetFailed(Exception):
    """The target as a whole could not be used: another may be tried. ``scope``: "connect" (refused, timeout),
    "greeting" (4yz/5yz banner or EHLO), "tls", "lost" (connection lost or timeout before the end of data was
    answered). ``reply`` if it said something. ``in_doubt``: the whole message had been sent, so the server may have it
    (RFC 1047); another target at once would make a copy."""

    def __init__(self, scope: str, text: str, reply: Reply | None = None, in_doubt: bool = False) -> None:
        super().__init__(text)
        self.scope = scope
        self.text = text
        self.reply = reply
        self.in_doubt = in_doubt


@dataclass(frozen=True, slots=True)
class Reached:
    """Which of several targets there is a connection to, None when there is to none, and those that failed, in order."""

    target: Target | None
    failed: tuple[tuple[Target, TargetFailed], ...] = ()


class IOutbound(Interface):
    """Connections to other mail servers, kept and used again where allowed."""

    async def reach(targets: Sequence[Target]) -> Reached:
        """Connect to the first that answers of targets that are equally good (RFC 8305), or find one that a connection is
        kept to; :meth:`send` to it at once. What lost has not failed. A single target is left to :meth:`send`."""

    async def send(target: Target, message: OutboundMessage) -> OutboundReport:
        """Hand a message over. :raises TargetFailed:"""
