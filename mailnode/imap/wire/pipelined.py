"""Commands that wait complete behind the one that is being answered (RFC 3501 5.5): a run of the same may be done together."""

from __future__ import annotations

from collections.abc import Callable

from mailnode.imap.command_types import Command
from mailnode.imap.commands import HEAD, TABLE, Row, row_of
from mailnode.imap.wire.lexer import CommandError, Lexer
from mailnode.imap.wire.literals import literal_mark


def take_run(
    waiting: bytearray, first: Command, wanted: Callable[[Command], bool], limit: int, most: int
) -> list[Command]:
    """Cut commands of the same name as ``first`` from the front of the input: whole ones of a single line, up to the first
    that is anything else, a mistake included, which is left for whoever reads the input next.

    :param wanted: whether a command may be among them. :param limit: octets of a line. :param most: commands.
    """
    row = row_of(first)
    run: list[Command] = []
    while len(run) < most:
        at = waiting.find(b"\r\n", 0, limit + 2)
        command = _parse(bytes(waiting[:at]), row) if at > 0 else None
        if command is None or not wanted(command):
            break
        del waiting[: at + 2]
        run.append(command)
    return run


def _parse(line: bytes, row: Row) -> Command | None:
    head = HEAD.match(line)
    if head is None or TABLE.get((head.group(2) or b"").upper()) is not row or literal_mark(line) is not None:
        return None
    lexer = Lexer(line, head.end())
    try:
        command = row.parse(head.group(1), lexer)
        lexer.end()
    except CommandError:
        return None
    return command
