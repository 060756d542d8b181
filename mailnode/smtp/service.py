"""What all sessions of one listener share: collaborators, limits, and which networks have which right."""

from __future__ import annotations

from dataclasses import dataclass

from mailnode.interfaces.delivery import (
    IBinaryMail,
    IDelivery,
    IJudge,
    IMessageReader,
    IRejects,
    IRouter,
    ISealer,
    ISigner,
)
from mailnode.interfaces.policy import IPolicyChain
from mailnode.interfaces.runtime import IClock
from mailnode.interfaces.sending import ISending
from mailnode.interfaces.sessions import ILogins
from mailnode.interfaces.sieve import IFiltering
from mailnode.smtp.strangers import UNBOUNDED, Rates, Strangers
from mailnode.smtp.wire.limits import DEFAULT_LIMITS, DEFAULT_TIMEOUTS, Limits, Timeouts
from mailnode.values.networks import Networks


@dataclass(frozen=True, slots=True)
class Service:
    """Collaborators and settings. Each network list gives one right and no other."""

    hostname: str
    router: IRouter
    delivery: IDelivery
    policies: IPolicyChain
    judge: IJudge
    clock: IClock
    logins: ILogins | None = None  # submission only
    limits: Limits = DEFAULT_LIMITS
    timeouts: Timeouts = DEFAULT_TIMEOUTS
    relay_from: Networks = ()
    no_policy_for: Networks = ()
    timers: IClock | None = None
    sending: ISending | None = None  # submission only; None: accounts may send everything
    signer: ISigner | None = None  # submission only; None: nothing is signed
    sealer: ISealer | None = None  # of mail from outside; None: nothing is sealed
    reader: IMessageReader | None = None  # None: each message is read by whoever asks, in this process
    filtering: IFiltering | None = None  # None: no scripts are run
    rejects: IRejects | None = None  # None: nobody sees what was refused to them
    binary: IBinaryMail | None = None  # None: what is in binary is refused
    highest_priority: int = 0  # that accounts may ask for; submission only
    strangers: Strangers | None = None  # None: of strangers nothing is remembered
    rates: Rates = UNBOUNDED  # of strangers
    spokesmen: Networks = ()  # balancers and relays that say for whom they speak, and are no strangers themselves
    greet_pause: float = 0.0  # seconds that strangers wait for the greeting whose mail was not taken lately

    @property
    def steady(self) -> IClock:
        """What durations are measured with: ``timers`` where ``clock`` may step."""
        return self.timers or self.clock
