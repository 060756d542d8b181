"""What all sessions together were acknowledged: it must be there at the end, whoever was killed meanwhile."""

from __future__ import annotations

import threading

from tests.stress.model import Inconsistent

Key = tuple[str, int]  # mailbox, UID
_UNDER_WAY = 50  # UIDs that may have been given and not been told yet


class Ledger:
    """Shared by the threads of all sessions."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens: dict[Key, bytes] = {}  # which message it is
        self._given: set[Key] = set()  # UIDs that APPENDUID and COPYUID told
        self._gone: set[Key] = set()
        self._perhaps: list[tuple[str, int, int]] = []  # mailbox, lowest, highest: some of these may be gone
        self._marks: dict[tuple[Key, bytes], bool] = {}  # a keyword that one session alone sets and takes away
        self.acknowledged = 0

    def appended(self, mailbox: str, uid: int, token: bytes | None) -> None:
        """A new message was acknowledged. :param token: None: what it is was not known."""
        with self._lock:
            key = mailbox, uid
            if key in self._given:
                raise Inconsistent(f"UID {uid} of {mailbox} was given twice")
            self._given.add(key)
            self.acknowledged += 1
        if token is not None:
            self.seen(mailbox, uid, token)

    def seen(self, mailbox: str, uid: int, token: bytes) -> None:
        """Somebody read a message: it is the same for everybody, for ever."""
        with self._lock:
            if self._tokens.setdefault((mailbox, uid), token) != token:
                raise Inconsistent(f"UID {uid} of {mailbox} is {token!r} and was {self._tokens[mailbox, uid]!r}")

    def token(self, mailbox: str, uid: int) -> bytes | None:
        """Return which message it is, if that is known."""
        with self._lock:
            return self._tokens.get((mailbox, uid))

    def gone(self, mailbox: str, lowest: int, highest: int) -> None:
        """A message was told gone, its UID not known where it lies between these."""
        with self._lock:
            if lowest == highest:
                self._gone.add((mailbox, lowest))
            else:
                self._perhaps.append((mailbox, lowest, highest))

    def perhaps_gone(self, mailbox: str, uid: int | None = None) -> None:
        """A connection was lost before it was told whether a message is gone. :param uid: None: any that there was."""
        with self._lock:
            highest = max((uid for name, uid in self._given if name == mailbox), default=0) + _UNDER_WAY
            lowest, highest = (uid, uid) if uid else (1, highest)
            self._perhaps.append((mailbox, lowest, highest))

    def marked(self, mailbox: str, uid: int, mark: bytes, set_: bool | None) -> None:
        """A session's own keyword was stored. :param set_: None: it was not told whether."""
        with self._lock:
            if set_ is None:
                self._marks.pop(((mailbox, uid), mark), None)
            else:
                self._marks[(mailbox, uid), mark] = set_
                self.acknowledged += 1

    def check(self, mailbox: str, truth: dict[int, frozenset[bytes]]) -> None:
        """All that was acknowledged is there, as it was stored; what was told gone is not."""
        perhaps = [(low, high) for name, low, high in self._perhaps if name == mailbox]
        for uid in sorted(uid for name, uid in self._given - self._gone if name == mailbox and uid not in truth):
            if not any(low <= uid <= high for low, high in perhaps):
                raise Inconsistent(f"UID {uid} of {mailbox} was acknowledged and is lost")
        back = [uid for name, uid in self._gone if name == mailbox and uid in truth]
        if back:
            raise Inconsistent(f"{back} of {mailbox} were told gone and are there")
        for ((name, uid), mark), stored in self._marks.items():
            if name == mailbox and uid in truth and (mark in truth[uid]) != stored:
                raise Inconsistent(f"{mark!r} of UID {uid} in {mailbox} was stored as {stored}")
