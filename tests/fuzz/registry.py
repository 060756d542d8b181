"""All targets, by name."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

from tests.fuzz.target import Target

TESTS = Path(__file__).parents[1]
CORPUS = Path(__file__).parent / "corpus"

# Fakes of other folders, which tests import from there.
sys.path += [
    str(TESTS / folder)
    for folder in ("smtp", "imap", "managesieve", "pop3", "policy", "message")
    if str(TESTS / folder) not in sys.path
]

TARGETS: dict[str, Target] = {
    target.name: target
    for path in sorted((Path(__file__).parent / "targets").glob("*.py"))
    for target in import_module(f"tests.fuzz.targets.{path.stem}").TARGETS
}


def kept(target: Target) -> tuple[bytes, ...]:
    """Return the inputs of a target that once were faults, or led to new code."""
    return tuple(path.read_bytes() for path in sorted((CORPUS / target.name).glob("*")))


def known(target: Target) -> tuple[bytes, ...]:
    """Return all inputs that others are made of."""
    return target.seeds + kept(target)
