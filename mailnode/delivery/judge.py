"""Between policies and acceptance: what the verdicts on a message come to for each of its recipients.

It is asked outside of any transaction, before anything is stored, and yields data; ``delivery.plans`` makes copies of it.
Whatever goes wrong here loses no mail: a redirect that cannot be followed leaves the recipient its own copy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from twisted.logger import Logger
from zope.interface import implementer

from mailnode.delivery.circles import visited
from mailnode.errors import DomainError, StoreUnavailable
from mailnode.interfaces.delivery import IForwarding, IJudge, IRouter
from mailnode.values.address import Address, parse_address
from mailnode.values.directory import Resolved
from mailnode.values.envelope import MAYBE_FORGED, Envelope
from mailnode.values.events import emit
from mailnode.values.plan import AS_IT_IS, Judgement, RecipientPlan

MAX_REDIRECTS = 5  # of one recipient; more are passed over

_log = Logger()


@implementer(IJudge)
class Judge:
    """Yields one plan a recipient."""

    def __init__(self, router: IRouter, forwarding: IForwarding | None = None) -> None:
        """:param router: finds where redirects lead. :param forwarding: rewrites reverse-paths; None: they stay."""
        self._router = router
        self._forwarding = forwarding

    async def judge(
        self,
        envelope: Envelope,
        routes: Mapping[Address, Resolved],
        common: RecipientPlan,
        own: Mapping[Address, RecipientPlan],
        header: bytes = b"",
    ) -> Judgement:
        """See :class:`IJudge`."""
        recipients = tuple([recipient.address for recipient in envelope.recipients])
        if common is AS_IT_IS and not own:  # as nearly always
            judgement = Judgement(recipients, routes)
        else:
            judgement = await self._planned(envelope, recipients, routes, common, own)
        return await self._led_on(judgement, envelope, header) if judgement.forwarded else judgement

    async def _planned(
        self,
        envelope: Envelope,
        recipients: tuple[Address, ...],
        routes: Mapping[Address, Resolved],
        common: RecipientPlan,
        own: Mapping[Address, RecipientPlan],
    ) -> Judgement:
        """Return a judgement with what verdicts want to become of each recipient's copies."""
        found = dict(routes)
        plans: dict[Address, RecipientPlan] = {}
        for address in recipients:
            plan = await self._with_routes(common.then(own.get(address, AS_IT_IS)), envelope, address, found)
            plans[address] = plan
            if plan.discard and not plan.redirects:
                emit(_log, "message.discarded", envelope=envelope.id, recipient=address)
        return Judgement(recipients, found, plans)

    async def _led_on(self, judgement: Judgement, envelope: Envelope, header: bytes) -> Judgement:
        """Return a judgement with what there is to say of copies that go to other servers for a recipient of ours."""
        # Who logs in and sends a message once more is no server that sends it round.
        been_at = visited(header) if not envelope.origin.account_id else frozenset()
        circles = frozenset(one for one in judgement.forwarded if one.domain and one.key in been_at)
        senders: dict[Address, Address] = {}
        if envelope.reverse_path is not None:
            senders = await self._senders(judgement, envelope, envelope.reverse_path, circles)
        return judgement._replace(senders=senders, circles=circles)

    async def _senders(
        self, judgement: Judgement, envelope: Envelope, sender: Address, circles: frozenset[Address]
    ) -> dict[Address, Address]:
        """Return the reverse-paths of what goes to other servers for a recipient of ours, where they are not the sender's."""
        senders = {}
        for recipient in judgement.forwarded:
            if recipient in circles:
                continue
            owner = judgement.routes[recipient].owner
            changed = parse_address(owner) if owner else sender
            if not owner and self._forwarding is not None:
                changed = await self._forwarding.rewritten(sender, recipient, envelope.notices == MAYBE_FORGED)
            if changed != sender:
                senders[recipient] = changed
                emit(
                    _log,
                    "message.forwarded",
                    envelope=envelope.id,
                    recipient=recipient,
                    sender=sender,
                    rewritten=changed,
                )
        return senders

    async def _with_routes(
        self, plan: RecipientPlan, envelope: Envelope, recipient: Address, routes: dict[Address, Resolved]
    ) -> RecipientPlan:
        """Return a plan with those redirects that lead somewhere; where they do goes into ``routes``.

        :raises StoreUnavailable: nobody can say.
        """
        leading = []
        for redirect in plan.redirects[:MAX_REDIRECTS]:
            try:
                if redirect not in routes:
                    routes[redirect] = await self._router.resolve(redirect, relay=True)
                if routes[redirect].local or routes[redirect].remote:
                    leading.append(redirect)
                    continue
                reason = routes[redirect].refusal or "leads nowhere"
            except StoreUnavailable:
                raise
            except DomainError as error:
                reason = f"{type(error).__name__}: {error}"
            emit(
                _log,
                "message.not_redirected",
                warning=True,
                envelope=envelope.id,
                recipient=recipient,
                target=redirect,
                reason=reason,
            )
        if len(leading) == len(plan.redirects):
            return plan
        return replace(plan, redirects=tuple(leading), discard=False)
