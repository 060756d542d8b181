"""What tests of sessions share."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.logger import globalLogPublisher


@pytest.fixture
def log() -> Any:
    """Events of the log, as (name, fields)."""
    events: list[tuple[str, dict[str, Any]]] = []

    def observe(event: Any) -> None:
        if "event" in event and "fields" in event:
            events.append((event["event"], event["fields"]))

    globalLogPublisher.addObserver(observe)
    yield events
    globalLogPublisher.removeObserver(observe)
