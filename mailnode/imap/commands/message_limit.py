"""MESSAGELIMIT and SAVELIMIT (RFC 9738): how many messages one command may work on, where the configuration says so.

Of more than that a command takes the newest, and tells how far it has come; COPY and APPEND take none.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.imap.answers import CommandRefused
from mailnode.imap.commands.context import Context
from mailnode.imap.messages.ranges import at_places
from mailnode.imap.messages.search_keys import And, InSet, SearchKey
from mailnode.imap.view.view import View
from mailnode.imap.wire import responses


def limit_of(context: Context) -> int:
    """Return how many messages a command of this client may work on; 0: any number."""
    return _said(context, "MESSAGELIMIT", context.services.message_limit)


def _said(context: Context, name: str, limit: int) -> int:
    return 0 if f"{name}={limit}" in context.hidden else limit


def newest(context: Context, spans: Sequence[range]) -> tuple[Sequence[range], bytes]:
    """Return those of the messages, as ascending ranges of indexes, that a command works on, and the response code that says
    so; empty where these are all (RFC 9738 3.1)."""
    return _newest(context.mailbox.view, spans, limit_of(context))


def _newest(view: View, spans: Sequence[range], limit: int) -> tuple[Sequence[range], bytes]:
    count = sum(map(len, spans))
    if not limit or count <= limit:
        return spans, b""
    kept = at_places(spans, range(count - limit, count))
    return kept, b"MESSAGELIMIT %d %d" % (limit, view.uids[kept[0].start])


def newest_uids(context: Context, uids: Sequence[int]) -> tuple[Sequence[int], bytes]:
    """The same, of ascending UIDs."""
    limit = limit_of(context)
    if not limit or len(uids) <= limit:
        return uids, b""
    return uids[-limit:], b"MESSAGELIMIT %d %d" % (limit, uids[-limit])


def searched(context: Context, key: SearchKey) -> tuple[Sequence[int], bytes]:
    """Return the indexes of the messages that a search looks at, and the response code: those that sets in it name, all
    others are not looked at; nothing else of the key counts."""
    return searched_in(context.mailbox.view, key, limit_of(context))


def searched_in(view: View, key: SearchKey, limit: int) -> tuple[Sequence[int], bytes]:
    """The same, of whichever mailbox."""
    everything = range(view.exists)
    if not limit or view.exists <= limit:
        return everything, b""
    spans = [everything]
    for one in key.keys if isinstance(key, And) else (key,):
        if isinstance(one, InSet):
            spans = _common(spans, view.pick_existing(one.messages))
    kept, code = _newest(view, spans, limit)
    if not code:
        return everything, b""
    return kept[0] if len(kept) == 1 else [index for span in kept for index in span], code


def _common(left: Sequence[range], right: Sequence[range]) -> list[range]:
    """Return what two ascending lists of ranges have in common."""
    found, a, b = [], 0, 0
    while a < len(left) and b < len(right):
        span = range(max(left[a].start, right[b].start), min(left[a].stop, right[b].stop))
        if span:
            found.append(span)
        if left[a].stop < right[b].stop:
            a += 1
        else:
            b += 1
    return found


def require_few(context: Context, count: int) -> None:
    """Refuse to save so many messages by one command (RFC 9738 3.1). :raises CommandRefused:"""
    saved = _said(context, "SAVELIMIT", context.services.save_limit)
    limits = [limit for limit in (limit_of(context), saved) if limit]
    if limits:
        _refuse_above(min(limits), count)


def require_few_searched(context: Context, count: int) -> None:
    """Refuse to search so many messages in several mailboxes: of which one the lowest UID is could not be told.

    :raises CommandRefused:"""
    limit = limit_of(context)
    if limit:
        _refuse_above(limit, count)


def _refuse_above(limit: int, count: int) -> None:
    if count > limit:
        raise CommandRefused("Too many messages at once, try fewer", b"MESSAGELIMIT %d" % limit)


def beside(context: Context, code: bytes, other: bytes) -> bytes:
    """Return the code of the tagged line, which has one alone: where there are two, the limit is told before it."""
    if code and other:
        context.write(responses.ok(b"*", "Not all of them", code))
    return other or code
