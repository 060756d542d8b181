"""The realm: what an authenticated account gets, by interface; and which sessions live on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import cast

from twisted.cred.portal import IRealm
from twisted.internet.defer import Deferred
from zope.interface import Interface, implementer

from mailnode.errors import Busy, LoginNotAllowed, NoSuchAccount
from mailnode.interfaces.accounts import IDirectory
from mailnode.interfaces.scripts import IScripts
from mailnode.interfaces.sessions import IMailUser, IPopUser, IScriptUser, ISessionCounts, ISessionMind, ISubmitter
from mailnode.interfaces.store import IMaildrop, IMailStore
from mailnode.values.address import Address
from mailnode.values.directory import Account

MAILDROP_LEASE = 120.0  # seconds; a POP3 session renews it


@implementer(IMailUser)
class MailUser:
    """IMAP's avatar."""

    def __init__(self, account: Account, mails: IMailStore) -> None:
        self.account = account
        self.mail = mails.account(account.id)


@implementer(IPopUser)
class PopUser:
    """POP3's avatar."""

    def __init__(self, account: Account, mails: IMailStore) -> None:
        self.account = account
        self._mail = mails.account(account.id)

    async def maildrop(self) -> IMaildrop:
        """Open INBOX under its lease. :raises Busy: another session holds it. :raises NoSuchMailbox:"""
        inbox = await self._mail.named("INBOX")
        return await self._mail.maildrop(inbox.id, MAILDROP_LEASE)


@implementer(ISubmitter)
class Submitter:
    """Submission's avatar."""

    def __init__(self, account: Account, directory: IDirectory) -> None:
        self.account = account
        self._directory = directory

    async def may_send_as(self, address: Address) -> bool:
        """Whether the account owns the address."""
        return await self._directory.may_send_as(self.account.id, address)


@implementer(IScriptUser)
class ScriptUser:
    """ManageSieve's avatar."""

    def __init__(self, account: Account, scripts: IScripts) -> None:
        self.account = account
        self.scripts = scripts


@implementer(ISessionCounts)
class SessionCounts:
    """Counts in memory, for the process that counts for all."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    async def enter(self, account_id: str, protocol: str, limit: int) -> bool:
        """See :class:`ISessionCounts`."""
        key = account_id, protocol
        if self._counts[key] >= limit:
            return False
        self._counts[key] += 1
        return True

    def leave(self, account_id: str, protocol: str) -> None:
        """See :class:`ISessionCounts`."""
        key = account_id, protocol
        self._counts[key] -= 1
        if self._counts[key] <= 0:
            del self._counts[key]


@implementer(IRealm)
class MailRealm:
    """Makes avatars and remembers the live sessions, so that a new password or a suspension ends them."""

    def __init__(
        self,
        directory: IDirectory,
        mails: IMailStore,
        scripts: IScripts,
        counts: ISessionCounts,
        sessions_per_account: int = 100,
    ) -> None:
        """:param sessions_per_account: live logins of one account and protocol, in all processes of a server; may be
        changed at any time."""
        self.sessions_per_account = sessions_per_account
        self._directory = directory
        self._mails = mails
        self._counts = counts
        self._live: dict[str, dict[ISessionMind, None]] = {}
        self._avatars: dict[type[Interface], Callable[[Account], object]] = {
            IMailUser: lambda account: MailUser(account, mails),
            IPopUser: lambda account: PopUser(account, mails),
            ISubmitter: lambda account: Submitter(account, directory),
            IScriptUser: lambda account: ScriptUser(account, scripts),
        }
        directory.on_account_change(self._changed)

    def requestAvatar(
        self, avatarId: bytes | tuple[()], mind: object, *interfaces: type[Interface]
    ) -> Deferred[tuple[type[Interface], object, Callable[[], None]]]:
        """Return (interface, avatar, logout). Fails with LoginNotAllowed or Busy."""
        return Deferred.fromCoroutine(self._request(avatarId, cast(ISessionMind, mind), interfaces))

    async def _request(
        self, avatar_id: bytes | tuple[()], mind: ISessionMind, interfaces: tuple[type[Interface], ...]
    ) -> tuple[type[Interface], object, Callable[[], None]]:
        record = await self._directory.login_record(avatar_id.decode("utf-8", "replace") if avatar_id else "")
        if record.account is None:
            raise NoSuchAccount
        account_id = record.account.id
        interface = next(i for i in interfaces if i in self._avatars)
        # Known before it is read and counted: a change of the account meanwhile must find it.
        self._live.setdefault(account_id, {})[mind] = None
        try:
            account = await self._directory.account(account_id)  # as it is now: nothing remembered
            if not account.may_login:
                raise LoginNotAllowed
            if interface is not ISubmitter:
                self._mails.require_service(account.id)
            if not await self._counts.enter(account.id, mind.protocol, self.sessions_per_account):
                raise Busy
        except BaseException:
            self._forget(account_id, mind)
            raise
        return interface, self._avatars[interface](account), lambda: self._leave(account.id, mind)

    def _leave(self, account_id: str, mind: ISessionMind) -> None:
        if self._forget(account_id, mind):
            self._counts.leave(account_id, mind.protocol)

    def _forget(self, account_id: str, mind: ISessionMind) -> bool:
        live = self._live.get(account_id, {})
        known = mind in live
        live.pop(mind, None)
        if not live:
            self._live.pop(account_id, None)
        return known

    def _changed(self, account_id: str) -> None:
        for mind in list(self._live.get(account_id, ())):
            mind.end("the account was changed")

    def live_sessions(self) -> dict[str, int]:
        """Return the number of live logins by protocol, for metrics."""
        counts: dict[str, int] = {}
        for minds in self._live.values():
            for mind in minds:
                counts[mind.protocol] = counts.get(mind.protocol, 0) + 1
        return counts
