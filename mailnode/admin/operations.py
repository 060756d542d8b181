"""What an operation is. It is declared once; the control socket, the direct way to the store and the command are made from
that: its name, its parameters and their types, what it works on, whether it changes or destroys."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import NoneType, UnionType
from typing import (
    Any,
    Concatenate,
    Generic,
    Literal,
    NewType,
    ParamSpec,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from mailnode.admin.administration import Administration, RunningServer, StoppedStore, StoreCopies, StoreFiles

# Types of parameters that say more than text and number.
Secret = NewType("Secret", str)  # a password: not in the log, and asked for rather than given on a command line
Octets = NewType("Octets", int)
Count = NewType("Count", int)
Seconds = NewType("Seconds", int)

C = TypeVar("C", Administration, RunningServer, StoppedStore, StoreFiles, StoreCopies)
P = ParamSpec("P")
R = TypeVar("R")


class OpenFile(int):
    """The descriptor of a file that who asks has opened, and that is open until the operation has ended. No number of JSON is one:
    over the control socket it is handed over beside the request."""


class Reason(IntEnum):
    """Why an operation was not done. The numbers stand on the control socket."""

    FAILED = 1
    WRONG_VALUE = 2
    NOT_FOUND = 3
    UNREACHABLE = 4  # no server, and no store that could be opened
    CONFLICT = 5
    BUSY = 6  # now; it may be asked again


class OperationFailed(Exception):
    """An operation that could not be done; the text is for a person."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text


@dataclass(frozen=True, slots=True)
class OperationParameter:
    """One parameter of an operation."""

    name: str
    type: object  # str, int, bool, Secret, Octets, Count, Seconds, OpenFile, or list: of str
    choices: tuple[str, ...] = ()  # all values there are, of a text
    required: bool = True
    nullable: bool = False
    default: object = None

    def check(self, value: object) -> None:
        """:raises OperationFailed: it is no value of this parameter."""
        if value is None and self.nullable:
            return
        wanted = getattr(self.type, "__supertype__", self.type)
        if type(value) is not wanted or (isinstance(value, list) and not all(isinstance(one, str) for one in value)):
            raise OperationFailed(Reason.WRONG_VALUE, f"{self.name}: should be {_NAMES[wanted]}")
        if self.choices and value not in self.choices:
            raise OperationFailed(Reason.WRONG_VALUE, f"{value}: should be one of {', '.join(self.choices)}")


_NAMES: dict[object, str] = {
    str: "text",
    int: "a whole number",
    bool: "true or false",
    OpenFile: "an open file",
    list: "a list of texts",
}


@dataclass(frozen=True, slots=True)
class Operation(Generic[C, P, R]):
    """One operation: called with what it works on and its arguments, it returns plain JSON data.

    ``changes`` goes to the log, what ``destroys`` is asked about first, and of what is ``long`` the end is waited for whenever
    it comes.
    """

    name: str  # the noun, dots, the verb
    function: Callable[Concatenate[C, P], Coroutine[object, object, R]]
    works_on: type[Administration] | type[RunningServer] | type[StoppedStore] | type[StoreFiles] | type[StoreCopies]
    parameters: tuple[OperationParameter, ...]
    changes: bool
    destroys: bool
    long: bool = False

    def __call__(self, works_on: C, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[object, object, R]:
        """Do it. :raises DomainError: :raises OperationFailed:"""
        return self.function(works_on, *args, **kwargs)

    @property
    def about(self) -> str:
        """What it does, in a sentence or more."""
        return inspect.getdoc(self.function) or ""

    def check(self, arguments: Mapping[str, object]) -> None:
        """Compare arguments that somebody sent with the parameters. :raises OperationFailed: they do not fit."""
        known = {parameter.name: parameter for parameter in self.parameters}
        for name, value in arguments.items():
            if name not in known:
                raise OperationFailed(Reason.WRONG_VALUE, f"{self.name} takes no {name}")
            known[name].check(value)
        for parameter in self.parameters:
            if parameter.required and parameter.name not in arguments:
                raise OperationFailed(Reason.WRONG_VALUE, f"{self.name} needs {parameter.name}")

    def subject(self, arguments: Mapping[str, object]) -> str:
        """Return what it is about: its first argument that is text and no secret; "" without one."""
        secret = {parameter.name for parameter in self.parameters if parameter.type is Secret}
        return next((value for key, value in arguments.items() if key not in secret and isinstance(value, str)), "")


AnyOperation = Operation[Any, ..., Any]


def operation(
    name: str, *, changes: bool = False, destroys: bool = False, long: bool = False
) -> Callable[[Callable[Concatenate[C, P], Coroutine[object, object, R]]], Operation[C, P, R]]:
    """Declare an operation: a coroutine function of what it works on and of parameters that JSON can hold, or
    open files.

    What its first parameter's type is says where it can be done: ``Administration`` on a running server and on the store of
    one that does not run, ``StoreFiles`` on the server or on the files, ``RunningServer`` and ``StoppedStore`` on one of them,
    ``StoreCopies`` beside either, by the command itself. One that destroys also changes.
    """

    def declare(function: Callable[Concatenate[C, P], Coroutine[object, object, R]]) -> Operation[C, P, R]:
        hints = get_type_hints(function)
        works_on, *parameters = inspect.signature(function).parameters.values()
        return Operation(
            name,
            function,
            hints[works_on.name],
            tuple(_parameter(parameter, hints[parameter.name]) for parameter in parameters),
            changes or destroys,
            destroys,
            long,
        )

    return declare


def _parameter(parameter: inspect.Parameter, hint: object) -> OperationParameter:
    nullable = get_origin(hint) in (Union, UnionType) and NoneType in get_args(hint)
    if nullable:
        (hint,) = (one for one in get_args(hint) if one is not NoneType)
    choices = get_args(hint) if get_origin(hint) is Literal else ()
    required = parameter.default is parameter.empty
    return OperationParameter(
        parameter.name,
        str if choices else get_origin(hint) or hint,
        choices,
        required,
        nullable,
        None if required else parameter.default,
    )
