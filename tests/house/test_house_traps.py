"""Every trap of docs/traps.rst has a test that names its number, in a line ``# SMTP trap 17: what of it`` or ``# IMAP trap 12:
what of it`` above the test, or on top of a dialog."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINE = re.compile(r"^\s*# (SMTP|IMAP) trap (\d+): (.+)$", re.MULTILINE)
COUNTS = {"SMTP": 48, "IMAP": 60}
BEGINS = re.compile(r"\s*(@|(async )?def test_|class \w+Tests?\b)")


def traps(page):
    """Return the numbers of the rows of each of the page's tables, in their order."""
    tables = re.findall(r"^Traps of (SMTP|IMAP).*\n-+\n((?:(?!^Traps of ).*\n)*)", page, re.MULTILINE)
    return {
        kind: [int(number) for number in re.findall(r"^   \* - (\d+)$", table, re.MULTILINE)] for kind, table in tables
    }


def named(texts):
    """Return (kind, number, words) of each line. :param texts: name -> text of files."""
    return [(kind, int(number), words) for text in texts.values() for kind, number, words in LINE.findall(text)]


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
    assert numbers == {kind: list(range(1, count + 1)) for kind, count in COUNTS.items()}
    for kind, listed in numbers.items():
        assert sorted({number for of, number, _ in named(texts) if of == kind}) == listed


def test_each_line_stands_above_a_test(texts):
    assert misplaced(texts) == []


def test_who_names_a_number_again_says_what_else_of_it(texts):
    assert [one for one, times in Counter(named(texts)).items() if times > 1] == []


def test_what_is_found():
    good = "# SMTP trap 1: x\n@mark\ndef test_x():\n\n# IMAP trap 2: y\n# SMTP trap 3: z\nasync def test_y():"
    assert named({"a.py": good}) == [("SMTP", 1, "x"), ("IMAP", 2, "y"), ("SMTP", 3, "z")]
    assert misplaced({"a.py": good, "a.txt": "# of\n# SMTP trap 1: y\nC: x"}) == []
    assert misplaced({"a.py": "# SMTP trap 1: x\nX = 1", "a.txt": "C: x\n# SMTP trap 1: y"}) == ["a.py:1", "a.txt:2"]
    row = "   * - 7\n     - x\n"
    assert traps(f"Traps of SMTP\n---\n{row}\nTraps of IMAP and POP3\n---\n{row}{row}") == {"SMTP": [7], "IMAP": [7, 7]}
