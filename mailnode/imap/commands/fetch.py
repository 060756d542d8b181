"""FETCH and UID FETCH (RFC 3501 6.4.5, RFC 7162 3.1.4): rows stream out a range at a time, bodies a piece at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import ClassVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mailnode.errors import BlobDamaged, DomainError, NoSuchMessage
from mailnode.imap.answers import Answer
from mailnode.imap.bodies import BATCH, PIECE, batches, read_exactly, read_rows, read_small
from mailnode.imap.commands import condstore
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.row import SELECTED, CommandRow
from mailnode.imap.messages.fetch_items import Attribute, FetchItem, parse_items
from mailnode.imap.messages.ranges import RANGE, ranges_of, uids_of
from mailnode.imap.messages.rendering import BlobItem, FetchPlan, plan_fetch
from mailnode.imap.messages.sections import FieldIndex, Slice
from mailnode.imap.selected import Selected
from mailnode.imap.view.view import View
from mailnode.imap.wire.command import Command, MessageSet
from mailnode.imap.wire.lexer import MAX_NUMBER64, CommandFault, Lexer
from mailnode.values.flags import SEEN
from mailnode.values.rows import StoredRow
from mailnode.values.sets import SeqSet, UidSet

RENDERED = 512  # answered at a time, when the store makes the answers
FLAG_ROWS = 1000  # answered from the view at a time
AHEAD = 4 * PIECE  # octets of a large message that are read before its response is begun
AT_ONCE = 64 * 1024  # octets of a header that are looked through without giving others their turn
FIELDS = 1000  # of a header, found between two looks at the time
HEADERS = 4  # of one message, and its parts, whose fields are kept for further items
STEP = 8  # messages between two looks at the time, where each may have hundreds of header fields cut out
REMEMBERED = 256  # item lists: every program repeats its few
LONGEST_REMEMBERED = 512  # octets; what is kept is bounded

_log = Logger()


# fetch = ["UID" SP] "FETCH" SP sequence-set SP items [SP "(CHANGEDSINCE" SP mod-sequence-valzer ")"]
# items = "ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")"
@dataclass(frozen=True, slots=True)
class Fetch(Command):
    """RFC 3501 6.4.5; ``changed_since`` RFC 7162 3.1.4.1. Macros are expanded, each item stands once; UID FETCH does not
    add ``UID`` here, CHANGEDSINCE does not add ``MODSEQ``: that is the response's matter."""

    verb: ClassVar[str] = "FETCH"
    messages: MessageSet
    items: tuple[FetchItem, ...]
    changed_since: int | None = None


def _parse(tag: bytes, lexer: Lexer, kind: type[SeqSet] | type[UidSet]) -> Fetch:
    """Read `` set items [modifiers]``."""
    lexer.space()
    messages = lexer.sequence_set(kind)
    lexer.space()
    text = lexer.remainder()
    items, changed_since = (_remembered if len(text) <= LONGEST_REMEMBERED else _arguments)(text)
    return Fetch(tag, messages, items, changed_since)


def _arguments(text: bytes) -> tuple[tuple[FetchItem, ...], int | None]:
    """Read ``items [modifiers]``, which end the command."""
    lexer = Lexer(text)
    items = parse_items(lexer)
    changed_since = _modifiers(lexer) if lexer.accept(b" ") else None
    lexer.end()
    return items, changed_since


_remembered = lru_cache(maxsize=REMEMBERED)(_arguments)


def _modifiers(lexer: Lexer) -> int:
    """Read ``(CHANGEDSINCE n)``; 0 is taken too, because phones send it."""
    lexer.expect(b"(")
    if lexer.word() != "CHANGEDSINCE":
        raise CommandFault("Unknown fetch modifier")
    lexer.space()
    changed_since = lexer.number(MAX_NUMBER64)
    lexer.expect(b")")
    return changed_since


async def fetch(context: Context, command: Fetch) -> Answer:
    """Answer for every message the set names, in order."""
    view = context.mailbox.view
    spans = view.pick(command.messages)
    names = {item.name for item in command.items if isinstance(item, Attribute)}
    if command.changed_since is not None or "MODSEQ" in names:
        condstore.enable(context)
    modseq = command.changed_since is not None or ("CONDSTORE" in context.enabled and "FLAGS" in names)
    if "FLAGS" in names:
        context.write(context.mailbox.new_keywords())
    job = _Fetching(context, context.mailbox, plan_fetch(command.items, view, command.uid, modseq), command)
    await job.answer(spans if command.changed_since is None else _changed(spans, view, command.changed_since))
    if job.damaged:
        raise BlobDamaged
    if job.missing and not command.uid:
        raise NoSuchMessage
    return Answer("FETCH completed")


def _changed(spans: Sequence[range], view: View, since: int) -> Iterator[Sequence[int]]:
    """Yield the indexes of messages changed after a mod-sequence, ascending, those of so many messages at a time."""
    for span in spans:
        for start in range(0, len(span), FLAG_ROWS):
            yield [index for index in span[start : start + FLAG_ROWS] if view.modseqs[index] > since]


@dataclass(slots=True)
class _Streamed:
    """A literal too large to be held: its first piece, which has been read, and what is yet to be read."""

    first: bytes
    unread: Slice
    size: int


_Literal = bytes | _Streamed | None  # None is NIL


@dataclass(slots=True)
class _Message:
    """One message on its way out."""

    row: StoredRow
    index: int  # in the view
    whole: bytes | None  # None: too large to be held
    ahead: deque[_Literal] = field(default_factory=deque)  # literals that have been read already
    headers: dict[Slice, FieldIndex] = field(default_factory=dict)  # that were looked through


class _Fetching:
    """One FETCH command under way."""

    def __init__(self, context: Context, selected: Selected, plan: FetchPlan, command: Fetch) -> None:
        self.context = context
        self.view = selected.view
        self.selected = selected
        self.plan = plan
        self.missing = False  # a message was expunged and is kept no more
        self.damaged = False
        self._marks_seen = plan.sets_seen and not selected.read_only

    async def answer(self, spans: Iterable[Sequence[int]]) -> None:
        """Answer for all messages of these spans of indexes."""
        if self.plan.pieces:
            await self._answer_as_it_stands(ranges_of(spans, RENDERED))
            return
        if self.plan.columns:
            await self._answer_from_store(ranges_of(spans, BATCH if self.plan.blob_items else RANGE))
            return
        for indexes in ranges_of(spans, FLAG_ROWS):
            if self.plan.lines is not None:
                self.context.write(self.plan.lines(indexes))
                self.view.told(indexes)
            else:
                self._write_rows([((), index) for index in indexes])
            await self.context.pause()

    async def _answer_as_it_stands(self, ranges: Iterable[Sequence[int]]) -> None:
        """Have the store make the answers, of the next range while those of the one before are sent."""
        under_way: deque[tuple[Sequence[int], Deferred[bytes | None]]] = deque()
        try:
            for asked in ranges:
                under_way.append((asked, Deferred.fromCoroutine(self._rendered(asked))))
                if len(under_way) > 1:
                    await self._send_rendered(*under_way.popleft())
            while under_way:
                await self._send_rendered(*under_way.popleft())
        finally:
            for _, answers in under_way:
                answers.addErrback(lambda failure: None)  # nobody waits for them any more

    async def _rendered(self, indexes: Sequence[int]) -> bytes | None:
        """Return the answers for these messages; None: they are to be made of rows."""
        if self.view.has_gone:
            return None  # those are not live, and are answered for all the same
        uids = uids_of(self.view, indexes)
        if indexes[-1] - indexes[0] + 1 != len(indexes):
            return None
        return await self.selected.mailbox.rendered(uids, indexes[0] + 1, self.plan.pieces)

    async def _send_rendered(self, indexes: Sequence[int], answers: Deferred[bytes | None]) -> None:
        octets = await answers
        if octets is None:
            await self._answer_from_store(ranges_of((indexes,), RANGE))
            return
        self.context.write(octets)
        await self.context.pause()

    async def _answer_from_store(self, ranges: Iterable[Sequence[int]]) -> None:
        for asked in ranges:
            indexes, rows, damage = await read_rows(
                self.selected.mailbox, self.view, asked, self.plan.columns, keep=len(asked) <= BATCH
            )
            if damage is not None:
                self._damaged(sorted(set(asked).difference(indexes)), damage)
            self.missing = self.missing or len(rows) < len(asked)
            if self.plan.in_a_row is not None:
                self.context.write(self.plan.in_a_row(rows, indexes))
            elif self.plan.blob_items or self._marks_seen:
                await self._bodies(list(zip(rows, indexes, strict=True)))
            else:
                pairs = list(zip(rows, indexes, strict=True))
                for at in range(0, len(pairs), STEP):
                    self._write_rows(pairs[at : at + STEP])
                    await self.context.checkpoint()
            await self.context.pause()

    def _write_rows(self, rows: Sequence[tuple[StoredRow, int]]) -> None:
        render = self.plan.render
        self.context.write(b")\r\n".join([render(row, index) for row, index in rows] + [b""]))
        if self.plan.has_flags:
            self.view.told([index for _, index in rows])

    # Bodies

    async def _bodies(self, rows: Sequence[tuple[StoredRow, int]]) -> None:
        """Read first, mark as seen what could be read, then write: nothing is promised that cannot be sent."""
        if not self.plan.blob_items:  # header fields from the facts, which set \\Seen all the same
            await self._write_batch([_Message(row, index, None) for row, index in rows])
            return
        contents = [row[self.plan.content_at] for row, _ in rows]
        if None not in contents:  # all came with their rows: the store bounds how much that is
            await self._write_readable(rows, contents)
            return
        for batch in batches([((row, index), row[self.plan.blob_at]) for row, index in rows]):
            contents = [row[self.plan.content_at] for (row, _), _ in batch]
            wholes = await read_small(self.selected.mailbox, [blob for _, blob in batch], contents, keep=True)
            await self._write_readable([pair for pair, _ in batch], wholes)

    async def _write_readable(
        self, rows: Sequence[tuple[StoredRow, int]], wholes: Sequence[bytes | BlobDamaged | None]
    ) -> None:
        readable = []
        for (row, index), whole in zip(rows, wholes, strict=True):
            try:
                if isinstance(whole, BlobDamaged):
                    raise whole
                message = _Message(row, index, whole)
                if whole is None:
                    await self._read_ahead(message)
                readable.append(message)
            except BlobDamaged as error:
                self._damaged((index,), error)
        await self._write_batch(readable)

    def _damaged(self, indexes: Sequence[int], error: BlobDamaged) -> None:
        """Go on with the others; the command ends with NO. In the log, messages that are only kept no more may be among
        those whose rows could not be read."""
        self.damaged = True
        account = self.context.mail.account_id
        for uid in uids_of(self.view, indexes):
            _log.warn("message {uid} of {account} is damaged: {error}", uid=uid, account=account, error=str(error))

    async def _read_ahead(self, message: _Message) -> None:
        """Read the first literals of a message too large to be held, all if they are small: before anything is promised."""
        held = 0
        for item, found in zip(self.plan.blob_items, self.plan.slices(message.row), strict=True):
            literal = await self._literal(message, item, found)
            message.ahead.append(literal)
            if literal is not None:
                held += len(literal if isinstance(literal, bytes) else literal.first)
            if held > AHEAD:
                return
            await self.context.checkpoint()

    async def _literal(self, message: _Message, item: BlobItem, found: Slice | None) -> _Literal:
        if found is None:
            return None
        if item.select is not None:
            return _part_of(await self._chosen(message, item, item.select, found), item.partial)
        if item.partial is not None:
            found = found.cut(*item.partial)
        if message.whole is not None or found.size <= PIECE:
            return await self._octets(message, found)
        middle = min(found.start + PIECE, found.end)
        first = await self._octets(message, found._replace(end=middle))
        return _Streamed(first, Slice(b"", middle, found.end), found.size)

    async def _octets(self, message: _Message, found: Slice) -> bytes:
        if message.whole is not None:
            return found.head + message.whole[found.start : found.end]
        blob = message.row[self.plan.blob_at]
        return found.head + await read_exactly(self.selected.mailbox, blob, found.start, found.end)

    async def _chosen(self, message: _Message, item: BlobItem, select: Callable[[bytes], bytes], found: Slice) -> bytes:
        """Return fields of a header, which is looked through once for all items where there are many or it is large."""
        if not self.plan.many_choices and found.size <= AT_ONCE:
            return select(await self._octets(message, found))
        fields = message.headers.get(found)
        if fields is None:
            fields = FieldIndex(await self._octets(message, found))
            while fields.scan(FIELDS):
                await self.context.checkpoint()
            if len(message.headers) >= HEADERS:
                message.headers.clear()
            message.headers[found] = fields
        return fields.choose(item.section)

    async def _write_batch(self, batch: Sequence[_Message]) -> None:
        seen = await self._mark_seen([message.index for message in batch]) if self._marks_seen else set()
        out: list[bytes] = []
        octets = 0
        for message in batch:
            row, index = message.row, message.index
            line = self.plan.render(row, index)
            out.append(line)
            space = b"" if line.endswith(b"(") else b" "
            slices = self.plan.slices(row) if self.plan.blob_items else ()
            for item, found in zip(self.plan.blob_items, slices, strict=True):
                literal = message.ahead.popleft() if message.ahead else await self._promised(message, item, found)
                if isinstance(literal, bytes):  # NUL may not leave in a literal (RFC 3501 9, CHAR8)
                    out += (b"%b%b {%d}\r\n" % (space, item.label, len(literal)), literal.replace(b"\0", b"\x80"))
                    octets += len(literal)
                    if octets > PIECE:
                        self.context.write(b"".join(out))
                        out.clear()
                        octets = 0
                        await self.context.pause(within=True)
                    await self.context.checkpoint()
                elif literal is None:
                    out.append(b"%b%b NIL" % (space, item.label))
                else:
                    out += (b"%b%b {%d}\r\n" % (space, item.label, literal.size), literal.first.replace(b"\0", b"\x80"))
                    self.context.write(b"".join(out))
                    out.clear()
                    await self._stream(row, literal.unread)
                space = b" "
            if index in seen and not self.plan.has_flags:
                out.append(b" FLAGS " + self.selected.names[self.view.flags[index]])
            out.append(b")\r\n")
            if self.plan.has_flags or index in seen:
                self.view.told([index])
            message.headers.clear()
            await self.context.checkpoint()
        self.context.write(b"".join(out))
        await self.context.pause()

    async def _promised(self, message: _Message, item: BlobItem, found: Slice | None) -> _Literal:
        """Return a literal of a response that has been begun. What cannot be read now breaks the connection."""
        try:
            return await self._literal(message, item, found)
        except DomainError as error:
            self.context.trouble(error)
            self.context.abort("a message could not be read to its end")

    async def _mark_seen(self, indexes: Sequence[int]) -> set[int]:
        """Set \\Seen where it is not set; return where it is now (RFC 3501 6.4.5). A store that cannot write at the
        moment keeps nobody from reading."""
        unseen = [index for index in indexes if not self.view.flags[index] & SEEN and not self.view.is_gone(index)]
        if not unseen:
            return set()
        try:
            uids = [self.view.uids[index] for index in unseen]
            stored = await self.selected.mailbox.store_flags(uids, "add", SEEN)
        except DomainError as error:
            self.context.trouble(error)
            return set()
        self.view.learn(stored.keywords)
        return {index for index, _ in self.view.stored(stored.changed, "add", SEEN)}

    async def _stream(self, row: StoredRow, unread: Slice) -> None:
        """Write what is left of a large literal. What cannot be read now breaks the connection: its size was promised,
        and other octets in their place would be a lie."""
        blob = row[self.plan.blob_at]
        for start in range(unread.start, unread.end, PIECE):
            await self.context.pause(within=True)
            try:
                data = await read_exactly(self.selected.mailbox, blob, start, min(start + PIECE, unread.end))
            except DomainError as error:
                self.context.trouble(error)
                self.context.abort("a message ended before its size")
            self.context.write(data.replace(b"\0", b"\x80"))


def _part_of(text: bytes, partial: tuple[int, int] | None) -> bytes:
    return text if partial is None else text[partial[0] : partial[0] + partial[1]]


ROWS = (
    CommandRow(
        name=b"FETCH",
        states=SELECTED,
        parse=partial(_parse, kind=SeqSet),
        run=fetch,
        sequence_numbers=True,
        expunge=False,
        needs_view=True,
    ),
    CommandRow(name=b"UID FETCH", states=SELECTED, parse=partial(_parse, kind=UidSet), run=fetch, needs_view=True),
)
