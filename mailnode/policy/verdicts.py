"""Whether a policy's answer is one at all. What a plug-in gives goes into replies of IMAP, headers and the database, where
nobody looks at it again; and what cannot be carried out would put the message off, try after try."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from math import isfinite

from mailnode.values.address import Address
from mailnode.values.authentication import AuthenticationResult
from mailnode.values.flags import MAX_KEYWORD_OCTETS, SYSTEM_MASK
from mailnode.values.mailbox import SPECIAL_USE
from mailnode.values.mailbox_name import mailbox_name
from mailnode.values.plan import AS_IT_IS, RecipientPlan
from mailnode.values.policy import PASS, Verdict

_ACTIONS = frozenset({"pass", "accept", "quarantine", "defer", "refuse"})
_OWN_ACTIONS = frozenset({"pass", "quarantine", "refuse"})
_WORD = re.compile(r"[a-z][a-z0-9-]{0,30}")  # RFC 8601 2.2: Keyword
_STATUS = re.compile(r"(?:[245]\.[0-9]{1,3}\.[0-9]{1,3})?")
# RFC 9051 9, flag-keyword: an atom. RFC 5322 2.2: fields, each with its continuations and CRLF, no other CR or LF.
_KEYWORD = re.compile(r'[^\x00-\x20\x7f-\U0010ffff(){%*"\\\]]+')
_FIELDS = re.compile(rb"(?:[!-9;-~]+:[^\r\n\0]*\r\n(?:[ \t][^\r\n\0]*\r\n)*)*")


def check(verdict: object) -> Verdict:
    """Return a verdict that can be carried out. :raises TypeError, ValueError: it says what is not right."""
    if verdict is PASS:
        return PASS
    if not isinstance(verdict, Verdict):
        raise TypeError(f"a verdict is a Verdict, not {type(verdict).__name__}")
    if verdict.__class__ is Verdict and _is_plain(verdict):
        _check_findings(verdict)
        return verdict
    if verdict.action not in _ACTIONS:
        raise ValueError("action: none of " + ", ".join(sorted(_ACTIONS)))
    if verdict.status != "" and not _STATUS.fullmatch(verdict.status):
        raise ValueError("status: no code of RFC 3463")
    _expect("text", verdict.text, str)
    _expect("tags", verdict.tags, dict)
    for line in verdict.headers:
        _check_fields("headers", line)
    _expect("hold", verdict.hold, bool)
    _check_findings(verdict)
    _expect("own", verdict.own, Mapping)
    for address, own in verdict.own.items():
        _expect("own", address, Address)
        check(own)
        if own.action not in _OWN_ACTIONS:
            raise ValueError("own: none of " + ", ".join(sorted(_OWN_ACTIONS)))
    if verdict.plan is not AS_IT_IS:
        _check_plan(verdict.plan)
    return verdict


def _is_plain(verdict: Verdict) -> bool:
    """Whether it says no more than what was found, as nearly all do: whatever else it could say is as in PASS."""
    return (
        verdict.action == "pass"
        and verdict.status == ""
        and verdict.text == ""
        and verdict.tags.__class__ is dict
        and not verdict.tags
        and verdict.headers == ()
        and verdict.plan is AS_IT_IS
        and verdict.hold is False
        and verdict.own.__class__ is dict
        and not verdict.own
    )


def _check_findings(verdict: Verdict) -> None:
    score, reason, results = verdict.score, verdict.reason, verdict.results
    if not (score.__class__ is float and reason.__class__ is str and results.__class__ is tuple):
        _expect("score", score, (int, float))
        _expect("reason", reason, str)
        _expect("results", results, tuple)
    if not isfinite(score):
        raise ValueError("score: no number")
    for result in results:
        _check_result(result)


@lru_cache(maxsize=256)  # those of an author and a client come again
def _check_result(result: object) -> None:
    """:raises TypeError: it cannot be compared with others either."""
    _expect("results", result, AuthenticationResult)
    assert isinstance(result, AuthenticationResult)
    if not (_WORD.fullmatch(result.method) and _WORD.fullmatch(result.result)):
        raise ValueError("results: no method and result of RFC 8601")


def _check_plan(plan: object) -> None:
    if not isinstance(plan, RecipientPlan):
        raise TypeError(f"plan: a RecipientPlan, not {type(plan).__name__}")
    _expect("plan.mailbox", plan.mailbox, str)
    if plan.mailbox:
        mailbox_name(plan.mailbox)
    _expect("plan.special_use", plan.special_use, str)
    if plan.special_use and plan.special_use not in SPECIAL_USE.values():
        raise ValueError("plan.special_use: none of " + ", ".join(sorted(SPECIAL_USE.values())))
    _expect("plan.flags", plan.flags, int)
    if plan.flags & ~SYSTEM_MASK:
        raise ValueError("plan.flags: others than the system's")
    _expect("plan.keywords", plan.keywords, tuple)
    for keyword in plan.keywords:
        if len(keyword) > MAX_KEYWORD_OCTETS or not _KEYWORD.fullmatch(keyword):
            raise ValueError("plan.keywords: one that no program could set")
    _expect("plan.redirects", plan.redirects, tuple)
    for redirect in plan.redirects:
        _expect("plan.redirects", redirect, Address)
    _expect("plan.discard", plan.discard, bool)
    _check_fields("plan.prefix", plan.prefix)


def _check_fields(what: str, fields: object) -> None:
    _expect(what, fields, bytes)
    if not _FIELDS.fullmatch(fields):  # type: ignore[call-overload]  # they are octets
        raise ValueError(f"{what}: not whole header fields, each with CRLF")


def _expect(what: str, value: object, kind: type | tuple[type, ...]) -> None:
    if not isinstance(value, kind):
        named = kind[-1] if isinstance(kind, tuple) else kind
        raise TypeError(f"{what}: {named.__name__}, not {type(value).__name__}")
