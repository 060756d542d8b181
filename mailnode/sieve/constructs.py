"""What an extension declares: its commands, tests, tags, comparators and match types; and what a script becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from mailnode.sieve.interpreter import Interpreter
    from mailnode.sieve.questions import Question, SieveAnswer
    from mailnode.sieve.run import ScriptRun

COMPARE = "every test that compares"  # in ``SieveTag.on``


class ArgumentKind(Enum):
    """What an argument is."""

    NUMBER = "a number"
    STRING = "a string"
    STRINGS = "a string or a list of strings"


class Tests(Enum):
    """How many tests a command or a test takes (RFC 5228 2.8)."""

    NONE = 0
    ONE = 1
    LIST = 2


@dataclass(frozen=True, slots=True)
class SieveArgument:
    """One argument by its position. ``constant``: no variables are expanded in it."""

    name: str
    kind: ArgumentKind
    optional: bool = False
    constant: bool = False


@dataclass(frozen=True, slots=True)
class SieveTag:
    """A tag (RFC 5228 2.6.2), its name without the colon. Of a ``group`` one may stand; ``on`` names the commands and tests it is
    added to where it does not stand in their row, ``COMPARE`` all tests that compare."""

    name: str
    takes: ArgumentKind | None = None
    group: str = ""
    extension: str = ""
    on: tuple[str, ...] = ()
    constant: bool = False


@dataclass(frozen=True, slots=True)
class Comparator:
    """How texts are compared (RFC 4790). ``key``: what is equal and in order as they are; ``substrings``: whether it knows them."""

    name: str
    key: Callable[[str], str]
    substrings: bool = True
    extension: str = ""


@dataclass(frozen=True, slots=True)
class MatchType:
    """How values are compared with keys (RFC 5228 2.7.1). ``takes``: a relation follows it. ``asks``: what must be known first."""

    name: str
    holds: Callable[[ScriptRun, CompiledMatch, Sequence[str], Sequence[str]], bool]
    extension: str = ""
    takes: ArgumentKind | None = None
    substrings: bool = False
    relations: frozenset[str] = frozenset()  # of which one follows
    check: Callable[[str], None] | None = None  # of a constant key. :raises ValueRefused:
    asks: Callable[[ScriptRun, Sequence[str], Sequence[str]], Sequence[Question]] | None = None
    compares: bool = True  # a comparator may be named


@dataclass(frozen=True, slots=True)
class CompiledMatch:
    """How one test compares."""

    type: MatchType
    comparator: Comparator
    relation: str = ""


@dataclass(frozen=True, slots=True)
class Template:
    """A string with variables in it: texts, and names in lower case as ``VariableName``."""

    parts: tuple[str | VariableName, ...]


@dataclass(frozen=True, slots=True)
class VariableName:
    """``${namespace.name}`` (RFC 5229 3); a name of digits is a match variable."""

    namespace: str
    name: str


ScriptText = str | Template
Bound = bool | int | str | Template | tuple[ScriptText, ...]


class Checking(Protocol):
    """What a check of a row sees of the script around it."""

    @property
    def required(self) -> Collection[str]:
        """The extensions in force."""

    def refuse(self, call: ScriptCall, name: str, text: str) -> None:
        """Note a mistake of an argument (":tag" for one of a tag)."""

    def is_in(self, *commands: str) -> bool:
        """Whether the command stands in a block of one of these."""

    def around(self) -> Sequence[ScriptCall]:
        """The commands in whose blocks it stands, the outermost first."""


Check = Callable[[Checking, "ScriptCall"], None]
Asks = Callable[["ScriptRun", "ScriptCall"], Sequence["Question"]]


@dataclass(frozen=True, slots=True)
class SieveCommand:
    """A command. One of ``run`` and ``control`` says what it does; ``control`` steers what else runs. ``asks``: what must be known
    before it."""

    name: str
    arguments: tuple[SieveArgument, ...] = ()
    tags: tuple[SieveTag, ...] = ()
    run: Callable[[ScriptRun, ScriptCall], None] | None = None
    control: Callable[[Interpreter, ScriptCall], Generator[Question, SieveAnswer, None]] | None = None
    check: Check | None = None
    asks: Asks | None = None
    tests: Tests = Tests.NONE
    block: bool = False
    matching: bool = False  # it takes a comparator and a match type
    extension: str = ""


@dataclass(frozen=True, slots=True)
class SieveTest:
    """A test. ``values`` are what is compared with its argument ``keys``; ``holds`` tells alone; ``control`` runs other tests."""

    name: str
    arguments: tuple[SieveArgument, ...] = ()
    tags: tuple[SieveTag, ...] = ()
    values: Callable[[ScriptRun, ScriptCall], Sequence[str]] | None = None
    holds: Callable[[ScriptRun, ScriptCall], bool] | None = None
    control: Callable[[Interpreter, ScriptCall], Generator[Question, SieveAnswer, bool]] | None = None
    check: Check | None = None
    asks: Asks | None = None
    tests: Tests = Tests.NONE
    extension: str = ""
    keys: Callable[[CompiledMatch, tuple[str, ...]], tuple[str, ...]] | None = None  # what is compared in place of keys
    captures: bool = True  # what wildcards stand for becomes ${1} and so on

    @property
    def matching(self) -> bool:
        """Whether it takes a comparator and a match type."""
        return self.values is not None


@dataclass(frozen=True, slots=True)
class ScriptCall:
    """One command or test of a compiled script, its arguments by name and its tags by ":name"."""

    row: SieveCommand | SieveTest
    line: int
    column: int
    bound: Mapping[str, Bound] = field(default_factory=dict)
    tests: tuple[ScriptCall, ...] = ()
    block: tuple[ScriptCall, ...] = ()
    match: CompiledMatch | None = None
    extensions: frozenset[str] = frozenset()
    otherwise: ScriptCall | None = None  # the elsif or else that follows an if

    def has(self, name: str) -> bool:
        """Whether an argument or a tag was given."""
        return name in self.bound

    def number(self, name: str, default: int = 0) -> int:
        """The number given, or the default."""
        value = self.bound.get(name, default)
        assert isinstance(value, int)
        return value

    def constants(self, name: str) -> tuple[str, ...]:
        """The strings of an argument that have no variables."""
        value = self.bound.get(name, ())
        texts = value if isinstance(value, tuple) else (value,)
        return tuple(text for text in texts if isinstance(text, str))


@dataclass(frozen=True, slots=True)
class Script:
    """A compiled script. ``required``: the extensions in force from its start."""

    commands: tuple[ScriptCall, ...]
    required: frozenset[str]
    digest: str  # SHA-256 of its source, in hexadecimal digits
    implied: Mapping[str, frozenset[str]]  # what ``ihave`` may bring into force, with all that comes with each

    @property
    def checks_at_run_time(self) -> bool:
        """Whether extensions come into force while it runs (RFC 5463 4)."""
        return "ihave" in self.required


@dataclass(frozen=True, slots=True)
class SieveExtension:
    """An extension of the language: ``name`` as ``require`` has it, "" for what needs none. ``implies``: what is in force with
    it. ``in_ihave``: whether it may come into force while a script runs (RFC 5463 4)."""

    name: str
    reference: str  # the RFC, or where else it is described
    adds: str  # in words
    commands: tuple[SieveCommand, ...] = ()
    tests: tuple[SieveTest, ...] = ()
    tags: tuple[SieveTag, ...] = ()
    comparators: tuple[Comparator, ...] = ()
    match_types: tuple[MatchType, ...] = ()
    implies: tuple[str, ...] = ()
    in_ihave: bool = True
