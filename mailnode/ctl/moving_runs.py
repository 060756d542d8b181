"""Imports and exports as a command runs them: with their progress, and told of when they end, however they end.

Apart from the commands themselves, which every call of ``mailnode`` loads.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from mailnode.admin.operations import OperationFailed, Reason
from mailnode.ctl.parts import Place, WallWaits, file_trouble, show
from mailnode.ctl.progress import ShownProgress
from mailnode.ctl.standing_calls import standing_calls
from mailnode.moving.exporting import MailExport, OutgoingTarget
from mailnode.moving.importing import ImportWishes, MailImport
from mailnode.moving.model import IncomingSource, MovingClock, SourceFailed
from mailnode.moving.report import ImportReport, export_in_words, in_words
from mailnode.moving.target import ImportTarget

MakeSource = Callable[[MovingClock, Callable[[str], None]], IncomingSource]

INTERRUPTED = "interrupted"


def bring(place: Place, address: str, source: MakeSource, wishes: ImportWishes, as_json: bool) -> None:
    """Bring mail, and tell what came of it, also when it ends early. :raises OperationFailed: nothing could be begun."""
    stopped = ""
    with standing_calls(place) as calls:
        clock = WallWaits()
        progress = ShownProgress(clock)
        opened = source(clock, progress.waits)
        run = MailImport(opened, ImportTarget(calls, address), clock, progress, wishes)
        try:
            run.run()
        except SourceFailed as failed:
            stopped = str(failed)
        except OperationFailed as failed:
            stopped = failed.text
        except OSError as error:
            stopped = f"the files that messages pass through: {error.strerror}"
        except KeyboardInterrupt:
            stopped = INTERRUPTED
        finally:
            progress.end()
            opened.close()
        report: ImportReport = {**run.report(), "stopped": stopped, "complete": not stopped}
    show(report, as_json, in_words)
    if stopped or report["failed"]:
        click.get_current_context().exit(1)


def write_out(
    place: Place, address: str, path: Path, make: Callable[[Path], OutgoingTarget], only: tuple[str, ...], as_json: bool
) -> None:
    """Write mail, and tell what was written. :raises OperationFailed:"""
    with standing_calls(place) as calls:
        try:
            run = MailExport(calls, address, make(path), ShownProgress(WallWaits()))
            report = run.run(str(path), frozenset(only))
        except OSError as error:
            raise OperationFailed(Reason.FAILED, file_trouble(error, path)) from None
    show(report, as_json, export_in_words)
    if report["damaged"]:
        click.get_current_context().exit(1)
