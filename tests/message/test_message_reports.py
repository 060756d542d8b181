"""What notices of other servers say: read from any shape they come in, never more than a bounded part."""

import pytest

from mailnode.message.reports import MAX_RECIPIENTS, MAX_STATUS, envelope_ids, failures, locate
from mailnode.message.scanner import read_facts
from mailnode.values.sending import FailedRecipient

ID = "06f1qgk2m8w5t7vx3yzb"
STATUS = b"Reporting-MTA: dns; mx.b.example\r\n\r\nFinal-Recipient: rfc822; bob@b.example\r\nAction: failed\r\nStatus: 5.1.1\r\n"
RETURNED = (
    f"Received: from laptop ([192.0.2.7])\r\n\tby mail.a.example with ESMTPSA (TLSv1.3)\r\n\tid {ID};\r\n\tWed\r\n"
    "Subject: x\r\n\r\n"
).encode()


def notice(
    status=STATUS,
    original=RETURNED,
    kind=b"message/rfc822",
    about=b"message/delivery-status",
    report=b"report",
):
    parts = [b"Content-Type: text/plain\r\n\r\nIt failed.\r\n", b"Content-Type: %b\r\n\r\n%b" % (about, status)]
    parts.append(b"Content-Type: %b\r\n\r\n%b" % (kind, original))
    head = (
        b'Content-Type: multipart/%b; report-type=delivery-status; boundary="b"\r\nMIME-Version: 1.0\r\n\r\n' % report
    )
    return head + b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"


def read(content):
    """Return the failed recipients and the ids in a notice, None where it is none."""
    found = locate(read_facts(content).parts)
    if found is None:
        return None
    status, original = (content[at : at + length] for at, length in found)
    return failures(status), envelope_ids(original)


@pytest.mark.parametrize(
    "kind", [b"message/rfc822", b"text/rfc822-headers", b"message/global", b"message/global-headers"]
)
@pytest.mark.parametrize("about", [b"message/delivery-status", b"message/global-delivery-status"])
def test_a_notice(kind, about):
    assert read(notice(kind=kind, about=about)) == ([FailedRecipient("bob@b.example", "5.1.1", "")], [ID])


def test_other_mail_is_no_notice():
    assert read(b"Subject: x\r\n\r\ntext\r\n") is None
    assert read(notice(report=b"mixed")) is None
    assert read(notice(about=b"text/plain")) is None
    assert read(notice(kind=b"text/plain")) is None


def group(recipient="rfc822; bob@b.example", action="failed", status="5.1.1", more=""):
    return f"\r\nFinal-Recipient: {recipient}\r\nAction: {action}\r\nStatus: {status}\r\n{more}".encode()


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (group(), [("bob@b.example", "5.1.1", "")]),
        (group(action="Failed "), [("bob@b.example", "5.1.1", "")]),
        (group(status="5.1.1 (no such user)"), [("bob@b.example", "5.1.1", "")]),
        (group("utf-8; b\u00f6b@b.example"), [("b\u00f6b@b.example", "5.1.1", "")]),
        (group(action="delayed"), []),
        (group(action="delivered", status="2.0.0"), []),
        (group(status="4.4.1"), []),
        (group(status="5.1.1111"), []),
        (group(status="nonsense"), []),
        (group("x400; whatever"), []),
        (
            group(more="Diagnostic-Code: smtp; 550 5.1.1 no\r\n such user\r\n"),
            [("bob@b.example", "5.1.1", "smtp; 550 5.1.1 no such user")],
        ),
        (
            group(status="5.0.0", more="Diagnostic-Code: smtp;550-5.1.1 gone\r\n"),
            [("bob@b.example", "5.1.1", "smtp;550-5.1.1 gone")],
        ),
        (
            group(status="5.0.0", more="Diagnostic-Code: smtp;550 gone\r\n"),
            [("bob@b.example", "5.0.0", "smtp;550 gone")],
        ),
        (
            group(status="5.7.1", more="Diagnostic-Code: smtp;550 5.1.1 x\r\n"),
            [("bob@b.example", "5.7.1", "smtp;550 5.1.1 x")],
        ),
        (
            group() + b" \t\r\n" + group("rfc822;eve@b.example"),
            [("bob@b.example", "5.1.1", ""), ("eve@b.example", "5.1.1", "")],
        ),
    ],
)
def test_what_is_said_of_recipients(said, found):
    assert failures(b"Reporting-MTA: dns; x\r\n" + said) == [FailedRecipient(*one) for one in found]


def test_what_is_said_of_the_message_is_said_of_no_recipient():
    assert failures(group().lstrip()) == []


def test_a_long_notice_is_read_to_a_bound():
    assert len(failures(b"x: y\r\n" + group() * 1000)) == MAX_RECIPIENTS
    found = locate(read_facts(notice(status=STATUS + b"X: y\r\n" * 100_000)).parts)
    assert found is not None and found[0][1] == MAX_STATUS


@pytest.mark.parametrize(
    "word", [b"id short;", b"id %b0;" % ID.encode(), b"xid %b;" % ID.encode(), b"id %b" % ID.upper().encode()]
)
def test_what_is_no_id_of_ours_is_none(word):
    assert envelope_ids(b"Received: by x " + word + b" now\r\nX: id " + ID.encode() + b"\r\n\r\n") == []
