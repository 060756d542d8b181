"""Holds a script against the language: which commands, tests and arguments there are, and what was required (RFC 5228 2.10)."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from mailnode.sieve.arguments import ArgumentRefused, BoundArguments, MissingHere, bind
from mailnode.sieve.constructs import CompiledMatch, MatchType, Script, ScriptCall, SieveCommand, SieveTest, Tests
from mailnode.sieve.faults import ScriptFailed, ScriptMistake, ScriptRefused, ValueRefused
from mailnode.sieve.lexer import decoded
from mailnode.sieve.limits import MAX_MISTAKES
from mailnode.sieve.parser import parse
from mailnode.sieve.registry import SieveLanguage, language
from mailnode.sieve.run import ScriptRun
from mailnode.sieve.tree import ScriptArgument, ScriptNode

REQUIRE = "require"
BRANCHES = ("elsif", "else")
DEFAULT_COMPARATOR = "i;ascii-casemap"  # RFC 5228 2.7.3


def compile_script(source: bytes, withheld: Collection[str] = ()) -> Script:
    """Return a script that can be run.

    :param withheld: extensions that are not offered here.
    :raises ScriptRefused: what is wrong with it, up to :data:`MAX_MISTAKES` mistakes with their places.
    """
    nodes = parse(decoded(source))
    checker = _Checker(language(), frozenset(withheld))
    commands = checker.script(nodes)
    if checker.mistakes:
        raise ScriptRefused(sorted(checker.mistakes)[:MAX_MISTAKES])
    return Script(commands, frozenset(checker.required), hashlib.sha256(source).hexdigest(), checker.implied())


def offered(withheld: Collection[str] = ()) -> list[str]:
    """Return the names that scripts may require, sorted."""
    return sorted(set(language().extensions) - set(withheld))


class _Checker:
    """The state of one check."""

    def __init__(self, known: SieveLanguage, withheld: frozenset[str]) -> None:
        self.mistakes: list[ScriptMistake] = []
        self.required: set[str] = set()
        self._language = known
        self._offered = frozenset(known.extensions) - withheld
        self._possible: set[str] = set()  # in force when ``ihave`` has said so
        self._around: list[ScriptCall] = []
        self._arguments: dict[str, ScriptArgument] = {}

    def refuse(self, call: ScriptCall, name: str, text: str) -> None:
        """Note a mistake of an argument of a call."""
        argument = self._arguments.get(name)
        place = (argument.line, argument.column) if argument is not None else (call.line, call.column)
        self._mistake(*place, text)

    def is_in(self, *commands: str) -> bool:
        """Whether the command stands in a block of one of these."""
        return any(call.row.name in commands for call in self._around)

    def around(self) -> Sequence[ScriptCall]:
        """See :class:`Checking`."""
        return self._around

    def _mistake(self, line: int, column: int, text: str) -> None:
        if len(self.mistakes) < MAX_MISTAKES:
            self.mistakes.append(ScriptMistake(line, column, text))

    def script(self, nodes: tuple[ScriptNode, ...]) -> tuple[ScriptCall, ...]:
        """Return the commands of a script."""
        count = 0
        for node in nodes:
            if node.name != REQUIRE:
                break
            count += 1
            self._require(node)
        self.required = set(self._language.in_force(self.required))
        return self._commands(nodes[count:])

    def _require(self, node: ScriptNode) -> None:
        """RFC 5228 3.2"""
        arguments = node.arguments
        if (
            len(arguments) != 1
            or arguments[0].kind not in ("string", "strings")
            or node.tests
            or node.block is not None
        ):
            self._mistake(node.line, node.column, "require takes the name of an extension, or a list of names")
            return
        value = arguments[0].value
        for name in value if isinstance(value, tuple) else (str(value),):
            if self.is_offered(name):
                self.required.add(name)
            else:
                self._mistake(arguments[0].line, arguments[0].column, f'there is no extension "{name[:80]}"')

    def implied(self) -> dict[str, frozenset[str]]:
        """Return what ``ihave`` may bring into force, and what is already."""
        names = {name for name in self._offered if self._language.extensions[name].in_ihave} | self.required
        return {name: self._language.in_force([name]) for name in names} if "ihave" in self.required else {}

    def is_offered(self, name: str) -> bool:
        """Whether a script may require this."""
        return name in self._offered

    def in_force(self, extension: str) -> bool:
        """Whether an extension may be used here."""
        return not extension or extension in self.required or extension in self._possible

    def _commands(self, nodes: Iterable[ScriptNode]) -> tuple[ScriptCall, ...]:
        calls: list[ScriptCall] = []
        chain: list[ScriptCall] = []  # an if and what follows it
        for node in nodes:
            if node.name in BRANCHES and (not chain or chain[-1].row.name == "else"):
                self._mistake(node.line, node.column, f"{node.name} should follow an if or an elsif")
            if node.name == REQUIRE:
                self._mistake(node.line, node.column, "require should stand before all other commands")
                continue
            call = self._command(node)
            if chain and node.name not in BRANCHES:
                calls.append(_chained(chain))
                chain = []
            if node.name == "if" or chain:
                chain.append(call)
            else:
                calls.append(call)
        return (*calls, _chained(chain)) if chain else tuple(calls)

    def _command(self, node: ScriptNode) -> ScriptCall:
        row = self._language.commands.get(node.name)
        if row is None:
            what = "is a test, no command" if node.name in self._language.tests else "is no command"
            return self._unknown(node, f"{node.name} {what}", SieveCommand)
        call = self._call(node, row)
        if row.block and node.block is None:
            self._mistake(node.line, node.column, f"a block in {{ }} should follow {node.name}")
        if not row.block and node.block is not None:
            self._mistake(node.line, node.column, f"{node.name} takes no block")
            return call
        self._around.append(call)
        block = self._commands(node.block or ())
        self._around.pop()
        return replace(call, block=block) if block else call

    def _test(self, node: ScriptNode) -> ScriptCall:
        row = self._language.tests.get(node.name)
        if row is None:
            what = "is a command, no test" if node.name in self._language.commands else "is no test"
            return self._unknown(node, f"{node.name} {what}", SieveTest)
        return self._call(node, row)

    def _unknown(self, node: ScriptNode, text: str, kind: type[SieveCommand] | type[SieveTest]) -> ScriptCall:
        """With ``ihave`` in force what is not known fails when it is reached (RFC 5463 4)."""
        if "ihave" not in self.required:
            self._mistake(node.line, node.column, text)
        return _failing(node, text, kind)

    def _call(self, node: ScriptNode, row: SieveCommand | SieveTest) -> ScriptCall:
        tests = self._tests(node, row)
        missing = "" if self.in_force(row.extension) else row.extension
        if missing:
            return self._unknown(node, _missing(row.name, missing), type(row))
        try:
            bound = bind(node, row, self._language.tags(row), self)
            match = self._match(bound) if row.matching else None
        except ValueRefused as error:
            place = (error.line, error.column) if isinstance(error, ArgumentRefused) else (node.line, node.column)
            if isinstance(error, MissingHere) and "ihave" in self.required:
                return _failing(node, str(error), type(row))
            self._mistake(*place, str(error))
            return ScriptCall(row, node.line, node.column, tests=tests)
        used = {row.extension, *bound.extensions}
        if match is not None:
            used |= {match.type.extension, match.comparator.extension}
        call = ScriptCall(
            row, node.line, node.column, bound.values, tests, (), match, self._language.in_force(used - {""})
        )
        self._arguments = bound.places
        self._check(call)
        return call

    def _check(self, call: ScriptCall) -> None:
        if call.match is not None and call.match.type.check is not None:
            for key in call.constants("keys"):
                try:
                    call.match.type.check(key)
                except ValueRefused as error:
                    self.refuse(call, "keys", str(error))
        if call.row.check is not None:
            call.row.check(self, call)
        if call.row.name == "ihave":
            known = self.implied()
            for name in call.constants("capabilities"):
                self._possible |= known.get(name, frozenset())

    def _tests(self, node: ScriptNode, row: SieveCommand | SieveTest) -> tuple[ScriptCall, ...]:
        wanted = row.tests
        if wanted is Tests.NONE and node.tests:
            self._mistake(node.tests[0].line, node.tests[0].column, f"{row.name} takes no test")
            return ()
        if wanted is Tests.ONE and (len(node.tests) != 1 or node.is_list):
            self._mistake(node.line, node.column, f"one test should follow {row.name}")
        if wanted is Tests.LIST and not node.is_list:
            self._mistake(node.line, node.column, f"a list of tests in ( ) should follow {row.name}")
        return tuple([self._test(test) for test in node.tests])

    def _match(self, bound: BoundArguments) -> CompiledMatch:
        """RFC 5228 2.7: how a test compares. :raises ValueRefused:"""
        known = self._language
        name = next((tag for tag in known.match_types if f":{tag}" in bound.values), "is")
        kind = known.match_types[name]
        named = bound.values.get(":comparator", DEFAULT_COMPARATOR)
        comparator = known.comparators.get(str(named))
        if comparator is None or not self.in_force(comparator.extension):
            text = f'there is no comparator "{str(named)[:80]}"'
            if comparator is not None:
                text = _missing(f'the comparator "{named}"', comparator.extension)
            raise MissingHere(text, bound.places[":comparator"])
        if ":comparator" in bound.values and not kind.compares:
            raise ArgumentRefused(f"no comparator goes with :{name}", bound.places[":comparator"])
        if kind.substrings and not comparator.substrings:
            raise ArgumentRefused(
                f"{comparator.name} knows no substrings, which :{name} needs", bound.places[f":{name}"]
            )
        return CompiledMatch(kind, comparator, _relation(kind, bound))


def _relation(kind: MatchType, bound: BoundArguments) -> str:
    """:raises ArgumentRefused: it is none of those the match type knows."""
    if not kind.relations:
        return ""
    name = str(bound.values[f":{kind.name}"]).lower()
    if name not in kind.relations:
        known = ", ".join(sorted(kind.relations))
        raise ArgumentRefused(f'"{name[:40]}" is no relation of :{kind.name}: {known}', bound.places[f":{kind.name}"])
    return name


def _missing(what: str, extension: str) -> str:
    return f'{what} needs require "{extension}"'


def _chained(chain: list[ScriptCall]) -> ScriptCall:
    call = chain[-1]
    for before in reversed(chain[:-1]):
        call = replace(before, otherwise=call)
    return call


def _failing(node: ScriptNode, text: str, kind: type[SieveCommand] | type[SieveTest]) -> ScriptCall:
    """A command or a test that fails when it is reached."""

    def run(run: ScriptRun, call: ScriptCall) -> None:
        raise ScriptFailed(text)

    def holds(run: ScriptRun, call: ScriptCall) -> bool:
        raise ScriptFailed(text)

    row = SieveTest(node.name, holds=holds) if kind is SieveTest else SieveCommand(node.name, run=run)
    return ScriptCall(row, node.line, node.column)
