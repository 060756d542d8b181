"""The command ``python -m tests.stress``."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from tests.store.postgres_cluster import Cluster, binaries
from tests.stress.run import Stress

ROUND = 5.0  # seconds


@contextmanager
def _store(postgres: bool) -> Iterator[str]:
    """Yield what the configuration says of the store."""
    if not postgres:
        yield ""
        return
    programs = binaries()
    if programs is None:
        raise click.ClickException("no PostgreSQL server is installed (initdb)")
    cluster = Cluster(programs)
    cluster.start()
    try:
        yield f'[store]\nurl = "postgresql://tests@/postgres?host={cluster.directory}"\n'
    finally:
        cluster.stop()


@click.command()
@click.option("--seconds", default=600.0, show_default=True, help="How long.")
@click.option("--seed", default=1, show_default=True, help="Of what each session does.")
@click.option("--workers", default=2, show_default=True, help="Processes with which mailnode serves.")
@click.option("--sessions", default=18, show_default=True, help="Mail programs at once.")
@click.option("--drop-hints", is_flag=True, help="Lose every other hint about a change.")
@click.option("--postgres", is_flag=True, help="On a PostgreSQL server that is started for it.")
def main(seconds: float, seed: int, workers: int, sessions: int, drop_hints: bool, postgres: bool) -> None:
    """Let many IMAP sessions work on few mailboxes at once, and see that none is told anything that is not so."""
    with tempfile.TemporaryDirectory() as folder, _store(postgres) as extra:
        stress = Stress(Path(folder), seed=seed, workers=workers, sessions=sessions, drop_hints=drop_hints, extra=extra)
        try:
            stress.run(rounds=max(1, round(seconds / ROUND)), round_seconds=ROUND, most_seconds=seconds)
        finally:
            click.echo(
                f"{stress.commands} commands, {stress.ledger.acknowledged} changes acknowledged, {stress.kills} processes killed"
            )


main()
