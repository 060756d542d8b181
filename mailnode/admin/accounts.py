"""Commands about accounts: mailboxes with a login."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mailnode.admin.administration import Administration
from mailnode.admin.dangling import with_dangling
from mailnode.admin.finding import find_account, find_domain, moment
from mailnode.admin.operations import CONFLICT, USAGE, CommandFailed, command
from mailnode.errors import AlreadyExists, DomainError, NoSuchDomain
from mailnode.values.address import Address, check_own, parse_address
from mailnode.values.directory import Account
from mailnode.values.ids import new_id

PASSWORD_LABEL = "password"
MAX_QUOTA = (1 << 62) - 1  # octets, or messages

_DISABLED = ("no-login", "no-receive", "suspended")


@command("account.add", changes=True)
async def account_add(
    admin: Administration,
    address: str,
    password: str,
    quota_bytes: int = 0,
    quota_messages: int = 0,
    role: str = "user",
) -> Any:
    """Make an account with its mailboxes and password."""
    _check_quota(quota_bytes, quota_messages)
    written = await _free_address(admin, address)
    _check_password(admin, password, str(written))
    now = admin.clock.seconds()
    account_id = new_id(now)
    credentials = await admin.threads.run("password", _credentials, admin, account_id, password, now)
    # The mailboxes first: from the moment the address is known, mail may come in for it.
    await admin.mail.provision(account_id, quota_bytes, quota_messages)
    try:
        account = await admin.directory.add_account(account_id, written, now)
    except DomainError:
        await admin.mail.remove(account_id)
        raise
    await admin.directory.replace_credentials(account_id, PASSWORD_LABEL, credentials)
    if role != "user":
        account = await admin.directory.set_role(account_id, role)
    return _account(account)


@command("account.check")
async def account_check(admin: Administration, address: str, new: bool = False) -> Any:
    """Whether an account could get a password: before a person is asked for one. :param new: it is to be made."""
    found = await _free_address(admin, address) if new else (await find_account(admin, address)).address
    return {"address": str(found)}


@command("account.list")
async def account_list(admin: Administration, domain: str | None = None) -> Any:
    """All accounts, or those of a domain."""
    if domain is not None:
        await find_domain(admin, domain)
    return [_account(account) for account in await admin.directory.accounts(domain)]


@command("account.show")
async def account_show(admin: Administration, address: str) -> Any:
    """One account with addresses, quota and usage."""
    account = await find_account(admin, address)
    usage = (await admin.mail.usage([account.id])).get(account.id)
    credentials = await admin.directory.credentials(account.id)
    shown = _account(account)
    shown["addresses"] = await admin.directory.addresses(account.id)
    shown["may_send_as"] = [grant.address for grant in await admin.directory.grants(account.id)]
    shown["bytes_used"] = usage.bytes_used if usage else 0
    shown["bytes_limit"] = usage.bytes_limit if usage else 0
    shown["messages_used"] = usage.count_used if usage else 0
    shown["messages_limit"] = usage.count_limit if usage else 0
    shown["credentials"] = [
        {
            "label": credential.label,
            "kind": credential.kind,
            "protocols": sorted(credential.protocols),
            "created": moment(credential.created),
        }
        for credential in credentials
    ]
    return shown


@command("account.password", changes=True)
async def account_password(admin: Administration, address: str, password: str) -> Any:
    """Set a new password; sessions that logged in with the old one end."""
    account = await find_account(admin, address)
    _check_password(admin, password, account.address)
    now = admin.clock.seconds()
    beside = [c for c in await admin.directory.credentials(account.id) if c.label != PASSWORD_LABEL]
    credentials = await admin.threads.run("password", _credentials, admin, account.id, password, now, beside)
    await admin.directory.replace_credentials(account.id, PASSWORD_LABEL, credentials)
    return {"changed": account.address}


@command("account.disable", changes=True)
async def account_disable(admin: Administration, address: str, status: str = "suspended") -> Any:
    """Forbid login, receiving or both; live sessions end."""
    if status not in _DISABLED:
        raise CommandFailed(USAGE, f"{status}: should be one of {', '.join(_DISABLED)}")
    return await _set_status(admin, address, status)


@command("account.enable", changes=True)
async def account_enable(admin: Administration, address: str) -> Any:
    """Allow everything again."""
    return await _set_status(admin, address, "active")


@command("account.role", changes=True)
async def account_role(admin: Administration, address: str, role: str) -> Any:
    """Make it a user's or an administrator's account."""
    account = await find_account(admin, address)
    return _account(await admin.directory.set_role(account.id, role))


@command("account.quota", changes=True)
async def account_quota(
    admin: Administration, address: str, quota_bytes: int | None = None, quota_messages: int | None = None
) -> Any:
    """Change what is given; 0 is no limit."""
    _check_quota(quota_bytes or 0, quota_messages or 0)
    account = await find_account(admin, address)
    usage = (await admin.mail.usage([account.id]))[account.id]
    await admin.mail.set_quota(
        account.id,
        usage.bytes_limit if quota_bytes is None else quota_bytes,
        usage.count_limit if quota_messages is None else quota_messages,
    )
    return await account_show(admin, address)


@command("account.remove", destroys=True)
async def account_remove(admin: Administration, address: str) -> Any:
    """Remove an account and all its mail. Run again after a crash, it goes on where it stopped."""
    account = await find_account(admin, address)

    async def remove() -> dict[str, Any]:
        # From here on nobody logs in, live sessions end, and mail for it is refused.
        await admin.directory.set_status(account.id, "deleting")
        await admin.mail.remove(account.id)
        await admin.directory.remove_account(account.id)
        return {"removed": account.address}

    return await with_dangling(admin, remove)


@command("account.address.add", changes=True)
async def account_address_add(admin: Administration, address: str, further: str) -> Any:
    """Give an account a further address."""
    account = await find_account(admin, address)
    await admin.directory.add_address(account.id, parse_address(further))
    return await account_show(admin, address)


@command("account.address.remove", destroys=True)
async def account_address_remove(admin: Administration, further: str) -> Any:
    """Take a further address away from its account."""
    address = parse_address(further)

    async def remove() -> dict[str, Any]:
        await admin.directory.remove_address(address)
        return {"removed": further}

    return await with_dangling(admin, remove)


async def _free_address(admin: Administration, text: str) -> Address:
    """Return an address that an account may be made with. :raises DomainError: :raises CommandFailed:"""
    written = parse_address(text)
    domain = await find_domain(admin, written.domain)
    if domain.alias_of:
        raise NoSuchDomain(f"{domain.written} is an alias of {domain.alias_of} and has no addresses of its own")
    if written != written.base(domain.separator):
        raise CommandFailed(USAGE, f"{text}: an account's own address has no detail")
    check_own(written)
    if await admin.directory.has_address(written):
        raise AlreadyExists
    return written


def _check_password(admin: Administration, password: str, address: str) -> None:
    """:raises CommandFailed: it is too weak for this account."""
    weakness = admin.weakness(password, address)
    if weakness:
        raise CommandFailed(USAGE, f"{address}: {weakness} ([auth] in docs/configuration)")


async def _set_status(admin: Administration, address: str, status: str) -> Any:
    account = await find_account(admin, address)
    if account.status == "deleting":
        raise CommandFailed(CONFLICT, f"{address}: is being removed")
    return _account(await admin.directory.set_status(account.id, status))


def _credentials(admin: Administration, account_id: str, password: str, now: float, beside: Sequence[Any] = ()) -> Any:
    return admin.make_credentials(account_id, password, now, label=PASSWORD_LABEL, beside=beside)


def _check_quota(*limits: int) -> None:
    if any(limit < 0 or limit > MAX_QUOTA for limit in limits):
        raise CommandFailed(USAGE, f"a quota is 0 (none) or up to {MAX_QUOTA}")


def _account(account: Account) -> dict[str, Any]:
    return {
        "address": account.address,
        "id": account.id,
        "status": account.status,
        "role": account.role,
        "created": moment(account.created),
    }
