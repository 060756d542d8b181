"""Reports of others: where one is in a mail, what it says, and what is not read."""

import gzip
import io
import json
import time
import tracemalloc
import zipfile
import zlib
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.message.packed_files import MAX_UNPACKED, NotUnpacked, unpacked
from mailnode.message.received_dmarc import MAX_ROWS, read_dmarc
from mailnode.message.received_reports import UnreadableReport, locate_report, read_report
from mailnode.message.scanner import read_facts
from mailnode.values.received_report import ReceivedReport, ReceivedRow
from tests.message.report_samples import NEW, TLS

READ = ReceivedReport(
    "dmarc",
    "Sample <Reporter>",
    "report_sender@example-reporter.com",
    "3v98abbp8ya9n3va8yr8oa3ya",
    "example.com",
    302832000,
    302918399,
    "p=quarantine sp=none testing=n",
    (
        ReceivedRow(
            *("192.0.2.123", "example.com", True, "pass", 123),
            "DKIM aligned; SPF not aligned; dkim=pass example.com; spf=fail example.com",
        ),
        ReceivedRow(
            *("2001:db8::1", "a.example.com", False, "none", 2),
            "DKIM not aligned; SPF not aligned; dkim=fail a.test; dkim=pass b.test; exception: mailing_list",
        ),
    ),
)


def zipped(content, name="report.xml", kind=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", kind) as archive:
        archive.writestr("empty/", b"")
        archive.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zipped, lambda data: zipped(data, kind=zipfile.ZIP_STORED)])
@pytest.mark.parametrize("encoding", ["base64", "8bit"])
def test_a_report_of_dmarc(pack, encoding):
    content = pack(NEW.encode())
    assert read_report(b64encode(content) if encoding == "base64" else content, encoding) == READ


@pytest.mark.parametrize("namespace", ["", ' xmlns="http://dmarc.org/dmarc-xml/0.1"', ' xmlns="urn:whatever"'])
def test_the_older_form(namespace):
    older = NEW.replace(' xmlns="urn:ietf:params:xml:ns:dmarc-2.0"', namespace)
    assert read_report(older.encode(), "7bit") == READ
    latin = NEW.replace("UTF-8", "iso-8859-1").replace("Sample", "S\u00e4mple").encode("latin-1")
    assert read_report(latin, "binary").organization == "S\u00e4mple <Reporter>"
    assert read_report(b"\xef\xbb\xbf" + NEW.encode(), "8bit") == READ


def test_a_report_of_tls():
    report = read_report(gzip.compress(json.dumps(TLS).encode()), "binary")
    assert (report.kind, report.organization, report.domain) == ("tls", "Company-X", "company-y.example")
    assert (report.begun, report.ended, report.published) == (1459468800, 1459555199, "sts")
    success, expired, failed, untold = report.rows
    assert success == ReceivedRow("", "company-y.example", True, "success", 5326, "sts")
    assert (expired.source, expired.result, expired.count) == ("2001:db8:abcd:12::1", "certificate-expired", 100)
    assert "mx1.mail.company-y.example" in expired.detail and "X509_V_ERR" in failed.detail
    assert (untold.passed, untold.count) == (False, 200)


_LARGER = "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))
ENTITIES = f'<!DOCTYPE feedback [<!ENTITY a "aaaaaaaaaa">{_LARGER}]><feedback>&i;</feedback>'


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ("", "no XML"),
        ("hello", "no XML"),
        (NEW[:-20], "no XML"),
        (ENTITIES, "document type"),
        ('<!DOCTYPE f SYSTEM "file:///etc/passwd"><feedback/>', "document type"),
        ('<?xml version="1.0" encoding="none-such"?><feedback/>', "characters"),
        ("<html><body>hello</body></html>", "no report"),
        ("<feedback/>", "nothing is told"),
        (NEW.replace("Example.com", "a..b"), "no domain"),
        (NEW.replace("<domain>Example.com</domain>", ""), "no domain"),
        ("<feedback>" + "<a>" * 100 + "</a>" * 100 + "</feedback>", "too deep"),
        ("{", "no JSON"),
        ("{" * 100_000, "no JSON"),
        ('{"a":' + "[" * 100_000, "no JSON"),
        ("{}", "nothing is told"),
        ('{"policies": 5}', "nothing is told"),
        ('{"policies": [5]}', "no domain"),
        ("\x1f\x8b not packed", "damaged"),
    ],
)
def test_what_is_none(document, fault):
    with pytest.raises(UnreadableReport, match=fault):
        read_report(document.encode("latin-1"), "8bit")


# SMTP trap 32: gzip in reports
def test_bombs_do_not_go_off():
    bomb = gzip.compress(b" " * (50 * 1024 * 1024))
    twice = zipped(b" " * (50 * 1024 * 1024))
    for content in (bomb, twice):
        begun = time.perf_counter()
        tracemalloc.start()
        with pytest.raises(NotUnpacked, match="too large"):
            unpacked(content)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert time.perf_counter() - begun < 2
        assert most < 3 * MAX_UNPACKED
    assert len(unpacked(gzip.compress(b" " * MAX_UNPACKED))) == MAX_UNPACKED
    with pytest.raises(NotUnpacked, match="damaged"):
        unpacked(bomb[: len(bomb) // 2][:100])
    with pytest.raises(NotUnpacked, match="nothing"):
        empty = io.BytesIO()
        zipfile.ZipFile(empty, "w").close()
        unpacked(b"PK\x03\x04" + empty.getvalue())
    with pytest.raises(NotUnpacked, match="not known"):
        unpacked(zipped(NEW, kind=zipfile.ZIP_BZIP2))


def test_a_file_without_a_name_in_an_archive_is_damage():
    data = zipped(NEW, name="x")
    at = data.rindex(b"PK\x01\x02") + 28
    nameless = data[:at] + b"\0\0\1\0" + data[at + 4 :]  # the octet of the name is said to be something else
    with pytest.raises(NotUnpacked, match="damaged"):
        unpacked(nameless)


def test_what_is_too_much_is_counted():
    row = NEW[NEW.index("  <record>") : NEW.index("  <record>", NEW.index("  <record>") + 5)]
    head, tail = NEW[: NEW.index("  <record>")], "</feedback>"
    report = read_dmarc((head + row * (MAX_ROWS + 3) + tail).encode())
    assert (len(report.rows), report.left_out) == (MAX_ROWS, 3 * 123)


def test_what_strangers_write_is_bounded_and_printable():
    rude = NEW.replace("Sample", "x\u202e\x85\u2028" + "y" * 5000).replace("123</count>", "9" * 50 + "</count>")
    report = read_dmarc(rude.replace("192.0.2.123", "1.2.3.4.5 rm -rf").encode())
    assert report.organization.isprintable() and len(report.organization) <= 200
    assert (report.rows[0].count, report.rows[0].source) == (0, "")
    many = {
        **TLS,
        "policies": TLS["policies"] * 2000,
        "organization-name": ["x"],
        "date-range": {"start-datetime": "x"},
    }
    report = read_report(json.dumps(many).encode(), "8bit")
    assert (len(report.rows), report.organization, report.begun) == (2000, "", 0)


@given(st.binary(max_size=500), st.sampled_from([b"", b"<feedback>", b"{", b"\x1f\x8b\x08\x00", b"PK\x03\x04"]))
def test_nothing_but_what_is_named_is_raised(data, start):
    for content in (start + data, gzip.compress(start + data), zlib.compress(data)):
        try:
            read_report(content, "8bit")
        except UnreadableReport as error:
            assert str(error).isascii()


@pytest.mark.parametrize(
    ("kind", "name", "found"),
    [
        ("application/gzip", "x", True),
        ("application/zip", "a!b!1!2.zip", True),
        ("text/xml", "", True),
        ("application/tlsrpt+gzip", "", True),
        ("application/octet-stream", "a!b!1!2.xml.gz", True),
        ("application/octet-stream", "a.exe", False),
        ("image/png", "a.xml", False),
    ],
)
@pytest.mark.parametrize("alone", [True, False])
def test_where_one_stands(kind, name, found, alone):
    file = f"Content-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n"
    file += f'Content-Disposition: attachment; filename="{name}"\r\n\r\nAAAA\r\n'
    whole = (
        file
        if alone
        else 'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n' + file + "--b--\r\n"
    )
    message = ("From: a@b.test\r\n" + whole).encode()
    extent = locate_report(read_facts(message).parts)
    assert (extent is not None) == found
    if extent is not None:
        offset, length, encoding = extent
        assert (message[offset : offset + length].strip(), encoding) == (b"AAAA", "base64")
