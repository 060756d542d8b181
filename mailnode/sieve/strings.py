"""What stands for something else in the strings of a script: encoded characters and variables."""

from __future__ import annotations

import re

from mailnode.sieve.constructs import ScriptText, Template, VariableName
from mailnode.sieve.faults import ValueRefused

# RFC 5228 2.4.2.4 encoded-arb-octets and encoded-unicode-char; blanks stand between, and may stand around.
_ENCODED = re.compile(r"\$\{(hex|unicode):([0-9A-Fa-f \t\r\n]*)\}", re.IGNORECASE)
# RFC 5229 3 variable-ref
_VARIABLE = re.compile(r"\$\{((?:[A-Za-z_][A-Za-z0-9_]*\.)*)([A-Za-z_][A-Za-z0-9_]*|[0-9]+)\}")


def decode_characters(text: str) -> str:
    """Return a string with its encoded characters decoded; what is not of the grammar stays (RFC 5228 2.4.2.4).

    :raises ValueRefused: a number that is no character.
    """
    if "${" not in text:
        return text
    return (
        _ENCODED.sub(_octets, text.encode("utf-8", "replace").decode("latin-1"))
        .encode("latin-1")
        .decode("utf-8", "replace")
    )


def _octets(found: re.Match[str]) -> str:
    """Return octets, each as a character."""
    words = found[2].split()
    if not words or (found[1].lower() == "hex" and any(len(word) > 2 for word in words)):
        return found[0]
    if found[1].lower() == "hex":
        return "".join(chr(int(word, 16)) for word in words)
    return "".join(_character(word) for word in words).encode().decode("latin-1")


def _character(digits: str) -> str:
    point = int(digits.lstrip("0")[:8] or "0", 16)
    if point > 0x10FFFF or 0xD800 <= point < 0xE000:
        raise ValueRefused(f"U+{digits[:12].upper()} is no character")
    return chr(point)


def template(text: str) -> ScriptText:
    """Return a string with the variables that stand in it; itself when there are none. Their names are in lower case."""
    if "${" not in text:
        return text
    parts: list[str | VariableName] = []
    position = 0
    for found in _VARIABLE.finditer(text):
        if found.start() > position:
            parts.append(text[position : found.start()])
        name = found[2].lower()
        # "${001}" is "${1}".
        parts.append(VariableName(found[1].rstrip(".").lower(), str(int(name[:20])) if name.isdigit() else name))
        position = found.end()
    if not parts:
        return text
    if position < len(text):
        parts.append(text[position:])
    return Template(tuple(parts))
