"""What makes a new password too weak, in words.

Length does most against guessing; the rest is what everybody tries first: the commonest passwords, also with digits behind
them, runs and repetitions, and the account's own name and domain.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files
from itertools import pairwise

from mailnode.auth.passwords import password_octets

DIFFERENT = 5  # characters there must be at least
OWN_REST = 6  # characters that must be left over without the account's names

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NOT_UTF8 = re.compile(r"[\ud800-\udfff]")  # what Python reads other octets as
_ENDS = re.compile(r"\A[\W\d_]+|[\W\d_]+\Z")


def weakness(password: str, address: str, min_length: int, refuse_common: bool) -> str:
    """Return why a password is refused for an account, or "".

    :param min_length: in characters, as SASLprep leaves them. :param refuse_common: look further than its length.
    """
    if _NOT_UTF8.search(password):
        return "the password is not UTF-8"
    if _CONTROL.search(password):  # SASL PLAIN cannot carry a NUL (RFC 4616 2), nor a line of POP3 a line end
        return "a control character stands in the password: programs cannot send it"
    prepared = password_octets(password.encode("utf-8")).decode("utf-8", "replace")
    if len(prepared) < min_length:
        return f"the password has {len(prepared)} characters, and at least {min_length} are asked for"
    if not refuse_common:
        return ""
    plain = prepared.casefold()
    if len(set(plain)) < DIFFERENT:
        return f"the password has fewer than {DIFFERENT} different characters"
    if _is_run(plain):
        return "the password is a run of neighbours, such as 12345 or abcde"
    if plain in _common() or _bare(plain) in _common():
        return "the password is one of the commonest, or one with digits and signs around it: they are tried first"
    if _is_own(plain, address.casefold()):
        return "the password is made of the account's own name or domain"
    return ""


def _is_run(text: str) -> bool:
    steps = {ord(after) - ord(before) for before, after in pairwise(text)}
    return steps in ({1}, {-1}) or text in "1234567890" * 13 or text in "0987654321" * 13


def _bare(text: str) -> str:
    """A password without the digits and signs at its ends; a long passphrase keeps what is within."""
    return _ENDS.sub("", text)


def _is_own(password: str, address: str) -> bool:
    local, _, domain = address.rpartition("@")
    names = {local, domain, *re.split(r"[\W_]+", local), *domain.split(".")[:-1]}
    rest = password
    for name in sorted(names, key=len, reverse=True):
        if len(name) >= 3:
            rest = rest.replace(name, "")
    return rest != password and len(_bare(rest)) < OWN_REST


@lru_cache(maxsize=1)
def _common() -> frozenset[str]:
    return frozenset(files("mailnode.auth").joinpath("common_passwords.txt").read_text("utf-8").split())
