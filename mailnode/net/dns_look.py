"""What is told at the start of the resolvers in use."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mailnode.errors import DomainError
from mailnode.net.resolver import Resolver
from mailnode.values.events import emit

_log = Logger()


def look_at_dns(resolver: Resolver) -> Deferred[None]:
    """Ask once, and log it, whether answers are validated, as DANE needs them. The answer need not be waited for: it comes
    within the time of one look-up."""
    return Deferred.fromCoroutine(_look(resolver))


async def _look(resolver: Resolver) -> None:
    validated, reason = await _ask(resolver)
    emit(_log, "dns.validation", servers=",".join(resolver.servers), validated=validated, reason=reason)


async def _ask(resolver: Resolver) -> tuple[bool, str]:
    if not resolver.believed:
        return False, "the resolvers are not believed to validate (dns.validates)"
    try:
        validated = await resolver.is_validating()
    except DomainError:
        return False, "no answer for the root; answers marked as validated will be taken as such"
    return validated, "" if validated else "the resolvers do not validate: the root's answer was not marked"
