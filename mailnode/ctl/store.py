"""``mailnode store``."""

from __future__ import annotations

from typing import Any

import click

from mailnode.ctl.parts import Destroying, Place, as_json, pass_place, show


@click.group()
def store() -> None:
    """The files of the store."""


@store.command(
    "accept-older",
    cls=Destroying,
    question="Go on with files that are older than what was acknowledged? What came since is lost, and mail programs"
    " fetch these mailboxes anew.",
)
@click.argument("files", nargs=-1, required=True)
@as_json
@pass_place
def accept_older(place: Place, files: tuple[str, ...], as_json: bool) -> None:
    """Go on with older FILES (mail-00, queue, directory, or all), while no server runs.

    Mailboxes of a mail partition get a new UIDVALIDITY, so that no program takes a new message for one it knows; accounts
    it does not have are made again, empty. Use "all" after the whole data directory was brought back from a backup.
    """
    from mailnode.ctl.direct import check_owner
    from mailnode.server.administration import accept_older

    check_owner(place.data())
    show(accept_older(place.config(), files), as_json, _accepted)


def _accepted(result: dict[str, Any]) -> str:
    return f"accepted: {', '.join(result['files'])}\naccounts with new UIDVALIDITYs: {result['accounts']}"
