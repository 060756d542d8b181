"""The configuration: its keys, types, defaults and help texts; those of routes, of logging in and of IMAP stand in
:mod:`mailnode.config.routes`, :mod:`mailnode.config.logins`, :mod:`mailnode.config.imap` and :mod:`mailnode.config.acme`.

docs/configuration.rst is generated from here (:mod:`mailnode.config.docs`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from mailnode.config.acme import Acme
from mailnode.config.doctor import Doctor
from mailnode.config.fields import (
    BlobPlace,
    Called,
    Count,
    DomainName,
    Endpoint,
    FilePath,
    HostName,
    IpAddress,
    Mailbox,
    MailboxOrNone,
    NetworkList,
    Octets,
    Seconds,
    Section,
    SocketAddress,
    StoreUrl,
)
from mailnode.config.file import ConfigTable
from mailnode.config.imap import Imap
from mailnode.config.logins import Auth
from mailnode.config.routes import Route, Smarthost
from mailnode.config.sieve import Sieve
from mailnode.values import units
from mailnode.values.dkim import DkimSettings
from mailnode.values.sending import SendingLimits, SendingSettings
from mailnode.values.tls_report import ReportSettings

WITH_LOGIN = ("imap", "pop3", "submission", "managesieve")  # protocols that programs of accounts speak
PROTOCOLS = ("smtp", "submission", "lmtp", "imap", "pop3", "managesieve", "http")


PerMinute = Annotated[int, Field(ge=0, le=1_000_000)]


class Server(Section):
    """The server as a whole."""

    hostname: HostName = Field(
        description="The full name of this machine, as it greets other servers; its address record should lead here."
    )
    data: FilePath = Field(
        description="The directory for everything the server keeps. Made at the first start, readable by its owner "
        "alone. It must be on a local file system with locks."
    )
    addresses: list[IpAddress] = Field(
        [],
        description="Public IP addresses at which other servers reach this machine and no other, where the listeners do "
        "not name them: postmaster is reachable there (``postmaster@[192.0.2.1]``), and mail that MX records lead back to "
        "them has come in a circle.",
    )
    partitions: int = Field(
        4,
        ge=1,
        le=64,
        description="Into how many database files the mailboxes are spread. Fixed by the first start.",
    )
    workers: int = Field(
        1,
        ge=1,
        le=16,
        description="How many processes serve, all on the same listeners; see :doc:`workers`. One is enough unless its "
        "core is the bottleneck.",
    )
    log: Literal["text", "json"] = Field(
        "text", description="The form of the log: one readable line an event, or one flat JSON object a line."
    )
    grace: Annotated[float, Field(ge=0, le=3600), BeforeValidator(units.seconds), Called("seconds")] = Field(
        20.0,
        description="How long sessions may go on with what they are doing after SIGTERM before they are cut off.",
    )


class Store(Section):
    """Where the data is."""

    url: StoreUrl = Field(
        "sqlite:",
        description='"sqlite:" keeps everything in files in the data directory; "postgresql://user@host/database" uses '
        "a PostgreSQL database, and needs what \"pip install '.[postgres]'\" installs.",
    )
    blobs: BlobPlace = Field(
        "file:blobs", description="Where large messages are kept: a directory, taken from the data directory."
    )
    inline_limit: Annotated[int, Field(ge=0, le=1_048_576), BeforeValidator(units.octets), Called("octets")] = Field(
        65_536, description="Messages up to this stored size are kept in the database itself."
    )
    keep_deleted: Annotated[float, Field(ge=600, le=31_557_600), BeforeValidator(units.seconds), Called("seconds")] = (
        Field(
            604_800,
            description="How long expunged messages and deleted mailboxes are kept, with all their octets: ``mailnode undelete`` "
            "brings them back. They count for no quota. Mail programs that were away for longer compare whole mailboxes.",
        )
    )


class Search(Section):
    """How texts of messages are found."""

    index: bool = Field(
        True,
        description="Whether an index of the words of all messages is kept, which makes IMAP's SEARCH fast; it is found with or "
        "without it. It is made after messages have arrived and takes room beside them. When it is switched off, what there "
        "is of it is removed.",
    )


class Listener(Section):
    """One door. Any number of them, each under its own ``[[listener]]``."""

    protocol: Literal["smtp", "submission", "lmtp", "imap", "pop3", "managesieve", "http"] = Field(
        description="What is spoken there."
    )
    endpoint: Endpoint = Field(
        description="Where it listens, as a Twisted server endpoint: ``tcp:25``, ``tcp:25:interface=192.0.2.1``, "
        "``systemd:domain=INET6:name=imaps``, ``unix:/run/mailnode/lmtp``; with ``haproxy:`` before it, behind a "
        "balancer that speaks the PROXY protocol."
    )
    tls: Literal["none", "starttls", "implicit"] = Field(
        "none",
        description="No encryption; upgraded by the client's STARTTLS or STLS; or from the first octet (ports 465, 993, 995).",
    )
    plain_login: bool = Field(
        False,
        description="Whether clients may log in without TLS: for a webmail or a proxy on the same machine, whose passwords "
        "cross no network. Only where ``endpoint`` is a TCP port with ``interface=`` a loopback address, such as "
        "``tcp:143:interface=127.0.0.1``, or a Unix socket. Protocols imap, pop3, submission and managesieve only.",
    )
    relay_from: NetworkList = Field(
        [],
        description="Clients of these networks may send to any domain without logging in. Protocol smtp only.",
    )
    xclient_from: NetworkList = Field(
        [],
        description="Clients of these networks may say with XCLIENT whom they speak for. Protocols smtp, submission "
        "and lmtp only.",
    )
    no_policy_for: NetworkList = Field(
        [],
        description="Clients of these networks are not asked about by policies; they gain no other right. Protocols "
        "smtp and lmtp only.",
    )
    proxy_from: NetworkList = Field(
        [],
        description="The networks the balancer connects from, for an endpoint that begins with ``haproxy:``, which needs "
        "them unless it is a Unix socket: who may send a PROXY header may claim any address. Others are turned away.",
    )
    strict_sync: bool = Field(
        True,
        description="Whether clients that send on without waiting for the reply to EHLO or DATA, as mail servers never "
        "do, are turned away with 554. Protocol smtp only.",
    )
    pages: list[Literal["health", "metrics", "mta-sts", "clients"]] = Field(
        ["health", "metrics", "mta-sts", "clients"],
        description="What is shown: ``/health``, ``/metrics``, the MTA-STS policy of each domain (:doc:`dns`), the settings of "
        'mail programs (:doc:`clients`). A listener that everybody reaches should have ``["mta-sts", "clients"]``. Protocol '
        "http only.",
    )


class TlsName(Section):
    """A further certificate, shown to clients that ask for one of its names (SNI)."""

    certificate: FilePath = Field(description="A PEM file: the certificate, then the intermediate ones.")
    key: FilePath = Field(description="A PEM file with its private key.")


class Tls(Section):
    """Certificates. They are read again when the files change, on SIGHUP and on ``mailnode reload``."""

    certificate: FilePath = Field(
        description="A PEM file: the certificate for clients that ask for no name or one nobody has, then the "
        "intermediate ones."
    )
    key: FilePath = Field(description="A PEM file with its private key.")
    name: list[TlsName] = Field([], description="Further certificates.")


class Dns(Section):
    """Name resolution for outgoing mail."""

    servers: list[SocketAddress] = Field(
        [],
        description='Resolvers, such as "127.0.0.1:5353". Empty: those of /etc/resolv.conf, which is read again when it changes.',
    )
    validates: Literal["auto", "yes", "no"] = Field(
        "auto",
        description="Whether these resolvers are believed when they say that DNSSEC has validated an answer, without which "
        "there is no DANE (:doc:`outgoing_tls`). ``auto``: when all of them are on this machine. ``yes``: they do it, and "
        "nobody can change anything on the way from them to us.",
    )


class Queue(Section):
    """Outgoing mail that could not be handed over at once."""

    retry: list[Seconds] = Field(
        [300.0, 600.0, 1200.0, 2400.0, 3600.0],
        min_length=1,
        max_length=64,
        description="The waits between tries, each varied by a tenth; the last one repeats.",
    )
    lifetime: Seconds = Field(432_000.0, description="After how long an undelivered message goes back.")
    lifetime_null: Seconds = Field(
        172_800.0, description="The same for messages with the null sender: they are dropped."
    )
    delay_notice: Annotated[float, Field(ge=0), BeforeValidator(units.seconds), Called("seconds")] = Field(
        14_400.0, description="After how long the sender is told once that the message still waits. 0: never."
    )
    sent_history: Annotated[float, Field(ge=0), BeforeValidator(units.seconds), Called("seconds")] = Field(
        259_200.0,
        description="How long ``mailnode queue list`` finds what was sent to other servers, or failed; without the messages. "
        "0: not at all.",
    )
    concurrency: int = Field(20, ge=1, le=1000, description="Connections at a time to one destination, at most.")
    concurrency_total: int = Field(100, ge=1, le=10_000, description="Outgoing connections at a time, at most.")
    port: int = Field(
        25, ge=1, le=65535, description="The port of other domains' mail servers. Another one is for tests."
    )
    patience: float = Field(
        1.0,
        gt=0,
        le=10,
        description="Other servers are waited for as long as the standard of SMTP asks for, times this. Less than 1 is for tests.",
    )
    dane: bool = Field(
        True,
        description="Whether TLSA records say how the servers of a domain must be reached (:doc:`outgoing_tls`), where the "
        "resolver validates.",
    )
    mta_sts: bool = Field(
        True,
        description="Whether the MTA-STS policy of a domain says how its servers must be reached (:doc:`outgoing_tls`), where "
        "DANE does not.",
    )
    strict_8bit: bool = Field(
        False,
        description="Whether foreign mail in 8-bit octets that a signature covers goes back rather than as it is to a "
        "server that does not say it takes such octets.",
    )
    outgoing: bool = Field(True, description="Whether mail for other domains is taken at all. false: it is refused.")
    rewrite_senders: bool = Field(
        True,
        description="Whether mail that an address here leads on to other servers gets a reverse-path of ours, to which its "
        "bounces come back (:doc:`forwarding`).",
    )
    arc: bool = Field(
        False,
        description="Whether mail from outside that an address here leads on to other servers is sealed (ARC) with the key of "
        "that address's domain (:doc:`forwarding`).",
    )
    smarthost: Smarthost | None = Field(
        None, description="Send everything through this server instead of by MX records."
    )
    route: list[Route] = Field([], description="Where mail for some domains goes.")

    def next_hops(self) -> list[tuple[str, Route | Smarthost]]:
        """Return every route and the smarthost, in the order in which they are asked, with their keys."""
        routes: list[tuple[str, Route | Smarthost]] = [
            (f"queue.route[{index}]", route) for index, route in enumerate(self.route)
        ]
        return routes if self.smarthost is None else [*routes, ("queue.smarthost", self.smarthost)]


class Limits(Section):
    """What one client may use."""

    message_size: Octets = Field(52_428_800, le=1_073_741_824, description="The largest message that is taken.")
    recipients: Count = Field(1000, description="Recipients of one message.")
    hops: int = Field(50, ge=1, le=1000, description="Received fields above which a message is taken for a loop.")
    connections: Count = Field(1000, description="Connections at a time, of each listener.")
    connections_per_address: Count = Field(
        50, description="Connections at a time from one IP address, of each listener."
    )
    connections_per_minute: PerMinute = Field(
        60,
        description="Connections of a stranger to listeners for smtp within a minute (:doc:`strangers`). 0: any number.",
    )
    messages_per_minute: PerMinute = Field(200, description="Messages of a stranger within a minute. 0: any number.")
    recipients_per_minute: PerMinute = Field(
        1000, description="Recipients that a stranger names within a minute. 0: any number."
    )
    refused_recipients_per_minute: PerMinute = Field(
        60, description="Of these, how many may be refused until all are, for a while. 0: any number."
    )
    neighbours: int = Field(
        4,
        ge=1,
        le=256,
        description="How many times as much as one IPv4 address, or IPv6 /64, the clients of its /24, or /48, may do together "
        "within a minute.",
    )
    messages_per_session: Count = Field(
        1000, description="Messages of one SMTP or LMTP session, after which the client has to connect again."
    )
    greet_pause: Annotated[float, Field(ge=0, le=3600), BeforeValidator(units.seconds), Called("seconds")] = Field(
        2.0,
        description="How long a stranger waits for the greeting, unless mail of its address was taken lately: who does not wait "
        "is no mail server (:doc:`strangers`).",
    )
    sessions_per_account: Count = Field(
        100, description="Logins of one account that stand at a time, of each protocol."
    )
    errors: Count = Field(20, description="Mistakes of a client after which its connection is closed.")
    login_timeout: Seconds = Field(
        120.0,
        description="Time from the connection until a login has succeeded, whatever is sent, on submission, IMAP and POP3.",
    )
    smtp_timeout: Seconds = Field(300.0, description="Silence after which an SMTP or LMTP client is let go.")
    pop3_timeout: Annotated[float, Field(ge=600, le=31_536_000), BeforeValidator(units.seconds), Called("seconds")] = (
        Field(
            600.0, description="Silence after which a POP3 client is let go. RFC 1939 3 asks for 10 minutes at least."
        )
    )


class Submission(Section):
    """What an account may send (:doc:`submission`)."""

    recipients_per_hour: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        300, description="To how many recipients an account may send within an hour. 0: to any number."
    )
    messages_per_hour: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        0, description="How many messages an account may send within an hour. 0: any number, each has a recipient."
    )
    new_recipients_per_day: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        200,
        description="To how many recipients an account may send within a day that it did not send to before. 0: to any "
        "number, and nobody notes whom it sends to.",
    )
    loud_from: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        100,
        description="An account that sends to so many recipients in an hour, and to more than five times as many as in its "
        "busiest hour of 14 days, is told of to postmaster, once a day. 0: nobody is told.",
    )
    hold_loud: bool = Field(
        False,
        description="Whether the mail of such an account is held in the queue from then on, until an operator has looked.",
    )
    suppress_after: Annotated[int, Field(ge=0, le=100)] = Field(
        2,
        description="After how many mails of an account that a recipient's server refused for good, because there is no such "
        "recipient, no more of its mail to that recipient is taken for a while. 0: it is always taken.",
    )
    suppress_for: Seconds = Field(
        604_800.0, description="For how long. Each further refusal behind that doubles it, up to 90 days."
    )
    highest_priority: int = Field(
        0,
        ge=0,
        le=9,
        description="The highest priority that mail programs may ask for: of what waits for one destination it goes first. "
        "What asks for more is given this; a lower one than the usual 0 everybody may ask for.",
    )

    def settings(self) -> SendingSettings:
        """Return what those go by who count and refuse."""
        limits = SendingLimits(self.recipients_per_hour, self.messages_per_hour, self.new_recipients_per_day)
        return SendingSettings(limits, self.loud_from, self.hold_loud, self.suppress_after, self.suppress_for)


class DomainEntry(Section):
    """A domain that exists from the start on and cannot be removed by command. Others live in the store."""

    name: DomainName = Field(description="The domain.")
    sieve_before: list[FilePath] = Field(
        [],
        description="Scripts that run before those of the domain's accounts, and behind ``[sieve] before`` (:doc:`sieve`).",
    )
    sieve_after: list[FilePath] = Field(
        [], description="Scripts that run after those of the domain's accounts, and before ``[sieve] after``."
    )


class MtaSts(Section):
    """The MTA-STS policy of the domains here (:doc:`dns`). Its DNS records are among those of ``mailnode domain records``
    where this section stands, or where a listener with TLS shows the policy."""

    mode: Literal["testing", "enforce", "none"] = Field(
        "testing",
        description="What other servers do that cannot reach this one with TLS and its certificate: report it and send all the "
        "same; not send. ``none``: there is no policy any more; leave it so until what was remembered has run out.",
    )
    max_age: Annotated[float, Field(ge=1, le=31_557_600), BeforeValidator(units.seconds), Called("seconds")] = Field(
        604_800.0, description="How long other servers remember the policy."
    )


class Dkim(Section):
    """Signatures of what accounts here send, and of notices (:doc:`dkim`)."""

    enabled: bool = Field(True, description="Whether mail is signed, and domains without keys are given some.")
    activate: Literal["published", "by hand"] = Field(
        "published",
        description="When a new key signs: as soon as DNS has had its record for long enough, or when ``mailnode domain "
        "dkim-activate`` says so.",
    )
    overlap: Seconds = Field(
        604_800.0,
        description="For how long the record of a key that signs no more is needed: until the mail it signed has arrived. The "
        "log says when it can be taken out of DNS.",
    )
    rotate_after: Annotated[float, Field(ge=0), BeforeValidator(units.seconds), Called("seconds")] = Field(
        0.0, description="The age at which a domain's keys are replaced by new ones, such as 180d. 0: never."
    )

    def settings(self) -> DkimSettings:
        """Return what those go by who look after the keys."""
        by_dns = self.enabled and self.activate == "published"
        return DkimSettings(self.enabled, by_dns, self.overlap, self.rotate_after)


class Published(Section):
    """What ``mailnode domain records`` says for the domains (:doc:`dns`)."""

    dmarc: Literal["none", "quarantine", "reject"] = Field(
        "quarantine",
        description="What other servers are asked to do with mail that only claims to be from here: nothing but report it, "
        "take it for suspicious, refuse it.",
    )
    reports_to: MailboxOrNone = Field(
        "", description="The address that reports of other servers go to. Empty: postmaster of each domain."
    )
    keep_reports: Annotated[float, Field(ge=0), BeforeValidator(units.seconds), Called("seconds")] = Field(
        7_776_000.0,
        description="How long what such reports say is kept for ``mailnode dmarc`` and ``mailnode tls`` (:doc:`dmarc`), beside the "
        "mail they came in. 0: they are not read.",
    )

    clients: Literal["auto", "yes", "no"] = Field(
        "auto",
        description="Whether these records lead mail programs to the pages with their settings (:doc:`clients`). ``auto``: when a "
        "listener with TLS shows them. ``yes``: a web server in front of a listener does.",
    )

    def reports_address(self) -> str | None:
        """Return the address that reports which are read come to, "" for postmaster of each domain; None: none are."""
        return self.reports_to if self.keep_reports else None


class TlsReports(Section):
    """Daily reports to other domains that want them, of how TLS with their servers fared (:doc:`outgoing_tls`). Without this
    section none are made, and nothing is counted for them."""

    sender: Mailbox = Field(
        description="The address that reports by mail come from. The keys of its domain sign them (:doc:`dkim`), without which "
        "none are sent by mail."
    )
    organization: Annotated[str, Field(min_length=1, max_length=200)] = Field(description="Who reports.")
    contact: MailboxOrNone = Field(
        "", description="Whom a reader may ask, an address in the same domain. Empty: ``sender``."
    )

    def settings(self) -> ReportSettings:
        """Return what reports say of us."""
        return ReportSettings(self.sender, self.organization, self.contact or self.sender)


class DmarcReports(TlsReports):
    """Daily reports to other domains that want them, of what came of mail that says it is from them (:doc:`dmarc`). Without this
    section none are made, and nothing is counted for them."""


class Judgement(Section):
    """How mail that strangers send is judged (:doc:`judgement`)."""

    checks: list[Annotated[str, Field(min_length=1)]] = Field(
        ["iprev", "spf", "dkim", "arc", "dmarc", "reputation", "words"],
        description="Policies that are asked first, in this order, with the options they have by themselves. One that stands in "
        "``[[policy]]`` too has its options from there; those that stand there alone are asked after these.",
    )
    junk_at: Annotated[float, Field(ge=0)] = Field(
        5.0, description="The score from which on a message goes into the junk mailbox. 0: none does for its score."
    )
    refuse_at: Annotated[float, Field(ge=0)] = Field(
        15.0, description="The score from which on a message is refused. 0: none is for its score."
    )
    rejects: bool = Field(
        True,
        description="Whether accounts see what policies refused to them, in a mailbox ``Rejects``: why, and the header.",
    )


class PolicyEntry(Section):
    """One policy. Those that ``[judgement] checks`` does not name are asked in the order of the file."""

    name: str = Field(min_length=1, description="The name under which a plug-in offers it.")
    on_failure: Literal["pass", "defer"] = Field(
        "pass", description="What a failure of the policy itself counts as: no opinion, or a temporary refusal."
    )
    options: ConfigTable = Field({}, description="What the policy is given; its own documentation names them.")


class Config(Section):
    """A whole configuration."""

    server: Server
    store: Store = Store.model_validate({})
    search: Search = Search.model_validate({})
    listener: list[Listener] = Field(min_length=1)
    tls: Tls | None = None
    acme: Acme | None = None
    dns: Dns = Dns.model_validate({})
    queue: Queue = Queue.model_validate({})
    limits: Limits = Limits.model_validate({})
    submission: Submission = Submission.model_validate({})
    imap: Imap = Imap.model_validate({})
    auth: Auth = Auth.model_validate({})
    domain: list[DomainEntry] = []
    dkim: Dkim = Dkim.model_validate({})
    mta_sts: MtaSts | None = None
    published: Published = Published.model_validate({})
    tls_reports: TlsReports | None = None
    dmarc_reports: DmarcReports | None = None
    judgement: Judgement = Judgement.model_validate({})
    policy: list[PolicyEntry] = []
    doctor: Doctor = Doctor.model_validate({})
    sieve: Sieve = Sieve.model_validate({})

    def policies(self) -> list[tuple[str, PolicyEntry]]:
        """Return the policies in the order in which they are asked, each with the key it stands at."""
        return policies(self.judgement, self.policy)


def policies(judgement: Judgement, entries: Sequence[PolicyEntry]) -> list[tuple[str, PolicyEntry]]:
    """Return the policies in the order in which they are asked, each with the key it stands at. Later ones see what those before
    them found: one that is given options stays in its place."""
    given: dict[str, tuple[str, PolicyEntry]] = {}
    for index, entry in enumerate(entries):
        given.setdefault(entry.name, (f"policy[{index}]", entry))
    first = [
        given.get(name, (f"judgement.checks[{index}]", PolicyEntry.model_validate({"name": name})))
        for index, name in enumerate(judgement.checks)
    ]
    placed = {key for key, _ in first}
    others = [(f"policy[{index}]", entry) for index, entry in enumerate(entries)]
    return first + [(key, entry) for key, entry in others if key not in placed]
