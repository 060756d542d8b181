"""The command ``python -m tests.crash``."""

from __future__ import annotations

import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import click

from tests.crash.postgres import Postgres, postgres
from tests.crash.power import PowerCuts
from tests.crash.run import Run


@click.command()
@click.option("--kills", default=1000, show_default=True, help="How often, kills or power cuts.")
@click.option("--seed", default=1, show_default=True, help="Of what clients do and of when the server is killed.")
@click.option("--workers", default=1, show_default=True, help="Processes with which mailnode serves.")
@click.option("--power", is_flag=True, help="Cut below the process: what was not synced is lost, in part or whole.")
@click.option(
    "--postgres",
    "killed",
    type=click.Choice(["server", "database"]),
    help="Have the store on PostgreSQL, and kill the server alone, or the database before it.",
)
@click.option("--recorded", default=300, show_default=True, help="Operations that are recorded for power cuts.")
def main(kills: int, seed: int, workers: int, power: bool, killed: str | None, recorded: int) -> None:
    """Kill a server while clients are at work, and see that nothing is lost of what it acknowledged."""
    if power and killed:
        raise click.UsageError("power cuts are made of what is written to the files of SQLite")
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, postgres() if killed else nullcontext() as database:
        if power:
            told = _power(Path(folder), seed, workers, kills, recorded)
        else:
            told = _kills(Path(folder), seed, workers, kills, database, killed == "database")
    click.echo(f"{told}, {time.monotonic() - began:.0f} s")


def _kills(folder: Path, seed: int, workers: int, kills: int, database: Postgres | None, kill_database: bool) -> str:
    run = Run(folder, seed=seed, workers=workers, database=database, kill_database=kill_database)
    try:
        run.run(kills)
    finally:
        run.close()
    return (
        f"{run.kills} kills and {run.database_kills} of the database, {run.acknowledged} operations acknowledged, "
        f"{len(run.sink.taken)} messages relayed, "
        f"{len(run.sink.twice())} of them twice"
    )


def _power(folder: Path, seed: int, workers: int, cuts: int, recorded: int) -> str:
    power = PowerCuts(folder, seed=seed, workers=workers)
    try:
        power.record(recorded)
        power.cut(cuts)
    finally:
        power.close()
    return (
        f"{power.cuts} power cuts in {power.events} changes and syncs, {power.run.acknowledged} operations acknowledged"
    )


main()
