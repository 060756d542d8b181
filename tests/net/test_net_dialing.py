"""Dialling several addresses: what becomes of the winner."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailnode.interfaces.outbound import Target
from mailnode.net.dialing import Dialer


class Link:
    aborted = False

    def abort(self) -> None:
        self.aborted = True


class Dialling(Dialer):
    """Comes to what a test says of each address."""

    ends: dict[str, Any]

    async def connect(self, target: Target) -> Any:
        end = self.ends[target.address]
        if isinstance(end, Exception):
            raise end
        return end


class FirstTests(SynchronousTestCase):
    def test_a_winner_is_not_left_open_beside_an_error_of_ours(self) -> None:
        clock: Any = Clock()
        link: Any = Link()
        dialer = Dialling(clock, clock, lambda target: link, (), 10.0)
        dialer.ends = {"192.0.2.1": RuntimeError("ours"), "192.0.2.2": link}
        targets = [Target("a.example", address) for address in dialer.ends]
        self.failureResultOf(Deferred.fromCoroutine(dialer.first(targets, lambda: True)), RuntimeError)
        self.assertTrue(link.aborted)
