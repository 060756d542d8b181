"""The DKIM records of our domains, each held against its key."""

from __future__ import annotations

from mailnode.checks.records import record_look, tagged
from mailnode.checks.row import DOCTOR_ONLY, Check

NAME = "dkim"

CHECKS = (
    Check(
        name=NAME,
        about="Each key that signs has its record (DKIM)",
        why="Without the record, or with another key in it, others take our signatures for wrong.",
        look=record_look(NAME, tagged("v=dkim1")),
        occasions=DOCTOR_ONLY,
    ),
)
