"""The state of one run of a script: what it has said so far, and what is left to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mailnode.message.words import clean
from mailnode.sieve.actions import (
    KeepMessage,
    NotifySomebody,
    RedirectMessage,
    RememberDuplicate,
    SieveAction,
)
from mailnode.sieve.constructs import Script, ScriptCall, ScriptText, Template, VariableName
from mailnode.sieve.facts import SieveFacts
from mailnode.sieve.faults import ScriptFailed
from mailnode.sieve.limits import (
    MAX_CAPTURES,
    MAX_LOGGED,
    MAX_STRING,
    MAX_VARIABLE,
    MAX_VARIABLES,
    ScriptLimits,
)
from mailnode.sieve.mail import EditedMail
from mailnode.sieve.parts import PartPath
from mailnode.sieve.questions import IncludedScript, Question, SieveAnswer

PIECE = 16 * 1024  # characters that count as a step where they are compared as they are
MAX_LINE = 1000  # characters of one line for the log


class Stopped(Exception):
    """The script said ``stop``."""


class Returned(Exception):
    """The included script said ``return`` (RFC 6609 3.3)."""


class BrokenLoop(Exception):
    """A ``break`` (RFC 5703 4.2) of the loop of a name, or of the innermost."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True, slots=True)
class TraceStep:
    """One thing a script did, in words."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class LoopPart:
    """The part a ``foreverypart`` is at (RFC 5703 3)."""

    name: str  # of the loop
    path: PartPath


@dataclass(slots=True)
class ScriptRun:
    """One run. Extensions keep here what they say to one another."""

    facts: SieveFacts
    script: Script
    limits: ScriptLimits = field(default_factory=ScriptLimits)
    trace: list[TraceStep] | None = None
    mail: EditedMail = field(init=False)
    actions: list[SieveAction] = field(default_factory=list)
    keeps: bool = True  # RFC 5228 2.10.2
    flags: list[str] = field(default_factory=list)  # RFC 5232 2: the internal variable
    captured: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    shared: dict[str, str] = field(default_factory=dict)  # RFC 6609 3.4
    shared_names: set[str] = field(default_factory=set)
    in_force: set[str] = field(default_factory=set)
    parts: list[LoopPart] = field(default_factory=list)
    replaced: list[PartPath] = field(default_factory=list)  # parts that have become others, with all in them
    answers: dict[Question, SieveAnswer] = field(default_factory=dict)
    logged: list[str] = field(default_factory=list)
    included: list[IncludedScript] = field(default_factory=list)  # so far
    around: list[IncludedScript] = field(default_factory=list)  # that this one stands in
    header_edits: int = 0
    vacations: int = 0
    line: int = 0
    steps: int = 0

    def __post_init__(self) -> None:
        self.mail = EditedMail(self.facts.message)
        self.in_force = set(self.script.required)
        self.flags = list(self.facts.flags)

    def step(self, weight: int = 1) -> None:
        """Count work. :raises ScriptFailed: it is too much."""
        self.steps += weight
        if self.steps > self.limits.steps:
            raise ScriptFailed(f"the script takes more than {self.limits.steps} steps")

    def looked_at(self, text: str | bytes) -> None:
        """Count a text that is compared."""
        self.step(1 + len(text) // PIECE)

    def note(self, text: str) -> None:
        """Tell what is done, where somebody wants to know."""
        if self.trace is not None:
            self.trace.append(TraceStep(self.line, text))

    # arguments

    def text(self, call: ScriptCall, name: str, default: str = "") -> str:
        """Return an argument that is one string, variables expanded."""
        value = call.bound.get(name, default)
        assert isinstance(value, str | Template)
        return self.expand(value)

    def texts(self, call: ScriptCall, name: str) -> tuple[str, ...]:
        """Return an argument that is a list of strings, variables expanded."""
        value = call.bound.get(name, ())
        assert isinstance(value, tuple)
        return tuple([self.expand(one) for one in value])

    def expand(self, text: ScriptText) -> str:
        """Return a string with the values of its variables (RFC 5229 3)."""
        if isinstance(text, str):
            return text
        parts = [part if isinstance(part, str) else self.variable(part) for part in text.parts]
        self.step(1 + sum(map(len, parts)) // PIECE)
        made = "".join(parts)
        if len(made) > MAX_STRING:
            raise ScriptFailed(f"a string becomes longer than {MAX_STRING} characters")
        return made

    def variable(self, name: VariableName) -> str:
        """Return the value of a variable, "" for one that has none (RFC 5229 3)."""
        if name.namespace.partition(".")[0] == "env":  # an item with dots and hyphens in its name
            item = f"{name.namespace}.{name.name}".removeprefix("env.").replace("_", "-")
            return self.facts.environment.get(item, "")
        if name.namespace == "global":
            return self.shared.get(name.name, "")
        if name.name.isdigit():
            number = int(name.name)
            return self.captured[number] if number < len(self.captured) else ""
        if name.name in self.shared_names:
            return self.shared.get(name.name, "")
        return self.variables.get(name.name, "")

    def set_variable(self, name: str, value: str) -> None:
        """Set a variable; of a long value the beginning is kept (RFC 5229 6). :raises ScriptFailed: there are too many."""
        namespace, _, short = name.lower().rpartition(".")
        values = self.shared if namespace == "global" or short in self.shared_names else self.variables
        values[short] = value[:MAX_VARIABLE]
        if len(values) > MAX_VARIABLES:
            raise ScriptFailed(f"the script has more than {MAX_VARIABLES} variables")

    def capture(self, captured: Sequence[str]) -> None:
        """Take what a match found (RFC 5229 3.2)."""
        self.captured = [text[:MAX_VARIABLE] for text in captured[: MAX_CAPTURES + 1]]

    # what is done

    def answer(self, question: Question) -> SieveAnswer:
        """Return what was answered to a question that the row asked."""
        return self.answers.get(question)

    def act(self, action: SieveAction) -> None:
        """Have something done; what is said twice is done once (RFC 5228 2.10.3). :raises ScriptFailed: it is too much."""
        if action in self.actions:
            return
        self.actions.append(action)
        limits = self.limits
        counted = sum(not isinstance(one, RememberDuplicate) for one in self.actions)
        for found, most, what in (
            (counted, limits.actions, "actions"),
            (self._count(RedirectMessage), limits.redirects, "redirects"),
            (self._count(NotifySomebody), limits.notifications, "notifications"),
        ):
            if found > most:
                raise ScriptFailed(f"the script has more than {most} {what}")

    def _count(self, kind: type[SieveAction]) -> int:
        return sum(isinstance(one, kind) for one in self.actions)

    def keep(self, flags: Sequence[str], implicit: bool = False) -> None:
        """File it where it would go without a script; said twice, the flags of the last hold."""
        kept = [one for one in self.actions if isinstance(one, KeepMessage)]
        for one in kept:
            self.actions.remove(one)
        self.act(KeepMessage(tuple(flags), self.mail.content(), implicit))

    def log(self, text: str) -> None:
        """Leave a line for the log."""
        if len(self.logged) < MAX_LOGGED:
            self.logged.append(" ".join(clean(text[:MAX_LINE]).split()))
