"""One evaluation of SPF by pyspf, which asks no DNS here: what is not in a dictionary of answers yet is said to be missing.

pyspf knows the grammar, the mechanisms and their limits (RFC 7208 4.6.4). What strangers wrote is bounded before it sees it: some
of its expressions take the square of a text's length.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from socket import AF_INET, AF_INET6, inet_pton
from typing import NamedTuple

import spf

from mailnode.interfaces.outbound import MxRecord

MAX_RECORD = 4096  # octets of a record, or of what is said to those who may not send; RFC 7208 3.4 wants far fewer
MAX_SPEC = 512  # characters of a domain with its macros, of which a name has room for 253
MAX_MACROS = 40  # in one text
MAX_LABELS = 127  # of a name, so in one text
MAX_ANSWER = 200  # addresses or other records of one name that are looked at
MAX_NAME = 253  # characters

Question = tuple[str, str]  # a name, for PTR an address, and the type of its records
Record = str | bytes | MxRecord
Answer = tuple[Record, ...] | None  # None: nobody knows just now

_RECORD = re.compile(rb"v=spf1(?: |\Z)", re.IGNORECASE)
_PER_MESSAGE = re.compile(rb"%\{[slht]", re.IGNORECASE)


class SpfIdentity(NamedTuple):
    """Who wants to send: the client's IP address, and a mailbox, of HELO's "postmaster". ``domain`` in A-labels, ``helo`` as the
    client says it."""

    address: str
    local: str
    domain: str
    helo: str


class SpfOutcome(NamedTuple):
    """``result``: a word of RFC 7208 2.6. ``text``: what is wrong, or what the domain explains. ``missing``: what is to be asked
    before there is a result."""

    result: str = ""
    text: str = ""
    missing: tuple[Question, ...] = ()


class AnswerMissing(Exception):
    """It is to be asked first."""


class SpfQuery(spf.query):  # type: ignore[misc]  # pyspf has no types
    """pyspf's query, whose DNS is a dictionary."""

    def __init__(self, who: SpfIdentity, answers: Mapping[Question, Answer], receiver: str, seconds: float) -> None:
        """:param receiver: this server's name. :param seconds: UTC."""
        super().__init__(who.address, f"{who.local}@{who.domain}", who.helo, receiver=receiver)
        # The first @ divides them for pyspf; a local part may have one.
        self.l, self.o, self.d = who.local or "postmaster", who.domain, who.domain
        self.t = str(int(seconds))
        self.missing: dict[Question, None] = {}
        self._answers = answers

    # What pyspf calls

    def dns(self, name: str, qtype: str, cnames: object = None, ignore_void: bool = False) -> Sequence[Record]:
        """Return the records of a name. :raises AnswerMissing, spf.TempError, spf.PermError:"""
        question = asked(name), qtype
        if not _can_be(question[0]):
            return []
        self._want([question])
        answer = self._answers[question]
        if answer is None:
            raise spf.TempError(f"DNS gives no answer for {question[0]}")
        if not answer and not ignore_void:
            self._count_void()
        return answer[:MAX_ANSWER]

    def dns_mx(self, domainname: str) -> list[Record]:
        """Return the addresses of a domain's mail servers, which are asked for together."""
        records = [one for one in self.dns(domainname, "MX") if isinstance(one, MxRecord)]
        if len(records) > spf.MAX_MX:
            raise spf.PermError(f"More than {spf.MAX_MX} MX records returned")
        hosts = [one.host for one in sorted(records, key=lambda one: (one.preference, one.host))]
        self._want([(asked(host), self.A) for host in hosts if host])
        return [address for host in hosts for address in self.dns_a(host, self.A)]

    def validated_ptrs(self) -> list[str]:
        """Return the names of the client that lead back to it: what DNS fails to tell of some does not hide others
        (RFC 7208 5.5)."""
        self._want([(self.c, "PTR")])
        found = self._answers[self.c, "PTR"]
        if not found:
            self._count_void()
        names = [str(name) for name in (found or ())[: spf.MAX_PTR]]
        self._want([(asked(name), self.A) for name in names if _can_be(asked(name))])
        return [name for name in names if self._leads_back(name)]

    def dns_txt(self, domainname: str, rr: str = "TXT", ignore_void: bool = False) -> list[bytes]:
        """Return the TXT records of a name that are not too long. :raises spf.PermError: its policy is."""
        found = self.dns(domainname, rr, ignore_void=ignore_void)
        texts = [text for text in found if isinstance(text, bytes)]
        if any(len(text) > MAX_RECORD and _RECORD.match(text) for text in texts):
            raise spf.PermError("SPF record is too long")
        return [text for text in texts if len(text) <= MAX_RECORD]

    def expand_domain(self, arg: str) -> str:
        """Return a domain with its macros expanded. :raises spf.PermError:"""
        if arg and len(arg) > MAX_SPEC:
            raise spf.PermError("Domain is too long")
        return str(super().expand_domain(arg))

    def expand(self, s: str, stripdot: bool = True) -> str:
        """Return a text with its macros expanded. :raises spf.PermError:"""
        if s.count("%") > MAX_MACROS or s.count(".") > MAX_LABELS:
            raise spf.PermError("Too many macros or labels")
        return str(super().expand(s, stripdot))

    def cidrmatch(self, ipaddrs: Iterable[Record], n: int) -> bool:
        """Whether one of these addresses is the client's, or shares its first ``n`` bits. :raises spf.PermError:"""
        if n == self.cidrmax and self.c in ipaddrs:
            return True
        family = AF_INET if self.cidrmax == 32 else AF_INET6
        rest, client = self.cidrmax - n, int(self.ipaddr)
        try:
            return any((int.from_bytes(inet_pton(family, str(one))) ^ client) >> rest == 0 for one in ipaddrs)
        except OSError:
            raise spf.PermError("Invalid IP address") from None

    # How it is answered

    def _want(self, questions: Iterable[Question]) -> None:
        """:raises AnswerMissing: not all of them have been asked."""
        missing = [question for question in questions if question not in self._answers and _can_be(question[0])]
        if missing:
            self.missing.update(dict.fromkeys(missing))
            raise AnswerMissing

    def _count_void(self) -> None:
        self.void_lookups += 1
        if self.void_lookups > spf.MAX_VOID_LOOKUPS:
            raise spf.PermError(f"Void lookup limit of {spf.MAX_VOID_LOOKUPS} exceeded")

    def _leads_back(self, name: str) -> bool:
        try:
            return bool(self.cidrmatch(self.dns(name, self.A, ignore_void=True), self.cidrmax))
        except spf.TempError:
            return False


def evaluate(who: SpfIdentity, answers: Mapping[Question, Answer], receiver: str, seconds: float) -> SpfOutcome:
    """Return the result for an identity, or what is to be asked first. Touches nothing else: it may run in a thread."""
    query = SpfQuery(who, answers, receiver, seconds)
    try:
        result, _, text = query.check()
    except AnswerMissing:
        return SpfOutcome(missing=tuple(query.missing))
    except Exception as error:  # a stranger wrote what pyspf stumbled over
        result, text = "permerror", f"cannot be evaluated: {type(error).__name__}"
    if query.missing:  # of an explanation: pyspf does without
        return SpfOutcome(missing=tuple(query.missing))
    return SpfOutcome(str(result), "" if text == spf.EXPLANATIONS.get(result) else str(text))


def depends_on_more(answers: Mapping[Question, Answer]) -> bool:
    """Whether a result may be another for the next message of the same client and domain, or at another time."""
    return any(
        isinstance(one, bytes) and _PER_MESSAGE.search(one) for answer in answers.values() for one in answer or ()
    )


def is_domain(domain: str) -> bool:
    """Whether a domain can have a policy (RFC 7208 4.3): several labels, none too long, no IP address."""
    return "." in domain and domain.isascii() and not domain.startswith("[") and _can_be(domain)


def asked(name: str) -> str:
    """Return a name as it is asked for: labels are cut from the left until it fits (RFC 7208 7.3)."""
    name = name.lower().removesuffix(".")
    while len(name) > MAX_NAME and "." in name:
        name = name[name.index(".", max(0, len(name) - MAX_NAME - 64)) + 1 :]
    return name


def _can_be(name: str) -> bool:
    # RFC 8616 4: a name that is not ASCII, by a sender's local part, matches nothing.
    if not name.isascii() or len(name) > MAX_NAME:
        return False
    return all(0 < len(label) < 64 for label in name.split("."))
