"""The CAA records of our names."""

from __future__ import annotations

from mailnode.checks.records import of_type, record_look
from mailnode.checks.row import DOCTOR_ONLY, Check

NAME = "caa"

CHECKS = (
    Check(
        name=NAME,
        about="The authority in use may issue certificates (CAA)",
        why="An authority that the records do not name refuses to issue the next certificate.",
        look=record_look(NAME, of_type("CAA")),
        occasions=DOCTOR_ONLY,
    ),
)
