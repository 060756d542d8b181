"""A login for a trial of an account, made for some minutes and taken back."""

from __future__ import annotations

import secrets
from functools import partial
from typing import TypedDict

from mailnode.admin.administration import Administration
from mailnode.admin.finding import find_account
from mailnode.admin.operations import operation

TRIAL_LABEL = "trial"


class TrialLogin(TypedDict):
    """What one logs in with beside the account's own password."""

    username: str
    password: str


class TrialEnded(TypedDict):
    """Whose login for trials is gone."""

    ended: str


@operation("account.trial-login", changes=True)
async def account_trial_login(admin: Administration, address: str) -> TrialLogin:
    """Make a password for trials, in place of an earlier one for them; the account's own stays."""
    account = await find_account(admin, address)
    password, now = secrets.token_urlsafe(24), admin.clock.seconds()
    beside = [one for one in await admin.directory.credentials(account.id) if one.label != TRIAL_LABEL]
    make = partial(admin.make_credentials, account.id, password, now, label=TRIAL_LABEL, beside=beside)
    await admin.directory.replace_credentials(account.id, TRIAL_LABEL, await admin.threads.run("password", make))
    return {"username": account.address, "password": password}


@operation("account.trial-end", changes=True)
async def account_trial_end(admin: Administration, address: str) -> TrialEnded:
    """Take the password for trials back."""
    account = await find_account(admin, address)
    if any(one.label == TRIAL_LABEL for one in await admin.directory.credentials(account.id)):
        await admin.directory.replace_credentials(account.id, TRIAL_LABEL, [])
    return {"ended": account.address}
