"""The form of what is said to people about one operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import click

from mailnode.ctl.parts import Place

Given: TypeAlias = dict[str, Any]  # the arguments of a command by name, each of its parameter's type
Output = Callable[[Any, bool], None]  # of a result and whether JSON is wanted


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one operation."""

    help: str = ""  # "": the operation's own
    output: Output | None = None  # None: nothing is printed when it is done, not even as JSON
    question: str = ""  # before it destroys; with the arguments as ``{address}``
    path: tuple[str, ...] = ()  # the command's words where they are not those of the operation's name
    options: Mapping[str, str] = field(default_factory=dict)  # a parameter's help
    instead: Mapping[str, Sequence[click.Parameter]] = field(default_factory=dict)  # of what is made of a parameter
    instead_of_secret: str = ""  # the parameter that, where it is given, has nobody asked for a password
    prepare: Callable[[Place, Given], None] | None = None  # looks at what was given, and may change it
    is_command: bool = True  # False: other commands ask for it
