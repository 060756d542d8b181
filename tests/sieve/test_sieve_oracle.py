"""Ours beside another implementation: Debian's dovecot-sieve, on scripts and messages made of seeds."""

import tempfile
from pathlib import Path

import pytest

from tests.sieve.differential import differences, ours, pairs
from tests.sieve.oracle import PROGRAM, Oracle
from tests.sieve.support import STRICT

pytestmark = pytest.mark.skipif(PROGRAM is None and not STRICT, reason="no sieve-test (dovecot-sieve)")
PAIRS = 100  # of each seed


@pytest.fixture(scope="module")
def oracle():
    """In a folder of its own that another user may look into, which none of pytest's stays."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield Oracle(folder)


@pytest.mark.parametrize("seed", range(1, 5))
def test_the_same_is_to_be_done(oracle, seed):
    for script, message in pairs(PAIRS, seed):
        assert differences(ours(script, message), oracle.run(script, message)) == ([], []), (script, message)


def test_a_difference_is_seen(oracle):
    script, message = b'require "fileinto"; if exists "A" { fileinto "a"; }', b"A: b\r\n\r\n"
    assert oracle.run(script, message) == ["file a []"] == ours(script, message)
    assert differences(ours(script, b"B: c\r\n\r\n"), ["file a []"]) == (["implicit file INBOX []"], ["file a []"])


def test_what_either_refuses_the_other_does(oracle):
    assert oracle.run(b"frobnicate;", b"A: b\r\n\r\n") == ["refused"] == ours(b"frobnicate;", b"")
