"""Operations on what an account sends: how much it did, and how much it may."""

from __future__ import annotations

from typing import TypedDict

from mailnode.admin.administration import Administration
from mailnode.admin.finding import find_account, moment
from mailnode.admin.operations import Count, OperationFailed, Reason, operation
from mailnode.admin.queue import TOGETHER
from mailnode.values.directory import Account
from mailnode.values.queue import HELD, QueueFilter
from mailnode.values.sending import OwnLimits

MOST = 1_000_000  # an hour, or a day


class SendingRecord(TypedDict):
    """What an account sent of late, and may; a limit of 0 is none."""

    account: str
    recipients_within_hour: int
    recipients_per_hour: int
    messages_within_hour: int
    messages_per_hour: int
    new_recipients_within_day: int
    new_recipients_per_day: int
    own_limits: list[str]  # those of the account alone
    messages_within_day: int
    recipients_within_day: int
    busiest_hour: int  # recipients in the busiest of 14 days
    loud_since: str  # when it last sent unusually much; "": not in 14 days
    held: bool  # its mail waits until it is released
    suppressed: list[str]  # recipients that are refused


class AccountReleased(TypedDict):
    """Whose mail is held no more."""

    released: str
    envelopes: int  # how many were held


@operation("account.sending")
async def account_sending(admin: Administration, address: str) -> SendingRecord:
    """What an account sent within the hour and the day, and what it may."""
    return await _record(admin, await find_account(admin, address))


@operation("account.limits", changes=True)
async def account_limits(
    admin: Administration,
    address: str,
    recipients_per_hour: Count | None = None,
    messages_per_hour: Count | None = None,
    new_recipients_per_day: Count | None = None,
    usual: bool = False,
) -> SendingRecord:
    """Give an account limits of its own, and show what it sends. :param usual: take back all that are not given."""
    if any(
        limit is not None and limit > MOST for limit in (recipients_per_hour, messages_per_hour, new_recipients_per_day)
    ):
        raise OperationFailed(Reason.WRONG_VALUE, f"a limit is 0 (none) or up to {MOST}")
    account = await find_account(admin, address)
    before = OwnLimits() if usual else await admin.directory.sending_limits(account.id)
    given = OwnLimits(
        before.recipients if recipients_per_hour is None else recipients_per_hour,
        before.messages if messages_per_hour is None else messages_per_hour,
        before.strangers if new_recipients_per_day is None else new_recipients_per_day,
    )
    await admin.directory.set_sending_limits(account.id, given)
    return await _record(admin, account)


@operation("account.release", changes=True)
async def account_release(admin: Administration, address: str) -> AccountReleased:
    """Hold no more of an account that sent unusually much, and let go what is held of it."""
    account = await find_account(admin, address)
    standing = await admin.sent.standing(account.id, admin.clock.seconds())
    await admin.sent.set_loud(account.id, standing.loud_since, False)
    count, after, which = 0, "", QueueFilter(account=account.id, state=HELD)
    while found := await admin.queue.envelopes(after, TOGETHER, which):
        count += await admin.queue.hold_several([one.id for one in found], False)
        after = found[-1].id
    admin.hints.wake_queue()
    return {"released": account.address, "envelopes": count}


async def _record(admin: Administration, account: Account) -> SendingRecord:
    now = admin.clock.seconds()
    own = await admin.directory.sending_limits(account.id)
    limits = own.over(admin.sending_settings().limits)
    standing = await admin.sent.standing(account.id, now)
    within = standing.within_hour(now)
    names = {
        "recipients_per_hour": own.recipients,
        "messages_per_hour": own.messages,
        "new_recipients_per_day": own.strangers,
    }
    refused = [one.recipient for one in await admin.suppressions.listed(account.id) if one.refused_until > now]
    return {
        "account": account.address,
        "recipients_within_hour": within.recipients,
        "recipients_per_hour": limits.recipients,
        "messages_within_hour": within.messages,
        "messages_per_hour": limits.messages,
        "new_recipients_within_day": standing.day.strangers,
        "new_recipients_per_day": limits.strangers,
        "own_limits": [name for name, limit in names.items() if limit is not None],
        "messages_within_day": standing.day.messages,
        "recipients_within_day": standing.day.recipients,
        "busiest_hour": standing.busiest,
        "loud_since": moment(standing.loud_since) if standing.loud_since else "",
        "held": standing.held,
        "suppressed": refused,
    }
