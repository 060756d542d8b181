"""Mailboxes of other accounts, as IMAP shares and finds them (RFC 4314): by the directory and the accounts' mail."""

from __future__ import annotations

from zope.interface import implementer

from mailnode.errors import BadAddress, NoSuchAccount
from mailnode.interfaces.accounts import IDirectory, ISharing
from mailnode.interfaces.runtime import IHints
from mailnode.interfaces.store import IMailAccount, IMailStore
from mailnode.values.address import parse_address
from mailnode.values.directory import Sharer
from mailnode.values.rights import ANYONE, NEGATIVE


@implementer(ISharing)
class Sharing:
    """Identifiers are ids of accounts here, addresses outside."""

    def __init__(self, directory: IDirectory, mail: IMailStore, hints: IHints) -> None:
        self._directory = directory
        self._mail = mail
        self._hints = hints

    def hints(self, reader: str) -> tuple[str, ...]:
        """What hints are published for when more or less is shared with a reader."""
        return _sharing(reader), _sharing(ANYONE)

    async def sharers(self, reader: str) -> tuple[Sharer, ...]:
        """Those who may share something with a reader."""
        found: tuple[Sharer, ...] = await self._directory.sharers(reader)
        return found

    def mail(self, owner: str, reader: str, nobodys: bool = False) -> IMailAccount:
        """Another account's mail, as a reader may use it."""
        found: IMailAccount = self._mail.shared(owner, reader, nobodys)
        return found

    async def identifier(self, text: str) -> str:
        """The identifier that a client means. :raises NoSuchAccount:"""
        sign, name = (NEGATIVE, text[1:]) if text.startswith(NEGATIVE) else ("", text)
        if name == ANYONE:
            return sign + ANYONE
        try:
            account = await self._directory.account_by_address(parse_address(name))
        except BadAddress:
            raise NoSuchAccount(name) from None
        return f"{sign}{account.id}"

    async def shown(self, identifier: str) -> str:
        """The identifier as clients are shown it. :raises NoSuchAccount: the account is gone."""
        name = identifier.removeprefix(NEGATIVE)
        if name == ANYONE:
            return identifier
        account = await self._directory.account(name)
        return identifier[: len(identifier) - len(name)] + str(account.address)

    async def give_rights(self, mail: IMailAccount, mailbox_id: int, identifier: str, how: str, letters: str) -> None:
        """Change the rights of an identifier. The mailbox comes first: what is not acknowledged may be hidden, nothing that
        was taken back may be open. Where two change the same at once, the last look decides."""
        without = await mail.give_rights(mailbox_id, identifier, how, letters)
        if identifier.startswith(NEGATIVE):
            return
        await self._directory.set_sharing(mail.account_id, identifier, not without)
        if without and await self._mail.account(mail.account_id).has_reader(identifier):
            await self._directory.set_sharing(mail.account_id, identifier, True)
        self._hints.publish(_sharing(identifier), 0)


def _sharing(identifier: str) -> str:
    return f"{identifier}/sharing"
