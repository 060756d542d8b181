"""A POP3 maildrop: the messages at login, under a lease."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from zope.interface import implementer

from mailnode.errors import (
    BlobDamaged,
    Busy,
    NoSuchAccount,
    NoSuchMailbox,
    NoSuchMessage,
    StoreDamaged,
    StoreUnavailable,
)
from mailnode.interfaces.store import IMaildrop
from mailnode.store.facades.partition import Partition
from mailnode.store.units import maildrop_leases, messages
from mailnode.values.blob import BlobRef
from mailnode.values.mailbox import PopMessage

AHEAD = 32  # messages read by one unit
AHEAD_OCTETS = 256 * 1024  # of them, which wait in memory until they are asked for

Held = tuple[bytes, BlobRef, bytes | BlobDamaged | None]  # prefix, blob, its content where it came with the row


@implementer(IMaildrop)
class Maildrop:
    """One open maildrop."""

    def __init__(
        self,
        partition: Partition,
        account_id: str,
        mailbox_id: int,
        token: str,
        lease_seconds: float,
        found: tuple[PopMessage, ...],
    ) -> None:
        self.messages = found
        self._partition = partition
        self._key = (account_id, mailbox_id)
        self._token = token
        self._lease_seconds = lease_seconds
        self._ahead: dict[int, Held] = {}
        self._last_uid = 0

    async def retrieve(self, message: PopMessage, offset: int = 0, length: int | None = None) -> bytes:
        """Return octets of prefix and blob. :raises NoSuchMessage: expunged elsewhere. :raises BlobDamaged:"""
        held = self._ahead.pop(message.uid, None) or await self._read(message)
        self._last_uid = message.uid
        prefix, ref, content = held
        if isinstance(content, BlobDamaged):
            raise content
        if content is not None:
            return (prefix + content)[offset : None if length is None else offset + length]
        end = len(prefix) + ref.size if length is None else offset + length
        head: bytes = prefix[offset:end]
        if end <= len(prefix):
            return head
        start = max(offset - len(prefix), 0)
        return head + await self._partition.read_blob(ref, start, end - len(prefix) - start)

    async def _read(self, message: PopMessage) -> Held:
        """Read a message, and when it follows the last one, those behind it: most clients take all in turn."""
        self._ahead.clear()
        at = bisect_left(self.messages, message.uid, key=lambda one: one.uid)
        uids = [message.uid]
        if at and self.messages[at - 1].uid == self._last_uid:
            octets = message.size
            for following in self.messages[at + 1 : at + AHEAD]:
                octets += following.size
                if octets > AHEAD_OCTETS:
                    break
                uids.append(following.uid)
        try:
            found = await self._live(message.uid, uids)
        except NoSuchMailbox as error:
            raise NoSuchMessage(str(message.uid)) from error
        held = found.pop(message.uid, None)
        if held is None:
            raise NoSuchMessage(str(message.uid))
        self._ahead = found
        return held

    async def _live(self, uid: int, uids: Sequence[int]) -> dict[int, Held]:
        """Read messages; where the file is damaged, the one that is wanted. :raises BlobDamaged: it cannot be read."""
        try:
            return await self._partition.read(messages.live_contents, *self._key, uids)
        except StoreDamaged as error:
            if len(uids) == 1:
                raise BlobDamaged(f"{self._partition.file}: UID {uid}") from error
        return await self._live(uid, [uid])

    async def renew(self) -> None:
        """Prolong the lease, if it could be had. :raises Busy: it was lost."""
        if not self._token:
            return
        expires = self._partition.clock.seconds() + self._lease_seconds
        await self._partition.write(maildrop_leases.renew, *self._key, self._token, expires)

    async def commit(self, deleted: Iterable[PopMessage]) -> None:
        """Expunge and end the lease in one unit. :raises Busy: the lease was lost; nothing was deleted."""
        uids = sorted({message.uid for message in deleted})
        self._ahead.clear()
        if not self._token:
            if uids:
                raise StoreUnavailable("there was no lease to be had")
            return
        try:
            modseq = await self._partition.write(
                maildrop_leases.commit, *self._key, self._token, uids, self._partition.now()
            )
        except (NoSuchAccount, NoSuchMailbox) as error:
            raise Busy("maildrop") from error
        if modseq:
            self._partition.publish(self._key[0], modseq)

    async def release(self) -> None:
        """End the lease; deletes nothing."""
        self._ahead.clear()
        if self._token:
            await self._partition.write(maildrop_leases.release, *self._key, self._token)
