"""The MX records of our domains."""

from __future__ import annotations

from mailnode.checks.records import of_type, record_look
from mailnode.checks.row import DOCTOR_ONLY, Check

NAME = "mx"

CHECKS = (
    Check(
        name=NAME,
        about="Mail for each domain goes here",
        why="Without this record mail goes elsewhere, or nowhere.",
        look=record_look(NAME, of_type("MX")),
        occasions=DOCTOR_ONLY,
    ),
)
