"""Whether anybody vouches for the reverse-path of a message, so that notices may go there.

What nobody vouches for anybody may have written, and a notice would go to somebody who sent nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.errors import BadAddress
from mailnode.values.address import Address, domain_key
from mailnode.values.authentication import AuthenticationResult

# Where each method says for which domain it passed.
_DOMAINS = {"spf": "smtp.mailfrom", "dkim": "header.d", "dmarc": "header.from"}


def may_be_forged(reverse_path: Address, results: Sequence[AuthenticationResult]) -> bool:
    """Whether SPF was looked at, and nobody vouches for the domain of a reverse-path."""
    looked = [one for one in results if one.method == "spf" and "smtp.mailfrom" in dict(one.properties)]
    return bool(looked) and not is_vouched_for(reverse_path, results)


def is_vouched_for(reverse_path: Address, results: Sequence[AuthenticationResult]) -> bool:
    """Whether SPF or a signature vouches for the domain of a reverse-path.

    A signature, or DMARC, does for its domain and for those below it: who can publish keys there could publish them here.
    """
    own = _key(reverse_path.domain)
    return bool(own) and any(one.result == "pass" and _vouches(one, own) for one in results)


def _vouches(result: AuthenticationResult, own: str) -> bool:
    named = dict(result.properties).get(_DOMAINS.get(result.method, ""), "")
    if not named or not (domain := _key(named.rpartition("@")[2])):
        return False
    return own == domain or (result.method != "spf" and "." in domain and own.endswith(f".{domain}"))


def _key(domain: str) -> str:
    try:
        return domain_key(domain)
    except BadAddress:
        return ""
