"""All of the language that is known, by name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache

from mailnode.sieve.constructs import COMPARE, Comparator, MatchType, SieveCommand, SieveExtension, SieveTag, SieveTest
from mailnode.sieve.extensions.collected import collected


class SieveLanguage:
    """Commands, tests, comparators and match types of a set of extensions, each with the extension it is of."""

    def __init__(self, extensions: Iterable[SieveExtension]) -> None:
        self.extensions: dict[str, SieveExtension] = {}
        self.commands: dict[str, SieveCommand] = {}
        self.tests: dict[str, SieveTest] = {}
        self.comparators: dict[str, Comparator] = {}
        self.match_types: dict[str, MatchType] = {}
        self._tags: list[SieveTag] = []
        self._tags_of: dict[tuple[bool, str], dict[str, SieveTag]] = {}
        for extension in extensions:
            self._add(extension)

    def _add(self, extension: SieveExtension) -> None:
        name = extension.name
        if name:
            self.extensions[name] = extension
        self.commands |= {row.name: replace(row, extension=name) for row in extension.commands}
        self.tests |= {row.name: replace(row, extension=name) for row in extension.tests}
        self.comparators |= {one.name: replace(one, extension=name) for one in extension.comparators}
        self.match_types |= {one.name: replace(one, extension=name) for one in extension.match_types}
        self._tags += [replace(tag, extension=tag.extension or name) for tag in extension.tags]
        self._tags += [
            SieveTag(one.name, one.takes, "match type", name, (COMPARE,), constant=True)
            for one in extension.match_types
        ]

    def tags(self, row: SieveCommand | SieveTest) -> dict[str, SieveTag]:
        """Return the tags a command or a test takes, those that extensions add included."""
        key = isinstance(row, SieveTest), row.name
        if key not in self._tags_of:
            self._tags_of[key] = self._find_tags(row)
        return self._tags_of[key]

    def _find_tags(self, row: SieveCommand | SieveTest) -> dict[str, SieveTag]:
        names = {row.name, COMPARE} if row.matching else {row.name}
        found = {tag.name: tag for tag in self._tags if not names.isdisjoint(tag.on)}
        return found | {tag.name: tag for tag in row.tags}

    def in_force(self, required: Iterable[str]) -> frozenset[str]:
        """Return the extensions that are in force when some are required."""
        found: set[str] = set()
        waiting = list(required)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += self.extensions[name].implies if name in self.extensions else ()
        return frozenset(found)


@cache
def language() -> SieveLanguage:
    """Return all that the folder of extensions has."""
    return SieveLanguage(collected())
