"""``mailnode export``: mail that moves out, for people."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from mailnode.admin.operations import OperationFailed, Reason
from mailnode.ctl.parts import AS_JSON, Place, WallWaits, pass_place, show
from mailnode.ctl.progress import ShownProgress
from mailnode.ctl.standing_calls import standing_calls
from mailnode.moving.exporting import MailExport, OutgoingTarget
from mailnode.moving.maildir_target import MaildirTarget
from mailnode.moving.mbox_target import MboxTarget
from mailnode.moving.report import export_in_words
from mailnode.moving.tar_target import TarTarget

OPTIONS: list[click.Parameter] = [
    click.Argument(["address"]),
    click.Option(["--mailbox", "only"], multiple=True, help="Only this mailbox; several times for several."),
    AS_JSON,
]


def write_out(
    place: Place, address: str, path: Path, make: Callable[[Path], OutgoingTarget], only: tuple[str, ...], as_json: bool
) -> None:
    """Write mail, and tell what was written. :raises OperationFailed:"""
    with standing_calls(place) as calls:
        try:
            run = MailExport(calls, address, make(path), ShownProgress(WallWaits()))
            report = run.run(str(path), frozenset(only))
        except OSError as error:
            raise OperationFailed(Reason.FAILED, f"{error.filename or path}: {error.strerror}") from None
    show(report, as_json, export_in_words)
    if report["damaged"]:
        click.get_current_context().exit(1)


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
    write_out(place, address, directory.absolute(), MaildirTarget, only, as_json)


@export_group.command("mbox", params=[*OPTIONS])
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
@pass_place
def export_mbox(place: Place, directory: Path, address: str, only: tuple[str, ...], as_json: bool) -> None:
    """Write the mail of ADDRESS to mboxes in DIR, a file a mailbox, with flags, keywords and dates. Older ones are replaced."""
    write_out(place, address, directory.absolute(), MboxTarget, only, as_json)


@export_group.command("tar", params=[*OPTIONS])
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")
@pass_place
def export_tar(place: Place, file: Path, address: str, only: tuple[str, ...], as_json: bool) -> None:
    """Write the mail of ADDRESS to the tar FILE, a file a message (INBOX/1.eml), with dates; compressed if it ends with gz."""
    write_out(place, address, file.absolute(), TarTarget, only, as_json)
