"""docs/events.rst says what the table of events says."""

from pathlib import Path

from mailnode.values.events import EVENTS

PAGE = (Path(__file__).parents[2] / "docs" / "events.rst").read_text()


def test_every_event_and_field_is_documented():
    rows = "".join(
        f"   * - ``{name}``\n     - {what}\n     - {', '.join(f'``{field}``' for field in fields)}\n"
        for name, (what, fields) in EVENTS.items()
    )
    assert PAGE.endswith(rows)
