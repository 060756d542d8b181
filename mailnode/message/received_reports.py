"""Reports of others about domains here: where one is in a mail, and what it says (RFC 9990, also as RFC 7489 had it; RFC 8460).

Anybody may send one. What is read is bounded, and what cannot be read makes no report, or no row of one.
"""

from __future__ import annotations

import re

from mailnode.message.packed_files import NotUnpacked, unpacked
from mailnode.message.received_dmarc import read_dmarc
from mailnode.message.received_tls import read_tls
from mailnode.message.report_text import UnreadableReport
from mailnode.message.transfer import decode_transfer
from mailnode.values.facts import decode_parts
from mailnode.values.received_report import ReceivedReport

MAX_FILE = 8 * 1024 * 1024  # octets of one as it stands in the mail
MAX_PARTS = 20  # of a mail that are looked at

_KINDS = frozenset(
    f"application/{kind}"
    for kind in ("gzip", "x-gzip", "gunzip", "zip", "x-zip", "x-zip-compressed", "xml", "tlsrpt+gzip", "tlsrpt+json")
) | {"text/xml"}
_NAME = re.compile(r"\.(?:xml|json)(?:\.gz)?\Z|\.zip\Z", re.IGNORECASE)

ReportExtent = tuple[int, int, str]  # offset, length and transfer encoding of a report in a mail


def locate_report(parts: bytes) -> ReportExtent | None:
    """Return where a report may stand in a mail; None: nowhere. :param parts: of the message's facts, encoded."""
    for part in decode_parts(parts)[: MAX_PARTS + 1]:
        is_file = part.content_type in _KINDS or (
            part.content_type == "application/octet-stream" and _NAME.search(part.filename) is not None
        )
        if part.kind == "leaf" and is_file and part.end - part.body_start <= MAX_FILE:
            return part.body_start, part.end - part.body_start, part.encoding
    return None


def read_report(data: bytes, encoding: str) -> ReceivedReport:
    """Read a report as it stands in a mail. For another process.

    :raises UnreadableReport: what is wrong with it."""
    content = decode_transfer(data, encoding)
    if content is None:
        raise UnreadableReport("it is encoded in a way that is not known")
    try:
        document = unpacked(content)
    except NotUnpacked as error:
        raise UnreadableReport(str(error)) from None
    start = document[:100].removeprefix(b"\xef\xbb\xbf").lstrip()
    return read_tls(document) if start.startswith(b"{") else read_dmarc(document)
