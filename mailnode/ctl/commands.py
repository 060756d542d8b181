"""Every command, once: on a running server through the control socket, or on the store itself without one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from mailnode.ctl.office import CONFLICT, FAILED, NOT_FOUND, USAGE, CommandFailed, Office, command
from mailnode.errors import DomainError, NoSuchAccount, NoSuchMailbox
from mailnode.interfaces.store import IMailAccount
from mailnode.values.address import Address, domain_key, parse_address
from mailnode.values.directory import Account, Alias, Domain
from mailnode.values.ids import new_id
from mailnode.values.mailbox import MailboxInfo, MailboxStatus
from mailnode.values.mailbox_name import mailbox_name
from mailnode.values.queue import QueuedEnvelope, QueuedRecipient

PAGE = 500  # rows of the queue read at a time
MAX_LISTED = 10_000  # envelopes one answer holds
PASSWORD_LABEL = "password"

_DISABLED = ("no-login", "no-receive", "suspended")

# Domains


@command("domain.add", changes=True)
async def domain_add(office: Office, name: str, alias_of: str = "") -> Any:
    """Add a domain, or another name for one."""
    return _domain(await office.directory.add_domain(name, alias_of))


@command("domain.list")
async def domain_list(office: Office) -> Any:
    """All domains."""
    return [_domain(domain) for domain in await office.directory.domains()]


@command("domain.show")
async def domain_show(office: Office, name: str) -> Any:
    """One domain with what stands in it."""
    domain = await _find_domain(office, name)
    accounts = await office.directory.accounts(domain.name)
    aliases = await office.directory.aliases(domain.name)
    shown = _domain(domain)
    shown["accounts"] = [account.address for account in accounts]
    shown["aliases"] = [alias.address for alias in aliases]
    shown["postmaster"] = await _postmaster(office, domain)
    return shown


@command("domain.change", changes=True)
async def domain_change(office: Office, name: str, catch_all: str | None = None, separator: str | None = None) -> Any:
    """Change the catch-all address (empty: none) or the separator."""
    await _find_domain(office, name)
    if catch_all:
        parse_address(catch_all)
    return _domain(await office.directory.update_domain(name, catch_all=catch_all, separator=separator))


@command("domain.remove", destroys=True)
async def domain_remove(office: Office, name: str) -> Any:
    """Remove an empty domain that the configuration does not name."""
    domain = await _find_domain(office, name)
    if domain.fixed:
        raise CommandFailed(CONFLICT, f"{name}: the configuration file names it; remove it there")
    await office.directory.remove_domain(name)
    return {"removed": domain.name}


async def _postmaster(office: Office, domain: Domain) -> list[str]:
    """Return whom mail for ``postmaster`` and ``MAILER-DAEMON`` of a domain reaches; empty: it is put off."""
    resolved = await office.directory.resolve(Address("postmaster", domain.name))
    found = [(await office.directory.account(account_id)).address for account_id, _ in resolved.local]
    return found + list(resolved.remote)


async def _find_domain(office: Office, name: str) -> Domain:
    key = domain_key(name)
    for domain in await office.directory.domains():
        if domain.name == key:
            return domain
    raise CommandFailed(NOT_FOUND, f"{name}: no such domain")


def _domain(domain: Domain) -> dict[str, Any]:
    return {
        "name": domain.written,
        "key": domain.name,
        "alias_of": domain.alias_of,
        "catch_all": domain.catch_all,
        "separator": domain.separator,
        "fixed": domain.fixed,
    }


# Accounts


@command("account.add", changes=True)
async def account_add(
    office: Office, address: str, password: str, quota_bytes: int = 0, quota_messages: int = 0, role: str = "user"
) -> Any:
    """Make an account with its mailboxes and password."""
    _check_quota(quota_bytes, quota_messages)
    written = parse_address(address)
    if written != written.base(await _separator(office, written)):
        raise CommandFailed(USAGE, f"{address}: an account's own address has no detail")
    now = office.clock.seconds()
    account_id = new_id(now)
    credentials = await office.threads.run("password", _credentials, office, account_id, password, now)
    # The mailboxes first: from the moment the address is known, mail may come in for it.
    await office.mail.provision(account_id, quota_bytes, quota_messages)
    try:
        account = await office.directory.add_account(account_id, written, now)
    except DomainError:
        await office.mail.remove(account_id)
        raise
    await office.directory.replace_credentials(account_id, PASSWORD_LABEL, credentials)
    if role != "user":
        account = await office.directory.set_role(account_id, role)
    return _account(account)


@command("account.list")
async def account_list(office: Office, domain: str | None = None) -> Any:
    """All accounts, or those of a domain."""
    if domain is not None:
        await _find_domain(office, domain)
    return [_account(account) for account in await office.directory.accounts(domain)]


@command("account.show")
async def account_show(office: Office, address: str) -> Any:
    """One account with addresses, quota and usage."""
    account = await find_account(office, address)
    usage = (await office.mail.usage([account.id])).get(account.id)
    credentials = await office.directory.credentials(account.id)
    shown = _account(account)
    shown["addresses"] = await office.directory.addresses(account.id)
    shown["may_send_as"] = [grant.address for grant in await office.directory.grants(account.id)]
    shown["bytes_used"] = usage.bytes_used if usage else 0
    shown["bytes_limit"] = usage.bytes_limit if usage else 0
    shown["messages_used"] = usage.count_used if usage else 0
    shown["messages_limit"] = usage.count_limit if usage else 0
    shown["credentials"] = [
        {
            "label": credential.label,
            "kind": credential.kind,
            "protocols": sorted(credential.protocols),
            "created": _moment(credential.created),
        }
        for credential in credentials
    ]
    return shown


@command("account.password", changes=True)
async def account_password(office: Office, address: str, password: str) -> Any:
    """Set a new password; sessions that logged in with the old one end."""
    account = await find_account(office, address)
    now = office.clock.seconds()
    beside = [c for c in await office.directory.credentials(account.id) if c.label != PASSWORD_LABEL]
    credentials = await office.threads.run("password", _credentials, office, account.id, password, now, beside)
    await office.directory.replace_credentials(account.id, PASSWORD_LABEL, credentials)
    return {"changed": account.address}


@command("account.disable", changes=True)
async def account_disable(office: Office, address: str, status: str = "suspended") -> Any:
    """Forbid login, receiving or both; live sessions end."""
    if status not in _DISABLED:
        raise CommandFailed(USAGE, f"{status}: should be one of {', '.join(_DISABLED)}")
    return await _set_status(office, address, status)


@command("account.enable", changes=True)
async def account_enable(office: Office, address: str) -> Any:
    """Allow everything again."""
    return await _set_status(office, address, "active")


@command("account.role", changes=True)
async def account_role(office: Office, address: str, role: str) -> Any:
    """Make it a user's or an administrator's account."""
    account = await find_account(office, address)
    return _account(await office.directory.set_role(account.id, role))


@command("account.quota", changes=True)
async def account_quota(
    office: Office, address: str, quota_bytes: int | None = None, quota_messages: int | None = None
) -> Any:
    """Change what is given; 0 is no limit."""
    _check_quota(quota_bytes or 0, quota_messages or 0)
    account = await find_account(office, address)
    usage = (await office.mail.usage([account.id]))[account.id]
    await office.mail.set_quota(
        account.id,
        usage.bytes_limit if quota_bytes is None else quota_bytes,
        usage.count_limit if quota_messages is None else quota_messages,
    )
    return await account_show(office, address)


@command("account.remove", destroys=True)
async def account_remove(office: Office, address: str) -> Any:
    """Remove an account and all its mail. Run again after a crash, it goes on where it stopped."""
    account = await find_account(office, address)
    # From here on nobody logs in, live sessions end, and mail for it is refused.
    await office.directory.set_status(account.id, "deleting")
    await office.mail.remove(account.id)
    await office.directory.remove_account(account.id)
    return {"removed": account.address}


@command("account.address.add", changes=True)
async def account_address_add(office: Office, address: str, further: str) -> Any:
    """Give an account a further address."""
    account = await find_account(office, address)
    await office.directory.add_address(account.id, parse_address(further))
    return await account_show(office, address)


@command("account.address.remove", destroys=True)
async def account_address_remove(office: Office, further: str) -> Any:
    """Take a further address away from its account."""
    await office.directory.remove_address(parse_address(further))
    return {"removed": further}


async def _set_status(office: Office, address: str, status: str) -> Any:
    account = await find_account(office, address)
    if account.status == "deleting":
        raise CommandFailed(CONFLICT, f"{address}: is being removed")
    return _account(await office.directory.set_status(account.id, status))


async def find_account(office: Office, address: str) -> Account:
    """Return the account with this address of its own. :raises BadAddress: :raises NoSuchAccount:"""
    written = parse_address(address)
    if written != written.base(await _separator(office, written)):
        raise NoSuchAccount
    return await office.directory.account_by_address(written)


async def _separator(office: Office, address: Address) -> str:
    key = address.domain_key
    return next((domain.separator for domain in await office.directory.domains() if domain.name == key), "")


def _credentials(office: Office, account_id: str, password: str, now: float, beside: Sequence[Any] = ()) -> Any:
    return office.make_credentials(account_id, password, now, label=PASSWORD_LABEL, beside=beside)


def _check_quota(*limits: int) -> None:
    if any(limit < 0 or limit >= 1 << 62 for limit in limits):
        raise CommandFailed(USAGE, "a quota is 0 (none) or a positive number")


def _account(account: Account) -> dict[str, Any]:
    return {
        "address": account.address,
        "id": account.id,
        "status": account.status,
        "role": account.role,
        "created": _moment(account.created),
    }


# Aliases


@command("alias.add", changes=True)
async def alias_add(
    office: Office, address: str, targets: list[str], replace: bool = False, detail: str = "cut"
) -> Any:
    """Let an address stand for others."""
    for target in targets:
        parse_address(target)
    alias = Alias(str(parse_address(address)), tuple(targets), detail=detail)
    await office.directory.set_alias(alias, replace)
    return _alias(alias)


@command("alias.list")
async def alias_list(office: Office, domain: str | None = None) -> Any:
    """All aliases, or those of a domain."""
    if domain is not None:
        await _find_domain(office, domain)
    return [_alias(alias) for alias in await office.directory.aliases(domain)]


@command("alias.show")
async def alias_show(office: Office, address: str) -> Any:
    """One alias."""
    wanted = parse_address(address)
    for alias in await office.directory.aliases(wanted.domain):
        if parse_address(alias.address).key == wanted.key:
            return _alias(alias)
    raise CommandFailed(NOT_FOUND, f"{address}: no such alias")


@command("alias.remove", destroys=True)
async def alias_remove(office: Office, address: str) -> Any:
    """Remove an alias."""
    try:
        await office.directory.remove_alias(parse_address(address))
    except NoSuchAccount:
        raise CommandFailed(NOT_FOUND, f"{address}: no such alias") from None
    return {"removed": address}


def _alias(alias: Alias) -> dict[str, Any]:
    return {"address": alias.address, "targets": list(alias.targets), "detail": alias.detail}


# Mailboxes


@command("mailbox.list")
async def mailbox_list(office: Office, address: str) -> Any:
    """All mailboxes of an account with their counts."""
    mail = await _mail(office, address)
    infos = await mail.mailboxes()
    counts = {status.mailbox_id: status for status in await mail.status([info.id for info in infos])}
    return [_mailbox(info, counts.get(info.id)) for info in infos]


@command("mailbox.show")
async def mailbox_show(office: Office, address: str, name: str) -> Any:
    """One mailbox with its counts."""
    wanted = mailbox_name(name)
    mail = await _mail(office, address)
    try:
        info = await mail.named(wanted)
    except NoSuchMailbox:
        raise CommandFailed(NOT_FOUND, f"{name}: no such mailbox") from None
    counts = await mail.status([info.id])
    return _mailbox(info, counts[0] if counts else None)


@command("mailbox.create", changes=True)
async def mailbox_create(office: Office, address: str, name: str) -> Any:
    """Make a mailbox, and those above it."""
    mail = await _mail(office, address)
    return _mailbox(await mail.create(mailbox_name(name)), None)


async def _mail(office: Office, address: str) -> IMailAccount:
    return office.mail.account((await find_account(office, address)).id)


def _mailbox(info: MailboxInfo, status: MailboxStatus | None) -> dict[str, Any]:
    return {
        "name": info.name,
        "special_use": info.special_use,
        "subscribed": info.subscribed,
        "messages": status.messages if status else 0,
        "unseen": status.unseen if status else 0,
        "size": status.size if status else 0,
        "uidvalidity": info.uidvalidity,
        "uidnext": status.uidnext if status else 1,
    }


# Queue


@command("queue.list")
async def queue_list(office: Office) -> Any:
    """All envelopes that wait, oldest first; at most :data:`MAX_LISTED`."""
    found: list[QueuedEnvelope] = []
    after = ""
    while len(found) < MAX_LISTED:
        page = await office.queue.envelopes(after, PAGE)
        found += page
        if len(page) < PAGE:
            break
        after = page[-1].id
    return [_envelope(envelope) for envelope in found[:MAX_LISTED]]


@command("queue.show")
async def queue_show(office: Office, envelope_id: str) -> Any:
    """One envelope with all its recipients, done ones included."""
    envelope = await office.queue.envelope(envelope_id)
    if envelope is None:
        raise _no_envelope(envelope_id)
    return _envelope(envelope)


@command("queue.retry", changes=True)
async def queue_retry(office: Office, envelope_id: str | None = None, destination: str | None = None) -> Any:
    """Make waiting recipients due now: of one envelope, of one destination, or all."""
    if envelope_id is not None and await office.queue.envelope(envelope_id) is None:
        raise _no_envelope(envelope_id)
    if destination is not None:
        destination = domain_key(destination)
    count = await office.queue.retry(envelope_id, destination, office.clock.seconds())
    office.hints.wake_queue()
    return {"recipients": count}


@command("queue.hold", changes=True)
async def queue_hold(office: Office, envelope_id: str) -> Any:
    """Keep an envelope from being tried until it is released."""
    if not await office.queue.hold(envelope_id, True):
        raise _no_envelope(envelope_id)
    return {"held": envelope_id}


@command("queue.release", changes=True)
async def queue_release(office: Office, envelope_id: str) -> Any:
    """Let a held envelope go on."""
    if not await office.queue.hold(envelope_id, False):
        raise _no_envelope(envelope_id)
    office.hints.wake_queue()
    return {"released": envelope_id}


@command("queue.drop", destroys=True)
async def queue_drop(office: Office, envelope_id: str) -> Any:
    """Remove an envelope; nobody is told."""
    if not await office.queue.drop(envelope_id):
        raise _no_envelope(envelope_id)
    return {"dropped": envelope_id}


def _no_envelope(envelope_id: str) -> CommandFailed:
    return CommandFailed(NOT_FOUND, f"{envelope_id}: no such envelope in the queue")


def _envelope(envelope: QueuedEnvelope) -> dict[str, Any]:
    return {
        "id": envelope.id,
        "sender": envelope.reverse_path,
        "size": envelope.blob.size,
        "created": _moment(envelope.created),
        "expires": _moment(envelope.expires),
        "held": envelope.held,
        "recipients": [_recipient(recipient) for recipient in envelope.recipients],
    }


def _recipient(recipient: QueuedRecipient) -> dict[str, Any]:
    return {
        "address": recipient.address,
        "destination": recipient.destination,
        "state": recipient.state,
        "attempts": recipient.attempts,
        "next_try": _moment(recipient.next_try),
        "last_status": recipient.last_status,
        "last_reply": recipient.last_reply,
        "last_host": recipient.last_host,
    }


# The server itself


@command("reload", changes=True)
async def reload(office: Office) -> Any:
    """Read the configuration and the certificates again."""
    if office.reload is None:
        raise CommandFailed(FAILED, "no server is running on this data directory")
    result = await office.reload()
    if result["mistakes"]:
        raise CommandFailed(FAILED, "\n".join(["nothing was taken over", *result["mistakes"]]))
    return result


@command("status")
async def status(office: Office) -> Any:
    """What each process of the server serves."""
    if office.status is None:
        raise CommandFailed(FAILED, "no server is running on this data directory")
    return await office.status()


@command("ping")
async def ping(office: Office) -> Any:
    """Whether a server answers."""
    return {"running": office.reload is not None}


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
