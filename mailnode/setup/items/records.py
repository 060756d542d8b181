"""The DNS records: written for every way in which a zone is filled, published where a key for that is given, and waited for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from mailnode.admin.published import ZoneRecords
from mailnode.admin.zone_text import as_lines, as_nsupdate, as_zone_file
from mailnode.checks.zone_check import RecordCheck
from mailnode.errors import UpdateFailed
from mailnode.interfaces.dns import DnsQuestion
from mailnode.setup.files import holds
from mailnode.setup.items.issued import has_lasting_key
from mailnode.setup.items.tsig import is_settled, key_of, key_server, replaces
from mailnode.setup.row import SetupItem, Surrounded
from mailnode.setup.trouble import SetupTrouble
from mailnode.setup.words import ADDRESSES, HOST_NAME
from mailnode.setup.zones import ServedZone, verdicts, zone_of
from mailnode.values.dns_update import TsigKey, ZoneChange
from mailnode.values.item import Item, ItemState
from mailnode.values.published import DnsRecord, Published

FILES, PUBLISHED, NAME, PINS = "dns-records", "dns-published", "dns-visible", "dns-pins"
MEND_UPDATE = (
    "Mend that and run setup again, with --answers FILE where the key or its server is another: dns_key_file, dns_server.\n"
    'Or publish the records by hand: dns_key_file = "none"'
)
PAUSE = 5.0  # seconds between two looks at the servers of a zone
SHOWN = 3  # records that are named in a line


def _records(around: Surrounded) -> ZoneRecords:
    """Return them, but for the pins (TLSA) of a key that is about to be replaced: they would have others send nothing."""
    told = cast(ZoneRecords, around.operate("domain.records", {"name": around.domain}))
    if has_lasting_key(around):
        return told
    return {**told, "records": [one for one in told["records"] if one["type"] != "TLSA"]}


def _wanted(around: Surrounded) -> list[DnsRecord]:
    return [DnsRecord(one["name"], one["type"], one["value"], one["why"]) for one in _records(around)["records"]]


# As files


def _files(around: Surrounded) -> dict[Path, str]:
    records, folder = _records(around), around.places.records
    return {
        folder / f"{around.domain}.zone": as_zone_file(records) + "\n",
        folder / f"{around.domain}.txt": as_lines(records) + "\n",
        folder / f"{around.domain}.nsupdate": as_nsupdate(records) + "\n",
    }


def _look_at_files(around: Surrounded) -> Item:
    wanted = _files(around)
    if not all(holds(path, text) for path, text in wanted.items()):
        return Item(FILES, ItemState.TO_DO, "the DNS records are to be written into files")
    first, *others = [path.name for path in wanted]
    where = f"{around.places.records / first} and beside it {', '.join(others)}"
    return Item(FILES, ItemState.DONE, where)


def _write_files(around: Surrounded) -> None:
    for path, text in _files(around).items():
        if not holds(path, text):
            around.write(path, text, 0o644)


# Published by setup itself


def _zones(around: Surrounded, records: Sequence[DnsRecord]) -> list[ServedZone]:
    """Return the zones that records stand in: the domain's, and that of the host name where it is another."""
    found = [zone_of(around.machine, around.domain)]
    host = around.answers.of(HOST_NAME)
    if not found[0].has(host) and any(one.name == host or one.name.endswith(f".{host}") for one in records):
        found.append(zone_of(around.machine, host))
    return found


def _judged(around: Surrounded, zone: ServedZone, records: Sequence[DnsRecord]) -> list[RecordCheck]:
    published = Published(around.answers.of(HOST_NAME), tuple(around.answers.of(ADDRESSES).split()))
    return verdicts(around.machine, zone, published, [one for one in records if zone.has(one.name)])


def _change(around: Surrounded, zone: ServedZone) -> ZoneChange:
    """Return what is to be changed in a zone: what is missing, and where that was answered what differs."""
    add: list[DnsRecord] = []
    remove: list[DnsRecord] = []
    for one in _judged(around, zone, _wanted(around)):
        if one["verdict"] == "missing" or (one["verdict"] == "differs" and replaces(around)):
            remove += [DnsRecord(one["name"], one["type"], value, "") for value in one["found"]]
            add += [DnsRecord(one["name"], one["type"], value, one["why"]) for value in one["wanted"]]
    return ZoneChange(zone.name, tuple(add), tuple(remove))


def _look_at_published(around: Surrounded) -> Item:
    if key_of(around) is None:
        if is_settled(around):
            return Item(PUBLISHED, ItemState.SKIPPED, "no key for the zone was given: you publish the records")
        return Item(PUBLISHED, ItemState.TO_DO, "whether setup publishes the records is to be settled")
    lacking = sum(len(_change(around, zone).add) for zone in _zones(around, _wanted(around)))
    if lacking:
        return Item(PUBLISHED, ItemState.TO_DO, f"{lacking} records are to be published")
    return Item(PUBLISHED, ItemState.DONE, "by setup, with the key that was given")


def _publish(around: Surrounded) -> None:
    key = key_of(around, ask=True)
    if key is None:
        return
    for zone in _zones(around, _wanted(around)):
        _send(around, zone, key, _change(around, zone))


def _send(around: Surrounded, zone: ServedZone, key: TsigKey, change: ZoneChange) -> None:
    if change.add:
        try:
            around.machine.update_zone(key_server(around, zone, key), change)
        except UpdateFailed as error:
            raise SetupTrouble(str(error), MEND_UPDATE) from None


# The pins


def _look_at_pins(around: Surrounded) -> Item:
    if not has_lasting_key(around):
        return Item(PINS, ItemState.SKIPPED, "the key of the certificate in use is not there to stay")
    if _look_at_files(around).state is ItemState.TO_DO:
        return Item(PINS, ItemState.TO_DO, "the records that pin the key (TLSA) are to be written into the same files")
    if key_of(around) is None or not _is_signed(around):
        return Item(
            PINS, ItemState.DONE, "those that pin the key (TLSA) stand in the same files: for a zone that is signed"
        )
    lacking = sum(len(change.add) for _, change in _lacking_pins(around))
    if lacking:
        return Item(PINS, ItemState.TO_DO, f"{lacking} records that pin the key (TLSA) are to be published")
    return Item(PINS, ItemState.DONE, "those that pin the key (TLSA) stand in the zone, which is signed")


def _is_signed(around: Surrounded) -> bool:
    """Whether the resolver checked signatures of the zone of the host name: it is the one whose records are believed (RFC 6698)."""
    question = DnsQuestion(around.answers.of(HOST_NAME), "A")
    other = DnsQuestion(question.name, "AAAA")
    return any(answer.values and answer.secure for answer in around.machine.look_up([question, other]).values())


def _lacking_pins(around: Surrounded) -> list[tuple[ServedZone, ZoneChange]]:
    """Return what is to be added: pins that none of the zone's servers has. Those of other keys stay: they may still be shown."""
    pins = [one for one in _wanted(around) if one.type == "TLSA"]
    found = []
    for zone in _zones(around, pins):
        inside = [one for one in pins if zone.has(one.name)]
        if not inside:
            continue
        asked = {DnsQuestion(one.name, one.type) for one in inside}
        told = [around.machine.look_up_at(server, list(asked)) for server in zone.servers]
        if all(answer.failed for answers in told for answer in answers.values()):
            raise SetupTrouble(f"the servers of {zone.name} do not answer", "Run setup again later.", ItemState.WAITING)
        there = {(one, value) for answers in told for one, answer in answers.items() for value in answer.values}
        add = tuple(one for one in inside if (DnsQuestion(one.name, one.type), one.value) not in there)
        found.append((zone, ZoneChange(zone.name, add, ())))
    return found


def _pin(around: Surrounded) -> None:
    _write_files(around)
    key = key_of(around)
    if key is not None and _is_signed(around):
        for zone, change in _lacking_pins(around):
            _send(around, zone, key, change)


# Seen


def _look(around: Surrounded) -> Item:
    wanted = _wanted(around)
    judged = [one for zone in _zones(around, wanted) for one in _judged(around, zone, wanted)]
    wrong = [one for one in judged if one["verdict"] == "differs"]
    if wrong:
        told = [f"{one['name']} {one['type']}: {one['advice']}" for one in wrong]
        seen = f"{_named(wrong)} differ from what they should be" if len(wrong) > 1 else f"{_named(wrong)} is wrong"
        return Item(NAME, ItemState.FAILED, seen, "\n".join(told))
    lacking = [one for one in judged if one["verdict"] in ("missing", "failed")]
    if lacking:
        file = around.places.records / f"{around.domain}.txt"
        seen = f"{len(lacking)} of {len(judged)} are not there yet: {_named(lacking)}"
        return Item(
            NAME, ItemState.WAITING, seen, f"Publish what stands in {file}; setup sees it when it is run again."
        )
    return Item(NAME, ItemState.DONE, "all that are needed stand at the zone's own servers")


def _named(records: Sequence[RecordCheck]) -> str:
    names = [f"{one['type']} {one['name']}" for one in records]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _wait(around: Surrounded) -> None:
    """Wait, and tick each record as it appears."""
    until, ticked = around.machine.now() + around.patience, _there(around)
    around.tell(f"waiting up to {around.patience / 60:.0f} minutes for DNS; Ctrl-C goes on another time")
    while around.machine.now() < until:
        around.machine.pause(PAUSE)
        there = _there(around)
        if there - ticked:
            around.tell(f"there now: {', '.join(sorted(there - ticked))}")
        ticked |= there
        if not _is_waiting(around):
            return


def _is_waiting(around: Surrounded) -> bool:
    """Whether there is something to wait for: also where DNS has no answer for the moment."""
    try:
        return _look(around).state is ItemState.WAITING
    except SetupTrouble:
        return True


def _there(around: Surrounded) -> set[str]:
    wanted = _wanted(around)
    try:
        judged = [one for zone in _zones(around, wanted) for one in _judged(around, zone, wanted)]
    except SetupTrouble:  # DNS that changes meanwhile
        return set()
    return {f"{one['type']} {one['name']}" for one in judged if one["verdict"] in ("right", "hint")}


FILES_ITEM = SetupItem(
    FILES,
    _look_at_files,
    _write_files,
    needs=("domain", "dkim-keys"),
    explained="The .zone file is for a zone file, the .txt file for the pages of a provider, a line a record, the .nsupdate file "
    "for the program of that name. Each says what every record is for.",
)
PUBLISHED_ITEM = SetupItem(
    PUBLISHED,
    _look_at_published,
    _publish,
    needs=(FILES,),
    explained="Where the zone takes signed updates (RFC 2136), setup publishes what is missing by itself. What is there and "
    "differs it replaces only when you answered replace_records with yes.",
)
ITEM = SetupItem(
    NAME,
    _look,
    wait=_wait,
    needs=(FILES,),
    explained="The zone's own servers are asked, each of them: a resolver may remember for an hour that a name was not there.",
)
PINS_ITEM = SetupItem(
    PINS,
    _look_at_pins,
    _pin,
    needs=("certificate",),
    explained="Where a zone is signed with DNSSEC, other servers send only to who has the key that is pinned there (DANE). "
    "In a zone that is not signed these records are of no use, and are not published.",
)
