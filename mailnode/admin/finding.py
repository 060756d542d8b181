"""Finds what a command names, and writes moments as commands tell them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from mailnode.admin.administration import Administration
from mailnode.admin.operations import OperationFailed, Reason
from mailnode.errors import DomainError, NoSuchAccount
from mailnode.values.address import Address, domain_key, parse_address
from mailnode.values.directory import Account, Alias, Domain


async def find_domain(admin: Administration, name: str) -> Domain:
    """Return the domain of a name in any spelling. :raises OperationFailed: there is none. :raises BadAddress:"""
    key = domain_key(name)
    for domain in await admin.directory.domains():
        if domain.name == key:
            return domain
    raise OperationFailed(Reason.NOT_FOUND, f"{name}: no such domain")


async def find_account(admin: Administration, address: str) -> Account:
    """Return the account with this address of its own.

    :raises BadAddress: :raises NoSuchAccount: :raises OperationFailed: it is an alias.
    """
    written = parse_address(address)
    if written != written.base(await separator(admin, written)):
        raise NoSuchAccount
    try:
        return await admin.directory.account_by_address(written)
    except NoSuchAccount:
        alias = await find_alias(admin, written)
        if alias is None:
            raise
        of = ", ".join(alias.targets)
        raise OperationFailed(Reason.NOT_FOUND, f"{address}: no account, but an alias of {of}") from None


async def find_alias(admin: Administration, address: Address) -> Alias | None:
    """Return the alias with this address."""
    aliases = await admin.directory.aliases(address.domain)
    return next((alias for alias in aliases if parse_address(alias.address).key == address.key), None)


async def separator(admin: Administration, address: Address) -> str:
    """Return the separator of an address' domain; "" where that is not a domain of ours."""
    key = address.domain_key
    return next((domain.separator for domain in await admin.directory.domains() if domain.name == key), "")


@contextmanager
def about(named: str) -> Iterator[None]:
    """What fails within is told of ``named``, not of what the command names first."""
    try:
        yield
    except DomainError as error:
        error.about = named
        raise


def moment(seconds: float) -> str:
    """Return UTC seconds as ``2026-11-23T02:15:00Z``."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
