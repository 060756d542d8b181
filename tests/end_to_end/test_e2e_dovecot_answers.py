"""Strange mail, as Debian's Dovecot tells of it and as we do: what differs is known, and no more than is known."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.interop.both import both
from tests.interop.differences import CLASSES, class_of
from tests.interop.messages import Maker

SEED, COUNT = 2, 300
PAGE = (Path(__file__).parents[2] / "docs/imap.rst").read_text()


@pytest.fixture(scope="module")
def differences(tmp_path_factory):
    """All that is answered differently."""
    with both(tmp_path_factory.mktemp("interop"), Maker(SEED).messages(COUNT)) as pair:
        return list(pair.differences())


def test_every_difference_belongs_to_a_class(differences):
    unknown = [one for one in differences if class_of(one) is None]
    assert not unknown, "\n".join(
        f"{one.asked}, message {one.number}, {one.path}: {str(one.ours)[:200]} / {str(one.theirs)[:200]}"
        for one in unknown[:10]
    )


def test_no_class_has_more_than_it_had(differences):
    found = Counter(map(class_of, differences))
    assert {name: found[name] for name in CLASSES} == {name: one.most for name, one in CLASSES.items()}


def test_the_classes_are_those_of_the_page():
    assert len(CLASSES) <= 25
    section = PAGE.split("\nWhere Dovecot answers otherwise\n", 1)[1]
    rows = re.findall(r"^   \* - (.+)\n     - (.+)\n     - ", section, re.MULTILINE)[1:]
    assert rows == [(name, one.rfc) for name, one in CLASSES.items()]
