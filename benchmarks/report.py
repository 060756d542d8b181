"""What was measured, as a table, as JSON and as a plot of the ratios."""

from __future__ import annotations

import html
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any


@dataclass
class Measurement:
    """One row. ``unit`` ends in "/s" where more is better; else (s, ms, KiB, MiB) less is.

    ``ours`` and ``theirs`` are pairs of the same rounds; ``theirs`` is empty where there is no peer.
    """

    name: str
    unit: str
    peer: str = ""
    bar: float | None = None  # the ratio to reach
    ceiling: float | None = None  # the value to stay at or under, where there is no peer
    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def ratios(self) -> list[float]:
        """How many times better than the peer, round by round."""
        if not self.theirs:
            return []
        more_is_better = self.unit.endswith("/s")
        return [
            (a / b if more_is_better else b / a) for a, b in zip(self.ours, self.theirs, strict=True) if a > 0 and b > 0
        ]

    @property
    def verdict(self) -> str:
        """``met``, ``missed`` or nothing where no bar is set."""
        if self.bar is not None and self.ratios:
            return "met" if median(self.ratios) >= self.bar else "missed"
        if self.ceiling is not None and self.ours:
            return "met" if median(self.ours) <= self.ceiling else "missed"
        return ""


def table(rows: list[Measurement]) -> str:
    """Return an aligned text table."""
    cells = [("operation", "mailnode", "peer", "ratio (min-max)", "bar", "", "notes")]
    for row in rows:
        ratios = row.ratios
        spread = f"{median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})" if ratios else ""
        bar = f">= {row.bar:g}" if row.bar is not None else f"<= {row.ceiling:g}" if row.ceiling is not None else ""
        theirs = f"{number(median(row.theirs))} {row.unit} {row.peer}" if row.theirs else ""
        notes = ", ".join(f"{key}={value}" for key, value in row.notes.items())
        cells.append((row.name, f"{number(median(row.ours))} {row.unit}", theirs, spread, bar, row.verdict, notes))
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def number(value: float) -> str:
    """Return three significant digits, without an exponent."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def as_json(rows: list[Measurement], machine: dict[str, Any]) -> dict[str, Any]:
    """Return everything, for a file."""
    return {
        "machine": machine,
        "rows": [{**asdict(row), "ratios": row.ratios, "verdict": row.verdict} for row in rows],
    }


def plot(rows: list[Measurement]) -> str:
    """Return an SVG: one bar a row, the ratio on a logarithmic scale, 1 in the middle, the bar to reach as a tick."""
    from math import log2

    shown = [row for row in rows if row.ratios]
    height, left, middle, scale = 22, 330, 620, 60
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="960" height="{height * len(shown) + 40}" '
        'font-family="sans-serif" font-size="12">',
        f'<line x1="{middle}" y1="20" x2="{middle}" y2="{height * len(shown) + 24}" stroke="#888"/>',
        f'<text x="{middle}" y="14" text-anchor="middle">as fast as the peer</text>',
    ]
    for index, row in enumerate(shown):
        y = 26 + height * index
        ratio = median(row.ratios)
        width = max(-4.5, min(4.5, log2(ratio))) * scale
        colour = "#2a7f62" if row.verdict != "missed" else "#b5502f"
        parts.append(f'<text x="{left}" y="{y + 12}" text-anchor="end">{html.escape(row.name)}</text>')
        parts.append(
            f'<rect x="{min(middle, middle + width):.1f}" y="{y}" width="{abs(width):.1f}" height="15" fill="{colour}"/>'
        )
        parts.append(f'<text x="{middle + max(width, 0) + 6:.1f}" y="{y + 12}">{ratio:.2f}</text>')
        if row.bar is not None:
            x = middle + log2(row.bar) * scale
            parts.append(f'<line x1="{x:.1f}" y1="{y - 2}" x2="{x:.1f}" y2="{y + 17}" stroke="#000"/>')
    parts.append("</svg>")
    return "\n".join(parts)
