"""PRDR (draft-hall-prdr-00): a reply about each recipient behind a message, as LMTP has them, so that what one of them refuses
need not be taken into its junk. The sender's server has to ask for it with the message.

Not on LMTP, which has it anyway. Nothing of it goes on: as client we do without.
"""

from __future__ import annotations

from mailnode.smtp.extensions.row import Extension, Greeted, Parameter
from mailnode.smtp.wire.grammar import CommandError
from mailnode.smtp.wire.profile import Profile


def _known(profile: Profile) -> bool:
    return not profile.lmtp


def _offered(greeted: Greeted) -> str | None:
    return "" if _known(greeted.profile) else None


def _read(value: str | None, profile: Profile) -> bool:
    if value is not None:
        raise CommandError(501, "5.5.4", "PRDR has no value")
    return True


ROWS = (
    Extension(
        keyword="PRDR", offered=_offered, mail=(Parameter(keyword="PRDR", read=_read, field="prdr", known=_known),)
    ),
)
