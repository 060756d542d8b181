"""The domain, the keys that sign its mail, and the first account, which is an administrator's."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import cast
from urllib.parse import quote

from mailnode.admin.dkim import DkimRecord
from mailnode.admin.operations import OperationFailed, Reason
from mailnode.setup.answers import Question
from mailnode.setup.files import write
from mailnode.setup.row import SetupItem, Surrounded
from mailnode.values.item import Item, ItemState

DOMAIN, DKIM, NAME = "domain", "dkim-keys", "account"
MAKE_ONE = "make one"  # the answer to which password
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # without those that look alike

PASSWORD = Question(
    "password",
    "The password of your account, or an empty line to have one made",
    lambda text: text or MAKE_ONE,
    secret=True,
)


def _exists(around: Surrounded, name: str, subject: str) -> bool:
    try:
        around.operate(name, {"address" if name.startswith("account.") else "name": subject})
    except OperationFailed as failed:
        if failed.reason is Reason.NOT_FOUND:
            return False
        raise
    return True


def _look_at_domain(around: Surrounded) -> Item:
    if not _exists(around, "domain.show", around.domain):
        return Item(DOMAIN, ItemState.TO_DO, f"{around.domain} is to be added")
    return Item(DOMAIN, ItemState.DONE, around.domain)


def _add_domain(around: Surrounded) -> None:
    around.operate("domain.add", {"name": around.domain})


def _keys(around: Surrounded) -> list[DkimRecord]:
    return cast(list[DkimRecord], around.operate("domain.dkim", {"name": around.domain}))


def _look_at_keys(around: Surrounded) -> Item:
    signing = [key["selector"] for key in _keys(around) if key["state"] == "active"]
    if not signing:
        return Item(DKIM, ItemState.TO_DO, f"no key signs the mail of {around.domain} yet")
    return Item(DKIM, ItemState.DONE, f"{', '.join(signing)} sign the mail of {around.domain}")


def _make_keys(around: Surrounded) -> None:
    name = "domain.dkim-activate" if _keys(around) else "domain.dkim-rotate"
    given: dict[str, object] = {"name": around.domain}
    around.operate(name, given | ({"selectors": []} if name.endswith("activate") else {}))


def _password_file(around: Surrounded) -> Path:
    return around.places.config.parent / f"first-password-{quote(str(around.address), safe='@')}"


def _look(around: Surrounded) -> Item:
    address, kept = str(around.address), _password_file(around)
    if not _exists(around, "account.show", address):
        return Item(NAME, ItemState.TO_DO, f"{address} is to be made, as an administrator's")
    if kept.exists():
        mend = f"mailnode account password {address}   # and then: rm {kept}"
        return Item(NAME, ItemState.DONE, f"{address}; its first password is in {kept}", mend)
    return Item(NAME, ItemState.DONE, address)


def _add(around: Surrounded) -> None:
    around.operate("account.check", {"address": str(around.address), "new": True})
    password = around.answers.of(PASSWORD)
    if password == MAKE_ONE:
        password = "-".join("".join(secrets.choice(LETTERS) for _ in range(5)) for _ in range(4))
        write(_password_file(around), f"{password}\n".encode(), 0o600)
    given = {"address": str(around.address), "password": password, "role": "admin"}
    try:
        around.operate("account.add", given)
    except OperationFailed:
        around.answers.forget(PASSWORD)
        raise


DOMAIN_ITEM = SetupItem(
    DOMAIN,
    _look_at_domain,
    _add_domain,
    needs=("service",),
    explained="The server takes mail for the domains it knows.",
)
DKIM_ITEM = SetupItem(
    DKIM,
    _look_at_keys,
    _make_keys,
    needs=(DOMAIN,),
    explained="Other servers trust mail more that is signed with a key that stands in the domain's DNS.",
)
ITEM = SetupItem(
    NAME,
    _look,
    _add,
    needs=(DOMAIN,),
    explained="The first account is an administrator's: what concerns the whole server is told to it.",
)
