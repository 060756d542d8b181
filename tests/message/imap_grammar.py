"""A strict reader of the IMAP text the renderer makes: tokens, then the productions of RFC 3501 9."""

from __future__ import annotations

import re

NUMBER = re.compile(rb"[0-9]+")
QUOTED = re.compile(rb'"((?:[^"\\\r\n\x00\x80-\xff]|\\["\\])*)"')
LITERAL = re.compile(rb"\{([0-9]+)\}\r\n")


def read(text):
    """Return nested lists of bytes, ints and None for one parenthesised value; assert that nothing is left."""
    value, end = _value(text, 0)
    assert end == len(text), text[end:]
    return value


def _value(text, at):
    if text.startswith(b"(", at):
        return _list(text, at + 1)
    if text.startswith(b"NIL", at):
        return None, at + 3
    if found := QUOTED.match(text, at):
        return re.sub(rb"\\(.)", rb"\1", found[1]), found.end()
    if found := LITERAL.match(text, at):
        end = found.end() + int(found[1])
        content = text[found.end() : end]
        assert len(content) == int(found[1])
        assert b"\0" not in content
        return content, end
    found = NUMBER.match(text, at)
    assert found, text[at : at + 40]
    return int(found[0]), found.end()


def _list(text, at):
    items = []
    assert not text.startswith(b")", at), "an empty list is NIL"
    while True:
        item, at = _value(text, at)
        items.append(item)
        if text.startswith(b")", at):
            return items, at + 1
        if text.startswith(b" ", at):
            at += 1
        else:  # only bodies and addresses stand side by side without a space
            assert isinstance(item, list) and text.startswith(b"(", at), text[at : at + 40]


def check_envelope(node):
    assert len(node) == 10
    for index in (0, 1, 8, 9):
        assert node[index] is None or isinstance(node[index], bytes)
    for index in range(2, 8):
        assert node[index] is None or isinstance(node[index], list)
        inside = False
        for address in node[index] or ():
            assert len(address) == 4
            assert all(part is None or isinstance(part, bytes) for part in address)
            if address[3] is None:
                assert inside == (address[2] is None), "group marks come in pairs"
                inside = not inside
            else:
                assert address[2] is not None
        assert not inside


def check_parameters(node):
    assert node is None or (node and len(node) % 2 == 0 and all(isinstance(item, bytes) for item in node))


def check_body(node, extended):
    """Check one body; return (subtype or media type, size or None, children) of the tree."""
    if isinstance(node[0], list):
        count = next(index for index, item in enumerate(node) if not isinstance(item, list))
        children = [check_body(child, extended) for child in node[:count]]
        rest = node[count:]
        assert isinstance(rest[0], bytes)
        assert len(rest) == (5 if extended else 1)
        if extended:
            check_parameters(rest[1])
            check_extension(rest[2:])
        return (b"multipart/" + rest[0], None, children)
    kind, subtype, parameters, ident, description, encoding, octets, *rest = node
    assert isinstance(kind, bytes) and isinstance(subtype, bytes)
    check_parameters(parameters)
    assert ident is None or isinstance(ident, bytes)
    assert description is None or isinstance(description, bytes)
    assert isinstance(encoding, bytes) and encoding
    assert isinstance(octets, int)
    children = []
    if (kind, subtype) == (b"message", b"rfc822"):
        check_envelope(rest[0])
        children = [check_body(rest[1], extended)]
        assert isinstance(rest[2], int)
        rest = rest[3:]
    elif kind == b"text":
        assert isinstance(rest[0], int)
        rest = rest[1:]
    assert len(rest) == (4 if extended else 0)
    if extended:
        assert rest[0] is None or isinstance(rest[0], bytes)
        check_extension(rest[1:])
    return (kind + b"/" + subtype, octets, children)


def check_extension(node):
    disposition, language, location = node
    if disposition is not None:
        assert len(disposition) == 2 and isinstance(disposition[0], bytes)
        check_parameters(disposition[1])
    assert language is None or isinstance(language, bytes) or all(isinstance(tag, bytes) for tag in language)
    assert location is None or isinstance(location, bytes)


def check_facts(facts, data):
    """Check the three texts of a message and that they agree with its parts."""
    check_envelope(read(facts.envelope))
    tree = check_body(read(facts.bodystructure), True)
    assert check_body(read(facts.body), False) == tree
    flat = []
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        flat.append(node)
        waiting.extend(reversed(node[2]))
    assert [node[0].decode() for node in flat] == [told_type(part) for part in facts.parts]
    for node, part in zip(flat, facts.parts, strict=True):
        assert node[1] is None or node[1] == part.end - part.body_start
    check_parts(facts, data)


def told_type(part):
    """A message that is not read as one, being in an encoding, is told as a file."""
    encoded = part.kind == "leaf" and part.content_type == "message/rfc822"
    return "application/octet-stream" if encoded else part.content_type


def check_parts(facts, data):
    """Offsets nest and never overlap; sections are unique."""
    assert facts.size == len(data)
    root = facts.parts[0]
    assert (root.section, root.header_start, root.end) == ("", 0, len(data))
    assert facts.header_size == root.body_start
    sections = [part.section for part in facts.parts]
    assert len(set(sections)) == len(sections)
    open_spans = []
    for part in facts.parts:
        assert 0 <= part.header_start <= part.body_start <= part.end <= len(data)
        while open_spans and not (
            open_spans[-1].body_start <= part.header_start
            and part.end <= open_spans[-1].end
            and _below(part, open_spans)
        ):
            closed = open_spans.pop()
            assert part.header_start >= closed.end or part.header_start == part.end
        open_spans.append(part)


def _below(part, open_spans):
    return open_spans[-1].kind != "leaf"
