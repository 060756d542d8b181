"""The TLS-RPT records of our domains."""

from __future__ import annotations

from mailnode.checks.records import record_look, tagged
from mailnode.checks.row import DOCTOR_ONLY, Check

NAME = "tls-rpt"

CHECKS = (
    Check(
        name=NAME,
        about="Others know where to report that TLS failed (TLS-RPT)",
        why="Without it nobody tells you that servers could not encrypt mail to you, or did not send it.",
        look=record_look(NAME, tagged("v=tlsrptv1")),
        occasions=DOCTOR_ONLY,
    ),
)
