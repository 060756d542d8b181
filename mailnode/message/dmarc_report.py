"""Reports to other domains of what came of mail that says it is from them (RFC 9990): the XML, and a mail with it."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, tostring

from mailnode.message.report_mail import ReportForm, report_id
from mailnode.values.dmarc import DmarcRecord, FoundRecord, Identifier
from mailnode.values.dmarc_report import CountedSeen, DmarcSeen
from mailnode.values.tls_report import DAY, ReportSettings

NAMESPACE = "urn:ietf:params:xml:ns:dmarc-2.0"
BY_MAIL = ReportForm(  # RFC 9990 3.5.2
    "application/gzip",
    "xml.gz",
    "multipart/mixed",
    (
        "This is an aggregate report (DMARC) of mail that says it is from {domain}",
        "and came to {hostname} on {day} (UTC).",
    ),
)
MAX_ERROR = 500  # characters of what is said to be wrong with a record


def report(
    domain: str, day: int, counted: Sequence[CountedSeen], settings: ReportSettings, hostname: str, generator: str
) -> bytes:
    """Return a report as RFC 9990 A has it. For a thread.

    :param domain: that has the record, in A-labels. :param day: since 1970, UTC. :param counted: at least one; one without
    source is of messages that are not told of. :param hostname: of this server."""
    root = Element("feedback", {"xmlns": NAMESPACE})
    _add(root, "version", "1.0")
    last = counted[-1].seen.found
    left_out = sum(one.count for one in counted if not one.seen.source)
    _metadata(SubElement(root, "report_metadata"), domain, day, settings, hostname, generator, _error(last, left_out))
    _published(SubElement(root, "policy_published"), domain, last.record)
    for one in counted:
        if one.seen.source:
            _record(SubElement(root, "record"), one)
    document: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _add(parent: Element, name: str, text: str) -> None:
    """Add an element; of its text what XML can hold."""
    SubElement(parent, name).text = "".join(one if one.isprintable() else "?" for one in text)


def _error(found: FoundRecord, left_out: int) -> str:
    faults = [f"{fault}" for fault in found.record.faults]
    if left_out:
        faults.append(f"{left_out} messages more, of which nothing else was kept")
    return "; ".join(faults)[:MAX_ERROR]


def _metadata(
    parent: Element, domain: str, day: int, settings: ReportSettings, hostname: str, generator: str, error: str
) -> None:
    _add(parent, "org_name", settings.organization)
    _add(parent, "email", settings.contact)
    _add(parent, "report_id", report_id(domain, day, hostname))
    period = SubElement(parent, "date_range")
    _add(period, "begin", str(day * DAY))
    _add(period, "end", str((day + 1) * DAY - 1))
    if error:
        _add(parent, "error", error)
    _add(parent, "generator", generator)


def _published(parent: Element, domain: str, record: DmarcRecord) -> None:
    _add(parent, "domain", domain)
    _add(parent, "discovery_method", "treewalk")
    _add(parent, "p", record.p)
    _add(parent, "sp", record.below(True))
    _add(parent, "np", record.below(False))
    _add(parent, "fo", record.fo)
    _add(parent, "adkim", "s" if record.strict_dkim else "r")
    _add(parent, "aspf", "s" if record.strict_spf else "r")
    _add(parent, "testing", "y" if record.testing else "n")


def _record(parent: Element, one: CountedSeen) -> None:
    seen = one.seen
    row = SubElement(parent, "row")
    _add(row, "source_ip", seen.source)
    _add(row, "count", str(one.count))
    evaluated = SubElement(row, "policy_evaluated")
    _add(evaluated, "disposition", seen.disposition)
    _add(evaluated, "dkim", "pass" if seen.dkim else "fail")
    _add(evaluated, "spf", "pass" if seen.spf else "fail")
    if seen.override:
        reason = SubElement(evaluated, "reason")
        _add(reason, "type", seen.override)
        if seen.comment:
            _add(reason, "comment", seen.comment)
    named = SubElement(parent, "identifiers")
    _add(named, "header_from", seen.author)
    _add(named, "envelope_from", seen.reverse_path)
    results = SubElement(parent, "auth_results")
    for identifier in _by_weight(seen):
        _add_result(results, identifier)


def _by_weight(seen: DmarcSeen) -> list[Identifier]:
    """Return signatures, what weighs most first (RFC 9990 3.1.3), and the one result of SPF behind them."""
    signatures = [one for one in seen.identifiers if one.kind == "dkim"]
    signatures.sort(key=lambda one: (one.result != "pass", one.domain != seen.author, not _related(one, seen)))
    return signatures + [one for one in seen.identifiers if one.kind == "spf"][:1]


def _related(one: Identifier, seen: DmarcSeen) -> bool:
    return one.domain.endswith(f".{seen.found.domain}") or one.domain == seen.found.domain


def _add_result(parent: Element, identifier: Identifier) -> None:
    element = SubElement(parent, identifier.kind)
    _add(element, "domain", identifier.domain)
    if identifier.kind == "dkim":
        _add(element, "selector", identifier.selector)
    else:
        _add(element, "scope", "mfrom")
    _add(element, "result", identifier.result)


def packed(document: bytes) -> bytes:
    """Return a report as it is sent. For a thread."""
    return gzip.compress(document, mtime=0)
