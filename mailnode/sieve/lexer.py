"""The tokens of a script (RFC 5228 8.1), each with its place."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from mailnode.sieve.faults import ScriptMistake, ScriptRefused
from mailnode.sieve.limits import MAX_NUMBER, MAX_SCRIPT, MAX_STRING, MAX_WORD

IDENTIFIER, TAG, NUMBER, STRING, MARK, END = "identifier", "tag", "number", "string", "mark", "end"

# identifier = (ALPHA / "_") *(ALPHA / DIGIT / "_"); tag = ":" identifier; number = 1*DIGIT [ "K" / "M" / "G" ]
_TOKEN = re.compile(
    r"(?P<space>(?:[ \t\n]|\r\n){1,1000})"
    r"|(?P<comment>#[^\n]*)"
    r"|(?P<bracket>/\*)"
    r"|(?P<multiline>[Tt][Ee][Xx][Tt]:)"
    r"|(?P<identifier>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<tag>:[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<number>[0-9]+[KMGkmg]?(?![A-Za-z0-9_]))"
    r"|(?P<quoted>\")"
    r"|(?P<mark>[\[\](){},;])"
)
_QUOTE_MARK = re.compile(r'["\\]')
# multi-line = "text:" *(SP / HTAB) (hash-comment / CRLF)
_MULTILINE_START = re.compile(r"[ \t]*(?:#[^\n]*|\r)?\n")
_QUANTIFIERS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@dataclass(frozen=True, slots=True)
class SieveToken:
    """One token. ``value`` of a number is its amount, of a string its content with CRLF line ends, of anything else what is
    written, identifiers and tags in lower case and tags without their colon."""

    kind: str
    value: str | int
    line: int
    column: int


def decoded(source: bytes) -> str:
    """Return a script as text. :raises ScriptRefused: it is too long or no UTF-8 (RFC 5228 2.1)."""
    if len(source) > MAX_SCRIPT:
        raise ScriptRefused([ScriptMistake(1, 1, f"the script is longer than {MAX_SCRIPT} octets")])
    try:
        return source.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = source[: error.start].decode("utf-8")
        place = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise ScriptRefused([ScriptMistake(*place, "what stands here is not UTF-8")]) from None


def tokens(text: str) -> Iterator[SieveToken]:
    """Yield the tokens of a script, the last of them of kind ``END``. :raises ScriptRefused: what is none stands there."""
    return _Tokens(text).run()


class _Tokens:
    """One pass over a script."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]

    def _refused(self, offset: int, text: str) -> ScriptRefused:
        return ScriptRefused([ScriptMistake(*self._place(offset), text)])

    def _place(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def run(self) -> Iterator[SieveToken]:
        text = self._text
        if (nul := text.find("\0")) >= 0:
            raise self._refused(nul, "NUL may not stand in a script")
        position = 0
        while position < len(text):
            found = _TOKEN.match(text, position)
            if found is None:
                raise self._refused(position, _unknown(text, position))
            kind = found.lastgroup or ""
            start, position = position, found.end()
            if kind in ("space", "comment"):
                continue
            if kind == "bracket":
                position = self._comment_end(start)
                continue
            value: str | int = found[0]
            if kind == "number":
                value = self._number(found[0], start)
            elif kind == "quoted":
                kind, (value, position) = STRING, self._quoted(start)
            elif kind == "multiline":
                kind, (value, position) = STRING, self._multiline(start, position)
            elif kind != MARK:
                if position - start > MAX_WORD:
                    raise self._refused(start, f"a name has at most {MAX_WORD} characters")
                value = found[0].lstrip(":").lower()
            yield SieveToken(kind, value, *self._place(start))
        yield SieveToken(END, "", *self._place(len(text)))

    def _comment_end(self, start: int) -> int:
        end = self._text.find("*/", start + 2)
        if end < 0:
            raise self._refused(start, "this comment has no end: */ is missing")
        return end + 2

    def _number(self, written: str, start: int) -> int:
        quantifier = _QUANTIFIERS.get(written[-1].upper())
        digits = (written[:-1] if quantifier else written).lstrip("0")
        amount = int(digits or "0") * (quantifier or 1) if len(digits) < 20 else MAX_NUMBER + 1
        if amount > MAX_NUMBER:
            raise self._refused(start, f"the number is larger than {MAX_NUMBER}")
        return amount

    def _quoted(self, start: int) -> tuple[str, int]:
        pieces: list[str] = []
        position = start + 1
        while (mark := _QUOTE_MARK.search(self._text, position)) is not None:
            pieces.append(self._text[position : mark.start()])
            position = mark.end()
            if mark[0] == '"':
                return self._string("".join(pieces), start), position
            pieces.append(self._text[position : position + 1])
            position += 1
        raise self._refused(start, 'this string has no end: " is missing')

    def _multiline(self, start: int, position: int) -> tuple[str, int]:
        first = _MULTILINE_START.match(self._text, position)
        if first is None:
            raise self._refused(start, "nothing but a comment may stand behind text: in its line")
        lines: list[str] = []
        position = first.end()
        while True:
            end = self._text.find("\n", position)
            line = self._text[position : end if end >= 0 else len(self._text)].removesuffix("\r")
            if line == ".":
                return self._string("".join(lines), start), end + 1 if end >= 0 else len(self._text)
            if end < 0:
                raise self._refused(start, "this text has no end: a line with a dot alone is missing")
            lines.append(line.removeprefix(".") + "\r\n" if line.startswith("..") else line + "\r\n")
            position = end + 1

    def _string(self, value: str, start: int) -> str:
        if len(value) > MAX_STRING:
            raise self._refused(start, f"the string is longer than {MAX_STRING} characters")
        return value.replace("\r\n", "\n").replace("\n", "\r\n")


def _unknown(text: str, position: int) -> str:
    if text[position].isdigit():
        return "this is no number: digits may be followed by K, M or G alone"
    character = text[position]
    return (
        f"{character!r} may not stand here" if character.isprintable() else f"U+{ord(character):04X} may not stand here"
    )
