"""A unit that keeps facts a newer scanner found, in place of those that an older one did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mailnode.store.engines.engine import Transaction
from mailnode.store.units.accounts import touch, untouch
from mailnode.store.units.arrivals import FACTS_COLUMNS, decode_ref, encode_ref
from mailnode.store.units.statements import insert_rows
from mailnode.store.units.sweeping import release_blob
from mailnode.values.blob import StagedBlob
from mailnode.values.facts import FACTS_VERSION

_UPDATE = (
    "UPDATE message SET header_size = ?, facts_version = ?, facts_blob = ?, preview = NULL,"
    f" {', '.join(f'{name} = ?' for name in FACTS_COLUMNS[:-1])} WHERE account_id = ? AND message_id = ? RETURNING blob_id"
)
_UPDATE_PREVIEW = "UPDATE blob_ref SET preview = ? WHERE blob_id = ? AND account_id = ? AND message_id = ?"


@dataclass(frozen=True, slots=True)
class NewerFacts:
    """What is new of one message."""

    message_id: int
    header_size: int
    row: tuple[bytes | None, ...]  # FACTS_COLUMNS; all None when they are in a blob
    blob: StagedBlob | None


def keep(tx: Transaction, account_id: str, newer: Sequence[NewerFacts]) -> None:
    """Keep what is newer than what is there. Nobody is told: what a message says did not change.

    :raises NoSuchAccount:
    """
    touch(tx, account_id)  # for its lock: another process may find the same
    for one in newer:
        key = (account_id, one.message_id)
        older = tx.execute(
            "SELECT facts_blob FROM message WHERE account_id = ? AND message_id = ? AND facts_version < ?",
            (*key, FACTS_VERSION),
        )
        if not older:
            continue  # kept meanwhile, or swept
        text = encode_ref(one.blob.ref) if one.blob is not None else None
        *row, preview = one.row
        [(blob_id,)] = tx.execute(_UPDATE, (one.header_size, FACTS_VERSION, text, *row, *key))
        tx.execute(_UPDATE_PREVIEW, (preview, blob_id, *key))
        if older[0][0] is not None:
            release_blob(tx, *key, decode_ref(older[0][0]).blob_id)
        if one.blob is not None:
            if one.blob.ref.place == "inline":
                insert_rows(
                    tx, "blob (blob_id, encoding, data)", [(one.blob.ref.blob_id, one.blob.ref.encoding, one.blob.data)]
                )
            insert_rows(tx, "blob_ref (blob_id, account_id, message_id)", [(one.blob.ref.blob_id, *key)])
    untouch(tx, account_id)
