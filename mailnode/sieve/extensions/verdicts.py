"""What tests for spam and viruses found (RFC 5235)."""

from __future__ import annotations

from mailnode.sieve.constructs import ScriptCall, SieveExtension, SieveTag, SieveTest
from mailnode.sieve.extensions.looking import KEYS
from mailnode.sieve.run import ScriptRun

UNTESTED = "0"


def _spamtest(run: ScriptRun, call: ScriptCall) -> list[str]:
    """RFC 5235 2.2.1: 0 untested, 1 clear of spam to 10; with ``:percent`` 0 to 100, and nothing for what is untested."""
    found = run.facts.spam
    if found is None:
        return [] if call.has(":percent") or _counts(call) else [UNTESTED]
    share = min(max(found, 0.0), 1.0)
    return [str(round(share * 100)) if call.has(":percent") else str(1 + round(share * 9))]


def _virustest(run: ScriptRun, call: ScriptCall) -> list[str]:
    """RFC 5235 3.2: 0 untested, 1 clear, to 5 infected."""
    found = run.facts.virus
    if found is None:
        return [] if _counts(call) else [UNTESTED]
    return [str(min(max(found, 1), 5))]


def _counts(call: ScriptCall) -> bool:
    return call.match is not None and call.match.type.name == "count"


EXTENSIONS = (
    SieveExtension(
        "spamtest", "RFC 5235 2", "the test spamtest", tests=(SieveTest("spamtest", (KEYS,), values=_spamtest),)
    ),
    SieveExtension(
        "spamtestplus",
        "RFC 5235 2.3",
        ":percent of spamtest",
        tags=(SieveTag("percent", on=("spamtest",)),),
        implies=("spamtest",),
    ),
    SieveExtension(
        "virustest", "RFC 5235 3", "the test virustest", tests=(SieveTest("virustest", (KEYS,), values=_virustest),)
    ),
)
