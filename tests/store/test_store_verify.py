"""The checks of a partition's rows find what is wrong; the facades keep their interfaces."""

from __future__ import annotations

import pytest
from zope.interface.verify import verifyObject

from mailnode.interfaces.store import IBlobs, IBlobWriter, IMailAccount, IMailbox, IMaildrop, IMailStore
from mailnode.store.engines.engine import mail_tenancy


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        ("DELETE FROM message WHERE message_id = 1", "a placement without message"),
        ("DELETE FROM message WHERE message_id = 1", "a reference without message"),
        ("DELETE FROM mailbox WHERE mailbox_id = 1", "a placement without mailbox"),
        ("UPDATE mailbox SET uidnext = 2 WHERE mailbox_id = 1", "a UID that is not below UIDNEXT"),
        ("UPDATE placement SET modseq = 99", "a modseq above the mailbox's"),
        ("UPDATE account SET modseq = 1", "a mailbox's modseq above the account's"),
        ("DELETE FROM placement WHERE uid = 2", "a message that stands nowhere"),
        ("DELETE FROM blob_ref", "a message whose blob has no reference"),
        ("DELETE FROM blob", "an inline blob that is missing"),
        ("UPDATE mailbox SET unseen = 5 WHERE mailbox_id = 1", "mailbox 1 counts"),
        ("UPDATE account SET bytes_used = 0", "usage"),
        ("DELETE FROM blob_ref WHERE message_id = 1", "an inline blob nobody needs"),
    ],
)
def test_verify_finds(store, engine, loop, make, damage, fault):
    loop.run(store.account("ann").open(1).append([make(), make()]))
    assert loop.run(store.verify()) == []
    tenancy = mail_tenancy(store.partition("ann"))

    def mend(tx):
        for table in ("account", "mailbox", "message", "placement", "blob", "blob_ref"):
            tx.execute(f"DELETE FROM {table}")

    loop.run(engine.write(tenancy, lambda tx: tx.execute(damage)))
    assert fault in "\n".join(loop.run(store.verify()))
    loop.run(engine.write(tenancy, mend))


def test_the_facades_keep_their_interfaces(store, blobs, loop):
    account = store.account("ann")
    assert verifyObject(IMailStore, store)
    assert verifyObject(IMailAccount, account)
    assert verifyObject(IMailbox, account.open(1))
    assert verifyObject(IMaildrop, loop.run(account.maildrop(1, 60)))
    assert verifyObject(IBlobs, blobs)
    assert verifyObject(IBlobWriter, blobs.writer(1))
