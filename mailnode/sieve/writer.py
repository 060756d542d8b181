"""A tree as the text of a script: what is read again as the same tree."""

from __future__ import annotations

from collections.abc import Iterable

from mailnode.sieve.tree import ScriptArgument, ScriptNode


def write(nodes: Iterable[ScriptNode]) -> str:
    """Return the text of commands, with CRLF line ends."""
    return "".join(line + "\r\n" for node in nodes for line in _command(node, ""))


def quoted(text: str) -> str:
    """Return a text as a quoted string (RFC 5228 8.1)."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _command(node: ScriptNode, indent: str) -> Iterable[str]:
    head = indent + _head(node)
    if node.block is None:
        yield head + ";"
        return
    yield head + " {"
    for inner in node.block:
        yield from _command(inner, indent + "    ")
    yield indent + "}"


def _head(node: ScriptNode) -> str:
    words = [node.name, *map(_argument, node.arguments)]
    if node.is_list:
        words.append("(" + ", ".join(map(_head, node.tests)) + ")")
    else:
        words += map(_head, node.tests)
    return " ".join(words)


def _argument(argument: ScriptArgument) -> str:
    if argument.kind == "tag":
        return f":{argument.value}"
    if isinstance(argument.value, tuple):
        return "[" + ", ".join(map(quoted, argument.value)) + "]"
    return quoted(argument.value) if isinstance(argument.value, str) else str(argument.value)
