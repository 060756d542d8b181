"""Wildcards of ``:matches`` (RFC 5228 2.7.1): what each stands for, in work that grows with the text alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

ONE = "?"
_Segment = tuple[str | None, ...]  # characters; None stands for any one


@lru_cache(maxsize=256)
def _segments(pattern: str) -> tuple[_Segment, ...]:
    """Return what stands between the asterisks. A backslash takes its meaning from what follows it."""
    segments: list[list[str | None]] = [[]]
    characters = iter(pattern)
    for character in characters:
        if character == "*":
            segments.append([])
        elif character == ONE:
            segments[-1].append(None)
        else:
            segments[-1].append(next(characters, "\\") if character == "\\" else character)
    return tuple(map(tuple, segments))


def match_wildcards(pattern: str, text: str, key: Callable[[str], str]) -> list[str] | None:
    """Return the whole text and what each wildcard stands for, the shortest that fits from the left (RFC 5229 3.2); None where
    the pattern does not fit.

    :param key: of the comparator; it maps character by character.
    """
    segments = [tuple([None if one is None else key(one) for one in segment]) for segment in _segments(pattern)]
    mapped = key(text)
    # A comparator may make several characters of one: then each stands for itself in a list.
    subject: Sequence[str] = mapped if len(mapped) == len(text) else [key(one) for one in text]
    starts = _starts(segments, subject)
    if starts is None:
        return None
    captured: list[str] = [text]
    position = 0
    for number, (segment, start) in enumerate(zip(segments, starts, strict=True)):
        if number:
            captured.append(text[position:start])
        captured += [text[start + at] for at, one in enumerate(segment) if one is None]
        position = start + len(segment)
    return captured


def _starts(segments: list[_Segment], subject: Sequence[str]) -> list[int] | None:
    """Return where each segment begins: the first at the start, the last at the end, each between as early as it fits."""
    first, last = segments[0], segments[-1]
    if not _fits(first, subject, 0):
        return None
    if len(segments) == 1:
        return [0] if len(first) == len(subject) else None
    starts, position = [0], len(first)
    for segment in segments[1:-1]:
        start = _find(segment, subject, position)
        if start < 0:
            return None
        starts.append(start)
        position = start + len(segment)
    end = len(subject) - len(last)
    return [*starts, end] if end >= position and _fits(last, subject, end) else None


def _fits(segment: _Segment, subject: Sequence[str], start: int) -> bool:
    if start + len(segment) > len(subject):
        return False
    return all(one is None or one == subject[start + at] for at, one in enumerate(segment))


def _find(segment: _Segment, subject: Sequence[str], start: int) -> int:
    """Return where a segment fits first, or -1. Where any character may stand in it, all places are tried at once: a bit for
    each character of the segment that what was read so far ends with."""
    if isinstance(subject, str) and None not in segment:
        return subject.find("".join([one for one in segment if one is not None]), start)
    if not segment:
        return start
    anywhere = sum(1 << at for at, one in enumerate(segment) if one is None)
    masks: dict[str, int] = {}
    for at, one in enumerate(segment):
        if one is not None:
            masks[one] = masks.get(one, anywhere) | 1 << at
    whole = 1 << (len(segment) - 1)
    state = 0
    for at in range(start, len(subject)):
        state = (state << 1 | 1) & masks.get(subject[at], anywhere)
        if state & whole:
            return at - len(segment) + 1
    return -1
