"""SIGKILL in the middle of everything: what another process has seen acknowledged is there afterwards, whole."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from store_support import RecordingHints
from twisted.internet.task import Clock

from mailnode.net.no_reactor import CallingThread
from mailnode.store.blobs.local import LocalBlobs
from mailnode.store.engines.sqlite import SqliteEngine
from mailnode.store.facades.mail_store import MailStore
from tests.processes import start

WRITER = Path(__file__).with_name("store_kill_writer.py")


def run_and_kill(directory, acknowledgements, seed):
    """Start the writer, read this many acknowledgements, kill it; return all that came out."""
    root = Path(__file__).parents[2]
    process = start(
        [sys.executable, str(WRITER), str(directory), str(seed)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{WRITER.parent}"},
    )
    lines = []
    for line in process.stdout:
        lines.append(line)
        if len(lines) == acknowledgements:
            process.send_signal(signal.SIGKILL)
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL
    return [line.split() for line in lines if line.endswith(b"\n")]


@pytest.mark.parametrize("seed", range(4))
def test_what_was_acknowledged_is_there(tmp_path, loop, seed):
    acknowledged = run_and_kill(tmp_path, random.Random(seed).randrange(20, 400), seed)
    engine = SqliteEngine(tmp_path / "data", 1)
    loop.run(engine.start())
    blobs = LocalBlobs(tmp_path / "blobs", CallingThread(), Clock())
    blobs.prepare()
    store = MailStore(engine, blobs, RecordingHints(), Clock(), 1)
    assert loop.run(store.verify()) == []
    seen = {}
    for account in ("ann", "bea"):
        box = store.account(account).open(1)
        uids = loop.run(box.snapshot()).uids.tolist()
        for first in range(0, len(uids), 256):
            for uid, ref, flags in loop.run(box.rows(uids[first : first + 256], ["blob", "flags"])):
                content = loop.run(box.read(ref))  # whole: its digest is checked
                seen[account, uid] = (content[:20].split()[0], flags)
    for kind, account, uid, name in acknowledged:
        key = (account.decode(), int(uid))
        if kind == b"placed":
            assert seen[key][0] == name
        elif kind == b"flagged":
            assert seen[key][1] == int(name)
    assert any(kind == b"flagged" for kind, *_ in acknowledged) or len(acknowledged) < 50
    loop.run(engine.stop())
