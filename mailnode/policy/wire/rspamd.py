"""What rspamd answers to /checkv2: an object of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite

from mailnode.policy.wire.fields import MAX_FIELDS, field_line, shown
from mailnode.policy.wire.unreadable import Unreadable

MAX_SYMBOLS = 1000


@dataclass(frozen=True, slots=True)
class RspamdAnswer:
    """``action``: in rspamd's words. ``needed``: the score at which it refuses. ``symbols``: with what each counts. ``text``: what
    it would have the sender told. ``headers``: whole fields that it would have on top."""

    action: str
    score: float
    needed: float = 0.0
    symbols: tuple[tuple[str, float], ...] = ()
    text: str = ""
    headers: tuple[bytes, ...] = ()


def answer(content: bytes) -> RspamdAnswer:
    """Return what an answer says. :raises Unreadable:"""
    try:
        said: object = json.loads(content)
    except (ValueError, RecursionError):
        raise Unreadable("no JSON") from None
    fields = _object(said)
    action, score = fields.get("action"), _number(fields.get("score"))
    if not isinstance(action, str) or score is None:
        raise Unreadable("no action and score")
    text = _object(fields.get("messages")).get("smtp_message")
    return RspamdAnswer(
        shown(action).lower(),
        score,
        _number(fields.get("required_score")) or 0.0,
        tuple(_symbols(fields.get("symbols"))),
        shown(text) if isinstance(text, str) else "",
        tuple(_headers(_object(fields.get("milter")).get("add_headers"))),
    )


def _object(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e9 or not isfinite(value):
        return None
    return float(value)


def _symbols(symbols: object) -> Iterator[tuple[str, float]]:
    for name, symbol in list(_object(symbols).items())[:MAX_SYMBOLS]:
        score = _number(_object(symbol).get("score"))
        if score:
            yield shown(name), score


def _headers(fields: object) -> list[bytes]:
    """Return whole fields in their order. A value is text, an object with ``value`` and ``order``, or several of these."""
    wanted: list[tuple[float, bytes]] = []
    for name, values in _object(fields).items():
        for value in values if isinstance(values, list) else [values]:
            text = _object(value).get("value", value)
            if not isinstance(text, str) or len(wanted) >= MAX_FIELDS:
                continue
            line = field_line(name.encode("utf-8", "replace"), text.encode("utf-8", "replace"))
            if line is not None:
                wanted.append((_number(_object(value).get("order")) or 0.0, line))
    return [line for _, line in sorted(wanted, key=lambda one: one[0])]
