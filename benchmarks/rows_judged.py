"""SMTP in of signed messages that are judged: SPF, DKIM, DMARC, ARC and the statistical filter, beside Postfix with rspamd and
beside the same server without checks."""

from __future__ import annotations

from benchmarks.judged import AUTHOR, SignedDomain
from benchmarks.lab import Lab
from benchmarks.peers import MailNodeForLoad
from benchmarks.report import Measurement
from benchmarks.rows import Row, in_turn

SESSIONS, SIZE = 20, 4096


def _judging(lab: Lab) -> tuple[MailNodeForLoad, tuple[str, str], SignedDomain]:
    """Return a server that judges, what the load is told of the signed domain, and that."""
    domain = lab.once("signed domain", lambda: SignedDomain(lab.folder / "signed-domain"))
    node = lab.mailnode("judging", judgement="", dns=domain.dns)
    return node, (f"author={AUTHOR}", f"key={domain.key}"), domain


def _beside_rspamd(lab: Lab, made: Measurement) -> None:
    node, options, domain = _judging(lab)
    postfix = lab.judging_postfix(domain.dns)
    in_turn(
        lab,
        made,
        lambda: lab.rate(node, SESSIONS, SIZE, *options),
        lambda: lab.rate(postfix, SESSIONS, SIZE, *options),
    )
    made.notes["cpu_us"] = round(node.cpu_seconds_of(lambda: lab.rate(node, SESSIONS, SIZE, *options)) * 1e6)


def _beside_ours(lab: Lab, made: Measurement) -> None:
    node, options, _ = _judging(lab)
    unjudged = lab.mailnode()
    in_turn(
        lab,
        made,
        lambda: lab.rate(node, SESSIONS, SIZE, *options),
        lambda: lab.rate(unjudged, SESSIONS, SIZE, *options),
    )


ROWS = [
    Row("smtp 4 KiB signed, 20 sessions, judged", "msg/s", _beside_rspamd, "Postfix+rspamd", 1.0),
    Row("smtp 4 KiB signed, 20 sessions, judged or not", "msg/s", _beside_ours, "mailnode without checks", 0.6),
]
