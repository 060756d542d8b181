"""Writes docs/configuration.rst from the schema: ``python -m mailnode.config.docs > docs/configuration.rst``."""

from __future__ import annotations

import inspect
import sys
import types
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from mailnode.config.changes import is_live
from mailnode.config.fields import Called, Section
from mailnode.config.schema import Config

_HEAD = """\
Configuration
=============

.. This page is generated from mailnode/config/schema.py; change it there.

``twistd mailnode --config FILE`` reads one TOML file. It is checked as a whole: every mistake is reported at once with its
key, such as ``listener[1].endpoint``, and nothing starts. ``twistd mailnode --config FILE --check`` and ``mailnode
--config FILE check`` only look. A check sees with the eyes of the user who will serve: of ``twistd --uid``, of
``mailnode check --user``, the owner of the data directory when root asks, or the present one; what that user cannot read or
write (keys, data directory, log) is a mistake, or a warning where root opens it at the start. It warns of listeners
nobody can log in on and of networks that make an open relay; warnings leave the exit code at 0.

Relative paths are taken from the directory of the file. ``etc/mailnode.toml`` is a complete example.

Octets and seconds are numbers, or a whole number with a unit in quotes: ``"512K"``, ``"50MB"``, ``"1 GiB"`` (K, M, G, T,
with B or iB or alone, large or small: always powers of 1024), and ``"30s"``, ``"5m"``, ``"2h"``, ``"7d"``, ``"1w"``.

Without ``--config`` an embedded default runs on 127.0.0.1, see the README.

While the server runs, SIGHUP and ``mailnode reload`` take over what can change live and say which keys need a restart. Live
are: the certificates, ``[limits]`` for new connections, ``[[domain]]`` entries, ``server.grace`` and
the rules for passwords and guesses in ``[auth]``; their keys are marked below. A connection that stands keeps the limits it
was told, and goes on being counted. Any mistake, in the file or in a certificate, leaves everything as it was and is said; an
expired certificate in place of one that is not is one. :doc:`changing` has commands that compare, try out and put back.

``mailnode status`` shows, and ``/metrics`` tells as ``mailnode_config_generation``, what each process serves: a number that
is 1 after the start and grows whenever something else comes into use.
"""


def render() -> str:
    """Return the whole page."""
    lines = [_HEAD]
    for name, field in Config.model_fields.items():
        lines += _section(name, field.annotation, is_list=typing.get_origin(field.annotation) is list)
    return "\n".join(lines).rstrip() + "\n"


def _section(name: str, annotation: object, is_list: bool) -> Iterator[str]:
    model = _model(annotation)
    title = f"[[{name}]]" if is_list else f"[{name}]"
    yield from (title, "-" * len(title), "", inspect.getdoc(model) or "", "")
    inner: list[tuple[str, object, bool]] = []
    for key, field in model.model_fields.items():
        nested = _nested(field.annotation)
        if nested is not None:
            inner.append((f"{name}.{key}", field.annotation, nested == "list"))
            continue
        mark = ", live" if is_live(f"{name}.{key}") else ""
        yield f"``{key}`` ({_kind(field.annotation, field.metadata)}{_default(field)}{mark})"
        yield from (f"   {field.description or ''}", "")
    for nested_name, nested_annotation, nested_list in inner:
        yield from _section(nested_name, nested_annotation, nested_list)


def _model(annotation: object) -> type[Section]:
    for candidate in (annotation, *typing.get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, Section):
            return candidate
    raise TypeError(f"{annotation} holds no section")


def _nested(annotation: object) -> str | None:
    try:
        _model(annotation)
    except TypeError:
        return None
    return "list" if typing.get_origin(annotation) is list else "one"


_KINDS: dict[object, str] = {str: "text", int: "number", float: "number", bool: "true or false", Path: "path"}


def _kind(annotation: object, metadata: Sequence[object]) -> str:
    for note in metadata:
        if isinstance(note, Called):
            return note.name
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _kind(arguments[0], arguments[1:])
    if origin is Literal:
        return " or ".join(f'"{value}"' for value in arguments)
    if origin is list:
        return f"list: {_kind(arguments[0], [])}"
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_kind(one, []) for one in arguments if one is not type(None))
    if origin is dict:
        return "table"
    return _KINDS[annotation]


def _default(field: FieldInfo) -> str:
    default = field.default
    if default is PydanticUndefined:
        return ", required"
    if default is None:
        return ""
    if isinstance(default, bool):
        return f", default ``{str(default).lower()}``"
    if isinstance(default, str):
        return f', default ``"{default}"``'
    if isinstance(default, list):
        values = (f'"{value}"' if isinstance(value, str) else f"{value:g}" for value in default)
        return f", default ``[{', '.join(values)}]``"
    return ", default ``{}``" if default == {} else f", default ``{default:.10g}``"


if __name__ == "__main__":
    sys.stdout.write(render())
