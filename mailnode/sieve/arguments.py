"""Puts the arguments of a command or a test to the names its row has for them (RFC 5228 2.6)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mailnode.sieve.constructs import (
    ArgumentKind,
    Bound,
    ScriptText,
    SieveArgument,
    SieveCommand,
    SieveTag,
    SieveTest,
    Template,
)
from mailnode.sieve.faults import ValueRefused
from mailnode.sieve.strings import decode_characters, template
from mailnode.sieve.tree import ScriptArgument, ScriptNode

NAMESPACES = {"env": "vnd.dovecot.environment", "global": "include"}  # of variables, by the extension they are of


class ArgumentRefused(ValueRefused):
    """What is wrong with one argument."""

    def __init__(self, text: str, argument: ScriptArgument) -> None:
        super().__init__(text)
        self.line, self.column = argument.line, argument.column


class MissingHere(ArgumentRefused):
    """What an extension that is not in force would know."""


class InForce(Protocol):
    """What is asked of the script around."""

    @property
    def required(self) -> Collection[str]:
        """The extensions in force."""

    def in_force(self, extension: str) -> bool:
        """Whether an extension may be used here."""


@dataclass(slots=True)
class BoundArguments:
    """Values and places by name, and the extensions that tags are of."""

    values: dict[str, Bound] = field(default_factory=dict)
    places: dict[str, ScriptArgument] = field(default_factory=dict)
    extensions: set[str] = field(default_factory=set)


def bind(
    node: ScriptNode, row: SieveCommand | SieveTest, tags: Mapping[str, SieveTag], script: InForce
) -> BoundArguments:
    """:raises ValueRefused: an argument is missing, too many, not known, or of another kind."""
    return _Binding(node.name, row.arguments, tags, script).run(node)


class _Binding:
    """The arguments of one call, one after the other."""

    def __init__(
        self, name: str, arguments: Sequence[SieveArgument], tags: Mapping[str, SieveTag], script: InForce
    ) -> None:
        self._name = name
        self._wanted = arguments
        self._tags = tags
        self._script = script
        self._groups: dict[str, str] = {}
        self.bound = BoundArguments()

    def run(self, node: ScriptNode) -> BoundArguments:
        """Take all arguments."""
        arguments = iter(node.arguments)
        positional: list[ScriptArgument] = []
        for argument in arguments:
            if argument.kind != "tag":
                positional.append(argument)
            elif positional:
                raise ArgumentRefused(
                    f":{argument.value} should stand before the other arguments of {self._name}", argument
                )
            else:
                self._tag(argument, arguments)
        self._positional(positional)
        return self.bound

    def _tag(self, argument: ScriptArgument, following: Iterator[ScriptArgument]) -> None:
        name = str(argument.value)
        tag = self._tags.get(name)
        if tag is None:
            raise MissingHere(f"{self._name} takes no :{name}", argument)
        if not self._script.in_force(tag.extension):
            raise MissingHere(f':{name} needs require "{tag.extension}"', argument)
        group = tag.group or name
        if group in self._groups:
            other = self._groups[group]
            text = f":{name} stands twice" if other == name else f":{other} and :{name} exclude each other"
            raise ArgumentRefused(text, argument)
        self._groups[group] = name
        self.bound.extensions.add(tag.extension)
        self.bound.places[f":{name}"] = argument
        self.bound.values[f":{name}"] = True
        if tag.takes is not None:
            value = next(following, None)
            if value is None or value.kind == "tag":
                raise ArgumentRefused(f":{name} should be followed by {tag.takes.value}", value or argument)
            self._set(f":{name}", value, tag.takes, tag.constant)

    def _positional(self, given: list[ScriptArgument]) -> None:
        wanted = list(self._wanted)
        spare = len(wanted) - len(given)
        for argument in self._wanted:
            if spare > 0 and argument.optional:
                wanted.remove(argument)
                spare -= 1
        if spare > 0:
            missing = wanted[len(given)]
            raise ValueRefused(f"{self._name} lacks an argument: {missing.name}, {missing.kind.value}")
        if spare < 0:
            raise ArgumentRefused(f"{self._name} takes no further argument", given[len(wanted)])
        for one, value in zip(wanted, given, strict=True):
            self._set(one.name, value, one.kind, one.constant)

    def _set(self, name: str, argument: ScriptArgument, kind: ArgumentKind, constant: bool) -> None:
        fits = argument.kind == "string" or argument.kind == ("number" if kind is ArgumentKind.NUMBER else "strings")
        if (kind is ArgumentKind.NUMBER) != (argument.kind == "number") or (
            kind is ArgumentKind.STRING and argument.kind == "strings"
        ):
            fits = False
        if not fits:
            raise ArgumentRefused(f"{name} of {self._name} should be {kind.value}", argument)
        self.bound.places[name] = argument
        value = argument.value
        if isinstance(value, int):
            self.bound.values[name] = value
        elif isinstance(value, tuple):
            self.bound.values[name] = tuple([self._text(one, argument, constant) for one in value])
        else:
            text = self._text(value, argument, constant)
            self.bound.values[name] = (text,) if kind is ArgumentKind.STRINGS else text

    def _text(self, text: str, argument: ScriptArgument, constant: bool) -> ScriptText:
        """A string with what stands for something else in it: characters first, then variables (RFC 5229 3)."""
        try:
            if "encoded-character" in self._script.required:
                text = decode_characters(text)
        except ValueRefused as error:
            raise ArgumentRefused(str(error), argument) from None
        if "variables" not in self._script.required:
            return text
        made = template(text)
        if isinstance(made, Template):
            if constant:
                raise ArgumentRefused(f"no variable may stand in this argument of {self._name}", argument)
            self._namespaces(made, argument)
        return made

    def _namespaces(self, made: Template, argument: ScriptArgument) -> None:
        for part in made.parts:
            if isinstance(part, str) or not part.namespace:
                continue
            first, _, below = part.namespace.partition(".")
            known = first in NAMESPACES and not (below and first != "env")
            if not known or not self._script.in_force(NAMESPACES[first]):
                raise ArgumentRefused(f"there is no namespace {part.namespace} of variables", argument)
