"""What was found about a message, as the fields on top of it say it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mailnode.message.authres import payload
from mailnode.values.authentication import AuthenticationResult
from mailnode.values.policy import ScoredReason

MAX_REASONS = 20  # those that weigh most
MAX_REASON = 200  # characters of one
_NOT_SHOWN = re.compile(r"[^ -~]")
_OUTCOMES = {"inbox": "not junk", "junk": "junk", "refuse": "junk"}


def authentication_results(hostname: str, results: Sequence[AuthenticationResult]) -> bytes:
    """Return the field of RFC 8601. :param hostname: whose results they are, in A-labels."""
    return f"Authentication-Results: {payload(hostname, results)}\r\n".encode("ascii")


def reason_field(outcome: str, reasons: Sequence[ScoredReason], threshold: float) -> bytes:
    """Return X-Mailnode-Reason: in words, what decided, and what weighed most. :param outcome: "inbox", "junk" or "refuse".
    :param threshold: the score from which on a message is junk; 0: the score does not decide."""
    score = sum([reason.score for reason in reasons])
    said = [_OUTCOMES[outcome] + (f", score {score:.1f} of {threshold:.1f}" if threshold else "")]
    weightiest = sorted(reasons, key=lambda reason: -abs(reason.score))[:MAX_REASONS]
    said += [_reason(reason) for reason in weightiest if reason.text]
    return ("X-Mailnode-Reason: " + ";\r\n ".join(said) + "\r\n").encode("ascii")


def _reason(reason: ScoredReason) -> str:
    text = reason.text[:MAX_REASON]
    if not (text.isascii() and text.isprintable()):
        text = _NOT_SHOWN.sub("?", text)
    text = text.strip() or "-"
    weight = f" ({reason.score:+.1f})" if reason.score else ""
    return f"{reason.policy}: {text}{weight}"
