"""The examples of docs/addresses.rst of fields that are refused are refused with those words."""

import re
from pathlib import Path

import pytest

from mailnode.message.authors import UnclearAuthor, answering
from mailnode.smtp.wire.replies import not_author

PAGE = (Path(__file__).parents[2] / "docs/addresses.rst").read_text()
ROWS = re.findall(r"^   \* - ``(From: .+)``\n     - (.+)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("field", "words"), ROWS)
def test_a_field_of_the_page(field: str, words: str) -> None:
    try:
        found = answering(field.encode() + b"\r\n\r\n")
    except UnclearAuthor as error:
        assert str(error) == f"From field: {words}"
    else:
        assert {str(address) for address in found[0].addresses} > {"you@example.org"}
        assert words == not_author("From").text


def test_the_page_has_its_examples() -> None:
    assert len(ROWS) == PAGE.count("``From: ") == 7
