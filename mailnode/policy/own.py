"""What policies say that judge for single accounts, each by what it knows itself."""

from __future__ import annotations

from collections.abc import Mapping

from mailnode.values.address import Address
from mailnode.values.policy import PASS, PolicyRequest, Verdict

MOST_ACCOUNTS = 50  # that are asked about one message; nobody asks the others


def accounts_behind(request: PolicyRequest) -> dict[Address, tuple[str, ...]]:
    """Return the accounts each recipient leads to, where it leads to nobody else."""
    found: dict[Address, tuple[str, ...]] = {}
    accounts: set[str] = set()
    for address, route in request.routes.items():
        here = tuple([account_id for account_id, _ in route.local])
        if here and not route.remote and len(accounts.union(here)) <= MOST_ACCOUNTS:
            accounts.update(here)
            found[address] = here
    return found


def milder(behind: Mapping[Address, tuple[str, ...]], said: Mapping[str, Verdict]) -> Verdict:
    """Return what accounts say as a verdict. Of several behind one address, who have one copy judged together, all have to have
    an opinion, and the mildest is taken.

    :param behind: as :func:`accounts_behind` returns it. :param said: by account; what is PASS is no opinion.
    """
    own = {}
    for address, accounts in behind.items():
        opinions = [said.get(account, PASS) for account in accounts]
        mildest = min(opinions, key=lambda one: one.score)
        if all(one is not PASS for one in opinions):
            own[address] = mildest
    return Verdict(own=own) if own else PASS
