"""DMARC (RFC 9989): whether the domain that a message says it is from vouches for it, and what its owner wants of mail for
which it does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar, TypeVarTuple

from pydantic import Field
from twisted.internet.defer import Deferred, gatherResults
from zope.interface import implementer

from mailnode.interfaces.dmarc import IDmarcCounts
from mailnode.interfaces.outbound import IResolver
from mailnode.interfaces.policy import IPluginContext, IPolicy
from mailnode.interfaces.runtime import IClock, IThreads
from mailnode.message.dmarc import TOO_LONG, TOO_MANY, author_domains
from mailnode.message.headers import scan_fields
from mailnode.message.vouching import trusted_sealer, vouched
from mailnode.policy.dmarc_evaluation import Evaluation, Evaluator
from mailnode.policy.dmarc_walks import RecentWalks
from mailnode.policy.options import OptionModel
from mailnode.policy.timely import TimelyResolver
from mailnode.values.authentication import AuthenticationResult
from mailnode.values.dmarc import NONE, POLICIES, QUARANTINE, REJECT, Identifier
from mailnode.values.dmarc_report import DmarcSeen
from mailnode.values.policy import PASS, PolicyRequest, Verdict

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

LARGE = 32 * 1024  # octets of a header block from which on it is read in a thread

_OF_LISTS = frozenset({b"list-id", b"list-post"})  # RFC 2919, RFC 2369


class DmarcOptions(OptionModel):
    """Of the policy."""

    enforce: bool = Field(
        True,
        description="Whether what a domain asks for is done with mail that fails. false: it is only noted, and reported to "
        "those who ask for reports as an exception made here.",
    )
    refuse_lists: bool = Field(
        False,
        description="Whether mail that fails is refused, where its domain asks for that, also when it came through a mailing "
        "list. Else it goes into the junk mailbox: whoever refuses such mail is taken off the list.",
    )
    on_temperror: Literal["pass", "defer"] = Field(
        "pass", description="What happens while DNS does not answer: nothing, or the message is deferred."
    )
    unclear_from: float = Field(
        2.0,
        ge=0,
        le=100,
        allow_inf_nan=False,
        description="The score of a message without one From field that is clear: none, several, addresses of several "
        "domains, or what two programs could read differently.",
    )


OPTIONS = DmarcOptions


def make(options: DmarcOptions, context: IPluginContext) -> IPolicy:
    """Return the policy."""
    return DmarcPolicy(options, context.resolver, context.threads, context.dmarc_counts, context.clock)


def is_listed(block: bytes) -> bool:
    """Whether a header block says that the message came through a list; for a thread when it is large."""
    return any(name.lower() in _OF_LISTS for _, name, _, _ in scan_fields(block))


@dataclass(frozen=True, slots=True)
class Disposition:
    """What becomes of a message by DMARC: one of ``POLICIES``. ``override``: why it is not what its domain asks for, by RFC 9990
    3.1.6, "" where it is; ``comment``: more of that, in words."""

    policy: str = NONE
    override: str = ""
    comment: str = ""


AS_IT_COMES = Disposition()


@implementer(IPolicy)
class DmarcPolicy:
    """Goes by what SPF and DKIM found before."""

    name = "dmarc"
    stages = frozenset({"end"})
    only_strangers = True

    def __init__(
        self, options: DmarcOptions, resolver: IResolver, threads: IThreads, counts: IDmarcCounts, clock: IClock
    ) -> None:
        """:param counts: is told of each message of a domain that wants reports."""
        self._counts = counts
        self._options = options
        self._resolver = resolver
        self._threads = threads
        self._clock = clock
        self._recent = RecentWalks(clock)

    async def judge(self, request: PolicyRequest) -> Verdict:
        """See :class:`IPolicy`."""
        results = request.found.results
        if not any(one.method in ("spf", "dkim") for one in results):
            return PASS  # there is nothing to go by
        domains, fault = await self._authors(request)
        resolver = TimelyResolver(self._resolver, self._clock, request.dns_left)
        evaluator = Evaluator(resolver, self._recent, results, request.reverse_path is None)
        evaluated = await self._evaluated(evaluator, domains)
        decided = [
            (one, await self._decide(one, evaluator, request) if one.result == "fail" else AS_IT_COMES)
            for one in evaluated
        ]
        for one, disposition in decided:
            self._note(one, disposition, evaluator.known, request)
        if not decided:
            result = AuthenticationResult("dmarc", "permerror", reason=fault)
            # Nobody writes so much there but to hide the one that is shown.
            hides = self._options.enforce and fault in (TOO_MANY, TOO_LONG)
            action = "quarantine" if hides else "pass"
            return Verdict(action, score=self._options.unclear_from, reason=fault, results=(result,))
        worst, disposition = max(decided, key=_weight)
        return self._verdict(worst, disposition, fault)

    async def _authors(self, request: PolicyRequest) -> tuple[tuple[str, ...], str]:
        """Return what :func:`author_domains` does."""
        if request.ahead is not None and (read := await request.ahead({})) is not None:
            return read.authors
        return await self._read(author_domains, request.header)

    async def _evaluated(self, evaluator: Evaluator, domains: Sequence[str]) -> Sequence[Evaluation]:
        """Evaluate all domains, several at once: one whose servers are slow takes no time from another."""
        if len(domains) == 1:
            return [await evaluator.evaluate(domains[0])]
        return await gatherResults(
            [Deferred.fromCoroutine(evaluator.evaluate(domain)) for domain in domains], consumeErrors=True
        )

    async def _decide(self, one: Evaluation, evaluator: Evaluator, request: PolicyRequest) -> Disposition:
        """Return what becomes of a message, of one of the domains it says it is from, which does not vouch for it."""
        if one.published == NONE:
            return AS_IT_COMES
        if sealer := trusted_sealer(request.found.results):
            said = await self._read(vouched, request.header, request.found.results)
            if await evaluator.is_vouched_for(one, said):
                return Disposition(NONE, "trusted_forwarder", f"arc=pass, sealed by {sealer}")
        if not self._options.enforce:
            return Disposition(NONE, "local_policy")
        if one.applied == REJECT and not self._options.refuse_lists:
            passes = any(identifier.result == "pass" for identifier in evaluator.known)
            if passes and await self._read(is_listed, request.header):
                return Disposition(QUARANTINE, "mailing_list")
        if one.applied != one.published:
            return Disposition(one.applied, "policy_test_mode")
        return Disposition(one.applied)

    async def _read(self, read: Callable[[bytes, *Ts], T], block: bytes, *more: *Ts) -> T:
        """Have a header block read, in a thread when it is large."""
        return read(block, *more) if len(block) < LARGE else await self._threads.run("cpu", read, block, *more)

    def _note(
        self, one: Evaluation, disposition: Disposition, known: tuple[Identifier, ...], request: PolicyRequest
    ) -> None:
        if one.found is None or one.result not in ("pass", "fail") or not request.origin.peer:
            return
        passing = "pass" if one.result == "pass" and one.found.record.p != NONE else NONE
        self._counts.note(
            DmarcSeen(
                one.found,
                request.origin.peer,
                one.domain,
                request.reverse_path.domain_key if request.reverse_path is not None else "",
                disposition.policy if one.result == "fail" else passing,
                one.dkim,
                one.spf,
                disposition.override,
                disposition.comment,
                known,
            )
        )

    def _verdict(self, one: Evaluation, disposition: Disposition, fault: str) -> Verdict:
        properties = [("header.from", one.domain)]
        if one.found is not None:
            properties.append(("policy.dmarc", disposition.policy))
        result = AuthenticationResult("dmarc", one.result, tuple(properties))
        score = self._options.unclear_from if fault else 0.0
        reason = _words(one, disposition, fault)
        if one.result == "temperror" and self._options.on_temperror == "defer":
            return Verdict(
                "defer", "4.7.1", f"DMARC cannot be checked now: {one.reason}", reason=reason, results=(result,)
            )
        if disposition.policy == REJECT:
            assert one.found is not None
            text = f"Refused by the DMARC policy of {one.found.domain}: {one.reason}"
            return Verdict("refuse", "5.7.1", text, reason=reason, results=(result,))
        action = "quarantine" if disposition.policy == QUARANTINE else "pass"
        return Verdict(action, score=score, reason=reason, results=(result,))


def _weight(decided: tuple[Evaluation, Disposition]) -> tuple[int, int]:
    """Return what makes one of several domains the one that counts: the strictest policy, then the worst result."""
    one, disposition = decided
    return POLICIES.index(disposition.policy), ("pass", "none", "permerror", "temperror", "fail").index(one.result)


def _words(one: Evaluation, disposition: Disposition, fault: str) -> str:
    words = f"{one.result}, {one.reason}"
    if one.result == "fail":
        words += f"; {one.domain} asks for {one.published}" if one.published != NONE else "; nothing is asked for"
    if disposition.override:
        words += f", {disposition.policy} by {disposition.override}"
        words += f" ({disposition.comment})" if disposition.comment else ""
    return f"{words}; {fault}" if fault else words
