"""The threads of the SQLite engine: what waits for a writer or a reader, and the way of outcomes back to the reactor."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue

from mailnode.errors import StoreUnavailable
from mailnode.store.engines.engine import PATIENT
from mailnode.store.engines.sqlite_jobs import Job

READERS = 4  # threads
PATIENT_AT_ONCE = 16  # units nobody waits for that one commit has at most


def _engine_failed(job: Job, error: BaseException) -> None:
    """Not an engine's error, those are dealt with: a mistake in this package. Nobody may wait for ever."""
    job.error = StoreUnavailable("the engine failed")
    job.error.__cause__ = error


class Gathering:
    """Units on their way to the writers. Those of one turn of the reactor go together: a writer that woke for the first of
    them would want the interpreter's lock while the reactor thread makes the others, and commit it alone."""

    def __init__(self, call_later: Callable[..., object] | None) -> None:
        self._call_later = call_later
        self._jobs: list[tuple[SimpleQueue[Job | None], Job]] = []

    def __len__(self) -> int:
        return len(self._jobs)

    def put(self, queue: SimpleQueue[Job | None], job: Job) -> None:
        """Give a job to a writer's queue at the end of the turn."""
        if self._call_later is None:
            queue.put(job)
            return
        if not self._jobs:
            self._call_later(0, self.finish)
        self._jobs.append((queue, job))

    def finish(self) -> None:
        """Give all jobs now."""
        jobs, self._jobs = self._jobs, []
        for queue, job in jobs:
            queue.put(job)


class JobThread:
    """One thread that takes jobs from a queue, as many as wait up to ``most``, and hands them over when they are done. Those of
    patient units have every other turn, and are fewer."""

    def __init__(
        self,
        name: str,
        queue: SimpleQueue[Job | None],
        most: int,
        run: Callable[[Sequence[Job]], None],
        outbox: Outbox,
    ) -> None:
        self.queue = queue
        self._most = most
        self._work = run
        self._outbox = outbox
        self._ended = False
        self._waiting: deque[Job] = deque()
        self._patient: deque[Job] = deque()
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.thread.start()

    def end(self) -> None:
        """Finish what was put into the queue, and end. Blocks."""
        self.queue.put(None)
        self.thread.join()

    @property
    def waiting(self) -> int:
        """How many jobs are not taken yet."""
        return self.queue.qsize() + len(self._waiting) + len(self._patient)

    def _run(self) -> None:
        while self._take():
            for jobs, most in ((self._waiting, self._most), (self._patient, PATIENT_AT_ONCE)):
                if some := [jobs.popleft() for _ in range(min(most, len(jobs)))]:
                    self._do(some)

    def _take(self) -> bool:
        """Sort what has come, or comes next; False when all is done and the end was said."""
        wait = not self._waiting and not self._patient
        while not self._ended and (wait or not self.queue.empty()):  # nobody else takes from it
            wait = False
            job = self.queue.get()
            if job is None:
                self._ended = True
            elif job.unit in PATIENT:
                self._patient.append(job)
            else:
                self._waiting.append(job)
        return bool(self._waiting or self._patient)

    def _do(self, jobs: Sequence[Job]) -> None:
        try:
            self._work(jobs)
        except BaseException as error:
            for job in jobs:
                _engine_failed(job, error)
        self._outbox.send(jobs)


class Readers:
    """Threads for reading units. Each has a queue of its own, and the one that was busy last gets the next job: a queue
    they shared would wake several for one job, each of which then wants the interpreter's lock to find nothing."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._lock = threading.Lock()  # held for a few instructions: of the two below
        self._waiting: deque[Job] = deque()
        self._queues: list[SimpleQueue[Job | None]] = [SimpleQueue() for _ in range(READERS)]
        self._idle = list(self._queues)
        self._threads = [
            threading.Thread(target=self._run, args=(queue,), name=f"read {number}", daemon=True)
            for number, queue in enumerate(self._queues)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """How many jobs no thread has taken yet."""
        return len(self._waiting)

    def submit(self, job: Job) -> None:
        """Have a job run."""
        with self._lock:
            if not self._idle:
                self._waiting.append(job)
                return
            queue = self._idle.pop()
        queue.put(job)

    def stop(self) -> None:
        """Finish what was submitted, and end the threads; nothing is submitted any more."""
        for queue in self._queues:
            queue.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self, queue: SimpleQueue[Job | None]) -> None:
        job = queue.get()
        while job is not None:
            try:
                assert job.tenancy is not None
                job.tenancy.run_read(job)
            except BaseException as error:
                _engine_failed(job, error)
            done = job
            with self._lock:
                job = self._waiting.popleft() if self._waiting else None
                # Before the outcome is told: who gets it may have the next job at once, while this thread still waits to
                # have the interpreter's lock again.
                if job is None:
                    self._idle.append(queue)
            self._outbox.send((done,))
            if job is None:
                job = queue.get()


class Outbox:
    """Brings outcomes to the reactor thread: one hop for all that are ready, however many workers made them."""

    def __init__(self, call_from_thread: Callable[..., object] | None) -> None:
        assert call_from_thread is not None
        self._call_from_thread = call_from_thread
        self._ready: deque[Job] = deque()
        self._called = False

    def send(self, jobs: Sequence[Job]) -> None:
        """Fire the jobs' Deferreds soon; called by any worker."""
        self._ready.extend(jobs)
        if not self._called:
            self._called = True
            self._call_from_thread(self._fire)

    def _fire(self) -> None:
        # Cleared first: a worker that sees it set appended before the loop below ends, or calls again.
        self._called = False
        while self._ready:
            job = self._ready.popleft()
            if job.error is None:
                job.done.callback(job.result)
            else:
                job.done.errback(job.error)
            job.result = None
