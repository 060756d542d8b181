"""One row of the benchmark is run, where the peers are installed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.lab import missing

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(bool(missing()) or os.getuid() != 0, reason="Postfix and Dovecot are not installed, or not root")
def test_one_row(tmp_path):
    output = tmp_path / "rows.json"
    command = [
        sys.executable,
        "-m",
        "benchmarks",
        "--quick",
        "--seconds",
        "1",
        "--only",
        "smtp 4 KiB, 20 sessions, kept",
    ]
    done = subprocess.run(
        [*command, "--json", str(output), "--plot", str(tmp_path / "plot.svg")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [row] = json.loads(output.read_text())["rows"]
    assert row["name"] == "smtp 4 KiB, 20 sessions, kept open"
    assert row["ours"][0] > 10
    assert row["theirs"][0] > 10
    assert (tmp_path / "plot.svg").read_text().startswith("<svg")
