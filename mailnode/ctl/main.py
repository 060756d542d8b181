"""The ``mailnode`` command."""

from __future__ import annotations

from pathlib import Path

import click

from mailnode.admin.dispatch import OPERATIONS
from mailnode.config.version import VERSION
from mailnode.ctl.exporting import export_group
from mailnode.ctl.moving import import_group
from mailnode.ctl.parts import AS_JSON, CommandGroup, Place, pass_place, show
from mailnode.ctl.setup import setup
from mailnode.ctl.sieve import sieve
from mailnode.ctl.tree import grow


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--config", type=click.Path(path_type=Path), help="The server's configuration file.")
@click.option("--data", type=click.Path(path_type=Path), help="Its data directory, in place of the file's.")
@click.version_option(VERSION, prog_name="mailnode")
@click.pass_context
def main(ctx: click.Context, config: Path | None, data: Path | None) -> None:
    """Look after a mailnode server.

    Without --config and --data the demonstration in ./mailnode-data is meant. While the server runs, commands go through
    its control socket; while it does not, they work on its store and must be run by the owner of the data directory.
    For a server that just starts or stops, or another command, they wait up to 10 seconds.
    """
    ctx.obj = Place(config, data)


@main.command()
@click.option("--user", default="", help="Who serves; for root. Without it: the owner of the data directory, or you.")
@pass_place
def check(place: Place, user: str) -> None:
    """Check the configuration file, and what it points at, without starting anything.

    Looks also at what the user who serves may read and write, and warns of what is allowed but seldom meant, and of
    programs that policies ask and that take no connection. Warnings leave the exit code at 0.
    """
    from mailnode.config.checkup import check_up, serving_user
    from mailnode.config.programs import absent
    from mailnode.ctl.direct import asked_programs

    config = place.config()
    serving = serving_user(config, user)
    for warning in [*check_up(config, serving, place.file), *absent(serving, asked_programs(config))]:
        click.echo(f"mailnode: warning: {warning}", err=True)
    click.echo(f"{place.file}: no mistakes" if place.file else "the embedded default: no mistakes")


@main.command(params=[AS_JSON])
@pass_place
def demo(place: Place, as_json: bool) -> None:
    """Show the demonstration's accounts, passwords and ports."""
    from mailnode.ctl.direct import demonstration

    told, screen = demonstration(place.data())
    show(told, as_json, lambda result: screen)


main.add_command(setup)
main.add_command(sieve)
main.add_command(import_group)
main.add_command(export_group)
grow(main, OPERATIONS)

if __name__ == "__main__":
    main()
