"""Brings what a source has into an account: all folders, what is new of each, and flags that were set there since.

Rules: a message that stands in the mailbox already, with the same octets, is not brought again. A message has the flags that either
side gave it: none is taken away here. What was brought once and is gone here stays gone; what is gone at the source stays here.
"""

from __future__ import annotations

import tempfile
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mailnode.errors import BadMailboxName
from mailnode.moving.batch import BatchedMessage, ContentBatch, in_batches
from mailnode.moving.folder_names import ALL, VIEWS, NamedFolder, name_folders
from mailnode.moving.model import (
    FolderRefused,
    IncomingSource,
    MovingClock,
    SourceFailed,
    SourceFolder,
    SourceMessage,
    SourceReader,
)
from mailnode.moving.progress_note import MAX_FAILED, ProgressNote, noted_folder, read_note
from mailnode.moving.report import TOLD, FolderMoved, FolderSkipped, ImportReport, folder_moved, import_report
from mailnode.moving.target import ImportTarget, MailboxIndex, MessageKey, StandingMessage, key_of
from mailnode.values.mailbox_name import SEPARATOR
from mailnode.values.moving import MailboxesHere, MailboxHere

NOT_MOVED = "\\recent"  # RFC 3501 2.3.2: of one session


class MovingProgress(Protocol):
    """Who is told how far it has come."""

    def folder(self, name: str, messages: int) -> None:
        """A folder begins."""

    def done(self, messages: int) -> None:
        """So many messages more of it have been looked at."""

    def waits(self, why: str) -> None:
        """Something has to be waited for."""

    def end(self) -> None:
        """It has ended."""


@dataclass(frozen=True, slots=True)
class ImportWishes:
    """What of a source is wanted, and how."""

    only: frozenset[str] = frozenset()  # names of folders, ``/`` between levels; none: all
    without: frozenset[str] = frozenset()
    names: Mapping[str, str] = field(default_factory=dict)  # of mailboxes here, by those of folders
    rate: int = 0  # octets a second; 0: as fast as it goes


class MailImport:
    """One run. It may be ended at any moment: what was placed is durable, and the next run goes on."""

    def __init__(
        self,
        source: IncomingSource,
        target: ImportTarget,
        clock: MovingClock,
        progress: MovingProgress,
        wishes: ImportWishes,
    ) -> None:
        self._source = source
        self._target = target
        self._clock = clock
        self._progress = progress
        self._wishes = wishes
        self._moved: list[FolderMoved] = []
        self._skipped: list[FolderSkipped] = []
        self._began = clock.monotonic()
        self._octets = 0

    def run(self) -> None:
        """Bring everything. :raises SourceFailed: it cannot go on. What failed of a single folder or message is in the report."""
        here = self._target.mailboxes(self._source.name)
        # What shows all mail comes last: then it is known what stands in other folders.
        for named in self._named(self._source.folders(), here):
            try:
                reader = self._source.open(named.folder)
            except FolderRefused as refused:
                self._skip(named.folder, str(refused))
                continue
            self._bring(named, reader, here)
        self._progress.end()

    def report(self) -> ImportReport:
        """What it came to, so far."""
        told = import_report(self._source.name, self._target.address, self._moved, self._skipped)
        told["seconds"] = round(self._clock.monotonic() - self._began, 1)
        return told

    def _named(self, folders: Iterable[SourceFolder], here: MailboxesHere) -> list[NamedFolder]:
        """Return the folders that are wanted, with their mailboxes. :raises SourceFailed: a name that was given cannot be."""
        wanted: list[SourceFolder] = []
        for one in folders:
            name = SEPARATOR.join(one.levels)
            if name in self._wishes.without or (self._wishes.only and name not in self._wishes.only):
                continue
            if one.special_use in VIEWS and name not in self._wishes.only:
                self._skip(
                    one, f"it shows what stands in other folders ({one.special_use}); name it to have it brought"
                )
                continue
            wanted.append(one)
        wanted.sort(key=lambda one: one.special_use == ALL)
        uses = {one["special_use"]: one["name"] for one in here["mailboxes"] if one["special_use"]}
        try:
            return name_folders(wanted, uses, self._wishes.names)
        except BadMailboxName as error:
            raise SourceFailed(f"a mailbox cannot have that name: {error}") from None

    def _skip(self, folder: SourceFolder, why: str) -> None:
        self._skipped.append({"folder": SEPARATOR.join(folder.levels), "why": why})

    def _bring(self, named: NamedFolder, reader: SourceReader, here: MailboxesHere) -> None:
        name = SEPARATOR.join(named.folder.levels)
        mailbox = self._mailbox(named, reader, here)
        told = folder_moved(name, mailbox["name"], named.why)
        told["messages"] = reader.count
        self._moved.append(told)
        self._progress.folder(name, reader.count)
        index = self._target.index(mailbox)
        note = read_note(mailbox["noted"], ProgressNote(reader.key, reader.uidvalidity, mailbox["uidvalidity"]))
        elsewhere = self._target.keys_elsewhere(mailbox) if named.folder.special_use == ALL else frozenset()
        run = _FolderRun(self, told, reader, index, note, here["largest"], elsewhere)
        run.bring()

    def _mailbox(self, named: NamedFolder, reader: SourceReader, here: MailboxesHere) -> MailboxHere:
        """Return the mailbox of a folder: that it was brought to before, whatever its name is by now, else that of its name."""
        for one in here["mailboxes"]:
            if reader.uidvalidity and one["selectable"] and noted_folder(one["noted"]) == named.folder.key:
                return one
        return self._target.mailbox(named.mailbox, named.special_use, named.folder.subscribed)

    # What the run of a folder needs

    def note(self, index: MailboxIndex, note: ProgressNote) -> None:
        """Keep how far a folder has come."""
        self._target.note(index, self._source.name, note.as_text())

    def place(self, index: MailboxIndex, batch: ContentBatch, content: object, told: FolderMoved) -> bool:
        """Place what is in a batch; False: look at it again, something else came into the mailbox."""
        done = self._target.place(index, batch.messages, content)
        if done is None:
            return False
        told["lost_keywords"] = sorted({*told["lost_keywords"], *done["lost_keywords"]})
        return True

    def add_flags(self, index: MailboxIndex, flags: Mapping[int, Iterable[str]]) -> None:
        """Add flags to messages here."""
        self._target.add_flags(index, flags)

    def done(self, messages: int) -> None:
        """Tell how far it has come."""
        self._progress.done(messages)

    def slow_down(self, octets: int) -> None:
        """Wait as long as the rate wants."""
        self._octets += octets
        if self._wishes.rate:
            due = self._began + self._octets / self._wishes.rate
            left = due - self._clock.monotonic()
            if left > 0:
                self._clock.sleep(left)


class _FolderRun:
    """Brings one folder."""

    def __init__(
        self,
        whole: MailImport,
        told: FolderMoved,
        reader: SourceReader,
        index: MailboxIndex,
        note: ProgressNote,
        largest: int,
        elsewhere: Container[MessageKey],
    ) -> None:
        """:param elsewhere: what stands in other mailboxes here, and is not to come once more."""
        self._whole = whole
        self._told = told
        self._reader = reader
        self._index = index
        self._note = note
        self._known = note  # from earlier runs
        self._largest = largest
        self._elsewhere = elsewhere
        self._flags: dict[int, Sequence[str]] = {}  # to be added
        self._still_there = 0  # of those that came before
        self._seen = 0  # the last UID that was told of
        self._gaps: list[int] = []  # UIDs before it that were not, the first of them

    def bring(self) -> None:
        """Do it."""
        for page in self._reader.pages(self._note.last):
            self._note_gaps(page)
            for message in page:
                if self._is_elsewhere(message):
                    self._told["present"] += 1
                elif self._known.covers(message.uid):
                    self._merge(message, self._index.take(message))
            new = [message for message in page if not self._known.covers(message.uid)]
            self._whole.done(len(page) - len(new))
            self._still_there += sum(message.uid <= self._known.last for message in page)
            for some in in_batches(new, lambda message: message.size):
                self._bring_some(some)
            self._add_flags()
        self._told["gone_there"] = max(self._known.count - self._still_there, 0)
        if self._reader.untold:
            self._miss(self._reader.untold)

    def _miss(self, messages: int) -> None:
        """Tell of messages that the source counts and does not tell of; they are among the UIDs that nothing was told of."""
        self._told["failed"] += messages
        self._told["failures"].append(f"{messages} messages: the source counts them, and does not tell of them")
        if self._reader.uidvalidity:
            self._note = self._note.through(self._note.last, 0, frozenset(self._gaps), frozenset())
            self._whole.note(self._index, self._note)

    def _note_gaps(self, page: Sequence[SourceMessage]) -> None:
        for message in page:
            room = MAX_FAILED + 1 - len(self._gaps)
            self._gaps.extend(range(self._seen + 1, min(message.uid, self._seen + 1 + room)))
            self._seen = message.uid

    def _bring_some(self, messages: Sequence[SourceMessage]) -> None:
        due = [message for message in messages if not self._is_elsewhere(message)]
        fitting = [message for message in due if message.size <= self._largest]
        with tempfile.TemporaryFile() as file:
            while True:
                batch = ContentBatch(file, self._largest, self._index, self._index.tops)
                for message in due:
                    if message.size > self._largest:
                        batch.fail(message, f"it has {message.size} octets, and {self._largest} are taken")
                if fitting:
                    self._reader.read(fitting, batch)
                batch.finish()
                if not batch.messages or self._whole.place(self._index, batch, file, self._told):
                    break
                file.seek(0)
                file.truncate()
        for one in batch.present:
            self._is_present(one)
        self._tell(batch)
        self._go_on(messages, batch)
        self._whole.done(len(messages))
        self._whole.slow_down(batch.octets)

    def _is_elsewhere(self, message: SourceMessage) -> bool:
        return bool(message.message_id) and key_of(message) in self._elsewhere

    def _is_present(self, one: BatchedMessage) -> None:
        self._told["present"] += 1
        self._merge(one.message, self._index.by_digest.get(one.digest), came_before=False)

    def _tell(self, batch: ContentBatch) -> None:
        told = self._told
        told["brought"] += len(batch.messages)
        told["octets"] += sum(one.octets for one in batch.messages)
        told["failed"] += len(batch.failed)
        for failed in batch.failed[: TOLD - len(told["failures"])]:
            told["failures"].append(f"message {failed.message.uid}: {failed.why}")

    def _go_on(self, messages: Sequence[SourceMessage], batch: ContentBatch) -> None:
        """Note that these are done, where the source will know them again."""
        if not self._reader.uidvalidity:
            return
        failed = frozenset(one.message.uid for one in batch.failed)
        tried = frozenset(one.uid for one in messages)
        came = sum(one.uid > self._note.last for one in messages)
        self._note = self._note.through(messages[-1].uid, came, failed, tried - failed)
        self._whole.note(self._index, self._note)

    def _merge(self, message: SourceMessage, here: StandingMessage | None, came_before: bool = True) -> None:
        """Add what flags it has there and not here."""
        if here is None:
            self._told["gone_here"] += 1
            return
        if came_before:
            self._told["present"] += 1
        there = {flag.lower(): flag for flag in message.flags if flag.lower() != NOT_MOVED}
        missing = [flag for folded, flag in there.items() if folded not in here.flags]
        if missing:
            self._flags[here.uid] = missing
        if here.flags - there.keys():
            self._told["flags_here_only"] += 1

    def _add_flags(self) -> None:
        if self._flags:
            self._whole.add_flags(self._index, self._flags)
            self._told["flags_added"] += len(self._flags)
            self._flags = {}
