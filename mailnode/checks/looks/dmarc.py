"""The DMARC records of our domains, and the consent of those that take their reports."""

from __future__ import annotations

from mailnode.checks.records import record_look, tagged
from mailnode.checks.row import DOCTOR_ONLY, Check

NAME = "dmarc"

CHECKS = (
    Check(
        name=NAME,
        about="The domains say what is to become of forged mail (DMARC)",
        why="Large providers ask for it of everybody who sends much, and without it anybody may pass for you.",
        look=record_look(NAME, tagged("v=dmarc1")),
        occasions=DOCTOR_ONLY,
    ),
)
