"""A row of the benchmark is run, and large ones over every way to connect, where the peers are installed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.lab import missing
from tests.end_to_end.ways import WAYS

ROOT = Path(__file__).parents[2]


def run(tmp_path, *options):
    output = tmp_path / "rows.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--seconds", "1", "--json", str(output), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(output.read_text())["rows"]


@pytest.mark.skipif(bool(missing()) or os.getuid() != 0, reason="Postfix and Dovecot are not installed, or not root")
def test_one_row(tmp_path):
    [row] = run(tmp_path, "--only", "smtp 4 KiB, 20 sessions, kept", "--plot", str(tmp_path / "plot.svg"))
    assert row["name"] == "smtp 4 KiB, 20 sessions, kept open"
    assert row["ours"][0] > 10
    assert row["theirs"][0] > 10
    assert (tmp_path / "plot.svg").read_text().startswith("<svg")


@pytest.mark.skipif(bool(missing()) or os.getuid() != 0, reason="Postfix and Dovecot are not installed, or not root")
def test_a_large_row_over_every_way(tmp_path):
    rows = run(tmp_path, "--ways", "all", "--only", "imap APPEND of 10 MiB|smtp 64 KiB, 20 sessions, kept")
    assert {row["name"].partition(", over ")[2] for row in rows} == set(WAYS)
    assert len(rows) == 2 * len(WAYS)
    assert all(row["ours"][0] > 0 and row["theirs"][0] > 0 for row in rows)
