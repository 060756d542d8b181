"""A terminal for programs that draw on one: its keys are pressed by a test, its screen is read as a person would."""

from __future__ import annotations

import os
from pathlib import Path

import pexpect
import pyte
from servers import PATIENCE, wait_for

LINES, COLUMNS = 40, 120


class Terminal:
    """A program with a terminal of its own."""

    def __init__(self, command: list[str], folder: Path, **environment: str) -> None:
        """:param folder: where it runs and is at home."""
        self._screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.ByteStream(self._screen)
        self._program = pexpect.spawn(
            command[0],
            command[1:],
            cwd=folder,
            env={**os.environ, "HOME": str(folder), "TERM": "linux", "LC_ALL": "C.UTF-8", **environment},
            dimensions=(LINES, COLUMNS),
            timeout=PATIENCE,
        )

    @property
    def screen(self) -> str:
        """What is on the screen."""
        while True:
            try:
                self._stream.feed(self._program.read_nonblocking(65536, 0.02))
            except pexpect.TIMEOUT:
                return "\n".join(line.rstrip() for line in self._screen.display)
            except pexpect.EOF:
                return "\n".join(line.rstrip() for line in self._screen.display)

    def wait(self, text: str, shown: bool = True) -> str:
        """Return the screen as soon as a text is on it, or no more on it."""
        try:
            return wait_for(lambda: (text in (found := self.screen)) == shown and found, f"{text} on the screen")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.screen}") from None

    def press(self, keys: str, then: str = "") -> None:
        """Press keys, and wait for a text on the screen."""
        self._program.send(keys)
        if then:
            self.wait(then)

    def end(self) -> int | None:
        """Wait for the program's end; return its exit status."""
        self._program.expect(pexpect.EOF)
        self._program.close()
        return self._program.exitstatus

    def kill(self) -> None:
        """End it whatever it does."""
        self._program.close(force=True)
