"""The queue's stand-ins serve here too."""

import sys
from pathlib import Path

import pytest
from twisted.logger import globalLogPublisher

sys.path.insert(0, str(Path(__file__).parents[1] / "queue"))


@pytest.fixture
def events():
    """What goes to the log meanwhile: names and fields."""
    found = []

    def note(event):
        if event.get("event"):
            found.append((event["event"], event["fields"]))

    globalLogPublisher.addObserver(note)
    yield found
    globalLogPublisher.removeObserver(note)
