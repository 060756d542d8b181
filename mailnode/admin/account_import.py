"""Many accounts at once, out of a file."""

from __future__ import annotations

import os
import stat
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypedDict

from mailnode.admin.account_file import MAX_OCTETS, AccountLine, WrongLine, read_accounts
from mailnode.admin.accounts import check_password, check_quota, free_address, make_account_with
from mailnode.admin.administration import Administration
from mailnode.admin.finding import find_domain
from mailnode.admin.operations import OpenFile, OperationFailed, Reason, operation
from mailnode.errors import AlreadyExists, DomainError, NoSuchDomain
from mailnode.values.address import Address, parse_address
from mailnode.values.directory import SHARED, Alias

MOST_TOLD = 100  # mistakes


class AccountsImported(TypedDict):
    """What was added, or would be."""

    added: int
    present: int
    aliases_added: int
    aliases_present: int
    dry_run: bool


class _Plan:
    """What is to be done, and why it cannot be."""

    def __init__(self) -> None:
        self.accounts: list[AccountLine] = []
        self.aliases: list[Alias] = []
        self.accounts_present = self.aliases_present = 0
        self.wrong: list[WrongLine] = []
        self.known_aliases: dict[str, dict[str, Alias]] = {}  # by domain, then by the key of their address


@operation("accounts.import", changes=True, long=True)
async def accounts_import(admin: Administration, content: OpenFile, dry_run: bool = False) -> AccountsImported:
    """Add the accounts that a file names, with their aliases: all of what is new, or nothing when there is a mistake in it."""
    octets = await admin.threads.run("disk", _read, content)
    lines, wrong = await admin.threads.run("cpu", read_accounts, octets)
    plan = _Plan()
    plan.wrong += wrong
    for one in lines:
        await _look(admin, one, plan)
    if plan.wrong:
        raise OperationFailed(Reason.WRONG_VALUE, _words(plan.wrong))
    if not dry_run:
        await _add(admin, plan)
    return {
        "added": len(plan.accounts),
        "present": plan.accounts_present,
        "aliases_added": len(plan.aliases),
        "aliases_present": plan.aliases_present,
        "dry_run": dry_run,
    }


async def _add(admin: Administration, plan: _Plan) -> None:
    for one in plan.accounts:
        await make_account_with(
            admin, one.address, one.quota, one.quota_messages, password=one.password, hash=one.hash, role=one.role
        )
    for alias in plan.aliases:
        await admin.directory.set_alias(alias)


async def _look(admin: Administration, one: AccountLine, plan: _Plan) -> None:
    """Find out what is to be done about one line; nothing is done."""
    exists = await _told(plan, one, partial(_is_there, admin, one))
    if exists is None:
        return
    if exists:
        plan.accounts_present += 1
    else:
        plan.accounts.append(one)
    for address in one.aliases:
        there = await _told(plan, one, partial(_alias_is_there, admin, plan, one, address))
        if there:
            plan.aliases_present += 1
        elif there is not None:
            plan.aliases.append(Alias(str(address), (str(one.address),)))


async def _told(plan: _Plan, one: AccountLine, look: Callable[[], Awaitable[bool]]) -> bool | None:
    """Return what a look finds; None: something is wrong, which the plan is told."""
    try:
        return await look()
    except OperationFailed as error:
        text = error.text
    except NoSuchDomain:
        text = f"{one.address}: no such domain"
    except (DomainError, ValueError) as error:
        text = f"{one.address}: {error}"
    plan.wrong.append(WrongLine(one.line, text))
    return None


async def _is_there(admin: Administration, one: AccountLine) -> bool:
    """Whether an account is there already. :raises OperationFailed: it cannot be made, or something else has its address."""
    check_quota(one.quota, one.quota_messages)
    try:
        await free_address(admin, str(one.address))
    except AlreadyExists:
        account = (await admin.directory.login_record(str(one.address))).account
        if account is None or account.role == SHARED or parse_address(account.address).key != one.address.key:
            text = f"{one.address}: is there already, but not as an account that somebody logs in to by it"
            raise OperationFailed(Reason.CONFLICT, text) from None
        return True
    if one.hash:
        try:
            admin.adopt_hash("", one.hash, 0.0)
        except ValueError as error:
            raise OperationFailed(Reason.WRONG_VALUE, f"{one.address}: {error}") from None
    else:
        check_password(admin, one.password, str(one.address))
    return False


async def _alias_is_there(admin: Administration, plan: _Plan, one: AccountLine, address: Address) -> bool:
    """:raises OperationFailed: the address is something else."""
    domain = await find_domain(admin, address.domain)
    if domain.alias_of:
        raise OperationFailed(Reason.WRONG_VALUE, f"{address}: {domain.written} has no addresses of its own")
    if not await admin.directory.has_address(address):
        return False
    if address.domain_key not in plan.known_aliases:
        known = await admin.directory.aliases(address.domain_key)
        plan.known_aliases[address.domain_key] = {parse_address(alias.address).key: alias for alias in known}
    alias = plan.known_aliases[address.domain_key].get(address.key)
    if alias is not None and [parse_address(target).key for target in alias.targets] == [one.address.key]:
        return True
    raise OperationFailed(Reason.CONFLICT, f"{address}: is there already, and leads elsewhere")


def _words(wrong: list[WrongLine]) -> str:
    told = [str(one) for one in sorted(wrong, key=lambda one: one.line)]
    more = len(told) - MOST_TOLD
    lines = [*told[:MOST_TOLD], *([f"and {more} more"] if more > 0 else [])]
    return "\n".join(["nothing was added", *lines])


def _read(file: int) -> bytes:
    """:raises OperationFailed: it is no file, too large, or cannot be read."""
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode):
        raise OperationFailed(Reason.WRONG_VALUE, "not a file")
    if status.st_size > MAX_OCTETS:
        raise OperationFailed(Reason.WRONG_VALUE, f"larger than {MAX_OCTETS} octets")
    try:
        return os.pread(file, MAX_OCTETS, 0)
    except OSError as error:
        raise OperationFailed(Reason.WRONG_VALUE, f"cannot be read: {error.strerror}") from None
