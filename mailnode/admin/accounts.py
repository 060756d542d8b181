"""Operations on accounts: mailboxes with a login."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypedDict

from mailnode.admin.administration import Administration
from mailnode.admin.dangling import Removed, left_by
from mailnode.admin.finding import about, find_account, find_domain, moment
from mailnode.admin.operations import Count, Octets, OperationFailed, Reason, Secret, operation
from mailnode.errors import AlreadyExists, DomainError, NoSuchDomain
from mailnode.values.address import Address, check_own, parse_address
from mailnode.values.capability import MOST_HIDDEN, capability_name
from mailnode.values.directory import SHARED, Account, Credential
from mailnode.values.ids import new_id

PASSWORD_LABEL = "password"
ANY_SIZE, ANY_NUMBER = Octets(0), Count(0)  # no quota
MAX_QUOTA = (1 << 62) - 1  # octets, or messages


class AccountRecord(TypedDict):
    """An account as lists tell it."""

    address: str
    id: str
    status: str  # active, no-login, no-receive, suspended, deleting
    role: str
    created: str


class CredentialRecord(TypedDict):
    """What an account logs in with, without the secret."""

    label: str
    kind: str
    protocols: list[str]
    created: str


class AccountDetails(AccountRecord):
    """An account with addresses, quota and usage."""

    addresses: list[str]
    may_send_as: list[str]  # what was granted beside them
    bytes_used: int
    bytes_limit: int  # 0: no limit
    messages_used: int
    messages_limit: int
    mailboxes_limit: int
    credentials: list[CredentialRecord]
    hidden_capabilities: list[str]


class AddressChecked(TypedDict):
    """An address that could be given a password."""

    address: str


class PasswordChanged(TypedDict):
    """Whose password it is."""

    changed: str


@operation("account.add", changes=True)
async def account_add(
    admin: Administration,
    address: str,
    password: Secret,
    quota_bytes: Octets = ANY_SIZE,
    quota_messages: Count = ANY_NUMBER,
    role: Literal["user", "admin"] = "user",
    hash: str = "",
) -> AccountRecord:
    """Make an account with its mailboxes and password. :param hash: of the password, as another server made it, in its place."""
    check_quota(quota_bytes, quota_messages)
    written = await free_address(admin, address)
    if not hash:
        check_password(admin, password, str(written))
    elif password:
        raise OperationFailed(Reason.WRONG_VALUE, f"{address}: a password, or a hash")
    return account_record(
        await make_account_with(admin, written, quota_bytes, quota_messages, password=password, hash=hash, role=role)
    )


async def make_account_with(
    admin: Administration,
    address: Address,
    quota_bytes: int,
    quota_messages: int,
    *,
    password: str,
    hash: str,
    role: str = "user",
) -> Account:
    """Make an account that is logged in to with a password, or with what fits another server's hash of it.

    :raises DomainError: :raises ValueError: such a hash is not taken.
    """
    now = admin.clock.seconds()
    account_id = new_id(now)
    if hash:
        credentials = admin.adopt_hash(account_id, hash, now, label=PASSWORD_LABEL)
    else:
        credentials = await admin.threads.run("password", _credentials, admin, account_id, password, now)
    account = await make_account(admin, account_id, address, now, quota_bytes, quota_messages)
    await admin.directory.replace_credentials(account_id, PASSWORD_LABEL, credentials)
    return await admin.directory.set_role(account_id, role) if role != "user" else account


async def make_account(
    admin: Administration,
    account_id: str,
    address: Address,
    now: float,
    quota_bytes: int,
    quota_messages: int,
    role: str = "user",
) -> Account:
    """Make an account without a password. :raises DomainError: nothing of it is left."""
    # The mailboxes first: from the moment the address is known, mail may come in for it.
    await admin.mail.provision(account_id, quota_bytes, quota_messages)
    try:
        account: Account = await admin.directory.add_account(account_id, address, now, role)
    except DomainError:
        await admin.mail.remove(account_id)
        raise
    return account


@operation("account.check")
async def account_check(admin: Administration, address: str, new: bool = False) -> AddressChecked:
    """Whether an account could get a password: before a person is asked for one. :param new: it is to be made."""
    found = await free_address(admin, address) if new else (await _with_login(admin, address)).address
    return {"address": str(found)}


@operation("account.list")
async def account_list(admin: Administration, domain: str | None = None) -> list[AccountRecord]:
    """All accounts, or those of a domain."""
    if domain is not None:
        await find_domain(admin, domain)
    return [account_record(account) for account in await admin.directory.accounts(domain)]


@operation("account.show")
async def account_show(admin: Administration, address: str) -> AccountDetails:
    """One account with addresses, quota and usage."""
    account = await find_account(admin, address)
    usage = (await admin.mail.usage([account.id])).get(account.id)
    credentials = await admin.directory.credentials(account.id)
    return {
        **account_record(account),
        "addresses": list(await admin.directory.addresses(account.id)),
        "may_send_as": [grant.address for grant in await admin.directory.grants(account.id)],
        "bytes_used": usage.bytes_used if usage else 0,
        "bytes_limit": usage.bytes_limit if usage else 0,
        "messages_used": usage.count_used if usage else 0,
        "messages_limit": usage.count_limit if usage else 0,
        "mailboxes_limit": usage.mailboxes_limit if usage else 0,
        "credentials": [_credential(credential) for credential in credentials],
        "hidden_capabilities": account.hidden.split(),
    }


@operation("account.password", changes=True)
async def account_password(admin: Administration, address: str, password: Secret) -> PasswordChanged:
    """Set a new password; sessions that logged in with the old one end."""
    account = await _with_login(admin, address)
    check_password(admin, password, account.address)
    now = admin.clock.seconds()
    beside = [c for c in await admin.directory.credentials(account.id) if c.label != PASSWORD_LABEL]
    credentials = await admin.threads.run("password", _credentials, admin, account.id, password, now, beside)
    await admin.directory.replace_credentials(account.id, PASSWORD_LABEL, credentials)
    return {"changed": account.address}


@operation("account.disable", changes=True)
async def account_disable(
    admin: Administration, address: str, status: Literal["no-login", "no-receive", "suspended"] = "suspended"
) -> AccountRecord:
    """Forbid login, receiving or both; live sessions end."""
    return await _set_status(admin, address, status)


@operation("account.enable", changes=True)
async def account_enable(admin: Administration, address: str) -> AccountRecord:
    """Allow everything again."""
    return await _set_status(admin, address, "active")


@operation("account.role", changes=True)
async def account_role(admin: Administration, address: str, role: Literal["user", "admin"]) -> AccountRecord:
    """Make it a user's or an administrator's account."""
    account = await _with_login(admin, address)
    return account_record(await admin.directory.set_role(account.id, role))


@operation("account.hide-capability", changes=True)
async def account_hide_capability(admin: Administration, address: str, capability: str) -> AccountDetails:
    """Tell an account's mail programs nothing of an IMAP capability, from their next login on."""
    account, name = await find_account(admin, address), _capability(capability)
    hidden = sorted({*account.hidden.split(), name})
    if len(hidden) > MOST_HIDDEN:
        raise OperationFailed(Reason.WRONG_VALUE, f"more than {MOST_HIDDEN} capabilities")
    await admin.directory.set_hidden(account.id, hidden)
    return await account_show(admin, address)


@operation("account.show-capability", changes=True)
async def account_show_capability(admin: Administration, address: str, capability: str) -> AccountDetails:
    """Undo hide-capability."""
    account, name = await find_account(admin, address), _capability(capability)
    await admin.directory.set_hidden(account.id, [other for other in account.hidden.split() if other != name])
    return await account_show(admin, address)


def _capability(text: str) -> str:
    try:
        return capability_name(text)
    except ValueError as error:
        raise OperationFailed(Reason.WRONG_VALUE, str(error)) from None


@operation("account.quota", changes=True)
async def account_quota(
    admin: Administration,
    address: str,
    quota_bytes: Octets | None = None,
    quota_messages: Count | None = None,
    quota_mailboxes: Count | None = None,
) -> AccountDetails:
    """Change what is given; 0 is no limit."""
    check_quota(quota_bytes or 0, quota_messages or 0, quota_mailboxes or 0)
    account = await find_account(admin, address)
    usage = (await admin.mail.usage([account.id]))[account.id]
    await admin.mail.set_quota(
        account.id,
        usage.bytes_limit if quota_bytes is None else quota_bytes,
        usage.count_limit if quota_messages is None else quota_messages,
        usage.mailboxes_limit if quota_mailboxes is None else quota_mailboxes,
    )
    return await account_show(admin, address)


@operation("account.remove", destroys=True)
async def account_remove(admin: Administration, address: str) -> Removed:
    """Remove an account and all its mail. Run again after a crash, it goes on where it stopped."""
    account = await find_account(admin, address)

    async def remove() -> None:
        # From here on nobody logs in, live sessions end, and mail for it is refused.
        await admin.directory.set_status(account.id, "deleting")
        for owner in await admin.directory.sharers(account.id):
            await admin.mail.forget_reader(owner.account_id, account.id)
        await admin.mail.remove(account.id)
        await admin.directory.remove_account(account.id)

    return {"removed": account.address, "dangling": await left_by(admin, remove)}


@operation("account.address.add", changes=True)
async def account_address_add(admin: Administration, address: str, further: str) -> AccountDetails:
    """Give an account a further address."""
    account = await find_account(admin, address)
    with about(further):
        await admin.directory.add_address(account.id, parse_address(further))
    return await account_show(admin, address)


@operation("account.address.remove", destroys=True)
async def account_address_remove(admin: Administration, further: str) -> Removed:
    """Take a further address away from its account."""
    address = parse_address(further)
    return {"removed": further, "dangling": await left_by(admin, lambda: admin.directory.remove_address(address))}


async def _with_login(admin: Administration, address: str) -> Account:
    """Return an account that somebody may log in to. :raises OperationFailed: it belongs to nobody."""
    account = await find_account(admin, address)
    if account.role == SHARED:
        raise OperationFailed(Reason.CONFLICT, f"{address}: is shared, nobody logs in to it")
    return account


async def free_address(admin: Administration, text: str) -> Address:
    """Return an address that an account may be made with. :raises DomainError: :raises OperationFailed:"""
    written = parse_address(text)
    domain = await find_domain(admin, written.domain)
    if domain.alias_of:
        raise NoSuchDomain(f"{domain.written} is an alias of {domain.alias_of} and has no addresses of its own")
    if written != written.base(domain.separator):
        raise OperationFailed(Reason.WRONG_VALUE, f"{text}: an account's own address has no detail")
    check_own(written)
    if await admin.directory.has_address(written):
        raise AlreadyExists
    return written


def check_password(admin: Administration, password: str, address: str) -> None:
    """:raises OperationFailed: it is too weak for this account."""
    weakness = admin.weakness(password, address)
    if weakness:
        raise OperationFailed(Reason.WRONG_VALUE, f"{address}: {weakness} ([auth] in docs/configuration)")


async def _set_status(admin: Administration, address: str, status: str) -> AccountRecord:
    account = await find_account(admin, address)
    if account.status == "deleting":
        raise OperationFailed(Reason.CONFLICT, f"{address}: is being removed")
    return account_record(await admin.directory.set_status(account.id, status))


def _credentials(
    admin: Administration, account_id: str, password: str, now: float, beside: Sequence[Credential] = ()
) -> list[Credential]:
    return admin.make_credentials(account_id, password, now, label=PASSWORD_LABEL, beside=beside)


def check_quota(*limits: int) -> None:
    """:raises OperationFailed: one of them is no quota."""
    if any(limit < 0 or limit > MAX_QUOTA for limit in limits):
        raise OperationFailed(Reason.WRONG_VALUE, f"a quota is 0 (none) or up to {MAX_QUOTA}")


def _credential(credential: Credential) -> CredentialRecord:
    return {
        "label": credential.label,
        "kind": credential.kind,
        "protocols": sorted(credential.protocols),
        "created": moment(credential.created),
    }


def account_record(account: Account) -> AccountRecord:
    """Return an account as lists tell it."""
    return {
        "address": account.address,
        "id": account.id,
        "status": account.status,
        "role": account.role,
        "created": moment(account.created),
    }
