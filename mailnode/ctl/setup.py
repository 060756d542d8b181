"""``mailnode setup``: its options. What it does is imported only when it is done."""

from __future__ import annotations

from pathlib import Path

import click

from mailnode.ctl.parts import AS_JSON, Place, SecondsType, pass_place


@click.command(params=[AS_JSON])
@click.argument("address")
@click.option(
    "--answers", type=click.Path(path_type=Path), help="A TOML file with answers, by the names of the questions."
)
@click.option("--dry-run", is_flag=True, help="Only look, and say what is to be done.")
@click.option("--explain", is_flag=True, help="Say more: why each item matters, and all that mends it.")
@click.option(
    "--wait",
    type=SecondsType(),
    help="How long to wait for DNS and for mail, 10m too. By itself ten minutes on a terminal, else not at all.",
)
@pass_place
def setup(
    place: Place, address: str, answers: Path | None, dry_run: bool, explain: bool, wait: int | None, as_json: bool
) -> None:
    """Set this machine up for the mail of ADDRESS and its domain.

    It can be run as often as one likes: what is done it leaves, what is not it goes on with. It asks only what it cannot find
    out, keeps a copy beside every file that it changes, and leaves alone what you have changed. The configuration is
    /etc/mailnode/mailnode.toml and the mail in /var/lib/mailnode, unless --config and --data say otherwise. It ends with 0
    when nothing is left for you to do, else with 1.
    """
    from mailnode.ctl.setting_up import Wishes, set_up

    set_up(place, address, Wishes(answers, dry_run, explain, wait, as_json))
