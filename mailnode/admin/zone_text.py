"""The records of a domain as they are handed on: as text for a zone file, line by line for a provider's web pages, and as what
nsupdate reads."""

from __future__ import annotations

from mailnode.admin.published import ZoneCheck, ZoneEntry, ZoneRecords

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
            lines.append(text if _is_inside(record, domain) else f"; in the zone of that name: {text}")
    return "\n".join([*lines, *zone_notes(result, ";")])


def as_lines(result: ZoneRecords) -> str:
    """Return a line a record: name, type, value, with TXT in one piece and names without a dot at their ends."""
    lines: list[str] = []
    for why, records in _by_purpose(result["records"]):
        lines += [f"# {why}", *(f"{record['name']} {record['type']} {record['value']}" for record in records), ""]
    return "\n".join([*lines[:-1], *zone_notes(result, "#")])


def as_nsupdate(result: ZoneRecords) -> str:
    """Return what ``nsupdate -k KEY FILE`` adds (RFC 2136). It removes nothing; records of other zones stand in comments."""
    domain = result["domain"]
    lines = [
        f"; Mail of {domain}. What is there already stays beside it: remove what differs first.",
        f"zone {domain}.",
    ]
    for why, records in _by_purpose(result["records"]):
        lines += ["", f"; {why}"]
        for record in records:
            text = f"update add {record['name']}. {TTL} IN {record['type']} {_data(record)}"
            lines.append(text if _is_inside(record, domain) else f"; in the zone of that name: {text}")
    return "\n".join([*lines, "", "send", *zone_notes(result, ";")])


def _is_inside(record: ZoneEntry, domain: str) -> bool:
    return record["name"] == domain or record["name"].endswith(f".{domain}")


def _by_purpose(records: list[ZoneEntry]) -> list[tuple[str, list[ZoneEntry]]]:
    """Return neighbours that are for the same together."""
    found: list[tuple[str, list[ZoneEntry]]] = []
    for record in records:
        if not found or found[-1][0] != record["why"]:
            found.append((record["why"], []))
        found[-1][1].append(record)
    return found


def zone_notes(result: ZoneRecords | ZoneCheck, mark: str) -> list[str]:
    """Return what a person should know beside the records, as comments."""
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
