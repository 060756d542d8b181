"""What DNS says of a domain, and its keys, as a person reads them."""

from __future__ import annotations

from mailnode.admin.dkim import DkimRecord
from mailnode.admin.published import ZoneCheck
from mailnode.admin.zone_text import zone_notes
from mailnode.ctl.display import as_text


def as_verdicts(result: ZoneCheck) -> str:
    """Return a line a record, with what there should be, what there is and what to do below it where it is not right."""
    lines: list[str] = []
    for one in result["records"]:
        lines.append(f"{one['verdict']:<8} {one['type']:<5} {one['name']}")
        if one["verdict"] != "right":
            below = [
                ("for", [one["why"]]),
                ("wanted", one["wanted"]),
                ("found", one["found"]),
                ("fix", [one["advice"]]),
            ]
            lines += [f"{'':<8} {label + ':':<7} {as_text(text)}" for label, texts in below for text in texts]
    wrong = sum(one["verdict"] not in ("right", "hint") for one in result["records"])
    hints = sum(one["verdict"] == "hint" for one in result["records"])
    last = f"{wrong} of {len(result['records'])} are not right" if wrong else "all right"
    lines += ["", last + (f"; hints: {hints}" if hints else "")]
    return "\n".join([*lines, *zone_notes(result, "#")])


def dkim_keys(result: list[DkimRecord]) -> str:
    """Return the keys of a domain, each with its record below it."""
    return "\n".join(
        f"{key['selector']}  {key['algorithm']}  {key['state']}  made {key['created']}"
        + (f": {key['todo']}" if key["todo"] else "")
        + f"\n  {key['name']} TXT {key['text']}"
        for key in result
    )
