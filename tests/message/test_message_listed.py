"""What a list may be told of its mail."""

import pytest

from mailnode.message.headers import field_names
from mailnode.message.listed import MAX_LOOKED, notices_owed
from mailnode.values.address import parse_address
from mailnode.values.envelope import ALL_NOTICES, FAILURES_ALONE, NO_NOTICES

POST = "list@lists.test"


def owed(*lines: str, sender: str = "list-bounces@lists.test") -> str:
    block = "".join(f"{line}\r\n" for line in ("From: a@x.test", *lines, "")).encode()
    return notices_owed(field_names(block), block, parse_address(sender) if sender else None)


@pytest.mark.parametrize(
    "line",
    [
        "List-Id: <list.lists.test>",
        "LIST-ID: Friends\r\n\t<list.lists.test>",
        f"List-Post: <mailto:{POST}>",
        "List-Unsubscribe: <https://lists.test/out>",
        "Precedence: list",
        "precedence:   BULK",
        "Precedence: junk",
    ],
)
def test_what_says_it_came_through_a_list_is_told_of_failures_alone(line: str) -> None:
    assert owed(line) == FAILURES_ALONE
    assert owed(line, sender="") == ALL_NOTICES, "there is nobody to tell"


def test_other_mail_is_reported_as_asked_for() -> None:
    for lines in ([], ["Precedence: first-class"], [f"To: {POST}"], ["Auto-Submitted: auto-generated"], ["List: x"]):
        assert owed(*lines) == ALL_NOTICES
        assert owed(*lines, sender=POST) == ALL_NOTICES


@pytest.mark.parametrize(
    "line",
    [
        f"To: {POST}",
        f"To: Friends <{POST}>, others@x.test",
        "Cc: b@x.test,\r\n LIST@Lists.Test",
        f"To: {POST} (all of us)",
        f"List-Post: <mailto:{POST}>",
        "List-Post: <mailto:li%73t%40lists.test?subject=x>",
    ],
)
def test_nothing_goes_to_the_address_a_list_is_posted_to(line: str) -> None:
    assert owed("List-Id: <x>", line, sender=POST) == NO_NOTICES
    assert owed("List-Id: <x>", line) == FAILURES_ALONE
    for other in ("my-list@lists.test", "list@lists.tes", "ist@lists.test", "list+bob@lists.test"):
        assert owed("List-Id: <x>", line, sender=other) == FAILURES_ALONE, other


def test_nothing_goes_to_who_takes_subscriptions() -> None:
    for sender in ("list-request@lists.test", "List-Request+token@lists.test"):
        assert owed("Precedence: bulk", sender=sender) == NO_NOTICES
        assert owed(sender=sender) == ALL_NOTICES
    assert owed("Precedence: bulk", sender="request-list@lists.test") == FAILURES_ALONE


def test_names_that_are_not_ascii() -> None:
    assert owed("List-Id: <x>", "To: größe@müller.test", sender="größe@müller.test") == NO_NOTICES
    for written in ("Ärzte@MÜLLER.test", "ärzte@müller.test"):
        assert owed("List-Id: <x>", "To: Ärzte@Müller.test", sender=written) == NO_NOTICES
    assert owed("List-Id: <x>", "To: list@xn--mller-kva.test", sender="list@müller.test") == NO_NOTICES
    assert owed("List-Id: <x>", "To: größe@müller.test", sender="röße@müller.test") == FAILURES_ALONE


def test_no_more_is_looked_at_than_is_bounded() -> None:
    far = ["To: " + "b@x.test,\r\n " * (MAX_LOOKED // 12) + "b@x.test", f"Cc: {POST}"]
    assert owed("List-Id: <x>", *far, sender=POST) == FAILURES_ALONE
    assert owed(*far[:1], "List-Id: <x>", sender="b@x.test") == NO_NOTICES


def test_what_stands_in_the_body_is_no_field() -> None:
    block = b"From: a@x.test\r\nPrecedence: first-class\r\n\r\nList-Id: x\r\n"
    assert notices_owed(["from", "precedence"], block, parse_address(POST)) == ALL_NOTICES  # type: ignore[list-item]
