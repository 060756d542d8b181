"""What accounts may send: so much an hour, to so many strangers a day, and for a while not to recipients that bounced.

A stolen password is used to send as much as it can before somebody notices; the limits bound that, and what is unusual for
an account is told. A recipient that bounced costs nobody a try: servers take it amiss when somebody goes on writing to
people that they do not have. One that was only mistaken for gone comes back by itself, or when an operator says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from mailnode.errors import BadAddress, DomainError, Refused, StoreUnavailable
from mailnode.interfaces.accounts import IDirectory
from mailnode.interfaces.runtime import IClock
from mailnode.interfaces.sending import IAlarm, ISending, ISentCounts, ISuppressions
from mailnode.values.address import parse_address
from mailnode.values.events import emit, moment
from mailnode.values.sending import (
    DAY,
    Admitted,
    Counted,
    FailedRecipient,
    Loud,
    SendingLimits,
    SendingSettings,
    Standing,
    Suppression,
)

# What says that there is no such recipient, and will be none tomorrow (RFC 3463 3.2 and 3.3, RFC 7505): not what a policy
# says (5.7), and not what says nothing more than no (5.0.0).
HARD = frozenset({"5.1.1", "5.1.3", "5.1.6", "5.1.10", "5.2.1"})
MAX_QUOTED = 200  # characters of a server's reply that a mail program is shown
LIMITED = "4.7.1"
LOUDER = 5  # times its busiest hour of 14 days, above which an account is suddenly loud

_log = Logger()


@implementer(ISending)
class Sending:
    """Asks what is known of an account and a recipient, and counts."""

    def __init__(
        self,
        suppressions: ISuppressions,
        counts: ISentCounts,
        directory: IDirectory,
        clock: IClock,
        settings: Callable[[], SendingSettings],
        alarm: IAlarm | None = None,
    ) -> None:
        """:param directory: knows accounts' own limits. :param settings: those of the moment. :param alarm: what is done about
        an account that is loud; None: nothing."""
        self._suppressions = suppressions
        self._counts = counts
        self._directory = directory
        self._clock = clock
        self._settings = settings
        self._alarm = alarm

    async def admit(self, account_id: str, recipient: str, first: bool) -> Admitted:
        """See :class:`ISending`. Where nobody can say what stands against it, it is admitted."""
        await self._require_unsuppressed(account_id, recipient)
        limits = await self.limits(account_id)
        stranger = bool(limits.strangers) and not await self._counts.knows(account_id, recipient)
        asked = Counted(int(first), 1, int(stranger))
        now = self._clock.seconds()
        standing = await self._counts.standing(account_id, now)  # nothing comes between this and counting
        limit = over(standing, asked, limits, now)
        if limit:
            raise Refused(LIMITED, limit)
        self._counts.count(account_id, asked, now)
        return Admitted(asked, self._look(account_id, standing, now) or standing.held)

    def _look(self, account_id: str, standing: Standing, now: float) -> bool:
        """See whether an account is suddenly loud, and have something done about it; return whether its mail is held."""
        settings, recipients = self._settings(), standing.hour.recipients + 1
        if self._alarm is None or now - standing.loud_since < DAY or not is_loud(recipients, standing, settings):
            return False
        loud = Loud(account_id, recipients, standing.busiest, settings.hold_loud or standing.held)
        Deferred.fromCoroutine(self._raise(self._alarm, loud, now)).addErrback(_failed)
        return loud.held

    async def _raise(self, alarm: IAlarm, loud: Loud, now: float) -> None:
        """Have it known first, so that it is done once a day; what cannot be done then is in the log."""
        emit(
            _log,
            "account.loud",
            warning=True,
            account=loud.account_id,
            recipients=loud.recipients,
            busiest=loud.busiest,
            held="yes" if loud.held else "no",
        )
        with suppress(StoreUnavailable):
            await self._counts.set_loud(loud.account_id, now, loud.held)
        try:
            if loud.held:
                await alarm.hold(loud.account_id)
            await alarm.tell(loud)
        except DomainError as error:
            _log.warn("postmaster was not told: {error}", error=str(error) or type(error).__name__)

    async def limits(self, account_id: str) -> SendingLimits:
        """Return the limits that hold for an account."""
        usual = self._settings().limits
        try:
            return (await self._directory.sending_limits(account_id)).over(usual)
        except StoreUnavailable:
            return usual

    async def _require_unsuppressed(self, account_id: str, recipient: str) -> None:
        if not self._settings().suppress_after:
            return
        try:
            found = await self._suppressions.suppressed(account_id, recipient, self._clock.seconds())
        except StoreUnavailable:
            return
        if found is not None:
            raise Refused("5.1.1", why(found))

    def give_back(self, account_id: str, counted: Counted) -> None:
        """See :class:`ISending`."""
        self._counts.count(account_id, counted.negative(), self._clock.seconds())

    def sent(self, account_id: str, recipients: Sequence[str]) -> None:
        """See :class:`ISending`."""
        Deferred.fromCoroutine(self._meet(account_id, recipients)).addErrback(_failed)

    async def _meet(self, account_id: str, recipients: Sequence[str]) -> None:
        if (await self.limits(account_id)).strangers:
            self._counts.met(account_id, recipients, self._clock.seconds())

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

    async def returned(
        self, account_ids: Sequence[str], envelope_ids: Sequence[str], failures: Sequence[FailedRecipient]
    ) -> None:
        """See :class:`ISending`. What is not known to have been sent so, or was noted before, counts for nothing."""
        if not self._settings().suppress_after or not envelope_ids:
            return
        for failure in failures:
            if failure.status not in HARD:
                continue
            try:
                key, now = parse_address(failure.recipient).key, self._clock.seconds()
                found = await self._suppressions.returned(account_ids, envelope_ids, key, now)
            except (BadAddress, StoreUnavailable):
                continue
            for envelope_id, account_id, address in found:
                emit(
                    _log,
                    "message.returned",
                    envelope=envelope_id,
                    account=account_id,
                    recipient=address,
                    status=failure.status,
                    reply=failure.reply,
                )
                await self.bounced(account_id, address, failure.status, failure.reply)

    async def sweep(self, now: float) -> None:
        """Forget what has lost its meaning. :param now: UTC seconds. :raises StoreUnavailable:"""
        swept = {"suppressions": await self._suppressions.sweep(now), "counts of mail": await self._counts.sweep(now)}
        for what, count in swept.items():
            if count:
                emit(_log, "upkeep.swept", what=what, count=count)


def _failed(failure: Failure) -> None:
    _log.failure("what an account sent could not be noted", failure)


def is_loud(recipients: int, standing: Standing, settings: SendingSettings) -> bool:
    """Whether that many recipients in this hour are unusual for an account."""
    return bool(settings.loud) and recipients >= settings.loud and recipients > LOUDER * standing.busiest


def over(standing: Standing, asked: Counted, limits: SendingLimits, now: float) -> str:
    """Return what a person is told who would get above a limit, "" where nobody does."""
    sent = standing.within_hour(now).plus(asked)
    if limits.recipients and sent.recipients > limits.recipients:
        return f"This account may send to {limits.recipients} recipients within an hour, and did: try again later"
    if limits.messages and asked.messages and sent.messages > limits.messages:
        return f"This account may send {limits.messages} messages within an hour, and did: try again later"
    if asked.strangers and standing.day.strangers + asked.strangers > limits.strangers:
        return (
            f"This account may send to {limits.strangers} recipients within a day that it never sent to before, and did:"
            " try again tomorrow"
        )
    return ""


def why(found: Suppression) -> str:
    """Return what a person is told who writes to a suppressed recipient."""
    until = f"Mail from you to this address is refused until {moment(found.refused_until)[:10]}"
    lift = "your administrator can lift this before (mailnode suppression lift)"
    if not found.bounces:
        return f"{until}, as an administrator wants it"
    said = "".join(c if c.isprintable() else " " for c in found.reply[:MAX_QUOTED])
    return f"{until}, because its server said on {moment(found.bounced_at)[:10]}: {said} -- {lift}"
