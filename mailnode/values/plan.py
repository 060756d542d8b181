"""What is to become of a message for each of its recipients: decided before it is stored, as data, and then carried out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from mailnode.values.address import Address
from mailnode.values.directory import Resolved
from mailnode.values.mailbox import CopyPlace


@dataclass(frozen=True, slots=True)
class RecipientPlan:
    """What becomes of one recipient's copies. As it is made without arguments, nothing out of the ordinary.

    ``mailbox``: full name, "" the INBOX, which is also taken when there is no such mailbox. ``special_use``: in the place of a
    name, an attribute of RFC 6154, such as "\\Junk": the account's mailbox for that, whatever it is called. ``flags``: system bits.
    ``redirects``: addresses that get a copy too. ``discard``: no copy but those of ``redirects``, and nobody is told.
    ``prefix``: whole header fields, each with CRLF, on top of this recipient's copies.
    """

    mailbox: str = ""
    flags: int = 0
    keywords: tuple[str, ...] = ()
    redirects: tuple[Address, ...] = ()
    discard: bool = False
    prefix: bytes = b""
    special_use: str = ""

    def then(self, later: RecipientPlan) -> RecipientPlan:
        """Return both: the later one has the say where only one can."""
        if later is AS_IT_IS or later == AS_IT_IS:  # nearly always it is the very same
            return self
        if self is AS_IT_IS:
            return later
        placing = later if later.mailbox or later.special_use else self
        return RecipientPlan(
            placing.mailbox,
            self.flags | later.flags,
            tuple(dict.fromkeys(self.keywords + later.keywords)),
            tuple(dict.fromkeys(self.redirects + later.redirects)),
            self.discard or later.discard,
            self.prefix + later.prefix,
            placing.special_use,
        )


AS_IT_IS = RecipientPlan()
JUNK = "\\Junk"  # the special use


class Judgement(NamedTuple):
    """``routes``: where each recipient and each redirect leads. ``plans``: by recipient; without one: :data:`AS_IT_IS`.
    ``senders``: by recipient, the reverse-path of copies for other servers; without one: as it came. ``seals``: by recipient,
    whole header fields on top of such copies, above all others but the one that says for whom they are. ``circles``: recipients
    whose copies for other servers go no further, because they would come back here. ``accounts``: by account here, where its
    scripts file its copy, () for nowhere; without one: as the plan says."""

    recipients: tuple[Address, ...]
    routes: Mapping[Address, Resolved]
    plans: Mapping[Address, RecipientPlan] = MappingProxyType({})
    senders: Mapping[Address, Address] = MappingProxyType({})
    seals: Mapping[Address, bytes] = MappingProxyType({})
    circles: frozenset[Address] = frozenset()
    accounts: Mapping[str, tuple[CopyPlace, ...]] = MappingProxyType({})

    def plan(self, recipient: Address) -> RecipientPlan:
        """Return a recipient's plan."""
        return self.plans.get(recipient, AS_IT_IS)

    @property
    def is_kept(self) -> bool:
        """Whether anybody gets a copy."""
        if not self.plans and not self.accounts:  # nearly always
            return bool(self.recipients)
        for recipient in self.recipients:
            for route, _ in self.reached(recipient):
                if route.remote or self._is_filed(route):
                    return True
        return False

    @property
    def is_for_mailboxes(self) -> bool:
        """Whether a copy goes into a mailbox here; else it is for other servers alone."""
        if not self.plans and not self.accounts:
            return any(self.routes[recipient].local for recipient in self.recipients)
        return any(self._is_filed(route) for recipient in self.recipients for route, _ in self.reached(recipient))

    def _is_filed(self, route: Resolved) -> bool:
        """Whether an account of a route gets a copy."""
        return any(self.accounts.get(account_id) != () for account_id, _ in route.local)

    @property
    def forwarded(self) -> tuple[Address, ...]:
        """The recipients that lead to other servers' addresses, not being one themselves."""
        for route in self.routes.values():
            if route.remote:
                break
        else:  # nearly always
            return ()
        return tuple(one for one in self.recipients if any(_leads_on(route, one) for route, _ in self.reached(one)))

    @property
    def is_circle(self) -> bool:
        """Whether a message goes no further for anybody, and into no mailbox here."""
        return bool(self.circles) and self.circles.issuperset(self.recipients) and not self.is_for_mailboxes

    def reached(self, recipient: Address) -> Iterator[tuple[Resolved, RecipientPlan]]:
        """Yield where copies of a recipient go, and what is to become of them there."""
        yield from self.own(recipient)
        yield from self.redirected(recipient)

    def own(self, recipient: Address) -> Iterator[tuple[Resolved, RecipientPlan]]:
        """Yield where a recipient's own copies go, if there are any."""
        plan = self.plans.get(recipient, AS_IT_IS) if self.plans else AS_IT_IS
        if not plan.discard:
            yield self.routes[recipient], plan

    def redirected(self, recipient: Address) -> Iterator[tuple[Resolved, RecipientPlan]]:
        """Yield where redirects lead: who they lead to has mailboxes of their own."""
        plan = self.plan(recipient)
        for redirect in plan.redirects:
            yield self.routes[redirect], RecipientPlan(prefix=plan.prefix)


def _leads_on(route: Resolved, recipient: Address) -> bool:
    return bool(route.remote) and route.remote != (str(recipient),)
