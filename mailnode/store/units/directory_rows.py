"""Units that change or list the directory's rows. What an address leads to is in ``directory_resolve``.

Every changing unit first takes the row of ``directory_version``: changes of several processes stand in one order, and
what one of them checked (is the address free, does the domain exist) still holds when it commits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from mailnode.errors import AlreadyExists, BadAddress, InUse, LimitReached, NoSuchAccount, NoSuchDomain
from mailnode.store.engines.engine import Transaction
from mailnode.store.units.resolution import (
    ACCOUNT,
    DOMAIN,
    account_of,
    credentials_of,
    domain_of,
    find_domain,
    is_local,
    leads_to,
)
from mailnode.values.address import Address, check_own, domain_key, own_domain_fault, parse_address
from mailnode.values.directory import Account, Alias, Credential, Domain
from mailnode.values.networks import is_public_literal

T = TypeVar("T")

MAX_TARGETS = 900  # of one alias: they are written in one unit
PRIMARY, FURTHER = "primary", "further"  # kinds of an account's addresses
DETAILS = ("keep", "cut", "refuse")


@dataclass(frozen=True, slots=True)
class Changed(Generic[T]):
    """What a changing unit did: the directory's version after it, and the accounts whose generation it raised."""

    result: T
    version: int
    raised: tuple[str, ...] = ()


def next_version(tx: Transaction) -> int:
    """Take the directory's row of versions, and return the number that this change has."""
    return int(tx.execute("UPDATE directory_version SET number = number + 1 WHERE one = 1 RETURNING number")[0][0])


def touch(tx: Transaction) -> Changed[None]:
    """Take a version for a change of what is kept elsewhere."""
    return Changed(None, next_version(tx))


# domains


def domains(tx: Transaction) -> list[Domain]:
    """All domains by name."""
    return [domain_of(row) for row in tx.execute(f"SELECT {DOMAIN} FROM domain ORDER BY name")]


def _require_domain(tx: Transaction, name: str) -> Domain:
    domain = find_domain(tx, domain_key(name))
    if domain is None:
        raise NoSuchDomain(name)
    return domain


def add_domain(tx: Transaction, name: str, alias_of: str, fixed: bool) -> Changed[Domain]:
    """See IDirectory."""
    version = next_version(tx)
    key = domain_key(name)
    if fault := own_domain_fault(key):
        raise BadAddress(f"it is {fault}")
    if find_domain(tx, key) is not None:
        raise AlreadyExists(name)
    target = _require_domain(tx, alias_of).name if alias_of else ""
    domain = Domain(key, name, target, fixed=fixed)
    _insert_domain(tx, domain)
    return Changed(domain, version)


def _insert_domain(tx: Transaction, domain: Domain) -> None:
    tx.execute(
        "INSERT INTO domain (name, written, alias_of, catch_all, separator, fixed) VALUES (?, ?, ?, ?, ?, ?)",
        (domain.name, domain.written, domain.alias_of, domain.catch_all, domain.separator, int(domain.fixed)),
    )


def update_domain(tx: Transaction, name: str, catch_all: str | None, separator: str | None) -> Changed[Domain]:
    """See IDirectory."""
    version = next_version(tx)
    key = _require_domain(tx, name).name
    if catch_all is not None:
        taker = parse_address(catch_all).key if catch_all else ""
        tx.execute("UPDATE domain SET catch_all = ? WHERE name = ?", (taker, key))
    if separator is not None:
        tx.execute("UPDATE domain SET separator = ? WHERE name = ?", (separator, key))
    return Changed(_require_domain(tx, name), version)


def remove_domain(tx: Transaction, name: str) -> Changed[None]:
    """See IDirectory."""
    version = next_version(tx)
    domain = _require_domain(tx, name)
    if domain.fixed:
        raise InUse("the configuration names it")
    if tx.execute("SELECT 1 FROM address WHERE domain = ? LIMIT 1", (domain.name,)):
        raise InUse("addresses stand in it")
    if tx.execute("SELECT 1 FROM domain WHERE alias_of = ? LIMIT 1", (domain.name,)):
        raise InUse("another domain is an alias of it")
    tx.execute("DELETE FROM domain WHERE name = ?", (domain.name,))
    tx.execute("DELETE FROM dkim_key WHERE domain = ?", (domain.name,))
    _end_grants(tx, f"@{domain.name}")
    return Changed(None, version)


def fixed_domains(tx: Transaction) -> set[str]:
    """The keys of the domains that the configuration names."""
    return {name for (name,) in tx.execute("SELECT name FROM domain WHERE fixed = 1")}


def set_fixed_domains(tx: Transaction, names: Sequence[str]) -> Changed[None]:
    """See IDirectory."""
    version = next_version(tx)
    tx.execute("UPDATE domain SET fixed = 0 WHERE fixed = 1")
    for name in names:
        key = domain_key(name)
        if find_domain(tx, key) is None:
            _insert_domain(tx, Domain(key, name, fixed=True))
        else:
            tx.execute("UPDATE domain SET fixed = 1 WHERE name = ?", (key,))
    return Changed(None, version)


# accounts


def accounts(tx: Transaction, domain: str | None) -> list[Account]:
    """All accounts, or those of a domain, by address."""
    if domain is None:
        return [Account(*row) for row in tx.execute(f"SELECT {ACCOUNT} FROM account ORDER BY address_key")]
    sql = f"SELECT {ACCOUNT} FROM account WHERE domain = ? ORDER BY address_key"
    return [Account(*row) for row in tx.execute(sql, (domain,))]


def account(tx: Transaction, account_id: str) -> Account:
    """:raises NoSuchAccount:"""
    rows = tx.execute(f"SELECT {ACCOUNT} FROM account WHERE id = ?", (account_id,))
    if not rows:
        raise NoSuchAccount(account_id)
    return Account(*rows[0])


def account_by_address(tx: Transaction, address: Address) -> Account:
    """See IDirectory."""
    account_id = account_of(tx, address, with_detail=True)
    if account_id is None:
        raise NoSuchAccount(str(address))
    return account(tx, account_id)


def add_account(
    tx: Transaction, account_id: str, address: Address, created: float, role: str = "user"
) -> Changed[Account]:
    """See IDirectory."""
    version = next_version(tx)
    if tx.execute("SELECT 1 FROM account WHERE id = ?", (account_id,)):
        raise AlreadyExists(account_id)
    new = Account(account_id, str(address), role=role, created=created)
    key, domain = _free_address(tx, address)
    tx.execute(
        "INSERT INTO account (id, address, address_key, domain, status, role, locale, time_zone, created, generation)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (new.id, new.address, key, domain, new.status, new.role, new.locale, new.time_zone, created, new.generation),
    )
    _insert_address(tx, key, domain, address, account_id, PRIMARY, "keep")
    return Changed(new, version)


def _free_address(tx: Transaction, address: Address) -> tuple[str, str]:
    """Return key and domain of an address that nobody has. :raises BadAddress: it may not be made here."""
    check_own(address)
    domain = find_domain(tx, address.domain_key)
    if domain is None:
        raise NoSuchDomain(address.domain)
    if domain.alias_of:
        raise NoSuchDomain(f"{domain.name} is an alias of {domain.alias_of} and has no addresses of its own")
    key = address.key
    if tx.execute("SELECT 1 FROM address WHERE address_key = ?", (key,)):
        raise AlreadyExists(str(address))
    return key, domain.name


def has_address(tx: Transaction, key: str) -> bool:
    """See IDirectory."""
    return bool(tx.execute("SELECT 1 FROM address WHERE address_key = ?", (key,)))


def _insert_address(
    tx: Transaction, key: str, domain: str, address: Address, account_id: str, kind: str, detail: str
) -> None:
    tx.execute(
        "INSERT INTO address (address_key, domain, written, account_id, kind, detail) VALUES (?, ?, ?, ?, ?, ?)",
        (key, domain, str(address), account_id, kind, detail),
    )


def set_status(tx: Transaction, account_id: str, status: str) -> Changed[Account]:
    """See IDirectory."""
    version = next_version(tx)
    tx.execute("UPDATE account SET status = ? WHERE id = ?", (status, account_id))
    _raise_generation(tx, account_id, version)
    return Changed(account(tx, account_id), version, (account_id,))


def set_role(tx: Transaction, account_id: str, role: str) -> Changed[Account]:
    """See IDirectory."""
    version = next_version(tx)
    tx.execute("UPDATE account SET role = ? WHERE id = ?", (role, account_id))
    return Changed(account(tx, account_id), version)


def set_hidden(tx: Transaction, account_id: str, names: Sequence[str]) -> Changed[Account]:
    """See IDirectory."""
    version = next_version(tx)
    tx.execute("UPDATE account SET hidden = ? WHERE id = ?", (" ".join(names), account_id))
    return Changed(account(tx, account_id), version)


def _raise_generation(tx: Transaction, account_id: str, version: int) -> None:
    """:raises NoSuchAccount:"""
    raised = tx.execute("UPDATE account SET generation = generation + 1 WHERE id = ? RETURNING id", (account_id,))
    if not raised:
        raise NoSuchAccount(account_id)
    _note_change(tx, account_id, version)


def _note_change(tx: Transaction, account_id: str, version: int) -> None:
    tx.execute(
        "INSERT INTO account_change (account_id, version) VALUES (?, ?)"
        " ON CONFLICT (account_id) DO UPDATE SET version = excluded.version",
        (account_id, version),
    )


def remove_account(tx: Transaction, account_id: str) -> Changed[None]:
    """See IDirectory."""
    version = next_version(tx)
    if not tx.execute("DELETE FROM account WHERE id = ? RETURNING id", (account_id,)):
        raise NoSuchAccount(account_id)
    tx.execute("DELETE FROM sender_grant WHERE account_id = ?", (account_id,))
    for (key,) in tx.execute("DELETE FROM address WHERE account_id = ? RETURNING address_key", (account_id,)):
        _end_grants(tx, key)
    tx.execute("DELETE FROM credential WHERE account_id = ?", (account_id,))
    tx.execute("DELETE FROM sending_limit WHERE account_id = ?", (account_id,))
    tx.execute("DELETE FROM sharing WHERE reader = ? OR owner = ?", (account_id, account_id))
    _note_change(tx, account_id, version)
    return Changed(None, version, (account_id,))


# addresses of an account


def addresses(tx: Transaction, account_id: str) -> list[str]:
    """See IDirectory."""
    rows = tx.execute(
        "SELECT written, kind FROM address WHERE account_id = ? ORDER BY address_key",
        (account_id,),
    )
    return [written for written, kind in rows if kind == PRIMARY] + [w for w, kind in rows if kind != PRIMARY]


def add_address(tx: Transaction, account_id: str, address: Address) -> Changed[None]:
    """See IDirectory."""
    version = next_version(tx)
    account(tx, account_id)
    key, domain = _free_address(tx, address)
    _insert_address(tx, key, domain, address, account_id, FURTHER, "keep")
    return Changed(None, version)


def remove_address(tx: Transaction, address: Address) -> Changed[None]:
    """See IDirectory."""
    version = next_version(tx)
    rows = tx.execute("SELECT kind, account_id FROM address WHERE address_key = ?", (address.key,))
    if not rows or not rows[0][1]:
        raise NoSuchAccount(str(address))
    if rows[0][0] == PRIMARY:
        raise InUse("it is the primary address")
    tx.execute("DELETE FROM address WHERE address_key = ?", (address.key,))
    _end_grants(tx, address.key)
    return Changed(None, version)


def _end_grants(tx: Transaction, key: str) -> None:
    """Whoever gets an address after it was removed gives it to whom they like: old grants do not come back."""
    tx.execute("DELETE FROM sender_grant WHERE address_key = ?", (key,))


# aliases


def aliases(tx: Transaction, domain: str | None) -> list[Alias]:
    """See IDirectory."""
    where, parameters = ("", ()) if domain is None else (" AND a.domain = ?", (domain,))
    rows = tx.execute(
        "SELECT a.address_key, a.written, a.kind, a.detail, a.owner, t.written"
        " FROM address a JOIN alias_target t ON t.address_key = a.address_key"
        f" WHERE a.account_id = ''{where} ORDER BY a.address_key, t.place",
        parameters,
    )
    found: dict[str, tuple[Alias, list[str]]] = {}
    for key, written, kind, detail, owner, target in rows:
        found.setdefault(key, (Alias(written, (), kind, detail, owner), []))[1].append(target)
    return [replace(alias, targets=tuple(targets)) for alias, targets in found.values()]


def set_alias(tx: Transaction, alias: Alias, replace_old: bool) -> Changed[None]:
    """See IDirectory."""
    version = next_version(tx)
    address = parse_address(alias.address)
    targets = [parse_address(target) for target in alias.targets]
    if not targets:
        raise BadAddress("an alias needs a target")
    if len(targets) > MAX_TARGETS:
        raise LimitReached(f"more than {MAX_TARGETS} targets")
    if replace_old:
        _delete_alias(tx, address.key)
    key, domain = _free_address(tx, address)
    for target in targets:
        if target.domain.startswith("[") and not is_public_literal(target.domain_key):
            raise BadAddress(f"{target}: mail is not sent to loopback, private or reserved addresses")
        if leads_to(tx, target, key):
            raise InUse(f"{target} leads back to {address}")
    _insert_address(tx, key, domain, address, "", alias.kind, alias.detail)
    if alias.owner:
        owner = parse_address(alias.owner)
        if not is_local(tx, owner.domain_key) or leads_to(tx, owner, key):
            raise BadAddress(f"the owner {owner} is not an address here, or is reached by the alias itself")
        tx.execute("UPDATE address SET owner = ? WHERE address_key = ?", (str(owner), key))
    tx.many(
        "INSERT INTO alias_target (address_key, place, written) VALUES (?, ?, ?)",
        [(key, place, str(target)) for place, target in enumerate(targets)],
    )
    return Changed(None, version)


def _delete_alias(tx: Transaction, key: str) -> bool:
    rows = tx.execute("DELETE FROM address WHERE address_key = ? AND account_id = '' RETURNING address_key", (key,))
    if rows:
        tx.execute("DELETE FROM alias_target WHERE address_key = ?", (key,))
    return bool(rows)


def remove_alias(tx: Transaction, address: Address) -> Changed[None]:
    """See IDirectory."""
    version = next_version(tx)
    if not _delete_alias(tx, address.key):
        raise NoSuchAccount(str(address))
    _end_grants(tx, address.key)
    return Changed(None, version)


# credentials


def credentials(tx: Transaction, account_id: str) -> list[Credential]:
    """See IDirectory."""
    return credentials_of(tx, account_id)


def replace_credentials(tx: Transaction, account_id: str, label: str, new: Sequence[Credential]) -> Changed[None]:
    """See IDirectory. Rows get this account and label whatever the values say."""
    version = next_version(tx)
    _raise_generation(tx, account_id, version)
    _put_credentials(tx, account_id, label, new)
    return Changed(None, version, (account_id,))


def renew_credentials(tx: Transaction, account_id: str, credential_id: str, new: Sequence[Credential]) -> Changed[bool]:
    """See IDirectory."""
    version = next_version(tx)
    rows = tx.execute("SELECT label FROM credential WHERE id = ? AND account_id = ?", (credential_id, account_id))
    if rows:
        _put_credentials(tx, account_id, rows[0][0], new)
    return Changed(bool(rows), version)


def _put_credentials(tx: Transaction, account_id: str, label: str, new: Sequence[Credential]) -> None:
    tx.execute("DELETE FROM credential WHERE account_id = ? AND label = ?", (account_id, label))
    tx.many(
        "INSERT INTO credential (id, account_id, kind, secret, protocols, label, created) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(c.id, account_id, c.kind, c.secret, ",".join(sorted(c.protocols)), label, c.created) for c in new],
    )


# what other processes changed


def changes_since(tx: Transaction, known: int) -> tuple[int, tuple[str, ...]]:
    """Return the directory's version and the accounts whose generation was raised after version ``known``."""
    version = tx.execute("SELECT number FROM directory_version WHERE one = 1")[0][0]
    if version == known:
        return version, ()
    rows = tx.execute("SELECT account_id FROM account_change WHERE version > ? ORDER BY version", (known,))
    return version, tuple(row[0] for row in rows)
