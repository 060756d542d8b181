"""The SPF records of our domains."""

from __future__ import annotations

from mailnode.checks.records import record_look, tagged
from mailnode.checks.row import DOCTOR_ONLY, Check

NAME = "spf"

CHECKS = (
    Check(
        name=NAME,
        about="The domains let this server send (SPF)",
        why="Many servers refuse mail from servers that the domain does not name.",
        look=record_look(NAME, tagged("v=spf1")),
        occasions=DOCTOR_ONLY,
    ),
)
