"""Quotas as administrators see and set them over IMAP (RFC 9208): those of an account, by its address."""

from __future__ import annotations

from zope.interface import implementer

from mailnode.errors import BadAddress, NoSuchAccount
from mailnode.interfaces.accounts import IDirectory, IQuotas
from mailnode.interfaces.store import IMailStore
from mailnode.values.address import parse_address
from mailnode.values.mailbox import Usage


@implementer(IQuotas)
class Quotas:
    """By the directory and the accounts' mail."""

    def __init__(self, directory: IDirectory, mail: IMailStore) -> None:
        self._directory = directory
        self._mail = mail

    async def usage(self, address: str) -> Usage:
        """What an account holds and may hold. :raises NoSuchAccount:"""
        account_id = await self._account_id(address)
        found: dict[str, Usage] = await self._mail.usage([account_id])
        if account_id not in found:
            raise NoSuchAccount(address)
        return found[account_id]

    async def set_limits(self, address: str, octets: int, messages: int, mailboxes: int) -> Usage:
        """Set limits; 0 is none. :raises NoSuchAccount:"""
        await self._mail.set_quota(await self._account_id(address), octets, messages, mailboxes)
        return await self.usage(address)

    async def _account_id(self, address: str) -> str:
        try:
            account = await self._directory.account_by_address(parse_address(address))
        except BadAddress:
            raise NoSuchAccount(address) from None
        return str(account.id)
