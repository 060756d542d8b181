"""Operations on recipients that an account is not let send to for a while."""

from __future__ import annotations

from typing import TypedDict

from mailnode.admin.administration import Administration
from mailnode.admin.finding import about, find_account, moment
from mailnode.admin.operations import OperationFailed, Reason, Seconds, operation
from mailnode.values.address import parse_address
from mailnode.values.sending import Suppression

A_WEEK = Seconds(7 * 86_400)
LONGEST = 366 * 86_400  # seconds


class SuppressionRecord(TypedDict):
    """A recipient that bounced for an account, or that an operator suppressed; times are UTC."""

    account: str
    recipient: str
    refused_until: str  # "": it bounced, and is not refused
    bounces: int  # 0: an operator suppressed it
    since: str  # when it bounced last, or was suppressed
    last_status: str
    last_reply: str


class SuppressionLifted(TypedDict):
    """Who can be written to again."""

    lifted: str


@operation("suppression.list")
async def suppression_list(admin: Administration, account: str) -> list[SuppressionRecord]:
    """Recipients that bounced for an account, and until when they are refused."""
    found = await find_account(admin, account)
    now = admin.clock.seconds()
    return [_record(found.address, one, now) for one in await admin.suppressions.listed(found.id)]


@operation("suppression.add", changes=True)
async def suppression_add(
    admin: Administration, account: str, recipient: str, lasting: Seconds = A_WEEK
) -> SuppressionRecord:
    """Take no mail of an account to a recipient for a while."""
    if not 0 < lasting <= LONGEST:
        raise OperationFailed(Reason.WRONG_VALUE, f"a suppression lasts up to {LONGEST // 86_400} days")
    found = await find_account(admin, account)
    with about(recipient):
        key = parse_address(recipient).key
    now = admin.clock.seconds()
    return _record(found.address, await admin.suppressions.suppress(found.id, key, now, now + lasting), now)


@operation("suppression.lift", changes=True)
async def suppression_lift(admin: Administration, account: str, recipient: str) -> SuppressionLifted:
    """Let an account write to a recipient again, and forget the bounces."""
    found = await find_account(admin, account)
    with about(recipient):
        key = parse_address(recipient).key
    if not await admin.suppressions.remove(found.id, key):
        raise OperationFailed(Reason.NOT_FOUND, f"{recipient}: not suppressed for {found.address}, and did not bounce")
    return {"lifted": recipient}


def _record(account: str, one: Suppression, now: float) -> SuppressionRecord:
    return {
        "account": account,
        "recipient": one.recipient,
        "refused_until": moment(one.refused_until) if one.refused_until > now else "",
        "bounces": one.bounces,
        "since": moment(one.bounced_at),
        "last_status": one.status,
        "last_reply": one.reply,
    }
