"""A clock of durations that a test sets forward, for servers that run as processes: half an hour passes in seconds."""

import os
import signal

# Read by Python itself at the start of the server's process, before anything else is imported.
_LEAPING = """
import signal, time
_monotonic, _ahead = time.monotonic, [0.0]
time.monotonic = lambda: _monotonic() + _ahead[0]

def _leap(*_):
    _ahead[0] += {step}
    print("leapt to", _ahead[0], flush=True)

signal.signal(signal.SIGUSR2, _leap)
"""
_WALL_TOO = "_time = time.time\ntime.time = lambda: _time() + _ahead[0]\n"


class LeapingClock:
    """The clock of a server that is started with ``folder`` on its path."""

    def __init__(self, folder, step, wall=False):
        """:param step: seconds of one leap. :param wall: whether the time of day goes with it."""
        folder.mkdir(parents=True)
        self.folder, self.step, self.ahead = folder, step, 0
        (folder / "sitecustomize.py").write_text(_LEAPING.format(step=step) + (_WALL_TOO if wall else ""))

    def leap(self, process):
        """Go forward once; return when the server has. :param process: a :class:`servers.Process`."""
        after = len(process.lines)
        os.kill(process.popen.pid, signal.SIGUSR2)
        self.ahead += self.step
        process.wait_line(f"leapt to {float(self.ahead)}", after=after)
