"""Rules as people make them, as data, and the Sieve script that they are: each can be made of the other.

The script stays readable: a comment has the name of each rule. What is read of a script is written again and compared with it, so
that nothing that a person wrote into it by hand is ever taken for a rule, or lost: :class:`ChangedByHand` has the line instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import zip_longest

from mailnode.errors import BadMailboxName
from mailnode.sieve.checker import compile_script
from mailnode.sieve.faults import ScriptRefused
from mailnode.sieve.flag_lists import flag_list
from mailnode.sieve.lexer import decoded
from mailnode.sieve.parser import parse
from mailnode.sieve.tree import ScriptNode
from mailnode.sieve.writer import quoted
from mailnode.values import units
from mailnode.values.mailbox_name import mailbox_name

SCRIPT = "filters"  # what the script of rules is called

MAX_RULES = 500
MAX_CONDITIONS = 50  # of one rule
MAX_TEXT = 500  # characters of what is compared, of a name or a subject
MAX_ANSWER = 10_000  # characters of what somebody who is away says
MAX_DAYS = 365
MAX_OCTETS = 1 << 40

FROM, TO, SUBJECT, LIST, HEADER, OVER, UNDER = "from", "to", "subject", "list", "header", "over", "under"
SIZES = (OVER, UNDER)

_HEAD = '# Filters, made by "mailnode filter". What stands here otherwise than it writes it is left alone.'
_RULE = "# Rule: "
_AWAY = "# Away"
_FIELDS = {FROM: '"from"', TO: '["to", "cc"]', SUBJECT: '"subject"', LIST: '"list-id"'}
_OF_FIELDS: dict[object, str] = {"from": FROM, ("to", "cc"): TO, "subject": SUBJECT, "list-id": LIST}
_ADDRESSES = (FROM, TO)  # that they are something means one of the addresses in them
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_UNSAFE_IN_ANSWERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_FIELD_NAME = re.compile(r"[!-9;-~]{1,100}")  # RFC 5322 3.6.8
_WORDS = re.compile(r"(?:(from|to|subject|list)|header (\S+)) (contains|is) (.+)", re.DOTALL)
_SIZE_WORDS = re.compile(r"size (over|under) (\S+)")


class RulesRefused(ValueError):
    """Rules that cannot be; the text says why."""


class ChangedByHand(Exception):
    """A script that says what rules do not. ``line`` counts from 1."""

    def __init__(self, line: int) -> None:
        super().__init__(f"line {line}")
        self.line = line


@dataclass(frozen=True, slots=True)
class RuleCondition:
    """What a message has. ``text`` stands in the fields that ``what`` names: from, to or cc, subject, List-Id, or the header field
    ``name``; or it is all of one, or of one address of From, To or Cc, where it is ``exact``. A size is more or less than so many
    ``octets``. Capital letters are like small ones."""

    what: str
    text: str = ""
    exact: bool = False
    name: str = ""
    octets: int = 0

    def words(self) -> str:
        """Return it as :func:`read_condition` reads it."""
        if self.what in SIZES:
            return f"size {self.what} {_number(self.octets)}"
        about = f"header {self.name}" if self.what == HEADER else self.what
        return f"{about} {'is' if self.exact else 'contains'} {self.text}"


@dataclass(frozen=True, slots=True)
class MailRule:
    """What is done with messages that have all of ``conditions``, or ``any_of`` them; without conditions with each.

    :param folder: "": it is not filed. :param forward: an address, "" for none. :param keeps_copy: of what is forwarded.
    :param stop: no rule behind this one is asked."""

    name: str
    conditions: tuple[RuleCondition, ...] = ()
    any_of: bool = False
    folder: str = ""
    flags: tuple[str, ...] = ()
    forward: str = ""
    keeps_copy: bool = True
    delete: bool = False
    stop: bool = False


@dataclass(frozen=True, slots=True)
class AwayNotice:
    """The answer of somebody who is away, from the first to the last of these days, both included; None is no such bound.

    :param days: within which nobody gets it twice."""

    text: str
    subject: str = ""
    days: int = 7
    first: date | None = None
    last: date | None = None


@dataclass(frozen=True, slots=True)
class MailRules:
    """The rules of an account, in their order, before which comes the answer."""

    rules: tuple[MailRule, ...] = ()
    away: AwayNotice | None = None


def about_header(name: str, text: str, exact: bool) -> RuleCondition:
    """Return the condition about a header field, whatever there is of it."""
    folded = name.lower()
    what = _OF_FIELDS.get(folded, HEADER)
    if what == HEADER or (what in _ADDRESSES and exact):
        return RuleCondition(HEADER, text, exact, folded)
    return RuleCondition(what, text, exact)


def read_condition(words: str) -> RuleCondition:
    """Read ``from contains bob``, ``subject is Hello``, ``header x-spam contains yes``, ``size over 1M``.

    :raises RulesRefused: it is none of these."""
    if found := _WORDS.fullmatch(words):
        exact = found[3] == "is"
        return RuleCondition(found[1], found[4], exact) if found[1] else about_header(found[2], found[4], exact)
    if found := _SIZE_WORDS.fullmatch(words):
        try:
            octets = int(found[2]) if found[2].isascii() and found[2].isdecimal() else units.octets(found[2])
        except ValueError as error:
            raise RulesRefused(f"{words}: {error}") from None
        return RuleCondition(found[1], octets=octets)
    raise RulesRefused(
        f"{words}: a condition is one of: from, to, subject, list or header NAME, then contains or is, then a text; or size over,"
        " or under, and a number of octets"
    )


# writing


def write_rules(rules: MailRules) -> bytes:
    """Return the script. :raises RulesRefused: they cannot be."""
    _check(rules)
    source = _written(rules).encode("utf-8")
    try:
        compile_script(source)
    except ScriptRefused as refused:  # an address that is none, a script that is too large
        raise RulesRefused(refused.mistakes[0].text) from None
    return source


def _written(rules: MailRules) -> str:
    lines = [_HEAD]
    if required := _required(rules):
        lines.append(f"require {_strings(required)};")
    if rules.away is not None:
        lines += ["", _AWAY, *_away(rules.away)]
    for rule in rules.rules:
        lines += ["", _RULE + rule.name, *_rule(rule)]
    return "".join(line + "\n" for line in lines).replace("\n", "\r\n")


def _required(rules: MailRules) -> list[str]:
    away = rules.away
    uses = {
        "copy": any(rule.forward and rule.keeps_copy for rule in rules.rules),
        "date": away is not None and (away.first or away.last),
        "fileinto": any(rule.folder for rule in rules.rules),
        "imap4flags": any(rule.flags for rule in rules.rules),
        "mailbox": any(rule.folder for rule in rules.rules),
        "relational": away is not None and (away.first or away.last),
        "vacation": away is not None,
    }
    return [name for name, used in uses.items() if used]


def _rule(rule: MailRule) -> Iterator[str]:
    tests = [_test(one) for one in rule.conditions] or ["true"]
    yield from _if(tests, "anyof" if rule.any_of else "allof", list(_actions(rule)))


def _actions(rule: MailRule) -> Iterator[str]:
    if rule.flags:
        yield f"addflag {_strings(rule.flags)};"
    if rule.folder:
        yield f"fileinto :create {quoted(rule.folder)};"
    if rule.forward:
        yield f"redirect {':copy ' if rule.keeps_copy else ''}{quoted(rule.forward)};"
    if rule.delete:
        yield "discard;"
    if rule.stop:
        yield "stop;"


def _away(away: AwayNotice) -> Iterator[str]:
    subject = f" :subject {quoted(away.subject)}" if away.subject else ""
    vacation = f"vacation :days {away.days}{subject} {quoted(away.text)};"
    bounds = (("ge", away.first), ("le", away.last))
    tests = [f'currentdate :value "{how}" "date" "{day.isoformat()}"' for how, day in bounds if day is not None]
    if tests:
        yield from _if(tests, "allof", [vacation])
    else:
        yield vacation


def _if(tests: Sequence[str], joined: str, commands: Sequence[str]) -> Iterator[str]:
    if len(tests) == 1:
        yield f"if {tests[0]} {{"
    else:
        yield f"if {joined} ("
        yield from [f"    {test}," for test in tests[:-1]]
        yield f"    {tests[-1]}"
        yield ") {"
    yield from [f"    {command}" for command in commands]
    yield "}"


def _test(one: RuleCondition) -> str:
    if one.what in SIZES:
        return f"size :{one.what} {_number(one.octets)}"
    test = "address" if one.exact and one.what in _ADDRESSES else "header"
    fields = quoted(one.name) if one.what == HEADER else _FIELDS[one.what]
    return f"{test} :{'is' if one.exact else 'contains'} {fields} {quoted(one.text)}"


def _strings(texts: Sequence[str]) -> str:
    return quoted(texts[0]) if len(texts) == 1 else f"[{', '.join(map(quoted, texts))}]"


def _number(octets: int) -> str:
    """A number as RFC 5228 2.4.1 has it, with the largest unit that leaves it whole."""
    for unit, power in (("G", 30), ("M", 20), ("K", 10)):
        if octets and octets % (1 << power) == 0:
            return f"{octets >> power}{unit}"
    return str(octets)


# what can be said


def _check(rules: MailRules) -> None:
    """:raises RulesRefused:"""
    if len(rules.rules) > MAX_RULES:
        raise RulesRefused(f"there are more than {MAX_RULES} rules")
    names = [rule.name for rule in rules.rules]
    for rule in rules.rules:
        if names.count(rule.name) > 1:
            raise RulesRefused(f"{rule.name}: two rules have this name")
        for fault in _faults(rule):
            raise RulesRefused(f"{rule.name}: {fault}")
    for fault in _away_faults(rules.away) if rules.away is not None else ():
        raise RulesRefused(fault)


def _faults(rule: MailRule) -> Iterator[str]:
    if not _is_text(rule.name) or rule.name != rule.name.strip():
        yield f"a name is a line of at most {MAX_TEXT} characters"
    if len(rule.conditions) > MAX_CONDITIONS:
        yield f"a rule has at most {MAX_CONDITIONS} conditions"
    if rule.any_of and len(rule.conditions) < 2:
        yield "any of them is said of two conditions or more"
    for condition in rule.conditions:
        yield from _condition_faults(condition)
    if not any(_actions(rule)):
        yield "nothing is done"
    if rule.delete and (rule.folder or rule.flags or rule.forward):
        yield "what is deleted is neither filed nor forwarded: to forward without a copy is enough"
    if not rule.keeps_copy and (not rule.forward or rule.folder or rule.flags):
        yield "without a copy is said of what is forwarded, and not filed"
    if rule.folder and _folder(rule.folder) != rule.folder:
        yield f"no mailbox can be named {rule.folder!r}"
    if list(rule.flags) != flag_list(rule.flags):
        yield f"these are no flags, each once: {' '.join(rule.flags)}"
    if rule.forward and not _is_text(rule.forward):
        yield "mail is forwarded to one address"


def _condition_faults(one: RuleCondition) -> Iterator[str]:
    if one.what in SIZES:
        if not 0 < one.octets < MAX_OCTETS or one != RuleCondition(one.what, octets=one.octets):
            yield "a size is a number of octets"
    elif one.what == HEADER:
        if not _FIELD_NAME.fullmatch(one.name):
            yield f"no header field is named {one.name[:80]!r}"
        elif one != about_header(one.name, one.text, one.exact):
            yield f"the field {one.name} has a condition of its own"
    elif one.what not in _FIELDS or one != RuleCondition(one.what, one.text, one.exact):
        yield f"there is no condition {one.what[:80]!r}"
    if one.what not in SIZES and not _is_text(one.text):
        yield f"what is compared is a line of at most {MAX_TEXT} characters"


def _away_faults(away: AwayNotice) -> Iterator[str]:
    if not away.text.strip() or len(away.text) > MAX_ANSWER or _UNSAFE_IN_ANSWERS.search(away.text):
        yield f"an answer is a text of at most {MAX_ANSWER} characters"
    if away.subject and not _is_text(away.subject):
        yield f"a subject is a line of at most {MAX_TEXT} characters"
    if not 0 < away.days <= MAX_DAYS:
        yield f"the same person is answered again after 1 to {MAX_DAYS} days"
    if away.first is not None and away.last is not None and away.first > away.last:
        yield "the first day is behind the last"


def _is_text(text: str) -> bool:
    return 0 < len(text) <= MAX_TEXT and not _UNSAFE.search(text)


def _folder(text: str) -> str:
    try:
        return mailbox_name(text)
    except BadMailboxName:
        return ""


# reading


def read_rules(source: bytes) -> MailRules:
    """Return the rules that a script is. :raises ChangedByHand: it is not what is written of any."""
    try:
        text = decoded(source).replace("\r\n", "\n")
        nodes = parse(text)
    except ScriptRefused as refused:
        raise ChangedByHand(refused.mistakes[0].line) from None
    lines = text.split("\n")
    away: AwayNotice | None = None
    rules: dict[str, MailRule] = {}
    for node in nodes:
        if node.name == "require":
            continue
        above = lines[node.line - 2]
        if above == _AWAY and away is None and not rules:
            away = _read_away(node)
            is_wrong = any(_away_faults(away))
        else:
            rule = _read_rule(node, above)
            is_wrong = rule.name in rules or any(_faults(rule))
            rules[rule.name] = rule
        if is_wrong or len(rules) > MAX_RULES:
            raise ChangedByHand(node.line)
    found = MailRules(tuple(rules.values()), away)
    for number, (there, wanted) in enumerate(zip_longest(lines, _written(found).replace("\r\n", "\n").split("\n")), 1):
        if there != wanted:
            raise ChangedByHand(min(number, len(lines)))
    return found


def _read_rule(node: ScriptNode, above: str) -> MailRule:
    """Return the rule that an ``if`` is, as far as it is one: what else there is of it shows when it is written.

    :raises ChangedByHand: it is none."""
    if node.name != "if" or node.block is None or not above.startswith(_RULE):
        raise ChangedByHand(node.line)
    test = node.tests[0] if node.tests else node
    tests = test.tests if test.name in ("allof", "anyof") else () if test.name == "true" else node.tests
    done = {command.name: _values(command) for command in node.block}
    flags, folder, forward = (done[name][-1:] if name in done else () for name in ("addflag", "fileinto", "redirect"))
    marks = flags[0] if flags and isinstance(flags[0], tuple) else flags
    return MailRule(
        above.removeprefix(_RULE),
        tuple([_read_test(one) for one in tests]),
        test.name == "anyof",
        "".join(map(str, folder)),
        tuple(map(str, marks)),
        "".join(map(str, forward)),
        "redirect" not in done or "copy" in done["redirect"][:-1],
        "discard" in done,
        "stop" in done,
    )


def _read_test(test: ScriptNode) -> RuleCondition:
    match test.name, _values(test):
        case "size", ("over" | "under" as bound, int(octets)):
            return RuleCondition(bound, octets=octets)
        case "header" | "address", ("contains" | "is" as how, str() | tuple() as fields, str(text)):
            what = _OF_FIELDS.get(fields)
            if what is not None and (test.name == "address") == (how == "is" and what in _ADDRESSES):
                return RuleCondition(what, text, how == "is")
            if isinstance(fields, str):
                return RuleCondition(HEADER, text, how == "is", fields)
    raise ChangedByHand(test.line)


def _read_away(node: ScriptNode) -> AwayNotice:
    bounds: dict[str, date] = {}
    if node.name == "if" and node.block is not None and len(node.block) == 1 and len(node.tests) == 1:
        test = node.tests[0]
        for one in test.tests if test.name == "allof" else node.tests:
            match one.name, _values(one):
                case "currentdate", ("value", "ge" | "le" as how, "date", str(day)) if _day(day) is not None:
                    bounds[how] = date.fromisoformat(day)
        node = node.block[0]
    match _values(node):
        case ("days", int(days), "subject", str(subject), str(text)):
            return AwayNotice(_unfolded(text), subject, days, bounds.get("ge"), bounds.get("le"))
        case ("days", int(days), str(text)):
            return AwayNotice(_unfolded(text), "", days, bounds.get("ge"), bounds.get("le"))
    raise ChangedByHand(node.line)


def _values(node: ScriptNode) -> tuple[int | str | tuple[str, ...], ...]:
    return tuple(argument.value for argument in node.arguments)


def _unfolded(text: str) -> str:
    return text.replace("\r\n", "\n")


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
