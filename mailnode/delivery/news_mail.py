"""Mail of the server's own to who looks after it."""

from __future__ import annotations

from collections.abc import Callable

from zope.interface import implementer

from mailnode.delivery.own_mail import OwnMail
from mailnode.delivery.routing import RoutingTable
from mailnode.errors import BadAddress, DomainError
from mailnode.interfaces.accounts import IDirectory
from mailnode.interfaces.delivery import IDelivery, ISigner
from mailnode.interfaces.doctor import INewsMail
from mailnode.interfaces.runtime import IHints
from mailnode.interfaces.store import IBlobs, IQueueStore
from mailnode.message.compose import message_id
from mailnode.message.notices import notice
from mailnode.values.address import Address, parse_address
from mailnode.values.envelope import Envelope, MailOptions, Origin, Recipient

ADMIN, RECEIVING = "admin", ("active", "no-login")  # of accounts: the role, and the states in which they take mail
MAX_TOLD = 100  # administrators


@implementer(INewsMail)
class NewsMail(OwnMail):
    """Puts it into the queue. See :class:`INewsMail`."""

    def __init__(
        self,
        directory: IDirectory,
        queue: IQueueStore,
        blobs: IBlobs,
        delivery: IDelivery,
        signer: ISigner,
        hints: IHints,
        routing: RoutingTable,
        expires: Callable[[float, bool], float],
        hostname: str,
    ) -> None:
        """:param expires: the queue schedule's rule: (created, null sender) -> when an envelope gets too old."""
        super().__init__(directory, queue, blobs, delivery, signer, hints, routing)
        self._expires = expires
        self._hostname = hostname

    async def send(self, envelope_id: str, to: str, subject: str, lines: list[str], created: float) -> None:
        """See :class:`INewsMail`."""
        domain = await self._first_domain()
        address = parse_address(to) if to else Address("postmaster", domain)
        options = MailOptions(body="8BITMIME" if any(not line.isascii() for line in lines) else "7BIT")
        origin = Origin(session="", protocol="local")
        told = dict.fromkeys([address, *await self._administrators()])
        envelope = Envelope(envelope_id, None, tuple(map(Recipient, told)), origin, created, options)
        made = await self._copies(envelope)
        if not made.local and not made.remote:
            raise BadAddress(f"{address} leads nowhere, and no account is an administrator's")
        sender = f"postmaster@{domain}"
        content = notice(sender, str(address), subject, lines, message_id(envelope_id, self._hostname), created)
        if made.remote:  # who takes it elsewhere wants to know that it is from here
            content = await self._signature(domain, envelope, content) + content
        await self._enqueue(envelope, made, content, self._expires)

    async def _administrators(self) -> list[Address]:
        """Return the addresses of those who look after the server by their role. An account has one copy, whatever leads to it."""
        accounts = [one for one in await self._directory.accounts() if one.role == ADMIN and one.status in RECEIVING]
        return [parse_address(one.address) for one in accounts[:MAX_TOLD]]

    async def _first_domain(self) -> str:
        """:raises DomainError: there is none."""
        names = sorted(one.name for one in await self._directory.domains() if not one.alias_of)
        if not names:
            raise DomainError("there is no domain yet, and so no postmaster")
        return names[0]
