"""Accounts, addresses and credentials."""

from __future__ import annotations

from dataclasses import dataclass, field

STATUSES = ("active", "no-login", "no-receive", "suspended", "deleting")
SHARED = "shared"  # nobody logs in: its mailboxes are there for those who have rights to them
ROLES = ("user", "admin", SHARED)
PROTOCOLS = ("imap", "pop3", "submission")
WITH = {"managesieve": "imap"}  # who may log in over one may do so over the other: filters are a part of a mailbox


@dataclass(frozen=True, slots=True)
class Account:
    """One mailbox owner. ``generation`` grows with every new password, status change and removal: sessions that
    logged in under an older one end."""

    id: str
    address: str  # primary address as written
    status: str = "active"
    role: str = "user"
    locale: str = "en"
    time_zone: str = "UTC"
    created: float = 0.0
    generation: int = 1
    hidden: str = ""  # IMAP capabilities that its programs are not told of, in capitals, separated by spaces

    @property
    def may_login(self) -> bool:
        """Whether sessions are allowed."""
        return self.status in ("active", "no-receive") and self.role != SHARED


@dataclass(frozen=True, slots=True)
class Sharer:
    """An account in whose mailboxes there may be something for others. ``nobodys``: that is what it is for."""

    account_id: str
    address: str  # primary address as written
    nobodys: bool = False


@dataclass(frozen=True, slots=True)
class Credential:
    """One secret of an account. ``secret`` is a hash or verifier, never a clear password."""

    id: str
    account_id: str
    # "argon2id" (PHC string); "scram-sha-256", "scram-sha-1" (salt,iterations,stored key,server key); "foreign" (another server's
    # hash, behind its scheme in braces)
    kind: str
    secret: str
    protocols: frozenset[str] = frozenset(PROTOCOLS)
    label: str = ""
    created: float = 0.0

    def opens(self, protocol: str) -> bool:
        """Whether it may be used over a protocol."""
        return WITH.get(protocol, protocol) in self.protocols


@dataclass(frozen=True, slots=True)
class Grant:
    """An account may send as an address that is not its own. ``address``: as written; "@" and a domain for any of it."""

    address: str
    account_id: str
    account: str  # its primary address


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain this server receives for. ``alias_of``: every address of it is looked up in that domain instead.
    ``fixed``: named in the configuration file, cannot be removed by command."""

    name: str  # A-label key
    written: str
    alias_of: str = ""
    catch_all: str = ""  # address key that takes what no other address does; "" none
    separator: str = "+"
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class Alias:
    """An address that stands for others. ``targets`` are addresses as written, local or foreign.
    ``kind``: "alias" (expands), later "list" and others. ``detail``: "keep" passes ``+detail`` to local targets, "cut"
    drops it, "refuse" makes an address with detail unknown. ``owner``: an address here that has the bounces of what it sends
    to other servers; "" leaves them to the sender."""

    address: str
    targets: tuple[str, ...]
    kind: str = "alias"
    detail: str = "cut"
    owner: str = ""


@dataclass(frozen=True, slots=True)
class ForwardingKey:
    """One key of the addresses that stand for senders of forwarded mail. ``secret``: hexadecimal."""

    created: float  # UTC seconds
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Resolved:
    """What the directory says about one recipient: ``local`` are (account_id, address it came in for) pairs, one a
    copy; ``remote`` are addresses to relay to. Both empty with ``known`` False: unknown user. Both empty with ``known``
    True: every account behind it takes no mail at present, and ``refusal`` is the RFC 3463 code to refuse with."""

    known: bool
    local: tuple[tuple[str, str], ...] = ()
    remote: tuple[str, ...] = ()
    over_quota: tuple[str, ...] = ()  # account ids of ``local`` that cannot take more
    owner: str = ""  # of the alias that was asked for, when anything in ``remote`` was reached through it
    refusal: str = ""  # "4.2.0" (nobody is there yet), "4.2.1" (suspended: may come back) or "5.2.1" (no-receive)


@dataclass(frozen=True, slots=True)
class LoginRecord:
    """All that a checker needs for one login name; ``account`` None when unknown."""

    account: Account | None
    credentials: tuple[Credential, ...] = ()
