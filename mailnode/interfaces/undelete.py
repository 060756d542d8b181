"""What was deleted and can come back."""

from __future__ import annotations

from collections.abc import Sequence

from zope.interface import Interface

from mailnode.values.deleted import DeletedMailbox, DeletedMessage


class IUndelete(Interface):
    """Messages that were expunged, or went with their mailbox, until they are swept (``[store] keep_deleted``)."""

    async def mailboxes(account_id: str) -> list[DeletedMailbox]:
        """All mailboxes of an account, those that are there no more included."""

    async def messages(account_id: str, mailbox_id: int, after: int) -> list[DeletedMessage]:
        """Some of those that are gone from a mailbox and stand nowhere else, with a UID above ``after``, ascending; none at
        the end."""

    async def place(account_id: str, mailbox_id: int, uids: Sequence[int], target: int) -> int:
        """Place those of these messages that stand nowhere, again, in the mailbox ``target``, under new UIDs; return how many.
        Again, it does nothing. In units of 500, each all or none.

        :raises NoSuchAccount, NoSuchMailbox: :raises OverQuota: what was placed before stays.
        """

    async def digests(account_id: str, after: int) -> tuple[list[bytes], int | None]:
        """SHA-256 of the content of some messages that stand somewhere, those with an id above ``after``; and behind which id to
        go on, None at the end."""
