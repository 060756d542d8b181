"""Looking for what is to be said unasked, between two commands: one look at a time, and another when something came meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Coroutine

from twisted.internet.defer import ensureDeferred

from mailnode.imap.commands.context import Context


class Looking:
    """What happens while the client does not read is told in one when it does. ``ended``: nothing is looked for any more."""

    __slots__ = ("_context", "_look", "_under_way", "_wanted", "ended")

    def __init__(self, context: Context, look: Callable[[], Coroutine[object, object, None]]) -> None:
        """:param look: says what there is, as :meth:`Context.push` lets it."""
        self.ended = False
        self._context = context
        self._look = look
        self._wanted = False
        self._under_way = False

    def look(self) -> None:
        """Something may have happened: look now, or once more after the look that is under way."""
        if self.ended:
            return
        self._wanted = True
        if not self._under_way:
            self._under_way = True
            ensureDeferred(self._keep_looking())

    async def _keep_looking(self) -> None:
        try:
            while self._wanted and not self.ended and not self._context.channel.closed:
                await self._context.push(self._look_once)
        finally:
            self._under_way = False

    async def _look_once(self) -> None:
        self._wanted = False
        if not self.ended:
            await self._look()
