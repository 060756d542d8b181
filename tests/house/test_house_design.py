"""docs/design.rst says what the import table of the tests says."""

import re

from test_import_table import DOORS, MAY_SEE, ROOT

PAGE = (ROOT / "docs/design.rst").read_text()


def names(cell):
    return set(re.findall(r"``([\w.]+)``", cell))


def test_the_page_s_table_is_the_one_that_is_enforced():
    told = {}
    for rooms, _, seen in re.findall(r"^   \* - (``.+)\n     - (.+)\n     - (.+)$", PAGE, re.MULTILINE):
        for room in names(rooms):
            assert room not in told
            told[room] = names(seen)
    assert told == MAY_SEE


def test_the_single_doors_are_told():
    told = names(re.search(r"^A few single doors.*?\n\n(?=\w)", PAGE, re.MULTILINE | re.DOTALL)[0])
    assert told == {name for door in DOORS for name in door}
