"""A program that plants faults: for every line on standard input it forks a child in which one module of mailnode is compiled
from altered text, and runs some tests there. Everything but mailnode and its tests is imported once, before.

Usage: mutant_zygote.py ROOT SCRATCH. A line in: a JSON object of ``module``, ``path``, ``text`` (None: as it stands) and
``arguments`` for pytest. A line out: a JSON object of ``code``, pytest's exit status, and ``output``.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

# What rooms and tests import. Not the reactor, whose descriptors children would share.
BEFORE = (
    "apsw",
    "argon2",
    "cryptography.x509",
    "dkim",
    "dns.asyncresolver",
    "dns.dnssec",
    "hypothesis",
    "OpenSSL.SSL",
    "prometheus_client",
    "pydantic",
    "trustme",
    "twisted.cred.portal",
    "twisted.internet.defer",
    "twisted.internet.task",
    "twisted.internet.testing",
    "twisted.logger",
    "twisted.trial.unittest",
    "zope.interface",
    "zstandard",
)
LAST = 4000  # characters of the output that are told
MINUTES = 1  # after these a child is ended: a fault may be one that never comes back


class Planting(MetaPathFinder, SourceFileLoader):
    """Finds one module, and makes it of other text."""

    def __init__(self, module: str, path: str, text: str) -> None:
        super().__init__(module, path)
        self._text = text

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if fullname != self.name:
            return None
        return spec_from_file_location(fullname, self.path, loader=self)

    def get_code(self, fullname: str) -> Any:
        return compile(self._text, self.path, "exec", dont_inherit=True)


def run(order: dict[str, Any], root: str, scratch: Path) -> int:
    """Run the tests; return pytest's exit status."""
    if order["text"] is not None:
        sys.meta_path.insert(0, Planting(order["module"], order["path"], order["text"]))
    sys.path.insert(0, root)
    options = ["-c", f"{root}/setup.cfg", "--rootdir", root, "-o", "addopts=", "-x", "-q", "-p", "no:cacheprovider"]
    return int(pytest.main([*options, f"--basetemp={scratch / 'tests'}", "--tb=line", *order["arguments"]]))


def forked(order: dict[str, Any], root: str, scratch: Path) -> dict[str, Any]:
    """Run the tests in a child of ours; return what there is to tell."""
    output = scratch / "output"
    child = os.fork()
    if not child:
        code = 70
        try:
            signal.alarm(MINUTES * 60)
            written = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(written, 1)
            os.dup2(written, 2)
            os.chdir(root)
            code = run(order, root, scratch)
            sys.stdout.flush()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    shutil.rmtree(scratch / "tests", ignore_errors=True)
    return {"code": os.waitstatus_to_exitcode(status), "output": output.read_text(errors="replace")[-LAST:]}


def main() -> None:
    root, scratch = sys.argv[1], Path(sys.argv[2])
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(scratch / "hypothesis")
    for name in BEFORE:
        importlib.import_module(name)
    # What one child compiles serves the others, also where nothing may be written beside the modules. What is planted is not kept.
    sys.dont_write_bytecode, sys.pycache_prefix = False, str(scratch / "compiled")
    for line in sys.stdin:
        print(json.dumps(forked(json.loads(line), root, scratch)), flush=True)


if __name__ == "__main__":
    main()
