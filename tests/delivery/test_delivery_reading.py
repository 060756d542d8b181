"""Small messages that are judged are read by one call to another process, where many come at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from delivery_fakes import Batches
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mailnode.delivery.acceptance import PLAIN_LINES, TINY
from mailnode.delivery.reading import MANY, MOMENT, MOST_ACCOUNTS, MessageReader
from mailnode.errors import Busy
from mailnode.interfaces.delivery import IMessageReader, IReadAhead
from mailnode.interfaces.learning import IAskedFilters
from mailnode.interfaces.outbound import Records
from mailnode.values.reading import AskedFilter

CONTENT = b"Subject: x\r\n\r\nhello\r\n"


@implementer(IAskedFilters)
class AskedFilters:
    def asked(self, account_ids: Sequence[str]) -> tuple[AskedFilter, ...]:
        return tuple(map(AskedFilter, account_ids))


class World:
    def __init__(self) -> None:
        self.clock, self.batches = Clock(), Batches()
        self.clock.advance(1000.0)
        self.reader = MessageReader(self.batches, self.clock, AskedFilters())

    def begin(self, content: bytes = CONTENT, accounts: Sequence[str] = ()) -> Any:
        return self.reader.begin(content, content.find(b"\r\n\r\n") + 4, accounts)

    def begun(self) -> Any:
        """One that is read, as many come."""
        return [self.begin() for _ in range(MANY)][-1]


@pytest.fixture
def world() -> World:
    return World()


def test_contracts(world: World) -> None:
    assert verifyObject(IMessageReader, world.reader)
    assert verifyObject(IReadAhead, world.begun())
    assert world.reader.largest == TINY


def test_that_many_come_at_once_is_seen(world: World) -> None:
    for pause in [MOMENT] * 10:
        world.clock.advance(pause)
        assert world.begin() is None
    world.clock.advance(2 * MOMENT)
    assert [world.begin() is not None for _ in range(MANY + 1)] == [False] * (MANY - 1) + [True] * 2
    world.clock.rightNow -= 500.0  # somebody sets the clock back
    assert world.begin() is None


def test_what_is_made_to_be_slow_is_not_read_so(world: World) -> None:
    world.begun()
    assert world.begin() is not None
    assert world.begin(b"To: no end of the header") is None
    assert world.begin(CONTENT + b"--b\r\n" * (PLAIN_LINES + 2)) is None


def test_it_is_read_once_for_all_who_ask(world: World) -> None:
    message = world.begun()
    keys = {"a._domainkey.x.test": Records([b"p="], ttl=5.0), "b._domainkey.x.test": None}
    first = Deferred.fromCoroutine(message.read(keys))
    assert message.reading is None
    ((content, answer),) = world.batches.asked
    assert content == CONTENT
    assert world.batches.others == [(14, {"a._domainkey.x.test": (b"p=",), "b._domainkey.x.test": None}, 1000.0, ())]
    assert type(world.batches.others[0][1]["a._domainkey.x.test"]) is tuple  # type: ignore[index]
    answer.callback(("what was read",))
    again = Deferred.fromCoroutine(message.read({}))
    assert [first.result, again.result, message.reading] == ["what was read"] * 3
    assert len(world.batches.asked) == 1


def test_filters_of_the_accounts_behind_it_are_asked_there(world: World) -> None:
    world.begun()
    for accounts, asked in ((["a", "b"], (AskedFilter("a"), AskedFilter("b"))), (["c"] * (MOST_ACCOUNTS + 1), None)):
        Deferred.fromCoroutine(world.begin(accounts=accounts).read({}))
        assert world.batches.others[-1][-1] == asked


def test_nothing_is_read_where_the_other_process_died_or_is_behind(world: World) -> None:
    message = world.begun()
    first = Deferred.fromCoroutine(message.read({}))
    world.batches.asked[0][1].errback(Busy())
    again = Deferred.fromCoroutine(message.read({}))
    assert [first.result, again.result, message.reading] == [None] * 3
    assert len(world.batches.asked) == 1
