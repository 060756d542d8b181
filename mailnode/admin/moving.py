"""What import and export ask of the store: which mailboxes and messages there are, messages placed some at a time, flags added,
contents read. Commands for people are made of these (``mailnode import``, ``mailnode export``)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from mailnode.admin.administration import Administration
from mailnode.admin.finding import about, find_account
from mailnode.admin.operations import OpenFile, OperationFailed, Reason, operation
from mailnode.errors import BlobDamaged, KeywordLimit, MailboxExists, NoSuchMailbox
from mailnode.interfaces.store import IMailAccount, IMailbox
from mailnode.message.lineends import LineEnds
from mailnode.values.facts import decode_sort_keys
from mailnode.values.flags import split_flags
from mailnode.values.mailbox import MailboxInfo, NewMessage
from mailnode.values.mailbox_name import INBOX, mailbox_name
from mailnode.values.moving import (
    ArrivingMessage,
    ContentsRead,
    FlagsAdded,
    ImportNoted,
    MailboxesHere,
    MailboxHere,
    MessageHere,
    MessagesHere,
    MessagesPlaced,
    digest_of,
)
from mailnode.values.rows import StoredRow

PAGE = 2048  # messages of one answer
ROWS = 256  # that are read by one unit
MOST = 500  # messages that are placed by one unit
PIECE = 256 * 1024  # octets read at once
MAX_UIDL = 70  # characters (RFC 1939 7)
LAST_SECOND = 253_402_300_799  # of the year 9999; files may tell of later ones
_GROWTH = 2  # a message of nothing but LF doubles
_READER = "import"  # of what is noted about mailboxes; no account has this id, so no mail program sees it
_ENTRY = "/private/vendor/mailnode/import/"
_COLUMNS = ("internaldate", "internaldate_offset", "size", "sort", "prefix", "blob", "flags")


@operation("moving.mailboxes")
async def moving_mailboxes(admin: Administration, address: str, source: str = "") -> MailboxesHere:
    """All mailboxes of an account, each with what an import noted of it.

    :param source: what the import takes mail from, in any words without line ends.
    """
    account = await find_account(admin, address)
    mail = admin.mail.account(account.id)
    infos = await mail.mailboxes()
    ids = [info.id for info in infos]
    counts = {status.mailbox_id: status for status in await mail.status(ids)}
    noted = await mail.annotations(ids, _READER) if source else {}
    here: list[MailboxHere] = []
    for info in infos:
        status = counts.get(info.id)
        here.append(
            {
                "id": info.id,
                "name": info.name,
                "special_use": info.special_use,
                "selectable": info.selectable,
                "subscribed": info.subscribed,
                "messages": status.messages if status else 0,
                "uidvalidity": info.uidvalidity,
                "uidnext": status.uidnext if status else 1,
                "noted": noted.get(info.id, {}).get(_entry(source), b"").decode("utf-8", "replace"),
            }
        )
    return {"address": account.address, "largest": admin.trials.largest, "mailboxes": here}


@operation("moving.mailbox")
async def moving_mailbox(
    admin: Administration, address: str, name: str, special_use: str = "", subscribe: bool = False
) -> MailboxHere:
    """Return a mailbox, which is made when it is not there, and subscribed when that is asked for."""
    with about(name):
        wanted = mailbox_name(name)
    mail = admin.mail.account((await find_account(admin, address)).id)
    with about(name):
        info = await _standing(mail, wanted, special_use)
    if subscribe and not info.subscribed:
        await mail.subscribe(info.name, True)
    (status,) = await mail.status([info.id])
    return {
        "id": info.id,
        "name": info.name,
        "special_use": info.special_use,
        "selectable": True,
        "subscribed": info.subscribed or subscribe,
        "messages": status.messages,
        "uidvalidity": info.uidvalidity,
        "uidnext": status.uidnext,
        "noted": "",
    }


@operation("moving.messages")
async def moving_messages(admin: Administration, address: str, mailbox: int, after: int) -> MessagesHere:
    """A page of the messages of a mailbox, with UIDs above ``after``."""
    mail = admin.mail.account((await find_account(admin, address)).id)
    box = mail.open(mailbox)
    snapshot = await box.snapshot()
    uids = [uid for uid in snapshot.uids if uid > after]
    some = uids[:PAGE]
    here: list[MessageHere] = []
    for at in range(0, len(some), ROWS):
        for uid, arrived, offset, size, sort, prefix, blob, flags in await box.rows(some[at : at + ROWS], _COLUMNS):
            here.append(
                {
                    "uid": uid,
                    "digest": digest_of(prefix, blob.digest).hex(),
                    "on_top": len(prefix),
                    "message_id": decode_sort_keys(sort).message_id,
                    "internaldate": arrived // 1_000_000,
                    "offset": offset,
                    "size": size,
                    "flags": list(snapshot.keywords.flag_names(flags)),
                }
            )
    more = len(uids) > PAGE
    return {"uidnext": some[-1] + 1 if more else snapshot.uidnext, "more": more, "messages": here}


@operation("moving.place")
async def moving_place(
    admin: Administration, address: str, mailbox: int, seen: int, messages: list[str], content: OpenFile
) -> MessagesPlaced:
    """Place messages in a mailbox, all or none; when it is answered they are durable. Asked a second time, because the answer
    was lost, it answers ``behind``: nothing is placed twice.

    :param seen: a UIDNEXT of the mailbox: all that stands there before it is known to whoever asks. :param messages: each as
        :meth:`ArrivingMessage.as_text` says it. :param content: a file with their octets, one after another.
    """
    account = await find_account(admin, address)
    arriving = [ArrivingMessage.from_text(one) for one in messages]
    if len(arriving) > MOST:
        raise OperationFailed(Reason.WRONG_VALUE, f"more than {MOST} messages at once")
    mail = admin.mail.account(account.id)
    answer: MessagesPlaced = {"behind": False, "uidnext": seen, "uids": [], "lost_keywords": []}
    async with admin.moving((account.id, mailbox)):
        if await _uidnext(mail, mailbox) > seen:
            answer["behind"] = True
            return answer
        new = await _staged(admin, mail, arriving, content)
        await _append(mail, mailbox, new, answer)
    admin.note(
        "messages.moved_in",
        account=account.address,
        mailbox=mailbox,
        messages=len(new),
        size=sum(one.blob.ref.size for one in new),
    )
    return answer


@operation("moving.flags")
async def moving_flags(admin: Administration, address: str, mailbox: int, messages: list[str]) -> FlagsAdded:
    """Add flags to messages.

    :param messages: each as its UID and names of flags, separated by spaces.
    """
    mail = admin.mail.account((await find_account(admin, address)).id)
    box = mail.open(mailbox)
    wanted: dict[tuple[str, ...], list[int]] = {}
    for one in messages:
        uid, *given = one.split(" ")
        if not (uid.isascii() and uid.isdecimal()) or len(uid) > 10:
            raise OperationFailed(Reason.WRONG_VALUE, f"{one}: should be a UID and flags")
        wanted.setdefault(tuple(given), []).append(int(uid))
    changed = 0
    for names, uids in wanted.items():
        system, keywords = split_flags(names)
        try:
            stored = await box.store_flags(sorted(uids), "add", system, keywords)
        except KeywordLimit:  # the others are still worth having
            stored = await box.store_flags(sorted(uids), "add", system)
        changed += len(stored.changed)
    return {"changed": changed}


@operation("moving.note")
async def moving_note(admin: Administration, address: str, mailbox: int, source: str, text: str) -> ImportNoted:
    """Keep a text about a mailbox for the next import from a source. :param text: "": nothing is kept."""
    mail = admin.mail.account((await find_account(admin, address)).id)
    await mail.annotate(mailbox, [(_READER, _entry(source), text.encode() or None)])
    return {"noted": text}


@operation("moving.read")
async def moving_read(
    admin: Administration, address: str, mailbox: int, uids: list[str], content: OpenFile
) -> ContentsRead:
    """Write messages to a file, one after another, from its beginning."""
    mail = admin.mail.account((await find_account(admin, address)).id)
    box = mail.open(mailbox)
    if len(uids) > ROWS or not all(uid.isascii() and uid.isdecimal() and len(uid) <= 10 for uid in uids):
        raise OperationFailed(Reason.WRONG_VALUE, f"should be {ROWS} UIDs at most")
    numbers = [int(uid) for uid in uids]
    rows = {row[0]: row for row in await box.rows(sorted(numbers), ("prefix", "blob"))}
    octets: list[int] = []
    at = 0
    for uid in numbers:
        size = await _write_out(admin, box, rows.get(uid), content, at)
        octets.append(size)
        at += max(size, 0)
    return {"octets": octets}


def _entry(source: str) -> str:
    return _ENTRY + source.lower()


async def _standing(mail: IMailAccount, name: str, special_use: str) -> MailboxInfo:
    """Return a mailbox that takes messages, by its name; made when it is not there."""
    for info in await mail.with_inferior(name):
        if info.name == name and info.selectable:
            return info
    try:
        return await mail.create(name, "" if name == INBOX else special_use)
    except MailboxExists:  # made meanwhile
        return await mail.named(name)


async def _uidnext(mail: IMailAccount, mailbox: int) -> int:
    statuses = await mail.status([mailbox])
    if not statuses:
        raise NoSuchMailbox
    return statuses[0].uidnext


async def _staged(
    admin: Administration, mail: IMailAccount, arriving: Sequence[ArrivingMessage], content: int
) -> list[NewMessage]:
    """Write messages where they will lie, and look at each. :raises OperationFailed: the file has not what was said of it."""
    new: list[NewMessage] = []
    start = 0
    for one in arriving:
        writer = mail.blobs().writer(one.octets * _GROWTH + len(b"\r\n"))
        try:
            lines = LineEnds()
            for at, length in _ranges(start, start + one.octets):
                piece = await admin.threads.run("disk", _read, content, length, at)
                await writer.write(lines.convert(piece))
            await writer.write(lines.finish())
            blob, facts = await admin.stage(mail.blobs(), writer)
        except BaseException:
            writer.abort()
            raise
        start += one.octets
        system, keywords = split_flags(one.flags)
        uidl = one.uidl if 0 < len(one.uidl) <= MAX_UIDL and one.uidl.isascii() and one.uidl.isprintable() else ""
        new.append(
            NewMessage(
                blob,
                facts,
                min(max(one.internaldate, 0), LAST_SECOND) * 1_000_000,
                one.offset,
                flags=system,
                keywords=keywords,
                uidl=uidl if uidl and " " not in uidl else None,
            )
        )
    return new


async def _append(mail: IMailAccount, mailbox: int, new: Sequence[NewMessage], answer: MessagesPlaced) -> None:
    """Place them; where the account has no room for more keywords, with those it has."""
    box: IMailbox = mail.open(mailbox)
    try:
        appended = await box.append(new)
    except KeywordLimit:
        known = (await box.changes(await mail.modseq())).keywords
        wanted = {keyword for one in new for keyword in one.keywords}
        lost = {keyword for keyword in wanted if known.bit(keyword) is None}
        answer["lost_keywords"] = sorted(lost)
        kept = [one._replace(keywords=tuple(word for word in one.keywords if word not in lost)) for one in new]
        appended = await box.append(kept)
    answer["uids"] = list(appended.uids)
    answer["uidnext"] = appended.uids[-1] + 1 if appended.uids else answer["uidnext"]


def _ranges(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield places and lengths of pieces."""
    for at in range(start, end, PIECE):
        yield at, min(PIECE, end - at)


async def _write_out(admin: Administration, box: IMailbox, row: StoredRow | None, content: int, at: int) -> int:
    """Write a message to a place of a file; return its octets, -1 when it cannot be read."""
    if row is None:
        return -1
    _, prefix, blob = row
    await admin.threads.run("disk", _write, content, prefix, at)
    end = at + len(prefix)
    try:
        for start, length in _ranges(0, blob.size):
            piece = await box.read(blob, start, length)
            await admin.threads.run("disk", _write, content, piece, end)
            end += len(piece)
    except BlobDamaged:
        return -1
    return end - at


def _read(file: int, length: int, at: int) -> bytes:
    """:raises OperationFailed: the file has no octets there."""
    try:
        data = os.pread(file, length, at)
    except OSError as error:
        raise OperationFailed(Reason.WRONG_VALUE, f"the messages: {error.strerror}") from None
    if len(data) != length:
        raise OperationFailed(Reason.WRONG_VALUE, "the messages: the file has fewer octets than was said")
    return data


def _write(file: int, data: bytes, at: int) -> None:
    """:raises OperationFailed: the disk is full, or fails."""
    try:
        while data:
            written = os.pwrite(file, data, at)
            data, at = data[written:], at + written
    except OSError as error:
        raise OperationFailed(Reason.FAILED, f"the file for messages: {error.strerror}") from None
