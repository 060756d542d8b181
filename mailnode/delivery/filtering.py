"""Runs the scripts of the accounts that a message comes to, before it is stored, and says what they make of it.

A message that scripts send to other accounts here comes to these in the same way; an account it has come through is not asked
again. Whatever goes wrong leaves a message to its account, as if there were no scripts; only a store that is away is told of.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import NamedTuple

from zope.interface import implementer

from mailnode.delivery.plans import leads_to_many
from mailnode.delivery.script_actions import AccountMail, IScriptActions
from mailnode.delivery.whole_message import digest_of, with_fields
from mailnode.errors import BadAddress, Busy, NoSuchAccount, StoreUnavailable
from mailnode.interfaces.accounts import IDirectory
from mailnode.interfaces.log import EventLog
from mailnode.interfaces.runtime import IClock, IThreads
from mailnode.interfaces.scripts import IScripts
from mailnode.interfaces.sieve import IFiltering, IServerScripts, ISieve
from mailnode.sieve.actions import (
    DiscardMessage,
    FileMessage,
    KeepMessage,
    NotifySomebody,
    RedirectMessage,
    RejectMessage,
    RememberDuplicate,
    SieveAction,
    VacationReply,
)
from mailnode.sieve.facts import EnvelopeFacts, SieveFacts
from mailnode.sieve.sequence import FailedScript, SequenceOutcome
from mailnode.values.address import Address, parse_address
from mailnode.values.directory import Resolved
from mailnode.values.envelope import CLIENT_NAME, Envelope, Recipient
from mailnode.values.events import EventFields, emit
from mailnode.values.filtered import Filtered, ScriptMail
from mailnode.values.mailbox import CopyPlace
from mailnode.values.plan import JUNK, Judgement, RecipientPlan
from mailnode.values.remembered import ScriptMemory
from mailnode.values.scripts import StoredScript
from mailnode.values.smtp_reply import Reply

MAX_ACCOUNTS = 1000  # of one message whose scripts are looked for; those of others are passed over
MAX_THROUGH = 10  # accounts that one message is sent through by scripts, one after the other
# Octets in memory of all that scripts make of one message; what would be more goes as it came.
MAX_CHANGED = 256 * 1024 * 1024

_log = EventLog()
_EDITED = KeepMessage | FileMessage | RedirectMessage
_NAMES: dict[type[SieveAction], str] = {
    KeepMessage: "keep",
    FileMessage: "fileinto",
    RedirectMessage: "redirect",
    DiscardMessage: "discard",
    RejectMessage: "reject",
    VacationReply: "vacation",
    NotifySomebody: "notify",
    RememberDuplicate: "remember",
}


class _Copy(NamedTuple):
    """One account that a judgement leads to. ``led``: a redirect leads there."""

    account_id: str
    came_for: str
    recipient: Recipient
    route: Resolved
    plan: RecipientPlan
    led: bool


@dataclass(slots=True)
class _Work:
    """What came of the message so far. ``seen``: the accounts that something came to, by its digest. ``contents``: of the mail, by
    their digests."""

    answers_each: bool
    score: float | None
    left: int
    mail: list[ScriptMail] = field(default_factory=list)
    remembered: list[ScriptMemory] = field(default_factory=list)
    refused: dict[Address, Reply] = field(default_factory=dict)
    seen: dict[bytes, set[str]] = field(default_factory=dict)
    contents: dict[bytes, bytes] = field(default_factory=dict)

    def same(self, digest: bytes, content: bytes) -> bytes:
        """Return what is in memory already of a content: what a script makes for each of many accounts is there once."""
        return self.contents.setdefault(digest, content)

    @property
    def octets(self) -> int:
        """Of all contents."""
        return sum(map(len, self.contents.values()))


@dataclass(frozen=True, slots=True)
class _OnItsWay:
    """One message on its way. ``content``: as a :class:`ScriptMail` has it; ``stored``: the octets, in any case. ``digest``: of
    the content, what tells it from others; b"" where that is None."""

    envelope: Envelope
    stored: bytes
    content: bytes | None
    digest: bytes = b""
    through: tuple[str, ...] = ()


@implementer(IFiltering)
class Filtering:
    """Finds scripts, has them run, and gathers what is to be done."""

    def __init__(
        self,
        scripts: IScripts,
        sieve: ISieve,
        actions: IScriptActions,
        directory: IDirectory,
        clock: IClock,
        server: IServerScripts,
        threads: IThreads,
        hostname: str,
        version: str,
        junk_at: Callable[[], float] = lambda: 0.0,
        enabled: Callable[[], bool] = lambda: True,
    ) -> None:
        """:param server: the scripts around those of accounts. :param junk_at: the score from which on mail is junk; 0: from none.
        :param enabled: whether scripts are run at the moment."""
        self._enabled = enabled
        self._junk_at = junk_at
        self._scripts = scripts
        self._sieve = sieve
        self._actions = actions
        self._directory = directory
        self._clock = clock
        self._server = server
        self._threads = threads
        self._hostname = hostname
        self._version = version

    async def filtered(
        self,
        envelope: Envelope,
        judgement: Judgement,
        size: int,
        read: Callable[[int, int], Awaitable[bytes]],
        answers_each: bool = False,
        score: float | None = None,
    ) -> Filtered:
        """See :class:`IFiltering`."""
        if not self._enabled() or not await self._is_wanted(envelope, judgement):
            return Filtered(judgement)
        work = _Work(answers_each, score, MAX_ACCOUNTS)
        message = _OnItsWay(envelope, await read(0, size), None)
        found = await self._came(work, message, judgement)
        return Filtered(found, tuple(work.mail), tuple(work.remembered), work.refused)

    async def sent(self, account_id: str, mail: Sequence[ScriptMail], remembered: Sequence[ScriptMemory]) -> Filtered:
        """See :class:`IFiltering`."""
        work = _Work(False, None, MAX_ACCOUNTS, remembered=list(remembered))
        for one in mail:
            assert one.content is not None
            await self._send(work, one, one.content, (account_id,))
        return Filtered(Judgement((), {}), tuple(work.mail), tuple(work.remembered))

    async def _is_wanted(self, envelope: Envelope, judgement: Judgement) -> bool:
        """Whether there is any script to run: then the message has to be read."""
        asked: set[str] = set()
        for copy in _copies(envelope.recipients, judgement):
            if copy.account_id in asked:
                continue
            if len(asked) == MAX_ACCOUNTS:
                break
            asked.add(copy.account_id)
            if await self._of(copy):
                return True
        return False

    async def _of(self, copy: _Copy) -> tuple[StoredScript, ...]:
        """Return the scripts that are run for an account, in their order."""
        try:
            active = await self._scripts.active(copy.account_id)
        except NoSuchAccount:  # removed just now
            active = None
        own = () if active is None else (active,)
        if not self._server.has_any:  # as nearly always
            return own
        before, after = self._server.around(_address(copy).domain_key)
        return (*before, *own, *after)

    async def _came(self, work: _Work, message: _OnItsWay, judgement: Judgement) -> Judgement:
        """A message comes to accounts: return the judgement with what their scripts make of the copies."""
        first, of = not message.through, (message.envelope.recipients, judgement)
        many = leads_to_many(judgement)
        copies = await self._threads.run("cpu", _by_account, *of) if many else _by_account(*of)
        found: dict[str, tuple[CopyPlace, ...]] = dict(judgement.accounts)
        seen = work.seen.setdefault(message.digest, set())
        if first:
            seen.update(copies)
        for account_id, copy in copies.items():
            if account_id in judgement.accounts:
                continue
            if not first:
                if account_id in seen:
                    found[account_id] = ()  # it has one
                    continue
                seen.add(account_id)
            if work.left <= 0 or account_id in message.through or len(message.through) >= MAX_THROUGH:
                continue
            work.left -= 1
            places = await self._filter(work, message, copy)
            if places is not None:
                found[account_id] = places
        return judgement._replace(accounts=found) if found else judgement

    async def _filter(self, work: _Work, message: _OnItsWay, copy: _Copy) -> tuple[CopyPlace, ...] | None:
        """Return where an account's scripts file its copy; None: as the plan says. :raises StoreUnavailable, Busy:"""
        scripts = await self._of(copy)
        if not scripts:
            return None
        mail, remembered, refused = len(work.mail), len(work.remembered), dict(work.refused)
        try:
            return await self._run(work, message, copy, scripts)
        except (StoreUnavailable, Busy):
            raise
        except Exception:
            _log.failure("scripts of {account} could not be run", account=copy.account_id)
            del work.mail[mail:], work.remembered[remembered:]
            work.refused = refused
            return None

    async def _run(
        self, work: _Work, message: _OnItsWay, copy: _Copy, scripts: Sequence[StoredScript]
    ) -> tuple[CopyPlace, ...] | None:
        seen = await with_fields(self._threads, message.envelope.trace + copy.plan.prefix, message.stored)
        about = _account_mail(message, copy, seen)
        outcome = await self._sieve.run(copy.account_id, scripts, await self._facts(work, about, copy))
        self._tell(about, outcome)
        outcome = _in_memory(work, about, outcome)
        alone = len(copy.route.local) == 1 and not copy.route.remote and not copy.led and not message.through
        in_session = alone and message.envelope.origin.protocol != "local"
        may_refuse = in_session and (work.answers_each or len(message.envelope.recipients) == 1)
        done = await self._actions.carried_out(about, outcome, may_refuse)
        if outcome.failed is not None:
            told = await self._told(about, outcome.failed)
            done.mail += [told] if told is not None else []
        work.remembered += done.remembered
        if done.refusal is not None:
            work.refused[copy.recipient.address] = done.refusal
        for one in done.mail:
            if one.once is None or not _is_sent_for(work.mail, one.once):
                await self._send(work, one, message.stored, (*message.through, copy.account_id))
        return done.places

    async def _send(self, work: _Work, mail: ScriptMail, stored: bytes, through: tuple[str, ...]) -> None:
        """Send what a script says; what scripts of others make of it goes only if it does itself.

        :param stored: of the message that came. :param through: the accounts it has come through."""
        digest = b""
        if mail.content is not None:
            digest = await digest_of(self._threads, mail.content)
            stored = work.same(digest, mail.content)
            mail = replace(mail, content=stored)
        before = len(work.mail)
        judgement = await self._came(
            work, _OnItsWay(mail.envelope, stored, mail.content, digest, through), mail.judgement
        )
        if mail.once is not None:
            work.mail[before:] = [replace(one, once=one.once or mail.once) for one in work.mail[before:]]
        work.mail.append(replace(mail, judgement=judgement))

    async def _told(self, about: AccountMail, failed: FailedScript) -> ScriptMail | None:
        """Return what the owner hears of a script that failed; nothing of one of the server's."""
        active = await self._scripts.active(about.account_id)
        mine = active is not None and active.digest == failed.digest
        return await self._actions.failure(about, failed) if mine else None

    async def _facts(self, work: _Work, about: AccountMail, copy: _Copy) -> SieveFacts:
        envelope, options = about.envelope, about.recipient.options
        alone = len(copy.route.local) == 1 and not copy.route.remote and not copy.led
        parts = {
            "notify": ",".join(sorted(options.notify)),
            "orcpt": options.orcpt,
            "ret": envelope.options.ret,
            "envid": envelope.options.envid,
        }
        account = await self._directory.account(about.account_id)
        now = self._clock.seconds()
        return SieveFacts(
            about.message,
            EnvelopeFacts(
                str(envelope.reverse_path) if envelope.reverse_path is not None else "",
                str(copy.recipient.address) if alone else about.came_for,
                {name: value for name, value in parts.items() if value},
            ),
            now,
            datetime.fromtimestamp(now).astimezone().tzinfo or UTC,
            self._environment(envelope, account.address),
            frozenset([one.lower() for one in await self._directory.addresses(about.account_id)]),
            about.plan.mailbox or "INBOX",
            self._spam(work.score, about.plan),
        )

    def _environment(self, envelope: Envelope, username: str) -> dict[str, str]:
        """RFC 5183 4.1; an item that is not known is left out."""
        items = {
            **environment(self._hostname, self._version),
            "location": "MTA",
            "phase": "during",
            "remote-host": envelope.tags.get(CLIENT_NAME, ""),
            "remote-ip": envelope.origin.peer,
            "vnd.dovecot.default-mailbox": "INBOX",
            "vnd.dovecot.username": username,
        }
        return {name: value for name, value in items.items() if value}

    def _spam(self, score: float | None, plan: RecipientPlan) -> float | None:
        """Return how sure it is that a message is junk, from 0 to 1: a half where it is filed as junk."""
        junk_at = self._junk_at()
        found = score / (2 * junk_at) if score is not None and junk_at > 0 else None
        return max(found or 0.0, 0.5) if plan.special_use == JUNK else found

    def _tell(self, about: AccountMail, outcome: SequenceOutcome) -> None:
        """Log what scripts want done, what they say, and why one failed."""
        where: EventFields = {"envelope": about.envelope.id, "account": about.account_id}
        for text in outcome.logged:
            emit(_log, "sieve.logged", **where, text=text)
        emit(
            _log,
            "sieve.ran",
            **where,
            script=", ".join(outcome.ran),
            actions=", ".join([_NAMES[type(one)] for one in outcome.actions]),
        )
        if outcome.failed is not None:
            failed = outcome.failed
            line, reason = failed.failure.line, str(failed.failure)
            emit(_log, "sieve.failed", warning=True, **where, script=failed.name, line=line, reason=reason)


def environment(hostname: str, version: str) -> dict[str, str]:
    """Return the items of RFC 5183 4.1 that are the server's."""
    return {"domain": hostname.partition(".")[2], "host": hostname, "name": "mailnode", "version": version}


def _by_account(recipients: Sequence[Recipient], judgement: Judgement) -> dict[str, _Copy]:
    """Return the first copy for each account."""
    found: dict[str, _Copy] = {}
    for copy in _copies(recipients, judgement):
        found.setdefault(copy.account_id, copy)
    return found


def _copies(recipients: Sequence[Recipient], judgement: Judgement) -> Iterator[_Copy]:
    """Yield the accounts a judgement leads to, in the order in which copies are made: first for recipients themselves."""
    for reached, led in ((judgement.own, False), (judgement.redirected, True)):
        for recipient in recipients:
            for route, plan in reached(recipient.address):
                for account_id, came_for in route.local:
                    yield _Copy(account_id, came_for, recipient, route, plan, led)


def _is_sent_for(mail: Sequence[ScriptMail], once: ScriptMemory) -> bool:
    """Whether some of it is for the same that may be sent once: the account has the message in two ways."""
    return any(one.once is not None and one.once[:3] == once[:3] for one in mail)


def _address(copy: _Copy) -> Address:
    """Return the address a copy came in for; of one that is none the recipient's."""
    try:
        return parse_address(copy.came_for)
    except BadAddress:
        return copy.recipient.address


def _in_memory(work: _Work, about: AccountMail, outcome: SequenceOutcome) -> SequenceOutcome:
    """Return what is to be done: without changes of the message where all that it becomes would take too much memory."""
    changed = {one.content for one in outcome.actions if isinstance(one, _EDITED) and one.content is not None}
    if work.octets + len(changed) * len(about.message) <= MAX_CHANGED:
        return outcome
    where: EventFields = {"envelope": about.envelope.id, "account": about.account_id}
    reason = f"the messages that it becomes would be more than {MAX_CHANGED} octets"
    emit(_log, "sieve.not_done", warning=True, **where, action="change of the message", reason=reason)
    actions = [replace(one, content=None) if isinstance(one, _EDITED) else one for one in outcome.actions]
    return replace(outcome, actions=tuple(actions))


def _account_mail(message: _OnItsWay, copy: _Copy, seen: bytes) -> AccountMail:
    address = _address(copy)
    recipient = Recipient(address, copy.recipient.options) if copy.led else copy.recipient
    return AccountMail(
        copy.account_id,
        copy.came_for,
        address,
        recipient,
        copy.plan,
        message.envelope,
        seen,
        message.stored,
        message.content,
        copy.account_id in copy.route.over_quota,
        message.through,
    )
