"""A time of day that a test sets, for servers that run as processes."""

# Read by Python itself at the start of the server's process, before anything else is imported.
_STEPPING = """
import time
from pathlib import Path
_time, _step = time.time, Path({step!r})
time.time = lambda: _time() + float(_step.read_text())
"""


class WallClock:
    """The clock of servers that are started with ``folder`` on their path."""

    def __init__(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._step = folder / "step"
        self.set(0)
        (folder / "sitecustomize.py").write_text(_STEPPING.format(step=str(self._step)))

    def set(self, seconds):
        """Step to so many seconds after the real time."""
        new = self._step.with_suffix(".new")
        new.write_text(str(seconds))
        new.rename(self._step)
