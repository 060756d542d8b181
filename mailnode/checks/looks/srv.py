"""The SRV records of our domains."""

from __future__ import annotations

from mailnode.checks.records import of_type, record_look
from mailnode.checks.row import DOCTOR_ONLY, Check

NAME = "srv"

CHECKS = (
    Check(
        name=NAME,
        about="Mail programs find this server (SRV)",
        why="Programs that look here ask their users for nothing but address and password.",
        look=record_look(NAME, of_type("SRV")),
        occasions=DOCTOR_ONLY,
    ),
)
