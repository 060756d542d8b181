"""Views are packed after rest and when they are many, and no client can tell."""

import pytest
from imap_world import START, World
from twisted.internet.task import Clock

from mailnode.errors import Busy
from mailnode.imap import selected
from mailnode.imap.open_views import OpenViews
from mailnode.values.flags import FLAGGED


class Sleeper:
    """A session that can be busy."""

    def __init__(self) -> None:
        self.busy = False
        self.packed = 0

    def pack_view(self) -> bool:
        self.packed += not self.busy
        return not self.busy


def packed(client) -> bool:
    return client.session.selected.view.packed is not None


def full_world(**options) -> World:
    world = World(**options)
    for _ in range(3):
        world.put()
    return world


def test_views_rest_in_the_order_of_their_use():
    clock = Clock()
    views = OpenViews(clock, unused=60)
    first, second = Sleeper(), Sleeper()
    views.used(first, 10)
    clock.advance(30)
    views.used(second, 10)
    views.used(first, 11)
    assert (len(views), views.messages) == (2, 21)
    clock.pump([59.9])
    assert not first.packed
    clock.pump([0.2, 0, 0])
    assert (first.packed, second.packed, len(views), views.messages) == (1, 1, 0, 0)
    assert not clock.getDelayedCalls()


def test_a_busy_session_rests_later():
    clock = Clock()
    views = OpenViews(clock, unused=60)
    busy, idle = Sleeper(), Sleeper()
    busy.busy = True
    views.used(busy, 5)
    views.used(idle, 5)
    clock.pump([60, 0, 0])
    assert (busy.packed, idle.packed, views.messages) == (0, 1, 5)
    busy.busy = False
    clock.pump([60, 0])
    assert (busy.packed, len(views)) == (1, 0)


def test_too_many_messages_make_the_longest_unused_rest_at_once():
    clock = Clock()
    views = OpenViews(clock, unused=60, most=100)
    sleepers = [Sleeper() for _ in range(5)]
    for sleeper in sleepers:
        views.used(sleeper, 40)
    clock.pump([0] * 5)
    assert [sleeper.packed for sleeper in sleepers] == [1, 1, 1, 0, 0]
    assert views.messages == 80


def test_while_all_are_busy_nobody_asks_without_end():
    clock = Clock()
    views = OpenViews(clock, unused=60, most=10)
    sleeper = Sleeper()
    sleeper.busy = True
    views.used(sleeper, 40)
    clock.advance(0)
    assert [call.getTime() for call in clock.getDelayedCalls()] == [1.0]
    views.forget(sleeper)
    clock.advance(1)
    assert not clock.getDelayedCalls()


def test_a_session_rests_after_a_minute_and_wakes_when_it_must():
    world = full_world()
    client = world.connect(select="INBOX")
    assert not packed(client)
    world.clock.advance(61)
    assert packed(client)
    assert client.ask("n NOOP") == ["n OK NOOP completed"]
    assert client.ask("s STATUS Sent (MESSAGES)")[0] == "* STATUS Sent (MESSAGES 0)"
    assert packed(client)
    assert client.ask("f UID FETCH 2 FLAGS")[0] == "* 2 FETCH (UID 2 FLAGS (\\Recent))"
    assert not packed(client)
    world.clock.advance(59)
    client.ask("f FETCH 1 FLAGS")
    world.clock.advance(59)
    assert not packed(client)
    world.clock.advance(2)
    assert packed(client)


def test_polling_keeps_no_view_open():
    world = full_world()
    client = world.connect(select="INBOX")
    for _ in range(7):
        world.clock.advance(10)
        client.ask("n NOOP")
    assert packed(client)


def test_idle_rests_hears_and_rests_again():
    world = full_world()
    client = world.connect(select="INBOX")
    client.ask("i IDLE")
    for _ in range(13):
        world.clock.advance(5)
    assert packed(client)
    world.flag(2, "add", FLAGGED)
    assert client.received() == b"* 2 FETCH (FLAGS (\\Flagged \\Recent))\r\n"
    assert not packed(client)
    for _ in range(13):
        world.clock.advance(5)
    assert packed(client)
    assert client.received() == b"* OK Still here\r\n"
    assert client.ask("DONE") == ["i OK IDLE terminated"]


def test_numbers_stay_as_told_over_rest():
    world = full_world()
    client = world.connect(select="INBOX")
    world.expunge(1)
    world.clock.advance(3)
    assert client.ask("f FETCH 3 UID") == ["* 3 FETCH (UID 3)", "f OK FETCH completed"]
    world.clock.advance(61)
    assert packed(client)
    assert client.ask("f FETCH 1:3 UID")[:3] == [f"* {n} FETCH (UID {n})" for n in (1, 2, 3)]
    world.pack_views()
    assert client.ask("n NOOP") == ["* 1 EXPUNGE", "n OK NOOP completed"]
    assert client.ask("f FETCH 2 UID")[0] == "* 2 FETCH (UID 3)"


def test_nothing_is_kept_of_sessions_that_leave():
    world = full_world()
    views = world.services.views
    one, other = world.connect("1", select="INBOX"), world.connect("2", select="INBOX")
    assert (len(views), views.messages) == (2, 6)
    one.ask("u UNSELECT")
    other.pump.connectionLost()
    assert (len(views), views.messages) == (0, 0)


def test_large_views_are_packed_by_a_thread_and_stay_when_it_is_busy(monkeypatch):
    world = full_world()
    monkeypatch.setattr(selected, "_AT_ONCE", 2)
    calls = []

    class Threads:
        refuses = False

        async def run(self, pool, function, *args):
            calls.append((pool, function.__name__))
            if self.refuses:
                raise Busy
            return function(*args)

    threads = Threads()
    world.services = world.services.__class__(
        **{name: getattr(world.services, name) for name in world.services.__slots__} | {"threads": threads}
    )
    client = world.connect(select="INBOX")
    threads.refuses = True
    world.clock.advance(61)
    assert not packed(client) and client.session in world.services.views
    threads.refuses = False
    world.clock.advance(61)
    assert packed(client)
    assert client.ask("s SEARCH ALL")[0] == "* SEARCH 1 2 3"
    assert calls == [("cpu", "pack"), ("cpu", "pack"), ("cpu", "unpack")]


@pytest.mark.parametrize("command", ["FETCH 1:* FLAGS", "STORE 1 +FLAGS (\\Seen)", "SEARCH ALL", "EXPUNGE"])
def test_commands_that_look_into_the_view_count_as_its_use(command):
    world = full_world()
    client = world.connect(select="INBOX")
    world.clock.advance(40)
    client.ask(f"a {command}")
    world.clock.advance(40)
    assert not packed(client)
    assert world.clock.seconds() == START + 80
