"""IMAP responses as trees: lists, octets, atoms and None for NIL. Quoted or literal makes no difference."""

from __future__ import annotations

import re
from datetime import datetime

_ATOM = re.compile(rb'[^\s()"{}]*(?:\[[^\]]*\])?[^\s()"{}]*')
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_LITERAL = re.compile(rb"~?\{(\d+)\}\r\n")


class Atom(bytes):
    """What stood without quotes."""


def read(text: bytes) -> list:
    """Return what stands in a text. :raises ValueError: it is no list of values."""
    stack: list[list] = [[]]
    place = 0
    while place < len(text):
        if text[place : place + 1] == b" ":
            place += 1
        elif text[place : place + 1] == b"(":
            stack.append([])
            place += 1
        elif text[place : place + 1] == b")":
            closed = stack.pop()
            stack[-1].append(closed)
            place += 1
        else:
            value, place = _value(text, place)
            stack[-1].append(value)
    if len(stack) != 1:
        raise ValueError(text)
    return stack[0]


def _value(text: bytes, place: int) -> tuple[bytes | None, int]:
    if found := _QUOTED.match(text, place):
        return re.sub(rb"\\(.)", rb"\1", found[1], flags=re.DOTALL), found.end()
    if found := _LITERAL.match(text, place):
        end = found.end() + int(found[1])
        return text[found.end() : end], end
    found = _ATOM.match(text, place)
    if found is None or not found[0]:
        raise ValueError(text[place : place + 80])
    return None if found[0].upper() == b"NIL" else Atom(found[0]), found.end()


def fetched(lines: list[bytes]) -> dict[int, dict[bytes, object]]:
    """Return the items of each message that FETCH responses tell of, by number."""
    found: dict[int, dict[bytes, object]] = {}
    for line in lines:
        head = re.match(rb"\* (\d+) FETCH ", line)
        if head:
            [items] = read(line[head.end() :])
            found.setdefault(int(head[1]), {}).update(map(_item, items[::2], items[1::2]))
    return found


def _item(name: bytes, value: object) -> tuple[bytes, object]:
    """Two values are one where what they mean is the same: flags in any order, a moment in any zone."""
    if name == b"FLAGS":
        return name, {flag.lower() for flag in value}
    if name == b"INTERNALDATE":
        return name, datetime.strptime(value.decode(), "%d-%b-%Y %H:%M:%S %z")
    if name == b"ENVELOPE":
        return name, _envelope(value)
    return name.upper(), _body(value) if name in (b"BODY", b"BODYSTRUCTURE") else value


_ENVELOPE = ("date", "subject", "from", "sender", "reply-to", "to", "cc", "bcc", "in-reply-to", "message-id")


def _envelope(value: list) -> dict[str, object]:
    """RFC 3501 7.4.2: an address is a tuple of name, route, mailbox and host."""
    told = [list(map(tuple, field)) if isinstance(field, list) else field for field in value]
    return dict(zip(_ENVELOPE, told, strict=True))


def _body(value: list) -> dict[str, object]:
    """RFC 3501 7.4.2: what stands where. Names are in lower case, parameters in the order of their names."""
    count = next(index for index, part in enumerate(value) if not isinstance(part, list))
    if count:
        node = {"parts": list(map(_body, value[:count])), "type": b"multipart", "subtype": value[count].lower()}
        return node | _extension(("params", "disposition", "language", "location"), value[count + 1 :])
    node = dict(zip(("type", "subtype", "params", "id", "description", "encoding", "size"), value, strict=False))
    node |= {name: node[name].lower() for name in ("type", "subtype", "encoding")}
    rest = value[7:]
    if (node["type"], node["subtype"]) == (b"message", b"rfc822"):
        node |= {"envelope": _envelope(rest[0]), "body": _body(rest[1]), "lines": int(rest[2])}
        rest = rest[3:]
    elif node["type"] == b"text":
        node["lines"] = int(rest[0])
        rest = rest[1:]
    node |= {"size": int(node["size"]), "params": _parameters(node["params"])}
    return node | _extension(("md5", "disposition", "language", "location"), rest)


def _extension(names: tuple[str, ...], values: list) -> dict[str, object]:
    node = dict(zip(names, values, strict=False))
    if isinstance(node.get("disposition"), list):
        kind, parameters = node["disposition"]
        node["disposition"] = {"type": kind.lower(), "params": _parameters(parameters)}
    if isinstance(node.get("language"), bytes):
        node["language"] = [node["language"]]
    if "params" in node:
        node["params"] = _parameters(node["params"])
    return node


def _parameters(value: list | None) -> tuple | None:
    return value and tuple(sorted(zip((name.lower() for name in value[::2]), value[1::2], strict=True)))
