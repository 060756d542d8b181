"""``mailnode grant``."""

from __future__ import annotations

import click

from mailnode.ctl import display
from mailnode.ctl.parts import Place, as_json, pass_place, show


@click.group()
def grant() -> None:
    """Who may send as an address that is not theirs alone: an alias for several, or another account's."""


@grant.command("add")
@click.argument("account")
@click.argument("address")
@pass_place
def grant_add(place: Place, account: str, address: str) -> None:
    """Let ACCOUNT send as ADDRESS; @example.org is any address of that domain."""
    place.call("grant.add", account=account, address=address)


@grant.command("list")
@click.option("--account", help="Only those of this account.")
@as_json
@pass_place
def grant_list(place: Place, account: str | None, as_json: bool) -> None:
    """List who may send as what, beside their own addresses."""
    show(place.call("grant.list", account=account), as_json, display.grants)


@grant.command("revoke")
@click.argument("account")
@click.argument("address")
@pass_place
def grant_revoke(place: Place, account: str, address: str) -> None:
    """Take back that ACCOUNT may send as ADDRESS."""
    place.call("grant.revoke", account=account, address=address)
