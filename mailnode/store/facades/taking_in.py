"""What is done with a mail partition, or the queue, that was not served, after its file was opened and before anybody is served
from it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from mailnode.store.engines.engine import RunUnit
from mailnode.store.units import (
    accounts,
    copies,
    mailbox_tree,
    maildrop_leases,
    queue_repair,
    repair,
    search_index,
    verify,
)


def end_what_the_dead_held(run: RunUnit) -> None:
    """End leases and half-made copies of before."""
    run(maildrop_leases.end_all)
    run(copies.abandon_all)


def begin_again(run: RunUnit, account_ids: Sequence[str]) -> int:
    """Have a partition, which is older than what was acknowledged, give out nothing a second time; return how many accounts it
    has. See :meth:`MailStore.begin_again`."""
    end_what_the_dead_held(run)
    for account_id in account_ids:
        run(accounts.provision, account_id, 0, 0)
    found = run(verify.account_ids)
    for account_id in found:
        run(mailbox_tree.begin_again, account_id)
    return len(found)


def put_right(run: RunUnit, lost: Collection[str], account_ids: Sequence[str]) -> None:
    """Have a partition whose file was made anew give out nothing a second time where rows are lost, and no content be given up
    that is needed. What else follows from the rows is mended by a repair.

    :param lost: tables of which rows are lost. :param account_ids: those that live in it."""
    for account_id in account_ids:
        run(repair.account, account_id)
    for account_id in run(verify.account_ids):
        if run(verify.counted, account_id)[0]:
            run(mailbox_tree.begin_again, account_id)
        while "blob_ref" in lost and run(repair.references, account_id):
            pass
        if any(table.startswith("search_") for table in lost):
            while run(search_index.forget, account_id):
                pass


def put_queue_right(run: RunUnit) -> list[str]:
    """Have a queue whose file was made anew hold the envelopes of which rows are lost; return them."""
    return run(queue_repair.put_right)
