"""What is said to people about each operation on rules."""

from __future__ import annotations

import click

from mailnode.admin.rules import AwayRecord, RuleRecord, RulesRecord
from mailnode.ctl.display import as_text, table
from mailnode.ctl.parts import show, shown
from mailnode.ctl.wording import Words


def _rules(result: RulesRecord) -> str:
    rows = [
        {"no.": number, "name": rule["name"], "when": _when(rule), "then": _then(rule)}
        for number, rule in enumerate(result["rules"], 1)
    ]
    lines = [table(rows, ("no.", "name", "when", "then")) or "no rules"]
    if result["away"] is not None:
        lines += ["", *_away(result["away"])]
    if not result["active"] and (rows or result["away"]):
        lines += ["", f"not in use: {_instead(result)}"]
    return "\n".join(lines)


def _when(rule: RuleRecord) -> str:
    return (" or " if rule["any_of"] else " and ").join(rule["when"]) or "always"


def _then(rule: RuleRecord) -> str:
    done = []
    if rule["flags"]:
        done.append(f"flag {' '.join(rule['flags'])}")
    if rule["folder"]:
        done.append(f"file into {rule['folder']}")
    if rule["forward"]:
        done.append(f"forward to {rule['forward']}" + ("" if rule["keeps_copy"] else ", keep no copy"))
    return ", ".join([*done, *["delete"] * rule["delete"], *["stop"] * rule["stop"]])


def _away(away: AwayRecord) -> list[str]:
    first, last = away["first"] and f" from {away['first']}", away["last"] and f" until {away['last']}"
    subject = f", subject {as_text(away['subject'])}" if away["subject"] else ""
    days = f"{away['days']} day{'s' * (away['days'] != 1)}"
    head = f"away{first}{last}, the same person is answered again after {days}{subject}:"
    return [head, *(f"  {as_text(line)}" for line in away["text"].split("\n"))]


def _instead(result: RulesRecord) -> str:
    other = (
        f"the script {as_text(result['active_script'])} is active" if result["active_script"] else "no script is active"
    )
    return f"{other}; mailnode sieve activate {as_text(result['account'])} {result['script']}"


def _done(result: RulesRecord, as_json: bool) -> None:
    """Print what is there now for a script, or warn a person that it is not in use."""
    if as_json:
        show(result, as_json, str)
    elif not result["active"]:
        click.echo(f"mailnode: warning: these rules are not in use: {_instead(result)}", err=True)


_RULE = {
    "folder": "File it in this mailbox, which is made when it is not there.",
    "forward": "Send it on to this address.",
    "no_copy": "Keep none of what is sent on.",
    "delete": "Keep it nowhere.",
    "stop": "Ask no rule behind this one.",
    "activate": "Have the rules be what filters the mail of ACCOUNT.",
}
_INSTEAD = {
    "when": [
        click.Option(
            ["--when"],
            multiple=True,
            metavar="CONDITION",
            help='What a message has: "from contains bob", "subject is Hello", "size over 5M". Again for more.',
        )
    ],
    "any_of": [click.Option(["--any", "any_of"], is_flag=True, help="One of the conditions is enough.")],
    "flags": [click.Option(["--flag", "flags"], multiple=True, help=r"Set this flag: \Flagged, \Seen, or a keyword.")],
}
_CONDITIONS = """A condition is one of: from, to (or Cc), subject, list (List-Id) or header NAME, then contains or is, then a
        text; or size over, or under, and a number of octets. Capital letters are like small ones."""

RULE_WORDS = {
    "filter.list": Words(
        "List the rules of ACCOUNT, and what is answered while its owner is away. Their script is shown by"
        " `mailnode sieve show ACCOUNT filters`.",
        shown(_rules),
    ),
    "filter.add": Words(
        f"""Add a rule NAME to the rules of ACCOUNT, at their end.

        {_CONDITIONS}

        Rules are kept as a script, filters, which is active from the first rule on, unless another one is. One that was changed by
        hand to what rules cannot say is left alone.
        """,
        _done,
        options=_RULE | {"position": "Its place among the rules, from 1 on; 0: the last."},
        instead=_INSTEAD,
    ),
    "filter.change": Words(
        f"""Put another rule in the place of the rule NAME: what is not said of it anew is not so any more.

        {_CONDITIONS}
        """,
        _done,
        options=_RULE | {"new_name": "Call it so."},
        instead=_INSTEAD,
    ),
    "filter.remove": Words("Remove a rule. The script as it was stays as a version.", _done),
    "filter.move": Words("Move a rule to another place, counted from 1: the first rules are asked first.", _done),
    "filter.vacation": Words(
        """Answer mail to ACCOUNT with TEXT while its owner is away; with --off, no more.

        Nobody is answered twice within the days, and neither lists nor programs are.
        """,
        _done,
        options={
            "subject": 'Of the answers; without it: "Auto: " and that of the message.',
            "days": "Within which nobody is answered twice.",
            "first": "The first day, such as 2026-12-20; without it: from now on.",
            "last": "The last day; without it: until --off.",
            "off": "Answer no more.",
            "activate": "Have the rules be what filters the mail of ACCOUNT.",
        },
        instead={"text": [click.Argument(["text"], metavar="[TEXT]", required=False, default="")]},
    ),
}
