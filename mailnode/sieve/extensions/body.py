"""The body of a message (RFC 5173)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mailnode.message.entity import Entity
from mailnode.message.text import MAX_TEXT, part_text
from mailnode.message.transfer import decode_transfer
from mailnode.message.words import decode_bytes
from mailnode.sieve.constructs import ArgumentKind, ScriptCall, SieveArgument, SieveExtension, SieveTag, SieveTest
from mailnode.sieve.parts import walk
from mailnode.sieve.run import ScriptRun

TRANSFORM = "transform"
MAX_WAYS = 4  # to read one body that are kept: they may be large


def _body(run: ScriptRun, call: ScriptCall) -> list[str]:
    wanted = run.texts(call, ":content")
    way = ("raw",) if call.has(":raw") else ("content", *wanted) if call.has(":content") else ("text",)
    kept = run.mail.texts
    if way not in kept:
        if len(kept) >= MAX_WAYS:
            kept.clear()
        kept[way] = _read(run, way)
        for text in kept[way]:
            run.looked_at(text)
    return kept[way]


def _read(run: ScriptRun, way: tuple[str, ...]) -> list[str]:
    if way[0] == "raw":
        return [decode_bytes(run.mail.body, "")]
    return list(_texts(run) if way[0] == "text" else _contents(run, run.mail.root, way[1:]))


def _texts(run: ScriptRun) -> Iterator[str]:
    """What can be read of each part that is text; HTML without its markup."""
    for entity in walk(run.mail.root):
        if entity.kind == "leaf" and entity.media.type == b"text":
            yield readable_text(entity, run.mail.data)


def readable_text(entity: Entity, data: bytes) -> str:
    """Return what a person reads of a part that is text: HTML without its markup."""
    return part_text(entity.to_part(), data[entity.body_start : entity.end])


def _contents(run: ScriptRun, root: Entity, wanted: Sequence[str]) -> Iterator[str]:
    """RFC 5173 5.2: parts of these types, each for itself."""
    for entity in walk(root):
        if not any(_is_of(entity, kind) for kind in wanted):
            continue
        data = run.mail.data
        if entity.kind == "multipart":
            yield from _around(entity, data)
        elif entity.kind == "message":
            inner = entity.children[0]
            yield decode_bytes(data[inner.header_start : inner.body_start], "")
        else:
            yield leaf_text(entity, data)


def leaf_text(entity: Entity, data: bytes) -> str:
    """Return a part that holds no others, its encoding undone, as text."""
    raw = data[entity.body_start : entity.end][:MAX_TEXT]
    part = entity.to_part()
    decoded = decode_transfer(raw, part.encoding)
    return decode_bytes(raw if decoded is None else decoded, part.charset)


def _is_of(entity: Entity, wanted: str) -> bool:
    kind = f"{entity.media.type.decode('ascii', 'replace')}/{entity.media.subtype.decode('ascii', 'replace')}"
    wanted = wanted.lower()
    if not wanted:
        return True
    return kind == wanted if "/" in wanted else kind.partition("/")[0] == wanted


def _around(entity: Entity, data: bytes) -> Iterator[str]:
    """What stands before the first part and behind the last; the lines of delimiters are no part of it."""
    first, last = entity.children[0].header_start, entity.children[-1].end
    before = data[entity.body_start : first]
    delimiter = before.rfind(b"--" if before.startswith(b"--") and b"\r\n--" not in before else b"\r\n--")
    yield decode_bytes(before[: max(delimiter, 0)], "")
    yield decode_bytes(data[last : entity.end].removeprefix(b"\r\n").partition(b"\r\n")[2], "")


EXTENSIONS = (
    SieveExtension(
        "body",
        "RFC 5173",
        "the test body",
        tests=(
            SieveTest(
                "body",
                (SieveArgument("keys", ArgumentKind.STRINGS),),
                (
                    SieveTag("raw", group=TRANSFORM),
                    SieveTag("content", ArgumentKind.STRINGS, group=TRANSFORM),
                    SieveTag("text", group=TRANSFORM),
                ),
                values=_body,
                captures=False,
            ),
        ),
    ),
)
