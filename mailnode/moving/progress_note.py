"""What an import notes about a mailbox for the next one: how far the folder was brought."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

MAX_FAILED = 1000  # UIDs that are kept; of more all that come after the last are tried again


@dataclass(frozen=True, slots=True)
class ProgressNote:
    """All messages of a folder up to a UID are here, or were: but those that failed.

    It holds for one UIDVALIDITY on each side: when one of them changed, nothing is known.
    """

    folder: str  # its key
    uidvalidity: int
    uidvalidity_here: int
    last: int = 0
    count: int = 0  # messages the folder had up to there
    failed: frozenset[int] = frozenset()

    def covers(self, uid: int) -> bool:
        """Whether a message need not be brought again."""
        return uid <= self.last and uid not in self.failed

    def through(self, last: int, came: int, failed: frozenset[int], mended: frozenset[int]) -> ProgressNote:
        """Return the note after some more messages. :param came: how many of them are beyond the last. :param failed: of those
        that were tried. :param mended: those that failed before and did not now."""
        all_failed = (self.failed | failed) - mended
        return replace(self, last=max(self.last, last), count=self.count + came, failed=all_failed)

    def as_text(self) -> str:
        """Return it as JSON."""
        failed = sorted(self.failed)
        last = self.last
        if len(failed) > MAX_FAILED:
            last = min(last, failed[MAX_FAILED] - 1)
        kept = failed[:MAX_FAILED]
        return json.dumps([self.folder, self.uidvalidity, self.uidvalidity_here, last, self.count, kept])


def read_note(text: str, fresh: ProgressNote) -> ProgressNote:
    """Return the note that holds for a folder and a mailbox.

    :param fresh: one that knows nothing, returned where it does not hold.
    """
    try:
        folder, there, here, last, count, failed = json.loads(text)
        failed_uids = frozenset(map(int, failed))
        known = ProgressNote(str(folder), int(there), int(here), int(last), int(count), failed_uids)
    except (ValueError, TypeError):
        return fresh
    return known if replace(known, last=0, count=0, failed=frozenset()) == fresh else fresh


def noted_folder(text: str) -> str | None:
    """Return the key of the folder a note is about; None: it is no note."""
    try:
        folder, *_ = json.loads(text)
    except (ValueError, TypeError):
        return None
    return str(folder)
