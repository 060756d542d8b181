"""Reports that others send about domains here, packed and not: DMARC's in XML, TLS's in JSON."""

from __future__ import annotations

import gzip
import json
import zlib
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile

from mailnode.message.lineends import to_crlf
from mailnode.message.packed_files import MAX_UNPACKED, NotUnpacked, unpacked
from mailnode.message.received_dmarc import MAX_ROWS, read_dmarc
from mailnode.message.received_reports import locate_report, read_report
from mailnode.message.received_tls import read_tls
from mailnode.message.report_text import MAX_COUNT, MAX_TEXT, UnreadableReport
from mailnode.message.scanner import scan
from mailnode.values.facts import encode_parts
from mailnode.values.received_report import ReceivedReport
from tests.fuzz.target import Target, each, variant


def _check(report: ReceivedReport) -> None:
    assert len(report.rows) <= MAX_ROWS
    for text in (report.organization, report.contact, report.identifier, report.published):
        assert len(text) <= MAX_TEXT and (text.isprintable() or not text)
    for row in report.rows:
        assert 0 <= row.count <= MAX_COUNT
        assert all(
            len(text) <= MAX_TEXT and (text.isprintable() or not text) for text in (row.about, row.result, row.detail)
        )
    assert report.begun <= report.ended


def dmarc_report(data: bytes) -> None:
    """Read a report in XML."""
    _check(read_dmarc(data))


def tls_report(data: bytes) -> None:
    """Read a report in JSON."""
    _check(read_tls(data))


def packed(data: bytes) -> None:
    """Unpack a file: no more comes out than may."""
    assert len(unpacked(data)) <= MAX_UNPACKED


def report_mail(data: bytes) -> None:
    """Find a report in a mail, and read it; the bits say how the rest is packed first."""
    bits, content = variant(data)
    if bits & 1:
        content = gzip.compress(content, mtime=0)
    elif bits & 2:
        content = _zipped(content)
    mail = to_crlf(HEAD) + content
    found = locate_report(encode_parts(scan(mail).parts))
    if found is not None:
        start, length, encoding = found
        _check(read_report(mail[start : start + length], encoding))


def _zipped(content: bytes, names: tuple[str, ...] = ("a.xml",)) -> bytes:
    file = BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, content)
    return file.getvalue()


HEAD = b"Content-Type: application/gzip\nContent-Transfer-Encoding: binary\n\n"
DMARC = b"""<?xml version="1.0" encoding="UTF-8"?><feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0"><report_metadata>
<org_name>Org</org_name><email>a@o.test</email><report_id>1</report_id><date_range><begin>1700000000</begin><end>1700086400</end>
</date_range></report_metadata><policy_published><domain>x.test</domain><p>none</p></policy_published><record><row>
<source_ip>192.0.2.1</source_ip><count>3</count><policy_evaluated><disposition>none</disposition><dkim>pass</dkim><spf>fail</spf>
<reason><type>forwarded</type></reason></policy_evaluated></row><identifiers><header_from>x.test</header_from></identifiers>
<auth_results><dkim><domain>x.test</domain><result>pass</result></dkim><spf><domain>y.test</domain><result>fail</result></spf>
</auth_results></record></feedback>"""
TLS = json.dumps(
    {
        "organization-name": "Org",
        "date-range": {"start-datetime": "2024-01-01T00:00:00Z", "end-datetime": "2024-01-02T00:00:00Z"},
        "contact-info": "a@o.test",
        "report-id": "1",
        "policies": [
            {
                "policy": {"policy-type": "sts", "policy-string": ["version: STSv1"], "policy-domain": "x.test"},
                "summary": {"total-successful-session-count": 5, "total-failure-session-count": 2},
                "failure-details": [
                    {"result-type": "certificate-expired", "sending-mta-ip": "192.0.2.1", "failed-session-count": 1}
                ],
            }
        ],
    }
).encode()
BOMB = gzip.compress(gzip.compress(b" " * 12_000_000, mtime=0), mtime=0)
XML_WORDS = each(
    b"""
<record>
</record>
<row>
</row>
<count>
</count>
99999999999999999999
<!DOCTYPE a [<!ENTITY b "c">]>
&b;
&#0;
&#xFFFFFFFF;
<![CDATA[
]]>
<!--
-->
encoding="utf-7"
encoding="utf-16"
xmlns:a="b"
<a:b>
</feedback>
<source_ip>
::1
"""
)
JSON_WORDS = each(
    b'{\n}\n[\n]\n"\n:\n,\nnull\ntrue\n-1\n1e999\n"policies"\n"summary"\n"failure-details"\n"failed-session-count"\n9999-12-31T23:59:59-23:59\n\\ud800\n\\u0000'
)

TARGETS = (
    Target(
        "dmarc_report",
        dmarc_report,
        (
            DMARC,
            DMARC.replace(b"<record>", b"<record>" * 30),
            b'<!DOCTYPE a [<!ENTITY b "c">]><feedback>&b;</feedback>',
        ),
        errors=(UnreadableReport,),
        words=XML_WORDS,
    ),
    Target(
        "tls_report",
        tls_report,
        (TLS, b"[" * 3000, b'{"policies": [' + b"{}," * 300 + b"{}]}"),
        errors=(UnreadableReport,),
        words=(*JSON_WORDS, b"[" * 500),
    ),
    Target(
        "packed",
        packed,
        (
            gzip.compress(TLS, mtime=0),
            _zipped(DMARC),
            _zipped(b"x", ("a/", "b")),
            gzip.decompress(BOMB)[:3000],
            zlib.compress(b"x"),
        ),
        errors=(NotUnpacked,),
        words=(b"PK\3\4", b"PK\1\2", b"PK\5\6", b"\x1f\x8b", b"\0\0", b"\xff\xff\xff\xff", b"PK\6\6", b"PK\6\7"),
        held=30 * 1024 * 1024,
    ),
    Target(
        "report_mail",
        report_mail,
        (b"\0" + DMARC, b"\1" + DMARC, b"\2" + DMARC, b"\1" + TLS, b"\1" + gzip.decompress(BOMB)[:3000]),
        errors=(UnreadableReport,),
        words=XML_WORDS,
        held=30 * 1024 * 1024,
    ),
)
