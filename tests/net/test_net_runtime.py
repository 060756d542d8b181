"""Threads, hints and log lines."""

import io
import json
import threading

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import Logger, LogLevel, LogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from mailnode.errors import Busy
from mailnode.net.hints import LocalHints
from mailnode.net.threads import PoolSize, Threads
from mailnode.server.logs import observer
from mailnode.values.events import emit, moment


class ThreadsTests(TestCase):
    """The pools, with real threads."""

    def setUp(self):
        from twisted.internet import reactor

        self.threads = Threads(reactor, {"disk": PoolSize(1, 1), "cpu": PoolSize(2, 0)})
        self.threads.start()
        self.addCleanup(self.threads.stop)

    def run_in(self, pool, function, *args):
        return Deferred.fromCoroutine(self.threads.run(pool, function, *args))

    async def test_results_and_failures_come_back_to_the_reactor(self):
        here = threading.current_thread()
        assert await self.threads.run("cpu", threading.current_thread) is not here
        with self.assertRaises(ZeroDivisionError):
            await self.threads.run("cpu", lambda: 1 // 0)
        assert threading.current_thread() is here
        assert self.threads.waiting() == {"disk": 0, "cpu": 0}

    async def test_a_full_pool_refuses_and_takes_again_later(self):
        gate = threading.Event()
        running = [self.run_in("disk", gate.wait, 10) for _ in range(2)]
        with self.assertRaises(Busy):
            await self.threads.run("disk", gate.wait)
        assert await self.threads.run("cpu", len, "ab") == 2  # another pool is not disturbed
        gate.set()
        await gatherResults(running)
        assert await self.threads.run("disk", len, "abc") == 3

    async def test_a_cancelled_wait_frees_its_place_when_the_thread_ends(self):
        gate = threading.Event()
        waiting = self.run_in("disk", gate.wait, 10)
        waiting.addErrback(lambda failure: None)
        waiting.cancel()
        gate.set()
        await self.threads.run("disk", len, "")
        assert self.threads.waiting()["disk"] == 0

    async def test_the_end_is_bounded_and_what_waits_is_not_begun(self):
        gate, begun = threading.Event(), []
        runs = threading.Event()
        running = self.run_in("disk", lambda: (runs.set(), gate.wait(30)))
        waiting = self.run_in("disk", begun.append, 1)
        waiting.addErrback(lambda failure: failure.trap(Busy))
        assert runs.wait(30)
        clock = Clock()
        ended = Deferred.fromCoroutine(self.threads.end(clock, 1.0))
        clock.pump([0.1] * 15)
        assert await ended is False
        with self.assertRaises(Busy):
            await self.threads.run("cpu", len, "ab")
        gate.set()
        await gatherResults([running, waiting])
        assert not begun
        assert await self.threads.end(clock, 1.0)
        assert await self.threads.end(clock, 1.0)


class StoppedThreadsTests(SynchronousTestCase):
    """Before start and after stop."""

    def test_work_is_refused(self):
        threads = Threads(MemoryReactorClock(), {"cpu": PoolSize(1, 1)})
        self.failureResultOf(Deferred.fromCoroutine(threads.run("cpu", len, ""))).trap(Busy)
        threads.start()
        threads.stop()
        self.failureResultOf(Deferred.fromCoroutine(threads.run("cpu", len, ""))).trap(Busy)


class HintsTests(SynchronousTestCase):
    """Hints."""

    def test_subscribers_of_the_account_hear_until_they_end(self):
        hints, heard = LocalHints(), []
        end = hints.subscribe("a", heard.append)
        hints.subscribe("b", lambda modseq: heard.append(("b", modseq)))
        hints.publish("a", 5)
        hints.publish("b", 6)
        end()
        end()
        hints.publish("a", 7)
        assert heard == [5, ("b", 6)]
        assert [hints.has_listener(account) for account in ("a", "b", "c")] == [False, True, False]

    def test_one_that_fails_or_ends_during_a_call_disturbs_nobody(self):
        hints, heard = LocalHints(), []
        ends = []
        hints.subscribe("a", lambda modseq: 1 // 0)
        ends.append(hints.subscribe("a", lambda modseq: ends[0]()))
        hints.subscribe("a", heard.append)
        hints.publish("a", 1)
        assert heard == [1]
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1

    def test_the_queue_is_woken(self):
        hints, heard = LocalHints(), []
        end = hints.on_queue(heard.extend)
        hints.wake_queue(["a.example", "b.example"])
        end()
        hints.wake_queue(["c.example"])
        assert heard == ["a.example", "b.example"]


class LogTests(SynchronousTestCase):
    """Lines of the log."""

    def lines(self, form, write):
        out = io.StringIO()
        write(Logger("test", observer=LogPublisher(observer(out, form))))
        return out.getvalue().splitlines()

    def test_an_event_is_one_line_of_fields(self):
        (line,) = self.lines("text", lambda log: emit(log, "session.open", session="abc", peer="::1"))
        time, rest = line.split(" ", 1)
        assert rest == "session.open session=abc peer=::1"
        assert time.endswith("Z") and "T" in time

    # SMTP trap 37: in the log
    def test_nothing_injects_a_line_or_a_field(self):
        evil = "a\r\n2026 server.start x=1\u2028\x1b[31m\x00"
        for form in ("text", "json"):
            lines = self.lines(form, lambda log: emit(log, "session.refused", login=evil, reason="b c=d"))
            assert len(lines) == 1
            assert lines[0].isascii() and lines[0].isprintable()
        assert json.loads(lines[0])["login"] == evil
        for form in ("text", "json"):
            lines = self.lines(form, lambda log: log.info("peer said {what}", what=evil))
            assert len(lines) == 1 and lines[0].isprintable()

    def test_json_is_flat_and_keeps_numbers(self):
        (line,) = self.lines("json", lambda log: emit(log, "session.close", warning=True, session="s", seconds=1.5))
        record = json.loads(line)
        assert record.pop("time").endswith("Z")
        assert record == {"level": "warn", "event": "session.close", "session": "s", "seconds": 1.5}

    def test_other_events_and_failures_are_readable(self):
        def write(log):
            log.debug("not written")
            log.warn("{n} doors", n=3)
            try:
                raise ValueError("broken")
            except ValueError:
                log.failure("it failed")

        lines = self.lines("text", write)
        assert len(lines) == 2
        assert lines[0].endswith("Z test: 3 doors")
        assert "it failed" in lines[1] and "ValueError: broken" in lines[1]
        records = [json.loads(line) for line in self.lines("json", write)]
        assert [r["level"] for r in records] == ["warn", "critical"]
        assert "Traceback" in records[1]["message"]

    def test_a_warning_has_the_form_of_every_line(self):
        (line,) = self.lines("text", lambda log: emit(log, "store.failed", warning=True, tenancy="mail"))
        assert line.endswith("Z store.failed tenancy=mail")

    def test_what_the_framework_says_of_its_life_is_not_written(self):
        for form in ("text", "json"):
            out = io.StringIO()
            to = LogPublisher(observer(out, form))
            legacy = Logger("log_legacy", observer=to)
            for text in (
                "ListenerFactory starting on 25",
                "ListenerFactory (TLS) starting on 465",
                "ControlFactory starting on '/data/control.sock'",
                "(TCP Port 25 Closed)",
                "(UNIX Port /data/control.sock Closed)",
                "Removing stale pidfile /twistd.pid",
            ):
                legacy.info("{text}", text=text)
            Logger("twisted.scripts._twistd_unix.UnixAppLogger", observer=to).info("twistd 26 starting up.")
            Logger("twisted.internet.base", observer=to).info("Main loop terminated.")
            Logger("twisted.web.server.Site", observer=to).info("Starting factory <Site>")
            assert out.getvalue() == ""
            legacy.info("a plug-in has words of its own")
            Logger("twisted.internet.base", observer=to).warn("trouble")
            plug_in, framework = out.getvalue().splitlines()
            assert "mailnode" in plug_in and "a plug-in has words of its own" in plug_in
            assert "trouble" in framework

    def test_a_pid_file_that_stays_is_told_in_a_line_without_a_traceback(self):
        out = io.StringIO()
        log = Logger("log_legacy", observer=LogPublisher(observer(out, "text")))
        log.failure("Failed to unlink PID file:", Failure(FileNotFoundError(2, "No such file or directory", "x.pid")))
        log.info("Warning: No permission to delete pid file")
        gone, forbidden = out.getvalue().splitlines()
        wanted = "mailnode: the pid file could not be removed: [Errno 2] No such file or directory: 'x.pid'"
        assert gone.endswith(wanted)
        assert forbidden.endswith("mailnode: the pid file could not be removed: no right to")

    def test_times_have_one_form(self):
        assert moment(0.0) == "1970-01-01T00:00:00.000Z"
        assert moment(1_800_000_000.1239) == "2027-01-15T08:00:00.123Z"

    def test_a_field_is_cut_at_its_limit(self):
        (line,) = self.lines("text", lambda log: emit(log, "session.error", error="x" * 100_000))
        assert len(line) < 10_000

    def test_a_log_that_cannot_be_written_stops_nothing(self):
        class Full(io.StringIO):
            def write(self, text):
                raise OSError(28, "No space left on device")

        publisher = LogPublisher(observer(Full(), "text", LogLevel.debug))
        Logger("test", observer=publisher).info("x")
