"""The self test at every start: a Python that would damage mail is refused in words, quickly."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mailnode import interpreter
from mailnode.errors import ConfigurationError
from mailnode.message import addresses, headers, scanner

BIN = Path(sys.executable).parent


def test_this_python_is_fit_and_that_is_known_in_five_milliseconds():
    def seconds():
        start = time.thread_time()
        interpreter.require_fit()
        return time.thread_time() - start

    assert min(seconds() for _ in range(5)) < 0.005


@pytest.mark.parametrize(
    ("module", "name", "value", "words"),
    [
        (headers, "_FIELD", re.compile(rb"([!-9;-~]+)[ \t]*:([^\r]*)(\r\n|\Z)"), "reads header fields wrongly"),
        (addresses, "_TOKEN", re.compile(rb"(?P<word>[^,]+)"), "reads addresses wrongly"),
        (scanner, "_LINE_REST", re.compile(rb"never"), "reads the structure of a message wrongly"),
        (interpreter.apsw, "sqlite_lib_version", lambda: "3.46.1", "has a SQLite older than 3.51.3, which can lose"),
        (interpreter.zstandard, "ZstdDecompressor", None, "does not give back what it compressed"),
    ],
)
def test_what_fails_is_said_in_words(monkeypatch, module, name, value, words):
    addresses._parse_short.cache_clear()
    monkeypatch.setattr(module, name, value)
    with pytest.raises(ConfigurationError) as refused:
        interpreter.require_fit()
    addresses._parse_short.cache_clear()
    said = "\n".join(refused.value.mistakes)
    assert f"this Python (CPython {sys.version.split()[0]} at {sys.executable}) {words}" in said


@pytest.mark.parametrize(
    "command",
    [
        [BIN / "twistd", "-n", "mailnode"],
        [BIN / "mailnode", "check"],
        [sys.executable, "-m", "mailnode.server.processes.worker", "0"],
    ],
    ids=["twistd", "mailnode", "worker"],
)
def test_no_program_of_ours_works_on_a_python_that_fails(tmp_path, command):
    (tmp_path / "sitecustomize.py").write_text("import apsw\napsw.sqlite_lib_version = lambda: '3.46.1'\n")
    place = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    ended = subprocess.run(
        command,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": place},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode != 0
    assert f"at {BIN}/python" in ended.stderr and ") has a SQLite older than 3.51.3" in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    assert not (tmp_path / "mailnode-data").exists()
