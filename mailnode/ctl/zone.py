"""The records of a domain as a person reads them: as text for a zone file, and line by line for a provider's web pages."""

from __future__ import annotations

from mailnode.admin.dkim import DkimRecord
from mailnode.admin.published import ZoneCheck, ZoneEntry, ZoneRecords
from mailnode.ctl.display import as_text

TTL = 3600  # seconds
MAX_STRING = 255  # octets of one string of a TXT record, RFC 1035 3.3.14


def as_zone_file(result: ZoneRecords) -> str:
    """Return text in the form of RFC 1035 5, as BIND, Knot and NSD read it. Records of other zones stand in comments."""
    domain = result["domain"]
    lines = [f"; Mail of {domain}", f"$ORIGIN {domain}.", f"$TTL {TTL}"]
    for why, records in _by_purpose(result["records"]):
        lines += ["", f"; {why}"]
        for record in records:
            text = f"{record['name']}. IN {record['type']} {_data(record)}"
            inside = record["name"] == domain or record["name"].endswith(f".{domain}")
            lines.append(text if inside else f"; in the zone of that name: {text}")
    return "\n".join([*lines, *_notes(result, ";")])


def as_lines(result: ZoneRecords) -> str:
    """Return a line a record: name, type, value, with TXT in one piece and names without a dot at their ends."""
    lines: list[str] = []
    for why, records in _by_purpose(result["records"]):
        lines += [f"# {why}", *(f"{record['name']} {record['type']} {record['value']}" for record in records), ""]
    return "\n".join([*lines[:-1], *_notes(result, "#")])


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
    return "\n".join([*lines, *_notes(result, "#")])


def dkim_keys(result: list[DkimRecord]) -> str:
    """Return the keys of a domain, each with its record below it."""
    return "\n".join(
        f"{key['selector']}  {key['algorithm']}  {key['state']}  made {key['created']}"
        + (f": {key['todo']}" if key["todo"] else "")
        + f"\n  {key['name']} TXT {key['text']}"
        for key in result
    )


def _by_purpose(records: list[ZoneEntry]) -> list[tuple[str, list[ZoneEntry]]]:
    """Return neighbours that are for the same together."""
    found: list[tuple[str, list[ZoneEntry]]] = []
    for record in records:
        if not found or found[-1][0] != record["why"]:
            found.append((record["why"], []))
        found[-1][1].append(record)
    return found


def _notes(result: ZoneRecords | ZoneCheck, mark: str) -> list[str]:
    return [line for note in result["notes"] for line in ("", f"{mark} {note}")]


def _data(record: ZoneEntry) -> str:
    value = record["value"]
    if record["type"] == "TXT":
        return " ".join(_string(value[at : at + MAX_STRING]) for at in range(0, max(1, len(value)), MAX_STRING))
    if record["type"] in ("MX", "CNAME", "SRV"):
        return value if value.endswith(".") else f"{value}."
    return value


def _string(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
