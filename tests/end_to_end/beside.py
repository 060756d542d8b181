"""A second session of an account, by IMAPClient, which changes what a mail program shows and sees what that changed."""

from __future__ import annotations

import ssl
from collections.abc import Iterable

from imapclient import IMAPClient
from servers import PASSWORD, MailNode, wait_for

Mailbox = dict[str, set[str]]  # subjects -> flags
_BESIDES = {"\\Recent", "$MDNSent"}  # what sessions get as it comes, and what Thunderbird may mark with others offline


class Beside(IMAPClient):
    """A session over implicit TLS, logged in. Names of mailboxes are text; messages are named by their subjects."""

    def __init__(self, node: MailNode, user: str) -> None:
        trusting = ssl.create_default_context(cafile=node.ca)
        super().__init__("localhost", node.ports["imaps"], ssl_context=trusting, timeout=60)
        self.user = user
        self.login(user, PASSWORD)

    def put(self, *subjects: str, mailbox: str = "INBOX", header: str = "") -> None:
        """Store a message for each subject."""
        texts = []
        for subject in subjects:
            number = subject.encode().hex()
            text = f"From: Ann <ann@side.test>\r\nTo: {self.user}\r\nMessage-ID: <{number}@side.test>\r\n{header}"
            text += f"Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nSubject: {subject}\r\n\r\nThis is {subject}.\r\n"
            texts.append(text.encode())
        for first in range(0, len(texts), 500):  # as many as one command may have
            answer, _ = self.multiappend(mailbox, texts[first : first + 500])
            assert answer == "OK"

    def mailbox(self, name: str = "INBOX") -> Mailbox:
        """Return what is in a mailbox now; it is selected then."""
        self.select_folder(name)
        found = self.fetch(self.search(), ["ENVELOPE", "FLAGS"])
        return {
            one[b"ENVELOPE"].subject.decode(): {flag.decode() for flag in one[b"FLAGS"]} - _BESIDES
            for one in found.values()
        }

    def uid(self, subject: str, mailbox: str = "INBOX") -> list[int]:
        """Return the UIDs of the messages with a subject; the mailbox is selected then."""
        self.select_folder(mailbox)
        return self.search(["SUBJECT", subject])

    def expect(self, what: Mailbox | Iterable[str], mailbox: str = "INBOX") -> None:
        """Wait until a mailbox holds these messages and no others, with these flags if they are told."""

        def as_expected() -> bool:
            self.seen = self.mailbox(mailbox)
            return self.seen == what if isinstance(what, dict) else set(self.seen) == set(what)

        try:
            wait_for(as_expected, mailbox)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.seen}, not {what}") from None
