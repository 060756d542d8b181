"""What is said to people about each operation on reports: of TLS, and of mail that says it is from domains here."""

from __future__ import annotations

from mailnode.ctl import display
from mailnode.ctl.parts import shown
from mailnode.ctl.wording import Words

REPORT_WORDS = {
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
}
