"""The checks of a partition's rows find what is wrong; the facades keep their interfaces."""

from __future__ import annotations

import os

import pytest
from zope.interface.verify import verifyObject

from mailnode.interfaces.store import IBlobs, IBlobWriter, IMailAccount, IMailbox, IMaildrop, IMailStore
from mailnode.store.engines.engine import mail_tenancy
from mailnode.store.facades.queue import Queue


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


def test_files_that_are_gone_are_told_in_pieces(store, blobs, loop, make, monkeypatch):
    blobs.prepare()
    monkeypatch.setattr("mailnode.store.units.verify.ROWS", 2)
    large = b"Subject: x\r\n\r\n" + os.urandom(200_000).hex().encode()
    placed = [make(), make(large), make(large), make()]
    loop.run(store.account("ann").open(1).append(placed))
    for large in placed[1:3]:
        blobs.path(large.blob.ref.blob_id).unlink()
    damaged, files, after = {}, 0, -1
    while after is not None:
        piece = loop.run(store.check("ann").look_for_files(after))
        damaged.update(piece.damaged)
        files, after = files + piece.files, piece.after
    assert (files, damaged) == (2, {n: f"its file is missing: {placed[n - 1].blob.ref.blob_id}" for n in (2, 3)})
    assert loop.run(store.account_ids()) == {"ann"}


def test_the_files_that_the_queue_needs_are_told(engine, blobs, post, loop):
    queue = Queue(engine, blobs)
    post("e1", ["a.example"])
    assert loop.run(queue.files("", 10)) == []


def test_the_facades_keep_their_interfaces(store, blobs, loop):
    account = store.account("ann")
    assert verifyObject(IMailStore, store)
    assert verifyObject(IMailAccount, account)
    assert verifyObject(IMailbox, account.open(1))
    assert verifyObject(IMaildrop, loop.run(account.maildrop(1, 60)))
    assert verifyObject(IBlobs, blobs)
    assert verifyObject(IBlobWriter, blobs.writer(1))
