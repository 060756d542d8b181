"""What an address leads to: reading units over the directory's rows.

The order in which an address of a local domain is looked up: as it stands; without its detail; ``postmaster`` and
``MAILER-DAEMON``, whom every domain has; the domain's catch-all. Every alias is expanded at most once and at most
``MAX_DEPTH`` steps deep, so a loop costs nothing and is passed over, and an account gets one copy however many ways lead to
it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mailnode.errors import BadAddress
from mailnode.store.engines.engine import Transaction
from mailnode.values.address import Address, local_key, parse_address
from mailnode.values.directory import SHARED, Account, Credential, Domain, LoginRecord, Resolved
from mailnode.values.rows import StoredRow

MAX_DEPTH = 10
MAX_LABELS = 8  # at the end of a server's name that are looked at for a domain
DOMAIN = "name, written, alias_of, catch_all, separator, fixed"
ACCOUNT = "id, address, status, role, locale, time_zone, created, generation, hidden"
_POSTMASTER = "postmaster"
MAILER_DAEMON = "mailer-daemon"  # whom our notices come from: replies to them are for the postmaster
_RECEIVING = ("active", "no-login")
_TEMPORARY, _PERMANENT = "4.2.1", "5.2.1"  # RFC 3463 3.3: mailbox disabled
_NOBODY = "4.2.0"  # RFC 3463 3.3: other mailbox status


def find_domain(tx: Transaction, name: str) -> Domain | None:
    """Return a domain by its key."""
    rows = tx.execute(f"SELECT {DOMAIN} FROM domain WHERE name = ?", (name,))
    return domain_of(rows[0]) if rows else None


def domain_of(row: StoredRow) -> Domain:
    """Return the domain of a row of the columns ``DOMAIN``."""
    name, written, alias_of, catch_all, separator, fixed = row
    return Domain(name, written, alias_of, catch_all, separator, bool(fixed))


def home_domain(tx: Transaction, name: str) -> Domain | None:
    """Return the domain in which the addresses of a domain are looked up: itself, or what it is an alias of."""
    for _ in range(MAX_DEPTH):
        domain = find_domain(tx, name)
        if domain is None or not domain.alias_of:
            return domain
        name = domain.alias_of
    return None


def is_local(tx: Transaction, name: str) -> bool:
    """Whether there is such a domain, given its key."""
    return find_domain(tx, name) is not None


@dataclass(frozen=True, slots=True)
class _Entry:
    """A row of ``address`` that an address was found by, and the detail that was cut to find it."""

    key: str
    account_id: str
    policy: str
    detail: str | None
    owner: str


def _entry(tx: Transaction, address: Address, domain: Domain, with_detail: bool = True) -> _Entry | None:
    key = f"{local_key(address.local)}@{domain.name}"
    rows = tx.execute("SELECT account_id, detail, owner FROM address WHERE address_key = ?", (key,))
    if rows:
        return _Entry(key, rows[0][0], rows[0][1], None, rows[0][2])
    detail = address.detail(domain.separator)
    if detail is None or not with_detail:
        return None
    key = f"{local_key(address.base(domain.separator).local)}@{domain.name}"
    rows = tx.execute("SELECT account_id, detail, owner FROM address WHERE address_key = ?", (key,))
    if rows and rows[0][1] != "refuse":
        return _Entry(key, rows[0][0], rows[0][1], detail, rows[0][2])
    return None


def find_entry(tx: Transaction, address: Address, domain: Domain) -> str | None:
    """Return the key by which an address of a local domain stands in the directory, with detail or without."""
    entry = _entry(tx, address, domain)
    return entry.key if entry is not None else None


def _targets(tx: Transaction, key: str) -> list[Address]:
    rows = tx.execute("SELECT written FROM alias_target WHERE address_key = ? ORDER BY place", (key,))
    return [parse_address(row[0]) for row in rows]


def account_of(tx: Transaction, address: Address, with_detail: bool) -> str | None:
    """Return the id of the account that owns an address itself, no alias between."""
    domain = home_domain(tx, address.domain_key)
    entry = _entry(tx, address, domain, with_detail) if domain is not None else None
    return (entry.account_id or None) if entry is not None else None


def login_record(tx: Transaction, login: str) -> LoginRecord:
    """See IDirectory."""
    try:
        account_id = account_of(tx, parse_address(login), with_detail=False)
    except BadAddress:
        account_id = None
    if account_id is None:
        return LoginRecord(None)
    account = Account(*tx.execute(f"SELECT {ACCOUNT} FROM account WHERE id = ?", (account_id,))[0])
    return LoginRecord(account, tuple(credentials_of(tx, account_id)))


def login_domain(tx: Transaction, server_name: str) -> str:
    """See IDirectory. :param server_name: a domain's key, or ""."""
    labels = server_name.split(".")
    for start in range(max(len(labels) - MAX_LABELS, 0), len(labels)):
        domain = home_domain(tx, ".".join(labels[start:]))
        if domain is not None:
            return domain.written
    rows = tx.execute("SELECT written FROM domain WHERE alias_of = '' LIMIT 2")
    return str(rows[0][0]) if len(rows) == 1 else ""


def credentials_of(tx: Transaction, account_id: str) -> list[Credential]:
    """Return an account's credentials, oldest first."""
    rows = tx.execute(
        "SELECT id, kind, secret, protocols, label, created FROM credential WHERE account_id = ? ORDER BY created, id",
        (account_id,),
    )
    return [
        Credential(
            credential_id, account_id, kind, secret, frozenset(filter(None, protocols.split(","))), label, created
        )
        for credential_id, kind, secret, protocols, label, created in rows
    ]


@dataclass(slots=True)
class _Expansion:
    """One resolution under way."""

    tx: Transaction
    fallbacks: bool  # whether catch-all and postmaster's substitutes count
    any_status: bool = False  # whether accounts that do not receive count
    owner: str = ""  # of the first alias, whatever others it leads to
    local: dict[str, str] = field(default_factory=dict)  # account id -> address it came in for
    remote: dict[str, str] = field(default_factory=dict)  # key -> as written
    refusals: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)  # alias keys, and names of domains whose catch-all was tried

    def add(self, address: Address, came_for: str, depth: int = 0) -> None:
        """Expand one address; one that leads nowhere adds nothing."""
        domain = home_domain(self.tx, address.domain_key)
        if domain is None:
            self.remote.setdefault(address.key, str(address))
            return
        entry = _entry(self.tx, address, domain)
        if entry is None:
            if self.fallbacks:
                self._fall_back(address, domain, came_for, depth)
        elif entry.account_id:
            self._add_account(entry.account_id, came_for)
        elif entry.key not in self.seen and depth < MAX_DEPTH:
            if not self.seen:
                self.owner = entry.owner
            self.seen.add(entry.key)
            for target in _targets(self.tx, entry.key):
                passed = self._with_detail(target, entry)
                self.add(passed, str(passed), depth + 1)

    def _with_detail(self, target: Address, entry: _Entry) -> Address:
        if not entry.detail or entry.policy != "keep":
            return target
        domain = home_domain(self.tx, target.domain_key)
        if domain is None or not domain.separator or target.detail(domain.separator) is not None:
            return target
        return Address(f"{target.local}{domain.separator}{entry.detail}", target.domain)

    def _fall_back(self, address: Address, domain: Domain, came_for: str, depth: int) -> None:
        name = local_key(address.base(domain.separator).local)
        if name == MAILER_DAEMON:
            self.add(Address(_POSTMASTER, domain.name), came_for, depth + 1)
            return
        if name == _POSTMASTER:
            self.add_postmaster(came_for, domain.name, depth)
            return
        if domain.catch_all and domain.name not in self.seen and depth < MAX_DEPTH:
            self.seen.add(domain.name)
            self.add(parse_key(domain.catch_all), came_for, depth + 1)

    def add_postmaster(self, came_for: str, domain: str | None = None, depth: int = 0) -> None:
        """Add who takes the postmaster's mail of a domain that has no such address, or (None) of the server: the first
        administrator, else the domain's first account, else the postmaster of the first domain that has one, else the
        first account. While there is nobody the mail is put off, never refused for good (RFC 5321 4.5.1)."""
        account_id = _first_admin(self.tx) if domain is not None else None
        if account_id is None and domain is not None:
            account_id = _first_account(self.tx, domain)
        if account_id is None:
            for (name,) in self.tx.execute("SELECT name FROM domain WHERE alias_of = '' ORDER BY fixed DESC, name"):
                if self.tx.execute("SELECT 1 FROM address WHERE address_key = ?", (f"{_POSTMASTER}@{name}",)):
                    self.add(Address(_POSTMASTER, name), came_for, depth + 1)
                    return
            account_id = _first_admin(self.tx) or _first_account(self.tx, None)
        if account_id is None:
            self.refusals.add(_NOBODY)
        else:
            self._add_account(account_id, came_for)

    def _add_account(self, account_id: str, came_for: str) -> None:
        rows = self.tx.execute("SELECT status FROM account WHERE id = ?", (account_id,))
        status = rows[0][0] if rows else "deleting"
        if self.any_status or status in _RECEIVING:
            self.local.setdefault(account_id, came_for)
        elif status != "deleting":
            self.refusals.add(_TEMPORARY if status == "suspended" else _PERMANENT)

    def result(self) -> Resolved:
        """What was found. Of several refusals the temporary one stands: the message may still get through."""
        if self.local or self.remote:
            owner = self.owner if self.remote else ""
            return Resolved(True, tuple(self.local.items()), tuple(self.remote.values()), owner=owner)
        if self.refusals:
            return Resolved(True, refusal=min(self.refusals))
        return Resolved(False)


def parse_key(key: str) -> Address:
    """Return the address of a key (``local@domain``, the local part not quoted)."""
    local, _, domain = key.rpartition("@")
    return Address(local, domain)


def _first_admin(tx: Transaction) -> str | None:
    rows = tx.execute(
        "SELECT id FROM account WHERE role = 'admin' AND status IN ('active', 'no-login') ORDER BY created, id LIMIT 1"
    )
    return rows[0][0] if rows else None


def _first_account(tx: Transaction, domain: str | None) -> str | None:
    where, parameters = ("", ()) if domain is None else (" AND domain = ?", (domain,))
    rows = tx.execute(
        "SELECT id FROM account WHERE status IN ('active', 'no-login') AND role <> ?"
        f"{where} ORDER BY created, id LIMIT 1",
        (SHARED, *parameters),
    )
    return rows[0][0] if rows else None


def resolve(tx: Transaction, address: Address) -> Resolved:
    """See IDirectory."""
    expansion = _Expansion(tx, fallbacks=True)
    if address.domain:
        expansion.add(address, str(address))
    elif local_key(address.local) in (_POSTMASTER, MAILER_DAEMON):
        expansion.add_postmaster(str(address))
    return expansion.result()


def owns(tx: Transaction, account_id: str, address: Address) -> bool:
    """Whether an address leads to this account and nowhere else, by no catch-all and no substitute."""
    expansion = _Expansion(tx, fallbacks=False, any_status=True)
    expansion.add(address, "")
    return set(expansion.local) == {account_id} and not expansion.remote


def dangling(tx: Transaction) -> list[tuple[str, str]]:
    """See IDirectory."""
    pairs = tx.execute(
        "SELECT address.written, alias_target.written FROM alias_target JOIN address"
        " ON address.address_key = alias_target.address_key ORDER BY alias_target.address_key, alias_target.place"
    )
    takers = tx.execute("SELECT written, catch_all FROM domain WHERE catch_all <> '' ORDER BY name")
    named = [(alias, target, parse_address(target)) for alias, target in pairs]
    named += [(f"*@{domain}", key, parse_key(key)) for domain, key in takers]
    return [
        (alias, target)
        for alias, target, address in named
        if is_local(tx, address.domain_key) and not resolve(tx, address).known
    ]


def leads_to(tx: Transaction, start: Address, key: str) -> bool:
    """Whether an address is the one with this key, with detail or without, or an alias that leads to it."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        address = waiting.pop()
        domain = home_domain(tx, address.domain_key)
        if domain is None:
            continue
        entry = _entry(tx, address, domain)
        if entry is None:
            forms = (address, address.base(domain.separator))
            if key in [f"{local_key(form.local)}@{domain.name}" for form in forms]:
                return True
        elif entry.key == key:
            return True
        elif not entry.account_id and entry.key not in seen:
            seen.add(entry.key)
            waiting.extend(_targets(tx, entry.key))
    return False
