"""What a script may be and cost. All of it is counted, nothing is timed, so that a script ends alike on every machine."""

from __future__ import annotations

from dataclasses import dataclass

# When a script is compiled.
MAX_SCRIPT = 1024 * 1024  # octets
MAX_NESTING = 32  # blocks and tests within each other; RFC 5228 8.2 has no bound, 2.10 asks for 15
MAX_NODES = 20_000  # commands and tests of one script
MAX_WORD = 100  # characters of the name of a command, a test or a tag, each of which is told of in mistakes
MAX_STRING = 256 * 1024  # characters of one string, written or made
MAX_MISTAKES = 20  # that are told of one script
MAX_NUMBER = 2**63 - 1

# When it runs.
MAX_STEPS = (
    200_000  # a command, a test, a comparison; more for long texts, see ``run.PIECE`` and ``matching.CHARACTERS``
)
MAX_VARIABLES = 256  # RFC 5229 6 asks for 128
MAX_VARIABLE = 16 * 1024  # characters of a value; what is longer is cut (RFC 5229 6)
MAX_VARIABLE_NAME = 64  # characters; RFC 5229 6 asks for 32
MAX_CAPTURES = 99  # of one match; RFC 5229 6 asks for 9
MAX_LOGGED = 50  # lines of debug_log
MAX_INCLUDED = 50  # scripts that one run may take in, and 10 within each other
MAX_INCLUDE_DEPTH = 10
MAX_RUN_DEPTH = 100  # blocks in each other while a script runs, those of included scripts counted
MAX_LOOPS = 4  # over the parts of a message, in each other
MAX_HEADER_EDITS = 100  # fields that are added by one script


@dataclass(frozen=True, slots=True)
class ScriptLimits:
    """What whoever runs a script may set otherwise."""

    steps: int = MAX_STEPS
    actions: int = 32  # of all kinds
    redirects: int = 10
    notifications: int = 8
