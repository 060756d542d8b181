"""Goes through the items in their order: looks, does what is to be done, looks again. It may be ended anywhere and run again."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from dataclasses import replace

from mailnode.admin.operations import OperationFailed
from mailnode.errors import ConfigurationError, DomainError
from mailnode.setup.row import AnyItem, LookedAt, SetupItem, Surrounded
from mailnode.setup.trouble import AnswerNeeded, SetupTrouble
from mailnode.values.item import Item, ItemState

GOOD = (ItemState.DONE, ItemState.SKIPPED)


def go_through(items: Sequence[AnyItem], around: Surrounded, *, dry: bool = False) -> Iterator[Item]:
    """Yield how each item stands after it was done, as soon as that is known. :param dry: only look.

    :raises KeyboardInterrupt: somebody ended it; what was yielded stands.
    """
    stands: dict[str, ItemState] = {}
    for item in items:
        lacking = [name for name in item.needs if stands.get(name) not in GOOD]
        if lacking:
            found: Sequence[Item] = [Item(item.name, ItemState.WAITING, f"comes after {', '.join(lacking)}")]
        elif isinstance(item, LookedAt):
            found = item.look(around)
        else:
            found = [replace(_stands(item, around, dry=dry), explained=item.explained)]
            stands[item.name] = found[0].state
        yield from found


def _stands(item: SetupItem, around: Surrounded, *, dry: bool) -> Item:
    """Look at one item, do it, look again; every expected failure becomes its words."""
    try:
        found = item.look(around)
        if dry:
            todo = found.state is ItemState.TO_DO and item.do is not None and not found.mend
            return replace(found, mend="setup does this when it is run without --dry-run") if todo else found
        if found.state is ItemState.TO_DO and item.do is not None:
            item.do(around)
            found = item.look(around)
        if found.state is ItemState.WAITING and item.wait is not None and around.patience:
            item.wait(around)
            found = item.look(around)
        return found
    except AnswerNeeded as missing:
        mend = f'Run setup on a terminal, or give it --answers FILE with a line\n{missing.name} = "..."'
        return Item(item.name, ItemState.TO_DO, f"has to be answered: {missing.words}", mend)
    except SetupTrouble as trouble:
        return Item(item.name, trouble.state, trouble.seen, trouble.mend)
    except OperationFailed as failed:
        return Item(item.name, ItemState.FAILED, failed.text)
    except ConfigurationError as error:
        return Item(item.name, ItemState.FAILED, "; ".join(error.mistakes))
    except (DomainError, ValueError) as error:
        return Item(item.name, ItemState.FAILED, str(error) or type(error).__name__)
    except OSError as error:
        return Item(item.name, ItemState.FAILED, *file_trouble(error))


def file_trouble(error: OSError) -> tuple[str, str]:
    """Return what is said of a file that could not be read or written, and what mends it."""
    what = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full ({what}); nothing was changed", "Make room, and run setup again:\ndf -h"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{what}; nothing was changed", "Run setup as root."
    if error.errno == errno.EROFS:
        mend = "Mount it so that it can be written, or have all elsewhere: mailnode --config FILE --data DIR setup ..."
        return f"{what}; nothing was changed", mend
    return f"{what}; nothing was changed", ""
