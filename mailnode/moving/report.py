"""What an import or export came to, as data and in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

TOLD = 20  # messages of a folder that are told one by one


class FolderMoved(TypedDict):
    """One folder of the source, and the mailbox it became."""

    folder: str
    mailbox: str
    why: str  # the mailbox has another name: in words
    messages: int  # that the source has
    brought: int  # by this run
    octets: int  # of these
    present: int  # that stand here already
    flags_added: int  # messages that were here and got flags
    flags_here_only: int  # messages with flags that the source has not
    gone_here: int  # brought by an earlier run, and not in the mailbox any more: they stay so
    gone_there: int  # brought by an earlier run, and not at the source any more: they stay here
    lost_keywords: list[str]  # for which the account has no room
    failed: int
    failures: list[str]  # the first of these


class FolderSkipped(TypedDict):
    """A folder that was not brought."""

    folder: str
    why: str


class ImportReport(TypedDict):
    """What an import came to."""

    source: str
    address: str
    complete: bool  # all that the source has is here, but what failed
    stopped: str  # why it ended before; "": it did not
    folders: list[FolderMoved]
    skipped: list[FolderSkipped]
    brought: int
    octets: int
    present: int
    flags_added: int
    failed: int
    seconds: float


class ExportReport(TypedDict):
    """What an export came to."""

    address: str
    target: str
    mailboxes: int
    messages: int  # that are there now
    written: int  # by this run
    damaged: int  # that the store cannot read


def folder_moved(folder: str, mailbox: str, why: str) -> FolderMoved:
    """Return the report of a folder of which nothing is known yet."""
    return {
        "folder": folder,
        "mailbox": mailbox,
        "why": why,
        "messages": 0,
        "brought": 0,
        "octets": 0,
        "present": 0,
        "flags_added": 0,
        "flags_here_only": 0,
        "gone_here": 0,
        "gone_there": 0,
        "lost_keywords": [],
        "failed": 0,
        "failures": [],
    }


def import_report(
    source: str, address: str, folders: Sequence[FolderMoved], skipped: list[FolderSkipped]
) -> ImportReport:
    """Return the report of an import that has run through."""
    return {
        "source": source,
        "address": address,
        "complete": True,
        "stopped": "",
        "folders": list(folders),
        "skipped": skipped,
        "brought": sum(one["brought"] for one in folders),
        "octets": sum(one["octets"] for one in folders),
        "present": sum(one["present"] for one in folders),
        "flags_added": sum(one["flags_added"] for one in folders),
        "failed": sum(one["failed"] for one in folders),
        "seconds": 0.0,
    }


def in_words(report: ImportReport) -> str:
    """Return it for a person: what came, and what is not as it was."""
    lines: list[str] = []
    for one in report["folders"]:
        lines += _folder_lines(one)
    for skipped in report["skipped"]:
        lines.append(f"{_shown(skipped['folder'])}: not brought: {_shown(skipped['why'])}")
    lines.append(
        f"{report['brought']} messages came ({report['octets']} octets, {report['seconds']:.0f} s);"
        f" {report['present']} were here; {report['flags_added']} got flags; {report['failed']} failed"
    )
    if report["stopped"]:
        lines += [f"stopped: {_shown(report['stopped'])}", "run the same command again: it goes on where it stopped"]
    return "\n".join(lines)


def export_in_words(report: ExportReport) -> str:
    """Return it for a person."""
    lines = [f"{report['messages']} messages of {report['mailboxes']} mailboxes are there, {report['written']} new"]
    if report["damaged"]:
        lines.append(f"{report['damaged']} messages cannot be read: see mailnode store verify --contents")
    return "\n".join(lines)


def _folder_lines(one: FolderMoved) -> list[str]:
    name = _shown(one["folder"])
    lines: list[str] = []
    if one["mailbox"] != one["folder"]:
        why = f" ({_shown(one['why'])})" if one["why"] else ""
        lines.append(f"{name}: is {_shown(one['mailbox'])} here{why}")
    counts = f"{name}: {one['messages']} there, {one['brought']} came, {one['present']} were here"
    lines.append(counts)
    differences = (
        (one["flags_added"], "got flags that were set there"),
        (one["flags_here_only"], "have flags that are set here alone"),
        (one["gone_here"], "came before and are gone here: they stay so"),
        (one["gone_there"], "came before and are gone there: they stay here"),
        (one["failed"], "failed"),
    )
    lines += [f"{name}: {number} {words}" for number, words in differences if number]
    lines += [f"{name}: {_shown(failure)}" for failure in one["failures"]]
    if one["lost_keywords"]:
        lines.append(f"{name}: no room for the keywords {_shown(' '.join(one['lost_keywords']))}")
    return lines


def _shown(text: str) -> str:
    """Return text that may come from anybody, fit for a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)
