"""Results of commands as a person reads them. What comes from the network is shown with its controls escaped."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from mailnode.admin.account_import import AccountsImported
from mailnode.admin.accounts import AccountDetails, AccountRecord
from mailnode.admin.administration import CertificateStatus, OlderAccepted, Reloaded, ServerStatus, WentBack
from mailnode.admin.aliases import AliasRecord
from mailnode.admin.dmarc import DmarcDueRecord, DmarcReportDraft, DmarcSourceRecord
from mailnode.admin.domains import DomainRecord
from mailnode.admin.grants import GrantRecord
from mailnode.admin.judging import JudgedFile
from mailnode.admin.mailboxes import MailboxRecord
from mailnode.admin.policies import PolicyRecord, PolicyStatsRecord
from mailnode.admin.queue import EnvelopeDetails, EnvelopeRecord, Held, MessageShown, Pause, Released, Summary
from mailnode.admin.queue_steering import MailSteered
from mailnode.admin.received import ReceivedReportDetails, ReceivedReportRecord
from mailnode.admin.rights import RightsRecord
from mailnode.admin.sending import SendingRecord
from mailnode.admin.store import StoreVerified
from mailnode.admin.suppressions import SuppressionRecord
from mailnode.admin.tls import TlsDowngradeRecord, TlsReportDetails, TlsReportRecord, TlsServerRecord


def as_text(value: object) -> str:
    """Return a value as text that cannot steer a terminal."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(as_text(one) for one in value)
    if isinstance(value, dict):
        return " ".join(f"{key}={as_text(one)}" for key, one in value.items())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(value))


def table(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> str:
    """Return rows with aligned columns under their names; "" without rows."""
    if not rows:
        return ""
    cells = [[name.replace("_", " ") for name in columns]]
    cells += [[as_text(row[name]) or "-" for name in columns] for row in rows]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in cells)


def record(result: Mapping[str, object]) -> str:
    """Return one thing, a key a line; lists of things below it."""
    width = max(len(key) for key in result)
    lines = []
    for key, value in result.items():
        label = key.replace("_", " ").ljust(width)
        if isinstance(value, list) and value:
            lines.append(f"{label}  {as_text(value[0])}")
            lines += [" " * (width + 2) + as_text(one) for one in value[1:]]
        else:
            lines.append(f"{label}  {as_text(value) or '-'}".rstrip())
    return "\n".join(lines)


def anything(result: Sequence[Mapping[str, object]] | Mapping[str, object] | None) -> str:
    """Return a result nobody has found words for: a list as a table, one thing as its keys and values."""
    if isinstance(result, Mapping):
        return record(result) if result else ""
    return table(result, list(result[0])) if result else ""


def domains(result: list[DomainRecord]) -> str:
    """Return a list of domains."""
    return table(result, ("name", "alias_of", "catch_all", "separator", "fixed"))


def account(result: AccountDetails) -> str:
    """Return one account; a quota of 0 is none."""
    limits = {key: result[key] or "none" for key in ("bytes_limit", "messages_limit", "mailboxes_limit")}
    return record({**result, **limits})


def accounts(result: list[AccountRecord]) -> str:
    """Return a list of accounts."""
    return table(result, ("address", "status", "role", "created"))


def imported(result: AccountsImported) -> str:
    """Return what was added, and what was there."""
    done = "would be added" if result["dry_run"] else "added"
    return "\n".join(
        [
            f"accounts {done}: {result['added']}; there already: {result['present']}",
            f"aliases {done}: {result['aliases_added']}; there already: {result['aliases_present']}",
        ]
    )


def aliases(result: list[AliasRecord]) -> str:
    """Return a list of aliases."""
    return table(result, ("address", "targets", "detail", "owner"))


def grants(result: list[GrantRecord]) -> str:
    """Return a list of who may send as what."""
    return table(result, ("address", "account"))


def rights(result: list[RightsRecord]) -> str:
    """Return a list of who may do what with a mailbox."""
    return table(result, ("who", "rights"))


def sending(result: SendingRecord) -> str:
    """Return what an account sends; a limit of 0 is none."""
    limits = {
        key: result[key] or "none" for key in ("recipients_per_hour", "messages_per_hour", "new_recipients_per_day")
    }
    return record({**result, **limits})


def suppressions(result: list[SuppressionRecord]) -> str:
    """Return a list of recipients that bounced."""
    return table(result, ("recipient", "refused_until", "bounces", "since", "last_reply"))


def tls_reports(result: list[TlsReportRecord]) -> str:
    """Return what is to be reported."""
    return table(result, ("domain", "day", "succeeded", "failed", "due", "tries"))


def tls_report(result: TlsReportDetails) -> str:
    """Return a report as it is sent."""
    return json.dumps(result["report"], indent=2)


def dmarc_sources(result: list[DmarcSourceRecord]) -> str:
    """Return who sends as domains here."""
    return table(result, ("domain", "source", "passed", "failed", "reports", "last", "report"))


def dmarc_due(result: list[DmarcDueRecord]) -> str:
    """Return what is to be reported."""
    return table(result, ("domain", "day", "passed", "failed", "left_out", "due", "tries"))


def dmarc_draft(result: DmarcReportDraft) -> str:
    """Return a report as it is sent."""
    return result["report"]


def received_reports(result: list[ReceivedReportRecord]) -> str:
    """Return a list of reports of others."""
    return table(
        result, ("id", "received", "domain", "organization", "begun", "passed", "failed", "sender", "verified")
    )


def received_report(result: ReceivedReportDetails) -> str:
    """Return one of them, and a line for each row."""
    head = record({key: value for key, value in result.items() if key != "rows"})
    return head + "\n" + table(result["rows"], ("source", "about", "passed", "count", "result", "detail"))


def tls_servers(result: list[TlsServerRecord]) -> str:
    """Return how well servers were encrypted."""
    return table(result, ("domain", "host", "level", "last_verified", "last_encrypted"))


def tls_downgrades(result: list[TlsDowngradeRecord]) -> str:
    """Return what was encrypted worse than before."""
    return table(result, ("domain", "host", "address", "was", "now", "since", "at", "reason"))


def mailboxes(result: list[MailboxRecord]) -> str:
    """Return a list of mailboxes."""
    return table(result, ("name", "special_use", "messages", "unseen", "size"))


def envelopes(result: list[EnvelopeRecord]) -> str:
    """Return the queue, a line a recipient."""
    rows = [
        {
            "id": envelope["id"],
            "sender": envelope["sender"] or "<>",
            "recipient": recipient["address"],
            "state": "held" if envelope["held"] else recipient["state"],
            "attempts": recipient["attempts"],
            "next_try": recipient["next_try"],
            "ended": recipient["ended"],
            "last_reply": recipient["last_reply"],
        }
        for envelope in result
        for recipient in envelope["recipients"]
    ]
    when = "ended" if any(row["ended"] for row in rows) else "next_try"
    return table(rows, ("id", "sender", "recipient", "state", "attempts", when, "last_reply"))


def envelope(result: EnvelopeDetails) -> str:
    """Return one envelope, its recipients, and a line for each try."""
    apart = ("recipients", "history")
    head = record(
        {key: value for key, value in result.items() if key not in apart} | {"sender": result["sender"] or "<>"}
    )
    tried = table(result["history"], ("time", "recipient", "state", "host", "address", "tls", "reply"))
    return "\n\n".join([head, *(record(recipient) for recipient in result["recipients"]), *([tried] if tried else [])])


_AGES = ("< 5m", "< 20m", "< 80m", "< 6h", "< 22h", "older")


def summary(result: Summary) -> str:
    """Return what waits: a line a destination and a line a reason, with how many came how long ago."""
    lines = [f"recipients: {result['recipients']}, the oldest came {result['oldest'] or '-'}"]
    for title, groups in (("destination", result["destinations"]), ("reason", result["reasons"])):
        rows = [
            {title: one["name"], "all": one["recipients"], **dict(zip(_AGES, one["ages"], strict=True))}
            for one in groups
        ]
        if rows:
            lines += ["", table(rows, (title, "all", *_AGES))]
    return "\n".join(lines)


def counted(result: Held | Released) -> str:
    """Return how many envelopes were held or released; "" when one was named."""
    return "" if result.get("held") or result.get("released") else f"envelopes: {result['envelopes']}"


def pauses(result: list[Pause]) -> str:
    """Return what is paused."""
    rows = [{"destination": one["destination"] or "the whole queue", "since": one["since"]} for one in result]
    return table(rows, ("destination", "since"))


def message(result: MessageShown) -> str:
    """Return a message, line by line; its fields may go on behind a tab."""
    more = [] if result["whole"] else ["", "(there is more of it)"]
    return "\n".join([*(as_text(line.expandtabs()) for line in result["content"].splitlines()), *more])


def steered(result: MailSteered) -> str:
    """Return how many recipients were meant, and for how many of them it does not count yet."""
    lines = [f"recipients: {result['recipients']}"]
    if result["trying"]:
        lines.append(f"in a try that ends first: {result['trying']}")
    if result["held"]:
        lines.append(f"held until they are released: {result['held']}")
    return "\n".join(lines)


def older_accepted(result: OlderAccepted) -> str:
    """Return which older files are gone on with."""
    return f"accepted: {', '.join(result['files'])}\naccounts with new UIDVALIDITYs: {result['accounts']}"


def verified(result: StoreVerified) -> str:
    """Return what came of comparing the store with itself."""
    lines = [
        f"accounts: {result['accounts']}",
        f"files of messages: {result['files']}",
        f"messages that were read: {result['messages']}",
        f"files nothing needs: {result['loose']}",
        *(f"mended: {as_text(one)}" for one in result["mended"]),
        *(f"set aside: {as_text(one)}" for one in result["set_aside"]),
    ]
    faults = [f"! {as_text(fault)}" for fault in result["faults"]]
    return "\n".join([*lines, *(faults or ["all right"])])


def went_back(result: WentBack) -> str:
    """Return what is in use now, and where what was is."""
    files = as_text(result["files"])
    return f"in use: {files}\naccounts: {result['accounts']}\nput aside: {as_text(result['aside'])}"


def reloaded(result: Reloaded) -> str:
    """Return what a reload did."""
    applied = as_text(result.get("applied", [])) or "nothing new"
    lines = [f"applied: {applied}"]
    if result.get("needs_restart"):
        lines.append(f"needs a restart: {as_text(result['needs_restart'])}")
    behind = [str(one["process"]) for one in result["processes"] if one["generation"] != result["generation"]]
    if behind:
        lines.append(f"not yet in process {', '.join(behind)}")
    return "\n".join(lines)


_NONE: CertificateStatus = {"names": [], "fingerprint": "", "not_after": ""}


def status(result: ServerStatus) -> str:
    """Return what each process serves, a line a certificate, and what is wrong with files of the store."""
    rows = [
        {
            "process": process["process"],
            "pid": process["pid"],
            "generation": process["generation"],
            "certificate": ", ".join(certificate["names"]),
            "not_after": certificate["not_after"],
            "sha256": certificate["fingerprint"][:16],
        }
        for process in result["processes"]
        for certificate in process["certificates"] or [_NONE]
    ]
    head = record({key: result[key] for key in ("version", "hostname", "generation")})
    if result["unindexed"]:
        head += f"\nsearch index: {result['unindexed']} messages behind, {result['index_behind']:.0f} s"
    head += "".join(f"\n! {words}" for words in [*result["paused"], *result["damage"]])
    if result["renewal"]:
        head += f"\n! certificates are not renewed: {as_text(result['renewal'])}"
    return f"{head}\n\n{table(rows, ('process', 'pid', 'generation', 'certificate', 'not_after', 'sha256'))}"


def policies(result: list[PolicyRecord]) -> str:
    """Return the chain of policies."""
    return table(result, ("name", "stages", "asked_about", "on_failure", "place", "origin", "options"))


def judged(result: JudgedFile) -> str:
    """Return what would become of a message, and why."""
    by = f", by {result['policy']} at {result['stage']}" if result["policy"] else ""
    limits = f"junk from {result['junk_at']} on, refused from {result['refuse_at']} on"
    parts = [
        f"{result['outcome']}{by}: {as_text(result['reply'])}\nscore {result['score']} ({limits})",
        table(result["refusals"], ("stage", "recipient", "policy", "reply")),
        table(result["answers"], ("stage", "recipient", "policy", "answer", "score", "reason", "seconds")),
        table(result["lookups"], ("type", "name", "records", "failure", "seconds")),
        table(result["recipients"], ("address", "outcome", "reply")),
        _lines(result["header"]),
        *(f"{as_text(one['address'])}:\n{_lines(one['header'])}" for one in result["recipients"] if one["header"]),
    ]
    return "\n\n".join(part for part in parts if part)


def _lines(text: str) -> str:
    return "\n".join(as_text(line) for line in text.splitlines())


def policy_stats(result: list[PolicyStatsRecord]) -> str:
    """Return how often each policy answered what."""
    return table(
        result,
        (
            "policy",
            "asked",
            "refused",
            "deferred",
            "quarantined",
            "accepted",
            "suspected",
            "suspected_score",
            "trusted",
            "trusted_score",
            "failed",
            "milliseconds",
        ),
    )
