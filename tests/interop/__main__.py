"""The command ``python -m tests.interop``."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import click

from tests.interop.both import both
from tests.interop.differences import CLASSES, class_of
from tests.interop.messages import Maker


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path), required=False)
@click.option("--seed", default=1, show_default=True, help="Of the messages, without a folder.")
@click.option("--count", default=300, show_default=True, help="How many, without a folder.")
@click.option("--show", default=5, show_default=True, help="How many differences to show that nothing explains.")
def main(folder: Path | None, seed: int, count: int, show: int) -> None:
    """Load the messages of a folder, or strange ones by chance, into mailnode and Dovecot, and compare all they say of them."""
    messages = Maker(seed).messages(count)
    if folder is not None:
        messages = [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()]
    found, unexplained = Counter(), []
    with tempfile.TemporaryDirectory() as place, both(Path(place), messages) as pair:
        for difference in pair.differences():
            name = class_of(difference)
            found[name] += 1
            if name is None:
                unexplained.append(difference)
    for name in (*CLASSES, None):
        click.echo(f"{found[name]:6} {name or 'not explained'}")
    for one in unexplained[:show]:
        click.echo(
            f"\n{one.asked}, message {one.number}\n ours:   {one.ours}\n theirs: {one.theirs}\n{one.message[:1500]!r}"
        )
    click.echo(Counter(one.asked for one in unexplained).most_common(20))


main()
