"""What the scripts of accounts make of a message: decided before it is stored, as data, and then carried out at one stroke."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mailnode.values.address import Address
from mailnode.values.envelope import Envelope
from mailnode.values.plan import Judgement
from mailnode.values.remembered import ScriptMemory
from mailnode.values.smtp_reply import Reply


@dataclass(frozen=True, slots=True)
class ScriptMail:
    """One envelope that is sent, or filed, because of a script. ``content``: its message; None: that which came, as it came.
    ``once``: see :class:`mailnode.values.queue.GuardedEnvelope`; what comes of such mail at other accounts has it too."""

    envelope: Envelope
    judgement: Judgement
    content: bytes | None
    once: ScriptMemory | None = None


@dataclass(frozen=True, slots=True)
class Filtered:
    """``judgement``: of the message that came, with where scripts file it. ``mail``: what else goes out. ``remembered``: with it.
    ``refused``: what those recipients of the message hear who are to have none."""

    judgement: Judgement
    mail: tuple[ScriptMail, ...] = ()
    remembered: tuple[ScriptMemory, ...] = ()
    refused: Mapping[Address, Reply] = field(default_factory=dict)

    @property
    def is_plain(self) -> bool:
        """Whether nothing is to be done but to place and send the message that came."""
        return not self.mail and not self.remembered

    @property
    def needs_message(self) -> bool:
        """Whether anybody gets the message as it came."""
        return self.judgement.is_kept or any(one.content is None for one in self.mail)

    @property
    def files_message(self) -> bool:
        """Whether it goes into a mailbox here as it came."""
        return self.judgement.is_for_mailboxes or any(
            one.content is None and one.judgement.is_for_mailboxes for one in self.mail
        )
