"""The records that point at our MTA-STS policy."""

from __future__ import annotations

from mailnode.checks.records import record_look, tagged
from mailnode.checks.row import DOCTOR_ONLY, Check

NAME = "mta-sts"

CHECKS = (
    Check(
        name=NAME,
        about="The record of the MTA-STS policy names the one of now",
        why="Others keep the policy they know until the id in the record is another.",
        look=record_look(NAME, tagged("v=stsv1")),
        occasions=DOCTOR_ONLY,
    ),
)
