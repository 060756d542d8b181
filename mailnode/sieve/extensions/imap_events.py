"""Scripts that run when something happens to a message in a mailbox (RFC 6785)."""

from __future__ import annotations

from mailnode.sieve.constructs import SieveExtension

EXTENSIONS = (
    SieveExtension(
        "imapsieve",
        "RFC 6785",
        "imap.user, imap.email, imap.cause, imap.mailbox and imap.changedflags of the test environment",
    ),
)
