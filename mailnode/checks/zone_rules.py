"""What DNS says of one record beside what it should say, and what is to be done about it.

What means the same is right however it is written. A hint is for what may be meant so.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Verdict: TypeAlias = Literal["right", "missing", "differs", "hint", "failed"]
Judged: TypeAlias = tuple[Verdict, str]

RIGHT: Judged = "right", ""
MISSING: Judged = "missing", "Publish it."


@dataclass(frozen=True, slots=True)
class Compared:
    """One name and type: what DNS should say, and what it says. ``addresses`` are those of ``host``, as they are known
    or as DNS tells them, ``reached`` those of the record's own name."""

    name: str
    wanted: Sequence[str]
    found: Sequence[str]
    host: str
    addresses: Collection[str] = ()
    reached: Collection[str] = ()
    secure: bool = False


Rule: TypeAlias = Callable[[Compared], Judged]


def mx(one: Compared) -> Judged:
    """Mail must go to our host, and other hosts must be meant."""
    hosts = {value.partition(" ")[2]: int(value.partition(" ")[0]) for value in one.found}
    if not hosts:
        return MISSING
    if one.host not in hosts:
        return "differs", f"Mail goes to {', '.join(sorted(hosts))} and not here: publish {one.wanted[0]} instead."
    others = sorted(hosts.keys() - {one.host})
    if not others:
        return RIGHT
    first = [host for host in others if hosts[host] <= hosts[one.host]]
    if first:
        return (
            "hint",
            f"{', '.join(first)} gets mail before or as often as this server: right only if it passes mail on here.",
        )
    return (
        "hint",
        f"{', '.join(others)} gets mail when this server does not answer: right only if it passes mail on here.",
    )


def address(one: Compared) -> Judged:
    """The host's own addresses must be there."""
    lacking = sorted(set(one.wanted) - set(one.found))
    if not one.found:
        return MISSING
    if lacking:
        return "differs", f"Publish {', '.join(lacking)} too, or in place of what does not lead here."
    others = sorted(set(one.found) - set(one.wanted))
    if others:
        return "hint", f"{', '.join(others)} is not known here: remove it, or name it in [server] addresses."
    return RIGHT


def any_address(one: Compared) -> Judged:
    """Where ours are not known: there must be one."""
    return RIGHT if one.addresses else ("missing", "Publish an A record, and an AAAA record where there is IPv6.")


def cname(one: Compared) -> Judged:
    """A name must lead to our host: by CNAME, or by its addresses."""
    if one.found == [one.host] or (set(one.reached) & set(one.addresses)):
        return RIGHT
    if not one.found and not one.reached:
        return MISSING
    at = ", ".join(one.found or sorted(one.reached))
    return (
        "differs",
        f"It leads to {at} and not here: publish {one.wanted[0]} instead, unless that server shows what is looked for there.",
    )


def srv(one: Compared) -> Judged:
    """Programs must find our host at our port, or that there is nothing."""
    targets = {tuple(value.split(" ")[2:]) for value in one.found}
    wanted = {tuple(value.split(" ")[2:]) for value in one.wanted}
    offered = any(host != "." for _, host in wanted)
    if not targets:
        return MISSING if offered else ("hint", "Publish it, so that programs need not try.")
    if offered and targets == wanted:
        return RIGHT
    if not offered:
        elsewhere = {host for _, host in targets} - {one.host}
        if elsewhere == {"."}:
            return RIGHT
        return "differs", "It is not offered here: publish this in place of what is there."
    return "differs", f"Publish {one.wanted[0]} in place of what is there."


def tlsa(one: Compared) -> Judged:
    """The key in use must be among them; none is no mistake."""
    if not one.found:
        return "hint", "Publish it if the zone is signed with DNSSEC; else it is of no use."
    lacking = sorted(set(one.wanted) - {value.lower() for value in one.found})
    if lacking:
        return (
            "differs",
            "Servers that look at it send nothing here: publish that of the key in use now, or remove all of them.",
        )
    if not one.secure:
        return (
            "hint",
            "The resolver does not say that it is signed: others pass it over unless the zone is signed with DNSSEC.",
        )
    return RIGHT


def spf(one: Compared) -> Judged:
    """RFC 7208: exactly one record, by which this server may send and not everybody."""
    if not one.found:
        return MISSING
    if len(one.found) > 1:
        return "differs", "There are several, which others take for a mistake (RFC 7208 4.5): leave one."
    terms = one.found[0].lower().split()[1:]
    ends = next((index for index, term in enumerate(terms) if term.lstrip("+-~?") == "all"), None)
    before = terms[:ends]
    if ends is not None and terms[ends] in ("all", "+all"):
        return "differs", "It lets everybody send from the domain: end it with -all."
    if not _lets_us_send(one, before):
        mechanism = one.wanted[0].split()[1]
        elsewhere = [term for term in before if term.startswith(("include:", "redirect=", "exists:"))]
        if not elsewhere:
            return "differs", f"It does not let this server send: add {mechanism} before its end."
        return (
            "hint",
            f"Whether {', '.join(elsewhere)} lets this server send is not looked into: add {mechanism} to be sure.",
        )
    if (ends is None and not any(term.startswith("redirect=") for term in before)) or terms[ends or 0] == "?all":
        return "hint", "It says nothing of servers that are not in it: end it with -all or ~all."
    return RIGHT


def _lets_us_send(one: Compared, terms: Sequence[str]) -> bool:
    """Whether one of the terms is what we would have written, or covers all our addresses."""
    ours = {one.wanted[0].split()[1], f"a:{one.host}"}
    ours |= {f"mx:{one.name}"} if "mx" in ours else set()
    plain = [term.removeprefix("+") for term in terms]
    if ours & set(plain):
        return True
    networks = [found for term in plain if (found := _network(term)) is not None]
    known = [ipaddress.ip_address(text) for text in one.addresses]
    return bool(known) and all(any(one in network for network in networks) for one in known)


def _network(term: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    kind, _, text = term.partition(":")
    try:
        return ipaddress.ip_network(text, strict=False) if kind in ("ip4", "ip6") else None
    except ValueError:
        return None


def dmarc(one: Compared) -> Judged:
    """RFC 7489: exactly one record, with a policy that asks for something."""
    if not one.found:
        return MISSING
    if len(one.found) > 1:
        return "differs", "There are several, which others pass over (RFC 7489 6.6.3): leave one."
    found, wanted = tags(one.found[0]), tags(one.wanted[0])
    policy = found.get("p", "").lower()
    if policy not in ("none", "quarantine", "reject"):
        return "differs", "It names no policy: p= must be none, quarantine or reject."
    if policy == "none" != wanted["p"]:
        return (
            "hint",
            f"p=none asks others to do nothing: say p={wanted['p']} when the reports show your own mail as yours.",
        )
    if found.get("rua", "").lower() != wanted["rua"].lower():
        return "hint", f"Reports do not go to {wanted['rua']}: right if somebody reads them elsewhere."
    return RIGHT


def report_consent(one: Compared) -> Judged:
    """RFC 7489 7.1: what a domain says that takes reports about another."""
    return RIGHT if one.found else ("missing", "Publish it in that zone, or reports are not sent.")


def dkim(one: Compared) -> Judged:
    """RFC 6376 3.6.1: the key, whatever stands around it."""
    if not one.found:
        return MISSING
    if len(one.found) > 1:
        return "differs", "There are several (RFC 6376 3.6.2.2): leave one."
    found, wanted = tags(one.found[0]), tags(one.wanted[0])
    if not found.get("p"):
        return "differs", "It has no key: whoever looks takes our signatures for wrong."
    for tag, usual in (("v", "DKIM1"), ("k", "rsa"), ("p", "")):
        if found.get(tag, usual) != wanted.get(tag, usual):
            return "differs", f"Its {tag}= is not that of the key here: copy it again, as a whole."
    if "y" in found.get("t", "").split(":"):
        return "hint", "t=y says that signatures are a test: remove it."
    return RIGHT


def sts(one: Compared) -> Judged:
    """RFC 8461 3.1: exactly one record, with the id of the policy of now."""
    if not one.found:
        return MISSING
    if len(one.found) > 1:
        return "differs", "There are several, which others pass over (RFC 8461 3.1): leave one."
    if tags(one.found[0]).get("id") != tags(one.wanted[0])["id"]:
        return (
            "differs",
            "Its id is not that of the policy of now, so others keep the one they know: publish the new id.",
        )
    return RIGHT


def tls_reports(one: Compared) -> Judged:
    """RFC 8460 3: exactly one record, with an address."""
    if not one.found:
        return MISSING
    if len(one.found) > 1:
        return "differs", "There are several, which others pass over (RFC 8460 3): leave one."
    found, wanted = tags(one.found[0]).get("rua", ""), tags(one.wanted[0])["rua"]
    if not found:
        return "differs", "It has no address: rua= is missing."
    if found.lower() != wanted.lower():
        return "hint", f"Reports do not go to {wanted}: right if somebody reads them elsewhere."
    return RIGHT


def ptr(one: Compared) -> Judged:
    """The name of an address must be our host's, and that must lead back to it."""
    if not one.found:
        return "missing", "Whoever gave you the address sets its name: many servers refuse mail from one without."
    if one.host not in one.found:
        return "differs", f"Whoever gave you the address sets its name: ask for {one.host}."
    if not set(one.reached) & set(one.addresses):
        return "differs", f"{one.host} does not lead back to this address: publish it there."
    return RIGHT


def tags(text: str) -> dict[str, str]:
    """Return the tags of a record such as ``v=DMARC1; p=none``, spaces taken out of their values; the first of a name counts."""
    found: dict[str, str] = {}
    for part in text.split(";"):
        name, sign, value = part.partition("=")
        if sign:
            found.setdefault(name.strip().lower(), "".join(value.split()))
    return found
