"""An account's mail in memory, as simply as the contracts of ``interfaces.store`` allow; every call ends at once."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable

from zope.interface import implementer

from mailnode.errors import (
    BlobDamaged,
    KeywordLimit,
    LimitReached,
    MailboxExists,
    MailboxRefused,
    NoSuchMailbox,
    NoSuchMessage,
    OverQuota,
)
from mailnode.interfaces.store import IBlobs, IBlobWriter, IMailAccount, IMailbox
from mailnode.values.blob import BlobRef, StagedBlob
from mailnode.values.flags import DELETED, KEYWORD_SHIFT, MAX_KEYWORDS, SEEN, KeywordTable
from mailnode.values.mailbox import (
    SPECIAL_USE,
    Appended,
    Copied,
    FlagsStored,
    MailboxChanges,
    MailboxInfo,
    MailboxSnapshot,
    MailboxStatus,
    Usage,
)
from mailnode.values.mailbox_name import mailbox_name
from mailnode.values.rights import ALL


@implementer(IBlobWriter)
class FakeWriter:
    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._data = bytearray()
        self.aborted = False

    @property
    def size(self) -> int:
        return len(self._data)

    async def write(self, data):
        if len(self._data) + len(data) > self._limit:
            raise LimitReached
        self._data += data

    async def read(self, offset, length):
        return bytes(self._data[offset : offset + length])

    async def finish(self):
        return stage(bytes(self._data))

    async def finish_with(self, look):
        return stage(bytes(self._data)), look(bytes(self._data))

    def take(self):
        return bytes(self._data)

    def abort(self):
        self.aborted = True


def stage(data: bytes) -> StagedBlob:
    digest = hashlib.sha256(data).digest()
    return StagedBlob(BlobRef(digest.hex()[:20], len(data), "inline", "plain", digest), data)


@implementer(IBlobs)
class FakeBlobs:
    def __init__(self) -> None:
        self.writers: list[FakeWriter] = []

    def writer(self, limit):
        self.writers.append(FakeWriter(limit))
        return self.writers[-1]

    async def put(self, data, encoded=None):
        return stage(data)

    async def read_staged(self, blob, offset=0, length=None):
        return blob.data[offset : None if length is None else offset + length]


class _Box:
    def __init__(self, info: MailboxInfo) -> None:
        self.info = info
        self.uidnext = 1
        self.claimed = 1
        self.highest = 1
        self.forgotten = 0
        self.live: dict[int, list] = {}  # uid -> [NewMessage, flags, modseq]
        self.dead: dict[int, list] = {}


@implementer(IMailAccount)
class FakeAccount:
    """``publish``: called with the modseq after each change. ``broken``: raised by everything that writes."""

    account_id = "acc"
    hints = ("acc",)

    def __init__(self, publish: Callable[[int], None] = lambda modseq: None) -> None:
        self.publish = publish
        self.broken: Exception | None = None
        self.keywords = KeywordTable()
        self.blob_store = FakeBlobs()
        self.content: dict[str, bytes] = {}
        self.quota = self.most_messages = 0
        self.reads = 0
        self._modseq = 1
        self._validity = 0
        self._ids = 0
        self._boxes: dict[int, _Box] = {}
        self._subscribed: set[str] = set()
        self._notes: dict[tuple[int, str, str], bytes] = {}
        self._noted_at: dict[tuple[int, str, str], int] = {}
        for name in ("INBOX", *SPECIAL_USE):
            self._make(name, SPECIAL_USE.get(name, ""))
            self._subscribed.add(name)

    def _make(self, name: str, special_use: str = "", selectable: bool = True) -> MailboxInfo:
        self._ids += 1
        self._validity += 1
        info = MailboxInfo(self._ids, name, self._validity, special_use, selectable)
        self._boxes[info.id] = _Box(info)
        return info

    def change(self) -> int:
        if self.broken is not None:
            raise self.broken
        self._modseq += 1
        return self._modseq

    def box(self, mailbox_id: int) -> _Box:
        try:
            return self._boxes[mailbox_id]
        except KeyError:
            raise NoSuchMailbox from None

    def learn(self, names) -> int:
        bits, table = 0, self.keywords
        for name in names:
            bit = table.bit(name)
            if bit is None:
                if len(table.names) >= MAX_KEYWORDS:
                    raise KeywordLimit
                table = KeywordTable((*table.names, name))
                bit = 1 << (KEYWORD_SHIFT + len(table.names) - 1)
            bits |= bit
        self.keywords = table
        return bits

    async def mailboxes(self):
        return sorted((b.info for b in self._boxes.values()), key=lambda info: (info.name != "INBOX", info.name))

    async def with_inferior(self, name):
        found = [box.info for box in self._boxes.values() if box.info.name == name]
        return found + [one for one in await self.mailboxes() if found and one.name.startswith(name + "/")][:1]

    async def named(self, name):
        for box in self._boxes.values():
            if box.info.name == name:
                return box.info
        raise NoSuchMailbox

    async def create(self, name, special_use=""):
        name = mailbox_name(name)
        if any(b.info.name == name for b in self._boxes.values()):
            raise MailboxExists
        levels = name.split("/")
        for depth in range(1, len(levels)):
            above = "/".join(levels[:depth])
            if not any(b.info.name == above for b in self._boxes.values()):
                self._make(above)
        info = self._make(name, special_use)
        self.publish(self.change())
        return info

    async def delete(self, mailbox_id):
        info = self.box(mailbox_id).info
        inferiors = any(b.info.name.startswith(info.name + "/") for b in self._boxes.values())
        if info.name == "INBOX" or (inferiors and not info.selectable):
            raise MailboxRefused
        del self._boxes[mailbox_id]
        if inferiors:
            self._make(info.name, selectable=False)
        self._notes = {key: value for key, value in self._notes.items() if key[0] != mailbox_id}
        self.publish(self.change())

    async def rename(self, mailbox_id, name):
        box, name = self.box(mailbox_id), mailbox_name(name)
        if any(b.info.name == name for b in self._boxes.values()):
            raise MailboxExists
        if box.info.name == "INBOX":
            target = await self.create(name)
            self._notes |= {(target.id, *key[1:]): value for key, value in self._notes.items() if key[0] == mailbox_id}
            await FakeMailbox(self, mailbox_id).move(sorted(box.live), target.id)
            return
        old = box.info.name
        for other in self._boxes.values():
            if other.info.name == old or other.info.name.startswith(old + "/"):
                i = other.info
                other.info = MailboxInfo(i.id, name + i.name[len(old) :], i.uidvalidity, i.special_use)
        self.publish(self.change())

    async def placements(self, message_ids):
        raise NotImplementedError

    async def message(self, message_id, columns):
        raise NotImplementedError

    async def changes(self, since, limit=256):
        raise NotImplementedError

    async def changed_mailboxes(self, since):
        return self._modseq, frozenset(one for one, box in self._boxes.items() if box.highest > since)

    async def subscriptions(self):
        return sorted(self._subscribed)

    async def subscribe(self, name, on):
        (self._subscribed.add if on else self._subscribed.discard)(name)
        self.publish(self.change())

    async def status(self, mailbox_ids):
        return [self._status(self._boxes[i]) for i in mailbox_ids if i in self._boxes]

    async def status_of(self, name):
        for box in self._boxes.values():
            if box.info.name == name and box.info.selectable:
                return self._status(box)
        raise NoSuchMailbox

    def _status(self, box: _Box) -> MailboxStatus:
        rows = box.live.values()
        return MailboxStatus(
            box.info.id,
            len(rows),
            sum(1 for uid in box.live if uid >= box.claimed),
            sum(1 for _, flags, _ in rows if not flags & SEEN),
            sum(1 for _, flags, _ in rows if flags & DELETED),
            sum(size_of(m) for m, _, _ in rows),
            box.uidnext,
            box.info.uidvalidity,
            box.highest,
        )

    def open(self, mailbox_id):
        return FakeMailbox(self, mailbox_id)

    async def modseq(self):
        return self._modseq

    async def annotations(self, mailbox_ids, reader):
        found = {}
        for (mailbox_id, of, entry), value in sorted(self._notes.items()):
            if mailbox_id in mailbox_ids and of in ("", reader):
                found.setdefault(mailbox_id, {})[entry] = value
        return found

    async def annotated_at(self, mailbox_ids, reader):
        found = {}
        for (mailbox_id, of, entry), modseq in sorted(self._noted_at.items()):
            if mailbox_id in mailbox_ids and of in ("", reader) and (mailbox_id, of, entry) in self._notes:
                found.setdefault(mailbox_id, {})[entry] = modseq
        return found

    async def annotate(self, mailbox_id, values):
        if mailbox_id:
            self.box(mailbox_id)
        notes = dict(self._notes)
        values = [one for one in values if notes.get((mailbox_id, *one[:2])) != one[2]]
        for reader, entry, value in values:
            notes.pop((mailbox_id, reader, entry), None)
            if value is not None:
                notes[mailbox_id, reader, entry] = value
        if sum(1 for key in notes if key[0] == mailbox_id) > 100:
            raise LimitReached
        self._notes = notes
        if values:
            modseq = self.change()
            self._noted_at = {key: self._noted_at.get(key, modseq) for key in notes}
            self._noted_at.update({key: modseq for r, e, v in values if (key := (mailbox_id, r, e)) in notes})
            self.publish(modseq)
        return self._modseq

    async def rights(self, mailbox_ids):
        return dict.fromkeys(mailbox_ids, ALL)

    async def entries(self, mailbox_id):
        return {}

    async def give_rights(self, mailbox_id, identifier, how, letters):
        raise LimitReached

    async def has_reader(self, identifier):
        return False

    async def usage(self):
        sizes = [size_of(m) for box in self._boxes.values() for m, _, _ in box.live.values()]
        return Usage(sum(sizes), self.quota, len(sizes), self.most_messages)

    def blobs(self):
        return self.blob_store

    async def maildrop(self, mailbox_id, lease_seconds):
        raise NotImplementedError


def size_of(message) -> int:
    return len(message.prefix) + message.facts.size


@implementer(IMailbox)
class FakeMailbox:
    def __init__(self, account: FakeAccount, mailbox_id: int) -> None:
        self.account_id = account.account_id
        self.id = mailbox_id
        self.hints = (account.account_id,)
        self._account = account

    @property
    def _box(self) -> _Box:
        return self._account.box(self.id)

    def _claim(self, claim: bool) -> int:
        box = self._box
        first = box.claimed
        if claim:
            box.claimed = box.uidnext
        return first

    async def rights(self):
        return ALL

    async def snapshot(self, claim_recent=False):
        box = self._box
        uids = sorted(box.live)
        return MailboxSnapshot(
            self.id,
            box.info.uidvalidity,
            box.uidnext,
            box.highest,
            array("I", uids),
            array("Q", [box.live[u][1] for u in uids]),
            array("Q", [box.live[u][2] for u in uids]),
            self._account.keywords,
            self._claim(claim_recent),
        )

    async def changes(self, since, claim_recent=False, heard=None):
        box = self._box
        changed = tuple((u, f, m) for u, (_, f, m) in sorted(box.live.items()) if m > since)
        expunged = tuple(u for u, (_, _, m) in sorted(box.dead.items()) if m > since)
        first = self._claim(claim_recent)
        return MailboxChanges(box.highest, box.uidnext, changed, expunged, self._account.keywords, first)

    async def expunged(self, since):
        box = self._box
        if since < box.forgotten:
            return None
        return array("I", sorted(u for u, (_, _, m) in box.dead.items() if m > since))

    async def rows(self, uids, columns, keep=False):
        assert len(uids) <= 256 and len(set(columns)) == len(columns)
        box = self._box
        found = []
        for uid in uids:
            row = box.live.get(uid) or box.dead.get(uid)
            if row is not None:
                found.append((uid, *[_column(row, name) for name in columns]))
        return found

    async def rendered(self, uids, number, pieces):
        assert 0 < len(uids) <= 512
        if [uid for uid in sorted(self._box.live) if uids[0] <= uid <= uids[-1]] != list(uids):
            return None
        said = []
        for at, uid in enumerate(uids, number):
            values = {"number": at, "uid": uid}
            for piece in pieces:
                if isinstance(piece, str):
                    piece = values[piece] if piece in values else _column(self._box.live[uid], piece)
                said.append(piece if isinstance(piece, bytes) else b"%d" % piece)
        return b"".join(said)

    async def read_several(self, blobs, keep=False):
        contents = []
        for blob in blobs:
            try:
                content = await self.read(blob)
                contents.append(content if len(content) == blob.size else BlobDamaged(blob.blob_id))
            except BlobDamaged as error:
                contents.append(error)
        return contents

    async def read(self, blob, offset=0, length=None):
        self._account.reads += 1
        data = self._account.content.get(blob.blob_id)
        if data is None:
            raise BlobDamaged
        return data[offset : None if length is None else offset + length]

    async def append(self, messages):
        account, box = self._account, self._box
        if account.quota and (await account.usage()).bytes_used + sum(map(size_of, messages)) > account.quota:
            raise OverQuota
        bits = [m.flags | account.learn(m.keywords) for m in messages]
        modseq = box.highest = account.change()
        uids = []
        for message, flags in zip(messages, bits, strict=True):
            account.content[message.blob.ref.blob_id] = message.blob.data
            box.live[box.uidnext] = [message, flags, modseq]
            uids.append(box.uidnext)
            box.uidnext += 1
        account.publish(modseq)
        return Appended(box.info.uidvalidity, tuple(uids), modseq)

    async def store_flags(self, uids, mode, flags, keywords=(), unchanged_since=None):
        account, box = self._account, self._box
        if mode == "remove":
            bits = flags | sum(account.keywords.bit(k) or 0 for k in keywords)
        else:
            bits = flags | account.learn(keywords)
        live = [uid for uid in uids if uid in box.live]
        before = {uid: box.live[uid][1] for uid in live}
        modified = tuple(u for u in live if unchanged_since is not None and box.live[u][2] > unchanged_since)
        modseq = account.change()
        altered = False
        for uid in live:
            row = box.live[uid]
            old = row[1]
            new = bits if mode == "set" else old | bits if mode == "add" else old & ~bits
            if uid not in modified and new != old:
                row[1:] = [new, modseq]
                altered = True
        if altered:
            box.highest = modseq
            account.publish(modseq)
        changed = tuple((u, *box.live[u][1:]) for u in live if u not in modified)
        return FlagsStored(changed, modified, account.keywords, modseq, tuple(before[row[0]] for row in changed))

    async def copy(self, uids, target):
        return self._place(uids, target)

    def _place(self, uids, target) -> Copied:
        account, box, to = self._account, self._box, self._account.box(target)
        live = [uid for uid in uids if uid in box.live]
        if account.quota:
            raise OverQuota
        modseq = to.highest = account.change()
        new = []
        for uid in live:
            to.live[to.uidnext] = [*box.live[uid][:2], modseq]
            new.append(to.uidnext)
            to.uidnext += 1
        account.publish(modseq)
        return Copied(to.info.uidvalidity, tuple(live), tuple(new), modseq)

    async def move(self, uids, target):
        copied = self._place(uids, target)
        self._expunge(copied.source)
        return copied

    async def replace(self, uid, target, message):
        account, box = self._account, self._box
        account.box(target)
        if uid not in box.live:
            raise NoSuchMessage
        grown = size_of(message) - size_of(box.live[uid][0])
        if account.quota and (await account.usage()).bytes_used + grown > account.quota:
            raise OverQuota
        quota, account.quota = account.quota, 0
        try:
            appended = await account.open(target).append([message])
        finally:
            account.quota = quota
        self._expunge([uid])
        return appended

    async def expunge(self, uids, only_deleted):
        box = self._box
        gone = tuple(u for u in uids if u in box.live and (not only_deleted or box.live[u][1] & DELETED))
        self._expunge(gone)
        return gone

    def _expunge(self, uids) -> None:
        box = self._box
        if uids:
            modseq = box.highest = self._account.change()
            for uid in uids:
                box.dead[uid] = [*box.live.pop(uid)[:2], modseq]
            self._account.publish(modseq)

    def sweep(self) -> None:
        """Forget what was expunged, as the upkeep does after the undelete time."""
        box = self._box
        box.forgotten = max([box.forgotten, *(modseq for _, _, modseq in box.dead.values())])
        box.dead.clear()


def _column(row, name):
    message, flags, modseq = row
    facts = message.facts
    return {
        "internaldate": lambda: message.internaldate,
        "internaldate_offset": lambda: message.internaldate_offset,
        "size": lambda: size_of(message),
        "prefix": lambda: message.prefix,
        "header_size": lambda: facts.header_size,
        "envelope": lambda: facts.envelope,
        "bodystructure": lambda: facts.bodystructure,
        "body": lambda: facts.body,
        "fields": lambda: facts.fields,
        "parts": lambda: facts.parts,
        "sort": lambda: facts.sort,
        "preview": lambda: facts.preview,
        "blob": lambda: message.blob.ref,
        "content": lambda: None,
        "flags": lambda: flags,
        "modseq": lambda: modseq,
    }[name]()
