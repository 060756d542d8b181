"""CATENATE: messages made of parts of others (RFC 4469), or of some octets of them (RFC 5550).

What APPEND and REPLACE ask for when a URL comes."""

from __future__ import annotations

from mailnode.errors import NoSuchMailbox
from mailnode.imap.answers import CommandRefused
from mailnode.imap.commands import rev2
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.mailboxes import find
from mailnode.imap.global_messages import as_rev2
from mailnode.imap.messages.sections import Slice, locate, locate_in_message
from mailnode.imap.messages.urls import in_a_code, read_url
from mailnode.interfaces.store import IMailbox
from mailnode.values.blob import BlobRef
from mailnode.values.facts import decode_parts

_COLUMNS = ("message_id", "blob", "prefix", "header_size", "parts")


async def find_linked(context: Context, text: bytes) -> tuple[IMailbox, BlobRef, Slice]:
    """Return where the octets are that a URL names. :raises CommandRefused: NO [BADURL]: there are none."""
    refusal = CommandRefused("A part of the message is not there", b"BADURL " + in_a_code(text))
    url = read_url(text)
    if url is None or ("URL-PARTIAL" in context.hidden and url.partial != (0, None)):
        raise refusal
    try:
        info = await find(context, url.mailbox)
    except NoSuchMailbox:
        raise refusal from None
    if info.account_id not in ("", context.mail.account_id):
        raise refusal  # of others one may not read all that one sees
    mailbox = context.mail.open(info.id)
    rows = await mailbox.rows((url.uid,), _COLUMNS)
    if url.uidvalidity not in (None, info.uidvalidity) or not rows:
        raise refusal
    _, message_id, blob, prefix, header_size, parts = rows[0]
    places = await context.mail.placements((message_id,))
    if not any(place.mailbox_id == info.id and place.uid == url.uid for place in places.get(message_id, ())):
        raise refusal  # it was expunged
    if url.section.part:
        if rev2.is_enabled(context):
            *_, parts = await as_rev2(context.services.searches, mailbox, rows[0], _COLUMNS)
        found = locate(decode_parts(parts), prefix, url.section)
    else:
        found = locate_in_message(header_size, blob.size, prefix, url.section)
    if found is None:
        raise refusal
    origin, length = url.partial
    return mailbox, blob, found.cut(origin, found.size if length is None else length)
