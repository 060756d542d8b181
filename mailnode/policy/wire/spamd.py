"""What spamd is sent and says: SPAMC/1.5, of which REPORT tells score and rules."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailnode.policy.wire.unreadable import Unreadable

MAX_HEADER = 8192  # octets of a reply before its report
MAX_REPORT = 65_536
MAX_LINES = 1000  # of it that are looked at
_FIRST = re.compile(rb"SPAMD/[0-9.]{1,10} +([0-9]{1,5})(?: +([!-~]{1,100}))?")
_NUMBER = r"(-?[0-9]{1,6}(?:\.[0-9]{1,6})?)"
_SPAM = re.compile(rf"(?:true|false|yes|no) *; *{_NUMBER} */ *{_NUMBER} *", re.IGNORECASE)
_RULE = re.compile(rf"[ *]*{_NUMBER} +([A-Z_][A-Z0-9_]{{1,99}})(?: |$)")


@dataclass(frozen=True, slots=True)
class SpamdAnswer:
    """``needed``: the score from which on spamd takes a message for spam. ``rules``: those that hit, with what each counts."""

    score: float
    needed: float
    rules: tuple[tuple[str, float], ...]


def request_head(size: int, user: str) -> bytes:
    """Return what stands before the message. :param user: whose rules and words count; "": those of all."""
    whose = f"User: {user}\r\n" if user else ""
    return f"REPORT SPAMC/1.5\r\nContent-length: {size}\r\n{whose}\r\n".encode("ascii")


class SpamdReply:
    """Reads a reply out of pieces of any size."""

    def __init__(self) -> None:
        self._came = bytearray()
        self._header: dict[str, str] | None = None
        self._searched = 0

    def receive(self, data: bytes) -> None:
        """Take what came. :raises Unreadable:"""
        self._came += data
        if self._header is None:
            end = self._came.find(b"\r\n\r\n", max(0, self._searched - 3))
            self._searched = len(self._came)
            if (end if end >= 0 else len(self._came)) > MAX_HEADER:
                raise Unreadable(f"a header of more than {MAX_HEADER} octets")
            if end >= 0:
                self._header = _header(bytes(self._came[:end]))
                del self._came[: end + 4]
        if self._header is not None and len(self._came) > MAX_REPORT:
            raise Unreadable(f"a report of more than {MAX_REPORT} octets")

    def answer(self, ended: bool) -> SpamdAnswer | None:
        """Return the answer, None as long as it is not all there. :param ended: nothing more comes. :raises Unreadable:"""
        if self._header is None:
            if ended:
                raise Unreadable("no reply")
            return None
        length = self._header.get("content-length", "")
        if length and not (length.isascii() and length.isdigit() and len(length) < 8):
            raise Unreadable("a length that is none")
        if len(self._came) < int(length or MAX_REPORT + 1):
            if not ended:
                return None
            if length:
                raise Unreadable("a report that is cut off")
        spam = _SPAM.fullmatch(self._header.get("spam", ""))
        if spam is None:
            raise Unreadable("a reply without a score")
        report = bytes(self._came[: int(length)] if length else self._came).decode("utf-8", "replace")
        return SpamdAnswer(float(spam[1]), float(spam[2]), _rules(report))


def _header(octets: bytes) -> dict[str, str]:
    first, *fields = octets.split(b"\r\n")
    status = _FIRST.fullmatch(first.strip())
    if status is None:
        raise Unreadable("a reply that spamd does not give")
    if int(status[1]):
        raise Unreadable(f"spamd failed: {(status[2] or status[1]).decode('ascii')}")
    parted = (field.decode("utf-8", "replace").partition(":") for field in fields)
    return {name.strip().lower(): value.strip() for name, _, value in parted}


def _rules(report: str) -> tuple[tuple[str, float], ...]:
    found = (_RULE.match(line) for line in report.splitlines()[:MAX_LINES])
    return tuple((rule[2], float(rule[1])) for rule in found if rule is not None)
