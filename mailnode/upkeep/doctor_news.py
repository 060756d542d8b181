"""What administrators are told by mail of what has changed."""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.upkeep.doctor_memory import GONE, ItemNews
from mailnode.values.item import Item, ItemState

MAX_LINE = 900  # octets; RFC 5322 2.1.1 allows 998
MAX_NEWS = 100  # items that are told with their fix

_KINDS = (("failed", "Failed"), ("to do", "To do"), ("done", "Mended"), (GONE, "Not looked at any more"))


def subject(hostname: str) -> str:
    """Return the same for all news of a server, so that mail programs show them together."""
    return f"mailnode doctor: {hostname}"


def news_lines(news: Sequence[ItemNews], items: Sequence[Item], hostname: str) -> list[str]:
    """Return the text of a message, line by line."""
    by_name = {item.name: item for item in items}
    lines = [f"What has changed on {hostname}:", ""]
    for state, title in _KINDS:
        told = [change for change in news if change.now == state][:MAX_NEWS]
        if told:
            lines += [title, "", *(line for change in told for line in _told(change, by_name.get(change.name))), ""]
    if len(news) > MAX_NEWS:
        lines += ["There is more: mailnode doctor", ""]
    old = _still_wrong(news, items)
    if old:
        lines += [f"Told before, and still as it was: {', '.join(old)}", ""]
    lines += [
        "All of it, and why it matters: mailnode doctor --explain",
        "Each of these is told once ([doctor] in the configuration).",
    ]
    return [_short(line) for line in lines]


def _told(change: ItemNews, item: Item | None) -> list[str]:
    lines = [f"* {change.name}: {item.seen}" if item is not None else f"* {change.name}"]
    if item is not None and change.now in ("failed", "to do"):
        lines += [f"-> {line}" for line in item.mend.splitlines()]
    if change.restless:
        lines.append("It changes again and again: no more is told of it until it has stayed the same for three days.")
    return lines


def _still_wrong(news: Sequence[ItemNews], items: Sequence[Item]) -> list[str]:
    told = {change.name for change in news}
    return [one.name for one in items if one.state in (ItemState.FAILED, ItemState.TO_DO) and one.name not in told]


def _short(line: str) -> str:
    return line.encode("utf-8", "replace")[:MAX_LINE].decode("utf-8", "ignore")
