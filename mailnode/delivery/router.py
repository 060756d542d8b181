"""Where a recipient's mail goes, and whether this client may send it there.

Nothing in a local part is ever read as a route: percent signs, bangs and at signs in it belong to the name (RFC 5321
4.1.1.3 allows refusing source routes, F.2 wants them ignored), so an address in a domain of ours ends here whatever it
looks like.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from zope.interface import implementer

from mailnode.errors import OverQuota, Refused
from mailnode.interfaces.accounts import IDirectory
from mailnode.interfaces.delivery import IForwarding, IRouter
from mailnode.interfaces.store import IMailStore
from mailnode.values.address import Address, domain_key, local_key
from mailnode.values.directory import Resolved
from mailnode.values.mailbox import Usage
from mailnode.values.networks import is_public_literal

# RFC 5321 4.5.1, at an address literal too; our own notices come from the other.
_AT_ANY_NAME = ("postmaster", "mailer-daemon")
_REFUSALS = {
    "4.2.0": "Nobody is here yet who takes this mail",
    "4.2.1": "Mailbox is suspended at present",
    "5.2.1": "Mailbox does not take mail",
}


@implementer(IRouter)
class Router:
    """Resolves recipients by directory and quota."""

    def __init__(
        self,
        directory: IDirectory,
        mail: IMailStore,
        *,
        refuse_foreign: bool = False,
        own_addresses: Collection[str] = (),
        own_names: Collection[str] = (),
        forwarding: IForwarding | None = None,
    ) -> None:
        """:param refuse_foreign: nothing goes to other domains, whoever asks, aliases included.
        :param own_addresses: IP addresses of this server: their literals are ours, and never relayed to.
        :param own_names: its host names: ours too, whether or not they are domains that mail is received for.
        :param forwarding: knows the addresses that stand for senders of forwarded mail."""
        self._directory = directory
        self._mail = mail
        self._refuse_foreign = refuse_foreign
        self._forwarding = forwarding
        self._own_hosts = {
            domain_key(f"[IPv6:{address}]" if ":" in address else f"[{address}]") for address in own_addresses
        } | {domain_key(name) for name in own_names}

    async def resolve(self, recipient: Address, relay: bool, size: int = 0, null_sender: bool = False) -> Resolved:
        """See :class:`IRouter`. :raises BadAddress: the domain is none."""
        # What was made here may be sent on, whoever brings the bounce; it may stand for another one made here, which is shorter.
        while recipient.domain and self._forwarding is not None:
            sender = await self._forwarding.restored(recipient, null_sender)
            if sender is None:
                break
            recipient, relay = sender, True
        return await self._resolve(recipient, relay, size)

    async def _resolve(self, recipient: Address, relay: bool, size: int) -> Resolved:
        if recipient.domain and not await self._directory.is_local(recipient.domain):
            if recipient.domain_key not in self._own_hosts:
                return self._foreign(recipient, relay)
            if local_key(recipient.local) not in _AT_ANY_NAME:
                raise Refused("5.1.1", "No such user here")
            recipient = Address(recipient.local, "")
        resolved = await self._directory.resolve(recipient)
        if not resolved.known:
            raise Refused("5.1.1", "No such user here")
        if resolved.refusal:
            raise Refused(resolved.refusal, _REFUSALS.get(resolved.refusal, "Mailbox does not take mail"))
        if resolved.remote and self._refuse_foreign:
            raise Refused("5.7.1", "Mail for other domains is not sent from here")
        return await self._with_quota(resolved, size)

    def _foreign(self, recipient: Address, relay: bool) -> Resolved:
        if not relay:
            raise Refused("5.7.1", "Relaying denied")
        if self._refuse_foreign:
            raise Refused("5.7.1", "Mail for other domains is not sent from here")
        if recipient.domain.startswith("[") and not is_public_literal(recipient.domain_key):
            raise Refused("5.1.2", "Mail is not sent to loopback, private or reserved addresses")
        return Resolved(True, remote=(str(recipient),))

    async def _with_quota(self, resolved: Resolved, size: int) -> Resolved:
        accounts = [account_id for account_id, _ in resolved.local]
        if not accounts:
            return resolved
        usage = await self._mail.usage(accounts)
        full = tuple([name for name in accounts if name in usage and not has_room(usage[name], size)])
        if len(full) == len(accounts) and not resolved.remote:
            raise OverQuota
        return replace(resolved, over_quota=full) if full else resolved


def has_room(usage: Usage, size: int) -> bool:
    """Whether an account can take a message of ``size`` octets; 0, not known yet: any room at all."""
    if usage.bytes_limit and usage.bytes_used + max(size, 1) > usage.bytes_limit:
        return False
    return not usage.count_limit or usage.count_used < usage.count_limit
