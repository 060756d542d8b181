"""MTA-STS (RFC 8461): the policy that a domain has for those who send to it, fetched, kept and fetched anew."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailnode.errors import NoSuchName, ResolverFailure
from mailnode.interfaces.ephemeral import IStsPolicies
from mailnode.interfaces.outbound import IPolicyHost, IResolver, PolicyNotFetched
from mailnode.interfaces.runtime import IClock
from mailnode.values.events import emit
from mailnode.values.sts_policy import KeptStsPolicy, StsPolicy, read_id, read_policy
from mailnode.values.tls_report import TlsSession, reported_policy

REFRESH = 86_400.0  # seconds after which a policy is fetched anew though its record has not changed (RFC 8461 3.3)
RETRY = 300.0  # seconds after a failure until it is tried again (RFC 8461 3.3)
MAX_FAILURES = 10_000  # domains remembered

_log = Logger()


class StsUnknown(Exception):
    """Whether a domain has a policy cannot be told at present."""


class MtaSts:
    """The policies of other domains. One fetch of a domain is under way at a time; whoever else sends there waits for it."""

    def __init__(
        self,
        resolver: IResolver,
        host: IPolicyHost,
        kept: IStsPolicies,
        clock: IClock,
        note: Callable[[TlsSession], None] = lambda session: None,
    ) -> None:
        """:param clock: UTC: what is kept outlives the process. :param note: is told of policies that could not be had."""
        self._resolver = resolver
        self._host = host
        self._kept = kept
        self._clock = clock
        self._note = note
        self._failed: dict[str, tuple[str, float]] = {}  # domain -> id, UTC seconds until which it is not tried again
        self._waiting: dict[str, list[Deferred[KeptStsPolicy | None]]] = {}

    async def find(self, domain: str, *, certain: bool = False) -> StsPolicy | None:
        """Return the policy of a domain (its key) that counts now; None: there is none, it says so itself, or, unless that must
        be ``certain``, it cannot be told. :raises StsUnknown:"""
        if domain.startswith("["):
            return None
        try:
            found = await self._find(domain)
        except StsUnknown:
            if certain:
                raise
            return None
        return found.policy if found is not None and found.policy.mode != "none" else None

    async def _find(self, domain: str) -> KeptStsPolicy | None:
        kept = await self._kept.get(domain)
        if kept is not None and kept.expires <= self._clock.seconds():
            kept = None
        identity = await self._identity(domain)
        if not identity or not self._is_due(domain, identity, kept):
            return _known(domain, identity, kept)
        fetched: Deferred[KeptStsPolicy | None] = Deferred()
        self._waiting.setdefault(domain, []).append(fetched)
        if len(self._waiting[domain]) == 1:
            # By itself: whoever waits may be called off, and must not go on then as if there were no policy.
            Deferred.fromCoroutine(self._fetch(domain, identity)).addBoth(self._tell_all, domain)
        return _known(domain, identity, await fetched or kept)

    def _tell_all(self, result: KeptStsPolicy | Failure | None, domain: str) -> None:
        for waiting in self._waiting.pop(domain):
            waiting.callback(result)  # of a Failure Twisted makes an error

    async def _identity(self, domain: str) -> str | None:
        """Return the id that DNS has, None where it cannot be told: what is kept counts all the same (RFC 8461 5.1)."""
        try:
            return read_id(await self._resolver.txt(f"_mta-sts.{domain}"))
        except NoSuchName:
            return ""
        except ResolverFailure:
            return None

    def _is_due(self, domain: str, identity: str, kept: KeptStsPolicy | None) -> bool:
        now = self._clock.seconds()
        failed, until = self._failed.get(domain, ("", 0.0))
        if failed == identity and now < until <= now + RETRY:
            return False
        return kept is None or kept.id != identity or not 0 <= now - kept.fetched < REFRESH

    async def _fetch(self, domain: str, identity: str) -> KeptStsPolicy | None:
        """Fetch, keep and log a policy; None when that fails."""
        try:
            policy = read_policy(await self._host.fetch(domain))
        except PolicyNotFetched as failure:
            self._fail(domain, identity, failure.result, failure.text)
        except ValueError as error:
            self._fail(domain, identity, "sts-policy-invalid", str(error))
        else:
            emit(_log, "queue.sts_policy", domain=domain, id=identity, mode=policy.mode, max_age=policy.max_age)
            self._failed.pop(domain, None)
            kept = KeptStsPolicy(policy, identity, self._clock.seconds())
            await self._kept.put(domain, kept)
            return kept
        return None

    def _fail(self, domain: str, identity: str, result: str, reason: str) -> None:
        emit(_log, "queue.sts_policy", domain=domain, id=identity, result=result, reason=reason)
        self._note(TlsSession(domain, reported_policy(domain, "sts"), result=result, reason=reason))
        now = self._clock.seconds()
        if len(self._failed) >= MAX_FAILURES:
            self._failed = {name: failed for name, failed in self._failed.items() if failed[1] > now}
            if len(self._failed) >= MAX_FAILURES:
                self._failed.clear()
        self._failed[domain] = (identity, now + RETRY)


def _known(domain: str, identity: str | None, found: KeptStsPolicy | None) -> KeptStsPolicy | None:
    """Return what was found. :raises StsUnknown: it is nothing, though DNS does not say that there is none."""
    if found is None and identity != "":
        raise StsUnknown(f"the MTA-STS policy of {domain} cannot be had at present")
    return found
