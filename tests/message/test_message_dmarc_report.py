"""Reports of DMARC, as XML and as mail."""

from __future__ import annotations

import gzip
from dataclasses import replace
from email import message_from_bytes, policy
from xml.etree import ElementTree

from mailnode.message.dmarc_report import BY_MAIL, NAMESPACE, packed, report
from mailnode.message.report_mail import report_mail
from mailnode.values.dmarc import DmarcRecord, FoundRecord, Identifier
from mailnode.values.dmarc_report import CountedSeen, DmarcSeen
from mailnode.values.tls_report import ReportSettings

SETTINGS = ReportSettings("dmarc@sender.example", "Sender Ltd \u00e9 <&>", "postmaster@sender.example")
HOST = "mail.sender.example"
DAY = 20_000
SEEN = DmarcSeen(
    FoundRecord("d.example", DmarcRecord("quarantine", "none", testing=True, strict_dkim=True)),
    "192.0.2.123",
    "a.d.example",
    "",
    "none",
    False,
    True,
    "local_policy",
    "a < b\x00",
    (
        Identifier("spf", "d.example", "pass"),
        Identifier("dkim", "other.example", "fail", "s2"),
        Identifier("dkim", "other.example", "pass", "s1"),
        Identifier("dkim", "d.example", "pass", "s3"),
        Identifier("dkim", "a.d.example", "pass", "s4"),
    ),
)


def read(*counted):
    root = ElementTree.fromstring(report("d.example", DAY, counted, SETTINGS, HOST, "mailnode 1"))
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{NAMESPACE}}}")
    return root


def plain(element):
    """An element as a list of (name, text or list)."""
    return [(one.tag, plain(one) if len(one) else one.text or "") for one in element]


def test_a_report():
    root = read(CountedSeen(SEEN, 7))
    assert plain(root) == [
        ("version", "1.0"),
        (
            "report_metadata",
            [
                ("org_name", SETTINGS.organization),
                ("email", "postmaster@sender.example"),
                ("report_id", "2024-10-04.d.example@mail.sender.example"),
                ("date_range", [("begin", "1728000000"), ("end", "1728086399")]),
                ("generator", "mailnode 1"),
            ],
        ),
        (
            "policy_published",
            [
                ("domain", "d.example"),
                ("discovery_method", "treewalk"),
                ("p", "quarantine"),
                ("sp", "none"),
                ("np", "none"),
                ("fo", "0"),
                ("adkim", "s"),
                ("aspf", "r"),
                ("testing", "y"),
            ],
        ),
        (
            "record",
            [
                (
                    "row",
                    [
                        ("source_ip", "192.0.2.123"),
                        ("count", "7"),
                        (
                            "policy_evaluated",
                            [
                                ("disposition", "none"),
                                ("dkim", "fail"),
                                ("spf", "pass"),
                                ("reason", [("type", "local_policy"), ("comment", "a < b?")]),
                            ],
                        ),
                    ],
                ),
                ("identifiers", [("header_from", "a.d.example"), ("envelope_from", "")]),
                (
                    "auth_results",
                    [
                        ("dkim", [("domain", "a.d.example"), ("selector", "s4"), ("result", "pass")]),
                        ("dkim", [("domain", "d.example"), ("selector", "s3"), ("result", "pass")]),
                        ("dkim", [("domain", "other.example"), ("selector", "s1"), ("result", "pass")]),
                        ("dkim", [("domain", "other.example"), ("selector", "s2"), ("result", "fail")]),
                        ("spf", [("domain", "d.example"), ("scope", "mfrom"), ("result", "pass")]),
                    ],
                ),
            ],
        ),
    ]


def test_what_was_wrong_and_what_is_left_out_are_told():
    faulty = replace(SEEN, found=FoundRecord("d.example", DmarcRecord(faults=("t twice",) * 500)))
    root = read(CountedSeen(faulty, 1), CountedSeen(replace(faulty, source=""), 3))
    assert len(root.findall("record")) == 1
    assert root.find("report_metadata/error").text.startswith("t twice; ")
    assert len(root.find("report_metadata/error").text) <= 500
    left_out = read(CountedSeen(SEEN, 1), CountedSeen(replace(SEEN, source=""), 3))
    assert left_out.find("report_metadata/error").text == "3 messages more, of which nothing else was kept"


def test_a_mail():
    content = packed(report("d.example", DAY, [CountedSeen(SEEN, 7)], SETTINGS, HOST, "mailnode 1"))
    raw = report_mail(
        BY_MAIL,
        "d.example",
        DAY,
        content,
        SETTINGS,
        HOST,
        to="r@d.example",
        message_id="<1@x.example>",
        seconds=DAY * 86_400.0,
    )
    assert raw.isascii() and b"\n" not in raw.replace(b"\r\n", b"")
    mail = message_from_bytes(raw, policy=policy.default)
    assert (mail["From"], mail["To"]) == ("dmarc@sender.example", "r@d.example")
    assert mail["Subject"].split() == [
        *("Report", "Domain:", "d.example", "Submitter:", "sender.example"),
        *("Report-ID:", "<2024-10-04.d.example@mail.sender.example>"),
    ]
    assert "TLS-Required" not in mail and mail["Auto-Submitted"] == "auto-generated"
    text, file = mail.iter_parts()
    assert "d.example" in text.get_content()
    assert (mail.get_content_type(), file.get_content_type()) == ("multipart/mixed", "application/gzip")
    assert (
        file.get_filename()
        == BY_MAIL.file_name("d.example", DAY, SETTINGS)
        == "sender.example!d.example!1728000000!1728086399.xml.gz"
    )
    assert gzip.decompress(file.get_content()).startswith(b"<?xml")
