"""The command ``python -m tests.fuzz``: one target, or all, for as long as is wanted."""

from __future__ import annotations

import os
import sys
import tempfile
import time
import traceback
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click
from twisted.logger import globalLogBeginner

if TYPE_CHECKING:
    from tests.fuzz.target import Target

try:
    import atheris
except ImportError:
    atheris = None  # inputs are made without a look at what they reach

SLOW = 60  # seconds an input may take, on a busy machine


@click.command()
@click.argument("name")
@click.option("--seconds", default=60, show_default=True, help="How long, of each target.")
@click.option("--seed", default=1, show_default=True, help="Of how inputs are made.")
@click.option("--plain", is_flag=True, help="Without atheris, even where it is installed.")
def main(name: str, seconds: int, seed: int, plain: bool) -> None:
    """Try inputs on the target NAME, or on "all", one after the other.

    What is raised that may not be ends it; the input is kept in tests/fuzz/corpus.
    """
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False)
    guided = atheris is not None and not plain
    with atheris.instrument_imports(include=["mailnode"]) if guided else nullcontext():
        from tests.fuzz.registry import CORPUS, TARGETS, known
    if name not in (*TARGETS, "all"):
        raise click.BadParameter(f"one of: all, {', '.join(TARGETS)}")
    failed = False
    for target in [TARGETS[name]] if name != "all" else TARGETS.values():
        if (child := os.fork()) == 0:  # libFuzzer ends its process
            (_guided if guided else _plain)(target, known(target), CORPUS / target.name, seconds, seed)
            os._exit(0)
        failed |= os.waitpid(child, 0)[1] != 0
        with suppress(OSError):
            (CORPUS / target.name).rmdir()  # nothing was found
    sys.exit(failed)


def _plain(target: Target, inputs: tuple[bytes, ...], keep: Path, seconds: int, seed: int) -> None:
    from tests.fuzz.mutations import Mutator

    mutator, tried, until = Mutator(seed, target.words), 0, time.monotonic() + seconds
    while time.monotonic() < until:
        data = mutator.make(inputs)
        tried += 1
        try:
            target.attempt(data)
        except Exception:
            keep.mkdir(parents=True, exist_ok=True)
            (keep / f"seed-{seed}-{tried}").write_bytes(data)
            traceback.print_exc()
            os._exit(1)
    click.echo(f"{target.name}: {tried} inputs in {seconds} s")


def _guided(target: Target, inputs: tuple[bytes, ...], keep: Path, seconds: int, seed: int) -> None:
    keep.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        found, words = Path(folder, "found"), Path(folder, "words")
        found.mkdir()
        for number, data in enumerate(inputs):
            Path(found, str(number)).write_bytes(data)
        words.write_text("".join(_entry(word) for word in target.words or (b"\r\n",) if word))
        options = [
            f"-max_total_time={seconds}",
            f"-seed={seed}",
            f"-timeout={SLOW}",
            "-max_len=4096",
            "-len_control=0",
            "-print_final_stats=1",
        ]
        click.echo(f"{target.name}:")
        atheris.Setup(
            [sys.argv[0], str(found), f"-dict={words}", f"-artifact_prefix={keep}/", *options], target.attempt
        )
        atheris.Fuzz()


def _entry(word: bytes) -> str:
    """Return a word as a dictionary of libFuzzer has it."""
    return '"' + "".join(map("\\x{:02x}".format, word)) + '"\n'


main()
