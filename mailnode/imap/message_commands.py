"""Arguments of the commands about messages, except FETCH and SEARCH (RFC 3501 6.3.11 and 6.4)."""

from __future__ import annotations

from functools import lru_cache

from mailnode.imap.command_types import AppendStart, Copy, Expunge, Flags, Move, Store
from mailnode.imap.mailbox_commands import argument
from mailnode.imap.wire.lexer import MAX_NUMBER64, CommandError, Lexer, flags_from
from mailnode.values.sets import SeqSet, UidSet

_MODES = {"+FLAGS": "add", "-FLAGS": "remove", "FLAGS": "set"}
_SHORT = 128  # octets of a STORE's item and flags that are remembered: mail programs set the same few flags all day


def parse_copy(tag: bytes, lexer: Lexer, kind: type[SeqSet] | type[UidSet]) -> Copy:
    """Read `` set mailbox``."""
    lexer.space()
    messages = lexer.sequence_set(kind)
    return Copy(tag, messages, argument(lexer))


def parse_move(tag: bytes, lexer: Lexer, kind: type[SeqSet] | type[UidSet]) -> Move:
    """Read `` set mailbox``."""
    lexer.space()
    messages = lexer.sequence_set(kind)
    return Move(tag, messages, argument(lexer))


def parse_uid_expunge(tag: bytes, lexer: Lexer) -> Expunge:
    """Read `` set`` (RFC 4315 2.1)."""
    lexer.space()
    return Expunge(tag, lexer.sequence_set(UidSet))


def parse_store(tag: bytes, lexer: Lexer, kind: type[SeqSet] | type[UidSet]) -> Store:
    """Read `` set [(UNCHANGEDSINCE n)] [+-]FLAGS[.SILENT] flags``."""
    lexer.space()
    messages = lexer.sequence_set(kind)
    lexer.space()
    unchanged_since = None
    if lexer.accept(b"("):
        if lexer.word() != "UNCHANGEDSINCE":
            raise CommandError("Unknown store modifier")
        lexer.space()
        unchanged_since = lexer.number(MAX_NUMBER64)
        lexer.expect(b")")
        lexer.space()
    item = lexer.rest()
    mode, flags, silent = _known_item(item) if len(item) <= _SHORT else _item(item)
    return Store(tag, messages, mode, flags, silent, unchanged_since)


def _item(text: bytes) -> tuple[str, Flags, bool]:
    """Read ``[+-]FLAGS[.SILENT] flags``. :return: mode, flags, whether it is silent. :raises CommandError:"""
    lexer = Lexer(text)
    name = lexer.word()
    silent = name.endswith(".SILENT")
    mode = _MODES.get(name.removesuffix(".SILENT"))
    if mode is None:
        raise CommandError("Unknown store item")
    lexer.space()
    flags = _flags(lexer)
    lexer.end()
    return mode, flags, silent


_known_item = lru_cache(maxsize=256)(_item)


def _flags(lexer: Lexer) -> Flags:
    """Read a flag-list, or flags without parentheses around them."""
    if lexer.peek() == b"(":
        return lexer.flag_list()
    names = [lexer.flag()]
    while lexer.accept(b" "):
        names.append(lexer.flag())
    return flags_from(names)


def parse_append(tag: bytes, lexer: Lexer, size: int) -> AppendStart | None:
    """Read `` mailbox [(flags)] [date-time] `` as far as the message literal, whose marker is cut off.

    :returns: None when the literal that comes next is the mailbox name.
    """
    lexer.space()
    if lexer.at_end:
        return None
    mailbox = lexer.mailbox()
    lexer.space()
    flags = Flags()
    if lexer.peek() == b"(":
        flags = lexer.flag_list(recent=True)
        lexer.space()
    date = None
    if lexer.peek() == b'"':
        date = lexer.date_time()
        lexer.space()
    lexer.end()
    return AppendStart(tag, mailbox, flags, date, size)
