"""Copying without side effects (RFC 3894): fileinto and redirect that leave the implicit keep as it is."""

from __future__ import annotations

from mailnode.sieve.constructs import SieveExtension, SieveTag

EXTENSIONS = (
    SieveExtension(
        "copy", "RFC 3894", ":copy of fileinto and redirect", tags=(SieveTag("copy", on=("fileinto", "redirect")),)
    ),
)
