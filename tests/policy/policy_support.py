"""What tests of policies have in common: a memory in a dict, requests, and asking."""

from twisted.internet.defer import Deferred
from zope.interface import implementer

from mailnode.interfaces.policy import IPolicyMemory
from mailnode.values.address import parse_address
from mailnode.values.authentication import AuthenticationResult
from mailnode.values.envelope import Envelope, Origin, Recipient
from mailnode.values.policy import Findings, PolicyRequest


@implementer(IPolicyMemory)
class MemoryInADict:
    def __init__(self, clock):
        self.clock = clock
        self.kept = {}
        self.counts = {}

    async def recall(self, space, key):
        said, until = self.kept.get((space, key), (None, 0.0))
        return said if self.clock.seconds() < until else None

    def remember(self, space, key, said, seconds):
        assert len(said) <= 200 and said.isascii() and said.isprintable()
        self.kept[space, key] = said, self.clock.seconds() + seconds

    def forget(self, space, key):
        self.kept.pop((space, key), None)

    async def take(self, space, counts):
        if any(self.counts.get((space, key), 0) >= most for key, most, _ in counts):
            return False
        for key, _, _ in counts:
            self.counts[space, key] = self.counts.get((space, key), 0) + 1
        return True


def ask(policy, request):
    """Return the verdict, or the Deferred of one that is not there yet."""
    asking = Deferred.fromCoroutine(policy.judge(request))
    done = []
    asking.addBoth(done.append)
    if not done:
        return asking
    if not hasattr(done[0], "action"):
        done[0].raiseException()
    return done[0]


def spf(domain, result="pass"):
    return AuthenticationResult("spf", result, (("smtp.mailfrom", f"someone@{domain}"),))


def request(stage, *recipients, peer="192.0.2.1", helo="", sender="a@far.test", header="", found=(), **more):
    """One at a stage: for "rcpt" with one recipient, for "end" with all of them."""
    origin = Origin("s1", "ESMTP", peer, helo)
    path = parse_address(sender) if sender else None
    whom = tuple(Recipient(parse_address(one)) for one in recipients or ("alice@us.test",))
    return PolicyRequest(
        stage,
        origin,
        path,
        whom[0] if stage == "rcpt" else None,
        Envelope("e1", path, whom, origin, 0.0) if stage == "end" else None,
        header=header.encode() + b"\r\n",
        found=found if isinstance(found, Findings) else Findings(tuple(found)),
        **more,
    )
