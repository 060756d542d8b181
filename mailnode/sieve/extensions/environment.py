"""What runs the script, and where (RFC 5183)."""

from __future__ import annotations

from mailnode.sieve.constructs import ArgumentKind, ScriptCall, SieveArgument, SieveExtension, SieveTest
from mailnode.sieve.extensions.looking import KEYS
from mailnode.sieve.run import ScriptRun

VENDOR = "vnd.dovecot."


def _environment(run: ScriptRun, call: ScriptCall) -> list[str]:
    """One item; of one that is not known nothing holds (RFC 5183 4)."""
    name = run.text(call, "name").lower()
    known = run.facts.environment
    if name.startswith(VENDOR) and "vnd.dovecot.environment" not in run.in_force:
        return []
    if name.startswith("imap.") and "imapsieve" in run.in_force:  # RFC 6785 4.2: empty where nothing happened in IMAP
        return [known.get(name, "")]
    value = known.get(name)
    return [value] if value is not None else []


EXTENSIONS = (
    SieveExtension(
        "environment",
        "RFC 5183",
        "the test environment",
        tests=(SieveTest("environment", (SieveArgument("name", ArgumentKind.STRING), KEYS), values=_environment),),
    ),
    SieveExtension(
        "vnd.dovecot.environment",
        "Pigeonhole",
        "${env.name} in strings, and items of Pigeonhole's",
        implies=("environment",),
        in_ihave=False,
    ),
)
