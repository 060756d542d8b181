"""Reads what came back of a message that was sent elsewhere, and says in words what the others made of it: a reply with results,
the message itself with header fields of theirs, or a bounce."""

from __future__ import annotations

import email
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.message import Message

from mailnode.message.authres import read_results

MAX_PARTS = 50  # of a message that are looked at
MAX_FIELDS = 40  # of results that are read
MAX_SHOWN = 300  # characters of what others say

_FIELD = re.compile(r"^[> \t]*Authentication-Results:((?:.*)(?:\n[> \t]+.*)*)", re.IGNORECASE | re.MULTILINE)
_SUMMARY = re.compile(
    r"^[^\w\n]{0,20}(SPF|DKIM|DMARC|iprev)(?: check| result)?\s*[:=]\s*\"?(\w+)", re.IGNORECASE | re.MULTILINE
)
_RECEIVED = re.compile(r"\[(?:IPv6:)?([0-9A-Fa-f.:]+)\]")
_TLS = re.compile(r"\bE?SMTPSA?\b|\bTLS", re.IGNORECASE)

GOOD = {"pass"}
NEUTRAL = {"none", "neutral", "policy", "bestguesspass", "skipped"}
_PASSES = {
    "spf": "SPF passes: they accept that this server sends for your domain",
    "dkim": "DKIM passes: the signature is right, and its key is in DNS",
    "dmarc": "DMARC passes: what the From field says is proved",
    "iprev": "the name behind the address agrees with the address",
}
_NAMES = {"spf": "SPF", "dkim": "DKIM", "dmarc": "DMARC", "iprev": "the name of the address"}
_FAILS = {
    "spf": "SPF: they do not accept that this server sends for your domain. Compare its record: mailnode domain check",
    "dkim": "DKIM: they do not accept the signature. Is the record of each key there: mailnode domain check",
    "dmarc": "DMARC: neither SPF nor DKIM proved what the From field says",
    "iprev": "the name behind the address does not lead back to it: ask who gives you the address for a PTR record",
}
# What stands in a reply, in letters of any case, and what it means.
_REASONS: Sequence[tuple[str, str]] = (
    (r"spamhaus|block ?list|black ?list|dnsbl|\brbl\b|\blisted", "the address is in a block list: see mailnode doctor"),
    (r"\bptr\b|reverse|rdns|5\.7\.25", "the address has no name in DNS, or another one: ask for a PTR record"),
    (
        r"5\.7\.2[036]|\bspf\b|\bdkim\b|\bdmarc\b|authenticat",
        "they want mail that SPF or DKIM proves: mailnode domain check",
    ),
    (r"5\.1\.1|no such|unknown|does not exist", "there is no such mailbox: try another address"),
    (r"4\.7\.|gr[ea]y|try again|rate", "they put off mail of servers they do not know: it is tried again by itself"),
    (r"5\.7\.|spam|reputation|refused|denied|policy", "they refuse it by a rule of theirs"),
)


@dataclass(frozen=True, slots=True)
class ReturnedMessage:
    """What came back. ``good``: nothing of it is bad. ``lines``: in words. ``short``: what is good of it, in a few words."""

    good: bool
    lines: tuple[str, ...]
    short: str = ""


def explain(content: bytes, own_host: str) -> ReturnedMessage:
    """Say what a message that came back tells. :param own_host: whose results are none of others."""
    message = email.message_from_bytes(content)
    bounce = _bounce(message)
    if bounce is not None:
        return bounce
    results = _results(message, own_host)
    lines = [_in_words(method, results[method]) for method in _PASSES if method in results]
    lines += _way(message, own_host)
    passed = [_NAMES[method] for method in _PASSES if results.get(method) in GOOD]
    short = f"{', '.join(passed)} pass there" if passed else "it says nothing of SPF, DKIM and DMARC"
    if not lines:
        lines = ["it came back, and says nothing of SPF, DKIM or DMARC"]
    return ReturnedMessage(not any(_is_bad(result) for result in results.values()), tuple(lines), short)


def reason_in_words(reply: str) -> str:
    """Return what the reply of a server means."""
    found = (words for pattern, words in _REASONS if re.search(pattern, reply, re.IGNORECASE))
    shown = "".join(sign if sign.isprintable() else " " for sign in reply)[:MAX_SHOWN]
    return f"{next(found, 'they say')}: {shown}" if shown else "they do not say why"


def _is_bad(result: str) -> bool:
    return result not in GOOD | NEUTRAL


def _in_words(method: str, result: str) -> str:
    if result in GOOD:
        return _PASSES[method]
    if result in NEUTRAL:
        return f"{method.upper()}: {result}, they say nothing of it"
    return f"{_FAILS[method]} ({result})"


def _results(message: Message, own_host: str) -> dict[str, str]:
    """Return the best result of each method: of several signatures one is enough."""
    found: dict[str, str] = {}
    for method, result in _all_results(message, own_host):
        if method in _PASSES and found.get(method) not in GOOD:
            found[method] = result
    return found


def _all_results(message: Message, own_host: str) -> Iterator[tuple[str, str]]:
    for value in _result_fields(message)[:MAX_FIELDS]:
        flat = " ".join(value.replace(">", " ").split())
        if flat.partition(";")[0].split(" ")[0].lower() != own_host.lower():
            for one in read_results(flat.encode("utf-8", "replace")):
                yield one.method.lower(), one.result.lower()
    for text in _texts(message):
        yield from ((method.lower(), result.lower()) for method, result in _SUMMARY.findall(text))


def _result_fields(message: Message) -> list[str]:
    """Return the bodies of all fields of results: of the message, of those in it, and of what is quoted as text."""
    values = [str(value) for part in _parts(message) for value in part.get_all("Authentication-Results", [])]
    return values + [found for text in _texts(message) for found in _FIELD.findall(text)]


def _parts(message: Message) -> list[Message]:
    return [part for _, part in zip(range(MAX_PARTS), message.walk(), strict=False)]


def _texts(message: Message) -> Iterator[str]:
    for part in _parts(message):
        if part.get_content_type() in ("text/plain", "text/rfc822-headers"):
            content = part.get_payload(decode=True)
            if isinstance(content, bytes):
                yield content.decode("utf-8", "replace").replace("\r\n", "\n")


def _way(message: Message, own_host: str) -> list[str]:
    """Return how the first other server says that it got our message: from which address, and whether encrypted."""
    fields = [str(value) for part in _parts(message)[1:] for value in part.get_all("Received", [])]
    for value in fields:
        flat = " ".join(value.split())
        sender, _, receiver = flat.partition(" by ")
        address = _RECEIVED.search(sender)
        if own_host.lower() in sender.lower() and address is not None:
            how = "encrypted" if _TLS.search(receiver) or _TLS.search(sender) else "without encryption"
            return [f"they got it from {address[1]}, {how}"]
    return []


def _bounce(message: Message) -> ReturnedMessage | None:
    """Return what a notice says (RFC 3464); None: it is none. A message that was merely delayed is no failure yet."""
    lines = []
    for part in _parts(message):
        if part.get_content_type() == "message/delivery-status":
            for block in part.walk():
                action = str(block.get("Action", "")).strip().lower()
                if action in ("failed", "delayed"):
                    said = " ".join(str(block.get("Diagnostic-Code") or block.get("Status") or "").split())
                    what = "it was refused" if action == "failed" else "it was put off"
                    lines.append(f"{what}: {reason_in_words(said)}")
    return ReturnedMessage(False, tuple(lines)) if lines else None
