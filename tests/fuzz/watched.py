"""Sessions log what they did not foresee and go on; here it is raised."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from twisted.logger import globalLogPublisher

TROUBLE = ("session.error", "policy.failed")


class Unforeseen(Exception):
    """A session met trouble that is no error of its protocol."""


@contextmanager
def watched() -> Iterator[None]:
    """:raises Unforeseen: what runs logs a failure."""
    met: list[str] = []

    def observe(event: dict[str, Any]) -> None:
        if event.get("event") in TROUBLE:
            met.append(str(event["fields"]))
        elif "log_failure" in event:
            met.append(event["log_failure"].getTraceback())
        elif met and "traceback" in event:
            met.append(str(event["traceback"]))

    globalLogPublisher.addObserver(observe)
    try:
        yield
    finally:
        globalLogPublisher.removeObserver(observe)
    if met:
        raise Unforeseen("\n".join(met))
