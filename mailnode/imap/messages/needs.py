"""Which capabilities what a client writes belongs to, beyond RFC 3501: refused where one of them is hidden from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mailnode.imap.messages.fetch_items import Attribute, FetchItem
from mailnode.imap.messages.search_keys import HasObjectId, InSet, ModSeq, SavedDay, SearchKey, Within, leaves
from mailnode.imap.messages.search_returns import Returns
from mailnode.imap.wire.command import MessageSet

_OF_KEY: dict[type, str] = {HasObjectId: "OBJECTID", ModSeq: "CONDSTORE", SavedDay: "SAVEDATE", Within: "WITHIN"}
_OF_ATTRIBUTE = {
    "MODSEQ": "CONDSTORE",
    "SAVEDATE": "SAVEDATE",
    "EMAILID": "OBJECTID",
    "THREADID": "OBJECTID",
    "PREVIEW": "PREVIEW",
}
_OF_STATUS = {
    "HIGHESTMODSEQ": "CONDSTORE",
    "SIZE": "STATUS=SIZE",
    "MAILBOXID": "OBJECTID",
    "APPENDLIMIT": "STATUS=APPENDLIMIT",
    "DELETED": "STATUS=DELETED",
    "DELETED-STORAGE": "QUOTA",
}


def of_set(messages: MessageSet) -> Iterator[str]:
    """What a set of messages needs: ``$`` stands in some (RFC 5182)."""
    if messages.saved:
        yield "SEARCHRES"


def of_key(key: SearchKey, fuzzy: bool = False) -> Iterator[str]:
    """What a search key needs, with all inside it. :param fuzzy: FUZZY stands somewhere in it (RFC 6203)."""
    if fuzzy:
        yield "SEARCH=FUZZY"
    for leaf in leaves(key):
        if isinstance(leaf, InSet):
            yield from of_set(leaf.messages)
        elif type(leaf) in _OF_KEY:
            yield _OF_KEY[type(leaf)]


def of_returns(returns: Returns | None, base: str = "ESEARCH", context: str = "CONTEXT=SEARCH") -> Iterator[str]:
    """What return options need. :param base: what they all belong to. :param context: what UPDATE and CONTEXT do."""
    if returns is not None:
        yield base
        if returns.save:
            yield "SEARCHRES"
        if returns.partial is not None:
            yield "PARTIAL"
        if returns.context:
            yield context
            yield from of_items(returns.new_items)


def of_items(items: Iterable[FetchItem]) -> Iterator[str]:
    """What items of FETCH need."""
    for item in items:
        if isinstance(item, Attribute):
            if item.name in _OF_ATTRIBUTE:
                yield _OF_ATTRIBUTE[item.name]
        elif item.form:
            yield "BINARY"


def of_status(items: Iterable[str]) -> Iterator[str]:
    """What items of STATUS need."""
    return (_OF_STATUS[item] for item in items if item in _OF_STATUS)
