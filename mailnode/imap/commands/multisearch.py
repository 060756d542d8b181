"""ESEARCH (RFC 7377): a search in several mailboxes, one answer for each in which something is found."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from typing import ClassVar

from mailnode.errors import NoSuchMailbox, NotPermitted
from mailnode.imap.answers import Answer, CommandRefused
from mailnode.imap.commands import esearch, uidonly
from mailnode.imap.commands.context import Context, Searching
from mailnode.imap.commands.inprogress import going_on
from mailnode.imap.commands.list import unhurried
from mailnode.imap.commands.message_limit import limit_of, require_few_searched, searched_in
from mailnode.imap.commands.row import AFTER_LOGIN, CommandRow
from mailnode.imap.commands.search import begin, found_by, read_program, told_scores
from mailnode.imap.elsewhere import Elsewhere
from mailnode.imap.messages import needs
from mailnode.imap.messages.search_keys import SearchKey, counts
from mailnode.imap.messages.search_returns import ALL_OF_THEM, Returns, read_returns
from mailnode.imap.messages.search_sources import Sources, read_sources
from mailnode.imap.others import OTHER_USERS, SHARED, as_shown, mail_of, shared_mailboxes
from mailnode.imap.updating import follow, refuse, refuse_used_tag
from mailnode.imap.wire import responses
from mailnode.imap.wire.command import Command
from mailnode.imap.wire.lexer import CommandFault, Lexer
from mailnode.values.mailbox import MailboxInfo

_AT_ONCE = 100  # mailboxes whose messages are counted at a time


# esearch = "ESEARCH" [SP "IN (" ... ")"] [SP "RETURN (" [option *(SP option)] ")"] [SP "CHARSET" SP astring] 1*(SP search-key)
@dataclass(frozen=True, slots=True)
class MultiSearch(Command):
    """RFC 7377 2. Its fields are those of SEARCH; it tells UIDs alone."""

    verb: ClassVar[str] = "ESEARCH"
    sources: Sources
    key: SearchKey
    returns: Returns = ALL_OF_THEM
    modseq: bool = False
    refusal: CommandFault | None = None
    names_charset: bool = field(default=False, compare=False)
    fuzzy: bool = field(default=False, compare=False)


def _parse(tag: bytes, lexer: Lexer) -> MultiSearch:
    """Read ``[IN (...)] [RETURN (...)] [CHARSET c] keys``."""
    lexer.space()
    sources = read_sources(lexer)
    returns = read_returns(lexer) or ALL_OF_THEM
    if returns.save and not sources.only_selected:
        raise CommandFault("SAVE is for the selected mailbox alone")
    key, modseq, refusal, names_charset, fuzzy = read_program(lexer, returns)
    return MultiSearch(tag, sources, key, returns, modseq, refusal, names_charset, fuzzy)


async def multisearch(context: Context, command: MultiSearch) -> Answer:
    """Search one mailbox after another; those that go meanwhile, or may not be read, are passed over."""
    if command.sources.selected and context.selected is None:
        raise CommandRefused("No mailbox is selected", status=b"BAD")
    if "UIDONLY" in context.enabled and counts(command.key):
        raise uidonly.refusal()
    if command.returns.update:
        if context.selected is None:
            raise CommandRefused("No mailbox is selected", status=b"BAD")
        refuse_used_tag(context, command.tag, command.returns)
    begin(context, command)
    saving = esearch.saving(context, command.returns) if command.returns.save else nullcontext()
    with saving, going_on(context, command):
        if command.refusal is not None:
            raise CommandRefused(command.refusal.text, command.refusal.code)
        limited, followed = b"", False
        for info in await _mailboxes(context, command.sources):
            await context.pause()
            if _is_selected(context, info):
                await context.mailbox.unpack()
                found, limited = await _search(context, context, command, info)
                await _follow(context, command, info, found, whole=not limited)
                followed = True
                continue
            with suppress(NoSuchMailbox, NotPermitted):
                mailbox = mail_of(context, info.account_id).open(info.id)
                _, limited = await _search(context, await Elsewhere.open(context, mailbox), command, info)
        if command.returns.update and not followed:
            refuse(context, command.tag, "The selected mailbox is not among those searched")
    return Answer("ESEARCH completed", limited)


async def _follow(context: Context, command: MultiSearch, info: MailboxInfo, found: Sequence[int], whole: bool) -> None:
    """Tell changes of the selected mailbox, alone (RFC 7377 2.2)."""
    where = _correlators(context, context, info)
    await follow(context, command.tag, True, command.key, command.returns, found, where=where, whole=whole)


def _correlators(context: Context, where: Searching, info: MailboxInfo) -> bytes:
    name = responses.mailbox(info.name, context.connection.utf8)
    return b" MAILBOX %b UIDVALIDITY %d" % (name, where.mailbox.view.uidvalidity)


async def _mailboxes(context: Context, sources: Sources) -> list[MailboxInfo]:
    """Return the mailboxes that are meant, once each, as this session calls them: those that it may look up."""
    filters = [
        replace(one, names=frozenset([await as_shown(context, name) for name in one.names])) for one in sources.filters
    ]
    subscribed: frozenset[str] = frozenset()
    if any(one.kind == "SUBSCRIBED" for one in filters):
        subscribed = frozenset(await context.mail.subscriptions())
    named = [*subscribed, *(name for one in filters for name in one.names)]
    if sources.selected and context.mailbox.mailbox.account_id != context.mail.account_id:
        named += [OTHER_USERS, SHARED]
    found = []
    async for info in unhurried(
        [*await context.mail.mailboxes(), *await shared_mailboxes(context, named)], context.pause
    ):
        others = any(
            one.covers(info.name, info.name in subscribed) and not (info.account_id and one.kind == "PERSONAL")
            for one in filters
        )
        if info.selectable and (others or (sources.selected and _is_selected(context, info))):
            found.append(info)
    if limit_of(context) and len(found) > 1:
        require_few_searched(context, await _messages(context, found))
    return found


async def _messages(context: Context, infos: Sequence[MailboxInfo]) -> int:
    """Return how many messages there are in mailboxes, as far as they may be read."""
    ids: dict[str, list[int]] = {}
    for info in infos:
        ids.setdefault(info.account_id, []).append(info.id)
    count = 0
    for account_id, some in ids.items():
        for at in range(0, len(some), _AT_ONCE):
            count += sum(one.messages for one in await mail_of(context, account_id).status(some[at : at + _AT_ONCE]))
            await context.pause()
    return count


def _is_selected(context: Context, info: MailboxInfo) -> bool:
    selected = context.selected
    return selected is not None and selected.is_of(info.account_id or context.mail.account_id, info.id)


async def _search(
    context: Context, where: Searching, command: MultiSearch, info: MailboxInfo
) -> tuple[Sequence[int], bytes]:
    """Search one mailbox; return what was found, and the response code where not all messages were looked at. Nothing is said
    where nothing is found (RFC 7377 2.1)."""
    returns = command.returns
    candidates, limited = searched_in(where.mailbox.view, command.key, limit_of(context))
    found = await found_by(where, command.key, returns, candidates)
    if not found:
        if returns.save:
            await esearch.save(where, found, returns)
        return found, limited
    scores = await told_scores(where, command.key, returns, found)
    if not isinstance(found, range):
        found = array("I", found)  # it stays for as long as somebody reads the answer
    await context.pause()
    correlators = _correlators(context, where, info)
    await esearch.say(where, command.tag, True, found, returns, command.modseq, scores=scores, where=correlators)
    return found, limited


def _needs(command: MultiSearch) -> Iterator[str]:
    yield "MULTISEARCH"
    yield from needs.of_returns(command.returns)
    yield from needs.of_key(command.key, command.fuzzy)


ROWS = (
    CommandRow(
        name=b"ESEARCH",
        states=AFTER_LOGIN,
        parse=_parse,
        run=multisearch,
        needs=_needs,
        capabilities=("MULTISEARCH",),
    ),
)
