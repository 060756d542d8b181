"""Hints between the processes of a server: published once, heard by every one of them.

What is published in one turn of the reactor goes out together, the newest modseq of each account. A link that its
other side reads slowly gets none: hints may be lost, and who relies on them also polls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from zope.interface import implementer

from mailnode.interfaces.runtime import IClock, IHints
from mailnode.net.hints import LocalHints
from mailnode.server.processes.link import ProcessLink

MAX_ACCOUNTS = 10_000  # of one message


@implementer(IHints)
class SharedHints:
    """Local hints that are also told to other processes, and hints of others that are passed on to a subscriber here."""

    def __init__(self, reactor: IClock, links: Callable[[], Sequence[ProcessLink]]) -> None:
        """:param links: those to tell: all workers' for the first one, the first one's for a worker."""
        self._local = LocalHints()
        self._reactor = reactor
        self._links = links
        self._modseqs: dict[str, int] = {}
        self._origins: dict[str, ProcessLink | None] = {}  # who need not be told
        self._queue = False  # wake it
        self._queue_is_here = False
        self._scheduled = False

    def publish(self, account_id: str, modseq: int) -> None:
        """Tell here and everywhere that an account reached this modseq."""
        self._local.publish(account_id, modseq)
        self._pass_on(account_id, modseq, None)

    def subscribe(self, account_id: str, callback: Callable[[int], None]) -> Callable[[], None]:
        """Call back with each modseq published for the account, wherever; returns what ends it."""
        return self._local.subscribe(account_id, callback)

    def has_listener(self, account_id: str) -> bool:
        """Whether anybody in this process has subscribed to the account."""
        return self._local.has_listener(account_id)

    def watch(self, callback: Callable[[str, int], None]) -> Callable[[], None]:
        """Call back with account and modseq of all that is published, wherever; returns what ends it."""
        return self._local.watch(callback)

    def wake_queue(self, destinations: Sequence[str] = ()) -> None:
        """Tell the queue runner, wherever it is, that there may be something due. Another process does not hear of what."""
        self._local.wake_queue(destinations)
        if not self._queue_is_here:
            self._queue = True
            self._schedule()

    def on_queue(self, callback: Callable[[Sequence[str]], None]) -> Callable[[], None]:
        """Call back at each :meth:`wake_queue`; returns what ends it."""
        self._queue_is_here = True
        return self._local.on_queue(callback)

    def heard(self, origin: ProcessLink, modseqs: dict[str, int], queue: bool) -> None:
        """Take what another process published; pass it on to all but that one."""
        for account_id, modseq in modseqs.items():
            self._local.publish(account_id, modseq)
            self._pass_on(account_id, modseq, origin)
        if queue:
            self._local.wake_queue()

    def _pass_on(self, account_id: str, modseq: int, origin: ProcessLink | None) -> None:
        if not self._links():
            return
        known = self._modseqs.get(account_id)
        if known is None and len(self._modseqs) >= MAX_ACCOUNTS:
            return
        self._origins[account_id] = origin if known is None or self._origins[account_id] is origin else None
        self._modseqs[account_id] = max(modseq, known or 0)
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._reactor.callLater(0, self._send)

    def _send(self) -> None:
        modseqs, origins, queue = self._modseqs, self._origins, self._queue
        self._modseqs, self._origins, self._queue, self._scheduled = {}, {}, False, False
        for link in self._links():
            if link.congested:
                continue
            theirs = {account_id: modseq for account_id, modseq in modseqs.items() if origins[account_id] is not link}
            if theirs or queue:
                link.tell("hints", theirs, queue)
