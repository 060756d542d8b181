"""Runs a compiled script. What must be known of the world is asked by yielding it; the answer is sent back."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import TypeVar

from mailnode.sieve.actions import KeepMessage, SieveAction
from mailnode.sieve.constructs import Script, ScriptCall, SieveCommand, SieveTest
from mailnode.sieve.facts import SieveFacts
from mailnode.sieve.faults import ScriptFailed
from mailnode.sieve.limits import MAX_RUN_DEPTH, ScriptLimits
from mailnode.sieve.questions import Question, SieveAnswer
from mailnode.sieve.run import Returned, ScriptRun, Stopped, TraceStep

T = TypeVar("T")

Steps = Generator[Question, SieveAnswer, None]
FOR_DELIVERY = frozenset({"reject", "ereject", "vacation"})
Verdicts = Generator[Question, SieveAnswer, bool]


@dataclass(frozen=True, slots=True)
class ScriptFailure:
    """Why a script failed; the line is of the script that ``script`` names, "" for the outermost. 0: it is none of its lines."""

    line: int
    text: str
    script: str = ""

    def __str__(self) -> str:
        place = f' of "{self.script}"' if self.script else ""
        return f"line {self.line}{place}: {self.text}" if self.line else self.text


@dataclass(frozen=True, slots=True)
class SieveOutcome:
    """What a script wants done. ``failure``: it failed, and the message is kept (RFC 5228 2.10.6)."""

    actions: tuple[SieveAction, ...]
    failure: ScriptFailure | None = None
    logged: tuple[str, ...] = ()
    trace: tuple[TraceStep, ...] = ()


def run_script(
    script: Script, facts: SieveFacts, limits: ScriptLimits | None = None, *, trace: bool = False
) -> Generator[Question, SieveAnswer, SieveOutcome]:
    """Run a script: yields questions, wants their answers, and returns the outcome. It raises nothing.

    :param trace: tell each step in words.
    """
    run = ScriptRun(facts, script, limits or ScriptLimits(), [] if trace else None)
    failure = None
    try:
        _check_place(run)
        yield from Interpreter(run).block(script.commands)
    except (Stopped, Returned):
        pass
    except ScriptFailed as error:
        failure = ScriptFailure(run.line, error.text, run.around[-1].name if run.around else "")
    actions = (KeepMessage(facts.flags, implicit=True),) if failure else finished(run)
    return SieveOutcome(actions, failure, tuple(run.logged), tuple(run.trace or ()))


def _check_place(run: ScriptRun) -> None:
    """RFC 6785 3.11: what is for delivery may not even be required elsewhere. :raises ScriptFailed:"""
    wrong = sorted(FOR_DELIVERY & run.script.required)
    if wrong and not run.facts.is_delivery:
        raise ScriptFailed(f'the extension "{wrong[0]}" is for messages that are being delivered')


def finished(run: ScriptRun) -> tuple[SieveAction, ...]:
    """Return what is to be done at the end: with an implicit keep, unless something cancelled it (RFC 5228 2.10.2)."""
    if run.keeps and not any(isinstance(one, KeepMessage) for one in run.actions):
        kept = KeepMessage(tuple(run.flags), run.mail.content(), implicit=True)
        return (*run.actions, kept)
    return tuple(run.actions)


def outcome(running: Generator[Question, SieveAnswer, T], answer: Callable[[Question], SieveAnswer]) -> T:
    """Run to the end where every question can be answered at once."""
    try:
        question = next(running)
        while True:
            question = running.send(answer(question))
    except StopIteration as end:
        found: T = end.value
        return found


class Interpreter:
    """Control flow. Rows that steer it themselves are given this."""

    def __init__(self, run: ScriptRun) -> None:
        self.run = run
        self._depth = 0

    def block(self, calls: Iterable[ScriptCall]) -> Steps:
        """Run commands one after the other. :raises ScriptFailed: too many blocks stand in each other."""
        self._depth += 1
        if self._depth > MAX_RUN_DEPTH:
            raise ScriptFailed(f"more than {MAX_RUN_DEPTH} blocks stand in each other")
        try:
            for call in calls:
                yield from self.command(call)
        finally:
            self._depth -= 1

    def command(self, call: ScriptCall) -> Steps:
        """Run one command."""
        row = call.row
        assert isinstance(row, SieveCommand)
        yield from self._prepared(call)
        if row.control is not None:
            yield from row.control(self, call)
        elif row.run is not None:
            row.run(self.run, call)

    def test(self, call: ScriptCall) -> Verdicts:
        """Return what a test says."""
        row = call.row
        assert isinstance(row, SieveTest)
        yield from self._prepared(call)
        if row.control is not None:
            return (yield from row.control(self, call))
        if row.holds is not None:
            holds = row.holds(self.run, call)
        else:
            holds = yield from self._matching(call, row)
        self.run.line = call.line
        self.run.note(f"{row.name}: {'true' if holds else 'false'}")
        return holds

    def _prepared(self, call: ScriptCall) -> Steps:
        run = self.run
        run.step()
        run.line = call.line
        if run.script.checks_at_run_time and not call.extensions <= run.in_force:
            missing = sorted(call.extensions - run.in_force)[0]
            raise ScriptFailed(f'{call.row.name} needs the extension "{missing}", which is not in force')
        if call.row.asks is not None:
            yield from self.asked(call.row.asks(run, call))

    def asked(self, questions: Iterable[Question]) -> Steps:
        """Ask what was not asked yet."""
        for question in questions:
            if question not in self.run.answers:
                self.run.step()
                self.run.answers[question] = yield question

    def _matching(self, call: ScriptCall, row: SieveTest) -> Verdicts:
        match = call.match
        assert row.values is not None and match is not None
        values, keys = row.values(self.run, call), self.run.texts(call, "keys")
        if row.keys is not None:
            keys = row.keys(match, keys)
        if match.type.asks is not None:
            yield from self.asked(match.type.asks(self.run, values, keys))
        captured = self.run.captured
        holds = match.type.holds(self.run, match, values, keys)
        if not row.captures:
            self.run.captured = captured
        if self.run.trace is not None:
            shown = ", ".join([repr(value[:60]) for value in values[:5]]) or "nothing"
            relation = f' "{match.relation}"' if match.relation else ""
            wanted = ", ".join([repr(key[:60]) for key in keys[:5]])
            self.run.note(f"{row.name}: {shown} :{match.type.name}{relation} {wanted}")
        return holds
