"""Scripts that run when somebody does something to messages in a mailbox (RFC 6785)."""

from __future__ import annotations

from zope.interface import Interface

from mailnode.values.mailbox_event import MailboxEvent


class IMailboxScripts(Interface):
    """Which mailbox has a script is said by an entry of METADATA, which stands about the mailbox or about its whole account."""

    async def run(event: MailboxEvent) -> bool:
        """Run the script of the mailbox on each message; return whether it has one. It costs nothing where it has none. What
        scripts do is no event. What goes wrong is logged and told to the owner, nothing is raised: what was done to the
        messages stands all the same."""

    async def renamed() -> None:
        """Other scripts are named for mailboxes now. Returns when every process of this server knows."""
