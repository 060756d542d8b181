"""When a certificate is renewed, and when something that failed is tried again.

Every time is UTC seconds. A time that lies further ahead than any of these rules ever sets comes from a clock that was wrong
then: it counts as come.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

DAY = 86_400.0
LIFETIME_PART = 2 / 3  # of a certificate's lifetime, after which it is renewed where the authority says nothing
LATEST_PART = 7 / 8  # at which it is renewed whatever the authority says
FIRST_RETRY = 600.0  # seconds; doubled after each failure. Let's Encrypt takes 5 failed proofs of a name in an hour
LONGEST_RETRY = DAY
SHORT_LIVED_PART = 1 / 12  # of its lifetime, which a retry of a short-lived certificate waits at most
LONGEST_WAIT = 7 * DAY  # that an authority may ask for
ASK_AGAIN = (
    6 * 3600.0
)  # seconds between questions for renewal information where the authority says nothing, RFC 9773 4.3.3
ASK_SOONEST, ASK_LATEST = 60.0, DAY  # RFC 9773 4.3.2


@dataclass(frozen=True, slots=True)
class RenewalWindow:
    """What an authority suggests (RFC 9773 4.2). ``ask_again``: seconds until it is asked again."""

    start: float
    end: float
    ask_again: float = ASK_AGAIN
    explanation: str = ""  # a URL

    def choose(self, uniform: Callable[[float, float], float]) -> float:
        """Return a time in it. :param uniform: as ``random.uniform``."""
        return uniform(self.start, self.end)


def renew_at(not_before: float, not_after: float, suggested: float = 0.0) -> float:
    """Return when a certificate is to be renewed. :param suggested: chosen in the authority's window; 0: it suggests none."""
    lifetime = max(0.0, not_after - not_before)
    if suggested:
        return min(suggested, not_before + LATEST_PART * lifetime)
    return not_before + LIFETIME_PART * lifetime


def retry_after(failures: int, lifetime: float, asked: float, uniform: Callable[[float, float], float]) -> float:
    """Return how many seconds to wait after so many failures one after the other.

    :param lifetime: seconds, of the certificate that is in use; 0: none is. :param asked: seconds the authority asks for.
    """
    longest = min(LONGEST_RETRY, lifetime * SHORT_LIVED_PART) if lifetime else LONGEST_RETRY
    wait = min(FIRST_RETRY * float(1 << min(failures - 1, 20)), max(longest, FIRST_RETRY))
    return max(wait * uniform(0.9, 1.1), min(asked, LONGEST_WAIT))


def is_due(at: float, now: float, longest: float) -> bool:
    """Whether a time has come. :param longest: seconds that it can lie ahead, by the rule that set it."""
    return at <= now or at - now > longest


def ask_again_after(said: float | None) -> float:
    """Return within which time the authority wants to be asked again, kept within reason."""
    return ASK_AGAIN if said is None else min(max(said, ASK_SOONEST), ASK_LATEST)
