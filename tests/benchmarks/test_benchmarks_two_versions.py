"""What two versions take, in turn."""

from __future__ import annotations

import os
import threading
import time

from benchmarks.two_versions import spent


def test_processor_time_of_all_threads_is_counted():
    done, measured = threading.Event(), threading.Event()

    def work() -> None:
        until = time.thread_time() + 0.1
        while time.thread_time() < until:
            pass
        done.set()
        measured.wait()

    before = spent(os.getpid())
    thread = threading.Thread(target=work)
    thread.start()
    done.wait()
    passed = spent(os.getpid()) - before
    measured.set()
    thread.join()
    assert passed >= 0.09
