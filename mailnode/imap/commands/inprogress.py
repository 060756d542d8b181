"""INPROGRESS: what takes long says how far it is (RFC 9585)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mailnode.imap.commands.context import Context, Progress
from mailnode.imap.wire import responses
from mailnode.imap.wire.command import Command
from mailnode.interfaces.runtime import IDelayed

AFTER_SILENCE = 10.0  # seconds of a command after which the client is told that it goes on
AFTER_CLOSE = 1.0  # the same, when it closed its side: if it has gone, that shows by what it is told


@contextmanager
def going_on(context: Context, command: Command, goal: int = 0) -> Iterator[Progress]:
    """Say so during a long command, which writes nothing by itself: whoever has gone is found out by it.

    :param goal: messages it is about, if that is known already.
    """
    progress = context.progress = Progress(goal)
    goes_on = _GoingOn(context, command, progress)
    try:
        yield progress
    finally:
        goes_on.end()
        context.progress = None


def code(tag: bytes, progress: Progress) -> bytes:
    """Return the response code (RFC 9585 4). A tag with a bracket would end it, and is left out with all else."""
    if b"]" in tag:
        return b"INPROGRESS"
    done = b"%d" % progress.done if progress.done else b"NIL"
    goal = b"%d" % progress.goal if progress.done and progress.goal > progress.done else b"NIL"
    return b'INPROGRESS ("%b" %b %b)' % (tag, done, goal)


class _GoingOn:
    """Says that a command goes on."""

    def __init__(self, context: Context, command: Command, progress: Progress) -> None:
        self._context = context
        self._command = command
        self._progress = progress
        self._silent = 0.0
        self._timer = self._later()

    def end(self) -> None:
        """The command has ended."""
        if self._timer.active():
            self._timer.cancel()

    def _later(self) -> IDelayed:
        timer: IDelayed = self._context.services.clock.callLater(AFTER_CLOSE, self._look)
        return timer

    def _look(self) -> None:
        channel = self._context.channel
        self._silent += AFTER_CLOSE
        if channel.half_closed or self._silent >= AFTER_SILENCE:
            self._silent = 0.0
            shown = "INPROGRESS" not in self._context.hidden
            how_far = code(self._command.tag, self._progress) if shown else b""
            channel.write(responses.ok(b"*", "Still at it", how_far))
        if not channel.closed:
            self._timer = self._later()
