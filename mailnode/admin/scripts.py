"""Operations on the filter scripts of accounts."""

from __future__ import annotations

import os
from typing import TypedDict

from mailnode.admin.administration import Administration
from mailnode.admin.finding import find_account, moment
from mailnode.admin.operations import Count, OpenFile, OperationFailed, Reason, operation
from mailnode.sieve.checker import compile_script
from mailnode.sieve.faults import ScriptRefused
from mailnode.sieve.limits import MAX_SCRIPT
from mailnode.values.scripts import ScriptInfo


class ScriptRecord(TypedDict):
    """A script of an account; times are UTC."""

    name: str
    active: bool
    size: int  # octets
    version: int
    changed: str


class ScriptVersionRecord(TypedDict):
    """A version of a script that is kept."""

    version: int
    size: int
    stored: str


class ScriptShown(TypedDict):
    """A script with its source."""

    account: str
    name: str
    digest: str  # SHA-256 of the source, in hexadecimal
    source: str


class ScriptDeleted(TypedDict):
    """Which script is gone."""

    deleted: str


@operation("sieve.list")
async def sieve_list(admin: Administration, account: str) -> list[ScriptRecord]:
    """List the scripts of an account."""
    return await _listed(admin, account)


@operation("sieve.versions")
async def sieve_versions(admin: Administration, account: str, name: str) -> list[ScriptVersionRecord]:
    """List the versions of a script that are kept, the newest first."""
    found = await admin.scripts.versions((await find_account(admin, account)).id, name)
    return [{"version": one.version, "size": one.size, "stored": moment(one.stored)} for one in found]


@operation("sieve.show")
async def sieve_show(admin: Administration, account: str, name: str, version: Count | None = None) -> ScriptShown:
    """Show a script, or one of its versions."""
    found = await find_account(admin, account)
    script = await admin.scripts.read(found.id, name, version or 0)
    source = script.source.decode("utf-8", "replace")
    return {"account": found.address, "name": script.name, "digest": script.digest, "source": source}


@operation("sieve.put", changes=True)
async def sieve_put(
    admin: Administration, account: str, name: str, content: OpenFile, activate: bool = False
) -> ScriptRecord:
    """Store a script that has no mistakes, or a further version of it."""
    found = await find_account(admin, account)
    source = await admin.threads.run("disk", _read, content)
    await compile_here(admin, source)
    stored = await admin.scripts.put(found.id, name, source, admin.script_quota())
    if activate:
        await admin.scripts.activate(found.id, stored.name)
    return _record(stored._replace(active=activate or stored.active))


@operation("sieve.activate", changes=True)
async def sieve_activate(admin: Administration, account: str, name: str) -> list[ScriptRecord]:
    """Have a script filter the mail of an account, and no other one."""
    if not name:
        raise OperationFailed(Reason.WRONG_VALUE, "a script is named; to have none, say sieve deactivate")
    await admin.scripts.activate((await find_account(admin, account)).id, name)
    return await _listed(admin, account)


@operation("sieve.deactivate", changes=True)
async def sieve_deactivate(admin: Administration, account: str) -> list[ScriptRecord]:
    """Have no script filter the mail of an account; those that it has stay."""
    await admin.scripts.activate((await find_account(admin, account)).id, "")
    return await _listed(admin, account)


@operation("sieve.rename", changes=True)
async def sieve_rename(admin: Administration, account: str, name: str, new_name: str) -> list[ScriptRecord]:
    """Give a script another name; an active one stays active."""
    await admin.scripts.rename((await find_account(admin, account)).id, name, new_name)
    return await _listed(admin, account)


@operation("sieve.delete", destroys=True)
async def sieve_delete(admin: Administration, account: str, name: str) -> ScriptDeleted:
    """Remove a script and all its versions. The active one is not removed."""
    await admin.scripts.delete((await find_account(admin, account)).id, name)
    return {"deleted": name}


async def compile_here(admin: Administration, source: bytes) -> None:
    """Hold a script against the language. :raises OperationFailed: what is wrong with it, a line for each mistake."""
    try:
        await admin.threads.run("cpu", compile_script, source)
    except ScriptRefused as refused:
        raise OperationFailed(Reason.WRONG_VALUE, f"the script was not stored:\n{refused}") from None


def _read(file: OpenFile) -> bytes:
    """Return the script in an open file: one octet more than it may have, where it has more."""
    return os.pread(file, MAX_SCRIPT + 1, 0)


async def _listed(admin: Administration, account: str) -> list[ScriptRecord]:
    return [_record(one) for one in await admin.scripts.listing((await find_account(admin, account)).id)]


def _record(one: ScriptInfo) -> ScriptRecord:
    return {
        "name": one.name,
        "active": one.active,
        "size": one.size,
        "version": one.version,
        "changed": moment(one.changed),
    }
