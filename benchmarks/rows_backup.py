"""What a session beside a backup waits for, and what one backup more of an unchanged store copies."""

from __future__ import annotations

import json
import time

from benchmarks.lab import Lab
from benchmarks.report import Measurement
from benchmarks.rows import Row
from benchmarks.rows_imap import noop_delays


def _p99(delays: list[float]) -> float:
    return delays[min(len(delays) - 1, len(delays) * 99 // 100)]


def _beside(lab: Lab, made: Measurement) -> None:
    """NOOP beside the first backup into a directory; then another one, of a store that nobody has written to."""
    node, noops = lab.big("mailnode"), lab.imap("mailnode")
    for number in range(lab.rounds):
        where = str(lab.folder / f"backups-{number}")
        told: list[dict[str, int]] = []

        def back_up(where: str = where, told: list[dict[str, int]] = told) -> None:
            told.append(json.loads(node.ctl("backup", where, "--json").stdout))

        started = time.perf_counter()
        delays = noop_delays(noops, back_up)
        taken = time.perf_counter() - started
        made.ours.append(_p99(delays))
        made.notes["p99 without"] = f"{_p99(noop_delays(noops, lambda taken=taken: time.sleep(taken))):.1f}"
        back_up()
        made.notes["max"] = f"{max(delays[-1], float(made.notes.get('max', 0))):.1f}"
        made.notes["octets of the first"] = told[0]["new_octets"]
        made.notes["octets of the second"] = told[1]["new_octets"]
        made.notes["databases"] = f"{told[1]['unchanged']} of {told[1]['databases']} unchanged"


ROWS = [Row("imap NOOP p99 beside a backup", "ms", _beside, ceiling=20.0)]
