"""The settings of the ways mail leaves by: ``[queue.smarthost]`` and ``[[queue.route]]``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mailnode.config.fields import (
    AccountPattern,
    DomainPattern,
    Expression,
    FilePath,
    Host,
    HostOrNone,
    IpAddress,
    RouteName,
    Section,
    SenderPattern,
    SocketAddressOrNone,
)


class NextHop(Section):
    """One server that takes outgoing mail."""

    host: HostOrNone = Field(
        "", description="The name or the IP address of the server. Empty: their own servers, by MX records."
    )
    port: int = Field(587, ge=1, le=65535, description="Its port.")
    protocol: Literal["smtp", "lmtp"] = Field("smtp", description="What it speaks.")
    tls: Literal["none", "opportunistic", "required", "verified", "implicit"] = Field(
        "verified",
        description="How the connection is encrypted: not at all; if offered; always by STARTTLS; always, with a "
        "certificate that must be valid for the host; from the first octet, with such a certificate.",
    )
    username: str = Field("", description="The login there. Empty: none.")
    password_file: FilePath | None = Field(
        None, description="A file whose first line is the password, readable by the server alone."
    )
    source: list[IpAddress] = Field(
        [],
        max_length=2,
        description="The address of this machine to connect from, or one of each family. Servers are then only reached "
        "at addresses of these families. Empty: the system chooses.",
    )
    proxy: SocketAddressOrNone = Field(
        "",
        description='A SOCKS5 proxy that connects for us, such as "127.0.0.1:1080", by IP address. Names are looked up here.',
    )
    proxy_username: str = Field("", max_length=255, description="The login at the proxy. Empty: none.")
    proxy_password_file: FilePath | None = Field(None, description="A file whose first line is the password there.")
    concurrency: int = Field(
        0,
        ge=0,
        le=1000,
        description="Connections at a time, at most, to all its servers together. 0: as ``[queue] concurrency`` says.",
    )
    messages_per_minute: int = Field(0, ge=0, le=100_000, description="Messages in any minute, at most. 0: no bound.")
    messages_per_hour: int = Field(0, ge=0, le=100_000, description="Messages in any hour, at most. 0: no bound.")


class Route(NextHop):
    """Where mail of some senders, or for some domains, goes. The first route that names both has it; what none names goes
    to the server of ``[queue.smarthost]``, or by MX records."""

    name: RouteName = Field(
        "",
        description='Stands before what its mail is queued under, as in ``"bulk/example.com"``. Needed by a route without a '
        "host that has a source, and where two routes lead to one server in two ways.",
    )
    socket: FilePath | None = Field(
        None, description="The Unix socket of a server that speaks LMTP, in place of a host, on this machine."
    )
    domains: list[DomainPattern] = Field(
        [], description='Domains; ``".example.org"`` is all below example.org. Empty, or ``"*"``: every domain.'
    )
    senders: list[SenderPattern] = Field(
        [],
        description='Reverse-paths: addresses, with any detail, domains, and ``"<>"``, which notices have. Empty, or '
        '``"*"``: every sender.',
    )
    accounts: list[AccountPattern] = Field(
        [],
        description="Accounts here that submitted the mail, by their primary addresses, or domains of these, whatever reverse-path "
        'they chose. Empty, or ``"*"``: any, and mail that nobody logged in for.',
    )
    after_attempts: int = Field(
        0,
        ge=0,
        le=100,
        description="Makes it a fallback, which takes nobody at first: recipients go by it after so many failed tries of "
        "another way. 0: not for their number.",
    )
    when_reply: Expression = Field(
        "",
        description="The same, at once, when the reply of a server, as ``mailnode queue show`` has it, fits this regular "
        "expression somewhere, in letters of any case; a refusal too. Empty: not for a reply.",
    )


class Smarthost(NextHop):
    """One server that takes all outgoing mail that no ``[[queue.route]]`` names."""

    host: Host = Field(description="Its name, or its IP address.")
