"""What travels between processes: plain data, units of the store, domain errors. Pickled, and read with an eye on names.

Both ends are the same program and nobody else holds the pair of sockets. Reading still takes no name but those of our
values, errors, settings and the store's own functions: should one process be made to write what a stranger wants, the
other one does not call ``os.system`` for it.
"""

from __future__ import annotations

import importlib
import io
import pickle
from types import FunctionType
from typing import Any, TypeAlias

from mailnode.errors import DomainError, StoreUnavailable

_ROOMS = (
    "mailnode.values.",
    "mailnode.store.",
    "mailnode.config.schema",
    "mailnode.config.routes",
    "mailnode.config.logins",
    "mailnode.config.imap",
    "mailnode.errors",
    "mailnode.server.processes.handover",
)
_BUILT_IN = {
    "builtins": {"set", "frozenset", "bytearray", "complex", "range", "slice"},
    "collections": {"Counter", "OrderedDict", "deque", "defaultdict"},
    "datetime": {"date", "datetime", "time", "timedelta", "timezone"},
    "array": {"array", "_array_reconstructor"},
    "ipaddress": {"IPv4Address", "IPv6Address", "IPv4Network", "IPv6Network"},
    "pathlib": {"Path", "PosixPath"},
    "pathlib._local": {"PosixPath"},  # as CPython 3.13 calls it
}


ErrorAsValue = tuple[type[BaseException], tuple[object, ...], dict[str, object]]  # class, arguments, attributes


Pickled: TypeAlias = Any  # of the type that the name of a call gives to what goes with it, which both ends know


class NotAllowed(pickle.UnpicklingError):
    """Data that names something it may not."""


def dumps(value: object) -> bytes:
    """Return plain data as octets. :raises Exception: whatever pickle finds wrong with it."""
    return pickle.dumps(value, 5)


def loads(data: bytes) -> Pickled:
    """Return what :func:`dumps` was given. :raises NotAllowed: it names something else. :raises Exception: not ours."""
    return _Reader(io.BytesIO(data)).load()


class _Reader(pickle.Unpickler):
    _found: dict[tuple[str, str], type | FunctionType] = {}

    def find_class(self, module: str, name: str) -> type | FunctionType:
        """Return a class or function of the rooms and kinds above; those that only import it do not count."""
        key = (module, name)
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = _look_up(module, name)
        return found


def _look_up(module: str, name: str) -> type | FunctionType:
    if module in _BUILT_IN:
        if name in _BUILT_IN[module]:
            built_in: type = getattr(importlib.import_module(module), name)
            return built_in
    elif module.startswith(_ROOMS):
        found = getattr(importlib.import_module(module), name, None)
        if isinstance(found, type | FunctionType) and found.__module__ == module and found.__qualname__ == name:
            return found
    raise NotAllowed(f"{module}.{name}")


# errors


def error_as_value(error: BaseException) -> ErrorAsValue:
    """Return a domain error of ours as plain data; anything else becomes :class:`StoreUnavailable`."""
    kind = type(error)
    if not isinstance(error, DomainError) or not kind.__module__.startswith(_ROOMS):
        return StoreUnavailable, ("the unit failed",), {}
    return kind, error.args, dict(vars(error))


def value_as_error(value: ErrorAsValue) -> DomainError:
    """Return the error again, without calling a constructor that may want other arguments."""
    kind, arguments, state = value
    if not (isinstance(kind, type) and issubclass(kind, DomainError)):
        raise NotAllowed(f"not an error: {kind}")
    error = kind.__new__(kind)
    error.args = arguments
    vars(error).update(state)
    return error
