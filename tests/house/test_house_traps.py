"""Every trap of docs/traps.rst has a test that names its number, in a line ``# SMTP trap 17: what of it`` above the test, or
on top of a dialog."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINE = re.compile(r"^\s*# SMTP trap (\d+): (.+)$", re.MULTILINE)
BEGINS = re.compile(r"\s*(@|(async )?def test_|class \w+Tests?\b)")


def traps(page):
    """Return the numbers of the page's rows, in their order."""
    return [int(number) for number in re.findall(r"^   \* - (\d+)$", page, re.MULTILINE)]


def named(texts):
    """Return (number, words) of each line. :param texts: name -> text of files."""
    return [(int(number), words) for text in texts.values() for number, words in LINE.findall(text)]


def misplaced(texts):
    """Return where a line stands above no test. Several may stand above one."""
    found = []
    for name, text in texts.items():
        lines = text.splitlines()
        for at, line in enumerate(lines):
            if not LINE.match(line):
                continue
            rest = [other for other in lines[at + 1 :] if not other.lstrip().startswith("#")]
            above = lines[:at]
            fits = all(other.startswith("#") for other in above) if name.endswith(".txt") else BEGINS.match(rest[0])
            if not fits:
                found.append(f"{name}:{at + 1}")
    return found


@pytest.fixture(scope="module")
def texts():
    paths = [*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "tests/smtp/dialogs").glob("*.txt")]
    return {str(path.relative_to(ROOT)): path.read_text() for path in paths if path.name != "test_house_traps.py"}


def test_each_has_a_test(texts):
    numbers = traps((ROOT / "docs/traps.rst").read_text())
    assert numbers == list(range(1, 49))
    assert sorted({number for number, _ in named(texts)}) == numbers


def test_each_line_stands_above_a_test(texts):
    assert misplaced(texts) == []


def test_who_names_a_number_again_says_what_else_of_it(texts):
    assert [one for one, times in Counter(named(texts)).items() if times > 1] == []


def test_what_is_found():
    good = "# SMTP trap 1: x\n@mark\ndef test_x():\n\n# SMTP trap 2: y\n# SMTP trap 3: z\nasync def test_y():"
    assert named({"a.py": good}) == [(1, "x"), (2, "y"), (3, "z")]
    assert misplaced({"a.py": good, "a.txt": "# of\n# SMTP trap 1: y\nC: x"}) == []
    assert misplaced({"a.py": "# SMTP trap 1: x\nX = 1", "a.txt": "C: x\n# SMTP trap 1: y"}) == ["a.py:1", "a.txt:2"]
    assert traps("   * - 7\n     - x\n") == [7]
