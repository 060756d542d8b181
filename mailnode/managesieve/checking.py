"""Looks at scripts without holding up the reactor."""

from __future__ import annotations

from mailnode.interfaces.runtime import IProcesses, IThreads
from mailnode.sieve.report import script_report

SMALL = 64 * 1024  # octets of a script that is looked at in a thread of this process: about a quarter of a second


class ScriptChecker:
    """Looks at small scripts in a thread, at large ones in another process."""

    def __init__(self, threads: IThreads, processes: IProcesses) -> None:
        self._threads = threads
        self._processes = processes

    async def report(self, source: bytes) -> tuple[list[str], list[str]]:
        """Return mistakes and warnings. :raises Busy: too many others are being looked at."""
        if len(source) <= SMALL:
            return await self._threads.run("cpu", script_report, source)
        return await self._processes.run(script_report, source)
