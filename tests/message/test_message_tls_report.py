"""Reports of TLS with other servers, as JSON and as mail."""

from __future__ import annotations

import gzip
import json
from email import message_from_bytes, policy
from typing import Any

from mailnode.message.report_mail import report_mail
from mailnode.message.tls_report import BY_MAIL, packed, report
from mailnode.values.tls_report import CountedSession, ReportedPolicy, ReportSettings, TlsSession, places

SETTINGS = ReportSettings("tls@sender.example", "Sender Ltd \u00e9", "postmaster@sender.example")
HOST = "mail.sender.example"
STS = ReportedPolicy("d.example", "sts", ("version: STSv1", "mode: enforce", "mx: *.d.example"), ("*.d.example",))
TLSA = ReportedPolicy("mx.d.example", "tlsa", ("3 1 1 ABCD",))
NONE = ReportedPolicy("d.example")
EXPIRED = TlsSession("d.example", STS, "mx.d.example", "192.0.2.1", "192.0.2.9", "certificate-expired", "it ran out")
SESSIONS = [
    CountedSession(TlsSession("d.example", STS), 5326),
    CountedSession(EXPIRED, 100),
    CountedSession(TlsSession("d.example", STS, result="sts-policy-fetch-error"), 3),
    CountedSession(TlsSession("d.example", TLSA), 1),
    CountedSession(TlsSession("d.example", NONE, "b.d.example", "2001:db8::1", "", "starttls-not-supported"), 2),
]
DAY = 20_000


def read(content: bytes) -> Any:
    return json.loads(gzip.decompress(content))


def test_a_report():
    made = read(packed(report("d.example", DAY, SESSIONS, SETTINGS, HOST)))
    assert list(made) == ["organization-name", "date-range", "contact-info", "report-id", "policies"]
    assert made["organization-name"] == SETTINGS.organization
    assert made["date-range"] == {"start-datetime": "2024-10-04T00:00:00Z", "end-datetime": "2024-10-04T23:59:59Z"}
    assert made["contact-info"] == "postmaster@sender.example"
    assert made["report-id"] == "2024-10-04.d.example@mail.sender.example"
    sts, tlsa, none = made["policies"]
    assert sts["policy"] == {
        "policy-type": "sts",
        "policy-domain": "d.example",
        "policy-string": ["version: STSv1", "mode: enforce", "mx: *.d.example"],
        "mx-host": ["*.d.example"],
    }
    assert sts["summary"] == {"total-successful-session-count": 5326, "total-failure-session-count": 103}
    assert sts["failure-details"] == [
        {
            "result-type": "certificate-expired",
            "sending-mta-ip": "192.0.2.9",
            "receiving-mx-hostname": "mx.d.example",
            "receiving-ip": "192.0.2.1",
            "failure-reason-code": "it ran out",
            "failed-session-count": 100,
        },
        {"result-type": "sts-policy-fetch-error", "failed-session-count": 3},
    ]
    assert tlsa["policy"] == {"policy-type": "tlsa", "policy-domain": "mx.d.example", "policy-string": ["3 1 1 ABCD"]}
    assert (tlsa["summary"]["total-successful-session-count"], tlsa["failure-details"]) == (1, [])
    assert none["policy"] == {"policy-type": "no-policy-found", "policy-domain": "d.example"}
    assert "sending-mta-ip" not in none["failure-details"][0]


def test_a_mail_with_it():
    content = packed(report("d.example", DAY, SESSIONS * 50, SETTINGS, HOST))
    mail = report_mail(
        BY_MAIL,
        "d.example",
        DAY,
        content,
        SETTINGS,
        HOST,
        to="reports@d.example",
        message_id="<one@mail.sender.example>",
        seconds=1.8e9,
    )
    assert mail.isascii() and mail.count(b"\n") == mail.count(b"\r\n") and max(map(len, mail.split(b"\r\n"))) < 100
    message = message_from_bytes(mail, policy=policy.default)
    assert not message.defects
    assert (message["From"], message["To"]) == ("tls@sender.example", "reports@d.example")
    identifier = "<2024-10-04.d.example@mail.sender.example>"
    words = f"Report Domain: d.example Submitter: sender.example Report-ID: {identifier}"
    assert message["Subject"].split() == words.split()
    assert (message["TLS-Report-Domain"], message["TLS-Report-Submitter"]) == ("d.example", "sender.example")
    assert (message["TLS-Required"], message["Auto-Submitted"]) == ("No", "auto-generated")
    assert (message["Message-ID"], message["Date"].datetime.year) == ("<one@mail.sender.example>", 2027)
    assert message.get_content_type() == "multipart/report" and message.get_param("report-type") == "tlsrpt"
    text, attached = message.iter_parts()
    assert "d.example" in text.get_content()
    assert attached.get_content_type() == "application/tlsrpt+gzip"
    assert attached.get_filename() == "sender.example!d.example!1728000000!1728086399.json.gz"
    assert attached.get_filename() == BY_MAIL.file_name("d.example", DAY, SETTINGS)
    assert read(attached.get_content()) == json.loads(
        json.dumps(report("d.example", DAY, SESSIONS * 50, SETTINGS, HOST))
    )


def test_a_domain_in_capitals_has_the_keys_of_that_in_small_letters():
    assert ReportSettings("TLS@Sender.Example", "Sender", "TLS@Sender.Example").domain == "sender.example"


def test_a_report_is_the_same_octets_at_every_try():
    assert packed(report("d.example", DAY, SESSIONS, SETTINGS, HOST)) == packed(
        report("d.example", DAY, SESSIONS, SETTINGS, HOST)
    )


def test_where_a_domain_wants_its_reports():
    for records, wanted in (
        ([b"v=TLSRPTv1;rua=mailto:a@d.example"], ("mailto:a@d.example",)),
        ([b"v=TLSRPTv1; rua=mailto:a@d.example , https://d.example/x;"], ("mailto:a@d.example", "https://d.example/x")),
        ([b"v=TLSRPTv1 ;\tnew=1; rua=HTTPS://d.example/"], ("HTTPS://d.example/",)),
        ([b"v=spf1 -all", b"v=TLSRPTv1; rua=mailto:a@d.example"], ("mailto:a@d.example",)),
        ([b"v=TLSRPTv1; rua=mailto:a@d.example; rua=mailto:b@d.example"], ("mailto:a@d.example",)),
        ([b"v=TLSRPTv1; rua=" + b",".join(b"https://d.example/%d" % n for n in range(99))], 5),
        ([b"v=TLSRPTv1; rua=ftp://d.example/,https://d.example/" + b"x" * 2000], ()),
        ([b"v=TLSRPTv1; rua=https://d.example/\xc3\xa9, https://d.example/\x00"], ()),
        ([b"v=TLSRPTv1; rua=mailto:a@d.example"] * 2, ()),
        ([b"v=TLSRPTv2; rua=mailto:a@d.example"], ()),
        ([b"v=TLSRPTv1"], ()),
        ([b"rua=mailto:a@d.example; v=TLSRPTv1;"], ()),
        ([], ()),
    ):
        found = places(records)
        assert (len(found) if isinstance(wanted, int) else found) == wanted, records
