"""What is said about certificates that the server gets by itself."""

from __future__ import annotations

from mailnode.admin.certificates import IssuedCertificate, RenewalReport
from mailnode.ctl.display import as_text, table
from mailnode.ctl.parts import shown
from mailnode.ctl.wording import Words


def renewal(result: RenewalReport) -> str:
    """Return a line a certificate, and below them what is wrong, is done or is waited for."""
    rows = [_row(one) for one in result["certificates"]]
    lines = [table(rows, ("key", "names", "expires", "renewed")), f"from {as_text(result['directory'])}"]
    lines += [f"# {one['kind']}: {as_text(one['why'])}" for one in result["certificates"]]
    lines += [
        f"# {one['kind']}: the key stays as it is: {as_text(one['note'])}"
        for one in result["certificates"]
        if one["note"]
    ]
    if result["trouble"]:
        again = f"; tried again {result['next_try']}" if result["next_try"] else ""
        lines.append(f"! {as_text(result['trouble'])} ({result['failures']} failed{again})")
    if result["under_way"]:
        lines.append(f"# now: {as_text(result['under_way'])}")
    return "\n".join(lines)


def _row(one: IssuedCertificate) -> dict[str, object]:
    names = ", ".join(one["names"]) or "none yet"
    return {"key": one["kind"], "names": names, "expires": one["not_after"], "renewed": one["renew_at"] or "now"}


CERTIFICATE_WORDS = {
    "certificate.list": Words(
        """Show the certificates that the server gets from an authority ([acme]).

        Until when they last, when they are renewed and what says so, and why the last try failed.
        """,
        shown(renewal),
    ),
    "certificate.renew": Words(
        """Get the certificates that are due now, without waiting for the next try, and wait for the end. It may take minutes.

        Authorities take a limited number of orders: a failed one is better mended than repeated.
        """,
        shown(renewal),
        options={"force": "Also those that are not due."},
    ),
}
