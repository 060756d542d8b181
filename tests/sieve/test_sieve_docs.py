"""docs/sieve.rst names every extension as the registry does."""

import re
from pathlib import Path

from mailnode.sieve.registry import language

PAGE = (Path(__file__).parents[2] / "docs/sieve.rst").read_text()


def test_the_table_of_extensions_is_the_registry_s():
    rows = re.findall(r"^   \* - ``([^`]+)``\n     - (.+)\n     - (.+)\n", PAGE.partition("Limits\n")[0], re.MULTILINE)
    known = language().extensions.values()
    assert [(name, where, adds.replace("``", "")) for name, where, adds in rows] == sorted(
        (extension.name, extension.reference, extension.adds.replace("``", "")) for extension in known
    )


def test_what_an_extension_implies_is_there():
    known = language().extensions
    assert all(implied in known for extension in known.values() for implied in extension.implies)
