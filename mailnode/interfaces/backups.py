"""Mail that is in a backup."""

from __future__ import annotations

from collections.abc import Sequence

from zope.interface import Attribute, Interface

from mailnode.values.address import Address
from mailnode.values.backed_up import BackedUpMessage
from mailnode.values.blob import BlobRef
from mailnode.values.scripts import BackedUpScript


class IBackupMail(Interface):
    """One backup, read where it lies. Every method may raise :class:`mailnode.errors.BackupRefused`: it cannot be read."""

    name = Attribute("str: which backup it is; known once it was asked for anything")

    async def mailboxes(address: Address) -> tuple[str, list[tuple[int, str]]]:
        """The id of the account that had this address, and its mailboxes by id, with their full names.

        :raises mailnode.errors.NoSuchAccount: there was none.
        """

    async def subscriptions(account_id: str) -> list[str]:
        """The names that it was subscribed to, sorted; mailboxes or not."""

    async def scripts(account_id: str) -> list[BackedUpScript]:
        """Its filter scripts, by name; none in a backup that an older version made."""

    async def messages(account_id: str, mailbox_id: int, after: int) -> Sequence[BackedUpMessage]:
        """Some of the messages that stood in a mailbox, with a UID above ``after``, ascending; none at the end."""

    async def read(account_id: str, blob: BlobRef) -> bytes:
        """The octets of a message, whole. :raises mailnode.errors.BlobDamaged: they are not what was written."""
