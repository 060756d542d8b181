"""What is said to people about each operation: the command's help, its options' help, the question before what destroys,
how the result reads. What is not said here comes from the operation's own declaration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from mailnode.admin.doctor import Diagnosis
from mailnode.admin.published import ZoneCheck, ZoneRecords
from mailnode.admin.store import StoreVerified
from mailnode.admin.zone_text import as_lines, as_nsupdate, as_zone_file
from mailnode.ctl import display, doctor_words, zone
from mailnode.ctl.backup_words import BACKUP_WORDS, backup_imported
from mailnode.ctl.certificate_words import CERTIFICATE_WORDS
from mailnode.ctl.config_words import CONFIG_WORDS
from mailnode.ctl.given_file import open_file
from mailnode.ctl.parts import OctetsType, Place, changed, read_password, show, shown
from mailnode.ctl.queue_words import QUEUE_WORDS
from mailnode.ctl.report_words import REPORT_WORDS
from mailnode.ctl.rule_words import RULE_WORDS
from mailnode.ctl.script_words import SCRIPT_WORDS
from mailnode.ctl.wording import Given, Words

J = TypeVar("J", Diagnosis, ZoneCheck, StoreVerified)

# Words of an operation that nobody has found some for.
GENERIC = Words(output=shown(display.anything))

GROUPS = {
    "domain": "Domains this server receives mail for.",
    "account": "Accounts: mailboxes with a login.",
    "accounts": "Many accounts at once.",
    "alias": "Aliases: addresses that stand for others.",
    "grant": "Who may send as an address that is not theirs alone: an alias for several, or another account's.",
    "suppression": "Recipients that bounced, and that an account is not let write to for a while.",
    "filter": "Rules that file, mark, forward and delete mail; what filters have learnt from what people do with theirs.",
    "store": "The files of the store.",
    "mailbox": "Mailboxes of an account.",
    "shared": "Accounts that belong to nobody: their mailboxes are there to be shared.",
    "acl": "Who besides the owner may do what with a mailbox (RFC 4314).",
    "queue": "Mail that waits for another server.",
    "config": "The configuration of the running server: compared, taken over, tried out.",
    "policy": "What judges the mail that comes in.",
    "certificate": "Certificates that the server gets from an authority and renews by itself.",
    "tls": "How well connections to servers of other domains are encrypted, and reports of it.",
    "dmarc": "Mail that says it is from domains here, as other servers report it, and what they are told.",
}


def _read_file(place: Place, given: Given) -> None:
    open_file(place, given)
    given["recipients"] = list(given["recipients"])


def _check_new(place: Place, given: Given) -> None:
    place.call("account.check", address=given["address"], new=True)  # before anybody types a password in vain
    if given["hash"] == "-":
        given["hash"] = read_password(from_stdin=True)


def _both_suspend(place: Place, given: Given) -> None:
    if given.pop("no_receive"):  # with --no-login it is what is done without either
        given["status"] = None if given["status"] else "no-receive"


def _check_known(place: Place, given: Given) -> None:
    place.call("account.check", address=given["address"])


def _prepare_records(place: Place, given: Given) -> None:
    click.get_current_context().meta["form"] = given.pop("form")
    if given["next_digest"] is not None:
        from mailnode.ctl.direct import key_digest

        given["next_digest"] = key_digest(given["next_digest"])


_RECORD_FORMS = {"bind": as_zone_file, "plain": as_lines, "nsupdate": as_nsupdate}


def _records(result: ZoneRecords, as_json: bool) -> None:
    form = click.get_current_context().meta["form"]
    show(result, as_json, _RECORD_FORMS[form])


def _judged(human: Callable[[J], str]) -> Callable[[J, bool], None]:
    """Return what prints a result, and has the command end with 1 when it is not ``ok``."""

    def judged(result: J, as_json: bool) -> None:
        show(result, as_json, human)
        if not result["ok"]:
            click.get_current_context().exit(1)

    return judged


_OCTETS_HELD = "Octets of mail it may hold, 500M or 2G too; 0: no limit."
_MESSAGES_HELD = "Messages it may hold; 0: no limit."
_MAILBOXES_HELD = "Mailboxes it may have; 0: no limit."

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

        As text for a zone file; with --form plain line by line, as a provider's web
        pages ask for them; with --form nsupdate for that program.
        """,
        _records,
        instead={
            "name": [
                click.Argument(["name"]),
                click.Option(
                    ["--form"], type=click.Choice(list(_RECORD_FORMS)), default="bind", help="How they are written."
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
    "doctor": Words(
        """Look at the machine, the network, DNS and the store, and say what is to be mended, and how.

        A line an item, what failed first; below it the words or the command that mend it. Takes up to half a minute. Ends with
        0 when nothing failed and nothing is to be done, else with 1.
        """,
        _judged(doctor_words.diagnosis),
        options={"explain": "Say of each item why it matters."},
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
        """Add an account; its domain must exist. Weak passwords are refused, see [auth] in the configuration.

        With --hash no password is asked for: whoever logs in first with the one that fits the hash has it replaced by one of
        ours. "-" reads it from the first line of standard input, so that it is in no list of processes.
        """,
        options={
            "quota_bytes": _OCTETS_HELD,
            "quota_messages": _MESSAGES_HELD,
            "role": "Whose account it is.",
            "hash": "The password as Dovecot and others hash it: {SHA512-CRYPT}$6$...",
        },
        instead_of_secret="hash",
        prepare=_check_new,
    ),
    "account.check": Words(is_command=False),
    "account.trial-login": Words(is_command=False),
    "account.trial-end": Words(is_command=False),
    "accounts.import": Words(
        """Add the accounts that a file names, and their aliases. What is there already stays as it is.

        FILE is text with commas, or semicolons, and a first line that names its columns: address, and of password, hash, quota,
        quota_messages, role and aliases what is wanted. The whole file is looked at first, and nothing is done when there is a
        mistake in it: all are told, with their lines. It can be run again: then it adds what is new.
        """,
        shown(display.imported),
        options={"dry_run": "Look at the file, and add nothing."},
        instead={"content": [click.Argument(["content"], metavar="FILE", type=click.File("rb"))]},
        prepare=open_file,
    ),
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
    "account.hide-capability": Words(
        "Tell an account's mail programs nothing of an IMAP capability that they use wrongly, from their next login on.",
        shown(display.account),
    ),
    "account.show-capability": Words("Undo hide-capability.", shown(display.account)),
    "account.quota": Words(
        "Change the quota where one is given, and show it.",
        shown(display.account),
        instead={
            "quota_bytes": [click.Option(["--bytes", "quota_bytes"], type=OctetsType(), help=_OCTETS_HELD)],
            "quota_messages": [
                click.Option(["--messages", "quota_messages"], type=click.IntRange(0), help=_MESSAGES_HELD)
            ],
            "quota_mailboxes": [
                click.Option(["--mailboxes", "quota_mailboxes"], type=click.IntRange(0), help=_MAILBOXES_HELD)
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
    # Shared accounts
    "shared.add": Words(
        "Make an account that nobody logs in to. Mail for ADDRESS stands in its INBOX, which those who have rights to it"
        " (mailbox acl set ADDRESS INBOX) see as Shared Folders/ADDRESS, with its other mailboxes below. account quota, grant"
        " add and account remove are for it too.",
        options={"quota_bytes": _OCTETS_HELD, "quota_messages": _MESSAGES_HELD},
    ),
    "shared.list": Words("List accounts that belong to nobody.", shown(display.accounts)),
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
        "remembered. Where a policy refuses, the others are asked all the same; the first refusal is what the client would hear.",
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
    **REPORT_WORDS,
    # Mailboxes
    "mailbox.list": Words("List an account's mailboxes with their counts.", shown(display.mailboxes)),
    "mailbox.show": Words("Show one mailbox with its counts.", shown(display.record)),
    "mailbox.create": Words("Make a mailbox, and those above it; levels are separated by /."),
    "mailbox.acl.list": Words("List who besides ADDRESS may do what with its MAILBOX.", shown(display.rights)),
    "mailbox.acl.set": Words(
        "Let WHO do what the letters of RIGHTS say with MAILBOX of ADDRESS, and nothing else; show the list. WHO is the address of"
        " an account, or anyone: everybody who has one. With - in front (and -- before ADDRESS) it is what WHO may not, whatever"
        " else says so. l: find it, r: read, s: keep what was seen, w: set flags, i: add messages, t: mark them deleted,"
        " e: expunge, k: make mailboxes below it, x: delete or rename it, a: change these rights.",
        shown(display.rights),
    ),
    "mailbox.acl.revoke": Words(
        "Take all rights in MAILBOX of ADDRESS back from WHO; show the list.", shown(display.rights)
    ),
    # Mail that moves in and out: what its commands are made of
    "import.mailnode": Words(
        """Bring the mail and the filter scripts that ACCOUNT had when a backup was made to TARGET: what is not there already.

        DIR is a directory of backups; the latest is taken. The server reads it, beside the mail that TARGET has. Mailboxes that
        are not there are made. A message that stands in its mailbox already gets the flags it had. Ends with 1 when the backup
        does not have some messages as they were.
        """,
        backup_imported,
        options={"backup": "Its name, where it is not the latest."},
        instead={"directory": [click.Argument(["directory"], metavar="DIR")]},
    ),
    "moving.mailboxes": Words(is_command=False),
    "moving.mailbox": Words(is_command=False),
    "moving.messages": Words(is_command=False),
    "moving.place": Words(is_command=False),
    "moving.flags": Words(is_command=False),
    "moving.note": Words(is_command=False),
    "moving.read": Words(is_command=False),
    # Filter scripts, and rules
    **SCRIPT_WORDS,
    **RULE_WORDS,
    **QUEUE_WORDS,
    # Backups
    **BACKUP_WORDS,
    **CERTIFICATE_WORDS,
    # The server and its files
    "reload": Words("Let the running server read its configuration and certificates again.", shown(display.reloaded)),
    **CONFIG_WORDS,
    "status": Words(
        """Show what each process of the running server serves: the number of its configuration, its certificates.

        The number is 1 after the start and grows when a reload, or a renewed certificate, brings something new into use.
        """,
        shown(display.status),
    ),
    "ping": Words(is_command=False),
    "store.verify": Words(
        """Compare the store with itself, while the server runs or not. Without --repair nothing is changed.

        Looks through the files of the database (SQLite's quick_check), at the rows and counts of each account, at whether each
        message has its file, and whether the directory and the mailboxes know the same accounts. With --contents each message is
        read and held against its digest, what is kept of it against what it says, and the search index is read. --repair does that
        too; it makes a mail partition's file with malformed pages anew, which is not served meanwhile; counts anew, makes anew what
        follows from messages, gives messages that stand nowhere a mailbox "Recovered", and sets aside those that cannot be
        read: they stay where they are, and are listed until they can be read again. It holds messages of the queue that cannot be
        read. Ends with 1 when something is wrong that was not mended. Files that nothing needs any more are counted: the sweep
        removes them.
        """,
        _judged(display.verified),
        options={
            "contents": "Read all messages, too.",
            "repair": "Do that, mend what can be mended, and set aside what cannot be read.",
        },
    ),
    "store.acknowledge": Words(
        """Have /health and `mailnode status` tell no more of what is known by now to be damaged.

        For messages that are set aside and cannot be brought back, and for what cannot be mended now. What comes after is told,
        and files that are not served are told in any case; `mailnode store verify` lists everything as ever.
        """,
        shown(display.record),
    ),
    "store.reopen": Words(
        """Serve mail partitions (FILES: mail-00 ...) again that are not served, while the server runs.

        For when the latest file was put back, or what kept it from being opened is over. A file that is older than what was
        acknowledged stays out of service: see `mailnode store accept-older`.
        """
    ),
    "store.reindex": Words(
        """Make the search index of ACCOUNTS anew, or of all accounts ("all").

        Nothing is found or missed by it: until the index is made, in the background, searches read the messages. Nobody needs it
        but after a fault; an index that cannot be read is made anew by itself.
        """
    ),
    "store.go-back": Words(
        """Go back to the databases as they were before the last start that brought some up to date, while no server runs.

        For going back to the program before, which cannot read the newer ones: say it with the newer program, then install the
        older. What is in use now is put aside, in a directory that is told. Mailboxes that go back get a new UIDVALIDITY.
        What came since is in the files that were put aside.
        """,
        shown(display.went_back),
        "Go back to the databases as they were before the upgrade? What came since stays in files put aside alone, and mail"
        " programs fetch these mailboxes anew.",
    ),
    "store.accept-older": Words(
        """Go on with older FILES (mail-00, queue, directory, or all).

        While the server runs these are mail partitions, which it does not serve before; everything else is served on. Mailboxes of
        a mail partition get a new UIDVALIDITY, so that no program takes a new message for one it knows; accounts it does not
        have are made again, empty. Use "all" after the whole data directory was brought back from a backup.
        """,
        shown(display.older_accepted),
        "Go on with files that are older than what was acknowledged? What came since is lost, and mail programs"
        " fetch these mailboxes anew.",
    ),
}
