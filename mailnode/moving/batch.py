"""Contents of messages on their way, in one file: as they will stand here, each with its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping
from typing import BinaryIO, NamedTuple, TypeVar

from mailnode.message.lineends import LineEnds
from mailnode.moving.model import MessageTooLarge, SourceMessage
from mailnode.values.moving import digest_of

TOGETHER = 200  # messages that are moved by one step
_PIECE = 65_536  # octets that are read at once
OCTETS = 4 * 1024 * 1024  # of these, after which no other is added

T = TypeVar("T")


def in_batches(messages: Iterable[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    """Yield messages some at a time, in their order. :param size: returns the octets of one."""
    some: list[T] = []
    octets = 0
    for message in messages:
        if some and (len(some) == TOGETHER or octets + size(message) > OCTETS):
            yield some
            some, octets = [], 0
        some.append(message)
        octets += size(message)
    if some:
        yield some


class BatchedMessage(NamedTuple):
    """A message whose octets lie in the file, after those before it."""

    message: SourceMessage
    octets: int
    digest: bytes  # SHA-256; of one that stands here see ``digest_of``


class FailedMessage(NamedTuple):
    """A message that could not be had."""

    message: SourceMessage
    why: str


class ContentBatch:
    """Some messages, written one after another (see ``ContentSink``). What stands here already is not kept twice."""

    def __init__(
        self, file: BinaryIO, largest: int, here: Container[bytes], tops: Mapping[int, Collection[int]]
    ) -> None:
        """:param file: empty, and read from its beginning by who takes the messages. :param largest: octets of one message.
        :param here: digests of what stands in the mailbox. :param tops: of what has something on top there, how many octets
        of it, by octets of the whole."""
        self.messages: list[BatchedMessage] = []
        self.present: list[BatchedMessage] = []  # that stand there already, or twice in the batch
        self.failed: list[FailedMessage] = []
        self.octets = 0  # that came, whatever became of them
        self._file = file
        self._largest = largest
        self._here = here
        self._tops = tops
        self._digests: set[bytes] = set()
        self._end = 0  # of the last message that is kept
        self._start_anew()

    def _start_anew(self) -> None:
        self._lines = LineEnds()
        self._digest = hashlib.sha256()
        self._size = 0

    def begin(self) -> None:
        """A message comes."""
        self._cut()
        self._start_anew()

    def write(self, data: bytes) -> None:
        """Some of it. :raises MessageTooLarge: :raises OSError: the disk is full."""
        self.octets += len(data)
        self._take(self._lines.convert(data))

    def _take(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._largest:
            raise MessageTooLarge
        self._digest.update(data)
        self._file.write(data)

    def end(self, message: SourceMessage) -> None:
        """It has ended, and was this one."""
        try:
            self._take(self._lines.finish())
        except MessageTooLarge:
            self.fail(message, "it is larger than messages may be here")
            return
        whole = BatchedMessage(message, self._size, self._known_by())
        if not whole.octets:
            self.fail(message, "it is empty")
        elif whole.digest in self._here or whole.digest in self._digests:
            self.present.append(whole)
            self._cut()
        else:
            self.messages.append(whole)
            self._digests.add(whole.digest)
            self._end += whole.octets
        self._start_anew()

    def _known_by(self) -> bytes:
        """Return the digest of the message that has ended: the one by which it is known here, if it is."""
        for octets in self._tops.get(self._size, ()):
            self._file.seek(self._end)
            top, below = self._file.read(octets), hashlib.sha256()
            while piece := self._file.read(_PIECE):
                below.update(piece)
            known = digest_of(top, below.digest())
            if known in self._here:
                return known
        return self._digest.digest()

    def fail(self, message: SourceMessage, why: str) -> None:
        """It cannot be had."""
        self.failed.append(FailedMessage(message, why))
        self._cut()
        self._start_anew()

    def finish(self) -> None:
        """Have all of it in the file, and nothing else. :raises OSError: the disk is full."""
        self._cut()
        self._file.flush()

    def _cut(self) -> None:
        if self._size:
            self._file.seek(self._end)
            self._file.truncate()
            self._size = 0
