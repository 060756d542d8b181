"""iprev (RFC 8601 3): whether a client's IP address has a name that leads back to it."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, ensureDeferred
from zope.interface import implementer

from mailnode.errors import NoSuchName, ResolverFailure
from mailnode.interfaces.outbound import IResolver, Records
from mailnode.interfaces.policy import IPluginContext, IPolicy
from mailnode.interfaces.runtime import IClock
from mailnode.policy.options import OptionModel, score
from mailnode.values.authentication import AuthenticationResult
from mailnode.values.envelope import CLIENT_NAME
from mailnode.values.networks import ip_address
from mailnode.values.policy import PASS, PolicyRequest, Verdict

SECONDS = 8.0  # the client waits for our greeting
MAX_NAMES = 10  # of an address that are looked at


class IprevOptions(OptionModel):
    """Of the policy."""

    none: float = score(1.0, "the client's address has no name")
    fail: float = score(1.0, "it has names, and none of them leads back to it")


OPTIONS = IprevOptions


def make(options: IprevOptions, context: IPluginContext) -> IPolicy:
    """Return the policy."""
    return IprevPolicy(options, context.resolver, context.clock)


@implementer(IPolicy)
class IprevPolicy:
    """Asks DNS; a client on this machine has no name to speak of."""

    name = "iprev"
    stages = frozenset({"connect"})
    only_strangers = True

    def __init__(self, options: IprevOptions, resolver: IResolver, clock: IClock) -> None:
        self._options = options
        self._resolver = resolver
        self._clock = clock

    async def judge(self, request: PolicyRequest) -> Verdict:
        """See :class:`IPolicy`."""
        address = ip_address(request.origin.peer)
        if address is None or address.is_loopback:
            return PASS
        finding = ensureDeferred(self._find(str(address)))
        deadline = self._clock.callLater(SECONDS, finding.cancel)
        try:
            return await finding
        except CancelledError:
            if deadline.active():  # whoever waits for this has been cut off
                raise
            return Verdict(results=(_result("temperror", str(address)),))
        finally:
            if deadline.active():
                deadline.cancel()

    async def _find(self, address: str) -> Verdict:
        try:
            names = await self._resolver.ptr(address)
        except NoSuchName:
            names = Records()
        except ResolverFailure:
            return Verdict(results=(_result("temperror", address),))
        if not names:  # RFC 8601 2.7.3 calls this so
            reason = f"{address} has no name"
            return Verdict(score=self._options.none, reason=reason, results=(_result("permerror", address, reason),))
        failed = False
        for name in names[:MAX_NAMES]:
            try:
                if address in await (self._resolver.aaaa if ":" in address else self._resolver.a)(name):
                    return Verdict(tags={CLIENT_NAME: name}, results=(_result("pass", address),))
            except NoSuchName:
                pass
            except ResolverFailure:
                failed = True
        if failed:
            return Verdict(results=(_result("temperror", address),))
        reason = f"no name of {address} leads back to it"
        return Verdict(score=self._options.fail, reason=reason, results=(_result("fail", address, reason),))


def _result(word: str, address: str, reason: str = "") -> AuthenticationResult:
    return AuthenticationResult("iprev", word, (("policy.iprev", address),), reason)
