"""Every command, once: on a running server through the control socket, or on the store itself without one."""

from __future__ import annotations

import re
from typing import Any

from mailnode.admin.dangling import told, with_dangling
from mailnode.admin.finding import find_account, find_domain, moment
from mailnode.admin.operations import CONFLICT, FAILED, NOT_FOUND, USAGE, CommandFailed, Office, command
from mailnode.errors import NoSuchMailbox
from mailnode.interfaces.store import IMailAccount
from mailnode.values.address import Address, domain_key, parse_address
from mailnode.values.directory import Domain
from mailnode.values.mailbox import MailboxInfo, MailboxStatus
from mailnode.values.mailbox_name import mailbox_name
from mailnode.values.queue import QueuedEnvelope, QueuedRecipient

PAGE = 500  # rows of the queue read at a time
MAX_LISTED = 10_000  # envelopes one answer holds

# Signs that stand in local parts without quotes. A letter would make details of most people's names.
_SEPARATOR = re.compile(r"[!#$%&'*+\-./=?^_`{|}~]*\Z")


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
    domain = await find_domain(office, name)
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
    await find_domain(office, name)
    if catch_all:
        parse_address(catch_all)
    if separator and not _SEPARATOR.match(separator):
        raise CommandFailed(USAGE, f"{name}: a separator is a sign such as + or -, no letter, digit, space or @")

    async def change() -> dict[str, Any]:
        return _domain(await office.directory.update_domain(name, catch_all=catch_all, separator=separator))

    return await with_dangling(office, change)


@command("domain.remove", destroys=True)
async def domain_remove(office: Office, name: str) -> Any:
    """Remove an empty domain that the configuration does not name."""
    domain = await find_domain(office, name)
    if domain.fixed:
        raise CommandFailed(CONFLICT, f"{name}: the configuration file names it; remove it there")
    # From now on these are addresses of a domain that is somebody else's, or nobody's.
    left = [
        (alias.address, target)
        for alias in await office.directory.aliases()
        for target in alias.targets
        if parse_address(target).domain_key == domain.name
    ]
    await office.directory.remove_domain(name)
    return {"removed": domain.name} | told(left)


async def _postmaster(office: Office, domain: Domain) -> list[str]:
    """Return whom mail for ``postmaster`` and ``MAILER-DAEMON`` of a domain reaches; empty: it is put off."""
    resolved = await office.directory.resolve(Address("postmaster", domain.name))
    found = [(await office.directory.account(account_id)).address for account_id, _ in resolved.local]
    return found + list(resolved.remote)


def _domain(domain: Domain) -> dict[str, Any]:
    return {
        "name": domain.written,
        "key": domain.name,
        "alias_of": domain.alias_of,
        "catch_all": domain.catch_all,
        "separator": domain.separator,
        "fixed": domain.fixed,
    }


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
        "created": moment(envelope.created),
        "expires": moment(envelope.expires),
        "held": envelope.held,
        "recipients": [_recipient(recipient) for recipient in envelope.recipients],
    }


def _recipient(recipient: QueuedRecipient) -> dict[str, Any]:
    return {
        "address": recipient.address,
        "destination": recipient.destination,
        "state": recipient.state,
        "attempts": recipient.attempts,
        "next_try": moment(recipient.next_try),
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
