"""What travels between the server's processes: plain data, units of the store, domain errors."""

from __future__ import annotations

from mailnode.errors import DomainError, StoreUnavailable
from mailnode.net.pickled import Names, NotAllowed

_ROOMS = (
    "mailnode.values.",
    "mailnode.store.",
    "mailnode.config.schema",
    "mailnode.config.routes",
    "mailnode.config.logins",
    "mailnode.config.imap",
    "mailnode.config.acme",
    "mailnode.config.doctor",
    "mailnode.config.sieve",
    "mailnode.errors",
    "mailnode.server.processes.handover",
)
ErrorAsValue = tuple[type[BaseException], tuple[object, ...], dict[str, object]]  # class, arguments, attributes

loads = Names(*_ROOMS).loads


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
