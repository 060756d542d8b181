"""The command ``python -m benchmarks``."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from benchmarks import (
    report,
    rows_backup,
    rows_imap,
    rows_judged,
    rows_memory,
    rows_pop3,
    rows_queue,
    rows_relay,
    rows_search,
    rows_sessions,
    rows_smtp,
    rows_start,
    rows_transports,
)
from benchmarks.lab import Lab, missing
from benchmarks.rows import Row
from tests.end_to_end.ways import WAYS

ROWS: list[Row] = [
    *rows_smtp.ROWS,
    *rows_judged.ROWS,
    *rows_relay.ROWS,
    *rows_queue.ROWS,
    *rows_imap.ROWS,
    *rows_pop3.ROWS,
    *rows_transports.ROWS,
    *rows_memory.ROWS,
    *rows_sessions.ROWS,
    *rows_start.ROWS,
    *rows_backup.ROWS,
    *rows_search.ROWS,
]


@click.command()
@click.option("--only", default="", metavar="PATTERN", help="Only rows whose name matches this regular expression.")
@click.option("--rounds", default=3, show_default=True, help="How often each server is measured, in turn.")
@click.option("--seconds", default=20.0, show_default=True, help="Length of a round where a rate is measured.")
@click.option(
    "--messages", default=100_000, show_default=True, help="Messages in the mailbox of IMAP, and in the queue."
)
@click.option("--store", default=1_000_000, show_default=True, help="Messages of the large store.")
@click.option("--sessions", default=5000, show_default=True, help="Idle IMAP sessions at a time.")
@click.option("--workers", default=1, show_default=True, help="Processes with which mailnode serves.")
@click.option(
    "--ways",
    type=click.Choice(["own", "all", *WAYS]),
    default="own",
    show_default=True,
    help="How rows that move more than 64 KiB connect: each as it is by itself (SMTP without TLS, IMAP and POP3 with it),"
    " one way for all of them, or every way, a row for each.",
)
@click.option("--quick", is_flag=True, help="One round of 2 s, 5,000 messages, without the slow rows.")
@click.option("--list", "listing", is_flag=True, help="Only show the rows' names.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write everything measured to this file.")
@click.option("--plot", "plot_file", type=click.Path(path_type=Path), help="Write a plot of the ratios (SVG).")
def main(
    only: str,
    rounds: int,
    seconds: float,
    messages: int,
    store: int,
    sessions: int,
    workers: int,
    ways: str,
    quick: bool,
    listing: bool,
    json_file: Path | None,
    plot_file: Path | None,
) -> None:
    """Measure mailnode beside Postfix and Dovecot, in turn, on this machine."""
    names = {"own": [], "all": [*WAYS]}.get(ways, [ways])
    rows = [one for row in ROWS if not (quick and row.slow) for one in row.over(names) if re.search(only, one.name)]
    if listing:
        click.echo("\n".join(row.name for row in rows))
        return
    if missing():
        raise click.ClickException(f"not installed: {', '.join(missing())}")
    if quick:
        rounds, seconds, messages = 1, 2.0, 5000
    measured, errors = _measure(
        rows,
        lambda progress: Lab(
            rounds,
            seconds,
            messages,
            progress,
            quick=quick,
            store_size=store,
            sessions=sessions,
            workers=workers,
        ),
    )
    click.echo(report.table(measured))
    for error in errors:
        click.echo(f"WRONG: {error}")
    if json_file is not None:
        options = {
            "rounds": rounds,
            "seconds": seconds,
            "messages": messages,
            "store": store,
            "sessions": sessions,
            "workers": workers,
            "ways": ways,
            "quick": quick,
        }
        json_file.write_text(json.dumps(report.as_json(measured, machine() | options), indent=1))
    if plot_file is not None:
        plot_file.write_text(report.plot(measured))
    if errors:
        raise SystemExit(1)


def _measure(
    rows: list[Row], make_lab: Callable[[Callable[[str], None]], Lab]
) -> tuple[list[report.Measurement], list[str]]:
    measured: list[report.Measurement] = []
    failed: list[str] = []
    with click.progressbar(length=len(rows), item_show_func=lambda text: text, width=20) as bar:
        lab = make_lab(lambda text: bar.update(0, text))
        try:
            for row in rows:
                bar.update(0, row.name)
                try:
                    measured.append(row.run(lab))
                except Exception as error:  # one row that fails must not cost the others
                    lab.forget_connections()
                    failed.append(f"{row.name}: {type(error).__name__}: {error}")
                bar.update(1, row.name)
        finally:
            lab.close()
    return measured, failed + lab.errors


def machine() -> dict[str, Any]:
    """Return what the numbers depend on."""
    return {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.system()}


if __name__ == "__main__":
    main()
