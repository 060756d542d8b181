"""Faults planted on purpose, each of which some test must find: see README.rst."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.processes import end, start

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FOUND = 1  # pytest's exit status when a test has failed, and nothing else went wrong


@dataclass(frozen=True)
class Mutant:
    """One fault. ``file`` is below mailnode; ``tests`` are arguments for pytest, some of which must fail by it."""

    room: str
    name: str
    file: str
    stands: str
    becomes: str
    tests: tuple[str, ...]

    def planted(self) -> str:
        """Return the file's text with the fault. Its place must be there, once."""
        text = (ROOT / "mailnode" / self.file).read_text()
        times = text.count(self.stands)
        assert times == 1, (
            f"mailnode/{self.file} has {times} times what this fault alters; say anew where it is planted"
        )
        assert self.becomes != self.stands
        return text.replace(self.stands, self.becomes)


def planted_in(path: Path) -> list[Mutant]:
    found = tomllib.loads(path.read_text())["mutant"]
    return [Mutant(path.stem, **{**one, "tests": tuple(one["tests"])}) for one in found]


MUTANTS = [mutant for path in sorted(HERE.glob("*.toml")) for mutant in planted_in(path)]


class Zygote:
    """The program that plants and tests."""

    def __init__(self, scratch: Path) -> None:
        command = [sys.executable, str(HERE / "mutant_zygote.py"), str(ROOT), str(scratch)]
        self.process = start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, file: str, text: str | None, tests: tuple[str, ...]) -> dict[str, Any]:
        """Return pytest's exit status and output. :param text: of the file in place of its own."""
        order = {
            "module": "mailnode." + file.removesuffix(".py").replace("/", "."),
            "path": str(ROOT / "mailnode" / file),
            "text": text,
            "arguments": [word for one in tests for word in shlex.split(one)],
        }
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert isinstance(answer, dict)
        return answer


@pytest.fixture(scope="module")
def zygote(tmp_path_factory: Any) -> Iterator[Zygote]:
    started = Zygote(tmp_path_factory.mktemp("zygote"))
    yield started
    end(started.process)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.room}: {mutant.name}")
def test_a_planted_fault_is_found(mutant: Mutant, zygote: Zygote) -> None:
    told = zygote.run(mutant.file, mutant.planted(), mutant.tests)
    assert told["code"] == FOUND, f"not found by {' '.join(mutant.tests)}:\n{told['output']}"


def test_nothing_is_found_where_nothing_is_planted(zygote: Zygote) -> None:
    told = zygote.run(MUTANTS[0].file, None, MUTANTS[0].tests)
    assert told["code"] == 0, told["output"]


def test_a_fault_that_cannot_be_planted_or_found_says_so(zygote: Zygote) -> None:
    lost = Mutant("values", "lost", "values/dots.py", "no such text", "", ("tests/values/test_values_dots.py",))
    with pytest.raises(AssertionError, match="say anew where"):
        lost.planted()
    dots = ROOT / "mailnode/values/dots.py"
    survivor = zygote.run("values/dots.py", dots.read_text() + "\nUNUSED = 1\n", lost.tests)
    assert survivor["code"] == 0
    missing = zygote.run("values/dots.py", dots.read_text(), ("tests/values/test_values_dots.py::test_no_such",))
    assert missing["code"] not in (0, FOUND)


def test_every_fault_has_a_name_of_its_own_and_they_are_many() -> None:
    assert [name for name, times in Counter(mutant.name for mutant in MUTANTS).items() if times > 1] == []
    assert len(MUTANTS) >= 150
