"""Compares the records of a domain with what DNS says, one by one. What is to be asked, and what comes of the answers, is data."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TypedDict

from mailnode.checks import caa, zone_rules
from mailnode.checks.zone_rules import Compared, Judged, Rule, Verdict
from mailnode.interfaces.dns import DnsAnswer, DnsQuestion
from mailnode.values.published import DnsRecord, Published

MAX_ADDRESSES = 16  # of the host whose names are asked for

Answers = Mapping[DnsQuestion, DnsAnswer]

_BY_TYPE: Mapping[str, Rule] = {
    "MX": zone_rules.mx,
    "A": zone_rules.address,
    "AAAA": zone_rules.address,
    "CNAME": zone_rules.cname,
    "SRV": zone_rules.srv,
    "TLSA": zone_rules.tlsa,
}
# By what a TXT record begins with; what else stands at the same name is none of ours.
_BY_TAG: Mapping[str, Rule] = {
    "v=spf1": zone_rules.spf,
    "v=dmarc1": zone_rules.dmarc,
    "v=stsv1": zone_rules.sts,
    "v=tlsrptv1": zone_rules.tls_reports,
}


class RecordCheck(TypedDict):
    """What came of one name and type."""

    name: str
    type: str
    verdict: Verdict
    wanted: list[str]
    found: list[str]
    advice: str  # what is to be done; "": nothing
    why: str


def questions(published: Published, records: Sequence[DnsRecord]) -> set[DnsQuestion]:
    """Return what is asked at first: all but the names of addresses that only DNS knows."""
    asked = {DnsQuestion(one.name, one.type) for one in records}
    names = {published.hostname, *(one.name for one in records if one.type == "CNAME")}
    asked |= {DnsQuestion(name, kind) for name in names for kind in ("A", "AAAA")}
    for host in _certified(published, records):
        asked |= set(caa.climb(host))
    return asked | set(names_of_addresses(published, {}).values())


def names_of_addresses(published: Published, answers: Answers) -> dict[str, DnsQuestion]:
    """Return what is asked about the name of each of our addresses: none, as long as these are not known."""
    found = published.addresses or _addresses(published.hostname, answers)
    return {text: DnsQuestion(ipaddress.ip_address(text).reverse_pointer, "PTR") for text in found[:MAX_ADDRESSES]}


def check(published: Published, records: Sequence[DnsRecord], answers: Answers) -> list[RecordCheck]:
    """Return what came of each record, in their order, and of each address behind them."""
    return [
        *_records(published, [one for one in records if one.type != "CAA"], answers),
        *_issuance(published, records, answers),
        *_host(published, answers),
    ]


def _records(published: Published, records: Sequence[DnsRecord], answers: Answers) -> Iterator[RecordCheck]:
    groups: dict[tuple[DnsQuestion, str], list[DnsRecord]] = {}
    for one in records:
        tag = _tag(one.value) if one.type == "TXT" else ""
        groups.setdefault((DnsQuestion(one.name, one.type), tag), []).append(one)
    for (question, tag), group in groups.items():
        answer = answers[question]
        compared = Compared(
            question.name,
            [one.value for one in group],
            [value for value in answer.values if not tag or tag == "v=dkim1" or _tag(value) == tag],
            published.hostname,
            published.addresses or _addresses(published.hostname, answers),
            _addresses(question.name, answers),
            answer.secure,
        )
        yield _told(question, compared, _judge(_rule(question, tag), compared, answer.failed), group[0].why)


def _certified(published: Published, records: Sequence[DnsRecord]) -> dict[str, tuple[str, str]]:
    """Return what certificates say of the names of this server that they are for, its own and the policy host's, where their
    issuers are known: see :func:`mailnode.checks.caa.certified`."""
    names = [published.hostname, *(one.name for one in records if one.type == "CNAME")]
    return {name: found for name in names if (found := caa.certified(name, published)) is not None}


def _issuance(published: Published, records: Sequence[DnsRecord], answers: Answers) -> Iterator[RecordCheck]:
    wanted = [one.value for one in records if one.type == "CAA"]
    for host, (name, organization) in _certified(published, records).items():
        answer = caa.relevant(host, answers)
        compared = Compared(host, wanted, list(answer.values), published.hostname)
        judged = _judge(partial(caa.judge, name, organization), compared, answer.failed)
        yield _told(DnsQuestion(host, "CAA"), compared, judged, "Who may issue certificates for this name (CAA).")


def _host(published: Published, answers: Answers) -> Iterator[RecordCheck]:
    host = published.hostname
    leading = _addresses(host, answers)
    if not published.addresses:
        question = DnsQuestion(host, "A")
        failed = not leading and any(answers[DnsQuestion(host, kind)].failed for kind in ("A", "AAAA"))
        compared = Compared(host, [], leading, host, leading)
        yield _told(question, compared, _judge(zone_rules.any_address, compared, failed), "Where this server is.")
    for text, question in names_of_addresses(published, answers).items():
        answer = answers[question]
        compared = Compared(question.name, [host], list(answer.values), host, [text], leading)
        why = f"The name of {text}, which other servers look at."
        yield _told(question, compared, _judge(zone_rules.ptr, compared, answer.failed), why)


def _rule(question: DnsQuestion, tag: str) -> Rule:
    if question.type != "TXT":
        return _BY_TYPE[question.type]
    return zone_rules.report_consent if "._report._dmarc." in question.name else _BY_TAG.get(tag, zone_rules.dkim)


def _judge(rule: Rule, compared: Compared, failed: bool) -> Judged:
    if failed:
        return "failed", "DNS gives no answer: try again, and look at the zone's name servers if it stays so."
    return rule(compared)


def _told(question: DnsQuestion, compared: Compared, judged: Judged, why: str) -> RecordCheck:
    verdict, advice = judged
    return {
        "name": question.name,
        "type": question.type,
        "verdict": verdict,
        "wanted": list(compared.wanted),
        "found": list(compared.found),
        "advice": advice,
        "why": why,
    }


def _addresses(name: str, answers: Answers) -> tuple[str, ...]:
    """Return the addresses of a name that was asked for."""
    found = (answers.get(DnsQuestion(name, kind), DnsAnswer()) for kind in ("A", "AAAA"))
    return tuple(value for answer in found for value in answer.values)


def _tag(text: str) -> str:
    """Return what a TXT record begins with, up to its first space or semicolon."""
    return text.replace(";", " ").partition(" ")[0].lower()
