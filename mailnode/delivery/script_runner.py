"""Runs filter scripts where they hold nobody up: in a thread, or in another process when the message or a script is large.

In a thread a run stops at each question and goes on with its answer. Another process is given source, facts and the answers that
are known, and says what it came to or the first question it has no answer for: then it begins anew. A script does the same each
time, as it is told all it sees.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TypeAlias

from zope.interface import implementer

from mailnode.delivery.scratch import remove, scratch_file
from mailnode.interfaces.runtime import IProcesses, IThreads
from mailnode.interfaces.sieve import IScriptAnswers, ISieve
from mailnode.sieve.checker import compile_script
from mailnode.sieve.constructs import Script
from mailnode.sieve.facts import SieveFacts
from mailnode.sieve.faults import ScriptRefused
from mailnode.sieve.limits import ScriptLimits
from mailnode.sieve.questions import Question, SieveAnswer
from mailnode.sieve.sequence import ScriptToRun, SequenceOutcome, run_sequence
from mailnode.values.scripts import StoredScript

SMALL_MESSAGE = 256 * 1024  # octets up to which scripts are run on it in a thread
SMALL_SCRIPTS = 64 * 1024  # octets of scripts up to which they are compiled and run in a thread
KEPT_SOURCE = 4 * 1024 * 1024  # octets of the sources of scripts that are kept compiled
KEPT_ELSEWHERE = 16  # scripts that another process keeps
MAX_ROUNDS = 20  # questions asked by a run in another process; what asks more is run in a thread
PIECE = 1024 * 1024  # octets that are written at a time

_Running = Generator[Question, SieveAnswer, SequenceOutcome]
_Known: TypeAlias = "Mapping[Question, SieveAnswer | StoredScript]"


@implementer(ISieve)
class ScriptRunner:
    """Runs scripts, each compiled once."""

    def __init__(
        self,
        threads: IThreads,
        processes: IProcesses,
        answers: IScriptAnswers,
        scratch: str | None = None,
        limits: ScriptLimits | None = None,
    ) -> None:
        """:param scratch: directory for large messages on their way to another process; None: the system's."""
        self._threads = threads
        self._processes = processes
        self._answers = answers
        self._scratch = scratch
        self._limits = limits or ScriptLimits()
        self._compiled: OrderedDict[str, tuple[Script | ScriptRefused, int]] = OrderedDict()  # and octets of the source
        self._kept = 0

    async def run(self, account_id: str, scripts: Sequence[StoredScript], facts: SieveFacts) -> SequenceOutcome:
        """See :class:`ISieve`."""
        ask = self._answers.of(account_id)
        known: dict[Question, SieveAnswer | StoredScript] = {}
        octets = sum([len(script.source) for script in scripts])
        if len(facts.message) > SMALL_MESSAGE or octets > SMALL_SCRIPTS:
            found = await self._run_elsewhere(scripts, facts, ask, known)
            if found is not None:
                return found
        return await self._run_here(scripts, facts, ask, known)

    async def _run_here(
        self,
        scripts: Sequence[StoredScript],
        facts: SieveFacts,
        ask: Callable[[Question], Awaitable[SieveAnswer | StoredScript]],
        known: dict[Question, SieveAnswer | StoredScript],
    ) -> SequenceOutcome:
        ready = [ScriptToRun(one.name, one.digest, await self._compile(one)) for one in scripts]
        running = run_sequence(ready, facts, self._limits)
        step = await self._threads.run("cpu", next_step, running, None)
        while not isinstance(step, SequenceOutcome):
            if step not in known:
                known[step] = await ask(step)
            answer = known[step]
            if isinstance(answer, StoredScript):
                answer = _included(await self._compile(answer))
            step = await self._threads.run("cpu", next_step, running, answer)
        return step

    async def _run_elsewhere(
        self,
        scripts: Sequence[StoredScript],
        facts: SieveFacts,
        ask: Callable[[Question], Awaitable[SieveAnswer | StoredScript]],
        known: dict[Question, SieveAnswer | StoredScript],
    ) -> SequenceOutcome | None:
        """Run scripts in another process; None: they ask too much, and ``known`` has what they were told."""
        file = await self._threads.run("disk", scratch_file, self._scratch)
        try:
            for start in range(0, len(facts.message), PIECE):
                await self._threads.run("disk", file.write, facts.message[start : start + PIECE])
            await self._threads.run("disk", file.close)
            bare = replace(facts, message=b"")
            for _ in range(MAX_ROUNDS):
                step = await self._processes.run(run_on_file, file.name, tuple(scripts), bare, known, self._limits)
                if isinstance(step, SequenceOutcome):
                    return step
                known[step] = await ask(step)
        finally:
            await self._threads.run("disk", remove, file)
        return None

    async def _compile(self, script: StoredScript) -> Script | ScriptRefused:
        found = self._compiled.get(script.digest)
        if found is None:
            compiled = await self._threads.run("cpu", compiled_or_refused, script.source)
            self._keep(script.digest, compiled, len(script.source))
            return compiled
        self._compiled.move_to_end(script.digest)
        return found[0]

    def _keep(self, digest: str, compiled: Script | ScriptRefused, octets: int) -> None:
        if digest in self._compiled:
            return
        self._compiled[digest] = compiled, octets
        self._kept += octets
        while self._kept > KEPT_SOURCE:
            _, (_, gone) = self._compiled.popitem(last=False)
            self._kept -= gone


def compiled_or_refused(source: bytes) -> Script | ScriptRefused:
    """Return a compiled script, or why it is none."""
    try:
        return compile_script(source)
    except ScriptRefused as refused:
        return refused


def _included(compiled: Script | ScriptRefused) -> SieveAnswer:
    """Return what the run of another script is told of one that it includes: the mistake in words where it cannot be run."""
    return compiled if isinstance(compiled, Script) else str(compiled.mistakes[0])


def next_step(running: _Running, answer: SieveAnswer) -> Question | SequenceOutcome:
    """Go on with a run until it asks, or has ended."""
    try:
        return running.send(answer)
    except StopIteration as end:
        found: SequenceOutcome = end.value
        return found


def run_on_file(
    path: str, scripts: Sequence[StoredScript], facts: SieveFacts, known: _Known, limits: ScriptLimits
) -> Question | SequenceOutcome:
    """Run scripts on the message in a file; runs in another process. :param known: answers; scripts as their sources."""
    with open(path, "rb") as file:
        seen = replace(facts, message=file.read())
    ready = [ScriptToRun(one.name, one.digest, _compiled_before(one.source)) for one in scripts]
    running = run_sequence(ready, seen, limits)
    step = next_step(running, None)
    while not isinstance(step, SequenceOutcome) and step in known:
        answer = known[step]
        if isinstance(answer, StoredScript):
            answer = _included(_compiled_before(answer.source))
        step = next_step(running, answer)
    return step


@lru_cache(maxsize=KEPT_ELSEWHERE)
def _compiled_before(source: bytes) -> Script | ScriptRefused:
    return compiled_or_refused(source)
