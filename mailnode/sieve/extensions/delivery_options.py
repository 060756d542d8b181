"""Delivery notices and times of delivery, of the envelope and of what is sent on (RFC 6009)."""

from __future__ import annotations

import re
from datetime import datetime, tzinfo

from mailnode.sieve.constructs import ArgumentKind, Checking, ScriptCall, SieveExtension, SieveTag
from mailnode.sieve.faults import ScriptFailed, ValueRefused
from mailnode.sieve.run import ScriptRun
from mailnode.sieve.zones import iso_time

MAX_SECONDS = 999_999_999  # RFC 2852 4: nine digits
_NOTICES = frozenset({"SUCCESS", "FAILURE", "DELAY"})
# RFC 3339 5.6; and as the tests of dates have zones, without a colon, for RFC 6009 7.2 makes times of these.
_ISO = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?)(Z|[+-][0-9]{2}:?[0-9]{2})\Z", re.IGNORECASE
)
_MODES = {"notify": "N", "return": "R"}


def checked_notify(text: str) -> str:
    """Return a value of NOTIFY (RFC 6009 6, RFC 3461 4.1). :raises ValueRefused: it is none."""
    words = text.upper().split(",")
    if words != ["NEVER"] and not (set(words) <= _NOTICES and len(set(words)) == len(words)):
        raise ValueRefused(f':notify is NEVER, or some of SUCCESS, FAILURE and DELAY, not "{text[:40]}"')
    return ",".join(words)


def checked_ret(text: str) -> str:
    """Return a value of RET (RFC 6009 6, RFC 3461 4.3). :raises ValueRefused: it is none."""
    if text.upper() not in ("FULL", "HDRS"):
        raise ValueRefused(f':ret is FULL or HDRS, not "{text[:40]}"')
    return text.upper()


def absolute_time(text: str) -> float:
    """Return UTC seconds of a time as RFC 3339 has it. :raises ValueRefused: it is none."""
    found = _ISO.match(text)
    try:
        if found is None:
            raise ValueError
        return datetime.fromisoformat(found[1] + ("+00:00" if found[2] in "zZ" else found[2])).timestamp()
    except (ValueError, OverflowError):
        raise ValueRefused(f'"{text[:40]}" is no time such as 2026-11-30T08:15:30Z') from None


def time_in_zone(text: str, zone: tzinfo) -> str:
    """Return the time of the envelope as a zone has it (RFC 6009 5). :raises ValueRefused: it is none."""
    return iso_time(datetime.fromtimestamp(absolute_time(text), zone))


def deliver_by(run: ScriptRun, call: ScriptCall) -> str:
    """Return the value of BY (RFC 2852 4) that redirect asks for (RFC 6009 7); "" for none. :raises ScriptFailed: no time."""
    if call.has(":bytimerelative"):
        seconds = call.number(":bytimerelative")
    elif call.has(":bytimeabsolute"):
        try:
            seconds = int(absolute_time(run.text(call, ":bytimeabsolute")) - run.facts.now)
        except ValueRefused as error:
            raise ScriptFailed(str(error)) from None
    else:
        return ""
    mode = _MODES.get(run.text(call, ":bymode", "return").lower())
    if mode is None:
        raise ScriptFailed(':bymode is "notify" or "return"')
    bounded = min(max(seconds, -MAX_SECONDS), MAX_SECONDS)
    if mode == "R" and bounded < 1:  # RFC 2852 4: a time in the past cannot be returned for
        raise ScriptFailed(':bymode "return" needs a time to come')
    return f"{bounded};{mode}{'T' if call.has(':bytrace') else ''}"


def notices(run: ScriptRun, call: ScriptCall) -> tuple[str, str]:
    """Return the values of NOTIFY and RET that redirect asks for, "" for none. :raises ScriptFailed: they are none."""
    try:
        notify = checked_notify(run.text(call, ":notify")) if call.has(":notify") else ""
        return notify, checked_ret(run.text(call, ":ret")) if call.has(":ret") else ""
    except ValueRefused as error:
        raise ScriptFailed(str(error)) from None


def check_options(checking: Checking, call: ScriptCall) -> None:
    """Note values of these tags that cannot be, where they are known."""
    for tag, check in ((":notify", checked_notify), (":ret", checked_ret), (":bytimeabsolute", absolute_time)):
        for text in call.constants(tag):
            try:
                check(text)
            except ValueRefused as error:
                checking.refuse(call, tag, str(error))
    for tag in (":bymode", ":bytrace"):
        if call.has(tag) and not call.has(":bytimerelative") and not call.has(":bytimeabsolute"):  # RFC 6009 7
            checking.refuse(call, tag, f"{tag} needs :bytimerelative or :bytimeabsolute")
    for mode in call.constants(":bymode"):
        if mode.lower() not in _MODES:
            checking.refuse(call, ":bymode", f':bymode is "notify" or "return", not "{mode[:40]}"')


STRING = ArgumentKind.STRING
ON = ("redirect",)
EXTENSIONS = (
    SieveExtension("envelope-dsn", "RFC 6009 4", "notify, orcpt, ret and envid of the test envelope"),
    SieveExtension(
        "redirect-dsn",
        "RFC 6009 6",
        ":notify and :ret of redirect",
        tags=(SieveTag("notify", STRING, on=ON), SieveTag("ret", STRING, on=ON)),
    ),
    SieveExtension(
        "envelope-deliverby",
        "RFC 6009 5",
        "bytimeabsolute, bytimerelative, bymode and bytrace of the test envelope; its :zone",
        tags=(SieveTag("zone", STRING, on=("envelope",)),),
    ),
    SieveExtension(
        "redirect-deliverby",
        "RFC 6009 7",
        ":bytimerelative, :bytimeabsolute, :bymode and :bytrace of redirect",
        tags=(
            SieveTag("bytimerelative", ArgumentKind.NUMBER, group="by time", on=ON),
            SieveTag("bytimeabsolute", STRING, group="by time", on=ON),
            SieveTag("bymode", STRING, on=ON),
            SieveTag("bytrace", on=ON),
        ),
    ),
)
