"""Compares the files of one data directory with what is known of them, and keeps that knowledge while they are in use."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import apsw

from mailnode.store.engines.commit_counts import FILE, CommitCounts
from mailnode.store.engines.engine import DIRECTORY
from mailnode.store.engines.generations import (
    Known,
    Mark,
    drawn_after,
    is_unknown,
    number,
    read_known,
    read_mark,
    what_is_older,
    write_known,
    write_mark,
)
from mailnode.store.engines.sqlite_tenancy import Tenancy


class FileAges:
    """Of the durable tenancies that could be opened, the directory among them."""

    def __init__(
        self, directory: Path, names: Iterable[str], tenancies: Mapping[str, Tenancy], report: Callable[..., None]
    ) -> None:
        """:param names: all durable tenancies, always in this order. :param report: takes an event and its fields."""
        self._tenancies = {name: tenancies[name] for name in names if name in tenancies}
        self._report = report
        self._counts: CommitCounts | None = None
        self._generations: dict[str, str] = {}  # of the files in use
        try:
            self._counts = CommitCounts(directory, list(names))
        except OSError as error:
            report("store.failed", tenancy="", error=f"{directory / FILE}: {error}")
        self._known: dict[str, Known] = self._tenancies[DIRECTORY].run(read_known)
        self._marks: dict[str, Mark | None] = {name: one.run(read_mark) for name, one in self._tenancies.items()}

    def _counted(self, name: str) -> int | None:
        with suppress(OSError):
            return self._counts.read(name) if self._counts is not None else None
        return None

    def compare(self) -> dict[str, str]:
        """Say for each file that is older than the one in use last by what it shows."""
        found = {
            name: what_is_older(mark, self._known.get(name), self._counted(name)) for name, mark in self._marks.items()
        }
        unknown = [name for name, mark in self._others() if is_unknown(mark, self._known.get(name))]
        if unknown:
            found[DIRECTORY] = found[DIRECTORY] or f"it knows nothing of the last start of {unknown[0]}.db"
            found.update(self._passed_by({name for name, words in found.items() if not words}))
        return {name: words for name, words in found.items() if words}

    def _passed_by(self, names: set[str]) -> dict[str, str]:
        """Say which of these files missed starts that others had: an older directory cannot tell, so it is made to know."""
        latest = max((mark.generation for _, mark in self._others() if mark is not None), key=number)
        found = {}
        for name, mark in self._others():
            if name in names and mark is not None and number(mark.generation) < number(latest) - 1:
                found[name] = f"it is of start {number(mark.generation)}, the last was {number(latest)}"
                self._known[name] = Known(latest, mark.commits)
        return found

    def _others(self) -> list[tuple[str, Mark | None]]:
        return [(name, mark) for name, mark in self._marks.items() if name != DIRECTORY]

    def begin(self, names: Iterable[str], more: int = 0) -> None:
        """Begin a generation of these files, the directory among them, and count their commits from now on.

        :param more: added to the counts, so that they are above all that were.
        """
        generation = drawn_after(
            *(mark.generation for mark in self._marks.values() if mark is not None),
            *(one.generation for one in self._known.values()),
        )
        chosen = sorted(names, key=lambda name: name == DIRECTORY)  # the directory last
        try:
            for name in chosen:
                self._begin(name, generation, more)
        except apsw.Error as error:  # a full disk must not keep what is there from being read
            self._report("store.failed", tenancy=name, error=f"no new generation: {type(error).__name__}: {error}")
        for name in chosen:
            tenancy = self._tenancies[name]
            tenancy.count_commits(functools.partial(self._note, name))
            self._note(name, tenancy.commits)
        self.sync()

    def _begin(self, name: str, generation: str, more: int) -> None:
        mark, known = self._marks[name], self._known.get(name)
        commits = max(
            mark.commits if mark is not None else 0, known.commits if known is not None else 0, self._counted(name) or 0
        )
        before = known.generation if known is not None else mark.generation if mark is not None else ""
        written = Mark(generation, before, commits + more, name)
        if name == DIRECTORY:
            self._tenancies[name].run(write_known, self._known)
        self._tenancies[name].run(write_mark, written)
        self._generations[name] = generation
        if name != DIRECTORY:
            self._known[name] = Known(generation, written.commits)

    def compare_one(self, tenancy: Tenancy) -> str:
        """Say by what a file, opened while others are in use, shows that it is not the one in use last; "": it is."""
        mark, known = tenancy.run(read_mark), self._known.get(tenancy.name)
        if is_unknown(mark, known):
            return "it is later than what the directory knows"
        return what_is_older(mark, known, self._counted(tenancy.name))

    def mark_of(self, name: str) -> Mark | None:
        """What a file that takes the place of one in use is to say of itself, which no backup is to take for unchanged; None:
        nobody knows."""
        known = self._known.get(name)
        if known is None:
            return None
        tenancy = self._tenancies.get(name)
        counts = known.commits, self._counted(name) or 0, tenancy.commits if tenancy is not None else 0
        return Mark(known.generation, known.generation, max(counts) + 1, name)

    def begin_one(self, tenancy: Tenancy, more: int) -> dict[str, Known]:
        """Have a file belong to the generation of the others, and count its commits from now on. Return what the directory is
        to know of it.

        :param more: added to its count. :raises apsw.Error:"""
        name = tenancy.name
        self._tenancies[name] = tenancy
        self._marks[name] = tenancy.run(read_mark)
        self._begin(name, self._generations.get(DIRECTORY, self._known[name].generation), more)
        tenancy.count_commits(functools.partial(self._note, name))
        self._note(name, tenancy.commits)
        self.sync()
        return {name: self._known[name]}

    def _note(self, name: str, commits: int) -> None:
        try:  # after every commit: no context manager
            if self._counts is not None:
                self._counts.write(name, commits)
        except OSError:
            pass  # the file's own count is durable

    def sync(self) -> None:
        """Make the counts beside the files durable."""
        with suppress(OSError):
            if self._counts is not None:
                self._counts.sync()

    def end(self) -> None:
        """Have the directory know how many commits each file has had. All that writes has ended."""
        known = {
            name: Known(generation, self._tenancies[name].commits)
            for name, generation in self._generations.items()
            if name != DIRECTORY
        }
        if self._tenancies[DIRECTORY].is_open:  # it is not when its last write failed
            with suppress(apsw.Error):
                self._tenancies[DIRECTORY].run(write_known, known)
        self.sync()

    def close(self) -> None:
        """Give the descriptor back."""
        if self._counts is not None:
            self._counts.close()
            self._counts = None
