"""Mail with a report that is made daily, for programs that read the file in it (RFC 8460 5.3, RFC 9990 3.5.2)."""

from __future__ import annotations

import hashlib
from base64 import encodebytes
from dataclasses import dataclass

from mailnode.message.compose import date_field, message_id_field
from mailnode.values.tls_report import DAY, ReportSettings, day_name


@dataclass(frozen=True, slots=True)
class ReportForm:
    """How reports of one kind go by mail. ``kind``: the media type of a report; ``ending``: of its name. ``container``: the mail's
    media type, with parameters. ``text``: lines for people, and ``fields``: further ones of the header, with ``{domain}`` that it
    is about, ``{submitter}``, ``{hostname}`` and ``{day}``."""

    kind: str
    ending: str
    container: str
    text: tuple[str, ...]
    fields: tuple[str, ...] = ()

    def file_name(self, domain: str, day: int, settings: ReportSettings) -> str:
        """Return what a report is called (RFC 8460 5.1, RFC 9990 3.5.2)."""
        return f"{settings.domain}!{domain}!{day * DAY}!{(day + 1) * DAY - 1}.{self.ending}"


def report_id(domain: str, day: int, hostname: str) -> str:
    """Return what names a report, the same at every try, so that a second copy is known for one. :param day: since 1970."""
    return f"{day_name(day)}.{domain}@{hostname}"


def report_mail(
    form: ReportForm,
    domain: str,
    day: int,
    content: bytes,
    settings: ReportSettings,
    hostname: str,
    *,
    to: str,
    message_id: str,
    seconds: float,
) -> bytes:
    """Return a mail, ASCII throughout, CRLF line ends. :param domain: that it is about. :param content: the report, packed.
    :param to: an ASCII address. :param seconds: UTC, for its Date field."""
    words = {"domain": domain, "submitter": settings.domain, "hostname": hostname, "day": day_name(day)}
    boundary = "=_" + hashlib.sha256(message_id.encode()).hexdigest()[:32]
    identifier = report_id(domain, day, hostname)
    end = f"--{boundary}"  # no line of base64 begins so
    lines = [
        f"From: <{settings.sender}>",
        f"To: <{to}>",
        f"Subject: Report Domain: {domain}\r\n\tSubmitter: {settings.domain}\r\n\tReport-ID: <{identifier}>",
        *(field.format(**words) for field in form.fields),
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f'Content-Type: {form.container};\r\n\tboundary="{boundary}"',
        "",
        end,
        "Content-Type: text/plain; charset=us-ascii",
        "",
        *(line.format(**words) for line in form.text),
        "",
        end,
        *_attached(form.kind, form.file_name(domain, day, settings), content),
        f"{end}--",
        "",
    ]
    return date_field(seconds) + message_id_field(message_id) + "\r\n".join(lines).encode("ascii")


def _attached(kind: str, name: str, content: bytes) -> list[str]:
    return [
        f"Content-Type: {kind}",
        "Content-Transfer-Encoding: base64",
        f'Content-Disposition: attachment;\r\n\tfilename="{name}"',
        "",
        *encodebytes(content).decode("ascii").splitlines(),
    ]
