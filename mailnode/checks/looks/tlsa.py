"""The TLSA records of this server."""

from __future__ import annotations

from mailnode.checks.records import of_type, record_look
from mailnode.checks.row import DOCTOR_ONLY, Check

NAME = "tlsa"

CHECKS = (
    Check(
        name=NAME,
        about="The key of the certificate is the one in DNS (DANE)",
        why="Servers that go by DANE send nothing when none of the records is that of the key shown.",
        look=record_look(NAME, of_type("TLSA")),
        occasions=DOCTOR_ONLY,
    ),
)
