"""What accounts may send: recipients that bounced for them are suppressed for a while.

A suppressed recipient costs nobody a try: servers take it amiss when somebody goes on writing to people that they do not
have. One that was only mistaken for gone comes back by itself, or when an operator says so.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger
from zope.interface import implementer

from mailnode.errors import BadAddress, Refused, StoreUnavailable
from mailnode.interfaces.runtime import IClock
from mailnode.interfaces.sending import ISending, ISuppressions
from mailnode.values.address import parse_address
from mailnode.values.events import emit, moment
from mailnode.values.sending import SendingSettings, Suppression

# What says that there is no such recipient, and will be none tomorrow (RFC 3463 3.2 and 3.3, RFC 7505): not what a policy
# says (5.7), and not what says nothing more than no (5.0.0).
HARD = frozenset({"5.1.1", "5.1.3", "5.1.6", "5.1.10", "5.2.1"})
MAX_QUOTED = 200  # characters of a server's reply that a mail program is shown

_log = Logger()


@implementer(ISending)
class Sending:
    """Asks what is known of an account and a recipient."""

    def __init__(self, suppressions: ISuppressions, clock: IClock, settings: Callable[[], SendingSettings]) -> None:
        """:param settings: those of the moment."""
        self._suppressions = suppressions
        self._clock = clock
        self._settings = settings

    async def admit(self, account_id: str, recipient: str) -> None:
        """See :class:`ISending`. When nobody can say, the recipient is tried."""
        if not self._settings().suppress_after:
            return
        try:
            found = await self._suppressions.suppressed(account_id, recipient, self._clock.seconds())
        except StoreUnavailable:
            return
        if found is not None:
            raise Refused("5.1.1", why(found))

    async def bounced(self, account_id: str, recipient: str, status: str, reply: str) -> None:
        """See :class:`ISending`. A bounce that cannot be noted is not."""
        settings = self._settings()
        if not settings.suppress_after or status not in HARD:
            return
        try:
            key = parse_address(recipient).key
            made = await self._suppressions.bounced(
                account_id,
                key,
                status,
                reply,
                self._clock.seconds(),
                settings.suppress_after,
                settings.suppress_for,
            )
        except (BadAddress, StoreUnavailable):
            return
        if made.refused_until:
            until = moment(made.refused_until)
            emit(_log, "account.suppressed", account=account_id, recipient=recipient, bounces=made.bounces, until=until)

    async def sweep(self, now: float) -> None:
        """Forget what has lost its meaning. :param now: UTC seconds. :raises StoreUnavailable:"""
        count = await self._suppressions.sweep(now)
        if count:
            emit(_log, "upkeep.swept", what="suppressions", count=count)


def why(found: Suppression) -> str:
    """Return what a person is told who writes to a suppressed recipient."""
    until = f"Mail from you to this address is refused until {moment(found.refused_until)[:10]}"
    lift = "your administrator can lift this before (mailnode suppression lift)"
    if not found.bounces:
        return f"{until}, as an administrator wants it"
    said = "".join(c if c.isprintable() else " " for c in found.reply[:MAX_QUOTED])
    return f"{until}, because its server said on {moment(found.bounced_at)[:10]}: {said} -- {lift}"
