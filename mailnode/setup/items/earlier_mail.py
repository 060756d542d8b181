"""Mail that is elsewhere still: setup names the way to bring it, and leaves when to the person."""

from __future__ import annotations

from mailnode.setup.row import SetupItem, Surrounded
from mailnode.values.item import Item, ItemState

NAME = "earlier-mail"


def _look(around: Surrounded) -> Item:
    mend = f"From an account elsewhere: mailnode import imap HOST USER {around.address}\nmailnode import --help has the other ways."
    return Item(NAME, ItemState.SKIPPED, "mail that is elsewhere can be brought here at any time, more than once", mend)


ITEM = SetupItem(
    NAME, _look, needs=("account",), explained="A second import brings only what is new: move first, switch over then."
)
