"""docs/doctor.rst has each check, and no other."""

import re
from pathlib import Path

from mailnode.checks.table import CHECKS

PAGE = (Path(__file__).parents[2] / "docs/doctor.rst").read_text()


def test_each_check_has_its_paragraph():
    told = re.findall(r"^([a-z0-9-]+)\n    \S", PAGE.partition("The checks\n---")[2], re.MULTILINE)
    assert sorted(told) == sorted(CHECKS)
