"""The directory behind its interface: look-ups answered from memory when they can be, changes made in one unit each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Concatenate, ParamSpec, TypeVar, TypeVarTuple, cast

from zope.interface import implementer

from mailnode.errors import BadAddress, StoreUnavailable
from mailnode.interfaces.accounts import IDirectory
from mailnode.store.engines.engine import DIRECTORY, Engine, Transaction
from mailnode.store.units import directory_rows, dkim_keys, forwarding_keys, grants, resolution, sending_limits, sharing
from mailnode.store.units.directory_rows import DETAILS, FURTHER, PRIMARY, Changed
from mailnode.values.address import Address, domain_key
from mailnode.values.directory import (
    ROLES,
    STATUSES,
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
from mailnode.values.dkim import STATES, DkimKey
from mailnode.values.rights import ANYONE
from mailnode.values.sending import OwnLimits

P = ParamSpec("P")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_MISSING = object()


@implementer(IDirectory)
class Directory:
    """Domains, accounts, addresses, aliases, credentials.

    What :meth:`resolve`, :meth:`login_record`, :meth:`is_local`, :meth:`may_send_as` and :meth:`dkim_keys` answered is
    remembered, at most ``cache_size`` answers, so that a hot RCPT costs no hop to a thread. All of it is forgotten with any change
    through this object, and by :meth:`poll` when another process changed something.
    """

    def __init__(
        self, engine: Engine, cache_size: int = 10_000, tell_others: Callable[[], Awaitable[object]] | None = None
    ) -> None:
        """:param tell_others: has other processes forget what they remember; awaited after a change, before it returns."""
        self._engine = engine
        self._tell_others = tell_others
        self._cache: dict[tuple[object, ...], object] = {}
        self._cache_size = cache_size
        self._epoch = 0  # grows whenever the cache is dropped: an answer read before is not put in after
        self._version: int | None = None  # of the directory, as far as this process knows
        self._callbacks: list[Callable[[str], None]] = []
        self._forgetting: list[Callable[[], object]] = []

    # look-ups

    async def _cached(self, key: tuple[object, ...], unit: Callable[[Transaction, *Ts], T], *args: *Ts) -> T:
        known = self._cache.get(key, _MISSING)
        if known is not _MISSING:
            return cast(T, known)
        epoch = self._epoch
        answer = await self._engine.read(DIRECTORY, unit, *args)
        if epoch == self._epoch:
            if len(self._cache) >= self._cache_size:
                del self._cache[next(iter(self._cache))]
            self._cache[key] = answer
        return answer

    async def resolve(self, address: Address) -> Resolved:
        """See :class:`IDirectory`. Of a pair in ``local`` the address is the last one that named the account: the
        recipient itself, or the alias' target with the detail that the alias keeps. An account whose status is
        ``deleting`` is unknown; suspended and no-receive ones show as ``refusal``.

        :raises BadAddress: the domain cannot be one.
        """
        key = ("resolve", address.local, address.domain)
        return await self._cached(key, resolution.resolve, address)

    async def is_local(self, domain: str) -> bool:
        """See :class:`IDirectory`."""
        try:
            name = domain_key(domain)
        except BadAddress:
            return False
        return await self._cached(("is_local", name), resolution.is_local, name)

    async def login_record(self, login: str) -> LoginRecord:
        """See :class:`IDirectory`. In a domain that is an alias, the login of the domain it stands for is meant."""
        return await self._cached(("login", login), resolution.login_record, login)

    async def login_domain(self, server_name: str) -> str:
        """See :class:`IDirectory`."""
        try:
            name = domain_key(server_name) if server_name else ""
        except BadAddress:
            name = ""
        return await self._cached(("login_domain", name), resolution.login_domain, name)

    async def may_send_as(self, account_id: str, address: Address) -> bool:
        """See :class:`IDirectory`. Catch-alls and substitutes for postmaster own nothing."""
        key = ("send", account_id, address.local, address.domain)
        return await self._cached(key, grants.may_send_as, account_id, address)

    async def dkim_keys(self, domain: str) -> tuple[DkimKey, ...]:
        """See :class:`IDirectory`."""
        try:
            name = domain_key(domain)
        except BadAddress:
            return ()
        return await self._cached(("dkim", name), dkim_keys.dkim_keys, name)

    async def forwarding_keys(self) -> tuple[ForwardingKey, ...]:
        """See :class:`IDirectory`."""
        return await self._engine.read(DIRECTORY, forwarding_keys.forwarding_keys)

    async def sending_limits(self, account_id: str) -> OwnLimits:
        """See :class:`IDirectory`."""
        return await self._cached(("sending", account_id), sending_limits.sending_limits, account_id)

    async def domains(self) -> list[Domain]:
        """See :class:`IDirectory`."""
        return await self._engine.read(DIRECTORY, directory_rows.domains)

    async def accounts(self, domain: str | None = None) -> list[Account]:
        """See :class:`IDirectory`. :raises BadAddress: not a domain."""
        name = domain_key(domain) if domain is not None else None
        return await self._engine.read(DIRECTORY, directory_rows.accounts, name)

    async def account(self, account_id: str) -> Account:
        """See :class:`IDirectory`."""
        return await self._engine.read(DIRECTORY, directory_rows.account, account_id)

    async def account_by_address(self, address: Address) -> Account:
        """See :class:`IDirectory`."""
        return await self._engine.read(DIRECTORY, directory_rows.account_by_address, address)

    async def addresses(self, account_id: str) -> list[str]:
        """See :class:`IDirectory`."""
        return await self._engine.read(DIRECTORY, directory_rows.addresses, account_id)

    async def has_address(self, address: Address) -> bool:
        """See :class:`IDirectory`."""
        return await self._engine.read(DIRECTORY, directory_rows.has_address, address.key)

    async def dangling(self) -> list[tuple[str, str]]:
        """See :class:`IDirectory`."""
        return await self._engine.read(DIRECTORY, resolution.dangling)

    async def aliases(self, domain: str | None = None) -> list[Alias]:
        """See :class:`IDirectory`. :raises BadAddress: not a domain."""
        name = domain_key(domain) if domain is not None else None
        return await self._engine.read(DIRECTORY, directory_rows.aliases, name)

    async def credentials(self, account_id: str) -> list[Credential]:
        """See :class:`IDirectory`."""
        return await self._engine.read(DIRECTORY, directory_rows.credentials, account_id)

    async def grants(self, account_id: str | None = None) -> list[Grant]:
        """See :class:`IDirectory`."""
        return await self._engine.read(DIRECTORY, grants.grants, account_id)

    async def sharers(self, reader: str) -> tuple[Sharer, ...]:
        """See :class:`IDirectory`."""
        return await self._cached(("sharers", reader), sharing.sharers, reader, ANYONE)

    # changes

    async def _change(
        self, unit: Callable[Concatenate[Transaction, P], Changed[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        try:
            changed = await self._engine.write(DIRECTORY, unit, *args, **kwargs)
        finally:
            self._forget()  # also when it failed: whether an engine kept it is not always known
        if self._version == changed.version - 1:
            self._version = changed.version
        self._tell(changed.raised)
        if self._tell_others is not None:
            with suppress(StoreUnavailable):  # the change is made; they look for themselves now and then
                await self._tell_others()
        return changed.result

    def _forget(self) -> None:
        self._epoch += 1
        self._cache.clear()
        for forget in self._forgetting:
            forget()

    def on_forget(self, forget: Callable[[], object]) -> None:
        """Have ``forget`` called, as long as this object lives, whenever answers are dropped: for what else a process remembers
        that other processes change, and tell of by :meth:`touch`. What is being read when it is called may be old."""
        self._forgetting.append(forget)

    async def touch(self) -> None:
        """Have every process forget as after a change of the directory; none of its rows becomes another one. The others are
        told when this returns, as after any change. :raises StoreUnavailable:"""
        await self._change(directory_rows.touch)

    def _tell(self, account_ids: Sequence[str]) -> None:
        for account_id in account_ids:
            for callback in tuple(self._callbacks):
                callback(account_id)

    async def add_domain(self, name: str, alias_of: str = "", fixed: bool = False) -> Domain:
        """See :class:`IDirectory`."""
        return await self._change(directory_rows.add_domain, name, alias_of, fixed)

    async def update_domain(self, name: str, catch_all: str | None = None, separator: str | None = None) -> Domain:
        """See :class:`IDirectory`. An empty ``catch_all`` or ``separator`` means none. :raises BadAddress:"""
        return await self._change(directory_rows.update_domain, name, catch_all, separator)

    async def remove_domain(self, name: str) -> None:
        """See :class:`IDirectory`."""
        await self._change(directory_rows.remove_domain, name)

    async def add_dkim_keys(self, domain: str, keys: Sequence[DkimKey]) -> None:
        """See :class:`IDirectory`. :raises BadAddress:"""
        await self._change(dkim_keys.add_dkim_keys, domain_key(domain), tuple(keys))

    async def set_dkim_states(self, domain: str, states: Mapping[str, str], now: float) -> None:
        """See :class:`IDirectory`. :raises BadAddress: :raises ValueError: not one of ``STATES``."""
        if not set(STATES).issuperset(states.values()):
            raise ValueError("no such state of a key")
        await self._change(dkim_keys.set_dkim_states, domain_key(domain), dict(states), now)

    async def set_dkim_ready(self, domain: str, ready_at: Mapping[str, float]) -> None:
        """See :class:`IDirectory`. :raises BadAddress:"""
        await self._change(dkim_keys.set_dkim_ready, domain_key(domain), dict(ready_at))

    async def add_forwarding_key(
        self, key: ForwardingKey, unless_within: float, keep: int
    ) -> tuple[ForwardingKey, ...]:
        """See :class:`IDirectory`."""
        return await self._change(forwarding_keys.add_forwarding_key, key, unless_within, keep)

    async def remove_dkim_key(self, domain: str, selector: str) -> None:
        """See :class:`IDirectory`. :raises BadAddress:"""
        await self._change(dkim_keys.remove_dkim_key, domain_key(domain), selector)

    async def set_fixed_domains(self, names: Sequence[str]) -> None:
        """See :class:`IDirectory`. :raises BadAddress:"""
        # Mostly they are what they were: a start writes nothing then, and goes on where nothing can be written.
        if await self._engine.read(DIRECTORY, directory_rows.fixed_domains) != set(map(domain_key, names)):
            await self._change(directory_rows.set_fixed_domains, tuple(names))

    async def add_account(self, account_id: str, address: Address, created: float, role: str = "user") -> Account:
        """See :class:`IDirectory`. A domain that is an alias has no addresses of its own: NoSuchDomain.
        :raises ValueError: not one of ``ROLES``."""
        if role not in ROLES:
            raise ValueError(f"no such role: {role}")
        return await self._change(directory_rows.add_account, account_id, address, created, role)

    async def set_status(self, account_id: str, status: str) -> Account:
        """See :class:`IDirectory`. :raises ValueError: not one of ``STATUSES``."""
        if status not in STATUSES:
            raise ValueError(f"no such status: {status}")
        return await self._change(directory_rows.set_status, account_id, status)

    async def set_role(self, account_id: str, role: str) -> Account:
        """See :class:`IDirectory`. :raises ValueError: not one of ``ROLES``."""
        if role not in ROLES:
            raise ValueError(f"no such role: {role}")
        return await self._change(directory_rows.set_role, account_id, role)

    async def set_hidden(self, account_id: str, names: Sequence[str]) -> Account:
        """See :class:`IDirectory`."""
        return await self._change(directory_rows.set_hidden, account_id, tuple(names))

    async def remove_account(self, account_id: str) -> None:
        """See :class:`IDirectory`."""
        await self._change(directory_rows.remove_account, account_id)

    async def add_address(self, account_id: str, address: Address) -> None:
        """See :class:`IDirectory`."""
        await self._change(directory_rows.add_address, account_id, address)

    async def remove_address(self, address: Address) -> None:
        """See :class:`IDirectory`."""
        await self._change(directory_rows.remove_address, address)

    async def set_alias(self, alias: Alias, replace: bool = False) -> None:
        """See :class:`IDirectory`. :raises BadAddress: :raises LimitReached: more than 900 targets.
        :raises ValueError: no such detail policy, or a kind that is an account's."""
        if alias.detail not in DETAILS or alias.kind in ("", PRIMARY, FURTHER):
            raise ValueError("not a kind or detail policy of an alias")
        await self._change(directory_rows.set_alias, alias, replace)

    async def remove_alias(self, address: Address) -> None:
        """See :class:`IDirectory`."""
        await self._change(directory_rows.remove_alias, address)

    async def add_grant(self, account_id: str, address: str) -> None:
        """See :class:`IDirectory`."""
        await self._change(grants.add_grant, account_id, address)

    async def remove_grant(self, account_id: str, address: str) -> None:
        """See :class:`IDirectory`."""
        await self._change(grants.remove_grant, account_id, address)

    async def set_sharing(self, owner: str, reader: str, on: bool) -> None:
        """See :class:`IDirectory`."""
        if on != await self._engine.read(DIRECTORY, sharing.has_pair, owner, reader):
            await self._change(sharing.set_sharing, owner, reader, on)

    async def set_sending_limits(self, account_id: str, limits: OwnLimits) -> None:
        """See :class:`IDirectory`."""
        await self._change(sending_limits.set_sending_limits, account_id, limits)

    async def replace_credentials(self, account_id: str, label: str, credentials: Sequence[Credential]) -> None:
        """See :class:`IDirectory`."""
        await self._change(directory_rows.replace_credentials, account_id, label, tuple(credentials))

    async def renew_credentials(self, account_id: str, credential_id: str, credentials: Sequence[Credential]) -> bool:
        """See :class:`IDirectory`."""
        return await self._change(directory_rows.renew_credentials, account_id, credential_id, tuple(credentials))

    # what other processes changed

    def on_account_change(self, callback: Callable[[str], None]) -> Callable[[], None]:
        """See :class:`IDirectory`."""
        self._callbacks.append(callback)

        def end() -> None:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

        return end

    async def poll(self) -> None:
        """Look whether another process changed the directory: forget answers, tell of raised generations. For a
        timer where several processes share a store."""
        known = self._version
        version, raised = await self._engine.read(
            DIRECTORY, directory_rows.changes_since, known if known is not None else 0
        )
        if version == known:
            return
        self._version = version
        self._forget()
        if known is not None:
            self._tell(raised)
