"""Threads for tests that tell what was run in them."""

from __future__ import annotations

from mailnode.net.no_reactor import CallingThread


class TellingThread(CallingThread):
    """Knows what was run elsewhere than in the reactor's thread."""

    def __init__(self):
        super().__init__()
        self.ran = []

    async def run(self, pool, function, *args):
        self.ran.append(getattr(function, "__name__", ""))
        return await super().run(pool, function, *args)
