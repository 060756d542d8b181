"""Hints within one process: who should look again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from twisted.logger import Logger
from zope.interface import implementer

from mailnode.interfaces.runtime import IHints

_log = Logger()
_C = TypeVar("_C", bound=Callable[..., object])


@implementer(IHints)
class LocalHints:
    """Calls subscribers at once. One that fails does not keep the others from hearing."""

    def __init__(self) -> None:
        self._accounts: dict[str, list[Callable[[int], None]]] = {}
        self._watching: list[Callable[[str, int], None]] = []
        self._queue: list[Callable[[Sequence[str]], None]] = []

    def publish(self, account_id: str, modseq: int) -> None:
        """Tell that an account reached this modseq."""
        for callback in tuple(self._accounts.get(account_id, ())):
            try:  # not _call(): each session on the account is told of each change
                callback(modseq)
            except Exception:
                _log.failure("a subscriber of hints failed")
        for watcher in tuple(self._watching):
            _call(watcher, account_id, modseq)

    def subscribe(self, account_id: str, callback: Callable[[int], None]) -> Callable[[], None]:
        """Call back with each modseq published for the account; returns what ends it."""
        callbacks = self._accounts.setdefault(account_id, [])
        callbacks.append(callback)

        def end() -> None:
            _remove(callbacks, callback)
            if not callbacks and self._accounts.get(account_id) is callbacks:
                del self._accounts[account_id]

        return end

    def has_listener(self, account_id: str) -> bool:
        """Whether anybody has subscribed to the account."""
        return account_id in self._accounts

    def watch(self, callback: Callable[[str, int], None]) -> Callable[[], None]:
        """Call back with account and modseq of all that is published; returns what ends it."""
        self._watching.append(callback)
        return lambda: _remove(self._watching, callback)

    def wake_queue(self, destinations: Sequence[str] = ()) -> None:
        """Tell the queue runner that there may be something due."""
        for callback in tuple(self._queue):
            _call(callback, destinations)

    def on_queue(self, callback: Callable[[Sequence[str]], None]) -> Callable[[], None]:
        """Call back at each :meth:`wake_queue`; returns what ends it."""
        self._queue.append(callback)
        return lambda: _remove(self._queue, callback)


def _call(callback: Callable[..., object], *args: object) -> None:
    try:
        callback(*args)
    except Exception:  # a hint is a courtesy: the subscriber polls anyway
        _log.failure("a subscriber of hints failed")


def _remove(callbacks: list[_C], callback: _C) -> None:
    if callback in callbacks:
        callbacks.remove(callback)
