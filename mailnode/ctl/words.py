"""What is said to people about each operation: the command's help, its options' help, the question before what destroys,
how the result reads. What is not said here comes from the operation's own declaration."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import click

from mailnode.admin.judging import MAX_JUDGED
from mailnode.admin.operations import OperationFailed, Reason
from mailnode.admin.published import ZoneCheck, ZoneRecords
from mailnode.admin.store import StoreVerified
from mailnode.ctl import display, zone
from mailnode.ctl.parts import OctetsType, Place, changed, show, shown

Given: TypeAlias = dict[str, Any]  # the arguments of a command by name, each of its parameter's type
Output = Callable[[Any, bool], None]  # of a result and whether JSON is wanted
J = TypeVar("J", ZoneCheck, StoreVerified)


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one operation."""

    help: str = ""  # "": the operation's own
    output: Output | None = None  # None: nothing is printed when it is done, not even as JSON
    question: str = ""  # before it destroys; with the arguments as ``{address}``
    path: tuple[str, ...] = ()  # the command's words where they are not those of the operation's name
    options: Mapping[str, str] = field(default_factory=dict)  # a parameter's help
    instead: Mapping[str, Sequence[click.Parameter]] = field(default_factory=dict)  # of what is made of a parameter
    prepare: Callable[[Place, Given], None] | None = None  # looks at what was given, and may change it
    is_command: bool = True  # False: other commands ask for it


# Words of an operation that nobody has found some for.
GENERIC = Words(output=shown(display.anything))

GROUPS = {
    "domain": "Domains this server receives mail for.",
    "account": "Accounts: mailboxes with a login.",
    "alias": "Aliases: addresses that stand for others.",
    "grant": "Who may send as an address that is not theirs alone: an alias for several, or another account's.",
    "suppression": "Recipients that bounced, and that an account is not let write to for a while.",
    "filter": "What the filters of accounts have learnt from what people do with their mail.",
    "store": "The files of the store.",
    "mailbox": "Mailboxes of an account.",
    "queue": "Mail that waits for another server.",
    "policy": "What judges the mail that comes in.",
    "tls": "How well connections to servers of other domains are encrypted, and reports of it.",
    "dmarc": "Mail that says it is from domains here, as other servers report it, and what they are told.",
}


def _read_file(place: Place, given: Given) -> None:
    with given["content"] as file:
        given["content"] = b64encode(file.read(MAX_JUDGED + 1)).decode("ascii")
    given["recipients"] = list(given["recipients"])


def _check_new(place: Place, given: Given) -> None:
    place.call("account.check", address=given["address"], new=True)  # before anybody types a password in vain


def _both_suspend(place: Place, given: Given) -> None:
    if given.pop("no_receive"):  # with --no-login it is what is done without either
        given["status"] = None if given["status"] else "no-receive"


def _check_known(place: Place, given: Given) -> None:
    place.call("account.check", address=given["address"])


def _choose_one(place: Place, given: Given) -> None:
    everything = given.pop("everything")
    filtered = any(given[name] is not None for name in _FILTER)
    if sum((given["envelope_id"] is not None, given["destination"] is not None, filtered, everything)) != 1:
        raise OperationFailed(
            Reason.WRONG_VALUE, "give an envelope, --destination, what recipients have in common, or --all"
        )


def _prepare_records(place: Place, given: Given) -> None:
    click.get_current_context().meta["form"] = given.pop("form")
    if given["next_digest"] is not None:
        from mailnode.ctl.direct import key_digest

        given["next_digest"] = key_digest(given["next_digest"])


def _records(result: ZoneRecords, as_json: bool) -> None:
    form = click.get_current_context().meta["form"]
    show(result, as_json, zone.as_lines if form == "plain" else zone.as_zone_file)


def _judged(human: Callable[[J], str]) -> Callable[[J, bool], None]:
    """Return what prints a result, and has the command end with 1 when it is not ``ok``."""

    def judged(result: J, as_json: bool) -> None:
        show(result, as_json, human)
        if not result["ok"]:
            click.get_current_context().exit(1)

    return judged


_ENVELOPE = {"envelope_id": [click.Argument(["envelope_id"], metavar="ENVELOPE")]}
_FILTER = {
    "domain": "Recipients in this domain, or whose mail goes to this next hop.",
    "sender": 'Mail from this address or this domain; "<>": from the null sender.',
    "older_than": "Mail that came more than so long ago: 90, 30m, 2h, 7d.",
    "state": "Recipients in this state; deferred ones wait after a try.",
    "reason": "Recipients that wait for this reason, a word of queue summary.",
    "reply": "Recipients with this text in their last status or reply.",
}
_ENVELOPE_OR_FILTER = {"envelope_id": [click.Argument(["envelope_id"], metavar="[ENVELOPE]", required=False)]}
_OF_ENVELOPE = {"recipient": "Only this recipient of the envelope."}
_DESTINATION = {"destination": [click.Argument(["destination"], metavar="[DESTINATION]", required=False)]}
_OCTETS_HELD = "Octets of mail it may hold, 500M or 2G too; 0: no limit."
_MESSAGES_HELD = "Messages it may hold; 0: no limit."

WORDS = {
    # Domains
    "domain.add": Words(
        "Add a domain, with keys that sign its mail.",
        options={"alias_of": "Every address of NAME is looked up in this domain instead."},
    ),
    "domain.list": Words("List all domains.", shown(display.domains)),
    "domain.show": Words("Show one domain and what stands in it.", shown(display.record)),
    "domain.change": Words(
        "Change a domain's catch-all address or separator.",
        changed,
        options={
            "catch_all": "The address that takes what no other does; empty: none.",
            "separator": "What begins the detail of an address; empty: no details.",
        },
    ),
    "domain.remove": Words(
        "Remove an empty domain. One that the configuration file names stays.", changed, "Remove the domain {name}?"
    ),
    "domain.records": Words(
        """Print the DNS records to publish for a domain, each with what it is for.

        As text for a zone file; with --form plain line by line, as a provider's web pages ask for them.
        """,
        _records,
        instead={
            "name": [
                click.Argument(["name"]),
                click.Option(
                    ["--form"], type=click.Choice(["bind", "plain"]), default="bind", help="How they are written."
                ),
            ],
            "next_digest": [
                click.Option(
                    ["--next-key", "next_digest"],
                    type=click.Path(path_type=Path),
                    help="A PEM file with the private key of the next certificate, for a TLSA record of it too.",
                )
            ],
        },
        prepare=_prepare_records,
    ),
    "domain.check": Words(
        """Compare the DNS records of a domain with what they should be, and say how to mend each.

        Asks the resolvers of [dns], right now. Ends with 1 when one is missing, wrong or could not be asked.
        """,
        _judged(zone.as_verdicts),
    ),
    "domain.dkim": Words(
        "Show the keys that sign a domain's mail (DKIM), each with its DNS record.", shown(zone.dkim_keys)
    ),
    "domain.dkim-rotate": Words(
        "Make the next pair of keys. Publish its records: it signs when DNS has them; the first pair of a domain signs at once.",
        shown(zone.dkim_keys),
    ),
    "domain.dkim-activate": Words(
        "Let keys sign now: those of SELECTORS, or all that wait. What signed before is retired. Publish their records first.",
        shown(zone.dkim_keys),
        instead={"selectors": [click.Argument(["selectors"], metavar="[SELECTORS]...", nargs=-1)]},
    ),
    "domain.dkim-retire": Words(
        "Let a key sign no more. Its record stays in DNS until the mail it signed has arrived.", shown(zone.dkim_keys)
    ),
    "domain.dkim-remove": Words(
        "Remove a key that does not sign. Take its record out of DNS then.",
        shown(zone.dkim_keys),
        "Remove the key {selector} of {name}? Mail that it signed can no longer be verified once its record is gone.",
    ),
    # Accounts
    "account.add": Words(
        "Add an account; its domain must exist. Weak passwords are refused, see [auth] in the configuration.",
        options={"quota_bytes": _OCTETS_HELD, "quota_messages": _MESSAGES_HELD, "role": "Whose account it is."},
        prepare=_check_new,
    ),
    "account.check": Words(is_command=False),
    "account.list": Words("List accounts.", shown(display.accounts), options={"domain": "Only those of this domain."}),
    "account.show": Words("Show one account: addresses, quota, usage, kinds of credentials.", shown(display.account)),
    "account.password": Words(
        "Set a new password. Sessions that logged in with the old one end. Weak ones are refused, see [auth].",
        prepare=_check_known,
    ),
    "account.disable": Words(
        "Suspend an account: no logins, no new mail. Live sessions end.",
        instead={
            "status": [
                click.Option(
                    ["--no-login", "status"], flag_value="no-login", help="Forbid logins; mail still comes in."
                ),
                click.Option(["--no-receive"], is_flag=True, help="Refuse new mail; logins still work."),
            ]
        },
        prepare=_both_suspend,
    ),
    "account.enable": Words("Undo disable."),
    "account.role": Words("Make an account a user's or an administrator's."),
    "account.quota": Words(
        "Change the quota where one is given, and show it.",
        shown(display.account),
        instead={
            "quota_bytes": [click.Option(["--bytes", "quota_bytes"], type=OctetsType(), help=_OCTETS_HELD)],
            "quota_messages": [
                click.Option(["--messages", "quota_messages"], type=click.IntRange(0), help=_MESSAGES_HELD)
            ],
        },
    ),
    "account.sending": Words(
        "Show what an account sent within the hour and the day, what it may, and whom it is not let write to.",
        shown(display.sending),
    ),
    "account.limits": Words(
        "Give an account limits of its own where one is given, and show what it sends.",
        shown(display.sending),
        options={
            "recipients_per_hour": "Recipients within an hour; 0: no limit.",
            "messages_per_hour": "Messages within an hour; 0: no limit.",
            "new_recipients_per_day": "Recipients within a day that it did not send to before; 0: no limit.",
            "usual": "Take back those that are not given: what the configuration says holds.",
        },
    ),
    "account.release": Words(
        "Let go what is held of an account that sent unusually much, and hold no more of its mail.",
        shown(display.record),
    ),
    "account.address.add": Words("Give the account ADDRESS the address FURTHER too.", path=("account", "add-address")),
    "account.address.remove": Words(
        "Take a further address away from its account.",
        changed,
        "Take the address {further} away from its account?",
        path=("account", "remove-address"),
    ),
    "account.remove": Words(
        "Remove an account and all its mail. Live sessions end.", changed, "Remove {address} and all its mail?"
    ),
    # Aliases
    "alias.add": Words(
        "Let ADDRESS stand for TARGETS.",
        changed,
        options={
            "replace": "Replace the alias if there is one.",
            "detail": "What becomes of +detail: dropped, passed to local targets, or the address is unknown with it.",
            "owner": "The address here that has the bounces of targets elsewhere, as the owner of a small list.",
        },
    ),
    "alias.list": Words("List aliases.", shown(display.aliases), options={"domain": "Only those of this domain."}),
    "alias.show": Words("Show one alias.", shown(display.record)),
    "alias.remove": Words("Remove an alias.", changed, "Remove the alias {address}?"),
    # Grants
    "grant.add": Words("Let ACCOUNT send as ADDRESS; @example.org is any address of that domain."),
    "grant.list": Words(
        "List who may send as what, beside their own addresses.",
        shown(display.grants),
        options={"account": "Only those of this account."},
    ),
    "grant.revoke": Words("Take back that ACCOUNT may send as ADDRESS."),
    # Suppressions
    "suppression.list": Words(
        "List the recipients that bounced for ACCOUNT, and until when its mail to them is refused.",
        shown(display.suppressions),
    ),
    "suppression.add": Words(
        "Take no mail of ACCOUNT to RECIPIENT for a while.",
        shown(display.record),
        options={"lasting": "How long: 90, 30m, 2h, 7d."},
    ),
    "suppression.lift": Words(
        "Let ACCOUNT write to RECIPIENT again, and forget its bounces: because the address works now, say."
    ),
    # Filters
    "filter.show": Words(
        "Show how much the filter of ACCOUNT has learnt of junk and of other mail.", shown(display.record)
    ),
    "filter.forget": Words(
        "Have the filter of ACCOUNT forget all it has learnt; it learns anew from what is done from now on.",
        question="Have the filter of {account} forget everything?",
    ),
    # TLS with other servers
    "policy.list": Words(
        "List the policies that judge mail, in the order in which they are asked, with the options they are given.",
        shown(display.policies),
    ),
    "judge": Words(
        'Judge the message in FILE ("-": standard input) as if a stranger sent it: ask every policy at every stage, and show what '
        "what each answered, what DNS was asked, and what would become of the message. Nothing is delivered, learnt, counted or "
        "remembered. A running server takes a message of up to 190 KB; where none runs, 50 MB.",
        shown(display.judged),
        instead={
            "content": [click.Argument(["content"], type=click.File("rb"), metavar="FILE")],
            "peer": [click.Option(["--from", "peer"], required=True, help="The client's IP address.")],
            "helo": [click.Option(["--helo"], required=True, help="What it calls itself.")],
            "sender": [
                click.Option(["--mail-from", "sender"], required=True, help='The reverse-path; "" is the null one.')
            ],
            "recipients": [
                click.Option(["--rcpt", "recipients"], multiple=True, help="A recipient; several times for several.")
            ],
        },
        prepare=_read_file,
    ),
    "policy.stats": Words(
        "Show how often each policy refused, deferred or scored of late. The score of all together is called judgement.",
        shown(display.policy_stats),
        options={"since": "How far back, such as 24h or 7d; by whole hours, up to 90 days."},
    ),
    "tls.servers": Words(
        "List how well connections to servers of other domains were encrypted in the last 90 days.",
        shown(display.tls_servers),
        options={"domain": "Only those of this domain."},
    ),
    "tls.downgrades": Words(
        "List servers of other domains to which connections were encrypted worse than before, the last of each domain.",
        shown(display.tls_downgrades),
    ),
    "tls.reports": Words(
        "List what was counted for reports to other domains, and when they are sent.",
        shown(display.tls_reports),
        options={"domain": "Only those to this domain."},
    ),
    "tls.report": Words(
        "Show the report to DOMAIN as it would be sent now: that of the latest day.",
        shown(display.tls_report),
        options={"day": "That of this day, such as 2026-11-23."},
    ),
    "tls.received": Words(
        "List reports of other servers on TLS with the servers of domains here, the latest first.",
        shown(display.received_reports),
        options={"domain": "Only those about this domain."},
    ),
    "tls.received-report": Words("Show one of them, with what went wrong where.", shown(display.received_report)),
    # DMARC
    "dmarc.reports": Words(
        "List the addresses that send as domains here, by the reports of other servers; those with most failures first.",
        shown(display.dmarc_sources),
        options={"domain": "Only those of this domain.", "failing": "Only those that fail."},
    ),
    "dmarc.received": Words(
        "List reports of other servers on mail from domains here, the latest first.",
        shown(display.received_reports),
        options={"domain": "Only those about this domain."},
    ),
    "dmarc.report": Words("Show one of them, with what it says of each address.", shown(display.received_report)),
    "dmarc.due": Words(
        "List what was counted for reports to other domains, and when they are sent.",
        shown(display.dmarc_due),
        options={"domain": "Only those to this domain."},
    ),
    "dmarc.draft": Words(
        "Show the report to DOMAIN as it would be sent now: that of the latest day.",
        shown(display.dmarc_draft),
        options={"day": "That of this day, such as 2026-11-23."},
    ),
    # Mailboxes
    "mailbox.list": Words("List an account's mailboxes with their counts.", shown(display.mailboxes)),
    "mailbox.show": Words("Show one mailbox with its counts.", shown(display.record)),
    "mailbox.create": Words("Make a mailbox, and those above it; levels are separated by /."),
    # Queue
    "queue.list": Words(
        "List what waits, oldest first, or what was sent or failed, latest first: what all of the given holds for. For more"
        " than --limit go on with --after.",
        shown(display.envelopes),
        options=_FILTER
        | {
            "state": "Recipients in this state; deferred ones wait after a try. What was sent or failed is told for as long"
            " as [queue] sent_history says."
        }
        | {"after": "Only envelopes behind this one.", "limit": "At most so many; 0: as many as one answer holds."},
    ),
    "queue.summary": Words(
        "Show how much waits for which destination and for which reason, and how long it has.", shown(display.summary)
    ),
    "queue.message": Words(
        "Show a message that waits: its header and the beginning of its text.",
        shown(display.message),
        instead=_ENVELOPE,
    ),
    "queue.show": Words(
        "Show one envelope, gone ones too for a while, with all its recipients and what their last tries came to.",
        shown(display.envelope),
        instead=_ENVELOPE,
    ),
    "queue.retry": Words(
        "Try now what waits: one envelope, one destination, all that is given holds for, or everything.",
        shown(display.steered),
        options=_FILTER | _OF_ENVELOPE,
        instead={
            **_ENVELOPE_OR_FILTER,
            "destination": [
                click.Option(["--destination"], help="Everything for this domain."),
                click.Option(["--all", "everything"], is_flag=True, help="Everything."),
            ],
        },
        prepare=_choose_one,
    ),
    "queue.pause": Words(
        "Try nothing for a destination, or nothing at all, until it is resumed; show what is paused.",
        shown(display.pauses),
        instead=_DESTINATION,
    ),
    "queue.resume": Words(
        "End the pause of a destination, or that of the whole queue; show what is paused still.",
        shown(display.pauses),
        instead=_DESTINATION,
    ),
    "queue.hold": Words(
        "Keep an envelope from being tried, or all that have a recipient all of the given holds for.",
        shown(display.counted),
        options=_FILTER,
        instead=_ENVELOPE_OR_FILTER,
    ),
    "queue.release": Words(
        "Let a held envelope go on, or all held ones that have a recipient all of the given holds for.",
        shown(display.counted),
        options={name: words for name, words in _FILTER.items() if name not in ("state", "reason")},
        instead=_ENVELOPE_OR_FILTER,
    ),
    "queue.drop": Words(
        "Give up an envelope, or all recipients all of the given holds for, without a further try. Nobody is told.",
        shown(display.steered),
        "Give up this mail for good?",
        options=_FILTER | _OF_ENVELOPE | {"bounce": "Tell the senders that it was not delivered."},
        instead=_ENVELOPE_OR_FILTER,
    ),
    "queue.expire": Words(
        "Try once more, now: an envelope, or all recipients all of the given holds for. What fails again comes back to its"
        " sender, as at the end of its lifetime.",
        shown(display.steered),
        options=_FILTER | _OF_ENVELOPE,
        instead=_ENVELOPE_OR_FILTER,
    ),
    "queue.reroute": Words(
        "Send an envelope, or all recipients all of the given holds for, to another server, now and at further tries.",
        shown(display.steered),
        options=_FILTER
        | _OF_ENVELOPE
        | {"to": "HOST, HOST:PORT, or what a route leads to; without it by the routes of the configuration again."},
        instead=_ENVELOPE_OR_FILTER,
    ),
    # The server and its files
    "reload": Words("Let the running server read its configuration and certificates again.", shown(display.reloaded)),
    "status": Words(
        """Show what each process of the running server serves: the number of its configuration, its certificates.

        The number is 1 after the start and grows when a reload, or a renewed certificate, brings something new into use.
        """,
        shown(display.status),
    ),
    "ping": Words(is_command=False),
    "store.verify": Words(
        """Compare the store with itself, while the server runs or not, and change nothing.

        Looks through the files of the database (SQLite's quick_check), at the rows and counts of each account, at whether each
        message has its file, and whether the directory and the mailboxes know the same accounts. Ends with 1 when something is
        wrong. Files that nothing needs any more are counted: the sweep removes them.
        """,
        _judged(display.verified),
    ),
    "store.accept-older": Words(
        """Go on with older FILES (mail-00, queue, directory, or all), while no server runs.

        Mailboxes of a mail partition get a new UIDVALIDITY, so that no program takes a new message for one it knows; accounts
        it does not have are made again, empty. Use "all" after the whole data directory was brought back from a backup.
        """,
        shown(display.older_accepted),
        "Go on with files that are older than what was acknowledged? What came since is lost, and mail programs"
        " fetch these mailboxes anew.",
    ),
}
