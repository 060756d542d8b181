"""The world outside: DNS and other mail servers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self, TypeVar

from zope.interface import Interface

from mailnode.values.envelope import MailOptions, RcptOptions
from mailnode.values.smtp_reply import Reply
from mailnode.values.tls_report import TlsSession

T = TypeVar("T")


class Records(tuple[T, ...]):
    """What DNS answered, as a tuple. ``secure``: DNSSEC has validated it, an empty answer too (RFC 4035 3.2.3). ``name``: the
    name that has the records, where an alias led elsewhere than to what was asked for, without trailing dot. ``ttl``: for how
    many seconds it may be remembered from now on, an empty answer too."""

    secure: bool
    name: str
    ttl: float

    def __new__(cls, records: Iterable[T] = (), *, secure: bool = False, name: str = "", ttl: float = 0.0) -> Self:
        made = super().__new__(cls, records)
        made.secure = secure
        made.name = name
        made.ttl = ttl
        return made


@dataclass(frozen=True, slots=True)
class TlsaRecord:
    """What a certificate of a server must be (RFC 6698 2.1); nothing of it has been checked."""

    usage: int
    selector: int
    matching: int
    data: bytes


@dataclass(frozen=True, slots=True)
class MxRecord:
    """One MX. ``host`` is an A-label name without trailing dot; "" is the null MX (RFC 7505)."""

    preference: int
    host: str


class IResolver(Interface):
    """DNS. :raises mailnode.errors.ResolverFailure: no answer to rely on
    :raises mailnode.errors.NoSuchName: NXDOMAIN."""

    async def mx(domain: str) -> Records[MxRecord]:
        """MX records in no order; empty when the name exists without any."""

    async def addresses(host: str) -> Records[str]:
        """IPv6 and IPv4 addresses (AAAA and A asked at once); empty when the name exists without any. They are secure when
        those of each family are."""

    async def a(host: str) -> Records[str]:
        """IPv4 addresses alone."""

    async def aaaa(host: str) -> Records[str]:
        """IPv6 addresses alone."""

    async def ptr(address: str) -> Records[str]:
        """Names of an IP address, as anybody who has it may have written them: A-labels without trailing dot, in no order."""

    async def txt(name: str) -> Records[bytes]:
        """TXT records, each joined."""

    async def tlsa(name: str) -> Records[TlsaRecord]:
        """TLSA records (RFC 6698)."""


class PolicyNotFetched(Exception):
    """``result``: what RFC 8460 4.3 calls it. ``text``: for people."""

    def __init__(self, result: str, text: str) -> None:
        super().__init__(text)
        self.result = result
        self.text = text


class IPolicyHost(Interface):
    """Where domains have their MTA-STS policies (RFC 8461 3.3)."""

    async def fetch(domain: str) -> bytes:
        """The text of a domain's policy, bounded in time and size. :raises PolicyNotFetched:"""


VERIFIED = ("verified", "implicit", "dane")  # levels of a target's TLS that check the certificate


@dataclass(frozen=True, slots=True)
class TlsRule:
    """What the receiving side has published about TLS with a server. ``policy``: "dane" (RFC 7672), "sts" or "sts-testing"
    (RFC 8461). ``tlsa`` and ``names`` are for the level "dane": what one of the certificates must be, and the names of
    which a certificate must have one where its authority is what matches. ``published``: all of it, as RFC 8460 4.5 writes
    it."""

    policy: str
    tlsa: tuple[TlsaRecord, ...] = ()
    names: tuple[str, ...] = ()
    published: tuple[str, ...] = field(default=(), compare=False)


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
    (certificate must match ``host``), "implicit", "dane" (certificate must match the ``rule``). ``source``: own IP address
    to connect from, "" the system's choice. ``proxy``: who connects for us. ``lmtp``: it speaks LMTP. ``rule``: what the
    receiving side has published, if anything. ``by_mx``: DNS leads there, which must not lead to ourselves. ``session``: what
    is to be noted of a connection, as far as it is known before; None: nothing is. ``require_tls``: for mail that came with
    REQUIRETLS (RFC 8689), which shares no connection with other mail."""

    host: str
    address: str
    port: int = 25
    tls: str = "opportunistic"
    username: str = ""
    password: str = ""
    source: str = ""
    proxy: Proxy | None = None
    lmtp: bool = False
    rule: TlsRule | None = None
    by_mx: bool = False
    session: TlsSession | None = field(default=None, compare=False)  # a connection serves domains that are alike else
    require_tls: bool = False

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
    """What is sent. ``read`` gives content octets (CRLF, not dot-stuffed), as many as ``options`` say.
    ``without_8bitmime``: asked for what is sent instead to a server that takes ASCII alone, None: nothing may be."""

    reverse_path: str  # "" null
    recipients: tuple[tuple[str, RcptOptions], ...]
    read: Callable[[int, int], Awaitable[bytes]]
    options: MailOptions
    envelope_id: str = ""
    without_8bitmime: Callable[[], Awaitable[OutboundMessage | None]] | None = None

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
    "greeting" (4yz/5yz banner or EHLO), "loop" (it is ourselves), "tls", "lost" (connection lost or timeout before the
    end of data was answered). ``reply`` if it said something. ``in_doubt``: the whole message had been sent, so the
    server may have it (RFC 1047); another target at once would make a copy. ``result``: for "tls", what RFC 8460 4.3 calls
    it. ``lasting``: for "tls", that the server has none, or not the certificate it should have: no mishap on the way."""

    def __init__(
        self,
        scope: str,
        text: str,
        reply: Reply | None = None,
        in_doubt: bool = False,
        result: str = "validation-failure",
        lasting: bool = False,
    ) -> None:
        super().__init__(text)
        self.scope = scope
        self.text = text
        self.reply = reply
        self.in_doubt = in_doubt
        self.result = result
        self.lasting = lasting

    @property
    def timed_out(self) -> bool:
        """Whether it is that nothing came in time."""
        return self.reply is None and "timed out" in self.text


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
