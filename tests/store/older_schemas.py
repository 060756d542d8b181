"""Databases as older versions wrote them: made by the steps those had, with rows that had only the columns of then."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import apsw

from mailnode.store.blobs import codec
from mailnode.store.engines import migrate
from mailnode.store.engines.engine import DIRECTORY, EPHEMERAL, QUEUE, mail_tenancy
from mailnode.store.engines.migrate import kind_of
from mailnode.store.engines.sqlite_transaction import SqliteTransaction
from mailnode.values.blob import BlobRef

ACCOUNT = "0123456789abcdefghjk"
CONTENT = b"Subject: of then\r\n\r\nhello\r\n"
DIGEST, ENCODING, STORED = codec.encode(CONTENT)
QUEUED = BlobRef("0000000000000000000q", len(CONTENT), "inline", ENCODING, DIGEST)
MOMENT = 1_700_000_000
UIDVALIDITY = 77


def insert(tx: SqliteTransaction, table: str, **values: object) -> None:
    marks = ", ".join("?" * len(values))
    tx.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", list(values.values()))


def mail_rows(tx: SqliteTransaction) -> None:
    """An account with an INBOX, a live message in it and an expunged one, and a deleted mailbox."""
    counts = {"messages": 1, "unseen": 1, "deleted": 0, "size": len(CONTENT)}
    nothing = dict.fromkeys(counts, 0)
    insert(
        tx,
        "account",
        account_id=ACCOUNT,
        modseq=9,
        next_mailbox=3,
        next_message=3,
        next_uidvalidity=UIDVALIDITY + 2,
        quota_bytes=0,
        quota_count=0,
        bytes_used=len(CONTENT),
        count_used=1,
        keywords='["$Then"]',
        indexed_modseq=0,
    )
    common = {
        "account_id": ACCOUNT,
        "parent_id": 0,
        "highest_modseq": 9,
        "forgotten_modseq": 0,
        "recent_uid": 1,
        "recent_before": 1,
        "special_use": "",
        "selectable": 1,
    }
    insert(tx, "mailbox", mailbox_id=1, name="INBOX", uidvalidity=UIDVALIDITY, uidnext=3, **common, **counts)
    insert(
        tx,
        "mailbox",
        mailbox_id=2,
        name="Old",
        uidvalidity=UIDVALIDITY + 1,
        uidnext=1,
        deleted_at=MOMENT * 1_000_000,
        **common,
        **nothing,
    )
    insert(tx, "subscription", account_id=ACCOUNT, name="INBOX")
    insert(tx, "blob", blob_id="0000000000000000000m", encoding=ENCODING, data=STORED)
    for number in (1, 2):
        insert(
            tx,
            "message",
            account_id=ACCOUNT,
            message_id=number,
            thread_id=number,
            received_at=MOMENT * 1_000_000,
            internaldate=MOMENT * 1_000_000,
            internaldate_offset=0,
            header_size=18,
            blob_id="0000000000000000000m",
            blob_size=len(CONTENT),
            blob_place="inline",
            blob_encoding=ENCODING,
            blob_digest=DIGEST,
            facts_version=1,
            prefix=b"",
            envelope=b"(envelope)",
            bodystructure=b"(body)",
            sort=b'[null,0,"of then","",false,"","","","","","",[]]',
            fields=b"",
            body=b"(body)",
            parts=b"[]",
        )
        insert(tx, "blob_ref", blob_id="0000000000000000000m", account_id=ACCOUNT, message_id=number)
        insert(
            tx,
            "placement",
            account_id=ACCOUNT,
            mailbox_id=1,
            uid=number,
            message_id=number,
            flags=0,
            modseq=number + 2,
            created_modseq=2,
            size=len(CONTENT),
            savedate=MOMENT * 1_000_000,
            expunged_modseq=None if number == 1 else 4,
            expunged_at=None if number == 1 else MOMENT * 1_000_000,
        )


def queue_rows(tx: SqliteTransaction) -> None:
    """An envelope with a recipient that waits."""
    insert(
        tx,
        "blob",
        id=QUEUED.blob_id,
        shard=0,
        size=QUEUED.size,
        place="inline",
        encoding=ENCODING,
        digest=DIGEST,
        data=STORED,
    )
    insert(
        tx,
        "envelope",
        shard=0,
        id="0000000000000000000e",
        phase="open",
        held=0,
        remaining=1,
        reverse_path="bob@side.test",
        blob_id=QUEUED.blob_id,
        created=MOMENT,
        expires=MOMENT + 1_000_000_000,
        body="",
        smtputf8=0,
        ret="",
        envid="",
        session="",
        account_id="",
        internaldate=MOMENT * 1_000_000,
    )
    insert(
        tx,
        "recipient",
        shard=0,
        envelope_id="0000000000000000000e",
        number=0,
        destination="far.test",
        due_at=MOMENT,
        state="waiting",
        token="",
        lease_until=0,
        next_try=MOMENT,
        attempts=1,
        address="carol@far.test",
        account_id="",
        plan="",
        notify="",
        orcpt="",
        last_status="4.4.1",
        last_reply="",
        last_host="",
        delay_told=0,
    )


def directory_rows(tx: SqliteTransaction) -> None:
    """A domain, and the account."""
    insert(
        tx, "domain", name="mailnode.test", written="mailnode.test", alias_of="", catch_all="", separator="+", fixed=0
    )
    insert(
        tx,
        "account",
        id=ACCOUNT,
        address="alice@mailnode.test",
        address_key="alice@mailnode.test",
        domain="mailnode.test",
        status="active",
        role="user",
        locale="",
        time_zone="",
        created=MOMENT,
        generation=1,
    )
    insert(
        tx,
        "address",
        address_key="alice@mailnode.test",
        domain="mailnode.test",
        written="alice@mailnode.test",
        account_id=ACCOUNT,
        kind="primary",
        detail="keep",
    )


def ephemeral_rows(tx: SqliteTransaction) -> None:
    """A counter."""
    insert(tx, "counter", name="x", amount=1.0, moment=MOMENT, half_life=60.0, forget_at=MOMENT + 600)


ROWS: dict[str, Callable[[SqliteTransaction], None]] = {
    "mail": mail_rows,
    QUEUE: queue_rows,
    DIRECTORY: directory_rows,
    EPHEMERAL: ephemeral_rows,
}


def newest(kind: str) -> int:
    """The number of the latest schema."""
    return migrate.known(kind)[-1].number


def write_older(data: Path, kind: str, number: int) -> None:
    """Make a data directory of one partition, in which the databases of one kind have an older schema."""
    data.mkdir(mode=0o700)
    for name in (DIRECTORY, QUEUE, EPHEMERAL, mail_tenancy(0)):
        path = data / f"{name}.db"
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = apsw.Connection(str(path))
        tx = SqliteTransaction(connection)
        with connection:
            migrate.version(tx)
            for step in migrate.known(kind_of(name)):
                if step.number == 1:
                    migrate.apply(tx, step)
                    ROWS[kind_of(name)](tx)
                elif kind_of(name) != kind or step.number <= number:
                    migrate.apply(tx, step)
            tx.execute("DELETE FROM meta WHERE key = 'read by'")  # which those versions did not write
        connection.close()
