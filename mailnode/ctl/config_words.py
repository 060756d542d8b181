"""What is said to people about the configuration of a running server."""

from __future__ import annotations

import click

from mailnode.admin.administration import Applied, ConfigComparison, VersionRecord
from mailnode.admin.configs import Confirmed
from mailnode.ctl.display import as_text, table
from mailnode.ctl.parts import SecondsType, shown
from mailnode.ctl.wording import Words


def compared(result: ConfigComparison) -> str:
    """Return what is different, key by key."""
    lines = []
    for one in result["differences"]:
        later = "" if one["live"] else "   (with the next start)"
        lines += [
            f"{one['key']}{later}",
            f"    running: {one['running'] or '-'}",
            f"    other:   {one['other'] or '-'}",
        ]
    return "\n".join(lines) or f"{result['other']}: no difference"


def applied(result: Applied) -> str:
    """Return what was taken over, and until when it is on trial."""
    lines = [f"version {result['version']}", f"applied: {as_text(result['applied']) or 'nothing new'}"]
    if result["needs_restart"]:
        lines.append(f"needs a restart: {as_text(result['needs_restart'])}")
    if result["until"]:
        lines.append(f"on trial until {result['until']}: mailnode config confirm, or it is put back")
    return "\n".join(lines)


def confirmed(result: Confirmed) -> str:
    """Return which one stays."""
    return f"version {result['version']} stays"


def versions(result: list[VersionRecord]) -> str:
    """Return a line a version."""
    return table(result, ("version", "at", "how", "state"))


CONFIG_WORDS = {
    "config.diff": Words(
        """Show what is different between what the server uses and its file, or a version, key by key.

        Keys that can only come into use with the next start are marked. Passwords are not shown.
        """,
        shown(compared),
        instead={
            "version": [
                click.Option(["--with", "version"], type=click.IntRange(0), default=0, help="A version, not the file.")
            ]
        },
    ),
    "config.apply": Words(
        """Take the configuration file over, as far as that is possible without a restart, or nothing when it has a mistake.

        With --confirm the one before is put back after so long, also if the server ends meanwhile, unless mailnode config confirm
        was said. What was put back stays out of use, whatever the file says, until the file is changed or applied again.
        """,
        shown(applied),
        instead={
            "confirm": [
                click.Option(["--confirm"], type=SecondsType(), default=0, help="Put it back after this time: 5m.")
            ]
        },
    ),
    "config.confirm": Words("Let the configuration that is on trial stay.", shown(confirmed)),
    "config.versions": Words("List the configurations that were taken over, the latest 20.", shown(versions)),
}
