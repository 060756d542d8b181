"""The directory: domains, accounts, addresses, aliases, credentials."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from zope.interface import Interface

from mailnode.interfaces.store import IMailAccount
from mailnode.values.address import Address
from mailnode.values.directory import (
    Account,
    Alias,
    Credential,
    Domain,
    ForwardingKey,
    Grant,
    LoginRecord,
    Resolved,
    Sharer,
)
from mailnode.values.dkim import DkimKey
from mailnode.values.mailbox import Usage
from mailnode.values.sending import OwnLimits


class IDirectory(Interface):
    """Who lives here. Changes return after COMMIT. Look-ups by a running server may be answered from a cache that a
    change through this object invalidates."""

    async def domains() -> list[Domain]:
        """All domains by name."""

    async def add_domain(name: str, alias_of: str = "", fixed: bool = False) -> Domain:
        """:raises AlreadyExists, BadAddress: :raises NoSuchDomain: ``alias_of`` is unknown."""

    async def update_domain(name: str, catch_all: str | None = None, separator: str | None = None) -> Domain:
        """Change what is given. :raises NoSuchDomain:"""

    async def remove_domain(name: str) -> None:
        """Its keys go with it. :raises NoSuchDomain: :raises InUse: addresses stand in it, or the configuration names it."""

    async def dkim_keys(domain: str) -> tuple[DkimKey, ...]:
        """The keys of a domain, private ones included, the oldest first, RSA first; none where the domain is not local."""

    async def add_dkim_keys(domain: str, keys: Sequence[DkimKey]) -> None:
        """Give a domain keys. :raises NoSuchDomain: :raises AlreadyExists: it has one with such a selector."""

    async def set_dkim_states(domain: str, states: Mapping[str, str], now: float) -> None:
        """Change the states of keys, by selector, all at once; a selector that is not there is passed over."""

    async def set_dkim_ready(domain: str, ready_at: Mapping[str, float]) -> None:
        """Note of keys, by selector, when nobody remembers any more that DNS lacked their records; 0.0: DNS lacks them."""

    async def remove_dkim_key(domain: str, selector: str) -> None:
        """Forget a key; no error if it is not there."""

    async def forwarding_keys() -> tuple[ForwardingKey, ...]:
        """The keys of addresses that stand for senders of forwarded mail, the newest first."""

    async def add_forwarding_key(key: ForwardingKey, unless_within: float, keep: int) -> tuple[ForwardingKey, ...]:
        """Add a key, unless another was made less than ``unless_within`` seconds before it; forget the oldest above ``keep``;
        return all as :meth:`forwarding_keys` does."""

    async def set_fixed_domains(names: Sequence[str]) -> None:
        """Make these domains (those the configuration names) exist and be fixed, and no others be fixed; at start."""

    async def accounts(domain: str | None = None) -> list[Account]:
        """All accounts, or those whose primary address is in a domain, by address."""

    async def account(account_id: str) -> Account:
        """:raises NoSuchAccount:"""

    async def account_by_address(address: Address) -> Account:
        """The account that owns this address itself (no alias, detail cut). :raises NoSuchAccount:"""

    async def add_account(account_id: str, address: Address, created: float, role: str = "user") -> Account:
        """Make an active account with its primary address. :raises AlreadyExists: :raises NoSuchDomain:"""

    async def set_status(account_id: str, status: str) -> Account:
        """Change the status and raise the generation. :raises NoSuchAccount:"""

    async def set_role(account_id: str, role: str) -> Account:
        """:raises NoSuchAccount:"""

    async def set_hidden(account_id: str, names: Sequence[str]) -> Account:
        """Set which IMAP capabilities its programs are not told of from their next login on. :raises NoSuchAccount:"""

    async def remove_account(account_id: str) -> None:
        """Remove account, addresses and credentials. :raises NoSuchAccount:"""

    async def addresses(account_id: str) -> list[str]:
        """Every address the account owns, as written; primary first."""

    async def add_address(account_id: str, address: Address) -> None:
        """A further address. :raises AlreadyExists, NoSuchDomain, NoSuchAccount:"""

    async def remove_address(address: Address) -> None:
        """A further address of an account. :raises NoSuchAccount: :raises InUse: it is the primary one."""

    async def has_address(address: Address) -> bool:
        """Whether an account or an alias has this address itself, detail not cut. :raises BadAddress:"""

    async def dangling() -> list[tuple[str, str]]:
        """Aliases with a target in a local domain that leads nowhere, as (alias, target), both as written; for a domain's
        catch-all the alias is ``*@`` and the domain."""

    async def aliases(domain: str | None = None) -> list[Alias]:
        """All aliases by address."""

    async def set_alias(alias: Alias, replace: bool = False) -> None:
        """:raises AlreadyExists: :raises NoSuchDomain: :raises InUse: it would stand for itself (a loop)."""

    async def remove_alias(address: Address) -> None:
        """:raises NoSuchAccount: no such alias."""

    async def credentials(account_id: str) -> list[Credential]:
        """Secrets included; not for display."""

    async def replace_credentials(account_id: str, label: str, credentials: Sequence[Credential]) -> None:
        """Replace the credentials with this label by others in one unit and raise the generation."""

    async def renew_credentials(account_id: str, credential_id: str, credentials: Sequence[Credential]) -> bool:
        """Put others of the same password in the place of those that one belongs to, unless that one is gone: the generation stays,
        and so do sessions. Return whether it was done."""

    async def login_record(login: str) -> LoginRecord:
        """What is known of a login name: an address of the account as typed, any case, detail not allowed."""

    async def login_domain(server_name: str) -> str:
        """The domain of a login name that has none: the local domain that the name by which a client reached the server
        is, or is a host of (``mail.example.org``: ``example.org``); else the one local domain, when there is but one.
        Domains that are aliases of others are not counted; "": it cannot be told."""

    async def resolve(address: Address) -> Resolved:
        """Expand one recipient: account, alias (depth at most 10, loops passed over, one copy an account), detail,
        domain alias, catch-all, postmaster of every local domain (RFC 5321 4.5.1) and bare ``postmaster``.
        An address in a domain that is not local: ``known`` with itself in ``remote``, see :meth:`is_local`."""

    async def is_local(domain: str) -> bool:
        """Whether this server receives for the domain (any spelling)."""

    async def may_send_as(account_id: str, address: Address) -> bool:
        """Whether an account may send as an address: its own with any detail, aliases that lead to it alone, and what an
        administrator granted. Catch-alls and substitutes for postmaster give nothing."""

    async def grants(account_id: str | None = None) -> list[Grant]:
        """All grants to send as an address, or those of one account, by address."""

    async def add_grant(account_id: str, address: str) -> None:
        """Let an account send as an address of somebody else, as an alias, or ("@domain") as any address of a local
        domain. Nothing changes where it stands already. It ends with the address and with the account.

        :raises NoSuchAccount: there is no such account or address. :raises NoSuchDomain: :raises BadAddress:
        """

    async def remove_grant(account_id: str, address: str) -> None:
        """:raises NoSuchAccount: there is no such grant. :raises BadAddress:"""

    async def sending_limits(account_id: str) -> OwnLimits:
        """What an operator said of the account's sending."""

    async def set_sending_limits(account_id: str, limits: OwnLimits) -> None:
        """:raises NoSuchAccount:"""

    async def sharers(reader: str) -> tuple[Sharer, ...]:
        """The accounts in whose mailboxes there may be something that is shared with this one, or with anyone; by address."""

    async def set_sharing(owner: str, reader: str, on: bool) -> None:
        """Note whether an account shares something with another, or with ``values.rights.ANYONE``. It ends with either."""

    def on_account_change(callback: Callable[[str], None]) -> Callable[[], None]:
        """Call back with an account id whose generation was raised; returns what ends it."""


class ISharing(Interface):
    """Mailboxes of other accounts, for one that has logged in (RFC 4314)."""

    async def sharers(reader: str) -> tuple[Sharer, ...]:
        """As :meth:`IDirectory.sharers`."""

    def mail(owner: str, reader: str, nobodys: bool = False) -> IMailAccount:
        """Another account's mail, as a reader may use it. :param nobodys: see :meth:`IMailStore.shared`."""

    def hints(reader: str) -> tuple[str, ...]:
        """What hints are published for, with a modseq of 0, when more or less is shared with a reader."""

    async def identifier(text: str) -> str:
        """The identifier (``values.rights``) that a client means: an address of an account or "anyone", "-" in front of
        either. :raises NoSuchAccount:"""

    async def shown(identifier: str) -> str:
        """The identifier as clients are shown it. :raises NoSuchAccount: the account is gone."""

    async def give_rights(mail: IMailAccount, mailbox_id: int, identifier: str, how: str, letters: str) -> None:
        """Change the rights of an identifier, and note where it may find something.

        :param how: "set", "add" or "remove". :raises NoSuchMailbox, NotPermitted, LimitReached:
        """


class IQuotas(Interface):
    """The quotas of accounts, for administrators."""

    async def usage(address: str) -> Usage:
        """What the account with this address holds and may hold. :raises NoSuchAccount:"""

    async def set_limits(address: str, octets: int, messages: int, mailboxes: int) -> Usage:
        """Set limits, 0: none; return what holds then. :raises NoSuchAccount:"""
