"""Fifty SIGKILLs under load: what another process was told is there, and whole."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
from pathlib import Path

from fault_store import Store

from tests.processes import PATIENCE, start

ROUNDS = 50


def expected(name):
    """Return the accounts a message of the load goes to; none: the queue."""
    number = int(name.rpartition("-")[2])
    return {0: ["ann"], 1: ["ann", "bea"], 2: ["ann"], 3: []}[number % 4]


def one_round(listener, zygote, prefix, kill_after):
    """Let a child work until it has acknowledged so many, kill it, and return everything it acknowledged."""
    zygote.stdin.write(f"{prefix}\n")
    zygote.stdin.flush()
    child, _ = listener.accept()
    child.settimeout(PATIENCE)
    with child, child.makefile("rb") as lines:
        pid = int(lines.readline())
        told = []
        for line in lines:
            if line.endswith(b"\n"):
                told.append(line.strip().decode())
            if len(told) == kill_after:
                os.kill(pid, signal.SIGKILL)
    assert zygote.stdout.readline() == "dead\n"
    return told


def check(directory, blobs, told):
    store = Store(directory, blobs)
    present = store.present()
    queued = store.queued()
    for account, names in present.items():
        assert len(set(names)) == len(names), "a message is there twice"
        for name in names:
            assert account in expected(name)
    for name in set(present["ann"]) ^ set(present["bea"]):
        assert expected(name) != ["ann", "bea"], "a message is there for one of two"
    for name in told:
        for account in expected(name):
            assert name in present[account], f"{name} was acknowledged and is lost"
        assert expected(name) or name in queued, f"{name} was acknowledged and is not in the queue"
    assert store.faults() == []
    store.stop()


def test_what_was_acknowledged_survives_fifty_kills(tmp_path):
    directory, blobs, address = tmp_path / "data", tmp_path / "blobs", str(tmp_path / "told")
    told = []
    chance = random.Random(5)
    here = Path(__file__).parent
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        listener.settimeout(PATIENCE)
        zygote = start(
            [sys.executable, str(here / "kill_zygote.py"), str(directory), str(blobs), address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": f"{here}:{here.parents[1]}"},
        )
        try:
            for number in range(ROUNDS):
                told += one_round(listener, zygote, f"r{number}", chance.randint(1, 12))
                if number % 10 == 9:
                    check(directory, blobs, told)
        finally:
            zygote.stdin.close()
            zygote.wait(PATIENCE)
            zygote.stdout.close()
    assert len(told) > 2 * ROUNDS
