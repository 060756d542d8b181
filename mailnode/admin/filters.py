"""Operations on what the filters of accounts have learnt."""

from __future__ import annotations

from typing import TypedDict

from mailnode.admin.administration import Administration
from mailnode.admin.finding import find_account, moment
from mailnode.admin.operations import operation


class FilterRecord(TypedDict):
    """What an account's filter has learnt; times are UTC."""

    account: str
    junk: int  # messages, those of long ago counted less
    good: int
    words: int
    senders: int
    learnt_at: str  # when it learnt last; "": never


class FilterForgotten(TypedDict):
    """Whose filter begins anew."""

    forgotten: str


@operation("filter.show")
async def filter_show(admin: Administration, account: str) -> FilterRecord:
    """How much an account's filter has learnt of junk and of other mail."""
    found = await find_account(admin, account)
    state = await admin.filters.state(found.id)
    return {
        "account": found.address,
        "junk": state.junk,
        "good": state.good,
        "words": state.words,
        "senders": state.senders,
        "learnt_at": moment(state.learnt_at) if state.learnt_at else "",
    }


@operation("filter.forget", changes=True, destroys=True)
async def filter_forget(admin: Administration, account: str) -> FilterForgotten:
    """Have an account's filter forget all it has learnt, words and senders; it learns anew from what is done from now on."""
    found = await find_account(admin, account)
    await admin.filters.forget(found.id)
    return {"forgotten": found.address}
