"""An account that sends unusually much: its mail is held, where that is wanted, and postmaster is told."""

from __future__ import annotations

from collections.abc import Callable

from zope.interface import implementer

from mailnode.errors import DomainError
from mailnode.interfaces.accounts import IDirectory
from mailnode.interfaces.delivery import IDelivery
from mailnode.interfaces.runtime import IClock
from mailnode.interfaces.sending import IAlarm
from mailnode.interfaces.store import IBlobs, IQueueStore
from mailnode.message.compose import message_id
from mailnode.message.notices import notice
from mailnode.values.address import Address, parse_address
from mailnode.values.envelope import Envelope, MailOptions, Origin, Recipient
from mailnode.values.ids import new_id
from mailnode.values.plan import Judgement
from mailnode.values.queue import QueueFilter
from mailnode.values.sending import Loud

PAGE = 100  # envelopes held at a time


@implementer(IAlarm)
class Alarm:
    """Holds and tells."""

    def __init__(
        self,
        directory: IDirectory,
        queue: IQueueStore,
        blobs: IBlobs,
        delivery: Callable[[], IDelivery],
        clock: IClock,
        hostname: str,
    ) -> None:
        """:param delivery: returns the door that notices go through, which is there later than this."""
        self._directory = directory
        self._queue = queue
        self._blobs = blobs
        self._delivery = delivery
        self._clock = clock
        self._hostname = hostname

    async def hold(self, account_id: str) -> None:
        """See :class:`IAlarm`."""
        after, which = "", QueueFilter(account=account_id)
        while found := await self._queue.envelopes(after, PAGE, which):
            await self._queue.hold_several([one.id for one in found if not one.held], True)
            after = found[-1].id

    async def tell(self, loud: Loud) -> None:
        """See :class:`IAlarm`."""
        account = await self._directory.account(loud.account_id)
        to = Address("postmaster", parse_address(account.address).domain_key)
        route = await self._directory.resolve(to)
        if not route.local and not route.remote:
            raise DomainError("nobody is postmaster")
        now = self._clock.seconds()
        content = notice(
            f"MAILER-DAEMON@{self._hostname}",
            str(to),
            "An account sends unusually much mail",
            _text(account.address, loud),
            message_id(new_id(now), self._hostname),
            now,
        )
        body = "7BIT" if content.isascii() else "8BITMIME"
        origin = Origin(session="", protocol="local")
        envelope = Envelope(new_id(now), None, (Recipient(to),), origin, now, MailOptions(body=body))
        blob = await self._blobs.put(content)
        delivery = self._delivery()
        await delivery.accept(envelope, Judgement((to,), {to: route}), blob, await delivery.scan(blob))


def _text(address: str, loud: Loud) -> list[str]:
    usual = (
        f"in the busiest hour of the 14 days before, it was {loud.busiest}"
        if loud.busiest
        else "it had sent nothing for 14 days"
    )
    lines = [f"{address} has sent to {loud.recipients} recipients in this hour; {usual}.", ""]
    if loud.held:
        lines += [
            "Its mail is held in the queue from now on. To look at it, and to let it go and hold no more:",
            "",
            "mailnode queue list --state held",
            f"mailnode account release {address}",
            "",
        ]
    return [
        *lines,
        "Somebody else may know its password. To see what it sends, and to keep everybody out of it:",
        "",
        f"mailnode account sending {address}",
        f"mailnode account disable --no-login {address}",
        "",
        "This is told once a day of an account ([submission] loud_from).",
    ]
