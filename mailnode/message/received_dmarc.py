"""Aggregate reports of DMARC, read (RFC 9990 A; before that RFC 7489 C, with another namespace or none).

The document is read as a stream of elements. It may define no entities: without them nothing in it is larger than it is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.parsers import expat

from mailnode.message.report_text import (
    MAX_SECONDS,
    MAX_TEXT,
    UnreadableReport,
    address_of,
    domain_of,
    number_of,
    shown,
)
from mailnode.values.received_report import DMARC, ReceivedReport, ReceivedRow

MAX_ROWS = 2000  # of one report that are kept
MAX_DEPTH = 20  # elements within each other
MAX_VALUES = 100  # of one row, or of what stands before the rows

_ROW = ("feedback", "record")
_PUBLISHED = ("p", "sp", "np", "adkim", "aspf", "testing", "pct", "fo")

_Path = tuple[str, ...]
_Values = list[tuple[_Path, str]]


def read_dmarc(document: bytes) -> ReceivedReport:
    """Read a report. For another process. :raises UnreadableReport: what is wrong with it."""
    reading = _FeedbackReading()
    try:
        reading.parser.Parse(document, True)
    except expat.ExpatError:
        raise UnreadableReport("it is no XML") from None
    except (LookupError, ValueError):
        raise UnreadableReport("it is in characters that are not known") from None
    return reading.report()


class _FeedbackReading:
    """Gathers the texts of elements by their paths; each record becomes a row when it ends."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._declared
        self.parser.EntityDeclHandler = self._declared
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self._path: list[str] = []
        self._said = ""
        self._head: _Values = []
        self._record: _Values = []
        self._rows: list[ReceivedRow] = []
        self._left_out = 0

    def _declared(self, *_: object) -> None:
        raise UnreadableReport("it has a document type, which no report has")

    def _start(self, name: str, _: object) -> None:
        self._path.append(name.rpartition(" ")[2])
        self._said = ""
        if len(self._path) > MAX_DEPTH:
            raise UnreadableReport("its elements are too deep")
        if self._path[0] != "feedback":
            raise UnreadableReport("it is no report of DMARC")

    def _text(self, text: str) -> None:
        if len(self._said) < MAX_TEXT:
            self._said += text[:MAX_TEXT]

    def _end(self, _: str) -> None:
        path, said = tuple(self._path), self._said.strip()
        self._path.pop()
        self._said = ""
        if path == _ROW:
            self._add_row()
        elif said:
            values = self._record if path[:2] == _ROW else self._head
            if len(values) < MAX_VALUES:
                values.append((path[2:] if path[:2] == _ROW else path[1:], said))

    def _add_row(self) -> None:
        row = _row(self._record)
        self._record = []
        if len(self._rows) < MAX_ROWS:
            self._rows.append(row)
        else:
            self._left_out += row.count

    def report(self) -> ReceivedReport:
        """Return what was gathered. :raises UnreadableReport:"""
        begun, ended = (
            number_of(_first(self._head, "report_metadata", "date_range", name), MAX_SECONDS)
            for name in ("begin", "end")
        )
        if not self._rows:
            raise UnreadableReport("nothing is told in it")
        policy = [(name, shown(_first(self._head, "policy_published", name))) for name in _PUBLISHED]
        return ReceivedReport(
            DMARC,
            shown(_first(self._head, "report_metadata", "org_name")),
            shown(_first(self._head, "report_metadata", "email")),
            shown(_first(self._head, "report_metadata", "report_id")),
            domain_of(_first(self._head, "policy_published", "domain")),
            begun,
            max(begun, ended),
            shown(" ".join(f"{name}={value}" for name, value in policy if value)),
            tuple(self._rows),
            self._left_out,
        )


def _first(values: _Values, *path: str) -> str:
    return next((text for known, text in values if known == path), "")


def _row(values: _Values) -> ReceivedRow:
    evaluated = {kind: _first(values, "row", "policy_evaluated", kind).lower() for kind in ("dkim", "spf")}
    words = [f"{kind.upper()} {'aligned' if result == 'pass' else 'not aligned'}" for kind, result in evaluated.items()]
    words += _found(values)
    words += [f"exception: {text}" for path, text in values if path == ("row", "policy_evaluated", "reason", "type")]
    return ReceivedRow(
        address_of(_first(values, "row", "source_ip")),
        shown(_first(values, "identifiers", "header_from")).lower(),
        "pass" in evaluated.values(),
        shown(_first(values, "row", "policy_evaluated", "disposition")).lower(),
        number_of(_first(values, "row", "count")),
        shown("; ".join(words)),
    )


def _found(values: _Values) -> Sequence[str]:
    """Return what SPF and DKIM found, each in words."""
    words: list[str] = []
    said: dict[str, str] = {}
    for path, text in values:
        if len(path) == 3 and path[0] == "auth_results" and path[1] in ("dkim", "spf"):
            if path[2] in said:  # the next one's
                said = {}
            said[path[2]] = shown(text)
            if "domain" in said and "result" in said:
                words.append(f"{path[1]}={said['result']} {said['domain']}")
                said = {}
    return words
