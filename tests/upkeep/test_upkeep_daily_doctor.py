"""The daily look: when it is due, what of it is news, and that nothing is told twice."""

from __future__ import annotations

from dataclasses import replace

import pytest
from twisted.logger import globalLogPublisher

from mailnode.errors import StoreUnavailable
from mailnode.net.no_reactor import run_now
from mailnode.upkeep.daily_doctor import AGAIN, DailyDoctor
from mailnode.upkeep.doctor_memory import DoctorMemory, as_octets, from_octets
from mailnode.upkeep.doctor_news import MAX_LINE
from mailnode.values.doctor import DoctorSettings
from mailnode.values.item import Item, ItemState

DAY, HOUR = 86_400.0, 3600.0
MIDNIGHT = 20_000 * DAY
HOST = "mail.a.test"


def item(name, state, seen="seen", mend="mend it"):
    return Item(name, ItemState(state), seen, mend if state in ("failed", "to do") else "")


class Days:
    """Days of a server: what looks see, what is kept, what is told."""

    def __init__(self):
        self.states = {}
        self.kept = b""
        self.sent = []  # (envelope id, to, subject, lines), also those that were sent once more
        self.fails = None
        self.looks = 0
        self.crash_after_sending = False
        self.settings = DoctorSettings(hour=6)
        self.now = MIDNIGHT
        self.begin()

    def begin(self):
        """Start anew, as after a restart."""
        self.doctor = DailyDoctor(self.look, self, self, lambda: self.settings, HOST)

    async def look(self):
        self.looks += 1
        return [item(name, state) for name, state in self.states.items()]

    async def read(self):
        return self.kept

    async def write(self, content):
        self.kept = content

    async def send(self, envelope_id, to, subject, lines, created):
        if self.fails is not None:
            raise self.fails
        self.sent.append((envelope_id, to, subject, lines))
        if self.crash_after_sending:
            raise KeyboardInterrupt

    def at(self, hours):
        """Go on to this hour of the first day, and let what is due be done."""
        self.now = MIDNIGHT + hours * HOUR
        run_now(self.doctor.round(self.now))

    def day(self, number, second=None, **states):
        """Both looks of a day; see what is told. :param second: what the second look sees, where it is something else."""
        before = len(self.sent)
        self.states = {name.replace("_", " "): state.replace("_", " ") for name, state in states.items()}
        self.at(24 * number + 6.5)
        if second is not None:
            self.states = second
        self.at(24 * number + 6.5 + (AGAIN + 1) / HOUR)
        return [line for one in self.sent[before:] for line in one[3]]


@pytest.fixture
def days():
    return Days()


def test_it_is_due_once_a_day_from_its_hour_on(days):
    for hour in (0, 5.9):
        days.at(hour)
        assert days.looks == 0
    for hour in (6, 6.1, 12, 23.9):
        days.at(hour)
        assert days.looks == 1
    days.at(24 + 5)
    assert days.looks == 1
    days.begin()  # a restart is no new day
    days.at(24 + 9)
    assert days.looks == 2
    days.begin()
    days.at(24 + 10)
    assert days.looks == 2


def test_a_clock_that_was_wrong_does_not_silence_it(days):
    """The machine started with a clock of years ahead, and something was wrong then."""
    year = 365
    assert days.day(2 * year, mx="failed", disk="done")
    days.states = {"mx": "done", "disk": "failed"}
    days.at(24 * (2 * year + 1) + 6.5)  # a second look is due, and before it the clock is set right
    days.begin()
    days.at(7)
    days.at(7 + 2 * AGAIN / HOUR)
    assert any("disk" in line for line in days.sent[-1][3])
    looks = days.looks
    assert days.day(1, mx="done", disk="failed") == [] and days.looks > looks


def test_an_item_that_was_restless_with_a_wrong_clock_calms_down_with_the_right_one(days):
    for number in range(700, 706):
        days.day(number, mx="failed" if number % 2 else "done")
    told = [line for number in range(1, 8) for line in days.day(number, mx="failed")]
    assert any("mx" in line for line in told)


def test_it_can_be_switched_off(days):
    days.settings = replace(days.settings, daily=False)
    days.at(7)
    assert days.looks == 0


def test_what_is_wrong_is_told_with_its_fix_and_then_no_more(days):
    told = days.day(0, mx="failed", spf="done", disk="to_do", caa="skipped")
    assert "* mx: seen" in told and "-> mend it" in told
    assert told.index("Failed") < told.index("* mx: seen") < told.index("To do") < told.index("* disk: seen")
    assert not any("spf" in line or "caa" in line for line in told)
    ((_, to, subject, _),) = days.sent
    assert (to, subject) == ("", f"mailnode doctor: {HOST}")
    for number in (1, 2, 3):
        assert days.day(number, mx="failed", spf="done", disk="to_do", caa="skipped") == []
        days.begin()


def test_nothing_is_told_where_nothing_is_wrong(days):
    assert days.day(0, mx="done", caa="skipped", dns="waiting") == []
    assert days.looks == 1


def test_what_is_mended_and_what_grows_worse_is_told(days):
    days.day(0, mx="failed", cert="to_do")
    told = days.day(1, mx="done", cert="failed")
    assert told.index("Failed") < told.index("* cert: seen") < told.index("Mended") < told.index("* mx: seen")
    told = days.day(2, mx="failed", cert="failed")
    assert "* mx: seen" in told and "Told before, and still as it was: cert" in told


def test_what_is_there_for_a_moment_is_not_told(days):
    assert days.day(0, second={"mx": "done"}, mx="failed") == []
    assert days.day(1, second={"mx": "failed", "spf": "failed"}, mx="failed")[4:5] == ["* mx: seen"]
    assert days.day(2, second={"mx": "failed"}, mx="to_do") == []


def test_what_could_not_be_known_is_as_it_was(days):
    days.day(0, mx="failed")
    assert days.day(1, mx="skipped") == []
    assert days.day(2, mx="failed") == []


def test_what_is_looked_at_no_more_is_told_once(days):
    days.day(0, mx="failed")
    told = days.day(1)
    assert "Not looked at any more" in told and "* mx" in told
    assert days.day(2) == []
    assert "* mx: seen" in days.day(3, mx="failed")


def test_a_check_that_came_to_no_end_says_nothing_of_its_things(days):
    def told(number, **states):
        return days.day(number, **states)

    one, other = {"mx:a": "failed", "mx:b": "failed"}, {"mx:b": "failed"}
    assert {"* mx:a: seen", "* mx:b: seen"} <= set(told(0, **one))
    assert "* mx: seen" in told(1, mx="failed") and told(2, mx="failed") == []  # nothing is known of mx:a
    mended = told(3, **one)
    assert "Mended" in mended and "* mx" in mended and "* mx:a: seen" not in mended
    assert "Not looked at any more" in told(4, **other)
    assert told(5, mx="skipped") == [] and told(6, **other) == []


def test_what_changes_again_and_again_is_told_to_do_so_and_left_alone_until_it_stays(days):
    told = [days.day(number, mx="failed" if number % 2 == 0 else "done") for number in range(10)]
    assert [bool(lines) for lines in told] == [True] * 4 + [False] * 6
    assert any("again and again" in line for line in told[3]) and not any("again and again" in one for one in told[2])
    assert [bool(days.day(number, mx="failed")) for number in (10, 11, 12)] == [False] * 3
    told = days.day(13, mx="failed")
    assert "* mx: seen" in told and not any("again and again" in one for one in told)
    assert days.day(14, mx="failed") == []
    assert "Mended" in days.day(15, mx="done")  # it counts anew


def test_a_crash_after_sending_sends_the_same_message(days):
    days.crash_after_sending = True
    with pytest.raises(KeyboardInterrupt):
        days.day(0, mx="failed")
    days.crash_after_sending = False
    days.begin()
    days.at(12)
    assert len(days.sent) == 2 and days.sent[0] == days.sent[1]  # the same envelope: the queue makes one message of it
    days.at(13)
    assert len(days.sent) == 2


def test_what_cannot_be_sent_is_sent_later_with_what_has_come_meanwhile(days):
    events = []
    globalLogPublisher.addObserver(events.append)
    try:
        days.fails = StoreUnavailable("no")
        days.day(0, mx="failed")
        days.day(1, mx="failed", spf="failed")
        days.at(24 + 12)
        assert (
            len([one for one in events if one.get("event") == "doctor.untold"]) == 2
        )  # each once, not every few minutes
    finally:
        globalLogPublisher.removeObserver(events.append)
    days.fails = None
    days.at(24 + 13)
    ((_, _, _, lines),) = days.sent
    assert "* mx: seen" in lines and "* spf: seen" in lines


def test_on_a_full_disk_nothing_is_looked_at_and_the_log_says_so_once(days):
    events = []
    globalLogPublisher.addObserver(events.append)

    async def full(content):
        raise OSError(28, "No space left on device")

    days.write, write = full, days.write
    try:
        for hour in (6, 6.1, 6.2):
            days.at(hour)
    finally:
        globalLogPublisher.removeObserver(events.append)
    (told,) = [one["fields"]["reason"] for one in events if one.get("event") == "doctor.untold"]
    assert "No space left" in told and days.looks == 0
    days.write = write
    assert "* mx: seen" in days.day(0, mx="failed")


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"day": 1}', b"\xff", b'{"items": {"a": 3}}'])
def test_a_damaged_memory_is_none(days, content):
    days.kept = content
    assert "* mx: seen" in days.day(0, mx="failed")


def test_the_memory_is_read_as_it_was_written(days):
    days.fails = StoreUnavailable()
    days.day(0, mx="failed", spf="to_do")
    memory = from_octets(days.kept)
    assert memory.unsent is not None and from_octets(as_octets(memory)) == memory
    assert from_octets(b"") == DoctorMemory()


def test_lines_are_short_enough_for_mail(days):
    async def look():
        return [item("mx", "failed", "ü" * 2000, "x" * 2000)]

    days.look = look
    days.begin()
    told = days.day(0)
    assert max(len(line.encode()) for line in told) == MAX_LINE
