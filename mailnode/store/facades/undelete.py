"""What was expunged, or went with its mailbox, and has not been swept: finds it, and places it again."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Concatenate, ParamSpec, TypeVar

from zope.interface import implementer

from mailnode.errors import BlobDamaged
from mailnode.interfaces.runtime import IClock, IHints
from mailnode.interfaces.store import IBlobStore
from mailnode.interfaces.undelete import IUndelete
from mailnode.store.engines.engine import Engine, Transaction, mail_tenancy
from mailnode.store.units import messages, undelete
from mailnode.store.units.arrivals import decode_ref
from mailnode.store.units.stored_facts import decode_facts
from mailnode.values.deleted import DeletedMailbox, DeletedMessage
from mailnode.values.facts import SortKeys, decode_sort_keys

P = ParamSpec("P")
T = TypeVar("T")

AT_ONCE = 500  # messages of one unit


@implementer(IUndelete)
class Undelete:
    """Of all accounts."""

    def __init__(
        self, engine: Engine, blobs: IBlobStore, partition: Callable[[str], int], clock: IClock, hints: IHints
    ) -> None:
        """:param partition: the number of the one an account lives in."""
        self._engine = engine
        self._blobs = blobs
        self._partition = partition
        self._clock = clock
        self._hints = hints

    async def _read(
        self, unit: Callable[Concatenate[Transaction, P], T], account_id: str, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await self._engine.read(mail_tenancy(self._partition(account_id)), unit, *args, **kwargs)

    async def mailboxes(self, account_id: str) -> list[DeletedMailbox]:
        """See :class:`IUndelete`."""
        return await self._read(undelete.mailboxes, account_id, account_id)

    async def messages(self, account_id: str, mailbox_id: int, after: int) -> list[DeletedMessage]:
        """See :class:`IUndelete`."""
        rows = await self._read(undelete.gone, account_id, account_id, mailbox_id, after, AT_ONCE)
        return [
            DeletedMessage(mailbox_id, uid, gone_at, size, date, digest, await self._keys(account_id, sort, facts_blob))
            for uid, gone_at, size, date, digest, sort, facts_blob in rows
        ]

    async def _keys(self, account_id: str, sort: bytes | None, facts_blob: str | None) -> SortKeys:
        """What a message says of itself: nothing, where that cannot be read."""
        try:
            if sort is not None:
                return decode_sort_keys(sort)
            if facts_blob is None:
                return SortKeys()
            ref = decode_ref(facts_blob)
            stored = None
            if ref.place == "inline":
                stored = await self._read(messages.inline_blob, account_id, ref.blob_id)
            return decode_sort_keys(decode_facts(await self._blobs.read(ref, stored)).sort)
        except (BlobDamaged, ValueError, TypeError, json.JSONDecodeError):
            return SortKeys()

    async def place(self, account_id: str, mailbox_id: int, uids: Sequence[int], target: int) -> int:
        """See :class:`IUndelete`."""
        placed = 0
        tenancy = mail_tenancy(self._partition(account_id))
        for start in range(0, len(uids), AT_ONCE):
            some = list(uids[start : start + AT_ONCE])
            now = int(self._clock.seconds() * 1_000_000)
            count, modseq = await self._engine.write(
                tenancy, undelete.undelete, account_id, mailbox_id, some, target, now
            )
            placed += count
            if count:
                self._hints.publish(account_id, modseq)
        return placed

    async def digests(self, account_id: str, after: int) -> tuple[list[bytes], int | None]:
        """See :class:`IUndelete`."""
        return await self._read(undelete.digests, account_id, account_id, after)
