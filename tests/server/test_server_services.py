"""Services start in order and stop in reverse, each within its time, whatever the others do."""

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailnode.net.no_reactor import run_now
from mailnode.server.services import EndedAtOnce, ProcessService, Services


class House:
    """Services that note what is done to them."""

    def __init__(self):
        self.clock = Clock()
        self.done = []
        self.hold = {}  # by name, what a stop waits for

    def service(self, name, fails="", within=2.0):
        def start():
            self.done.append(f"+{name}")
            if fails == "start":
                raise ValueError(name)

        def stop():
            self.done.append(f"-{name}")
            if fails == "stop":
                raise ValueError(name)
            return self.hold.get(name)

        return ProcessService(name, self.clock, start=start, stop=stop, within=lambda: within)


@pytest.fixture
def house():
    return House()


def test_the_last_one_started_is_the_first_one_stopped(house):
    services = Services([house.service(name) for name in "abc"])
    run_now(services.start())
    run_now(services.stop())
    assert house.done == ["+a", "+b", "+c", "-c", "-b", "-a"]


@pytest.mark.parametrize("number", range(4))
def test_a_start_that_fails_stops_those_before_it(house, number):
    services = Services([house.service(name, "start" if at == number else "") for at, name in enumerate("abcd")])
    with pytest.raises(ValueError, match="abcd"[number]):
        run_now(services.start())
    before = "abcd"[:number]
    assert house.done == [f"+{name}" for name in "abcd"[: number + 1]] + [f"-{name}" for name in reversed(before)]
    run_now(services.stop())
    run_now(services.start())
    assert len(house.done) == 2 * number + 1, "it is over"


def test_the_beginning_can_be_started_before_the_rest(house):
    services = Services([house.service(name) for name in "abcd"])
    run_now(services.start(through="b"))
    assert house.done == ["+a", "+b"] and services.names == ["a", "b", "c", "d"]
    run_now(services.start())
    assert house.done == ["+a", "+b", "+c", "+d"]
    run_now(services.stop())
    assert house.done[4:] == ["-d", "-c", "-b", "-a"]


def test_a_failure_in_the_rest_stops_the_beginning(house):
    services = Services([house.service("a"), house.service("b"), house.service("c", "start")])
    run_now(services.start(through="a"))
    with pytest.raises(ValueError, match="c"):
        run_now(services.start())
    assert house.done == ["+a", "+b", "+c", "-b", "-a"]


def test_what_cannot_be_stopped_keeps_nothing_else_running(house):
    services = Services([house.service("a"), house.service("b", "stop"), house.service("c")])
    run_now(services.start())
    run_now(services.stop())
    assert house.done[3:] == ["-c", "-b", "-a"]


def test_what_takes_too_long_to_stop_is_left_behind(house):
    house.hold["b"] = Deferred()
    services = Services([house.service("a"), house.service("b", within=5.0)])
    run_now(services.start())
    stopping = Deferred.fromCoroutine(services.stop())
    house.clock.advance(4.9)
    assert house.done[2:] == ["-b"]
    house.clock.advance(0.1)
    assert house.done[2:] == ["-b", "-a"] and stopping.called


def test_those_that_stop_together_take_the_longest_time_of_one(house):
    house.hold = {"b": Deferred(), "c": Deferred()}
    group = EndedAtOnce([house.service("b", within=3.0), house.service("c", within=5.0)])
    services = Services([house.service("a"), group, house.service("d")])
    assert services.names == ["a", "b", "c", "d"]
    run_now(services.start())
    stopping = Deferred.fromCoroutine(services.stop())
    assert house.done == ["+a", "+b", "+c", "+d", "-d", "-c", "-b"]
    house.clock.advance(3.0)
    assert not stopping.called
    house.clock.advance(2.0)
    assert house.done[7:] == ["-a"] and stopping.called


def test_one_of_a_group_that_cannot_start_stops_the_group_and_what_was_before(house):
    group = EndedAtOnce([house.service("b"), house.service("c", "start"), house.service("d")])
    services = Services([house.service("a"), group, house.service("e")])
    with pytest.raises(ValueError, match="c"):
        run_now(services.start())
    assert house.done == ["+a", "+b", "+c", "-b", "-a"]
