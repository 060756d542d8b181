"""SEARCH keys that need the message itself, judged together: each text is decoded once, however many keys look into it.

A key is a tree. What is known of its leaves makes it smaller, up to True or False: first the header decides what it can,
then one piece of text after another. Everything here may run in another process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from mailnode.imap.messages.search_keys import (
    And,
    InBody,
    InHeader,
    InText,
    NearlyInHeader,
    NearlyInText,
    Not,
    Or,
    SearchKey,
    leaves,
)
from mailnode.imap.messages.search_tests import HeaderFields
from mailnode.message.fuzzy import LookedInto
from mailnode.message.pieces import searchable, searched_pieces
from mailnode.message.search_text import fold
from mailnode.message.text import header_text
from mailnode.values.facts import Part, decode_parts

Tree = SearchKey | bool  # what is left to be decided, or the decision

# A whole message: which of the trees is asked of it, its own header with the prefix, its parts encoded, its blob.
Whole = tuple[int, bytes, bytes, bytes]
Header = tuple[int, bytes]  # the same, of what is kept of its header alone


def reduced(key: SearchKey, known: Mapping[SearchKey, Tree]) -> Tree:
    """Return a tree with what is known of some of its branches put in: the decision, or what is left of one."""
    decision = known.get(key)
    if decision is not None:
        return decision
    if isinstance(key, Not):
        inner = reduced(key.key, known)
        return not inner if isinstance(inner, bool) else Not(inner)
    if isinstance(key, Or):
        left = reduced(key.left, known)
        if left is True:
            return True
        right = reduced(key.right, known)
        if isinstance(right, bool):
            return True if right else left
        return right if left is False else Or(left, right)
    if isinstance(key, And):
        rest: list[SearchKey] = []
        for inner_key in key.keys:
            inner = reduced(inner_key, known)
            if inner is False:
                return False
            if inner is not True:
                rest.append(inner)
        if len(rest) < 2:
            return rest[0] if rest else True
        return And(tuple(rest))
    return key


def asked_of(tree: SearchKey, in_body: bool) -> list[SearchKey]:
    """Return the leaves that look into a piece of text, once each. :param in_body: BODY does, not TEXT alone."""
    return [leaf for leaf in dict.fromkeys(leaves(tree)) if in_body or looks_everywhere(leaf)]


def looks_everywhere(leaf: SearchKey) -> bool:
    """Whether a leaf looks into the header and the body."""
    return isinstance(leaf, InText) or (isinstance(leaf, NearlyInText) and leaf.header)


class TextJudge:
    """One tree that is asked of messages, its texts folded once."""

    def __init__(self, key: SearchKey) -> None:
        """:param key: of header and text keys alone."""
        self._key = key
        self._needles: dict[SearchKey, str] = {
            leaf: fold(leaf.text) for leaf in leaves(key) if isinstance(leaf, InHeader | InBody | InText)
        }
        self._in_header = [leaf for leaf in leaves(key) if isinstance(leaf, NearlyInHeader)]
        self._everywhere = [leaf for leaf in leaves(key) if isinstance(leaf, NearlyInText) and leaf.header]

    def by_header(self, header: bytes) -> Tree:
        """Return what a message's own header leaves open."""
        fields = HeaderFields(header)
        known: dict[SearchKey, Tree] = {leaf: _in_fields(leaf, fields) for leaf in self._in_header}
        text: str | None = None
        for leaf, needle in self._needles.items():
            if isinstance(leaf, InHeader):
                known[leaf] = fields.hold(leaf.field, needle)
            elif not needle:
                known[leaf] = True
            elif isinstance(leaf, InText):
                text = fold(header_text(header)) if text is None else text
                if needle in text:
                    known[leaf] = True
        if self._everywhere:
            words = LookedInto(fold(header_text(header)) if text is None else text)
            known.update({leaf: _left_of(leaf, words) for leaf in self._everywhere})
        return reduced(self._key, known)

    def by_piece(self, tree: SearchKey, part: Part, raw: bytes, asked: Sequence[SearchKey]) -> Tree:
        """Return what a piece of text leaves open of a tree. :param asked: the leaves to look for."""
        if not asked:
            return tree
        text = folded(part, raw)
        known: dict[SearchKey, Tree] = {}
        for leaf in asked:
            if isinstance(leaf, NearlyInText):
                known[leaf] = _left_of(leaf, looked_into(part, raw))
            elif self._needles[leaf] in text:
                known[leaf] = True
        return reduced(tree, known)

    def whole(self, header: bytes, parts: Sequence[Part], blob: bytes) -> bool:
        """Return the decision about a message that is held."""
        tree = self.by_header(header)
        for piece in searched_pieces(parts):
            if isinstance(tree, bool):
                return tree
            asked = asked_of(tree, piece.in_body)
            tree = self.by_piece(tree, piece.part, blob[piece.start : piece.end], asked)
        return not_found(tree)


def _in_fields(leaf: NearlyInHeader, fields: HeaderFields) -> bool:
    text = LookedInto("\n".join(fields.texts(leaf.field)))
    return sum(map(text.has, leaf.words)) >= leaf.needed


def _left_of(leaf: NearlyInText, text: LookedInto) -> Tree:
    """Return what must still be found elsewhere."""
    words = tuple([word for word in leaf.words if not text.has(word)])
    needed = leaf.needed - (len(leaf.words) - len(words))
    return needed <= 0 or replace(leaf, words=words, needed=needed)


@lru_cache(maxsize=1)
def looked_into(part: Part, raw: bytes) -> LookedInto:
    """Return a piece's text as words are looked for in it. The last one is kept."""
    return LookedInto(folded(part, raw))


@lru_cache(maxsize=1)
def folded(part: Part, raw: bytes) -> str:
    """Return a piece's text as substrings are compared. The last one is kept: clients ask several times for the same."""
    return fold(searchable(part, raw))


def not_found(tree: Tree) -> bool:
    """Return the decision when there is no further text: what was not found is not there."""
    if isinstance(tree, bool):
        return tree
    return reduced(tree, dict.fromkeys(leaves(tree), False)) is True


# What runs in another process


def judge_wholes(keys: Sequence[SearchKey], messages: Sequence[Whole]) -> list[bool]:
    """Return the decisions about several messages."""
    judges = [TextJudge(key) for key in keys]
    return [judges[which].whole(header, decode_parts(parts), blob) for which, header, parts, blob in messages]


def judge_headers(keys: Sequence[SearchKey], headers: Sequence[Header]) -> list[bool]:
    """Return the decisions about several messages, of whose header all that is asked is kept."""
    judges = [TextJudge(key) for key in keys]
    return [not_found(judges[which].by_header(header)) for which, header in headers]


def judge_header(key: SearchKey, header: bytes) -> Tree:
    """Return what the header of one message leaves open."""
    return TextJudge(key).by_header(header)


def judge_piece(key: SearchKey, part: Part, raw: bytes, asked: Sequence[SearchKey]) -> Tree:
    """Return what one piece of text leaves open."""
    return TextJudge(key).by_piece(key, part, raw, asked)
