"""Text of messages as a reader sees it, for SEARCH: decoded headers, decoded bodies, HTML without its markup."""

from __future__ import annotations

import re
from html.entities import html5

from mailnode.message.headers import scan_fields, unfold
from mailnode.message.transfer import decode_transfer
from mailnode.message.words import clean, decode_bytes, decode_words
from mailnode.values.facts import Part

MAX_TEXT = 16 * 1024 * 1024  # octets of one part's raw body that are read

# Neither can run past the next "<", so that a text of nothing but "<" stays linear.
_TAG = re.compile(r"<(!--|/?[a-zA-Z][a-zA-Z0-9]*|[!?/])")
_TAG_END = re.compile(r"[<>]")
_ENTITY = re.compile(
    r"&(?:#([0-9]{1,7})(?![0-9])|#[xX]([0-9a-fA-F]{1,6})(?![0-9a-fA-F])|([A-Za-z][A-Za-z0-9]{1,30}));?"
)
_SPACES = re.compile(r"[ \t\r\n\f\v\xa0]+")
# Tags inside a word; every other one parts words.
_INLINE = frozenset(
    {"a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "del", "dfn", "em", "font", "i", "ins", "kbd"}
    | {"mark", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "tt", "u", "var", "wbr"}
)
# What tags show or lead to: no repetition can run past what closes it.
_TARGET = re.compile(
    r"""[\s"'/](?:href|src|alt|title|action|cite|value|placeholder|content|background|srcset|label)"""
    r"""[ \t\r\n]*=[ \t\r\n]*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""",
    re.IGNORECASE,
)
_HIDDEN = ("script", "style")


def header_text(block: bytes) -> str:
    """Return a header block as text, one unfolded field a line, encoded words decoded; lines that are no field as they stand
    among them, as a reader of the source sees them."""
    lines: list[str] = []
    position = 0
    for start, name, value_start, end in scan_fields(block):
        lines += _broken_lines(block[position:start])
        lines.append(f"{decode_bytes(name, '')}: {decode_words(unfold(block[value_start:end]))}")
        position = end
    return "\n".join(lines + _broken_lines(block[position:]))


def _broken_lines(octets: bytes) -> list[str]:
    """Return the lines up to an empty one, which ends the header."""
    if not octets or octets.startswith(b"\r\n"):
        return []
    lines = octets.partition(b"\r\n\r\n")[0].removesuffix(b"\r\n").split(b"\r\n")
    return [decode_words(unfold(line)) for line in lines]


def part_text(part: Part, raw: bytes, limit: int = MAX_TEXT) -> str:
    """Return the text of a text/* or message/* leaf, HTML with what it leads to; "" for every other part and for an
    unknown transfer encoding.

    :param raw: its body as it stands in the message, ``body_start`` to ``end``. :param limit: octets of it that are read.
    """
    if part.kind != "leaf" or not part.content_type.startswith(("text/", "message/")):
        return ""
    decoded = decode_transfer(raw[:limit], part.encoding)
    if decoded is None:
        return ""
    text = decode_bytes(decoded, part.charset)
    if part.content_type != "text/html":
        return text
    targets: list[str] = []
    shown = html_text(text, targets)
    return "\n".join([shown, *targets])


def html_text(markup: str, targets: list[str] | None = None) -> str:
    """Return HTML as plain text: tags, comments, scripts and styles left out, character references resolved, white
    space collapsed. Linear; broken markup gives what can be read.

    :param targets: where the links, addresses of pictures and texts that attributes hold are put.
    """
    out: list[str] = []
    position = 0
    lowered = ""
    while (tag := _TAG.search(markup, position)) is not None:
        out.append(markup[position : tag.start()])
        name = tag[1].lower()
        if name == "!--":
            end = markup.find("-->", tag.end())
            position = end + 3 if end >= 0 else len(markup)
            continue
        position = _tag_end(markup, tag.end())
        if targets is not None and position - tag.end() > 5:
            targets += [
                _ENTITY.sub(_character, found[1] or found[2] or found[3] or "")
                for found in _TARGET.finditer(markup, tag.end(), position)
            ]
        if name in _HIDDEN:
            lowered = lowered or _ascii_lower(markup)
            end = lowered.find("</" + name, position)
            position = end if end >= 0 else len(markup)
        if name.lstrip("/") not in _INLINE:
            out.append(" ")
    out.append(markup[position:])
    text = _ENTITY.sub(_character, "".join(out))
    return clean(_SPACES.sub(" ", text)).strip(" ")


def _tag_end(markup: str, position: int) -> int:
    """The offset behind a tag; one that never ends stops where the next begins."""
    end = _TAG_END.search(markup, position)
    if end is None:
        return len(markup)
    return end.end() if end[0] == ">" else end.start()


_TO_LOWER = {ord(c): c.lower() for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


def _ascii_lower(text: str) -> str:
    """Lower case of ASCII letters only: the length, and with it every offset, stays."""
    return text.translate(_TO_LOWER)


def _character(reference: re.Match[str]) -> str:
    if reference[3]:
        return html5.get(reference[3] + ";") or html5.get(reference[3]) or reference[0]
    point = int(reference[1]) if reference[1] else int(reference[2], 16)
    return chr(point) if 0 < point <= 0x10FFFF else "\ufffd"
