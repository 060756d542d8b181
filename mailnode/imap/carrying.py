"""COPY and MOVE from one account to another (RFC 4314 4): each message is written anew, as APPEND would, all placed at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mailnode.errors import LimitReached, NotPermitted, OverQuota
from mailnode.imap.bodies import PIECE, read_exactly
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.uploading import MAX_HELD, held_octets
from mailnode.imap.messages.ranges import RANGE
from mailnode.imap.others import mail_of
from mailnode.interfaces.store import IBlobs, IMailbox
from mailnode.values.flags import KEYWORD_SHIFT, SYSTEM_MASK
from mailnode.values.mailbox import Copied, MailboxInfo, NewMessage
from mailnode.values.rights import INSERT
from mailnode.values.rows import StoredRow

MOST = 1000  # messages of one command, which have to be placed together
_KEYWORDS = (1 << 63) - (1 << KEYWORD_SHIFT)
_COLUMNS = ("size", "internaldate", "internaldate_offset", "prefix", "blob")


async def carry(context: Context, uids: Sequence[int], target: MailboxInfo) -> Copied:
    """Place messages of the selected mailbox in one of another account, all or none. Those that others expunged before are
    left out.

    :raises NotPermitted, NoSuchMailbox, OverQuota, KeywordLimit, BlobDamaged: :raises LimitReached: too many.
    """
    if len(uids) > MOST:
        raise LimitReached("messages")
    mail = mail_of(context, target.account_id)
    mailbox = mail.open(target.id)
    if INSERT not in await mailbox.rights():
        raise NotPermitted(INSERT)
    rows: list[StoredRow] = []
    for at in range(0, len(uids), RANGE):
        rows += await context.mailbox.mailbox.rows(uids[at : at + RANGE], _COLUMNS)
    usage = await mail.usage()
    octets = sum(row[1] for row in rows)
    if usage.bytes_limit and usage.bytes_used + octets > usage.bytes_limit:
        raise OverQuota
    new: list[NewMessage] = []
    held = 0
    for row in rows:
        new.append(await _written(context, row, mail.blobs()))
        held += held_octets(new[-1].blob, new[-1].facts)
        if held > MAX_HELD:
            raise LimitReached("octets")
    if not new:
        return Copied(target.uidvalidity, (), (), 0)
    appended = await mailbox.append(new)
    return Copied(appended.uidvalidity, tuple(row[0] for row in rows), appended.uids, appended.modseq)


async def _written(context: Context, row: StoredRow, blobs: IBlobs) -> NewMessage:
    """Return a message that was written anew, with its flags as this session sees them."""
    uid, _, internaldate, offset, prefix, blob = row
    view = context.mailbox.view
    index = view.index_of(uid)
    flags = view.flags[index] if index is not None else 0
    writer = blobs.writer(blob.size)
    source: IMailbox = context.mailbox.mailbox
    try:
        for at in range(0, blob.size, PIECE):
            await writer.write(await read_exactly(source, blob, at, min(at + PIECE, blob.size)))
            await context.checkpoint()
            context.ensure_there()
        staged, facts = await context.services.stage(writer)
    except BaseException:
        writer.abort()
        raise
    return NewMessage(
        blob=replace(staged, content=b""),  # to be read soon by nobody, and much of all together
        facts=facts,
        internaldate=internaldate,
        internaldate_offset=offset,
        prefix=prefix,
        flags=flags & SYSTEM_MASK,
        keywords=view.keywords.flag_names(flags & _KEYWORDS),
    )
