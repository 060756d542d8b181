"""Where every program must be there, a skipped test fails the run; where the machine is busy, no example does."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
TESTS = """
import pytest
def test_passes(): pass
def test_skips(): pytest.skip("no such program")
@pytest.mark.skipif(True, reason="marked")
def test_marked(): pass
"""

STANDS_STILL = """
import time
from hypothesis import given, strategies as st
still = [0.25] * 7
def stand_still(number):
    time.sleep(still.pop() if still else 0)
    return number
@given(st.integers())
def test_while_an_example_runs(number):
    if len(still) > 6:
        stand_still(number)
@given(st.integers().map(stand_still))
def test_while_an_example_is_made(number): pass
"""


@pytest.mark.parametrize(
    ("strict", "code", "line"), [("0", 0, "1 passed, 2 skipped"), ("1", 1, "1 failed, 1 passed, 1 error")]
)
def test_a_skip_is_a_failure_where_it_must_not_hide(tmp_path, strict, code, line):
    shutil.copy(CONFTEST, tmp_path)
    (tmp_path / "test_it.py").write_text(TESTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "MAILNODE_TESTS_STRICT": strict},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == code, done.stdout
    assert line in done.stdout


def test_an_example_may_take_its_time(tmp_path):
    shutil.copy(CONFTEST, tmp_path)
    (tmp_path / "test_it.py").write_text(STANDS_STILL)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "2 passed" in done.stdout, done.stdout
