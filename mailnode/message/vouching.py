"""What those who sent a message on found out about it when it came to them, where the operator trusts them (ARC, RFC 8617 7.2).

A list changes what its members write, and the author's signature breaks with it. Where the chain holds, and everybody who sealed it
is trusted, what they saw may be believed in place of what can be seen no more.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mailnode.message.arc import RESULTS, read_chain
from mailnode.message.authres import read_results
from mailnode.values.authentication import AuthenticationResult

TRUSTED = (
    "policy.trusted"  # the property of a result "arc=pass" of ours: the last one who sealed; all who did are trusted
)
_METHODS = frozenset({"dkim", "dmarc", "spf"})
_BEHIND_INSTANCE = re.compile(rb"[ \t]*i[ \t]*=[ \t]*[0-9]+[ \t]*;")


def trusted_sealer(found: Sequence[AuthenticationResult]) -> str:
    """Return the last one who sealed, where the chain holds and all who did are trusted; else "".

    :param found: by our own policies.
    """
    for result in found:
        if (result.method, result.result) == ("arc", "pass"):
            return dict(result.properties).get(TRUSTED, "")
    return ""


def vouched(header: bytes, found: Sequence[AuthenticationResult]) -> tuple[AuthenticationResult, ...]:
    """Return what trusted sealers say of SPF, DKIM and DMARC, as they wrote it, that of the first sealer first.

    :param header: of the message, whole. :param found: by our own policies, of which "arc" has looked at this header.
    """
    if not trusted_sealer(found):
        return ()
    said: list[AuthenticationResult] = []
    sets = read_chain(header).sets
    for number in sorted(sets):
        for field in sets[number]:
            if field.is_named(RESULTS) and (instance := _BEHIND_INSTANCE.match(field.value)) is not None:
                said += read_results(field.value[instance.end() :])
    return tuple(result for result in said if result.method in _METHODS)
