"""No process that a test starts outlives it, and runs side by side do not take each other's ports."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.free_ports import free_offset, free_port
from tests.processes import PATIENCE, end, start

ROOT = Path(__file__).parents[2]

STARTER = """
import subprocess, sys
from tests.processes import start
child = start([sys.executable, "-c", "import signal; print('up', flush=True); signal.pause()"], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
{then}
"""


def starter(then):
    return subprocess.Popen(
        [sys.executable, "-c", STARTER.format(then=then)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )


def wait_for_end(pid):
    """Wait for the end of a process that is not ours."""
    subprocess.run(["timeout", str(PATIENCE), "tail", f"--pid={pid}", "-f", "/dev/null"], check=True)


@pytest.mark.parametrize(
    ("then", "number"),
    [("sys.stdin.read()", signal.SIGKILL), ("sys.stdin.read()", signal.SIGTERM), ("raise SystemExit(3)", None)],
)
def test_what_was_started_ends_with_its_starter(then, number):
    process = starter(then)
    child = int(process.stdout.readline())
    if number is not None:
        process.send_signal(number)
    process.wait(PATIENCE)
    wait_for_end(child)
    process.stdout.close()
    process.stdin.close()


def test_an_end_can_be_asked_for_twice():
    process = start([sys.executable, "-c", "import signal; signal.pause()"])
    end(process)
    end(process)
    assert process.returncode == -signal.SIGKILL


def test_two_runs_have_different_ports():
    asked = (
        "from tests.free_ports import *; print(*[free_port() for _ in range(40)], free_offset(), flush=True); input()"
    )
    others = [
        subprocess.Popen(
            [sys.executable, "-c", asked], cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    given = [[free_port() for _ in range(40)] + [free_offset()]]
    for other in others:
        given.append([int(word) for word in other.stdout.readline().split()])
    for other in others:
        other.communicate("\n", PATIENCE)
    numbers = [number for one in given for number in one]
    assert len(numbers) == 4 * 41 == len(set(numbers))
