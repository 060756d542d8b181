"""Parts of a message by their way from its root, which they keep when a part beside them is changed."""

from __future__ import annotations

from collections.abc import Iterator

from mailnode.message.entity import Entity
from mailnode.message.headers import unfold
from mailnode.message.parameters import decode_parameter, parse_disposition, parse_media_type
from mailnode.sieve.mail import HeaderLine

PartPath = tuple[int, ...]  # which child, at each level from the root
MAX_LOOKED_AT = 1000  # parts of one message


def part_at(root: Entity, path: PartPath) -> Entity | None:
    """Return the part at the end of a way, None where it leads nowhere."""
    for number in path:
        if number >= len(root.children):
            return None
        root = root.children[number]
    return root


def paths_below(entity: Entity, path: PartPath) -> list[PartPath]:
    """Return the ways to a part and to all below it, in their order."""
    found: list[PartPath] = []
    waiting = [(entity, path)]
    while waiting and len(found) < MAX_LOOKED_AT:
        one, way = waiting.pop()
        found.append(way)
        waiting += [(child, (*way, number)) for number, child in reversed(list(enumerate(one.children)))]
    return found


def is_below(path: PartPath, other: PartPath) -> bool:
    """Whether the part at the end of a way stands in that at the end of another."""
    return len(path) > len(other) and path[: len(other)] == other


def walk(entity: Entity) -> Iterator[Entity]:
    """Yield a part and all below it, in their order."""
    for path in paths_below(entity, ()):
        found = part_at(entity, path)
        if found is not None:
            yield found


def field_aspects(line: HeaderLine, aspect: str, parameters: tuple[str, ...] = ()) -> list[str]:
    """Return what RFC 5703 4.1 says of a field: its type, subtype, both, or the values of parameters. Fields but Content-Type
    and Content-Disposition have no type: it is "" there."""
    value = unfold(line.body)
    media = parse_media_type(value)
    disposition = parse_disposition(value) if media is None else None
    if aspect == "param":
        known = media.parameters if media is not None else disposition[1] if disposition is not None else ()
        names = [name.lower().encode("utf-8", "replace") for name in parameters]
        there = {name.removesuffix(b"*") for name, _ in known}
        return [decode_parameter(known, name) for name in names if name in there]
    if not has_type(line):
        return [""]
    if media is not None:
        kind, subtype = media.type.decode(), media.subtype.decode()
    elif disposition is not None:
        kind, subtype = disposition[0].decode(), ""
    else:
        return []
    if aspect == "contenttype":
        return [f"{kind}/{subtype}" if subtype else kind]
    return [kind if aspect == "type" else subtype]


def has_type(line: HeaderLine) -> bool:
    """Whether a field is one of those that have a type (RFC 5703 4.1)."""
    return line.name.lower() in (b"content-type", b"content-disposition")
