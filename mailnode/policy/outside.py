"""What policies have in common that ask a program beside the server: when it is not asked, for how long it is waited for, and
how many questions it is asked at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Annotated, TypeVar

from pydantic import BeforeValidator, Field
from twisted.internet.defer import Deferred, TimeoutError
from twisted.python.failure import Failure

from mailnode.interfaces.programs import ProgramFailed
from mailnode.interfaces.runtime import IClock
from mailnode.interfaces.turns import Places
from mailnode.policy.options import OptionModel
from mailnode.policy.wire.unreadable import Unreadable
from mailnode.values import units
from mailnode.values.policy import PASS, PolicyRequest, Verdict
from mailnode.values.program import ProgramEndpoint, program_endpoint

T = TypeVar("T")

PIECE = 65_536  # octets of a message that are read and sent at a time


def _endpoint(value: object) -> object:
    return program_endpoint(value) if isinstance(value, str) else value


Place = Annotated[ProgramEndpoint, BeforeValidator(_endpoint)]
Octets = Annotated[int, Field(ge=1), BeforeValidator(units.octets)]
# All policies of a stage have 30 seconds together.
Seconds = Annotated[float, Field(gt=0, le=25), BeforeValidator(units.seconds)]


class ProgramOptions(OptionModel):
    """Of a policy that asks one program."""

    endpoint: Place
    timeout: Seconds = Field(8.0, description="For how long an answer is waited for.")
    largest: Octets
    skip_from: float = Field(
        0.0,
        ge=0,
        description="The score from which on it is not asked any more, nor about what is junk anyhow. 0: always.",
    )
    skip_below: float = Field(0.0, le=0, description="The score below which it is not asked. 0: always.")
    users: bool = Field(False, description="Ask also about what users and those that may relay send.")


class AskedOptions(ProgramOptions):
    """Of one whose answers are to single questions."""

    at_once: int = Field(20, ge=1, le=1000, description="How many messages it is asked about at a time; others wait.")


def unasked(options: ProgramOptions, request: PolicyRequest) -> Verdict | None:
    """Return what is said of a message about which a program is not asked; None: it is."""
    found = request.found
    if options.skip_from and (found.quarantine or found.score >= options.skip_from):
        return PASS
    if options.skip_below and found.score < options.skip_below:
        return PASS
    if request.size > options.largest:
        return Verdict(reason=f"not asked: more than {options.largest} octets")
    return None


class Asked:
    """A program that is asked."""

    def __init__(self, clock: IClock, options: AskedOptions) -> None:
        self.place = options.endpoint
        self._clock = clock
        self._options = options
        self._turns = Places(options.at_once)

    async def ask(self, question: Callable[[], Coroutine[Deferred[object], object, T]]) -> T:
        """Ask when it is its turn, and return the answer. :raises ProgramFailed: there is none to use, in time."""
        return await limited(self._clock, self._options.timeout, self._in_turn(question), self.place)

    async def _in_turn(self, question: Callable[[], Coroutine[Deferred[object], object, T]]) -> T:
        async with self._turns:
            try:
                return await question()
            except Unreadable as error:
                raise ProgramFailed(f"{self.place}: {error}") from None


async def limited(
    clock: IClock, seconds: float, waiting: Coroutine[Deferred[object], object, T], place: ProgramEndpoint
) -> T:
    """Return what a coroutine does, in time. :raises ProgramFailed: it is cut off."""
    running = Deferred.fromCoroutine(waiting)
    try:
        return await running.addTimeout(seconds, clock, _too_late)  # type: ignore[arg-type]
    except TimeoutError:
        raise ProgramFailed(f"{place}: no answer within {seconds:g} seconds") from None


async def pieces(request: PolicyRequest) -> AsyncIterator[bytes]:
    """Yield a whole message. :raises ProgramFailed: it cannot be read to its end."""
    assert request.read is not None
    at = 0
    while at < request.size:
        data = await request.read(at, min(PIECE, request.size - at))
        if not data:
            raise ProgramFailed("the message is shorter than its size")
        at += len(data)
        yield data


def _too_late(ended: object, seconds: float) -> Failure:
    """Say so, whatever it was that what was cut off ended with."""
    return Failure(TimeoutError(seconds))  # type: ignore[no-untyped-call]
