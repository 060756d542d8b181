"""A store for backups, without a server: messages in mailboxes, and what they say."""

from __future__ import annotations

import os

from mailnode.admin.finding import find_account
from mailnode.config.demo import demo_config
from mailnode.message.scanner import read_facts
from mailnode.net.no_reactor import run_now
from mailnode.server.administration import administration
from mailnode.values.mailbox import NewMessage

PASSWORD = "first of these"


class Site:
    """The store in one data directory, opened for each thing that is done."""

    def __init__(self, data, address="alice@mailnode.test"):
        self.data = data
        self.address = address

    def work(self, work):
        """Do something with the account's mail."""
        with administration(demo_config(self.data)) as admin:

            async def done():
                account = await find_account(admin, self.address)
                return await work(admin.mail.account(account.id))

            return run_now(done())

    def append(self, text, mailbox="INBOX", large=False, **options):
        """Place a message; return its UID."""
        filler = os.urandom(100_000).hex() if large else "x"
        data = f"From: Bob <bob@side.test>\r\nSubject: {text}\r\nMessage-ID: <{text}@side.test>\r\n\r\n{filler}\r\n".encode()

        async def work(mail):
            blob = await mail.blobs().put(data)
            box = mail.open((await mail.named(mailbox)).id)
            message = NewMessage(blob, read_facts(data), 1_700_000_000_000_000, 60, **options)
            return (await box.append([message])).uids[0]

        return self.work(work)

    def expunge(self, *uids, mailbox="INBOX"):
        async def work(mail):
            await mail.open((await mail.named(mailbox)).id).expunge(uids, False)

        self.work(work)

    def subjects(self, mailbox="INBOX"):
        """The subjects of what stands in a mailbox, by UID; each message is read whole."""

        async def work(mail):
            box = mail.open((await mail.named(mailbox)).id)
            snapshot = await box.snapshot()
            found = {}
            for uid, blob in await box.rows(list(snapshot.uids), ["blob"]):
                content = await box.read(blob)
                found[uid] = content.split(b"Subject: ")[1].split(b"\r\n")[0].decode()
            return found

        return self.work(work)
