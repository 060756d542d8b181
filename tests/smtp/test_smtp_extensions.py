"""The table of extensions: each row is whole, and what it declares is all that others know of it."""

from dataclasses import fields

import pytest

from mailnode.smtp.extensions.row import Greeted
from mailnode.smtp.extensions.table import LENIENT, TABLE, in_ascii, lacking, mail_parameters, offered
from mailnode.smtp.wire.profile import Profile
from mailnode.values.envelope import MailOptions, RcptOptions


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
def test_parameters_set_fields_of_the_options(row) -> None:
    assert {one.field for one in row.mail if one.field} <= {field.name for field in fields(MailOptions)}
    assert {one.field for one in row.rcpt if one.field} <= {field.name for field in fields(RcptOptions)}


def test_no_two_read_the_same_parameter_or_set_the_same_field() -> None:
    for options in ("mail", "rcpt"):
        every = [one for row in TABLE.values() for one in getattr(row, options)]
        assert len({one.keyword for one in every}) == len(every)
        told = [one.field for one in every if one.field]
        assert len(set(told)) == len(told)


def test_what_concerns_notices_is_lenient_and_nothing_else() -> None:
    assert {"RET", "ENVID", "NOTIFY", "ORCPT"} == LENIENT


@pytest.mark.parametrize(
    ("greeted", "words"),
    [
        (Greeted(Profile(), False, ()), set()),
        (Greeted(Profile(starttls=True), False, ()), {"STARTTLS"}),
        (Greeted(Profile(starttls=True), True, ()), set()),
        (Greeted(Profile(auth=True), True, ("PLAIN",)), {"AUTH"}),
        (Greeted(Profile(auth=True), False, ()), set()),
        (Greeted(Profile(xclient=True), False, ()), {"XCLIENT"}),
        (Greeted(Profile(), False, (), known=True), {"DSN"}),
    ],
)
def test_some_are_offered_by_service_and_state(greeted: Greeted, words: set[str]) -> None:
    said = {line.split()[0] for line in offered(greeted)}
    assert said & {"STARTTLS", "AUTH", "XCLIENT", "DSN"} == words
    assert said >= {"SIZE", "8BITMIME", "SMTPUTF8", "PIPELINING", "CHUNKING", "ENHANCEDSTATUSCODES", "LIMITS"}


def test_mail_may_name_an_identity_where_there_is_auth() -> None:
    assert "AUTH" in {one.keyword for one in mail_parameters(Profile(auth=True))}
    assert "AUTH" not in {one.keyword for one in mail_parameters(Profile())}


def test_what_a_next_hop_lacks_and_what_ascii_content_does_without() -> None:
    asked = MailOptions(size=9, body="8BITMIME", smtputf8=True, envid="x")
    reply = lacking({}, asked)
    assert reply is not None and reply.status == "5.6.7", "8-bit content can be said in another way, an address cannot"
    assert lacking({"SMTPUTF8": ""}, asked).status == "5.6.3"
    assert lacking({"8BITMIME": "", "SMTPUTF8": "", "SIZE": "8"}, asked).status == "5.3.4"
    assert in_ascii(asked) == MailOptions(size=9, envid="x")
    assert lacking({}, in_ascii(asked)) is None
