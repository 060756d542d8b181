"""DMARC (RFC 9989): its records, the walk that finds them, and whose mail a message says it is."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache

from mailnode.errors import BadAddress, NoSuchName
from mailnode.message.authors import UnclearAuthor, authors
from mailnode.message.headers import fields
from mailnode.message.parameters import strip_comments
from mailnode.values.address import domain_key
from mailnode.values.dmarc import NONE, POLICIES, DmarcRecord, FoundRecord, Walked

QUERIES = 8  # of one walk (RFC 9989 4.10)
SHORT = 512  # octets of records that are remembered for a while, as those of common domains are met again and again
MAX_TAGS = 50  # of a record that are read
MAX_URIS = 10  # of one tag that are read
MAX_URI = 1000  # characters of one
MAX_DOMAINS = 4  # that a message may say it is from, of which each is looked at
MAX_FROM = 16 * 1024  # octets of From fields that are looked at

_VERSION = re.compile(rb"[ \t]*[vV][ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-+\--~]+\Z")  # RFC 3986, without commas
_SIZE = re.compile(r"![0-9]+[kmgtKMGT]?\Z")  # RFC 9989 4.8, obs-dmarc-report-size
_FO = re.compile(r"[01dsDS](?::[01dsDS])*\Z")
_DOMAIN = re.compile(rb"@[ \t\r\n]*([^\x00-\x20\x7f\"(),:;<>@\[\\\]]+)")
_CONTROLS = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SPACES = re.compile(rb"[ \t\r\n]+")
_AROUND_MARKS = ((b" .", b"."), (b". ", b"."), (b" @", b"@"), (b"@ ", b"@"))

TOO_MANY = "the From field has addresses of too many domains"
TOO_LONG = "the From field is too long"

# Looks TXT records up. :raises mailnode.errors.NoSuchName: :raises mailnode.errors.ResolverFailure:
LookUp = Callable[[str], Awaitable[Sequence[bytes]]]


def read_record(record: bytes) -> DmarcRecord | None:
    """Return what a TXT record says; None: it is none of DMARC. What cannot be read of it is passed over (RFC 9989 4.8)."""
    return _read_short(record) if len(record) <= SHORT else _read(record)


@lru_cache(maxsize=1024)
def _read_short(record: bytes) -> DmarcRecord | None:
    return _read(record)


def _read(record: bytes) -> DmarcRecord | None:
    version = _VERSION.match(record)
    if version is None:
        return None
    tags: dict[str, str] = {}
    faults: list[str] = []
    for part in record[version.end() :].decode("ascii", "replace").split(";")[:MAX_TAGS]:
        name, equals, value = part.partition("=")
        name, value = name.strip(" \t").lower(), value.strip(" \t")
        if not part.strip(" \t"):
            continue
        if not (equals and value and name.isascii() and name.isalpha() and value.isascii() and value.isprintable()):
            faults.append("a tag that cannot be read")
        elif name in tags:
            faults.append(f"{name[:10]} twice")
        else:
            tags[name] = value
    return _record(tags, faults)


def _record(tags: dict[str, str], faults: list[str]) -> DmarcRecord:
    def chosen(name: str, known: Sequence[str], default: str) -> str:
        value = tags.get(name, default).lower()
        if value in known:
            return value
        if value:
            faults.append(f"{name} is none of {', '.join(known)}")
        return default

    rua = _uris(tags.get("rua", ""), faults)
    p, sp, np = (chosen(name, POLICIES, "") for name in ("p", "sp", "np"))
    is_clear = bool(p) and (bool(sp) or "sp" not in tags) and (bool(np) or "np" not in tags)
    if not is_clear:  # RFC 9989 4.10.1
        p, sp, np = NONE, "", ""
        faults.append("no policy that can be read" + (": as if it were p=none" if rua else ""))
    fo = tags.get("fo", "0")
    return DmarcRecord(
        p,
        sp,
        np,
        psd=chosen("psd", ("y", "n", "u"), "u"),
        testing=chosen("t", ("y", "n"), "n") == "y",
        strict_dkim=chosen("adkim", ("r", "s"), "r") == "s",
        strict_spf=chosen("aspf", ("r", "s"), "r") == "s",
        fo=fo if _FO.match(fo) else "0",
        rua=rua,
        applies=is_clear or bool(rua),
        faults=tuple(faults),
    )


def _uris(value: str, faults: list[str]) -> tuple[str, ...]:
    found = []
    for text in value.split(",")[:MAX_URIS] if value else []:
        uri = _SIZE.sub("", text.strip(" \t"))
        if len(uri) <= MAX_URI and _URI.match(uri):
            found.append(uri)
        else:
            faults.append("a URI that cannot be read")
    return tuple(dict.fromkeys(found))


def steps(domain: str) -> list[str]:
    """Return the domains that a walk from one looks at (RFC 9989 4.10). :param domain: in lower-case A-labels."""
    labels = domain.split(".")
    above = labels[1:] if len(labels) < QUERIES else labels[-(QUERIES - 1) :]
    return [domain, *(".".join(above[index:]) for index in range(len(above)))]


async def walk(domain: str, look_up: LookUp) -> Walked:
    """Look for records of a domain and of those above it. :param domain: in lower-case A-labels.

    :raises mailnode.errors.ResolverFailure: what is there cannot be told."""
    found: list[FoundRecord] = []
    several = []
    for name in steps(domain):
        try:
            records = [one for one in map(read_record, await look_up(f"_dmarc.{name}")) if one is not None]
        except NoSuchName:
            continue
        if len(records) > 1:
            several.append(name)
        elif records:
            found.append(FoundRecord(name, records[0]))
            if records[0].psd != "u":
                break
    return Walked(domain, tuple(found), tuple(several))


def author_domains(block: bytes) -> tuple[tuple[str, ...], str]:
    """Return the domains that a message says it is from, in lower-case A-labels, and what is wrong with how it says so, in
    words; "" nothing.

    Where it is not clear, they are all that any program could read there (RFC 9989 11.5); none where those are ``TOO_MANY``, or
    the field is ``TOO_LONG`` to be read.

    :param block: the header block, which nobody needs to have looked at."""
    try:
        domains = [address.domain for address in authors(block)]
        fault = ""
    except UnclearAuthor as error:
        fault = str(error)
        raw = b"\n".join(field.raw for field in fields(block) if field.is_named(b"From"))
        if len(raw) > MAX_FROM:
            return (), TOO_LONG
        domains = [
            one.decode("utf-8", "replace") for text in (raw, _without_breaks(raw)) for one in _DOMAIN.findall(text)
        ]
    keys = _keys(domains)
    if len(keys) > MAX_DOMAINS:
        return (), TOO_MANY
    if not fault and not keys:
        fault = "the From field has no domain"
    if not fault and len(keys) > 1:
        fault = "the From field has addresses of several domains"
    return tuple(keys), fault


def _without_breaks(raw: bytes) -> bytes:
    """Return fields as programs read them that take what RFC 5322 4.4 lets stand within an address: comments, and white space
    around its dots. They pass over control characters too."""
    text = _SPACES.sub(b" ", strip_comments(_CONTROLS.sub(b"", raw).replace(b"(", b" (")))
    for written, meant in _AROUND_MARKS:
        text = text.replace(written, meant)
    return text


def _keys(domains: Sequence[str]) -> dict[str, None]:
    """Return domains in A-labels, each once; of more than there may be, one more than that. Each may take a while."""
    keys: dict[str, None] = {}
    for domain in dict.fromkeys(domains):
        if key := _key(domain):
            keys[key] = None
        if len(keys) > MAX_DOMAINS:
            break
    return keys


def _key(domain: str) -> str:
    """Return a domain in A-labels, "" for what is none."""
    try:
        key = domain_key(domain.rstrip("."))
    except BadAddress:
        return ""
    return "" if key.startswith("[") else key
