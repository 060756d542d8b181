"""A small store for the fault tests: one partition, two accounts, and a way to look at what is really there."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailnode.net.hints import LocalHints
from mailnode.net.no_reactor import CallingThread
from mailnode.store.blobs.local import LocalBlobs
from mailnode.store.engines.engine import QUEUE, mail_tenancy
from mailnode.store.engines.sqlite import SqliteEngine
from mailnode.store.facades.mail_store import MailStore
from mailnode.store.facades.queue import Queue
from mailnode.store.units import verify
from mailnode.values.facts import EncodedFacts, MessageFacts, Part, SortKeys, encode
from mailnode.values.mailbox import DeliveryPlan, NewMessage
from mailnode.values.queue import NewEnvelope, QueuedEnvelope, QueuedRecipient

MAIL = mail_tenancy(0)
ACCOUNTS = ("ann", "bea")
NOW = 1_800_000_000.0
PATIENCE = 20  # seconds until a hanging test fails


class Loop:
    """What the reactor thread is to the store: a queue of calls."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[Any] = SimpleQueue()

    def call_from_thread(self, function: Any, *args: Any) -> None:
        self._calls.put((function, args))

    def begin(self, coroutine: Any) -> list[Any]:
        """Start a coroutine; the list gets its result or exception."""
        outcome: list[Any] = []
        Deferred.fromCoroutine(coroutine).addCallbacks(outcome.append, lambda failure: outcome.append(failure.value))
        return outcome

    def wait(self, *outcomes: list[Any]) -> None:
        while not all(outcomes):
            function, args = self._calls.get(timeout=PATIENCE)
            function(*args)

    def wait_any(self, *outcomes: list[Any]) -> None:
        while not any(outcomes):
            function, args = self._calls.get(timeout=PATIENCE)
            function(*args)

    def run(self, coroutine: Any) -> Any:
        outcome = self.begin(coroutine)
        self.wait(outcome)
        if isinstance(outcome[0], BaseException):
            raise outcome[0]
        return outcome[0]


def content_of(name: str, size: int = 200) -> bytes:
    """Content that says of itself whether it is whole, and does not compress."""
    body = b"".join(hashlib.sha256(f"{name} {n}".encode()).digest() for n in range(size // 32 + 1))[:size]
    return b"Subject: " + name.encode() + b"\r\n\r\n" + body.replace(b"\n", b" ").replace(b"\r", b" ")


def facts_of(size: int) -> EncodedFacts:
    part = Part("", "leaf", 0, 20, size, 1, "text/plain", "us-ascii", "7bit")
    return encode(MessageFacts(size, 20, b"(e)", b"(s)", b"(b)", b"", (part,), SortKeys()))


class Store:
    """Engine, blobs, mail and queue on one directory."""

    def __init__(self, directory: Path, blobs: Path, vfs: str | None = None, loop: Loop | None = None) -> None:
        """Without a loop, every unit runs in the calling thread."""
        self.loop = loop or Loop()
        self.clock = Clock()
        self.clock.advance(NOW)
        call = loop.call_from_thread if loop is not None else None
        self.engine = SqliteEngine(directory, 1, call, vfs=vfs)
        self.loop.run(self.engine.start())
        self.blobs = LocalBlobs(blobs, CallingThread(), self.clock)
        self.blobs.prepare()
        self.mail = MailStore(self.engine, self.blobs, LocalHints(), self.clock)
        self.queue = Queue(self.engine, self.blobs)
        for account in ACCOUNTS:
            self.loop.run(self.mail.provision(account))

    def stop(self) -> None:
        self.loop.run(self.engine.stop())

    # mail

    async def deliver(self, name: str, accounts: tuple[str, ...], size: int = 200) -> Any:
        """Stage and place a message that carries its name."""
        content = content_of(name, size)
        staged = await self.blobs.put(content)
        message = NewMessage(staged, facts_of(len(content)), 0)
        plans = [DeliveryPlan(account, account, prefix=b"X-Name: %s\r\n" % name.encode()) for account in accounts]
        return await self.mail.deliver(name, plans, message, True)

    def present(self) -> dict[str, list[str]]:
        """Return the names of the messages that are there, by account; each is read whole and compared."""
        return {account: self.loop.run(self._names(account)) for account in ACCOUNTS}

    async def _names(self, account: str) -> list[str]:
        mailbox = self.mail.account(account).open(1)
        uids = list((await mailbox.snapshot()).uids)
        names = []
        for start in range(0, len(uids), 256):
            for _, prefix, blob, size in await mailbox.rows(uids[start : start + 256], ("prefix", "blob", "size")):
                name = prefix[8:-2].decode()
                content = await mailbox.read(blob)
                assert content == content_of(name, blob.size - len(content_of(name, 0))), name
                assert size == len(prefix) + blob.size
                names.append(name)
        return names

    def faults(self) -> list[str]:
        """Return what is wrong with the rows."""
        found = list(self.loop.run(self.engine.read(MAIL, verify.unreferenced_inline)))
        for account in ACCOUNTS:
            found += self.loop.run(self.engine.read(MAIL, verify.account, account))
        for tenancy in (MAIL, QUEUE):
            found += [row for row in self.loop.run(self.engine.read(tenancy, _integrity)) if row != "ok"]
        return found

    # queue

    async def enqueue(self, name: str, destination: str = "a.example") -> str:
        staged = await self.blobs.put(content_of(name))
        recipient = QueuedRecipient(0, f"u@{destination}", destination, next_try=NOW)
        envelope = QueuedEnvelope(name, "", staged.ref, NOW, NOW + 1000, recipients=(recipient,))
        await self.queue.enqueue(NewEnvelope(envelope, staged))
        return name

    def queued(self) -> set[str]:
        """Return the names of the queued envelopes; each message is read whole and compared."""
        envelopes = self.loop.run(self.queue.envelopes(limit=1000))
        for envelope in envelopes:
            assert self.loop.run(self.queue.read(envelope.blob)) == content_of(envelope.id)
            assert len(envelope.recipients) == 1
        return {envelope.id for envelope in envelopes}

    # batches

    def batch(self, tenancy: str, *coroutines: Any, before: Any = lambda: None) -> list[Any]:
        """Run coroutines so that the units they write first are one batch of the writer: it is held until they all wait.

        :param before: called while the writer is held.
        """
        gate = threading.Event()
        held = self.loop.begin(self.engine.write(tenancy, _hold, gate))
        before()
        outcomes = [self.loop.begin(coroutine) for coroutine in coroutines]
        gate.set()
        self.loop.wait(held, *outcomes)
        return [outcome[0] for outcome in outcomes]


def _hold(tx: Any, gate: threading.Event) -> int:
    assert gate.wait(PATIENCE)
    return 1


def _integrity(tx: Any) -> list[str]:
    return [row[0] for row in tx.execute("PRAGMA integrity_check")]
