"""What ``mailnode doctor`` found, as a person reads it."""

from __future__ import annotations

from mailnode.admin.doctor import Diagnosis, ItemRecord
from mailnode.ctl.display import as_text

_ORDER = ("failed", "to do", "waiting", "skipped", "done")  # what matters stands first
_WIDTH = max(map(len, _ORDER))
_INDENT = " " * (_WIDTH + 2)


def diagnosis(result: Diagnosis) -> str:
    """Return a line an item, what is wrong first, with its fix below it."""
    items = sorted(result["items"], key=lambda one: (_ORDER.index(one["state"]), one["name"]))
    lines = [line for item in items for line in _lines(item)]
    counts = [(state, sum(one["state"] == state for one in items)) for state in _ORDER]
    return "\n".join([*lines, "", ", ".join(f"{count} {state}" for state, count in counts if count)])


def _lines(item: ItemRecord) -> list[str]:
    lines = [f"{item['state']:<{_WIDTH}}  {as_text(item['name'])}: {as_text(item['seen'])}"]
    if item["state"] != "done":
        lines += [f"{_INDENT}{mark} {as_text(line)}" for mark, line in _marked(item["mend"])]
    if item["explained"]:
        lines.append(f"{_INDENT}  {as_text(item['explained'])}")
    return lines


def _marked(mend: str) -> list[tuple[str, str]]:
    return [("->" if at == 0 else "  ", line) for at, line in enumerate(mend.splitlines())]
