"""Writes a configuration file with the schema's own words above each key, for a person who edits it later."""

from __future__ import annotations

import json
import textwrap
import typing
from collections.abc import Iterator, Mapping, Sequence

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from mailnode.config.fields import Section
from mailnode.config.file import ConfigTable
from mailnode.config.schema import Config

WIDTH = 110  # of a line of comment


def commented(table: ConfigTable, head: str) -> str:
    """Return TOML of a configuration, each key with its help above it, and below the keys of each section those that are not
    given, as comments with their defaults.

    :param table: sections as the loader reads them. :param head: what is said at the top.
    """
    lines = [*_comment(head)]
    for name, value in table.items():
        model = section_model(Config.model_fields[name].annotation)
        said: set[str] = set()  # keys whose help stands above an entry before
        for entry in value if isinstance(value, list) else [value]:
            lines += ["", *_section(name, model, entry, said, is_entry=isinstance(value, list))]
    return "\n".join(lines) + "\n"


def section_model(annotation: object) -> type[Section]:
    """Return the section that a field of the schema holds. :raises TypeError: it holds none."""
    for candidate in (annotation, *typing.get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, Section):
            return candidate
    raise TypeError(f"{annotation} holds no section")


def _section(
    name: str, model: type[Section], given: Mapping[str, object], said: set[str], *, is_entry: bool
) -> Iterator[str]:
    if not said:
        yield from _comment(model.__doc__ or "")
    yield f"[[{name}]]" if is_entry else f"[{name}]"
    inner = {key: value for key, value in given.items() if isinstance(value, dict)}
    for key, value in given.items():
        if key not in inner:
            if key not in said:
                yield from _comment(model.model_fields[key].description or "")
            said.add(key)
            yield f"{key} = {literal(value)}"
    if not is_entry:
        yield from (f"# {key} = {text}" for key, text in _defaults(model, given))
    for key, value in inner.items():
        yield ""
        yield from _section(
            f"{name}.{key}", section_model(model.model_fields[key].annotation), value, set(), is_entry=False
        )


def _defaults(model: type[Section], given: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for key, field in model.model_fields.items():
        if key not in given and not _holds_section(field):
            default = field.default
            if default is not PydanticUndefined and default is not None:
                yield key, literal(default)


def _holds_section(field: FieldInfo) -> bool:
    try:
        section_model(field.annotation)
    except TypeError:
        return False
    return True


def literal(value: object) -> str:
    """Return a value as TOML has it. :raises TypeError: it is none of text, number, truth, and lists of these."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str):  # TOML's basic strings are JSON's, but for the last control character
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Sequence):
        return f"[{', '.join(map(literal, value))}]"
    if value == {}:
        return "{}"
    raise TypeError(type(value).__name__)


def _comment(text: str) -> list[str]:
    """Return a text as comment lines; marks of the documentation are left out."""
    said = text.replace("``", "").replace(":doc:", "docs/").replace("`", "")
    return [
        line
        for piece in said.split("\n\n")
        for line in textwrap.wrap(" ".join(piece.split()), WIDTH, initial_indent="# ", subsequent_indent="# ")
    ]
