"""What accounts send: the limits on it, what was counted, and whom an account is not let send to."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

HOUR, DAY = 3600.0, 86_400.0  # seconds


@dataclass(frozen=True, slots=True)
class SendingLimits:
    """What an account may send; 0 is no limit. ``strangers``: recipients it has never sent to."""

    recipients: int  # an hour
    messages: int  # an hour
    strangers: int  # a day


@dataclass(frozen=True, slots=True)
class OwnLimits:
    """What an operator said of one account alone; None: what holds for all."""

    recipients: int | None = None
    messages: int | None = None
    strangers: int | None = None

    def over(self, usual: SendingLimits) -> SendingLimits:
        """Return the limits that hold for the account."""
        return SendingLimits(
            usual.recipients if self.recipients is None else self.recipients,
            usual.messages if self.messages is None else self.messages,
            usual.strangers if self.strangers is None else self.strangers,
        )


@dataclass(frozen=True, slots=True)
class SendingSettings:
    """What holds for all accounts."""

    limits: SendingLimits
    loud: int  # recipients in an hour below which no account is loud; 0: none ever is
    hold_loud: bool
    suppress_after: int  # bounces; 0: nobody is suppressed for them
    suppress_for: float  # seconds


@dataclass(frozen=True, slots=True)
class Counted:
    """Of what was counted for an account, a part."""

    messages: int = 0
    recipients: int = 0
    strangers: int = 0

    def plus(self, other: Counted) -> Counted:
        """Return both together."""
        return Counted(
            self.messages + other.messages, self.recipients + other.recipients, self.strangers + other.strangers
        )

    def negative(self) -> Counted:
        """Return what takes it back."""
        return Counted(-self.messages, -self.recipients, -self.strangers)


NOTHING = Counted()


@dataclass(frozen=True, slots=True)
class Standing:
    """What an account sent of late."""

    hour: Counted  # this one, of the clock
    before: Counted  # the hour before
    day: Counted  # 24 hours, this one included
    busiest: int  # recipients in the busiest hour of 14 days before this one
    loud_since: float = 0.0  # UTC seconds; 0.0: it never was
    held: bool = False  # because it was loud, until an operator says otherwise

    def within_hour(self, now: float) -> Counted:
        """Return what was sent within an hour: of the hour before, the share that is not past. :param now: UTC seconds."""
        share = 1.0 - now % HOUR / HOUR
        return Counted(
            self.hour.messages + ceil(self.before.messages * share),
            self.hour.recipients + ceil(self.before.recipients * share),
        )


@dataclass(frozen=True, slots=True)
class Admitted:
    """A recipient that an account may send to. ``held``: the message is to wait for an operator."""

    counted: Counted
    held: bool = False


@dataclass(frozen=True, slots=True)
class Loud:
    """An account sends unusually much: to so many recipients in this hour, and to ``busiest`` in the busiest of 14 days."""

    account_id: str
    recipients: int
    busiest: int
    held: bool  # its mail waits from now on


@dataclass(frozen=True, slots=True)
class FailedRecipient:
    """What a notice of another server says of a recipient that mail failed for, for good."""

    recipient: str  # an address, as it stands there
    status: str  # RFC 3463, 5.x.x
    reply: str


@dataclass(frozen=True, slots=True)
class Suppression:
    """A recipient that bounced for an account, or that an operator suppressed (then there are no bounces).

    Times are UTC seconds. It is refused before ``refused_until``; 0.0: it is only remembered.
    """

    recipient: str  # the address' key
    bounces: int
    bounced_at: float
    refused_until: float
    status: str = ""
    reply: str = ""  # of the last bounce
