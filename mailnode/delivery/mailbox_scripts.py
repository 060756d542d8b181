"""Runs the scripts of mailboxes when something is done to messages in them (RFC 6785), and does what they say.

A message has its script run once for each thing that is done to it, behind the commit of that; after a crash not at all. What a
script does comes in this order: copies in other mailboxes, what goes through the queue in one unit, flags of the message.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from twisted.python.failure import Failure
from zope.interface import implementer

from mailnode.delivery.event_plan import EventPlan, event_plan
from mailnode.delivery.script_actions import AccountMail, IScriptActions
from mailnode.delivery.whole_message import with_changes, with_fields
from mailnode.errors import (
    BlobDamaged,
    DomainError,
    LimitReached,
    MailboxExists,
    NoSuchScript,
    OverQuota,
    Refused,
    RowsDamaged,
)
from mailnode.interfaces.accounts import IDirectory
from mailnode.interfaces.delivery import IDelivery
from mailnode.interfaces.log import EventLog
from mailnode.interfaces.mailbox_scripts import IMailboxScripts
from mailnode.interfaces.runtime import IClock, IThreads
from mailnode.interfaces.scripts import INamedScripts, IScripts
from mailnode.interfaces.sending import ISending
from mailnode.interfaces.sieve import IFiltering, ISieve
from mailnode.interfaces.store import IMailAccount, IMailbox, IMailStore
from mailnode.interfaces.turns import Places
from mailnode.sieve.actions import FileMessage, NotifySomebody, RedirectMessage, SieveAction
from mailnode.sieve.facts import EnvelopeFacts, SieveFacts
from mailnode.sieve.interpreter import ScriptFailure
from mailnode.sieve.sequence import FailedScript, SequenceOutcome
from mailnode.sieve.trial import in_words
from mailnode.values.address import Address, parse_address
from mailnode.values.envelope import Envelope, MailOptions, Origin, Recipient
from mailnode.values.events import EventFields, emit
from mailnode.values.filtered import ScriptMail
from mailnode.values.flags import DELETED, KeywordTable, split_flags
from mailnode.values.ids import new_id
from mailnode.values.mailbox import MailboxInfo, NewMessage
from mailnode.values.mailbox_event import MailboxEvent
from mailnode.values.object_ids import MAILBOX, number_of
from mailnode.values.plan import AS_IT_IS
from mailnode.values.remembered import ScriptMemory
from mailnode.values.rows import StoredRow
from mailnode.values.scripts import StoredScript
from mailnode.values.sending import NOTHING, Counted

AT_ONCE = 4  # messages that scripts run on at a time, in one process: each is in memory whole
ROWS = 256  # messages whose rows are in memory at a time
_COLUMNS = ("flags", "internaldate", "internaldate_offset", "prefix", "blob", "content")
_NEVER = 1 << 62  # a modseq behind which nothing is

_log = EventLog()


class _Undone(Exception):
    """A script failed, or says what cannot be done."""

    def __init__(self, failure: ScriptFailure) -> None:
        super().__init__(str(failure))
        self.failure = failure


@dataclass(frozen=True, slots=True)
class _Case:
    """What is the same for all messages of an event. ``mail`` is the owner's, and so is what scripts do."""

    event: MailboxEvent
    script: StoredScript
    mail: IMailAccount
    mailbox: IMailbox
    mailboxes: dict[int, MailboxInfo]
    keywords: KeywordTable
    owner: Address
    own_addresses: frozenset[str]
    environment: Mapping[str, str]

    @property
    def name(self) -> str:
        """What the owner calls the mailbox."""
        return self.mailboxes[self.event.mailbox_id].name

    def about(self, uid: int) -> EventFields:
        """What the log says of a message."""
        event = self.event
        return {
            "session": event.session,
            "account": event.account_id,
            "mailbox": self.name,
            "uid": uid,
            "cause": event.cause,
            "script": self.script.name,
        }


@implementer(IMailboxScripts)
class MailboxScripts:
    """Finds, runs and carries out."""

    def __init__(
        self,
        directory: IDirectory,
        mail: IMailStore,
        named: INamedScripts,
        scripts: IScripts,
        sieve: ISieve,
        actions: IScriptActions,
        filtering: IFiltering,
        delivery: IDelivery,
        clock: IClock,
        threads: IThreads,
        environment: Mapping[str, str],
        sending: ISending | None = None,
    ) -> None:
        """:param environment: items of RFC 5183 4.1 that are the server's. :param sending: asked what accounts may send; None: all
        of it."""
        self._directory = directory
        self._mail = mail
        self._named = named
        self._scripts = scripts
        self._sieve = sieve
        self._actions = actions
        self._filtering = filtering
        self._delivery = delivery
        self._clock = clock
        self._threads = threads
        self._environment = {**environment, "location": "MS", "phase": "post"}  # RFC 6785 4.1
        self._sending = sending
        self._places = Places(AT_ONCE)

    async def renamed(self) -> None:
        """See :class:`IMailboxScripts`."""
        await self._named.changed()

    async def run(self, event: MailboxEvent) -> bool:
        """See :class:`IMailboxScripts`."""
        try:
            name = await self._named.of(event.account_id, event.mailbox_id)
            if not name:
                return False
            case = await self._case(event, await self._scripts.read(event.account_id, name))
            await self._run(case)
        except NoSuchScript:  # RFC 6785 2.3.1: then none is run
            return False
        except Exception as error:
            _tell_trouble(error, session=event.session, account=event.account_id, cause=event.cause)
        return True

    async def _case(self, event: MailboxEvent, script: StoredScript) -> _Case:
        """Look up what all messages need. :raises DomainError:"""
        mail = self._mail.account(event.account_id)
        mailbox = mail.open(event.mailbox_id)
        owner = await self._directory.account(event.account_id)
        actor = owner if event.actor == owner.id else await self._directory.account(event.actor)
        mailboxes = {info.id: info for info in await mail.mailboxes()}
        return _Case(
            event,
            script,
            mail,
            mailbox,
            mailboxes,
            (await mailbox.changes(_NEVER)).keywords,
            parse_address(owner.address),
            frozenset([one.lower() for one in await self._directory.addresses(owner.id)]),
            {
                **self._environment,
                "imap.user": actor.address,
                "imap.email": actor.address,
                "imap.cause": event.cause,
                "imap.mailbox": mailboxes[event.mailbox_id].name,
                "imap.changedflags": "",
            },
        )

    async def _run(self, case: _Case) -> None:
        changed = dict(zip(case.event.uids, case.event.changed, strict=False))
        uids = sorted(case.event.uids)
        for at in range(0, len(uids), ROWS):
            try:
                rows = await case.mailbox.rows(uids[at : at + ROWS], _COLUMNS)
            except RowsDamaged as damaged:
                rows = damaged.rows
            for row in rows:
                async with self._places:
                    try:
                        await self._one(case, row, changed.get(row[0], 0))
                    except Exception as error:
                        _tell_trouble(error, **case.about(row[0]))

    async def _one(self, case: _Case, row: StoredRow, changed: int) -> None:
        """Run the script on one message, and do what it says. :raises DomainError:"""
        uid, bits, _, _, prefix, blob, content = row
        if content is None:
            [content] = await case.mailbox.read_several([blob])
        if isinstance(content, BlobDamaged):
            raise content
        flags = case.keywords.flag_names(bits)
        now = self._clock.seconds()
        facts = SieveFacts(
            await with_fields(self._threads, prefix, content),
            EnvelopeFacts(str(case.owner), str(case.owner)),
            now,
            datetime.fromtimestamp(now).astimezone().tzinfo or UTC,
            {**case.environment, "imap.changedflags": " ".join(case.keywords.flag_names(changed))},
            case.own_addresses,
            case.name,
            flags=flags,
            is_delivery=False,
        )
        outcome = await self._sieve.run(case.event.account_id, [case.script], facts)
        for text in outcome.logged:
            emit(_log, "sieve.logged", session=case.event.session, account=case.event.account_id, text=text)
        try:
            if outcome.failed is not None:
                raise _Undone(outcome.failed.failure)
            await self._carry_out(case, row, facts, event_plan(outcome.actions, flags))
        except _Undone as undone:
            await self._tell_owner(case, facts, undone.failure)
            raise
        except (Refused, LimitReached, OverQuota) as error:  # what the owner can do something about
            await self._tell_owner(case, facts, ScriptFailure(0, str(error) or type(error).__name__))
            raise
        emit(_log, "sieve.mailbox_ran", **case.about(uid), actions="; ".join(map(in_words, outcome.actions)))

    async def _carry_out(self, case: _Case, row: StoredRow, facts: SieveFacts, plan: EventPlan) -> None:
        places = [await self._target(case, file) for file in plan.files]
        counted = await self._admitted(case, plan.sends)
        try:
            sent = await self._actions.carried_out(_mail(case, facts), SequenceOutcome(plan.sends), False)
            for file, target in zip(plan.files, places, strict=True):
                await self._file(case, row, facts, file, target)
            await self._send(case, facts, sent.mail, sent.remembered)
        except Exception:
            if self._sending is not None:
                self._sending.give_back(case.event.account_id, counted)
            raise
        if self._sending is not None:
            self._sending.sent(case.event.account_id, _recipients(plan.sends))
        kept = plan.kept or sent.places is None  # what should have been sent on leads nowhere
        await self._mark(case, row[0], replace(plan, kept=kept))

    async def _admitted(self, case: _Case, actions: Sequence[SieveAction]) -> Counted:
        """Count what is sent as mail of the owner's (RFC 6785 3.4). :raises Refused:"""
        counted, sending, account_id = NOTHING, self._sending, case.event.account_id
        if sending is None:
            return counted
        for recipient in _recipients(actions):
            try:
                counted = counted.plus((await sending.admit(account_id, recipient, True)).counted)
            except Refused:
                sending.give_back(account_id, counted)
                raise
        return counted

    async def _send(
        self, case: _Case, facts: SieveFacts, mail: Sequence[ScriptMail], remembered: Sequence[ScriptMemory]
    ) -> None:
        """Put all of it into the queue, or nothing; scripts of accounts that it comes to are run."""
        if mail or remembered:
            filtered = await self._filtering.sent(case.event.account_id, mail, remembered)
            nothing = replace(_envelope(case, facts), recipients=())  # of the message itself: it is where it is
            await self._delivery.accept_filtered(nothing, filtered, None, None)

    async def _tell_owner(self, case: _Case, facts: SieveFacts, failure: ScriptFailure) -> None:
        """Tell the owner, once for each version of a script, that it fails."""
        failed = FailedScript(case.script.name, case.script.digest, failure)
        told = await self._actions.failure(_mail(case, facts), failed, case.name)
        if told is not None:
            await self._send(case, facts, [told], ())

    async def _target(self, case: _Case, file: FileMessage) -> int:
        """Return the id of the mailbox a message is filed into. :raises _Undone: there is none."""
        known = [info for info in case.mailboxes.values() if info.selectable]
        if file.mailbox_id:
            wanted = number_of(MAILBOX, case.event.account_id, file.mailbox_id)
            if any(info.id == wanted for info in known):
                return wanted
        if file.use:
            for_this = [info for info in known if info.special_use == file.use]
            if for_this:
                return min(for_this, key=lambda one: (one.name != file.mailbox, one.id)).id  # RFC 8579 4
        for info in known:
            if info.name == file.mailbox:
                return info.id
        if not file.create:
            raise _Undone(ScriptFailure(0, f'there is no mailbox "{file.mailbox}"'))
        try:
            made = await case.mail.create(file.mailbox, file.use)
        except MailboxExists:  # somebody else made it just now
            case.mailboxes.update({info.id: info for info in await case.mail.mailboxes()})
            return await self._target(case, replace(file, create=False))
        case.mailboxes[made.id] = made
        return made.id

    async def _file(self, case: _Case, row: StoredRow, facts: SieveFacts, file: FileMessage, target: int) -> None:
        """Make a message of its own in another mailbox (RFC 6785 3.3), which is no event there."""
        uid, _, date, offset, *_ = row
        if file.content is None:
            copied = await case.mailbox.copy([uid], target)
            if file.flags != facts.flags and copied.target:
                await case.mail.open(target).store_flags(copied.target, "set", *split_flags(file.flags))
            return
        bits, keywords = split_flags(file.flags)
        changed = await with_changes(self._threads, facts.message, file.content)
        blob = await case.mail.blobs().put(changed)
        found = await self._delivery.scan(blob)
        message = NewMessage(blob, found, date, offset, flags=bits, keywords=keywords)
        await case.mail.open(target).append([message])

    async def _mark(self, case: _Case, uid: int, plan: EventPlan) -> None:
        if not plan.kept:
            await case.mailbox.store_flags([uid], "add", DELETED)
            return
        flags = plan.flags
        if flags.set_bits or flags.set_keywords:
            await case.mailbox.store_flags([uid], "add", flags.set_bits, flags.set_keywords)
        if flags.cleared_bits or flags.cleared_keywords:
            await case.mailbox.store_flags([uid], "remove", flags.cleared_bits, flags.cleared_keywords)


def _envelope(case: _Case, facts: SieveFacts) -> Envelope:
    """Return the envelope of a message in a mailbox, which nobody has sent: its owner sends what scripts do (RFC 6785 3.4)."""
    owner, event = case.owner, case.event
    origin = Origin(event.session, "local", account_id=event.account_id, account=str(owner))
    options = MailOptions(body="7BIT" if facts.message.isascii() else "8BITMIME", smtputf8=not owner.is_ascii)
    return Envelope(new_id(facts.now), owner, (Recipient(owner),), origin, facts.now, options)


def _mail(case: _Case, facts: SieveFacts) -> AccountMail:
    envelope, message = _envelope(case, facts), facts.message
    return AccountMail(
        case.event.account_id,
        str(case.owner),
        case.owner,
        envelope.recipients[0],
        AS_IT_IS,
        envelope,
        message,
        message,
        message,
    )


def _recipients(actions: Iterable[SieveAction]) -> list[str]:
    """Return the keys of addresses that something is sent to."""
    texts: list[str] = []
    for action in actions:
        if isinstance(action, RedirectMessage) and not action.from_list:
            texts.append(action.address)
        elif isinstance(action, NotifySomebody):
            texts += action.recipients
    return [parse_address(text).key for text in texts]


def _tell_trouble(error: Exception, **about: object) -> None:
    """Say in the log why a script was not run, or why what it says was not done."""
    reason = str(error) if isinstance(error, _Undone) else f"{type(error).__name__}: {error}"
    emit(_log, "sieve.mailbox_failed", warning=True, **about, reason=reason)
    if not isinstance(error, DomainError | _Undone):
        failure = Failure(error)  # type: ignore[no-untyped-call]
        _log.failure("trouble with a mailbox's script", failure)
