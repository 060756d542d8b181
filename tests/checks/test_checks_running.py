"""Checks run side by side, each within its time, and none hides another."""

import asyncio
import time
from dataclasses import replace

import pytest
from twisted.logger import globalLogPublisher
from world import FakeWorld

from mailnode.checks import looks
from mailnode.checks.row import Check, Occasion, done, failed
from mailnode.checks.running import look_at_all
from mailnode.checks.table import CHECKS, checks_for, collected
from mailnode.errors import Busy
from mailnode.values.item import ItemState


def check(name, look, within=5.0):
    return Check(name=name, about="", why="because", look=look, within=within)


async def fine(world):
    return [done("fine", "it is")]


async def silent(world):
    await asyncio.Event().wait()


async def stubborn(world):
    """Does not end when it is told to."""
    while True:
        try:
            await asyncio.sleep(0.3)
            return []
        except asyncio.CancelledError:
            pass


async def broken(world):
    raise ZeroDivisionError("of its own")


@pytest.fixture
def logged():
    events = []
    globalLogPublisher.addObserver(events.append)
    yield events
    globalLogPublisher.removeObserver(events.append)


def run(*checks, overall=5.0):
    return [
        (item.name, item.state.value, item.seen) for item in look_at_all(checks, FakeWorld().surroundings(), overall)
    ]


def test_what_others_say_is_cut():
    """A zone of thousands of records that are wrong is no reason for a line that nobody can read."""

    async def endless(world):
        return [failed("endless", "a" * 100_000, "b" * 100_000)]

    [item] = look_at_all([check("endless", endless)], FakeWorld().surroundings())
    assert len(item.seen) < 1_100 and len(item.mend) < 10_100 and item.seen.endswith(" ...")


def test_one_that_never_ends_is_told_and_hides_no_other():
    begun = time.monotonic()
    told = run(check("silent", silent, within=0.05), check("fine", fine), check("also", silent, within=0.05))
    assert time.monotonic() - begun < 2
    assert told[1] == ("fine", "done", "it is")
    assert [one[:2] for one in told] == [("silent", "failed"), ("fine", "done"), ("also", "failed")]
    assert "no end of it within 0.05 s" in told[0][2]


def test_all_of_them_end_within_one_time():
    begun = time.monotonic()
    told = run(check("silent", silent, within=60.0), check("fine", fine), overall=0.1)
    assert time.monotonic() - begun < 2 and [one[1] for one in told] == ["failed", "done"]


def test_a_server_that_ends_does_not_wait_for_them():
    begun = time.monotonic()
    with pytest.raises(Busy):
        look_at_all([check("silent", silent, 60.0)], FakeWorld().surroundings(), 60.0, lambda: True)
    assert time.monotonic() - begun < 2


def test_one_that_does_not_want_to_end_is_not_waited_for_twice():
    told = run(check("stubborn", stubborn, within=0.05), check("fine", fine))
    assert [one[1] for one in told] == ["failed", "done"]


def test_one_that_fails_itself_is_told_without_its_words(logged):
    told = run(check("broken", broken), check("fine", fine))
    assert told[0] == ("broken", "failed", "the check itself failed")
    assert told[1][1] == "done"
    assert any("ZeroDivisionError" in str(event.get("log_failure")) for event in logged)


def test_each_item_says_why_it_matters():
    (item,) = look_at_all([check("fine", fine)], FakeWorld().surroundings())
    assert item.explained == "because"


def test_checks_are_found_by_their_being_there():
    assert {"host-name", "resolver", "port-25-outwards"} <= set(CHECKS)
    assert all(name == one.name and one.about and one.why for name, one in CHECKS.items())
    assert {one.name for one in checks_for(Occasion.DOCTOR)} <= set(CHECKS)


def test_a_file_in_the_folder_is_a_check(tmp_path, monkeypatch):
    (tmp_path / "teapot.py").write_text(
        "from mailnode.checks.row import Check\n"
        "CHECKS = (Check(name='teapot', about='It is short', why='And stout.', look=None),)\n"
    )
    monkeypatch.setattr(looks, "__path__", [*looks.__path__, str(tmp_path)])
    assert {"teapot", *CHECKS} == {check.name for check in collected()}


def test_every_check_survives_a_world_in_which_there_is_nothing():
    nothing = FakeWorld(own=[], space_=None, synced=[], memory_=None, kept=None)
    nothing = replace(nothing, facts=replace(nothing.facts, hostname="", addresses=()))
    for item in look_at_all(list(CHECKS.values()), nothing.surroundings()):
        assert item.seen != "the check itself failed", item
        assert (item.state not in (ItemState.FAILED, ItemState.TO_DO)) or item.mend, item
