"""The chain: every policy in order, one verdict. The only place that decides.

A policy that raises, or gives what is no verdict, has no opinion (``on_failure`` "pass") or defers the message ("defer");
it never refuses. All policies of one stage together have 30 seconds; after that the verdict is defer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twisted.internet.defer import CancelledError, ensureDeferred
from twisted.logger import Logger
from zope.interface import implementer

from mailnode.interfaces.policy import IPolicy, IPolicyChain
from mailnode.interfaces.runtime import IClock
from mailnode.policy.verdicts import check
from mailnode.values.events import emit
from mailnode.values.plan import AS_IT_IS
from mailnode.values.policy import PASS, PolicyRequest, Verdict

DEADLINE = 30.0  # seconds

_log = Logger()
_DEFER = Verdict("defer", "4.7.1", "Message cannot be checked now, try again later")


@dataclass(frozen=True, slots=True)
class ChainedPolicy:
    """One policy in the chain. ``on_failure``: "pass" or "defer"."""

    policy: IPolicy
    on_failure: str = "pass"


@implementer(IPolicyChain)
class PolicyChain:
    """Policies in the order of the configuration."""

    def __init__(self, links: Sequence[ChainedPolicy], clock: IClock) -> None:
        self._by_stage: dict[str, list[ChainedPolicy]] = {}
        for link in links:
            for stage in link.policy.stages:
                self._by_stage.setdefault(stage, []).append(link)
        self._clock = clock

    def judges(self, stage: str) -> bool:
        """See :class:`IPolicyChain`."""
        return stage in self._by_stage

    async def ask(self, request: PolicyRequest) -> Verdict:
        """Return one verdict: the first refuse or defer; else pass or accept with all tags, headers and plans, to be held when
        one wants it."""
        links = self._by_stage.get(request.stage)
        if not links:
            return PASS
        asking = ensureDeferred(self._ask_all(links, request))
        deadline = self._clock.callLater(DEADLINE, asking.cancel)
        try:
            return await asking
        except CancelledError:
            self._log_failure(request, "deadline", "no verdict within 30 s")
            return _DEFER
        finally:
            if deadline.active():
                deadline.cancel()

    async def _ask_all(self, links: Sequence[ChainedPolicy], request: PolicyRequest) -> Verdict:
        tags: dict[str, str] = {}
        headers: tuple[bytes, ...] = ()
        plan = AS_IT_IS
        action, hold = "pass", False
        for link in links:
            verdict = await self._ask_one(link, request)
            tags.update(verdict.tags)
            headers += verdict.headers
            plan = plan.then(verdict.plan)
            hold = hold or verdict.hold
            if verdict.action in ("refuse", "defer"):
                return Verdict(verdict.action, verdict.status, verdict.text, tags, headers)
            if verdict.action == "accept":
                action = "accept"
                break
        return Verdict(action, tags=tags, headers=headers, plan=plan, hold=hold)

    async def _ask_one(self, link: ChainedPolicy, request: PolicyRequest) -> Verdict:
        try:
            return check(await link.policy.judge(request))
        except CancelledError:
            raise
        except Exception as error:  # a plug-in's trouble is its own: named in the log, never the peer's
            self._log_failure(request, link.policy.name, f"{type(error).__name__}: {error}")
            return _DEFER if link.on_failure == "defer" else PASS

    def _log_failure(self, request: PolicyRequest, policy: str, error: str) -> None:
        emit(_log, "policy.failed", warning=True, session=request.origin.session, policy=policy, error=error)
