"""Operations on the rules of accounts, which are kept as the script :data:`~mailnode.sieve.rules.SCRIPT`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import TypedDict

from mailnode.admin.administration import Administration
from mailnode.admin.finding import about, find_account
from mailnode.admin.operations import Count, OperationFailed, Reason, operation
from mailnode.errors import NoSuchScript
from mailnode.sieve.rules import (
    SCRIPT,
    AwayNotice,
    ChangedByHand,
    MailRule,
    MailRules,
    RulesRefused,
    read_condition,
    read_rules,
    write_rules,
)
from mailnode.values.directory import Account
from mailnode.values.mailbox_name import mailbox_name

AT_THE_END = Count(0)
USUAL_DAYS = Count(7)


class RuleRecord(TypedDict):
    """A rule."""

    name: str
    when: list[str]  # conditions in words; none: every message
    any_of: bool  # whether one of them is enough
    folder: str
    flags: list[str]
    forward: str
    keeps_copy: bool  # of what is forwarded
    delete: bool
    stop: bool


class AwayRecord(TypedDict):
    """What is answered while somebody is away."""

    text: str
    subject: str  # "": one made of the message's
    days: int
    first: str  # a day, such as 2026-12-20; "": no bound
    last: str


class RulesRecord(TypedDict):
    """The rules of an account, in their order."""

    account: str
    script: str
    active: bool
    active_script: str  # which one is; "": none
    rules: list[RuleRecord]
    away: AwayRecord | None


@operation("filter.list")
async def filter_list(admin: Administration, account: str) -> RulesRecord:
    """List the rules of an account, and what is answered while its owner is away."""
    found = await find_account(admin, account)
    return await _told(admin, found, (await _rules(admin, found)).rules)


@operation("filter.add", changes=True)
async def filter_add(
    admin: Administration,
    account: str,
    name: str,
    when: list[str] | None = None,
    any_of: bool = False,
    folder: str = "",
    flags: list[str] | None = None,
    forward: str = "",
    no_copy: bool = False,
    delete: bool = False,
    stop: bool = False,
    position: Count = AT_THE_END,
    activate: bool = False,
) -> RulesRecord:
    """Add a rule. The first one has the script of rules be active, unless another one is."""
    rule = _made(name, when, any_of, folder, flags, forward, no_copy, delete, stop)
    found = await find_account(admin, account)
    before = await _rules(admin, found)
    rules = list(before.rules.rules)
    rules.insert(position - 1 if position else len(rules), rule)
    return await _kept(admin, found, before, replace(before.rules, rules=tuple(rules)), activate)


@operation("filter.change", changes=True)
async def filter_change(
    admin: Administration,
    account: str,
    name: str,
    when: list[str] | None = None,
    any_of: bool = False,
    folder: str = "",
    flags: list[str] | None = None,
    forward: str = "",
    no_copy: bool = False,
    delete: bool = False,
    stop: bool = False,
    new_name: str = "",
    activate: bool = False,
) -> RulesRecord:
    """Put another rule in the place of one: what is not said of it anew is not so any more."""
    rule = _made(new_name or name, when, any_of, folder, flags, forward, no_copy, delete, stop)
    found = await find_account(admin, account)
    before = await _rules(admin, found)
    rules = list(before.rules.rules)
    rules[_place(before.rules, name)] = rule
    return await _kept(admin, found, before, replace(before.rules, rules=tuple(rules)), activate)


@operation("filter.remove", changes=True)
async def filter_remove(admin: Administration, account: str, name: str) -> RulesRecord:
    """Remove a rule. The script as it was stays as a version."""
    found = await find_account(admin, account)
    before = await _rules(admin, found)
    rules = list(before.rules.rules)
    del rules[_place(before.rules, name)]
    return await _kept(admin, found, before, replace(before.rules, rules=tuple(rules)), activate=False)


@operation("filter.move", changes=True)
async def filter_move(admin: Administration, account: str, name: str, position: Count) -> RulesRecord:
    """Move a rule to another place, counted from 1: the first rules are asked first."""
    found = await find_account(admin, account)
    before = await _rules(admin, found)
    rules = list(before.rules.rules)
    rule = rules.pop(_place(before.rules, name))
    rules.insert(max(position - 1, 0), rule)
    return await _kept(admin, found, before, replace(before.rules, rules=tuple(rules)), activate=False)


@operation("filter.vacation", changes=True)
async def filter_vacation(
    admin: Administration,
    account: str,
    text: str = "",
    subject: str = "",
    days: Count = USUAL_DAYS,
    first: str = "",
    last: str = "",
    off: bool = False,
    activate: bool = False,
) -> RulesRecord:
    """Answer mail while the owner of an account is away."""
    if off == bool(text):
        raise OperationFailed(Reason.WRONG_VALUE, "say what is answered, or off")
    away = None if off else AwayNotice(text.replace("\r\n", "\n"), subject, days, _day(first), _day(last))
    found = await find_account(admin, account)
    before = await _rules(admin, found)
    return await _kept(admin, found, before, replace(before.rules, away=away), activate)


def _made(
    name: str,
    when: list[str] | None,
    any_of: bool,
    folder: str,
    flags: list[str] | None,
    forward: str,
    no_copy: bool,
    delete: bool,
    stop: bool,
) -> MailRule:
    """:raises RulesRefused: :raises BadMailboxName:"""
    conditions = tuple(map(read_condition, when or ()))
    filed = mailbox_name(folder) if folder else ""
    any_of = any_of and len(conditions) > 1
    return MailRule(name, conditions, any_of, filed, tuple(flags or ()), forward, not no_copy, delete, stop)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise RulesRefused(f"{text}: a day is written as 2026-12-20") from None


def _place(rules: MailRules, name: str) -> int:
    for number, rule in enumerate(rules.rules):
        if rule.name == name:
            return number
    raise OperationFailed(Reason.NOT_FOUND, f"{name}: no such rule")


@dataclass(frozen=True, slots=True)
class _Kept:
    """Rules as they are kept. ``digest``: of their script, "" when there is none."""

    rules: MailRules
    digest: str


async def _rules(admin: Administration, account: Account) -> _Kept:
    """:raises OperationFailed: the script says what rules do not."""
    try:
        script = await admin.scripts.read(account.id, SCRIPT)
    except NoSuchScript:
        return _Kept(MailRules(), "")
    try:
        return _Kept(await admin.threads.run("cpu", read_rules, script.source), script.digest)
    except ChangedByHand as changed:
        text = (
            f"{account.address}: the script {SCRIPT} was changed by hand at line {changed.line}, to what rules cannot say, and"
            " is left as it is: go on with sieve show and sieve put, or rename it, or delete it, and begin with new rules"
        )
        raise OperationFailed(Reason.CONFLICT, text) from None


async def _kept(
    admin: Administration, account: Account, before: _Kept, rules: MailRules, activate: bool
) -> RulesRecord:
    """Store rules as a script. :raises RulesRefused: they cannot be. :raises ScriptChanged: others are kept meanwhile."""
    source = await admin.threads.run("cpu", write_rules, rules)
    with about(account.address):
        await admin.scripts.put(account.id, SCRIPT, source, admin.script_quota(), before.digest)
    if activate or (before.rules == MailRules() and await admin.scripts.active(account.id) is None):
        await admin.scripts.activate(account.id, SCRIPT)
    return await _told(admin, account, rules)


async def _told(admin: Administration, account: Account, rules: MailRules) -> RulesRecord:
    active = await admin.scripts.active(account.id)
    name = active.name if active is not None else ""
    away = rules.away
    return {
        "account": account.address,
        "script": SCRIPT,
        "active": name == SCRIPT,
        "active_script": name,
        "rules": [_record(rule) for rule in rules.rules],
        "away": None
        if away is None
        else {
            "text": away.text,
            "subject": away.subject,
            "days": away.days,
            "first": away.first.isoformat() if away.first is not None else "",
            "last": away.last.isoformat() if away.last is not None else "",
        },
    }


def _record(rule: MailRule) -> RuleRecord:
    return {
        "name": rule.name,
        "when": [one.words() for one in rule.conditions],
        "any_of": rule.any_of,
        "folder": rule.folder,
        "flags": list(rule.flags),
        "forward": rule.forward,
        "keeps_copy": rule.keeps_copy,
        "delete": rule.delete,
        "stop": rule.stop,
    }
