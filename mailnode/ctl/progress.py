"""How far something has come, for people."""

from __future__ import annotations

import sys

import click

from mailnode.moving.model import MovingClock

BAR = 30  # columns
REDRAW = 0.2  # seconds between two states of the bar


class ShownProgress:
    """Shows how far it has come on standard error: a bar on a terminal, else a line a folder."""

    def __init__(self, clock: MovingClock) -> None:
        self._clock = clock
        self._terminal = sys.stderr.isatty()
        self._name = ""
        self._all = self._done = 0
        self._shown = 0.0

    def folder(self, name: str, messages: int) -> None:
        """A folder begins."""
        self._end_line()
        self._name = "".join(c if c.isprintable() else "?" for c in name)
        self._all, self._done = messages, 0
        if self._terminal:
            self._draw()
        else:
            click.echo(f"{self._name}: {messages} messages", err=True)

    def done(self, messages: int) -> None:
        """So many more have been looked at."""
        self._done += messages
        if self._terminal and (self._clock.monotonic() - self._shown > REDRAW or self._done >= self._all):
            self._draw()

    def waits(self, why: str) -> None:
        """Something has to be waited for."""
        self._end_line()
        click.echo(why, err=True)

    def end(self) -> None:
        """It has ended."""
        self._end_line()

    def _draw(self) -> None:
        full = BAR if not self._all else min(BAR, BAR * self._done // self._all)
        click.echo(
            f"\r[{'#' * full}{'.' * (BAR - full)}] {self._done}/{self._all} {self._name}\x1b[K", err=True, nl=False
        )
        self._shown = self._clock.monotonic()

    def _end_line(self) -> None:
        if self._shown:
            click.echo(err=True)
            self._shown = 0.0
