"""Names of capabilities that may be hidden."""

import pytest

from mailnode.values.capability import capability_name


@pytest.mark.parametrize("text", ["uidonly", "QUOTA=RES-STORAGE", "Literal+", "I18NLEVEL=1", "IMAP4REV2", "X_1.2"])
def test_names_in_capitals(text):
    assert capability_name(text) == text.upper()


@pytest.mark.parametrize(
    "text",
    ["", "A B", "A\n", "-A", "Ä", "A" * 41, "imap4rev1", "STARTTLS", "LoginDisabled", "AUTH=PLAIN", "A,B", "A\\"],
)
def test_names_that_none_may_hide(text):
    with pytest.raises(ValueError):
        capability_name(text)
