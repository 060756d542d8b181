"""How relevant messages are that FUZZY keys hold for: 1 to 100 (RFC 6203 4). May run in another process.

A key's score is the share of its words that stand in the message, each counted by how nearly it does
(:mod:`mailnode.message.fuzzy`). Of several keys that all hold the mean counts, of alternatives the best.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from mailnode.imap.messages.judging import Header, Whole, looked_into, looks_everywhere
from mailnode.imap.messages.search_keys import And, NearlyInHeader, NearlyInText, Or, SearchKey, leaves
from mailnode.imap.messages.search_tests import HeaderFields
from mailnode.message.fuzzy import LookedInto
from mailnode.message.pieces import searched_pieces
from mailnode.message.search_text import fold
from mailnode.message.text import header_text
from mailnode.values.facts import Part, decode_parts

LEAST, MOST = 1, 100

Nearness: TypeAlias = tuple[tuple[int, ...], ...]  # of each word of each FUZZY leaf, so far
FuzzyLeaf: TypeAlias = NearlyInHeader | NearlyInText


def fuzzy_leaves(key: SearchKey) -> list[FuzzyLeaf]:
    """Return the leaves that have a score."""
    return [leaf for leaf in dict.fromkeys(leaves(key)) if isinstance(leaf, FuzzyLeaf)]


def score(key: SearchKey, nearness: Nearness) -> int:
    """Return a message's score. A key without FUZZY texts is held wholly."""
    scores = {leaf: sum(near) / len(near) for leaf, near in zip(fuzzy_leaves(key), nearness, strict=True) if near}
    found = _score(key, scores)
    return MOST if found is None else max(LEAST, round(found))


def _score(key: SearchKey, scores: dict[FuzzyLeaf, float]) -> float | None:
    if isinstance(key, FuzzyLeaf):
        return scores[key]
    if not isinstance(key, And | Or):
        return None  # what must not stand there has no share in it
    inner = key.keys if isinstance(key, And) else (key.left, key.right)
    known = [found for found in [_score(one, scores) for one in inner] if found is not None]
    if not known:
        return None
    return sum(known) / len(known) if isinstance(key, And) else max(known)


def of_header(key: SearchKey, header: bytes) -> Nearness:
    """Return how nearly the words stand in a message's own header."""
    fields, text = HeaderFields(header), LookedInto(fold(header_text(header)))
    near = []
    for leaf in fuzzy_leaves(key):
        where = text
        if isinstance(leaf, NearlyInHeader):
            where = LookedInto("\n".join(fields.texts(leaf.field)))
        elif not leaf.header:
            where = LookedInto("")
        near.append(tuple(map(where.nearness, leaf.words)))
    return tuple(near)


def of_piece(key: SearchKey, nearness: Nearness, part: Part, raw: bytes, in_body: bool) -> Nearness:
    """Return it again, when a piece of text was looked into as well."""
    text = looked_into(part, raw)
    return tuple(
        tuple(map(max, near, map(text.nearness, leaf.words)))
        if isinstance(leaf, NearlyInText) and (in_body or looks_everywhere(leaf))
        else near
        for leaf, near in zip(fuzzy_leaves(key), nearness, strict=True)
    )


def score_headers(key: SearchKey, headers: Sequence[Header]) -> list[int]:
    """Return the scores of messages by what is kept of their headers."""
    return [score(key, of_header(key, header)) for _, header in headers]


def score_wholes(key: SearchKey, messages: Sequence[Whole]) -> list[int]:
    """Return the scores of messages that are held."""
    found = []
    for _, header, parts, blob in messages:
        nearness = of_header(key, header)
        for piece in searched_pieces(decode_parts(parts)):
            nearness = of_piece(key, nearness, piece.part, blob[piece.start : piece.end], piece.in_body)
        found.append(score(key, nearness))
    return found
