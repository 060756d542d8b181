"""Regular expressions: the work of each grows with its text alone, whatever the text is made for.

``re`` goes back and tries again. A repetition next to another that takes the same characters, or one within another, or one that a
search begins anew at each character, makes that work grow with the square of the text, or worse. So each repetition of each
pattern is fed what it takes, many times, before something that does not fit.
"""

import importlib
import pkgutil
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import mailnode

ROOT = Path(__file__).parents[2]
SOURCES = {
    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", "."): path.read_text()
    for path in sorted((ROOT / "mailnode").rglob("*.py"))
}
# Repetitions. The last are some 800,000,000 steps for a square, and 40,000 for a line; the quickest of ``re`` take a nanosecond.
MANY = (24, 400, 8_000, 40_000)
AT_ONCE = 0.05  # processor seconds that a line stays far below and a square far above
LONG = 500  # repetitions that a pattern must allow to be looked at
ENDS = ("", "\0", "x", " ", "\n")
METHODS = {"match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer"}

# Patterns whose work may grow faster, and what bounds their text.
BOUNDED = {"message.dates._TIME": "a date is read up to MAX_DATE octets, and without line ends"}


def patterns() -> Iterator[tuple[str, re.Pattern]]:
    """Yield (module and name, pattern) of each pattern of the tree that is a member of its module."""
    for found in pkgutil.walk_packages(mailnode.__path__, "mailnode."):
        module = importlib.import_module(found.name)
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern):
                yield f"{found.name.removeprefix('mailnode.')}.{name}", value


def methods(name: str) -> frozenset[str]:
    """Return how a pattern is used: one with an underscore in its own module, others anywhere; matched at least."""
    module, _, name = name.rpartition(".")
    sources = [SOURCES[f"mailnode.{module}"]] if name.startswith("_") else SOURCES.values()
    used = {word for source in sources for word in re.findall(rf"\b{re.escape(name)}\.(\w+)", source)}
    return frozenset(used & METHODS or {"match"})


def samples(tree) -> list[str]:
    """Return a few texts that a parsed pattern takes, as short as can be."""
    texts = [""]
    for operation, argument in tree:
        pieces = of_step(str(operation), argument)
        texts = [before + piece for before in texts[:3] for piece in pieces[:6]]
    return texts[:6]


def of_step(operation: str, argument) -> list[str]:
    match operation:
        case "LITERAL":
            return [chr(argument)]
        case "NOT_LITERAL" | "ANY":
            return ["x" if argument != ord("x") else "y"]
        case "IN":
            return taken(argument)
        case "MAX_REPEAT" | "MIN_REPEAT":
            least, _, body = argument
            return [piece * least for piece in samples(body)] if least else [""]
        case "SUBPATTERN":
            return samples(argument[-1])
        case "BRANCH":
            return [text for branch in argument[1] for text in samples(branch)[:2]]
    return [""]


def taken(choices) -> list[str]:
    """Return one character of each kind that a set takes."""
    wanted = re.compile(in_source(choices), re.DOTALL)
    return [one for one in CHARACTERS if wanted.match(one)][:6] or [""]


CHARACTERS = [*"a1 x\t;:,.-=\"\\()<>@/[*%_\r\n\0Z!&+{'", "\xe9", "\u2028"]


def in_source(choices) -> str:
    """Return a set as it is written."""
    said = []
    for kind, argument in choices:
        match str(kind):
            case "LITERAL":
                said.append(f"\\U{argument:08x}")
            case "RANGE":
                said.append(f"\\U{argument[0]:08x}-\\U{argument[1]:08x}")
            case "NEGATE":
                said.append("^")
            case "CATEGORY":
                name = str(argument).removeprefix("CATEGORY_")
                letter = {"DIGIT": "d", "SPACE": "s", "WORD": "w"}[name.removeprefix("NOT_")]
                said.append("\\" + (letter.upper() if name.startswith("NOT_") else letter))
    return "[" + "".join(said) + "]"


def repetitions(tree, before: str = "") -> Iterator[tuple[str, str]]:
    """Yield (what stands before, what is repeated) for each repetition that may be long."""
    for operation, argument in tree:
        kind = str(operation)
        if kind in ("MAX_REPEAT", "MIN_REPEAT"):
            _, most, body = argument
            if most >= LONG:
                for piece in samples(body):
                    yield before, piece
            yield from repetitions(body, before)
        elif kind == "SUBPATTERN":
            yield from repetitions(argument[-1], before)
        elif kind == "BRANCH":
            for branch in argument[1]:
                yield from repetitions(branch, before)
        before += (of_step(kind, argument) or [""])[0]


def texts(pattern: re.Pattern, count: int) -> Iterator[str]:
    for before, piece in repetitions(re._parser.parse(pattern.pattern, pattern.flags)):
        for end in ENDS if piece else ():
            yield before + piece * count + end


def seconds(pattern: re.Pattern, method: str, text: str) -> float:
    """Return the least processor time of up to three runs."""
    subject = text if isinstance(pattern.pattern, str) else text.encode("latin-1", "replace")
    arguments = (b"" if isinstance(subject, bytes) else "", subject) if method in ("sub", "subn") else (subject,)
    least = float("inf")
    for _ in range(3):
        began = time.process_time()
        found = getattr(pattern, method)(*arguments)
        if method == "finditer":
            list(found)
        least = min(least, time.process_time() - began)
        if least < AT_ONCE:
            break
    return least


def slow(pattern: re.Pattern, used: frozenset[str]) -> str | None:
    """Return what is slow, or None. Short texts go first, so that the worst ends soon."""
    for count in MANY:
        for text in texts(pattern, count):
            for method in used:
                if seconds(pattern, method, text) > AT_ONCE:
                    return f"{method}: {text[:60]!r}... {text[-5:]!r}"
    return None


FOUND = list(patterns())


@pytest.mark.parametrize(("name", "pattern"), FOUND, ids=[name for name, _ in FOUND])
def test_the_work_grows_with_the_text_alone(name, pattern):
    found = slow(pattern, methods(name))
    assert (found is not None) == (name in BOUNDED), found


@pytest.mark.parametrize(
    ("written", "used"),
    [
        (r"(?:a+)+b", "match"),
        (r"[ \t]*[a \t]*;", "match"),
        (r"[0-9]+\Z", "search"),
    ],
)
def test_what_is_slow_is_seen(written, used):
    assert slow(re.compile(written), frozenset({used}))


def test_what_is_not_is_not():
    assert not slow(re.compile(r"[ \t]*[a-z]+;"), frozenset({"match"}))
    assert len(FOUND) > 150
