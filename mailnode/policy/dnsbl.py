"""Lists in DNS (RFC 5782): of addresses, and of domains. Which of them are asked is said by the operator alone: by default none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf
from typing import Literal

from pydantic import Field, field_validator
from twisted.internet.defer import Deferred
from zope.interface import implementer

from mailnode.errors import BadAddress, ConfigurationError
from mailnode.interfaces.policy import IPluginContext, IPolicy
from mailnode.interfaces.runtime import IClock, IThreads
from mailnode.message.dmarc import author_domains
from mailnode.policy.dns_lists import (
    ADDRESSES,
    FROM,
    HELO,
    MAIL,
    DnsList,
    answer_pattern,
    domain_labels,
    reversed_address,
)
from mailnode.policy.list_lookups import Listed, ListLookups, within
from mailnode.policy.options import OptionModel
from mailnode.values.address import Address
from mailnode.values.policy import PASS, PolicyRequest, Verdict

LARGE = 32 * 1024  # octets of a header block from which on it is read in a thread
SHOWN = 3  # lists that a reason names

_Subject = tuple[str, str, str]  # kind, labels in DNS, what that is for people
_Found = tuple[str, Listed]  # kind, and what was found


class AnswerOptions(OptionModel):
    """What some answers of a list mean."""

    match: str = Field(description="``127.0.0.2``, ``127.0.0.4-7``, ``127.0.*.3`` or, of bits, ``127.0.0.&8``.")
    score: float = Field(ge=-100, le=100, allow_inf_nan=False, description="What such an answer adds to the score.")

    @field_validator("match")
    @classmethod
    def _is_pattern(cls, value: str) -> str:
        answer_pattern(value)
        return value


class DnsListOptions(OptionModel):
    """One list."""

    zone: str = Field(
        min_length=3, max_length=150, pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+$", description="In DNS."
    )
    of: list[Literal["ipv4", "ipv6", "helo", "mail", "from"]] = Field(
        ["ipv4", "ipv6"], min_length=1, description="What it is asked about."
    )
    score: float = Field(2.0, ge=-100, le=100, allow_inf_nan=False, description="What being listed adds to the score.")
    answers: list[AnswerOptions] = Field(
        [], description="Answers that count, each with its score; without any, all do."
    )
    accept: bool = Field(False, description="Whether what it lists is let in: no policy after this one is asked.")


class DnsblOptions(OptionModel):
    """Of the policy."""

    lists: list[DnsListOptions] = Field([], description="The lists.")
    refuse_at: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="The score of all lists together from which on a recipient is refused at RCPT, with 550 5.7.1. 0: they "
        "only score.",
    )
    refuse_clients_at: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="The score of all lists of addresses together from which on a client is refused before it is greeted, with "
        "554 5.7.1. 0: none is.",
    )
    exempt: list[str] = Field(
        ["postmaster"],
        description="Recipients that lists neither refuse nor score: a local part, or a whole address.",
    )
    timeout: float = Field(
        5.0, gt=0, le=20, description="Seconds for all lists together; what is not known then does not count."
    )


OPTIONS = DnsblOptions


def make(options: DnsblOptions, context: IPluginContext) -> IPolicy:
    """Return the policy. :raises ConfigurationError: no list could ever refuse a client."""
    if options.refuse_clients_at and not any(ADDRESSES & set(one.of) for one in options.lists):
        raise ConfigurationError(["refuse_clients_at: no list is asked about addresses"])
    lookups = ListLookups(context.resolver, context.clock, "dnsbl")
    return DnsblPolicy(options, lookups, context.clock, context.threads)


@implementer(IPolicy)
class DnsblPolicy:
    """Begins to ask as soon as there is something to ask about, and judges each recipient."""

    name = "dnsbl"
    stages = frozenset({"connect", "helo", "mail", "rcpt", "end"})
    only_strangers = True

    def __init__(self, options: DnsblOptions, lookups: ListLookups, clock: IClock, threads: IThreads) -> None:
        self._lists = [_list(one) for one in options.lists]
        self.stages = _stages(self._lists)
        self._refuse_at = options.refuse_at
        self._refuse_clients_at = options.refuse_clients_at
        self._exempt = frozenset(one.lower() for one in options.exempt)
        self._timeout = options.timeout
        self._lookups = lookups
        self._clock = clock
        self._threads = threads

    async def judge(self, request: PolicyRequest) -> Verdict:
        """See :class:`IPolicy`."""
        if request.submission:  # who has not logged in yet
            return PASS
        if request.stage == "rcpt":
            assert request.recipient is not None
            if self._is_exempt(request.recipient.address):
                return PASS
            return self._verdict(await self._found(list(_of_envelope(request))), self._refuse_at)
        if request.stage == "end":
            return await self._judge_message(request)
        if request.stage == "connect" and self._refuse_clients_at:
            verdict = self._verdict(await self._found(list(_of_client(request))), self._refuse_clients_at)
            return verdict if verdict.action == "refuse" else PASS  # it counts at RCPT, once
        for one, _, labels, what in self._questions(list(_of_envelope(request))):
            Deferred.fromCoroutine(self._lookups.look(one, labels, what))  # whoever asks again finds the answer
        return PASS

    async def _judge_message(self, request: PolicyRequest) -> Verdict:
        """Score who it says it is from; what was let in at RCPT is let in here too."""
        found = await self._found([*_of_client(request), *await self._authors(request)], request.dns_left())
        verdict = self._verdict([one for one in found if one[0] == FROM or one[1].list.accepts], self._refuse_at)
        recipients = [one.address for one in request.envelope.recipients] if request.envelope is not None else []
        judged = [address for address in recipients if not self._is_exempt(address)]
        if verdict is PASS or verdict.action == "accept" or len(judged) == len(recipients):
            return verdict
        return Verdict(own=dict.fromkeys(judged, verdict)) if judged else PASS

    def _questions(self, subjects: Sequence[_Subject]) -> list[tuple[DnsList, str, str, str]]:
        """Return what each list is to be asked, once: list, kind, labels, what they are."""
        asked: dict[tuple[str, str], tuple[DnsList, str, str, str]] = {}
        for one in self._lists:
            for kind, labels, what in subjects:
                if kind in one.of:
                    asked.setdefault((one.zone, labels), (one, kind, labels, what))
        return list(asked.values())

    async def _found(self, subjects: Sequence[_Subject], seconds: float = inf) -> list[_Found]:
        """:param seconds: at most, should that be less than they all have."""
        return await within(
            self._clock, min(seconds, self._timeout), [self._look(*one) for one in self._questions(subjects)]
        )

    async def _look(self, one: DnsList, kind: str, labels: str, what: str) -> _Found | None:
        listed = await self._lookups.look(one, labels, what)
        return (kind, listed) if listed is not None else None

    def _verdict(self, found: Sequence[_Found], refuse_at: float) -> Verdict:
        listed = [one for _, one in found]
        if allowed := next((one for one in listed if one.list.accepts), None):
            return Verdict("accept", reason=allowed.text)
        if not listed:
            return PASS
        total = sum(one.weight for one in listed)
        weightiest = sorted(listed, key=lambda one: -abs(one.weight))[:SHOWN]
        reason = ", ".join(one.text for one in weightiest)
        if 0 < refuse_at <= total:
            return Verdict("refuse", "5.7.1", f"Refused: {weightiest[0].text}", reason=reason)
        return Verdict(score=total, reason=reason)

    async def _authors(self, request: PolicyRequest) -> list[_Subject]:
        if not any(FROM in one.of for one in self._lists):
            return []
        block = request.header
        large = len(block) >= LARGE
        domains, _ = await self._threads.run("cpu", author_domains, block) if large else author_domains(block)
        return [(FROM, labels, domain) for domain in domains if (labels := domain_labels(domain))]

    def _is_exempt(self, recipient: Address) -> bool:
        local = recipient.local.lower()
        return local in self._exempt or f"{local}@{recipient.domain.lower()}" in self._exempt


def _stages(lists: Sequence[DnsList]) -> frozenset[str]:
    """Return where there is something to do."""
    kinds = {kind for one in lists for kind in one.of}
    stages = {"connect", "rcpt"} if kinds & ADDRESSES else set()
    for kind, stage in ((HELO, "helo"), (MAIL, "mail")):
        if kind in kinds:
            stages |= {stage, "rcpt"}
    if FROM in kinds or any(one.accepts for one in lists):
        stages.add("end")
    return frozenset(stages)


def _list(options: DnsListOptions) -> DnsList:
    answers = tuple((answer_pattern(one.match), one.score) for one in options.answers)
    return DnsList(options.zone.lower(), options.score, frozenset(options.of), answers, options.accept)


def _of_client(request: PolicyRequest) -> Iterator[_Subject]:
    found = reversed_address(request.origin.peer)
    if found is not None:
        yield (*found, request.origin.peer)


def _of_envelope(request: PolicyRequest) -> Iterator[_Subject]:
    """Yield what is known at a stage before the message, and can be asked about."""
    yield from _of_client(request)
    if labels := domain_labels(request.origin.helo):
        yield HELO, labels, labels
    if request.reverse_path is not None:
        try:
            labels = domain_labels(request.reverse_path.domain_key)
        except BadAddress:
            labels = ""
        if labels:
            yield MAIL, labels, labels
