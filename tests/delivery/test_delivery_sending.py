"""What accounts may send: whom they are not let write to, and what bounces count."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.task import Clock
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mailnode.delivery.sending import Sending
from mailnode.errors import Refused, StoreUnavailable
from mailnode.interfaces.sending import IAlarm, ISending
from mailnode.net.no_reactor import run_now
from mailnode.store.engines.engine import QUEUE, Transaction
from mailnode.store.engines.sqlite import SqliteEngine
from mailnode.store.facades.directory import Directory
from mailnode.store.facades.sent_counts import SentCounts
from mailnode.store.facades.suppressions import Suppressions
from mailnode.values.sending import (
    DAY,
    HOUR,
    NOTHING,
    Admitted,
    Counted,
    FailedRecipient,
    Loud,
    OwnLimits,
    SendingLimits,
    SendingSettings,
)

NOW = 1_800_000_000.0
GONE = "550 5.1.1 <bob@b.example>: no such user"


@implementer(IAlarm)
class Bell:
    """Remembers who rang."""

    def __init__(self) -> None:
        self.held: list[str] = []
        self.told: list[Loud] = []

    async def hold(self, account_id: str) -> None:
        self.held.append(account_id)

    async def tell(self, loud: Loud) -> None:
        self.told.append(loud)


class Office:
    """One object that counts, on a store in memory."""

    def __init__(self, **settings: Any) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.engine = SqliteEngine(None, 1)
        run_now(self.engine.start())
        self.settings = replace(SendingSettings(SendingLimits(0, 0, 0), 0, False, 2, 7 * DAY), **settings)
        self.suppressions = Suppressions(self.engine)
        self.counts = SentCounts(self.engine, self.clock)
        self.directory = Directory(self.engine)
        self.alarm = Bell()
        self.sending = Sending(
            self.suppressions, self.counts, self.directory, self.clock, lambda: self.settings, self.alarm
        )

    def bounce(self, recipient: str = "Bob@B.example", status: str = "5.1.1", reply: str = GONE) -> None:
        run_now(self.sending.bounced("ann", recipient, status, reply))

    def refusal(self, recipient: str = "bob@b.example", first: bool = True) -> str:
        try:
            run_now(self.sending.admit("ann", recipient, first))
        except Refused as refused:
            return f"{refused.status} {refused.text}"
        return ""


def test_a_bounced_recipient_is_refused_with_the_reason_the_date_and_the_way_out() -> None:
    office = Office()
    verifyObject(ISending, office.sending)
    office.bounce()
    assert office.refusal() == ""
    office.bounce()
    assert office.refusal() == (
        "5.1.1 Mail from you to this address is refused until 2027-01-22, because its server said on 2027-01-15: "
        f"{GONE} -- your administrator can lift this before (mailnode suppression lift)"
    )
    assert office.refusal("alice@b.example") == ""
    office.clock.advance(7 * DAY)
    assert office.refusal() == ""


@pytest.mark.parametrize(("status", "counts"), [("5.2.1", 1), ("5.1.10", 1), ("5.7.1", 0), ("5.0.0", 0), ("4.1.1", 0)])
def test_what_policies_refuse_does_not_count(status: str, counts: int) -> None:
    office = Office(suppress_after=1)
    office.bounce(status=status)
    assert bool(office.refusal()) == bool(counts)


def test_a_setting_turns_it_off() -> None:
    office = Office(suppress_after=1)
    office.bounce()
    assert office.refusal()
    office.settings = replace(office.settings, suppress_after=0)
    assert not office.refusal()
    office.bounce("eve@b.example")
    assert [one.recipient for one in run_now(office.suppressions.listed("ann"))] == ["bob@b.example"]


def test_a_servers_words_stay_one_line_of_bounded_length() -> None:
    office = Office(suppress_after=1)
    office.bounce(reply="550 no\r\n250 yes " + "x" * 1000)
    said = office.refusal()
    assert said.isprintable() and len(said) < 450 and said.endswith("(mailnode suppression lift)")


def test_who_is_suppressed_by_hand_is_told_so() -> None:
    office = Office()
    run_now(office.suppressions.suppress("ann", "bob@b.example", NOW, NOW + DAY))
    assert office.refusal().endswith("until 2027-01-16, as an administrator wants it")


def test_mail_goes_on_when_the_store_cannot_say(monkeypatch: Any) -> None:
    office = Office(suppress_after=1)
    office.bounce()

    async def fails(*args: Any) -> Any:
        raise StoreUnavailable

    monkeypatch.setattr(office.engine, "read", fails)
    monkeypatch.setattr(office.engine, "write", fails)
    assert office.refusal() == ""
    office.bounce("eve@b.example")


# Limits


def test_recipients_within_an_hour_are_limited_and_time_makes_room() -> None:
    office = Office(limits=SendingLimits(4, 0, 0))
    office.clock.advance(HOUR - NOW % HOUR)  # the hours of the clock are those of the counts
    assert [office.refusal(first=False) for _ in range(4)] == [""] * 4
    assert office.refusal() == "4.7.1 This account may send to 4 recipients within an hour, and did: try again later"
    office.clock.advance(HOUR)
    assert office.refusal()
    office.clock.advance(HOUR / 2)
    assert [bool(office.refusal()) for _ in range(3)] == [False, False, True]
    office.clock.advance(2 * HOUR)
    assert [bool(office.refusal()) for _ in range(5)] == [False] * 4 + [True]


def test_messages_within_an_hour_are_limited() -> None:
    office = Office(limits=SendingLimits(0, 2, 0))
    assert not office.refusal() and not office.refusal(first=False) and not office.refusal()
    assert office.refusal().startswith("4.7.1 This account may send 2 messages within an hour")
    assert not office.refusal(first=False)


def test_strangers_within_a_day_are_limited_and_become_known_when_the_message_is_taken() -> None:
    office = Office(limits=SendingLimits(0, 0, 2))
    assert run_now(office.sending.admit("ann", "a@b.example", True)) == Admitted(Counted(1, 1, 1))
    assert run_now(office.sending.admit("ann", "a@b.example", False)) == Admitted(Counted(0, 1, 1))
    assert office.refusal("c@b.example").startswith(
        "4.7.1 This account may send to 2 recipients within a day that it never"
    )
    office.sending.sent("ann", ["a@b.example"])
    assert run_now(office.sending.admit("ann", "a@b.example", True)) == Admitted(Counted(1, 1, 0))
    assert run_now(office.sending.admit("eve", "a@b.example", True)) == Admitted(Counted(1, 1, 1))
    office.clock.advance(DAY)
    assert not office.refusal("c@b.example")


def test_what_was_not_taken_is_given_back() -> None:
    office = Office(limits=SendingLimits(1, 1, 1))
    counted = run_now(office.sending.admit("ann", "a@b.example", True)).counted
    assert office.refusal("b@b.example")
    office.sending.give_back("ann", counted)
    assert not office.refusal("b@b.example")


def test_an_account_may_have_limits_of_its_own(monkeypatch: Any) -> None:
    office = Office(limits=SendingLimits(1, 0, 1))

    async def own(account_id: str) -> OwnLimits:
        return OwnLimits(recipients=3, strangers=0) if account_id == "ann" else OwnLimits()

    monkeypatch.setattr(office.directory, "sending_limits", own)
    assert [bool(office.refusal(f"{n}@b.example")) for n in range(4)] == [False] * 3 + [True]
    assert run_now(office.sending.limits("eve")) == SendingLimits(1, 0, 1)


def test_a_store_that_cannot_say_limits_nobody_by_what_it_has(monkeypatch: Any) -> None:
    office = Office(limits=SendingLimits(2, 0, 1))

    async def fails(*args: Any) -> Any:
        raise StoreUnavailable

    monkeypatch.setattr(office.engine, "read", fails)
    assert [bool(office.refusal(f"{n}@b.example")) for n in range(3)] == [False, False, True]


def test_counts_outlive_the_server() -> None:
    office = Office(limits=SendingLimits(2, 0, 1))
    run_now(office.sending.admit("ann", "a@b.example", True))
    office.sending.sent("ann", ["a@b.example"])
    run_now(office.counts.stop())
    again = Sending(
        office.suppressions,
        SentCounts(office.engine, office.clock),
        office.directory,
        office.clock,
        lambda: office.settings,
    )
    assert run_now(again.admit("ann", "a@b.example", True)) == Admitted(Counted(1, 1, 0))
    with pytest.raises(Refused):
        run_now(again.admit("ann", "a@b.example", True))
    assert NOTHING.plus(Counted(1, 2, 3)).negative() == Counted(-1, -2, -3)


# Suddenly loud


def test_an_account_that_is_suddenly_loud_is_told_of_once_a_day() -> None:
    office = Office(loud=10)
    verifyObject(IAlarm, office.alarm)
    for _ in range(12):
        office.refusal()
    assert office.alarm.told == [Loud("ann", 10, 0, False)]
    office.clock.advance(DAY)
    for _ in range(100):  # its busiest hour had 12
        assert not run_now(office.sending.admit("ann", "bob@b.example", False)).held
    assert office.alarm.told[1:] == [Loud("ann", 61, 12, False)]
    assert office.alarm.held == []


def test_what_is_usual_for_an_account_is_not_loud() -> None:
    office = Office(loud=10)
    office.counts.count("ann", Counted(1, 20, 0), NOW - HOUR)
    for _ in range(100):
        office.refusal()
    assert office.alarm.told == []
    office.settings = replace(office.settings, loud=0)
    for _ in range(100):
        office.refusal()
    assert office.alarm.told == []


def test_mail_of_the_loud_is_held_until_somebody_lets_it_go() -> None:
    office = Office(loud=2, hold_loud=True)
    held = [run_now(office.sending.admit("ann", "bob@b.example", True)).held for _ in range(3)]
    assert held == [False, True, True]
    assert (office.alarm.held, office.alarm.told) == (["ann"], [Loud("ann", 2, 0, True)])
    assert not run_now(office.sending.admit("eve", "bob@b.example", True)).held
    office.settings = replace(office.settings, hold_loud=False)
    assert run_now(office.sending.admit("ann", "bob@b.example", True)).held
    run_now(office.counts.set_loud("ann", office.clock.seconds(), False))
    assert not run_now(office.sending.admit("ann", "bob@b.example", True)).held
    assert len(office.alarm.told) == 1


def sent(office: Office, envelope_id: str = "e1", account: str = "ann", address: str = "Bob@b.example") -> None:
    """Have it known that mail was sent, and taken by its server."""

    def note(tx: Transaction) -> None:
        tx.execute(
            "INSERT INTO past (shard, envelope_id, number, ended_at, state, reverse_path, created, size, address, destination,"
            " last_status, last_reply, last_host, last_address, last_tls, earlier, account_id)"
            " VALUES (0, ?, 0, 0, 'delivered', 'ann@a.example', 0, 1, ?, 'b.example', '', '', '', '', '', '', ?)",
            (envelope_id, address, account),
        )

    run_now(office.engine.write(QUEUE, note))


def come_back(
    office: Office,
    *ids: str,
    accounts: tuple[str, ...] = ("ann",),
    recipient: str = "bob@B.example",
    status: str = "5.1.1",
) -> None:
    run_now(office.sending.returned(accounts, ids, [FailedRecipient(recipient, status, "smtp; 550 gone")]))


def bounces(office: Office) -> dict[str, int]:
    return {one.recipient: one.bounces for one in run_now(office.suppressions.listed("ann"))}


def test_notices_about_two_mails_that_were_sent_suppress() -> None:
    office = Office()
    sent(office, "e1")
    sent(office, "e2")
    come_back(office, "none", "e1")
    assert bounces(office) == {"bob@b.example": 1} and not office.refusal()
    come_back(office, "e2")
    assert "550 gone" in office.refusal()


def test_a_notice_counts_once() -> None:
    office = Office()
    sent(office)
    for _ in range(3):
        come_back(office, "e1")
    assert bounces(office) == {"bob@b.example": 1}


@pytest.mark.parametrize(
    "forged",
    [
        {"ids": ()},
        {"ids": ("e2",)},
        {"recipient": "eve@b.example"},
        {"recipient": "not an address"},
        {"accounts": ("eve",)},
        {"status": "5.7.1"},
        {"status": "5.0.0"},
    ],
)
def test_what_was_not_sent_so_suppresses_nothing(forged: dict[str, Any]) -> None:
    office = Office(suppress_after=1)
    sent(office)
    come_back(office, *forged.pop("ids", ("e1",)), **forged)
    assert bounces(office) == {} and not office.refusal()


def test_what_was_forwarded_was_sent_by_nobody() -> None:
    office = Office(suppress_after=1)
    sent(office, account="")
    come_back(office, "e1")
    assert bounces(office) == {}


def test_notices_count_for_nothing_where_bounces_do() -> None:
    office = Office(suppress_after=0)
    sent(office)
    come_back(office, "e1")
    assert bounces(office) == {}
