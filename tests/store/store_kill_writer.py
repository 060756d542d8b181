"""The process that is killed: delivers and flags as fast as it can, and says on its output what was acknowledged."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

from store_support import Loop, RecordingHints, make_facts
from twisted.internet.defer import Deferred

from mailnode.net.no_reactor import CallingThread, StandingClock
from mailnode.store.blobs.local import LocalBlobs
from mailnode.store.engines.sqlite import SqliteEngine
from mailnode.store.facades.mail_store import MailStore
from mailnode.values.mailbox import DeliveryPlan, NewMessage


def say(*words: object) -> None:
    os.write(1, " ".join(map(str, words)).encode() + b"\n")


async def session(store: MailStore, blobs: LocalBlobs, number: int, dice: random.Random) -> None:
    for turn in range(100_000):
        name = f"m{number}-{turn}"
        filler = dice.randbytes(dice.choice((10, 3000, 30_000, 400_000)))
        content = name.encode() + b" \r\n" + filler
        staged = await blobs.put(content)
        message = NewMessage(staged, make_facts(len(content), name), 0)
        plans = [DeliveryPlan(account, f"{account}@x.test") for account in ("ann", "bea")[: 1 + turn % 2]]
        for placed in await store.deliver(name, plans, message, True):
            say("placed", placed.account_id, placed.uid, name)
        box = store.account("ann").open(1)
        uid = placed.uid if placed.account_id == "ann" else 1
        if number == 0:
            await box.store_flags([uid], "set", 4)
            say("flagged", "ann", uid, 4)


def main() -> None:
    directory, seed = Path(sys.argv[1]), int(sys.argv[2])
    loop = Loop()
    engine = SqliteEngine(directory / "data", 1, loop.call_from_thread)
    loop.run(engine.start())
    blobs = LocalBlobs(directory / "blobs", CallingThread(), StandingClock())
    blobs.prepare()
    store = MailStore(engine, blobs, RecordingHints(), StandingClock(), 1)
    for account in ("ann", "bea"):
        loop.run(store.provision(account))
    for number in range(8):
        Deferred.fromCoroutine(session(store, blobs, number, random.Random(seed * 100 + number)))
    loop.run(_for_ever())


async def _for_ever() -> None:
    await Deferred()


if __name__ == "__main__":
    main()
