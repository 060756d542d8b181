"""What accounts may send: whom they are not let write to, and what bounces count."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from mailnode.delivery.sending import Sending
from mailnode.errors import Refused, StoreUnavailable
from mailnode.interfaces.sending import ISending
from mailnode.net.no_reactor import run_now
from mailnode.store.engines.sqlite import SqliteEngine
from mailnode.store.facades.suppressions import Suppressions
from mailnode.values.sending import DAY, SendingSettings

NOW = 1_800_000_000.0
GONE = "550 5.1.1 <bob@b.example>: no such user"


class Office:
    """One object that counts, on a store in memory."""

    def __init__(self, **settings: Any) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.engine = SqliteEngine(None, 1)
        run_now(self.engine.start())
        self.settings = SendingSettings(**{"suppress_after": 2, "suppress_for": 7 * DAY, **settings})
        self.suppressions = Suppressions(self.engine)
        self.sending = Sending(self.suppressions, self.clock, lambda: self.settings)

    def bounce(self, recipient: str = "Bob@B.example", status: str = "5.1.1", reply: str = GONE) -> None:
        run_now(self.sending.bounced("ann", recipient, status, reply))

    def refusal(self, recipient: str = "bob@b.example") -> str:
        try:
            run_now(self.sending.admit("ann", recipient))
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
    office.settings = SendingSettings(suppress_after=0, suppress_for=7 * DAY)
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
