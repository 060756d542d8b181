"""Whose address mail bears that this server sends on, and who its bounces are for (:mod:`mailnode.delivery.srs`)."""

from __future__ import annotations

import secrets

from zope.interface import implementer

from mailnode.delivery import srs
from mailnode.errors import BadAddress, Refused
from mailnode.interfaces.accounts import IDirectory
from mailnode.interfaces.delivery import IForwarding
from mailnode.interfaces.runtime import IClock
from mailnode.values.address import Address, domain_key
from mailnode.values.directory import ForwardingKey

KEY_OCTETS = 32
KEY_SECONDS = 30 * 86_400.0  # for which a key makes addresses
KEYS_KEPT = 3  # what the oldest of them made is past its days when it goes


def answering_domain(recipient: Address, hostname: str) -> str:
    """Return the domain that answers for what a recipient leads on, in ASCII, whatever the next server knows: its own, or the
    host name."""
    bare = not recipient.domain or recipient.domain.startswith("[")
    return hostname if bare else recipient.domain_key


@implementer(IForwarding)
class Forwarding:
    """Rewrites reverse-paths and knows its own again."""

    def __init__(self, directory: IDirectory, clock: IClock, hostname: str) -> None:
        """:param hostname: stands for the domain of a recipient that has none of its own."""
        self._directory = directory
        self._clock = clock
        self._hostname = hostname
        self._known: tuple[ForwardingKey, ...] = ()  # to make addresses with; the store may have newer ones

    async def rewritten(self, sender: Address, recipient: Address, forged: bool = False) -> Address:
        """See :class:`IForwarding`."""
        if not sender.domain or await self._is_ours(sender.domain):
            return sender
        now = self._clock.seconds()
        domain = answering_domain(recipient, self._hostname)
        return srs.rewrite(sender, domain, await self._key(now), now, forged=forged)

    async def restored(self, recipient: Address, null_sender: bool) -> Address | None:
        """See :class:`IForwarding`."""
        if not srs.is_rewritten(recipient.local) or not await self._is_ours(recipient.domain):
            return None
        if not null_sender:
            raise Refused("5.7.1", "Only notices of delivery are taken for this address")
        now = self._clock.seconds()
        keys = [bytes.fromhex(key.secret) for key in await self._directory.forwarding_keys()]  # other processes' too
        try:
            return srs.restore(recipient.local, keys, now)
        except srs.NobodyVouches:
            raise Refused("5.7.1", "No notice goes on to a sender that nobody vouched for") from None
        except srs.NotOurs as error:
            raise Refused("5.1.1", f"No such address here: {error}") from None

    async def _key(self, now: float) -> bytes:
        """Return the key to make addresses with; a new one is made in time."""
        if not self._known or now - self._known[0].created >= KEY_SECONDS:
            key = ForwardingKey(now, secrets.token_hex(KEY_OCTETS))
            self._known = await self._directory.add_forwarding_key(key, KEY_SECONDS, KEYS_KEPT)
        return bytes.fromhex(self._known[0].secret)

    async def _is_ours(self, domain: str) -> bool:
        try:
            return domain_key(domain) == domain_key(self._hostname) or await self._directory.is_local(domain)
        except BadAddress:
            return False
