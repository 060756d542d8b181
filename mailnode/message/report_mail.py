"""Mail with a report that is made daily, for programs that read the file in it (RFC 8460 5.3, RFC 9990 3.5.2)."""

from __future__ import annotations

import hashlib
from base64 import encodebytes
from collections.abc import Sequence
from dataclasses import dataclass

from mailnode.message.compose import date_field, message_id_field
from mailnode.values.tls_report import ReportSettings, day_name


@dataclass(frozen=True, slots=True)
class ReportFile:
    """The report: its octets, their media type, and what it is called."""

    content: bytes
    kind: str
    name: str


def report_id(domain: str, day: int, hostname: str) -> str:
    """Return what names a report, the same at every try, so that a second copy is known for one. :param day: since 1970."""
    return f"{day_name(day)}.{domain}@{hostname}"


def mail_with_report(
    domain: str,
    day: int,
    file: ReportFile,
    settings: ReportSettings,
    hostname: str,
    *,
    to: str,
    message_id: str,
    seconds: float,
    container: str,
    fields: Sequence[str] = (),
    text: Sequence[str] = (),
) -> bytes:
    """Return a mail, ASCII throughout, CRLF line ends. :param domain: that it is about. :param to: an ASCII address.
    :param seconds: UTC, for its Date field. :param container: its media type, with parameters. :param fields: further ones.
    :param text: lines for people."""
    boundary = "=_" + hashlib.sha256(message_id.encode()).hexdigest()[:32]
    identifier = report_id(domain, day, hostname)
    end = f"--{boundary}"  # no line of base64 begins so
    lines = [
        f"From: <{settings.sender}>",
        f"To: <{to}>",
        f"Subject: Report Domain: {domain}\r\n\tSubmitter: {settings.domain}\r\n\tReport-ID: <{identifier}>",
        *fields,
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f'Content-Type: {container};\r\n\tboundary="{boundary}"',
        "",
        end,
        "Content-Type: text/plain; charset=us-ascii",
        "",
        *text,
        "",
        end,
        f"Content-Type: {file.kind}",
        "Content-Transfer-Encoding: base64",
        f'Content-Disposition: attachment;\r\n\tfilename="{file.name}"',
        "",
        *encodebytes(file.content).decode("ascii").splitlines(),
        f"{end}--",
        "",
    ]
    return date_field(seconds) + message_id_field(message_id) + "\r\n".join(lines).encode("ascii")
