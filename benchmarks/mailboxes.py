"""Large mailboxes, made while no server runs: by the store's own interface, and as Maildir files."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks.messages import Messages
from mailnode.admin.administration import Administration
from mailnode.message.scanner import read_facts
from mailnode.net.no_reactor import run_now
from mailnode.server.administration import administration
from mailnode.server.configuration import configuration as configuration_of
from mailnode.values.address import parse_address
from mailnode.values.flags import ANSWERED, FLAGGED, SEEN
from mailnode.values.mailbox import NewMessage
from mailnode.values.mailbox_name import INBOX

BATCH = 500  # messages appended by one unit
FIRST_DATE = 1_577_836_800  # seconds; a minute between messages


def content(count: int, seed: int = 7) -> Iterator[bytes]:
    """Yield the messages of a mailbox: 3 KiB, every twentieth 30 KiB."""
    source = Messages(seed)
    for number in range(count):
        yield source.message(30_000 if number % 20 == 19 else 3000)


def fill_mailnode(configuration: Path, user: str, messages: Iterable[bytes]) -> None:
    """Append to the INBOX of an account of a server that does not run."""
    with administration(configuration_of(configuration, None)) as parts:
        run_now(_append(parts, user, messages))


async def _append(parts: Administration, user: str, messages: Iterable[bytes]) -> None:
    record = await parts.directory.account_by_address(parse_address(user))
    account = parts.mail.account(record.id)
    inbox = next(found for found in await account.mailboxes() if found.name == INBOX)
    mailbox, blobs = account.open(inbox.id), account.blobs()
    numbers = itertools.count()
    source = iter(messages)
    while batch := list(itertools.islice(source, BATCH)):
        await mailbox.append(
            [
                NewMessage(await blobs.put(message), read_facts(message), (FIRST_DATE + next(numbers) * 60) * 1_000_000)
                for message in batch
            ]
        )


def repeat_in_mailnode(configuration: Path, user: str, count: int) -> None:
    """Append ``count`` messages of few different contents: for what depends on the number of rows alone."""
    with administration(configuration_of(configuration, None)) as parts:
        run_now(_repeat(parts, user, count))


async def _repeat(parts: Administration, user: str, count: int) -> None:
    record = await parts.directory.account_by_address(parse_address(user))
    account = parts.mail.account(record.id)
    inbox = next(found for found in await account.mailboxes() if found.name == INBOX)
    mailbox, blobs = account.open(inbox.id), account.blobs()
    few = [(await blobs.put(message), read_facts(message)) for message in content(BATCH)]
    for start in range(0, count, BATCH):
        when = (FIRST_DATE + start * 60) * 1_000_000
        await mailbox.append([NewMessage(blob, facts, when) for blob, facts in few[: count - start]])


def wear_in_mailnode(configuration: Path, user: str, seed: int) -> None:
    """Give an INBOX the marks of use: a tenth expunged here and there, most of the rest read in the order of arrival, some
    much later, a few answered or flagged. UIDs with gaps, different flags and mod-sequences out of order."""
    with administration(configuration_of(configuration, None)) as parts:
        run_now(_wear(parts, user, random.Random(seed)))


async def _wear(parts: Administration, user: str, chance: random.Random) -> None:
    record = await parts.directory.account_by_address(parse_address(user))
    account = parts.mail.account(record.id)
    inbox = next(found for found in await account.mailboxes() if found.name == INBOX)
    mailbox = account.open(inbox.id)
    uids = list((await mailbox.snapshot()).uids)
    gone = sorted(chance.sample(uids, len(uids) // 10))
    for at in range(0, len(gone), BATCH):
        await mailbox.expunge(gone[at : at + BATCH], False)
    left = sorted(set(uids) - set(gone))
    later = {uid: uid + (chance.random() < 0.2) * chance.randrange(len(left)) for uid in left}
    order = sorted(left, key=lambda uid: later[uid])
    while order:
        taken = chance.randint(1, 40)
        unit = sorted(order[:taken])
        del order[:taken]
        if chance.random() < 0.9:
            await mailbox.store_flags(unit, "add", SEEN)
        for flag in (ANSWERED, FLAGGED):
            if chance.random() < 0.2:
                await mailbox.store_flags(chance.sample(unit, 1), "add", flag)


def fill_maildir(folder: Path, messages: Iterable[bytes]) -> None:
    """Write a Maildir as a delivery agent would, sizes in the names."""
    for number, message in enumerate(messages):
        name = f"{FIRST_DATE + number * 60}.M{number}P1.side,S={len(message)},W={len(message)}:2,"
        (folder / "cur" / name).write_bytes(message)
