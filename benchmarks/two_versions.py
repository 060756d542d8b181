"""Commands that two versions answer in turn: milliseconds until the answer is there, and of the server's processor time.

``python -m benchmarks.two_versions FOLDER`` starts this checkout's server and that of another one (``FOLDER/.venv``), each with the
same mailbox, and asks both the same, now the one first and now the other, over implicit TLS.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import click

from benchmarks.instructions import SETTINGS, Counted, Ground
from benchmarks.rows_imap import THUNDERBIRD
from tests.end_to_end.servers import ROOT

# What is asked, and how often in one round.
COMMANDS = {
    "NOOP": (b"NOOP", 300),
    "SELECT": (b"SELECT INBOX", 5),
    "FETCH flags": (b"FETCH 1:* (UID FLAGS)", 3),
    "FETCH envelope and size": (b"FETCH 1:* (ENVELOPE RFC822.SIZE)", 3),
    "FETCH flags, envelope and size": (b"FETCH 1:* (FLAGS ENVELOPE RFC822.SIZE)", 3),
    "FETCH header fields": (b"FETCH 1:* (%b)" % THUNDERBIRD, 1),
    "FETCH body structure": (b"FETCH 1:* (BODYSTRUCTURE)", 3),
    "FETCH all bodies": (b"FETCH 1:* (BODY.PEEK[])", 1),
    "FETCH one body": (b"FETCH 1234 (BODY.PEEK[])", 100),
}


def milliseconds(ground: Ground, work: Callable[[], object]) -> tuple[float, float]:
    """Return what some work took, and of that what the server's own process did."""
    before, started = spent(ground.server.pid), time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000, (spent(ground.server.pid) - before) * 1000


def spent(pid: int) -> float:
    """Return the processor seconds of all threads of a process, as the scheduler counts them."""
    return sum(int(task.joinpath("schedstat").read_text().split()[0]) for task in tasks(pid)) / 1e9


def tasks(pid: int) -> list[Path]:
    """Return the threads of a process."""
    return list(Path(f"/proc/{pid}/task").iterdir())


def compared(versions: tuple[Ground, Ground], command: bytes, times: int, rounds: int) -> list[float]:
    """Return medians for one command: milliseconds of both versions, of their processor time, and of both the ratios."""

    def work(ground: Ground) -> None:
        for _ in range(times):
            ground.imap(tls=True).command(command)

    for ground in versions:
        work(ground)
    took: dict[Ground, list[tuple[float, float]]] = {ground: [] for ground in versions}
    for number in range(rounds):
        for ground in versions if number % 2 else versions[::-1]:
            took[ground].append(milliseconds(ground, lambda ground=ground: work(ground)))
    old, new = ([median(column) / times for column in zip(*took[ground], strict=True)] for ground in versions)
    return [old[0], new[0], new[0] / old[0], old[1], new[1], new[1] / old[1]]


@click.command()
@click.argument("tree", type=click.Path(path_type=Path, exists=True))
@click.option("--only", default="", metavar="PATTERN", help="Only commands whose name matches this regular expression.")
@click.option("--rounds", default=25, show_default=True, help="How often each is asked of both.")
@click.option("--messages", default=10_000, show_default=True, help="Messages in the mailbox; 1,234 and more.")
@click.option("--settings", type=click.File(), help="What else stands in the configuration of the other version.")
def main(tree: Path, only: str, rounds: int, messages: int, settings: Any) -> None:
    """Compare with the version in another checkout."""
    folder = Path(tempfile.mkdtemp(prefix="mailnode-two-versions-"))
    Counted.counting = False
    grounds: list[Ground] = []
    try:
        for name, where, text in (
            ("old", tree.resolve(), settings.read() if settings else SETTINGS),
            ("new", ROOT, SETTINGS),
        ):
            Counted.tree = where
            grounds.append(Ground(folder / name, messages, text))
            click.echo(f"{name}: process {grounds[-1].server.pid}")  # which starts it
        click.echo(f"{'':30} {'ms':>9} {'':>9} {'ratio':>6} {'cpu ms':>9} {'':>9} {'ratio':>6}")
        for name, (command, times) in COMMANDS.items():
            if re.search(only, name):
                shown = compared((grounds[0], grounds[1]), command, times, rounds)
                click.echo(
                    f"{name:30} " + " ".join([f"{value:{(9, 9, 6)[at % 3]}.2f}" for at, value in enumerate(shown)])
                )
    finally:
        for ground in grounds:
            ground.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
