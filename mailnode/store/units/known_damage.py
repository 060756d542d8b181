"""Units over what is known to be damaged in the store."""

from __future__ import annotations

from collections.abc import Iterable

from mailnode.store.engines.engine import Transaction


def known(tx: Transaction, most: int) -> list[tuple[str, str, int]]:
    """What was found: name, words, and when it was acknowledged (UTC microseconds; 0: it was not)."""
    rows = tx.execute("SELECT name, words, acknowledged FROM damage ORDER BY name LIMIT ?", (most,))
    return [(name, words, acknowledged) for name, words, acknowledged in rows]


def note(tx: Transaction, name: str, words: str) -> None:
    """Note what was found; what stands there stays."""
    tx.execute(
        "INSERT INTO damage (name, words, acknowledged) VALUES (?, ?, 0) ON CONFLICT (name) DO NOTHING", (name, words)
    )


def forget(tx: Transaction, names: Iterable[str]) -> None:
    """Forget what was mended."""
    tx.many("DELETE FROM damage WHERE name = ?", [(name,) for name in names])


def acknowledge(tx: Transaction, also: str, now: int) -> None:
    """Note that somebody knows of all that was found, and of ``also``. :param now: UTC microseconds."""
    tx.execute(
        "INSERT INTO damage (name, words, acknowledged) VALUES (?, '', 0) ON CONFLICT (name) DO NOTHING", (also,)
    )
    tx.execute("UPDATE damage SET acknowledged = ?", (now,))


def set_aside(tx: Transaction, since: int) -> list[tuple[str, int]]:
    """How many messages of each account were set aside after this (UTC microseconds). In a mail partition."""
    rows = tx.execute(
        "SELECT account_id, COUNT(*) FROM set_aside WHERE since > ? GROUP BY account_id ORDER BY account_id", (since,)
    )
    return [(account_id, int(count)) for account_id, count in rows]


def set_aside_blobs(tx: Transaction, most: int) -> list[str]:
    """The ids of the content of messages that were set aside. In a mail partition."""
    rows = tx.execute(
        "SELECT m.blob_id FROM set_aside s JOIN message m ON m.account_id = s.account_id AND m.message_id = s.message_id LIMIT ?",
        (most,),
    )
    return [blob_id for (blob_id,) in rows]
