"""A mailbox that is looked into without being selected."""

from __future__ import annotations

from mailnode.imap.commands.context import Context, Progress
from mailnode.imap.selected import Selected
from mailnode.imap.services import ImapServices
from mailnode.imap.view.view import View
from mailnode.interfaces.store import IMailAccount, IMailbox


class Elsewhere:
    """The ``Searching`` of a session in one mailbox as it stands. No number of it is told to anybody."""

    def __init__(self, session: Context, mailbox: Selected) -> None:
        self._session = session
        self.mailbox = mailbox

    @classmethod
    async def open(cls, session: Context, mailbox: IMailbox) -> Elsewhere:
        """Look at a mailbox. :raises NoSuchMailbox: :raises NotPermitted:"""
        services = session.services
        async with services.searches.reading():
            view = View(await mailbox.snapshot())
        selected = Selected(mailbox, view, True, "", services.clock.seconds, session.checkpoint, services.threads)
        return cls(session, selected)

    @property
    def progress(self) -> Progress | None:
        """How far the command is, with all its mailboxes."""
        return self._session.progress

    @progress.setter
    def progress(self, progress: Progress | None) -> None:
        self._session.progress = progress

    @property
    def services(self) -> ImapServices:
        """What all sessions share."""
        return self._session.services

    @property
    def mail(self) -> IMailAccount:
        """The mail of whoever looks, whose searches they are."""
        return self._session.mail

    def write(self, data: bytes) -> None:
        """As the session does."""
        self._session.write(data)

    async def pause(self, within: bool = False) -> None:
        """As the session does."""
        await self._session.pause(within)

    async def checkpoint(self) -> None:
        """As the session does."""
        await self._session.checkpoint()

    def ensure_there(self) -> None:
        """As the session does."""
        self._session.ensure_there()
