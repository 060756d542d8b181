"""Messages to people who look after the server."""

from email import message_from_bytes
from email.policy import default

import pytest

from mailnode.message.notices import notice

NOW = 1_800_000_000.0


@pytest.mark.parametrize(("line", "charset"), [("ann@example.org", "us-ascii"), ("jürgen@example.org", "utf-8")])
def test_a_notice_is_one_text(line, charset):
    made = notice("MAILER-DAEMON@h.test", "postmaster@a.test", "Loud", [line, "", "x"], "<1@h.test>", NOW)
    message = message_from_bytes(made, policy=default)
    assert (message["To"].addresses[0].addr_spec, message["Subject"], message["Message-ID"]) == (
        "postmaster@a.test",
        "Loud",
        "<1@h.test>",
    )
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content_charset() == charset
    assert message.get_content().splitlines() == [line, "", "x"]
    assert b"\n" not in made.replace(b"\r\n", b"")


def test_nothing_begins_a_field_or_a_line_of_its_own():
    made = notice("a\r\nBcc: x@x", "b\r\nBcc: x@x", "c\r\nBcc: x@x", ["d\r\nBcc: x@x"], "<e\r\nBcc: x@x>", NOW)
    assert b"\nBcc" not in made
