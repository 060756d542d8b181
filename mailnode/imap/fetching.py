"""The responses of FETCH on their way out: rows a range at a time, bodies a piece at a time (RFC 3501 6.4.5, RFC 3516 4.2)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from functools import partial
from operator import itemgetter

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mailnode.errors import BlobDamaged, DomainError, NotPermitted
from mailnode.imap.bodies import BATCH, PIECE, batches, read_exactly, read_rows, read_small
from mailnode.imap.commands import rev2
from mailnode.imap.commands.context import Context
from mailnode.imap.decoding import Decoded, decode, decoded_pieces, is_known
from mailnode.imap.global_messages import has_global_message, read_rows_of_rev2
from mailnode.imap.mailbox_scripts import after_flags
from mailnode.imap.messages.ranges import RANGE, ranges_of, uids_of
from mailnode.imap.messages.rendering import BlobItem, FetchPlan, completed, flag_lines, numbered
from mailnode.imap.messages.sections import FieldIndex, Slice
from mailnode.imap.selected import Selected
from mailnode.values.flags import SEEN
from mailnode.values.rights import KEEP_SEEN
from mailnode.values.rows import StoredRow

RENDERED = 512  # answered at a time, when the store makes the answers
FLAG_ROWS = 1000  # answered from the view at a time
AHEAD = 4 * PIECE  # octets of a large message that are read before its response is begun
AT_ONCE = 64 * 1024  # octets of a header that are looked through without giving others their turn
FIELDS = 1000  # of a header, found between two looks at the time
KEPT = 2048  # messages of one FETCH whose content is kept in memory: that of more would push each other out
HEADERS = 4  # of one message, and its parts, whose fields are kept for further items
STEP = 8  # messages between two looks at the time, where each may have hundreds of header fields cut out, or literals that are held

_log = Logger()


@dataclass(slots=True)
class _Streamed:
    """A literal too large to be held: its first piece, which has been read, and what is yet to be read."""

    first: bytes
    unread: Slice
    size: int


_Literal = bytes | _Streamed | Decoded | int | None  # None is NIL; a number is said as such


@dataclass(slots=True)
class _FetchedMessage:
    """One message on its way out."""

    row: StoredRow
    index: int  # in the view
    whole: bytes | None  # None: too large to be held
    ahead: deque[_Literal] | None = None  # literals that have been read already
    headers: dict[Slice, FieldIndex] | None = None  # that were looked through


class Fetching:
    """One FETCH command under way."""

    def __init__(
        self,
        context: Context,
        selected: Selected,
        plan: FetchPlan,
        asked: Set[str],
        uid: bool,
        changed_since: bool,
        count: int,
    ) -> None:
        """:param asked: the names of its items that are no sections. :param uid: UID FETCH. :param changed_since: it has
        CHANGEDSINCE. :param count: the messages it names."""
        self.context = context
        self.view = selected.view
        self.selected = selected
        self.plan = plan
        self.missing = False  # a message was expunged and is kept no more
        self.damaged = False
        self.unknown_encoding = False  # of a part that was to be decoded: its message is not answered for
        # What is looked at again: few messages, not long lists.
        self._keep = count <= (KEPT if plan.blob_items else BATCH)
        self._second = rev2.is_enabled(context)
        self._marks_seen = plan.sets_seen and KEEP_SEEN in selected.rights
        condstore = "CONDSTORE" in context.enabled
        self._names = selected.names  # the client was told of their keywords
        self._adds_uid = condstore and not uid and "UID" not in asked
        self._adds_modseq = condstore and not changed_since and asked.isdisjoint(("FLAGS", "MODSEQ"))

    async def answer(self, spans: Iterable[Sequence[int]]) -> None:
        """Answer for all messages of these spans of indexes."""
        if self.plan.pieces:
            await self._answer_as_it_stands(ranges_of(spans, RENDERED))
            return
        if self.plan.columns:
            await self._answer_from_store(ranges_of(spans, BATCH if self.plan.blob_items else RANGE))
            return
        for indexes in ranges_of(spans, FLAG_ROWS):
            if self.plan.flags_alone:
                self.context.write(flag_lines(self.view, self._names, indexes, "UIDONLY" in self.context.enabled))
                self.view.told(indexes)
            else:
                self._write_rows([(uid,) for uid in uids_of(self.view, indexes)], indexes)
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
        said = await self.selected.mailbox.rendered(uids, indexes[0] + 1, self.plan.pieces)
        return None if said and self._second and has_global_message(said) else said

    async def _send_rendered(self, indexes: Sequence[int], answers: Deferred[bytes | None]) -> None:
        octets = await answers
        if octets is None:
            await self._answer_from_store(ranges_of((indexes,), RANGE))
            return
        self.context.write(octets)
        await self.context.pause()

    async def _answer_from_store(self, ranges: Iterable[Sequence[int]]) -> None:
        for asked in ranges:
            read = partial(read_rows_of_rev2, self.context.services.searches) if self._second else read_rows
            indexes, rows, damage = await read(
                self.selected.mailbox, self.view, asked, self.plan.columns, keep=self._keep
            )
            if damage is not None:
                self._damaged(sorted(set(asked).difference(indexes)), damage)
            self.missing = self.missing or len(rows) < len(asked)
            if self.plan.blob_items or self._marks_seen:
                await self._bodies(list(zip(rows, indexes, strict=True)))
                continue
            step = self._step(rows)
            for at in range(0, len(rows), step):
                self._write_rows(rows[at : at + step], indexes[at : at + step])
                await self.context.checkpoint()
            await self.context.pause()

    def _step(self, rows: Sequence[StoredRow]) -> int:
        """Return how many of these messages are answered for between two looks at the time."""
        if "fields" not in self.plan.columns:
            return RANGE
        at = self.plan.columns.index("fields") + 1
        return STEP if sum(map(len, map(itemgetter(at), rows))) > PIECE else RANGE

    def _completed(self, rows: Iterable[StoredRow], indexes: Sequence[int]) -> list[StoredRow]:
        owner = self.selected.mailbox.account_id
        if not self.plan.of_view:
            return numbered(rows, indexes, owner)
        return completed(rows, indexes, self.view, self._names, owner)

    def _write_rows(self, rows: Sequence[StoredRow], indexes: Sequence[int]) -> None:
        self.context.write(self.plan.in_a_row(self._completed(rows, indexes)))
        if self.plan.has_flags:
            self.view.told(indexes)

    # Bodies

    async def _bodies(self, rows: Sequence[tuple[StoredRow, int]]) -> None:
        """Read first, mark as seen what could be read, then write: nothing is promised that cannot be sent."""
        if not self.plan.blob_items:  # header fields from the facts, which set \\Seen all the same
            await self._write_batch([_FetchedMessage(row, index, None) for row, index in rows])
            return
        contents = [row[self.plan.content_at] for row, _ in rows]
        if None not in contents:  # all came with their rows: the store bounds how much that is
            await self._write_readable(rows, contents)
            return
        for batch in batches([((row, index), row[self.plan.blob_at]) for row, index in rows]):
            contents = [row[self.plan.content_at] for (row, _), _ in batch]
            wholes = await read_small(self.selected.mailbox, [blob for _, blob in batch], contents, keep=self._keep)
            await self._write_readable([pair for pair, _ in batch], wholes)

    async def _write_readable(
        self, rows: Sequence[tuple[StoredRow, int]], wholes: Sequence[bytes | BlobDamaged | None]
    ) -> None:
        readable = []
        for (row, index), whole in zip(rows, wholes, strict=True):
            try:
                if isinstance(whole, BlobDamaged):
                    raise whole
                if self.plan.decodes and not all(is_known(found.encoding) for found in self.plan.slices(row) if found):
                    self.unknown_encoding = True
                    continue
                message = _FetchedMessage(row, index, whole)
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
        account = self.selected.mailbox.account_id
        for uid in uids_of(self.view, indexes):
            _log.warn("message {uid} of {account} is damaged: {error}", uid=uid, account=account, error=str(error))

    async def _read_ahead(self, message: _FetchedMessage) -> None:
        """Read the first literals of a message too large to be held, all if they are small: before anything is promised."""
        held = 0
        message.ahead = deque()
        for item, found in zip(self.plan.blob_items, self.plan.slices(message.row), strict=True):
            literal = await self._literal(message, item, found)
            message.ahead.append(literal)
            if isinstance(literal, bytes | _Streamed):
                held += len(literal if isinstance(literal, bytes) else literal.first)
            if held > AHEAD:
                return
            await self.context.checkpoint()

    async def _literal(self, message: _FetchedMessage, item: BlobItem, found: Slice | None) -> _Literal:
        if item.form == "SIZE":
            whole = b"" if found is None else await self._decoded(message, item, found)
            return len(whole) if isinstance(whole, bytes) else whole.size
        if found is None:
            return None
        if item.form:
            return await self._decoded(message, item, found)
        if item.select is not None:
            return _part_of(await self._chosen(message, item, item.select, found), item.partial)
        if item.partial is not None:
            found = found.cut(*item.partial)
        if message.whole is not None or found.size <= PIECE:
            return await self._octets(message, found)
        middle = min(found.start + PIECE, found.end)
        first = await self._octets(message, found._replace(end=middle))
        return _Streamed(first, Slice(b"", middle, found.end), found.size)

    async def _decoded(self, message: _FetchedMessage, item: BlobItem, found: Slice) -> bytes | Decoded:
        return await decode(partial(self._range, message), found, item.partial, self.context.checkpoint)

    async def _range(self, message: _FetchedMessage, start: int, end: int) -> bytes:
        return await self._octets(message, Slice(b"", start, end))

    async def _octets(self, message: _FetchedMessage, found: Slice) -> bytes:
        if message.whole is not None:
            return found.head + message.whole[found.start : found.end]
        blob = message.row[self.plan.blob_at]
        return found.head + await read_exactly(self.selected.mailbox, blob, found.start, found.end)

    async def _chosen(
        self, message: _FetchedMessage, item: BlobItem, select: Callable[[bytes], bytes], found: Slice
    ) -> bytes:
        """Return fields of a header, which is looked through once for all items where there are many or it is large."""
        if not self.plan.many_choices and found.size <= AT_ONCE:
            return select(await self._octets(message, found))
        if message.headers is None:
            message.headers = {}
        fields = message.headers.get(found)
        if fields is None:
            fields = FieldIndex(await self._octets(message, found))
            while fields.scan(FIELDS):
                await self.context.checkpoint()
            if len(message.headers) >= HEADERS:
                message.headers.clear()
            message.headers[found] = fields
        return fields.choose(item.section)

    async def _write_batch(self, batch: Sequence[_FetchedMessage]) -> None:
        seen = await self._mark_seen([message.index for message in batch]) if self._marks_seen else set()
        out: list[bytes] = []
        octets = 0
        unlooked = 0  # literals since others had their turn
        plan, blob_items = self.plan, self.plan.blob_items
        rows = self._completed([message.row for message in batch], [message.index for message in batch])
        for message, row in zip(batch, rows, strict=True):
            index = message.index
            line = plan.render(row)
            out.append(line)
            space = b"" if line.endswith(b"(") else b" "
            slices = plan.slices(row) if blob_items else ()
            for item, found in zip(blob_items, slices, strict=True):
                literal: _Literal
                if message.whole is not None and found is not None and item.as_it_stands:  # as most are asked for
                    if item.partial is not None:
                        found = found.cut(*item.partial)
                    literal = found.head + message.whole[found.start : found.end]
                    unlooked = unlooked + 1 if len(literal) <= AT_ONCE else STEP
                else:
                    literal = message.ahead.popleft() if message.ahead else await self._promised(message, item, found)
                    unlooked = STEP
                if isinstance(literal, bytes):
                    if item.form:
                        out += (space, item.label, *_literal_of(literal))
                    else:  # NUL may not leave in it (RFC 3501 9, CHAR8)
                        out += (b"%b%b {%d}\r\n" % (space, item.label, len(literal)), literal.replace(b"\0", b"\x80"))
                    octets += len(literal)
                    if octets > PIECE:
                        self.context.write(b"".join(out))
                        out.clear()
                        octets = 0
                        await self.context.pause(within=True)
                elif literal is None or isinstance(literal, int):
                    out.append(b"%b%b %b" % (space, item.label, b"NIL" if literal is None else b"%d" % literal))
                else:
                    out.append(space + item.label)
                    self.context.write(b"".join(out))
                    out.clear()
                    await self._write_large(message, literal)
                space = b" "
                if unlooked >= STEP:
                    await self.context.checkpoint()
                    unlooked = 0
            if index in seen:
                out.append(self._of_seen(index))
            out.append(b")\r\n")
            if plan.has_flags or index in seen:
                self.view.told([index])
            message.headers = None
            if not slices:
                await self.context.checkpoint()
        self.context.write(b"".join(out))
        await self.context.pause()

    def _of_seen(self, index: int) -> bytes:
        """Return what a message says besides, now that it was marked as seen (RFC 3501 6.4.5, RFC 7162 3.2.4)."""
        view = self.view
        uid = b" UID %d" % view.uids[index] if self._adds_uid else b""
        flags = b"" if self.plan.has_flags else b" FLAGS " + self.selected.names[view.flags[index]]
        modseq = b" MODSEQ (%d)" % view.modseqs[index] if self._adds_modseq else b""
        return uid + flags + modseq

    async def _promised(self, message: _FetchedMessage, item: BlobItem, found: Slice | None) -> _Literal:
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
            await after_flags(self.context, self.selected.mailbox, stored)
        except NotPermitted:  # not any more
            return set()
        except DomainError as error:
            self.context.trouble(error)
            return set()
        self.view.learn(stored.keywords)
        return {index for index, _ in self.view.stored(stored.changed, "add", SEEN)}

    async def _write_large(self, message: _FetchedMessage, literal: _Streamed | Decoded) -> None:
        """Write a literal that is not held. What cannot be read now breaks the connection: its size was promised, and other
        octets in their place would be a lie."""
        if isinstance(literal, Decoded):
            self.context.write(b" %b{%d}\r\n" % (b"~" if literal.has_nul else b"", literal.size))
            await self._stream_decoded(message, literal)
        else:
            self.context.write(b" {%d}\r\n%b" % (literal.size, literal.first.replace(b"\0", b"\x80")))
            await self._stream(message.row, literal.unread)

    async def _stream(self, row: StoredRow, unread: Slice) -> None:
        blob = row[self.plan.blob_at]
        for start in range(unread.start, unread.end, PIECE):
            await self.context.pause(within=True)
            try:
                data = await read_exactly(self.selected.mailbox, blob, start, min(start + PIECE, unread.end))
            except DomainError as error:
                self.context.trouble(error)
                self.context.abort("a message ended before its size")
            self.context.write(data.replace(b"\0", b"\x80"))

    async def _stream_decoded(self, message: _FetchedMessage, decoded: Decoded) -> None:
        try:
            async for piece in decoded_pieces(partial(self._range, message), decoded.found, decoded.partial):
                self.context.write(piece)
                await self.context.pause(within=True)
        except DomainError as error:
            self.context.trouble(error)
            self.context.abort("a message ended before its size")


def _literal_of(data: bytes) -> tuple[bytes, bytes]:
    """Return what was decoded and is held as a literal, a binary one where there is a NUL in it (RFC 3516 4.3)."""
    return (b" ~{%d}\r\n" if b"\0" in data else b" {%d}\r\n") % len(data), data


def _part_of(text: bytes, partial: tuple[int, int] | None) -> bytes:
    return text if partial is None else text[partial[0] : partial[0] + partial[1]]
