"""Units about who may send as what: addresses that lead to an account alone are its own, anything else is granted."""

from __future__ import annotations

from mailnode.errors import BadAddress, NoSuchAccount, NoSuchDomain
from mailnode.store.engines.engine import Transaction
from mailnode.store.units.directory_rows import Changed, account, next_version
from mailnode.store.units.resolution import find_entry, home_domain, owns
from mailnode.values.address import Address, domain_key, local_key, parse_address
from mailnode.values.directory import Grant


def may_send_as(tx: Transaction, account_id: str, address: Address) -> bool:
    """See IDirectory."""
    if not address.domain:
        return False
    return owns(tx, account_id, address) or _is_granted(tx, account_id, address)


def _is_granted(tx: Transaction, account_id: str, address: Address) -> bool:
    domain = home_domain(tx, address.domain_key)
    if domain is None:
        return False
    whole, base = (local_key(form.local) for form in (address, address.base(domain.separator)))
    keys = (f"{whole}@{domain.name}", f"{base}@{domain.name}", f"@{domain.name}")
    sql = "SELECT 1 FROM sender_grant WHERE account_id = ? AND address_key IN (?, ?, ?)"
    return bool(tx.execute(sql, (account_id, *keys)))


def grants(tx: Transaction, account_id: str | None) -> list[Grant]:
    """See IDirectory."""
    where, parameters = ("", ()) if account_id is None else (" WHERE g.account_id = ?", (account_id,))
    rows = tx.execute(
        "SELECT g.written, a.id, a.address FROM sender_grant g JOIN account a ON a.id = g.account_id"
        f"{where} ORDER BY g.address_key, a.address_key",
        parameters,
    )
    return [Grant(*row) for row in rows]


def add_grant(tx: Transaction, account_id: str, address: str) -> Changed[None]:
    """See IDirectory."""
    version = next_version(tx)
    account(tx, account_id)
    key = _key(tx, address)
    tx.execute(
        "INSERT INTO sender_grant (address_key, account_id, written) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        (key, account_id, address),
    )
    return Changed(None, version)


def remove_grant(tx: Transaction, account_id: str, address: str) -> Changed[None]:
    """See IDirectory."""
    version = next_version(tx)
    key = f"@{domain_key(address[1:])}" if address.startswith("@") else parse_address(address).key
    gone = tx.execute(
        "DELETE FROM sender_grant WHERE address_key = ? AND account_id = ? RETURNING address_key", (key, account_id)
    )
    if not gone:
        raise NoSuchAccount(address)
    return Changed(None, version)


def _key(tx: Transaction, address: str) -> str:
    """Return the key of an address that exists here, or of a whole domain."""
    if address.startswith("@"):
        name = domain_key(address[1:])
        domain = home_domain(tx, name)
        if domain is None or domain.name != name:
            raise NoSuchDomain(name)
        return f"@{name}"
    wanted = parse_address(address)
    domain = home_domain(tx, wanted.domain_key)
    if domain is None:
        raise NoSuchDomain(wanted.domain)
    key = find_entry(tx, wanted, domain)
    if key is None:
        raise NoSuchAccount(address)
    if key != wanted.key:
        raise BadAddress("the address itself, without detail and in its own domain")
    return key
