"""Makes the commands of the ``mailnode`` tree out of the table of operations and the words for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from mailnode.admin.operations import AnyOperation, Count, Octets, OperationParameter, Seconds, Secret
from mailnode.ctl.parts import AS_JSON, PASSWORD_STDIN, Destroying, OctetsType, Place, SecondsType, read_password
from mailnode.ctl.wording import Words
from mailnode.ctl.words import GENERIC, GROUPS, WORDS


def grow(root: click.Group, operations: Mapping[str, AnyOperation]) -> None:
    """Add a command for every operation, below a group for its noun."""
    for operation in operations.values():
        words = WORDS.get(operation.name, GENERIC)
        if not words.is_command:
            continue
        *nouns, name = words.path or operation.name.split(".")
        group = root
        for noun in nouns:
            below = group.commands.get(noun)
            if not isinstance(below, click.Group):
                below = click.Group(noun, help=GROUPS.get(noun))
                group.add_command(below)
            group = below
        group.add_command(make_command(name, operation, words))


def make_command(name: str, operation: AnyOperation, words: Words) -> click.Command:
    """Return the command of one operation."""

    def call(**given: Any) -> None:
        place = click.get_current_context().find_object(Place)
        assert place is not None
        as_json = given.pop(AS_JSON.name, False)
        if words.prepare is not None:
            words.prepare(place, given)
        for parameter in operation.parameters:
            if parameter.type is Secret:
                from_stdin = given.pop(PASSWORD_STDIN.name)
                instead = words.instead_of_secret and given[words.instead_of_secret]
                given[parameter.name] = "" if instead else read_password(from_stdin)
            elif parameter.type is list:
                given[parameter.name] = list(given[parameter.name])
        result = place.call(operation.name, **given)
        if words.output is not None:
            words.output(result, as_json)

    parameters = [
        made
        for parameter in operation.parameters
        for made in words.instead.get(parameter.name) or [_parameter(parameter, words.options.get(parameter.name))]
    ]
    if words.output is not None:
        parameters.append(AS_JSON)
    help = words.help or operation.about
    if operation.destroys:
        question = words.question or f"{operation.name} cannot be undone. Go on?"
        return Destroying(name, question, parameters, call, help)
    return click.Command(name, params=parameters, callback=call, help=help)


_TYPES: dict[object, click.ParamType[Any]] = {
    Octets: OctetsType(),
    Seconds: SecondsType(),
    Count: click.IntRange(0),
    int: click.INT,
    str: click.STRING,
}


def _parameter(parameter: OperationParameter, help: str | None) -> click.Parameter:
    """Return an argument for what is required, else an option."""
    if parameter.type is Secret:
        return PASSWORD_STDIN
    if parameter.type is list:
        return click.Argument([parameter.name], nargs=-1, required=parameter.required)
    kind = click.Choice(parameter.choices) if parameter.choices else _TYPES.get(parameter.type)
    if parameter.required and parameter.type is not bool:
        return click.Argument([parameter.name], type=kind)
    option = f"--{parameter.name.replace('_', '-')}"
    if parameter.type is bool:
        return click.Option([option], is_flag=True, default=parameter.default or False, help=help)
    return click.Option([option], type=kind, default=parameter.default, help=help)
