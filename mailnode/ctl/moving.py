"""``mailnode import``: mail that moves in, for people."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailnode.admin.operations import OperationFailed, Reason
from mailnode.ctl.parts import AS_JSON, OctetsType, Place, file_trouble, pass_place

if TYPE_CHECKING:  # what runs is loaded by the command that does
    from mailnode.moving.importing import ImportWishes
    from mailnode.moving.model import IncomingSource, MovingClock


def _pairs(ctx: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for one in given:
        folder, separated, mailbox = one.partition("=")
        if not separated or not folder or not mailbox:
            raise click.BadParameter(f"{one}: should be FOLDER=MAILBOX", ctx, parameter)
        pairs[folder] = mailbox
    return pairs


FOLDERS: list[click.Parameter] = [
    click.Option(["--folder", "only"], multiple=True, help="Only this folder; several times for several."),
    click.Option(["--without"], multiple=True, help="Not this folder; several times for several."),
    click.Option(
        ["--map", "names"],
        multiple=True,
        metavar="FOLDER=MAILBOX",
        callback=_pairs,
        help="What a folder is here, such as 'Old/Sent Items=Sent'.",
    ),
    click.Option(["--rate"], type=OctetsType(), default=0, help="Octets a second at most, 500K or 2M too."),
    AS_JSON,
]


def wishes_of(only: tuple[str, ...], without: tuple[str, ...], names: dict[str, str], rate: int) -> ImportWishes:
    """Return what the options ask for."""
    from mailnode.moving.importing import ImportWishes

    return ImportWishes(frozenset(only), frozenset(without), names, rate)


@click.group("import")
def import_group() -> None:
    """Bring mail in from elsewhere.

    A second run brings only what is new. What stands in a mailbox already, with the same content, is not brought again; a
    message has the flags that either side gave it. Ends with 1 when something failed or it was interrupted: the same command
    goes on where it stopped.
    """


PASSWORD_VARIABLE = "MAILNODE_IMPORT_PASSWORD"
MAX_PASSWORD = 4096  # octets
IMAP_PORTS = {"implicit": 993, "starttls": 143, "none": 143}
POP3_PORTS = {"implicit": 995, "starttls": 110, "none": 110}


def source_password(file: Path | None, user: str) -> str:
    """Return the password for a source: of a file, the environment, or a prompt. :raises OperationFailed: there is none."""
    if file is not None:
        try:
            with file.open("rb") as opened:
                lines = opened.read(MAX_PASSWORD).splitlines()
        except OSError as error:
            raise OperationFailed(Reason.WRONG_VALUE, file_trouble(error, file)) from None
        password = lines[0].decode("utf-8", "replace") if lines else ""
    else:
        password = os.environ.get(PASSWORD_VARIABLE, "")
    if not password and file is None and sys.stdin.isatty():
        password = str(click.prompt(f"Password of {user} there", hide_input=True, err=True))
    if not password:
        raise OperationFailed(
            Reason.WRONG_VALUE, f"no password: use --password-file, {PASSWORD_VARIABLE}, or a terminal to be asked"
        )
    return password


@import_group.command("imap", params=[*FOLDERS])
@click.argument("host")
@click.argument("user")
@click.argument("address", metavar="TARGET")
@click.option("--port", type=click.IntRange(1, 65535), help="993; 143 without --tls implicit.")
@click.option(
    "--tls",
    type=click.Choice(["implicit", "starttls", "none"]),
    default="implicit",
    help="How the connection is encrypted; none: not at all, password and mail can be read on the way.",
)
@click.option("--ca", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Certificates to trust, too.")
@click.option("--password-file", type=click.Path(path_type=Path), help="Its first line is the password there.")
@click.option("--pop3", is_flag=True, help="Messages of INBOX keep the unique-ids that POP3 gives them there.")
@click.option("--pop3-port", type=click.IntRange(1, 65535), help="995; 110 without --tls implicit.")
@click.option("--timeout", type=click.IntRange(1, 3600), default=60, help="Seconds in which the server has to answer.")
@pass_place
def import_imap(
    place: Place,
    host: str,
    user: str,
    address: str,
    port: int | None,
    tls: str,
    ca: Path | None,
    password_file: Path | None,
    pop3: bool,
    pop3_port: int | None,
    timeout: int,
    only: tuple[str, ...],
    without: tuple[str, ...],
    names: dict[str, str],
    rate: int,
    as_json: bool,
) -> None:
    """Bring the mail of USER on the IMAP server HOST to the account TARGET, with its folders, flags, keywords, dates, special
    uses and subscriptions. Nothing is changed there.

    The password is asked for, or taken from --password-file or the variable MAILNODE_IMPORT_PASSWORD. Where the server lets
    an administrator log in for others, USER is often user*master, and the password the administrator's.

    Run it while the old server is in use, and once more when mail arrives here: the second run brings what is new, adds the
    flags that were set there since, and tells what differs.
    """
    from mailnode.ctl.moving_runs import bring
    from mailnode.moving.imap_client import ImapLogin
    from mailnode.moving.imap_link import ImapPlace
    from mailnode.moving.imap_source import ImapSource

    password = source_password(password_file, user)
    authorities = str(ca) if ca is not None else None

    def source(clock: MovingClock, waits: Callable[[str], None]) -> IncomingSource:
        at = ImapPlace(host, port or IMAP_PORTS[tls], tls, authorities, timeout)
        ids = ImapPlace(host, pop3_port or POP3_PORTS[tls], tls, authorities, timeout) if pop3 or pop3_port else None
        return ImapSource(at, ImapLogin(user, password), clock, waits, ids)

    bring(place, address, source, wishes_of(only, without, names, rate), as_json)


@import_group.command("maildir", params=[*FOLDERS])
@click.argument("directory", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="DIR")
@click.argument("address", metavar="TARGET")
@click.option("--uidl", is_flag=True, help="Messages keep the POP3 unique-ids that Dovecot gave them.")
@pass_place
def import_maildir(
    place: Place,
    directory: Path,
    address: str,
    uidl: bool,
    only: tuple[str, ...],
    without: tuple[str, ...],
    names: dict[str, str],
    rate: int,
    as_json: bool,
) -> None:
    """Bring the mail of a Maildir to the account TARGET, with its folders, flags, keywords and dates.

    Folders may lie beside INBOX with a dot in front (Maildir++), or as directories within directories. The files are read by
    who runs this command.
    """
    from mailnode.ctl.moving_runs import bring
    from mailnode.moving.maildir_source import MaildirSource

    bring(
        place,
        address,
        lambda clock, waits: MaildirSource(directory.absolute(), uidl),
        wishes_of(only, without, names, rate),
        as_json,
    )


@import_group.command("mbox", params=[*FOLDERS])
@click.argument("path", type=click.Path(path_type=Path, exists=True), metavar="FILE")
@click.argument("address", metavar="TARGET")
@click.option("--mailbox", default="INBOX", show_default=True, help="The mailbox that a single file is.")
@pass_place
def import_mbox(
    place: Place,
    path: Path,
    address: str,
    mailbox: str,
    only: tuple[str, ...],
    without: tuple[str, ...],
    names: dict[str, str],
    rate: int,
    as_json: bool,
) -> None:
    """Bring the mail of an mbox to the account TARGET, with flags and keywords (Status, X-Status, X-Keywords) and dates.

    FILE may be a directory: each mbox in it is a folder, and directories (Name, or Name.sbd) have those below.
    """
    from mailnode.ctl.moving_runs import bring
    from mailnode.moving.mbox_source import MboxSource

    bring(
        place,
        address,
        lambda clock, waits: MboxSource(path.absolute(), mailbox),
        wishes_of(only, without, names, rate),
        as_json,
    )


@import_group.command("tar", params=[*FOLDERS])
@click.argument("path", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE")
@click.argument("address", metavar="TARGET")
@pass_place
def import_tar(
    place: Place,
    path: Path,
    address: str,
    only: tuple[str, ...],
    without: tuple[str, ...],
    names: dict[str, str],
    rate: int,
    as_json: bool,
) -> None:
    """Bring the mail of a tar to the account TARGET: each file whose name ends with .eml, in the folder that it lies in there.

    The date of the file is that of arrival. What "mailnode export tar" wrote has flags and keywords, too. It may be compressed
    by gzip; then there must be room for all of it where temporary files are.
    """
    from mailnode.ctl.moving_runs import bring
    from mailnode.moving.tar_source import TarSource

    bring(
        place,
        address,
        lambda clock, waits: TarSource(path.absolute()),
        wishes_of(only, without, names, rate),
        as_json,
    )
