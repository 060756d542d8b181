"""What a unit of work sees, whatever engine runs it.

A unit is a module-level function of a transaction and plain data, returning plain data. It may be run twice, in
another process, on another machine. It touches one tenancy. SQL is the part both engines share: ``?`` placeholders,
``RETURNING``, ``ON CONFLICT``; no functions that only one of them has.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, Concatenate, ParamSpec, Protocol, TypeAlias, TypeVar, TypeVarTuple

from mailnode.errors import StoreDamaged
from mailnode.values.rows import StoredRow

P = ParamSpec("P")
T = TypeVar("T")
U = TypeVar("U", bound="Callable[..., object]")
T_co = TypeVar("T_co", covariant=True)
Ts = TypeVarTuple("Ts")

DIRECTORY = "directory"
QUEUE = "queue"
EPHEMERAL = "ephemeral"

# What a call of some unit is given, of whatever types that unit names.
Arguments: TypeAlias = tuple[Any, ...]

ROWS_AT_A_TIME = 500


def mail_tenancy(partition: int) -> str:
    """Return the name of a mail partition's tenancy: ``mail-00``."""
    return f"mail-{partition:02d}"


def partition_of(account_id: str, partitions: int) -> int:
    """The number of the mail partition an account lives in."""
    return zlib.crc32(account_id.encode()) % partitions


class Transaction(Protocol):
    """One open transaction on one tenancy."""

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> list[StoredRow]:
        """Run one statement and return all its rows."""

    def many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run one statement for each row of parameters."""

    def integers(self, typecodes: str, sql: str, parameters: Sequence[object] = ()) -> tuple[array[int], ...]:
        """Run one statement whose columns are integers, and return them as arrays of these typecodes."""

    def octets(self, columns: Sequence[str], rest: str, parameters: Sequence[object] = ()) -> tuple[int, bytes]:
        """Run ``SELECT columns rest``, whose pieces are octets or integers; return how many rows have no NULL among them,
        and all of these, column after column and row after row, integers in decimal. ``rest`` ends with ORDER BY."""


class Engine(Protocol):
    """Runs units. ``write`` returns after COMMIT and its sync have.

    A domain error raised by a unit undoes that unit alone and reaches its caller. Any other trouble:
    :class:`mailnode.errors.StoreUnavailable`, nothing kept.
    """

    # Tenancies that are not served, and why; every unit on one of them raises StoreUnavailable.
    out_of_service: dict[str, str]

    async def read(
        self, tenancy: str, unit: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a reading unit in one snapshot."""

    async def write(
        self, tenancy: str, unit: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a writing unit; durable when this returns."""

    def written(self, tenancy: str) -> int | None:
        """How many writing units have begun on a tenancy, and ended, added up; None: others write to it too. What was read
        stands in the store as it was read for as long as this number stays what it was before."""

    async def start(self) -> None:
        """Open, check, migrate. :raises mailnode.errors.ConfigurationError: what stands in the way, in words."""

    async def stop(self) -> None:
        """Finish what was taken and close."""


class RunUnit(Protocol):
    """Runs a unit at once, in the calling thread; durable when it returns."""

    def __call__(self, unit: Callable[[Transaction, *Ts], T], /, *args: *Ts) -> T:
        """Return what the unit does. What it raises, and what the engine does, reaches the caller."""


# Units that can do the work of several calls of one in fewer statements: unit -> a function of the transaction and the
# positional arguments of each call, which returns a result for each. All or none: when it raises, each runs alone. An
# engine uses it for calls that wait at the same time, or not at all.
JointUnit = Callable[[Transaction, Sequence[Arguments]], Sequence[object]]
JOINT: dict[Callable[..., object], JointUnit] = {}


def run_together(unit: Callable[..., object], joint: JointUnit) -> None:
    """Say that calls of ``unit``, made without keyword arguments, may run together as ``joint``."""
    JOINT[unit] = joint


# Units that bring mail. On a full disk they are refused before they begin: the room that is kept back is for the others.
GROWING: set[Callable[..., object]] = set()


def growing(unit: Callable[P, T]) -> Callable[P, T]:
    """Say that a unit brings mail."""
    GROWING.add(unit)
    return unit


# Units that may wait: of very many of them an engine runs a few at a time, and what came meanwhile between.
PATIENT: set[Callable[..., object]] = set()


def patient(unit: Callable[P, T]) -> Callable[P, T]:
    """Say that nobody waits for a unit whom a moment more would trouble."""
    PATIENT.add(unit)
    return unit


# Units that belong to accounts: unit -> the accounts, by the arguments of a call. All that such a unit relies on is changed by
# others of these alone, so that it is enough that of two on one account the second begins behind the first's COMMIT. It never
# removes a blob, which may be another account's too.
OF_ACCOUNTS: dict[Callable[..., object], Callable[[Arguments], Iterable[str]]] = {}


def of_account(unit: U) -> U:
    """Say that a unit belongs to the account its first argument names."""
    OF_ACCOUNTS[unit] = lambda args: args[:1]
    return unit


def of_accounts(unit: Callable[..., object], accounts: Callable[[Arguments], Iterable[str]]) -> None:
    """Say to which accounts a unit belongs."""
    OF_ACCOUNTS[unit] = accounts


def columns(typecodes: str, rows: Iterable[Sequence[int]]) -> tuple[array[int], ...]:
    """Return the columns of rows of integers as arrays of these typecodes. Few rows exist at a time: a million of them
    would take a hundred megabytes and, when they are let go, a third more time.

    :raises StoreDamaged: a value is no such number.
    """
    made = tuple(array(typecode) for typecode in typecodes)
    source = iter(rows)
    while some := list(islice(source, ROWS_AT_A_TIME)):
        for column, values in zip(made, zip(*some, strict=True), strict=True):
            try:
                column.extend(array(column.typecode, values))  # a third less than one by one
            except (TypeError, OverflowError) as error:
                raise StoreDamaged("what should be a number is none") from error
    return made
