"""What scripts say that is to be sent, as mail."""

from dataclasses import replace
from email import message_from_bytes
from email.policy import default

import pytest

from mailnode.delivery.sieve_mail import (
    MAX_REPLY_LINE,
    MAX_REPLY_LINES,
    FilteredMail,
    NewMail,
    answer_key,
    failure_mail,
    notification_mail,
    notification_sender,
    redirect_fields,
    refusal_mail,
    refusal_reply,
    senders,
    unrefusable,
    vacation_mail,
    was_redirected,
)
from mailnode.message.headers import field_names, header_end
from mailnode.sieve.actions import NotifySomebody, RejectMessage, VacationReply
from mailnode.values.address import Address
from mailnode.values.envelope import MAYBE_FORGED

OWN, SENDER = Address("ann", "here.test"), Address("Bob", "there.test")
HEADER = b"From: bob@there.test\r\nTo: ann@here.test\r\nSubject: Tea?\r\nMessage-ID: <t1@there.test>\r\n\r\n"
WHOLE = HEADER + b"At five.\r\n"
ABOUT = FilteredMail(HEADER, SENDER, OWN)
NEW = NewMail("<n1@mx.here.test>", 1_800_000_000.0, "mx.here.test")
AWAY = VacationReply("I am away.", 604_800, "h", "Auto: Tea?", to="Bob@there.test")
REJECT = RejectMessage("I want no birdseed.\nNeither tea.", False)
NOTIFY = NotifySomebody("mailto:pager@sms.test", ("pager@sms.test",), "New mail")
EVIL = "x\r\nBcc: evil@x.test\r\n\r\nbody\0"


def parsed(content):
    assert content is not None
    assert b"\n" not in content.replace(b"\r\n", b"")
    return message_from_bytes(content, policy=default)


def names(content):
    return field_names(content[: header_end(content)])


# vacation (RFC 5230)


def test_an_answer():
    content = vacation_mail(AWAY, ABOUT, NEW)
    message = parsed(content)
    assert content.isascii()
    assert {name: str(value) for name, value in message.items()} == {
        "From": "ann@here.test",
        "To": "Bob@there.test",
        "Subject": "Auto: Tea?",
        "Date": "Fri, 15 Jan 2027 08:00:00 +0000",
        "Message-ID": "<n1@mx.here.test>",
        "In-Reply-To": "<t1@there.test>",
        "References": "<t1@there.test>",
        "Auto-Submitted": "auto-replied (vacation)",
        "MIME-Version": "1.0",
        "Content-Type": 'text/plain; charset="us-ascii"',
        "Content-Transfer-Encoding": "7bit",
    }
    assert message.get_content().replace("\r\n", "\n") == "I am away.\n"


def test_an_answer_to_nobody_is_none():
    assert vacation_mail(AWAY, replace(ABOUT, sender=None), NEW) is None


def test_an_answer_is_from_an_address_that_the_account_may_send_as():
    action = replace(AWAY, sender="Ann Bé <a@here.test>, b@here.test")
    assert senders(action.sender) == (Address("a", "here.test"), Address("b", "here.test"))
    assert parsed(vacation_mail(action, ABOUT, NEW))["From"] == "ann@here.test"
    assert parsed(vacation_mail(action, ABOUT, NEW, True))["From"] == "Ann Bé <a@here.test>, b@here.test"
    assert senders("") == senders("nobody") == ()
    assert parsed(vacation_mail(replace(AWAY, sender="nobody"), ABOUT, NEW, True))["From"] == "ann@here.test"


def test_an_answer_that_is_an_entity():
    html = replace(
        AWAY, mime=True, reason="Content-Type: text/html; charset=utf-8\r\nBcc: a@x.test\r\n\r\n<p>Grüße\r\n"
    )
    message = parsed(vacation_mail(html, ABOUT, NEW))
    assert (message.get_content_type(), message.get_content().replace("\r\n", "\n"), message["Bcc"]) == (
        "text/html",
        "<p>Grüße\n",
        None,
    )
    assert vacation_mail(html, ABOUT, NEW).isascii()
    assert vacation_mail(replace(html, reason="Content-Type: té/xt\r\n\r\nx"), ABOUT, NEW) is None


def test_an_answer_in_other_scripts():
    about = FilteredMail(HEADER, Address("böb", "there.test"), Address("ann", "bücher.test"))
    content = vacation_mail(replace(AWAY, reason="Grüße", subject="Auto: Tee für zwei"), about, NEW)
    message = parsed(content)
    assert "To: <böb@there.test>\r\n".encode() in content and b"From: <ann@xn--bcher-kva.test>\r\n" in content
    assert (message["Subject"], message.get_content().replace("\r\n", "\n")) == ("Auto: Tee für zwei", "Grüße\n")


def test_an_answer_is_remembered_by_its_handle_and_whom_it_went_to():
    key = answer_key(AWAY, SENDER)
    assert len(key) == 64
    assert key == answer_key(replace(AWAY, reason="x"), Address("bob", "THERE.test"))
    assert key not in (answer_key(replace(AWAY, handle="i"), SENDER), answer_key(AWAY, OWN))


# reject and ereject (RFC 5429)


def test_a_reject_goes_back_as_an_mdn():
    content = refusal_mail(replace(REJECT, reason="Kein Vogelfutter für mich!"), ABOUT, NEW, WHOLE)
    message = parsed(content)
    assert (message["From"], message["To"], message["Auto-Submitted"]) == (
        "ann@here.test",
        "Bob@there.test",
        "auto-replied",
    )
    assert message["Subject"] == "Your message was refused: Tea?"
    assert message["Disposition-Notification-To"] is None
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "disposition-notification"
    words, disposition, original = message.iter_parts()
    assert "Kein Vogelfutter für mich!" in words.get_content().replace(
        "\r\n", "\n"
    ) and "mail filter" in words.get_content().replace("\r\n", "\n")
    assert content.isascii()
    assert disposition.get_content_type() == "message/disposition-notification"
    told = disposition.as_bytes().split(b"\n\n", 1)[1].decode().strip().splitlines()
    assert told == [
        "Reporting-UA: mx.here.test; mailnode",
        "Final-Recipient: rfc822; ann@here.test",
        "Original-Message-ID: <t1@there.test>",
        "Disposition: automatic-action/MDN-sent-automatically; deleted",
    ]
    assert original.get_content_type() == "message/rfc822" and b"At five." in original.as_bytes()


def test_an_mdn_names_the_original_recipient_where_the_message_does():
    about = replace(ABOUT, header=b"Original-Recipient: rfc822; all@here.test\r\n" + HEADER)
    assert b"\r\nOriginal-Recipient: rfc822; all@here.test\r\n" in refusal_mail(REJECT, about, NEW, None)
    about = replace(ABOUT, header=b"Original-Recipient: junk\r\n" + HEADER)
    assert b"\r\nOriginal-Recipient: " not in refusal_mail(REJECT, about, NEW, None).split(b"text/rfc822-headers")[0]


def test_an_mdn_to_an_address_in_utf8():
    about = FilteredMail(HEADER, SENDER, Address("änn", "here.test"))
    content = refusal_mail(REJECT, about, NEW, None)
    assert b"message/global-disposition-notification" in content
    assert "Final-Recipient: utf-8; änn@here.test\r\n".encode() in content


def test_an_ereject_goes_back_as_a_dsn():
    action = RejectMessage("Kein Vogelfutter\nfür mich!", True)
    content = refusal_mail(action, ABOUT, NEW, None, "e1")
    message = parsed(content)
    assert message.get_param("report-type") == "delivery-status"
    words, status, original = message.iter_parts()
    assert "Kein Vogelfutter\nfür mich!\n" in words.get_content().replace(
        "\r\n", "\n"
    ) and "mail filter" in words.get_content().replace("\r\n", "\n")
    fields = status.get_payload()[1]
    assert (fields["Action"], fields["Status"], fields["Final-Recipient"], fields["Final-Log-ID"]) == (
        "failed",
        "5.7.1",
        "rfc822; ann@here.test",
        "e1",
    )
    assert original.get_content_type() == "text/rfc822-headers"


@pytest.mark.parametrize("action", [REJECT, replace(REJECT, in_session=True)])
def test_a_sender_who_may_not_be_told_is_not(action):
    for about in (replace(ABOUT, sender=None), replace(ABOUT, notices=MAYBE_FORGED)):
        assert unrefusable(about)
        assert refusal_mail(action, about, NEW, None) is None
    assert unrefusable(ABOUT) == ""


def test_a_reply_has_the_lines_of_the_reason():
    assert str(refusal_reply(REJECT)) == "550 5.7.1 I want no birdseed. Neither tea."
    assert refusal_reply(REJECT).lines == ("I want no birdseed.", "Neither tea.")
    lines = refusal_reply(RejectMessage("\n".join(["y" * 1000, " \t", *["z\x07"] * 40]), False)).lines
    assert len(lines) == MAX_REPLY_LINES and {len(line) for line in lines} == {MAX_REPLY_LINE, 200, 2}
    assert lines[-1] == "z?"
    assert refusal_reply(RejectMessage("\r\n", False)).lines == ("Refused by the recipient's mail filter",)


def test_a_reason_that_is_not_ascii_is_kept_by_reject_and_replaced_by_ereject():
    assert refusal_reply(RejectMessage("für", False)) is None
    assert refusal_reply(RejectMessage("für", True)).lines == ("Refused by the recipient's mail filter",)


# notify (RFC 5435, RFC 5436)


def test_a_notification():
    content = notification_mail(NOTIFY, ABOUT, NEW, OWN)
    message = parsed(content)
    assert names(content) == (
        b"auto-submitted from to subject date message-id mime-version content-type content-transfer-encoding".split()
    )
    assert message["Auto-Submitted"] == 'auto-notified;\towner-email="ann@here.test"'
    assert (message["From"], message["To"], message["Subject"]) == ("ann@here.test", "pager@sms.test", "New mail")
    assert message.get_content().replace("\r\n", "\n").strip() == ""


def test_what_the_uri_says_stands_in_it_unless_it_is_for_the_server_to_say():
    unsafe = (
        "from date message-id received auto-submitted content-type sender return-path resent-to dkim-signature list-id"
    )
    uri = (
        "mailto:a@x.test?to=b@x.test&cc=c@x.test&bcc=d@x.test&x-pager=l%C3%A4ut%0D%0ABcc:%20e@x.test&priority=urgent&body=B%0D%0A.&"
        + "&".join(f"{name}=x" for name in unsafe.split())
    )
    content = notification_mail(replace(NOTIFY, method=uri, body="B\r\n.", importance=1), ABOUT, NEW, OWN)
    message = parsed(content)
    assert set(unsafe.split()) & {"sender", "return-path", "list-id"} and len(message.get_all("From")) == 1
    assert not {b"sender", b"return-path", b"resent-to", b"dkim-signature", b"list-id", b"received", b"bcc"} & set(
        names(content)
    )
    assert (message["To"], message["Cc"]) == ("a@x.test, b@x.test", "c@x.test")
    assert (message["X-Pager"], message["Priority"], message["Importance"]) == ("läut Bcc: e@x.test", "urgent", "high")
    assert message.get_content().replace("\r\n", "\n") == "B\n.\n"
    quiet = replace(NOTIFY, method="mailto:a@x.test?importance=low", importance=1)
    assert parsed(notification_mail(quiet, ABOUT, NEW, OWN)).get_all("Importance") == ["low"]


def test_a_notification_is_sent_as_the_account_and_answers_a_notice_with_the_null_sender():
    action = replace(NOTIFY, sender="a@here.test")
    assert notification_sender(action, ABOUT) == OWN
    assert notification_sender(action, ABOUT, True) == Address("a", "here.test")
    assert notification_sender(action, replace(ABOUT, sender=None), True) is None
    assert parsed(notification_mail(action, ABOUT, NEW, OWN, True))["From"] == "a@here.test"


# redirect


def test_what_was_sent_on_is_known_when_it_comes_back():
    top = redirect_fields(OWN)
    assert top == b"X-Sieve-Redirected-From: ann@here.test\r\nDelivered-To: ann@here.test\r\n"
    assert not was_redirected(HEADER, OWN)
    for line in top.splitlines(keepends=True):
        assert was_redirected(line + HEADER, Address("ANN", "here.test"))
        assert not was_redirected(line + HEADER, SENDER)
    assert not was_redirected(b"X-Sieve-Redirected-From: by somebody\r\n" + HEADER, OWN)
    assert redirect_fields(Address("änn", "here.test")) == b""
    assert redirect_fields(Address("postmaster", "")) == b"" and not was_redirected(top, Address("postmaster", ""))


# failures


def test_an_owner_is_told_where_a_script_failed_and_of_which_message():
    about = replace(ABOUT, header=b"Subject: =?utf-8?q?T=C3=A4?=\r\n\r\n")
    content = failure_mail(OWN, "näch", "line 3: the script takes more than 200000 steps", about, NEW)
    message = parsed(content)
    text = message.get_content().replace("\r\n", "\n")
    assert (message["To"], message["Auto-Submitted"]) == ("ann@here.test", "auto-generated")
    for said in ("näch", "line 3: the script takes more than 200000 steps", "Subject: Tä", "Bob@there.test", "inbox"):
        assert said in text
    several = failure_mail(OWN, "s", "line 1, column 2: a\nline 2, column 1: b", replace(ABOUT, sender=None), NEW)
    assert "line 1, column 2: a\nline 2, column 1: b\n" in parsed(several).get_content().replace("\r\n", "\n")


# injection


def test_nothing_begins_a_field_whatever_is_said():
    header = (
        f"Subject: {EVIL}".replace("\r\n", "\r\n ").encode()
        + b"\r\nMessage-ID: <a\x0bb@x>\r\nOriginal-Recipient: rfc822; a\x0c\r\n\tBcc: x\r\n\r\n"
    )
    addresses = Address(EVIL, "x.test"), Address(EVIL, "y.test")
    about = FilteredMail(header, *addresses)
    made = [
        vacation_mail(replace(AWAY, subject=EVIL, sender=f'"{EVIL}" <a@x.test>', reason=EVIL), about, NEW, True),
        vacation_mail(replace(AWAY, subject=EVIL, mime=True, reason=f"Content-A: {EVIL}"), about, NEW, True),
        refusal_mail(RejectMessage(EVIL, False), about, NEW, header),
        refusal_mail(RejectMessage(EVIL, True), about, NEW, None, EVIL),
        notification_mail(replace(NOTIFY, subject=EVIL, body=EVIL), about, NEW, addresses[0]),
        failure_mail(addresses[0], EVIL, EVIL, about, replace(NEW, message_id=EVIL)),
    ]
    for content in made:
        assert b"bcc" not in names(content) and b"body" not in names(content)
        assert names(content).count(b"from") == names(content).count(b"subject") == 1
    assert b"\r\n" not in b"".join(line.encode() for line in refusal_reply(RejectMessage(EVIL, True)).lines)
