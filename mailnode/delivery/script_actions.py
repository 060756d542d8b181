"""From what a script wants done to what is carried out: places for copies here, and envelopes for everything else.

Nothing is stored or sent here. What cannot be done leaves the message to its account: a redirect that leads nowhere, or back, is
a keep.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from zope.interface import Interface, implementer

from mailnode.delivery.judge import MAX_REDIRECTS
from mailnode.delivery.sieve_mail import (
    FilteredMail,
    NewMail,
    answer_key,
    failure_mail,
    notification_mail,
    notification_sender,
    redirect_field,
    refusal_mail,
    refusal_reply,
    senders,
    unrefusable,
    vacation_mail,
    was_redirected,
)
from mailnode.delivery.whole_message import with_changes
from mailnode.errors import DomainError, StoreUnavailable
from mailnode.interfaces.accounts import IDirectory
from mailnode.interfaces.delivery import IJudge, IRouter, ISealer, ISigner
from mailnode.interfaces.log import EventLog
from mailnode.interfaces.runtime import IClock, IThreads
from mailnode.interfaces.store import IQueueStore
from mailnode.message.compose import message_id
from mailnode.message.headers import header_end
from mailnode.sieve.actions import (
    EditedContent,
    FiledCopy,
    FileMessage,
    KeepMessage,
    NotifySomebody,
    RedirectMessage,
    RejectMessage,
    RememberDuplicate,
    SieveAction,
    VacationReply,
)
from mailnode.sieve.sequence import FailedScript, SequenceOutcome
from mailnode.values.address import Address, parse_address
from mailnode.values.directory import Resolved
from mailnode.values.envelope import ALL_NOTICES, MAYBE_FORGED, Envelope, MailOptions, Origin, RcptOptions, Recipient
from mailnode.values.events import emit
from mailnode.values.filtered import ScriptMail
from mailnode.values.flags import split_flags
from mailnode.values.ids import new_id
from mailnode.values.mailbox import CopyPlace
from mailnode.values.object_ids import MAILBOX, number_of
from mailnode.values.plan import AS_IT_IS, JUNK, Judgement, RecipientPlan
from mailnode.values.remembered import ANSWERED, SEEN, TOLD, ScriptMemory, key_of
from mailnode.values.smtp_reply import Reply

MAX_RETURNED = 64 * 1024  # octets of a message up to which a refusal returns it whole
TOLD_SECONDS = 366 * 86_400.0  # for which a script's owner is not told again that it fails

_log = EventLog()
_KEPT = KeepMessage | FileMessage


@dataclass(frozen=True, slots=True)
class AccountMail:
    """A message at one account. ``plan``: what policies want of the copy. ``message``: as scripts see it, with what stands on top;
    ``stored``: without. ``content``: as a :class:`ScriptMail` has it. ``through``: the accounts whose scripts sent it there."""

    account_id: str
    came_for: str
    address: Address  # the same, or the recipient where that is none
    recipient: Recipient
    plan: RecipientPlan
    envelope: Envelope
    message: bytes
    stored: bytes
    content: bytes | None
    over_quota: bool = False
    through: tuple[str, ...] = ()

    @property
    def header(self) -> bytes:
        """The header block that scripts see."""
        return _header(self.message)

    @property
    def route(self) -> Resolved:
        """That of a copy for the account."""
        return Resolved(True, ((self.account_id, self.came_for),))


@dataclass(slots=True)
class CarriedOut:
    """What is to be done. ``places``: for copies of the message as it came; None: as the plan says."""

    places: tuple[CopyPlace, ...] | None
    mail: list[ScriptMail]
    remembered: list[ScriptMemory]
    refusal: Reply | None = None


class IScriptActions(Interface):
    """What becomes of what scripts want done."""

    async def carried_out(about: AccountMail, outcome: SequenceOutcome, may_refuse: bool) -> CarriedOut:
        """Return what is to be done. :param may_refuse: the recipient alone can be told so in the session.
        :raises StoreUnavailable: nobody can say where something leads."""

    async def failure(about: AccountMail, failed: FailedScript, mailbox: str = "") -> ScriptMail | None:
        """Return what the owner of a script is told when it fails; None: they were told of this version of it.

        :param mailbox: where the message is in already; "": it is on its way. :raises StoreUnavailable: nobody can say."""


@implementer(IScriptActions)
class ScriptActions:
    """Works it out."""

    def __init__(
        self,
        directory: IDirectory,
        router: IRouter,
        judge: IJudge,
        queue: IQueueStore,
        clock: IClock,
        threads: IThreads,
        hostname: str,
        signer: ISigner | None = None,
        sealer: ISealer | None = None,
    ) -> None:
        """:param judge: finds where redirects lead and under which reverse-path. :param queue: remembers.
        :param signer: signs what is written here.
        :param sealer: seals what is sent on."""
        self._directory = directory
        self._router = router
        self._judge = judge
        self._queue = queue
        self._clock = clock
        self._threads = threads
        self._hostname = hostname
        self._signer = signer
        self._sealer = sealer

    async def carried_out(self, about: AccountMail, outcome: SequenceOutcome, may_refuse: bool) -> CarriedOut:
        """See :class:`IScriptActions`."""
        done = CarriedOut(None, [], [])
        actions = list(outcome.actions)
        if not await self._redirect(about, [one for one in actions if isinstance(one, RedirectMessage)], done, actions):
            actions.append(KeepMessage(implicit=True))
        # In the session a message is refused that nobody has.
        in_session = may_refuse and not done.mail and not any(isinstance(one, _KEPT) for one in actions)
        for action in actions:
            if isinstance(action, RejectMessage):
                await self._refuse(about, action, done, in_session)
            elif isinstance(action, VacationReply):
                await self._answer(about, action, done)
            elif isinstance(action, NotifySomebody):
                await self._notify(about, action, done)
            elif isinstance(action, RememberDuplicate):
                key, until = key_of(action.handle, action.id), self._clock.seconds() + action.seconds
                done.remembered.append(ScriptMemory(about.account_id, SEEN, key, until))
        await self._file(about, [one for one in actions if isinstance(one, _KEPT)], done)
        return done

    # copies here

    async def _file(self, about: AccountMail, actions: Sequence[KeepMessage | FileMessage], done: CarriedOut) -> None:
        """Find places for copies; those of a message that a script changed are of another message."""
        by_content: dict[EditedContent | None, list[CopyPlace]] = {}
        for action in actions:
            by_content.setdefault(action.content, []).append(_place(about, action))
        unchanged = by_content.pop(None, [])
        as_ever = len(actions) == 1 and isinstance(actions[0], KeepMessage) and not actions[0].flags
        if not (as_ever and unchanged):
            done.places = tuple(unchanged)
        for content, places in by_content.items():
            route = about.route
            if about.over_quota:
                route = replace(route, over_quota=(about.account_id,))
            address = about.recipient.address
            changed = await with_changes(self._threads, about.message, content)
            envelope = self._of_the_same(about.envelope, about.recipient, changed)
            judgement = Judgement((address,), {address: route}, accounts={about.account_id: tuple(places)})
            done.mail.append(ScriptMail(envelope, judgement, changed))

    # sending on

    async def _redirect(
        self,
        about: AccountMail,
        redirects: Sequence[RedirectMessage],
        done: CarriedOut,
        others: Sequence[SieveAction],
    ) -> bool:
        """Send the message on; False when something of it leads nowhere, and the message is filed nowhere else."""
        if not redirects:
            return True
        filed = any(isinstance(one, _KEPT) for one in others)
        lost = False
        # Who logs in and sends a message once more is no server that sends it round.
        if not about.envelope.origin.account_id and was_redirected(about.header, about.address):
            self._not_done(about, "redirect", "it was sent on from here before")
            return filed
        alike = groupby(redirects, key=lambda one: (one.content, one.notify, one.ret, bool(one.by), one.from_list))
        for (content, notify, ret, timed, from_list), some in alike:
            targets = [parse_address(one.address) for one in some] if not from_list else []
            if from_list:
                self._not_done(about, "redirect", "there is no such list")
                lost = True
            envelope, options = (
                about.envelope,
                about.recipient.options.without_success if filed else about.recipient.options,
            )
            if notify or ret or timed:
                envelope, options = await self._noticed(about, notify, ret)
            for at in range(0, len(targets), MAX_REDIRECTS):
                group = targets[at : at + MAX_REDIRECTS]
                mail, all_lead = await self._sent_on(about, envelope, content, group, options)
                lost = lost or not all_lead
                if mail is not None:
                    done.mail.append(mail)
        return filed or not lost

    async def _noticed(self, about: AccountMail, notify: str, ret: str) -> tuple[Envelope, RcptOptions]:
        """Return the envelope of what is sent on with notices that the script asks for: they come to its owner (RFC 6009 6.1 and
        7.1), and nothing of what the sender asked for goes with it (RFC 3461 5.2.7.1 and 5.2.7.4)."""
        options, asked = about.envelope.options, RcptOptions(frozenset(notify.split(",")) if notify else frozenset())
        if about.envelope.reverse_path is None:
            return replace(about.envelope, options=replace(options, ret=ret or options.ret)), asked
        owner = parse_address((await self._directory.account(about.account_id)).address)
        options = replace(options, ret=ret, envid="")
        return replace(about.envelope, reverse_path=owner, options=options, notices=ALL_NOTICES), asked

    async def _sent_on(
        self,
        about: AccountMail,
        envelope: Envelope,
        content: EditedContent | None,
        targets: Sequence[Address],
        options: RcptOptions,
    ) -> tuple[ScriptMail | None, bool]:
        """Return what goes to addresses, and whether all of them lead somewhere. :param envelope: of what is sent on."""
        changed = await with_changes(self._threads, about.message, content) if content is not None else None
        sent = changed if changed is not None else about.content
        envelope = self._of_the_same(envelope, Recipient(about.address, options), changed)
        plan = RecipientPlan(redirects=tuple(targets), discard=True, prefix=redirect_field(about.address))
        if changed is None:
            plan = replace(plan, prefix=plan.prefix + about.plan.prefix)
        routes = {about.address: about.route}
        judgement = await self._judge.judge(envelope, routes, AS_IT_IS, {about.address: plan}, about.header)
        judgement, all_lead = _elsewhere(judgement, about)
        if about.address in judgement.circles:
            self._not_done(about, "redirect", "it would come back")
            return None, False
        if not judgement.plan(about.address).redirects:
            return None, False
        if self._sealer is not None and judgement.forwarded and not about.envelope.origin.account_id:
            judgement = await self._sealed(envelope, judgement, about.stored if changed is None else changed)
        return ScriptMail(envelope, judgement, sent), all_lead

    async def _sealed(self, envelope: Envelope, judgement: Judgement, message: bytes) -> Judgement:
        assert self._sealer is not None

        async def read(offset: int, length: int) -> bytes:
            return message[offset : offset + length]

        return await self._sealer.sealed(envelope, judgement, _header(message), len(message), read, {})

    # what is written here

    async def _refuse(self, about: AccountMail, action: RejectMessage, done: CarriedOut, in_session: bool) -> None:
        reply = refusal_reply(action) if in_session else None
        if reply is not None:
            done.refusal = reply
            return
        mail = _seen(about)
        why = unrefusable(mail)
        if why or mail.sender is None:
            self._not_done(about, "reject", why)
            return
        original = about.message if len(about.message) <= MAX_RETURNED else None
        envelope_id, new = self._new()
        content = refusal_mail(action, mail, new, original, about.envelope.id)
        if content is not None:
            done.mail += await self._mail(about, "reject", content, None, [str(mail.sender)], envelope_id)

    async def _answer(self, about: AccountMail, action: VacationReply, done: CarriedOut) -> None:
        mail = _seen(about)
        if mail.sender is None or mail.notices == MAYBE_FORGED or about.plan.special_use == JUNK:
            self._not_done(about, "vacation", "it may not be from its sender, or is junk")
            return
        now = self._clock.seconds()
        once = ScriptMemory(about.account_id, ANSWERED, answer_key(action, mail.sender), now + action.period)
        if await self._queue.is_remembered(*once[:3], now):
            return
        envelope_id, new = self._new()
        content = vacation_mail(action, mail, new, await self._may_send(about, action.sender))
        if content is None:
            self._not_done(about, "vacation", "the text is no entity of MIME")
            return
        to, copy = [action.to], action.copy
        done.mail += await self._mail(
            about, "vacation", content, None, to, envelope_id, once=once, copy=copy, quiet=True
        )

    async def _notify(self, about: AccountMail, action: NotifySomebody, done: CarriedOut) -> None:
        mail = _seen(about)
        envelope_id, new = self._new()
        may_send = await self._may_send(about, action.sender)
        owner = parse_address((await self._directory.account(about.account_id)).address)
        content = notification_mail(action, mail, new, owner, may_send)
        sender = notification_sender(action, mail, may_send)
        to, copy = action.recipients, action.copy
        done.mail += await self._mail(about, "notify", content, sender, to, envelope_id, copy=copy)

    async def failure(self, about: AccountMail, failed: FailedScript, mailbox: str = "") -> ScriptMail | None:
        """See :class:`IScriptActions`."""
        now = self._clock.seconds()
        once = ScriptMemory(about.account_id, TOLD, key_of(failed.name, failed.digest), now + TOLD_SECONDS)
        if await self._queue.is_remembered(*once[:3], now):
            return None
        account = parse_address((await self._directory.account(about.account_id)).address)
        envelope_id, new = self._new()
        content = failure_mail(account, failed.name, str(failed.failure), _seen(about), new, mailbox)
        sent = await self._mail(about, "error", content, None, [str(account)], envelope_id, once=once)
        return sent[0] if sent else None

    async def _mail(
        self,
        about: AccountMail,
        action: str,
        content: bytes,
        sender: Address | None,
        to: Sequence[str],
        envelope_id: str,
        *,
        once: ScriptMemory | None = None,
        copy: FiledCopy | None = None,
        quiet: bool = False,
    ) -> list[ScriptMail]:
        """Return a message of ours as it is sent; nothing where it leads nowhere. :param copy: where the account keeps one.
        :param quiet: nobody hears of its failures."""
        routes = await self._routes(about, action, to, null_sender=sender is None)
        if not routes:
            return []
        options = MailOptions(
            body="7BIT" if content.isascii() else "8BITMIME",
            smtputf8=not content.isascii() or not all(address.is_ascii for address in routes),
        )
        notices = RcptOptions(frozenset({"NEVER"})) if quiet else RcptOptions()
        recipients = tuple([Recipient(address, notices) for address in routes])
        origin = Origin(about.envelope.origin.session, "local")
        held = about.envelope.held  # what an operator is to look at has no answers before
        envelope = Envelope(envelope_id, sender, recipients, origin, self._clock.seconds(), options, held=held)
        content = await self._signature(about, envelope_id, content) + content
        mail = ScriptMail(envelope, Judgement(tuple(routes), routes), content, once)
        return [mail] if copy is None else _with_copy(about, mail, Recipient(about.address, notices), copy)

    async def _routes(
        self, about: AccountMail, action: str, to: Sequence[str], null_sender: bool
    ) -> dict[Address, Resolved]:
        """Return where addresses lead, without those that lead nowhere."""
        routes: dict[Address, Resolved] = {}
        for text in to:
            try:
                address = parse_address(text)
                route = await self._router.resolve(address, relay=True, null_sender=null_sender)
            except StoreUnavailable:
                raise
            except DomainError as error:
                self._not_done(about, action, f"{text}: {type(error).__name__}: {error}")
                continue
            if route.local or route.remote:
                routes[address] = route
        return routes

    async def _signature(self, about: AccountMail, envelope_id: str, content: bytes) -> bytes:
        if self._signer is None:
            return b""
        labels = self._hostname.split(".")
        domains = [about.address.domain, *(".".join(labels[at:]) for at in range(max(1, len(labels) - 1)))]
        end = header_end(content)
        return await self._signer.sign(list(dict.fromkeys(domains)), envelope_id, content[:end], content[end:])

    async def _may_send(self, about: AccountMail, text: str) -> bool:
        addresses = senders(text)
        for address in addresses:
            if not await self._directory.may_send_as(about.account_id, address):
                return False
        return bool(addresses)

    # in common

    def _new(self) -> tuple[str, NewMail]:
        """Return the id of another envelope, and what makes its message one of its own."""
        now = self._clock.seconds()
        envelope_id = new_id(now)
        return envelope_id, NewMail(message_id(envelope_id, self._hostname), now, self._hostname)

    def _of_the_same(self, envelope: Envelope, recipient: Recipient, changed: bytes | None) -> Envelope:
        """Return another envelope for a message. :param changed: as a script made it, with what stands on top; None: as it is."""
        trace, options = envelope.trace, envelope.options
        if changed is not None:
            trace, utf8 = b"", options.smtputf8 or not _header(changed).isascii()
            options = replace(options, body="7BIT" if changed.isascii() else "8BITMIME", smtputf8=utf8)
        return replace(
            envelope,
            id=new_id(self._clock.seconds()),
            recipients=(recipient,),
            options=options,
            trace=trace,
        )

    def _not_done(self, about: AccountMail, action: str, reason: str) -> None:
        emit(
            _log,
            "sieve.not_done",
            warning=True,
            envelope=about.envelope.id,
            account=about.account_id,
            action=action,
            reason=reason,
        )


def _header(message: bytes) -> bytes:
    end = header_end(message)
    return message if end < 0 else message[:end]


def _seen(about: AccountMail) -> FilteredMail:
    return FilteredMail(about.header, about.envelope.reverse_path, about.address, about.envelope.notices)


def _elsewhere(judgement: Judgement, about: AccountMail) -> tuple[Judgement, bool]:
    """Return a judgement without redirects that lead back to accounts that have sent the message on, and whether all lead
    somewhere."""
    plan = judgement.plan(about.address)
    around = {about.account_id, *about.through}
    leading = tuple(
        [one for one in plan.redirects if around.isdisjoint(name for name, _ in judgement.routes[one].local)]
    )
    if len(leading) == len(plan.redirects) and plan.discard:
        return judgement, True
    plans = {about.address: replace(plan, redirects=leading, discard=True)}
    return judgement._replace(plans=plans), False


def _with_copy(about: AccountMail, mail: ScriptMail, owner: Recipient, copy: FiledCopy) -> list[ScriptMail]:
    """Return what is sent together with the copy of it that its owner keeps."""
    envelope, routes, own = mail.envelope, mail.judgement.routes, {about.address: about.route}
    accounts = {about.account_id: (_filed(about, copy),)}
    if any(account == about.account_id for route in routes.values() for account, _ in route.local):
        # What goes to the account itself is in its inbox as well: the copy is a message of its own.
        apart = replace(envelope, id=new_id(envelope.received_at), recipients=(owner,))
        return [ScriptMail(apart, Judgement((about.address,), own, accounts=accounts), mail.content), mail]
    routes = {**routes, **own}
    envelope = replace(envelope, recipients=(*envelope.recipients, owner))
    return [replace(mail, envelope=envelope, judgement=Judgement(tuple(routes), routes, accounts=accounts))]


def _place(about: AccountMail, action: KeepMessage | FileMessage) -> CopyPlace:
    plan = about.plan
    if isinstance(action, KeepMessage):
        place = CopyPlace(plan.mailbox or "INBOX", *split_flags(action.flags), plan.special_use)
    else:
        place = _filed(about, action)
    return place._replace(flags=place.flags | plan.flags, keywords=tuple(dict.fromkeys(plan.keywords + place.keywords)))


def _filed(about: AccountMail, into: FileMessage | FiledCopy) -> CopyPlace:
    """Return the place that a script names; words that are no flags are passed over (RFC 5232 2)."""
    mailbox_id = number_of(MAILBOX, about.account_id, into.mailbox_id) if into.mailbox_id else 0
    return CopyPlace(into.mailbox, *split_flags(into.flags), "", into.create, into.use, mailbox_id)
