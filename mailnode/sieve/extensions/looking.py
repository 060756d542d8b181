"""Tests of the base language that look at the message and its envelope (RFC 5228 5)."""

from __future__ import annotations

from collections.abc import Iterable

from mailnode.sieve.addresses import (
    ADDRESS_FIELDS,
    address_parts,
    field_addresses,
    names_part,
    part_tags,
    split_address,
)
from mailnode.sieve.constructs import (
    ArgumentKind,
    Checking,
    ScriptCall,
    SieveArgument,
    SieveExtension,
    SieveTag,
    SieveTest,
)
from mailnode.sieve.extensions.delivery_options import time_in_zone
from mailnode.sieve.faults import ScriptFailed, ValueRefused
from mailnode.sieve.fields import check_last, check_mime, field_values, fields_of, named_lines
from mailnode.sieve.run import ScriptRun
from mailnode.sieve.zones import check_zone, wanted_zone

KEYS = SieveArgument("keys", ArgumentKind.STRINGS)
HEADERS = SieveArgument("headers", ArgumentKind.STRINGS)
_BASE_PARTS = ("from", "to")
# Parts of the envelope that extensions add (RFC 6009 4 and 5).
_ADDED_PARTS = {
    **dict.fromkeys(("notify", "orcpt", "ret", "envid"), "envelope-dsn"),
    **dict.fromkeys(("bytimeabsolute", "bytimerelative", "bymode", "bytrace"), "envelope-deliverby"),
}


def _header(run: ScriptRun, call: ScriptCall) -> list[str]:
    return field_values(run, call, run.texts(call, "headers"))


def _address(run: ScriptRun, call: ScriptCall) -> list[str]:
    names = [name for name in run.texts(call, "headers") if call.has(":mime") or name.lower() in ADDRESS_FIELDS]
    return address_parts(call, field_addresses(named_lines(run, call, names)))


def _exists(run: ScriptRun, call: ScriptCall) -> bool:
    return all(fields_of(run, call, name) for name in run.texts(call, "headers"))


def _size(run: ScriptRun, call: ScriptCall) -> bool:
    limit = call.number("limit")
    return run.mail.size > limit if call.has(":over") else run.mail.size < limit


def _envelope(run: ScriptRun, call: ScriptCall) -> list[str]:
    if not run.facts.is_delivery:  # RFC 6785 4.6
        raise ScriptFailed("a message in a mailbox has no envelope")
    found: list[str] = []
    for part in run.texts(call, "parts"):
        name = part.lower()
        if name in _BASE_PARTS:
            address = run.facts.envelope.sender if name == "from" else run.facts.envelope.recipient
            if not address and call.match is not None and call.match.type.name == "count":
                continue  # RFC 5231 4.2
            found += address_parts(call, [split_address(address)])
        elif name in _ADDED_PARTS and _ADDED_PARTS[name] in run.script.required | run.in_force:
            found += _added(run, call, name)
        else:
            raise ScriptFailed(f'the envelope has no part "{part[:40]}"')
    return found


def _added(run: ScriptRun, call: ScriptCall, name: str) -> Iterable[str]:
    """A part that an extension knows: nothing where the envelope has none."""
    if names_part(call):  # RFC 6009 4 and 5: it is no address
        raise ScriptFailed(f'"{name}" of the envelope is no address that has parts')
    value = run.facts.envelope.parts.get(name)
    if value is None:
        return ()
    if name == "bytimeabsolute":
        try:
            value = time_in_zone(value, wanted_zone(run, call))
        except ValueRefused as error:
            raise ScriptFailed(str(error)) from None
    return value.split(",") if name == "notify" else (value,)


def _check_envelope(checking: Checking, call: ScriptCall) -> None:
    check_zone(checking, call)
    for part in call.constants("parts"):
        name = part.lower()
        if name not in _BASE_PARTS and name not in _ADDED_PARTS:
            checking.refuse(call, "parts", f'the envelope has no part "{part[:40]}"')
        elif name in _ADDED_PARTS and _ADDED_PARTS[name] not in checking.required:
            checking.refuse(call, "parts", f'the part "{name}" needs require "{_ADDED_PARTS[name]}"')
        elif name in _ADDED_PARTS and names_part(call):
            checking.refuse(call, "parts", f'"{name}" of the envelope is no address that has parts')


def _check_header(checking: Checking, call: ScriptCall) -> None:
    check_last(checking, call)
    check_mime(checking, call)


def _check_address(checking: Checking, call: ScriptCall) -> None:
    _check_header(checking, call)
    for name in () if call.has(":mime") else call.constants("headers"):  # RFC 5703 4.2
        if name.lower() not in ADDRESS_FIELDS:
            checking.refuse(call, "headers", f'"{name[:80]}" is no header field with addresses that this test knows')


def _check_size(checking: Checking, call: ScriptCall) -> None:
    if not call.has(":over") and not call.has(":under"):
        checking.refuse(call, "limit", "size lacks :over or :under")


EXTENSIONS = (
    SieveExtension(
        "",
        "RFC 5228 5",
        "tests of the message",
        tests=(
            SieveTest("header", (HEADERS, KEYS), values=_header, check=_check_header),
            SieveTest("address", (HEADERS, KEYS), values=_address, check=_check_address),
            SieveTest("exists", (HEADERS,), holds=_exists, check=check_mime),
            SieveTest(
                "size",
                (SieveArgument("limit", ArgumentKind.NUMBER),),
                (SieveTag("over", group="limit"), SieveTag("under", group="limit")),
                holds=_size,
                check=_check_size,
            ),
        ),
        tags=part_tags("all", "localpart", "domain"),
    ),
    SieveExtension(
        "envelope",
        "RFC 5228 5.4",
        "the test envelope",
        tests=(
            SieveTest(
                "envelope",
                (SieveArgument("parts", ArgumentKind.STRINGS), KEYS),
                values=_envelope,
                check=_check_envelope,
            ),
        ),
    ),
    SieveExtension(
        "subaddress",
        "RFC 5233",
        ":user and :detail of address and envelope; what stands before a plus and behind it",
        tags=part_tags("user", "detail"),
    ),
)
