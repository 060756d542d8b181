"""Units on the filter scripts of accounts. What changes them holds the account's row, so that their versions stand in one order."""

from __future__ import annotations

import hashlib

from mailnode.errors import (
    AlreadyExists,
    NoSuchAccount,
    NoSuchScript,
    ScriptActive,
    ScriptChanged,
    ScriptQuotaReached,
    StoreDamaged,
)
from mailnode.store.engines.engine import Transaction, growing, of_account
from mailnode.store.units.accounts import touch, untouch
from mailnode.values.scripts import VERSIONS, ScriptInfo, ScriptQuota, ScriptVersion, StoredScript

_OF = "account_id = ? AND name = ?"


def listing(tx: Transaction, account_id: str) -> list[ScriptInfo]:
    """See IScripts."""
    _require(tx, account_id)
    active = _active(tx, account_id)
    newest = {
        name: ScriptInfo(name, size, name == active, version, stored / 1_000_000)
        for name, size, version, stored in tx.execute(
            "SELECT name, size, version, stored FROM script WHERE account_id = ? ORDER BY version", (account_id,)
        )
    }
    return sorted(newest.values())


def read(tx: Transaction, account_id: str, name: str, version: int) -> StoredScript:
    """See IScripts. :raises StoreDamaged: its source is not what was stored."""
    _require(tx, account_id)
    found = _read(tx, account_id, name, version)
    if found is None:
        raise NoSuchScript(f"{name}, version {version}" if version else name)
    return found


def _read(tx: Transaction, account_id: str, name: str, version: int = 0) -> StoredScript | None:
    this, wanted = (" AND version = ?", (version,)) if version else ("", ())
    rows = tx.execute(
        f"SELECT source, digest FROM script WHERE {_OF}{this} ORDER BY version DESC LIMIT 1",
        (account_id, name, *wanted),
    )
    if not rows:
        return None
    source, digest = bytes(rows[0][0]), rows[0][1]
    if hashlib.sha256(source).hexdigest() != digest:
        raise StoreDamaged(f"the source of the script {name} is damaged")
    return StoredScript(name, source, digest)


def versions(tx: Transaction, account_id: str, name: str) -> list[ScriptVersion]:
    """See IScripts."""
    _require(tx, account_id)
    found = [
        ScriptVersion(version, size, stored / 1_000_000)
        for version, size, stored in tx.execute(
            f"SELECT version, size, stored FROM script WHERE {_OF} ORDER BY version DESC", (account_id, name)
        )
    ]
    if not found:
        raise NoSuchScript(name)
    return found


def active(tx: Transaction, account_id: str) -> StoredScript | None:
    """See IScripts."""
    _require(tx, account_id)
    name = _active(tx, account_id)
    return _read(tx, account_id, name) if name is not None else None


def check_room(tx: Transaction, account_id: str, name: str, size: int, quota: ScriptQuota) -> None:
    """See IScripts."""
    others = [one for one in listing(tx, account_id) if one.name != name]
    if len(others) >= quota.scripts:
        raise ScriptQuotaReached(f"at most {quota.scripts} scripts", "MAXSCRIPTS")
    if size > quota.size:
        raise ScriptQuotaReached(f"a script has at most {quota.size} octets", "MAXSIZE")
    if size + sum(one.size for one in others) > quota.total:
        raise ScriptQuotaReached(f"all scripts together have at most {quota.total} octets", "MAXSIZE")


@growing
@of_account
def put(
    tx: Transaction,
    account_id: str,
    name: str,
    source: bytes,
    digest: str,
    quota: ScriptQuota,
    now: int,
    instead_of: str | None,
) -> ScriptInfo:
    """See IScripts. :param now: UTC microseconds."""
    _hold(tx, account_id)
    is_active = _active(tx, account_id) == name
    known = tx.execute(
        f"SELECT version, stored, digest FROM script WHERE {_OF} ORDER BY version DESC LIMIT 1", (account_id, name)
    )
    version, stored, before = known[0] if known else (0, 0, "")
    if before == digest:
        return ScriptInfo(name, len(source), is_active, version, stored / 1_000_000)
    if instead_of is not None and before != instead_of:
        raise ScriptChanged(name)
    check_room(tx, account_id, name, len(source), quota)
    tx.execute(
        "INSERT INTO script (account_id, name, version, size, digest, stored, source) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (account_id, name, version + 1, len(source), digest, now, source),
    )
    tx.execute(f"DELETE FROM script WHERE {_OF} AND version <= ?", (account_id, name, version + 1 - VERSIONS))
    _bound_versions(tx, account_id, VERSIONS * quota.total)
    return ScriptInfo(name, len(source), is_active, version + 1, now / 1_000_000)


def _bound_versions(tx: Transaction, account_id: str, most: int) -> None:
    """Remove the oldest versions that are no script any more, while all together have more octets."""
    rows = tx.execute(
        "SELECT name, version, size FROM script WHERE account_id = ? ORDER BY stored, name, version", (account_id,)
    )
    newest = {name: version for name, version, _ in sorted(rows)}
    surplus = sum(size for *_, size in rows) - most
    for name, version, size in rows:
        if surplus > 0 and version < newest[name]:
            tx.execute(f"DELETE FROM script WHERE {_OF} AND version = ?", (account_id, name, version))
            surplus -= size


@of_account
def activate(tx: Transaction, account_id: str, name: str) -> None:
    """See IScripts."""
    _hold(tx, account_id)
    if name:
        _require_script(tx, account_id, name)
    tx.execute("DELETE FROM active_script WHERE account_id = ?", (account_id,))
    if name:
        tx.execute("INSERT INTO active_script (account_id, name) VALUES (?, ?)", (account_id, name))


@of_account
def delete(tx: Transaction, account_id: str, name: str) -> None:
    """See IScripts."""
    _hold(tx, account_id)
    _require_script(tx, account_id, name)
    if _active(tx, account_id) == name:
        raise ScriptActive(name)
    tx.execute(f"DELETE FROM script WHERE {_OF}", (account_id, name))


@of_account
def rename(tx: Transaction, account_id: str, old: str, new: str) -> None:
    """See IScripts."""
    _hold(tx, account_id)
    _require_script(tx, account_id, old)
    if _stands(tx, account_id, new):
        raise AlreadyExists(new)
    tx.execute(f"UPDATE script SET name = ? WHERE {_OF}", (new, account_id, old))
    tx.execute(f"UPDATE active_script SET name = ? WHERE {_OF}", (new, account_id, old))


def damaged(tx: Transaction, account_id: str) -> list[tuple[str, int]]:
    """Name the versions whose source is not what was stored: name of the script and version. One is read at a time."""
    found = []
    for name, version in tx.execute(
        "SELECT name, version FROM script WHERE account_id = ? ORDER BY name, version", (account_id,)
    ):
        try:
            _read(tx, account_id, name, version)
        except StoreDamaged:
            found.append((name, version))
    return found


def mend(tx: Transaction, account_id: str) -> list[str]:
    """Remove versions that are damaged, and have no script be active whose source is lost: the mail is filed unfiltered then.
    Return a line for each. For a unit that holds the account's row."""
    lost = damaged(tx, account_id)
    for name, version in lost:
        tx.execute(f"DELETE FROM script WHERE {_OF} AND version = ?", (account_id, name, version))
    mended = [f"version {version} of the script {name!r}, which was damaged, is removed" for name, version in lost]
    active = _active(tx, account_id)
    if active is not None and not _stands(tx, account_id, active):
        tx.execute("DELETE FROM active_script WHERE account_id = ?", (account_id,))
        mended.append(f"no script is active: {active!r} is lost")
    return mended


def _active(tx: Transaction, account_id: str) -> str | None:
    rows = tx.execute("SELECT name FROM active_script WHERE account_id = ?", (account_id,))
    return rows[0][0] if rows else None


def _stands(tx: Transaction, account_id: str, name: str) -> bool:
    return bool(tx.execute(f"SELECT 1 FROM script WHERE {_OF} LIMIT 1", (account_id, name)))


def _require_script(tx: Transaction, account_id: str, name: str) -> None:
    if not _stands(tx, account_id, name):
        raise NoSuchScript(name)


def _require(tx: Transaction, account_id: str) -> None:
    if not tx.execute("SELECT 1 FROM account WHERE account_id = ? AND removed_at IS NULL", (account_id,)):
        raise NoSuchAccount(account_id)


def _hold(tx: Transaction, account_id: str) -> None:
    """Hold the account's row to the end of the unit; nothing that its sessions show changes. :raises NoSuchAccount:"""
    touch(tx, account_id)
    untouch(tx, account_id)
