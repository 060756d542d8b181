"""``mailnode export``: mail that moves out, for people."""

from __future__ import annotations

from pathlib import Path

import click

from mailnode.ctl.parts import AS_JSON, Place, pass_place

OPTIONS: list[click.Parameter] = [
    click.Argument(["address"]),
    click.Option(["--mailbox", "only"], multiple=True, help="Only this mailbox; several times for several."),
    AS_JSON,
]


@click.group("export")
def export_group() -> None:
    """Write the mail of an account to files. They are written by, and belong to, who runs this command."""


@export_group.command("maildir", params=[*OPTIONS])
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
@pass_place
def export_maildir(place: Place, directory: Path, address: str, only: tuple[str, ...], as_json: bool) -> None:
    """Write the mail of ADDRESS to the Maildir DIR: mailboxes, flags, keywords, dates, subscriptions.

    A second run adds what is new, and gives the messages that are there the flags that they have now. Nothing is removed.
    """
    from mailnode.ctl.moving_runs import write_out
    from mailnode.moving.maildir_target import MaildirTarget

    write_out(place, address, directory.absolute(), MaildirTarget, only, as_json)


@export_group.command("mbox", params=[*OPTIONS])
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
@pass_place
def export_mbox(place: Place, directory: Path, address: str, only: tuple[str, ...], as_json: bool) -> None:
    """Write the mail of ADDRESS to mboxes in DIR, a file a mailbox, with flags, keywords and dates. Older ones are replaced."""
    from mailnode.ctl.moving_runs import write_out
    from mailnode.moving.mbox_target import MboxTarget

    write_out(place, address, directory.absolute(), MboxTarget, only, as_json)


@export_group.command("tar", params=[*OPTIONS])
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")
@pass_place
def export_tar(place: Place, file: Path, address: str, only: tuple[str, ...], as_json: bool) -> None:
    """Write the mail of ADDRESS to the tar FILE, a file a message (INBOX/1.eml), with dates; compressed if it ends with gz."""
    from mailnode.ctl.moving_runs import write_out
    from mailnode.moving.tar_target import TarTarget

    write_out(place, address, file.absolute(), TarTarget, only, as_json)
