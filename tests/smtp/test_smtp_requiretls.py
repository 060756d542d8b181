"""REQUIRETLS: where it is offered, what a message is marked with, and what the next hop is told."""

from __future__ import annotations

import pytest
from smtp_fakes import World

from mailnode.smtp.extensions.row import Greeted
from mailnode.smtp.extensions.table import by_header, lacking, mail_words, offered
from mailnode.smtp.wire.profile import Profile
from mailnode.values.envelope import MailOptions

REQUIRED = MailOptions(tls="required")


def taken(kind: str, parameters: str = "", header: str = "") -> MailOptions:
    """Return the options of the envelope that a message becomes."""
    world = World(kind, tls="implicit" if kind == "submission" else "starttls")
    client = world.client()
    if kind == "smtp":
        client.say("EHLO x\n")
        client.start_tls()
    elif kind == "submission":
        client.secure()
    client.say(f"{'LHLO' if kind == 'lmtp' else 'EHLO'} x\n")
    if kind == "submission":
        client.say("AUTH PLAIN AGFsaWNlAHNlY3JldA==\n")
    assert client.codes(f"MAIL FROM:<alice@us.test>{parameters}\n")[-1] == "250"
    client.say("RCPT TO:<bob@us.test>\nDATA\n")
    assert client.codes(f"Subject: x\nFrom: alice@us.test\n{header}\nTLS-Required: No\n.\n")[-1] == "250"
    return world.delivery.accepted[0][0].options


@pytest.mark.parametrize(
    ("profile", "secure", "said"),
    [
        (Profile(), True, True),
        (Profile(auth=True, require_auth=True), True, True),
        (Profile(), False, False),
        (Profile(lmtp=True), True, False),
    ],
)
def test_it_is_offered_under_tls_but_not_on_lmtp(profile: Profile, secure: bool, said: bool) -> None:
    assert ("REQUIRETLS" in offered(Greeted(profile, secure, ()))) is said


@pytest.mark.parametrize("kind", ["smtp", "submission"])
def test_a_message_is_marked_whatever_its_header_says(kind: str) -> None:
    assert taken(kind, " REQUIRETLS").tls == "required"
    assert taken(kind, " REQUIRETLS", "TLS-Required: No\n").tls == "required"
    assert taken(kind).tls == ""


@pytest.mark.parametrize("kind", ["smtp", "submission", "lmtp"])
@pytest.mark.parametrize("field", ["TLS-Required: No", "tls-required:no", "TLS-REQUIRED:\n\tNO  "])
def test_a_header_may_ask_for_less(kind: str, field: str) -> None:
    assert taken(kind, "", f"{field}\n").tls == "optional"


@pytest.mark.parametrize(
    "field",
    ["TLS-Required: Yes", "TLS-Required:", "TLS-Required: No, Yes", "TLS-Required: No\nTLS-Required: No", "X: No"],
)
def test_what_is_no_such_field_says_nothing(field: str) -> None:
    assert taken("smtp", "", f"{field}\n").tls == ""


def test_lmtp_does_not_know_the_parameter() -> None:
    client = World("lmtp").client()
    client.say("LHLO x\n")
    client.start_tls()
    client.say("LHLO x\n")
    assert client.codes("MAIL FROM:<a@x.test> REQUIRETLS\n") == ["555"]


def test_the_next_hop_is_told_and_must_offer_it() -> None:
    assert mail_words({"REQUIRETLS": ""}, REQUIRED) == b" REQUIRETLS"
    assert lacking({"REQUIRETLS": ""}, REQUIRED) is None
    refused = lacking({"STARTTLS": ""}, REQUIRED)
    assert refused is not None and (refused.code, refused.status) == (550, "5.7.30")
    for options in (MailOptions(), MailOptions(tls="optional")):
        assert (mail_words({"REQUIRETLS": ""}, options), lacking({}, options)) == (b"", None)


def test_a_field_is_looked_for_where_its_name_stands() -> None:
    header = b"Subject: x\r\nTLS-Required: No\r\n\r\n"
    assert by_header(MailOptions(), [b"subject", b"tls-required"], header).tls == "optional"
    assert by_header(MailOptions(), [b"subject"], header).tls == ""
