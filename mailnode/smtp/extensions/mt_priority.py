"""MT-PRIORITY (RFC 6710): which messages go first of those that wait for one destination.

All levels from -9 to 9 are told apart, so any assignment policy is kept; none is named, which means MIXER (RFC 6710 9.2).
Everybody may lower it; how high a client may raise it is the session's to say (RFC 6710 11).
"""

from __future__ import annotations

import re
from dataclasses import replace

from mailnode.smtp.extensions.row import Extension, Parameter
from mailnode.smtp.wire.grammar import CommandError
from mailnode.smtp.wire.offers import Offers
from mailnode.smtp.wire.profile import Profile
from mailnode.values.envelope import MailOptions
from mailnode.values.smtp_reply import Reply

# priority-value = (["-"] NZDIGIT) / "0"   RFC 6710 7
_VALUE = re.compile(r"(?:-?[1-9]|0)\Z")

# RFC 6710 4.1: X.3.6, and the text begins with the new priority.
_LOWERED = "is the priority of this message, a higher one is not for this client"


def _read(value: str | None, profile: Profile) -> int:
    if not _VALUE.match(value or ""):
        raise CommandError(501, "5.5.2", "Bad MT-PRIORITY")
    return int(value or "")


def _admitted(options: MailOptions, highest: int) -> tuple[MailOptions, Reply | None]:
    if options.priority <= highest:
        return options, None
    return replace(options, priority=highest), Reply(250, "2.3.6", (f"{highest} {_LOWERED}",))


def _words(offers: Offers, options: MailOptions) -> tuple[str, ...]:
    """RFC 6710 4.2: a next hop that offers it is always told; 0 is what no other was asked for."""
    return (f"MT-PRIORITY={options.priority}",) if "MT-PRIORITY" in offers else ()


ROWS = (
    Extension(
        keyword="MT-PRIORITY",
        mail=(Parameter(keyword="MT-PRIORITY", read=_read, field="priority"),),
        mail_words=_words,
        admitted=_admitted,
        received=lambda options: f"PRIORITY {options.priority}" if options.priority else "",
    ),
)
