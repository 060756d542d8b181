"""The certificates in use, and what the listeners show."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from mailnode.checks.facts import CertificateFacts, ServedPort
from mailnode.checks.row import DOCTOR_ONLY, Check, Surroundings, done, failed, skipped, to_do
from mailnode.values.item import Item

NAME, SHOWN = "certificates", "certificates-shown"
DAY = 86_400.0
SOON, URGENT = 14 * DAY, 4 * DAY  # seconds until it runs out, and no more than these shares of its lifetime
SOON_SHARE, URGENT_SHARE = 0.25, 0.1
MAX_NAMES = 5  # that are told


async def _look(world: Surroundings) -> Sequence[Item]:
    facts = world.facts
    items = [failed(NAME, trouble, "mailnode check") for trouble in facts.certificate_troubles]
    if not facts.certificates and not items:
        if not any(port.tls != "none" for port in facts.ports):
            return [skipped(NAME, "no listener has TLS")]
        return [failed(NAME, "no certificate could be read", "mailnode check")]
    items += [_judge(certificate, world.clock.seconds()) for certificate in facts.certificates]
    covering = {facts.hostname, f"*.{facts.hostname.partition('.')[2]}"}
    if facts.certificates and not any(covering & set(one.names) for one in facts.certificates):
        mend = f"Get one that has {facts.hostname} among its names: [tls] certificate and key."
        items.append(failed(f"{NAME}:{facts.hostname}", "no certificate here is for the host name", mend))
    return items


def _judge(one: CertificateFacts, now: float) -> Item:
    name = f"{NAME}:{one.names[0] if one.names else 'nameless'}"
    lifetime, left = one.not_after - one.not_before, one.not_after - now
    day = datetime.fromtimestamp(one.not_after, UTC).strftime("%Y-%m-%d")
    renew = "Renew it, put it in place of the old one, then: mailnode reload"
    if left <= 0:
        return failed(name, f"it expired on {day}", renew)
    if one.not_before > now:
        return failed(name, "it is not valid yet", "See that the clock is right; else wait, or use the one before.")
    if left < min(URGENT, lifetime * URGENT_SHARE):
        return failed(name, f"it runs out on {day}", renew)
    if left < min(SOON, lifetime * SOON_SHARE):
        return to_do(name, f"it runs out on {day}", renew)
    if one.self_signed:
        return to_do(name, "nobody but this server vouches for it", "Get one from an authority that programs trust.")
    if one.chain_trouble:
        mend = "Put the intermediate certificates of the authority behind it in the file, then: mailnode reload\n"
        mend += "If it is an authority of your own, mail programs and this machine have to be told to trust it."
        return failed(name, f"it leads to no authority that this machine trusts: {one.chain_trouble}", mend)
    return done(name, f"good until {day}, for {', '.join(one.names[:MAX_NAMES])}")


async def _shown(world: Surroundings) -> Sequence[Item]:
    ports = [port for port in world.facts.ports if _can_be_asked(port)]
    if not world.facts.running or not ports:
        return [skipped(SHOWN, "no server runs" if ports else "no listener has TLS that could be looked at")]
    return await asyncio.gather(*(_compare(world, port) for port in ports))


def _can_be_asked(port: ServedPort) -> bool:
    known = port.tls == "implicit" or (port.tls == "starttls" and port.protocol in ("smtp", "submission"))
    return known and not port.proxied


async def _compare(world: Surroundings, port: ServedPort) -> Item:
    name, facts = f"{SHOWN}:{port.number}", world.facts
    address = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(port.address, port.address)
    told = await world.network.certificate(address, port.number, facts.hostname, port.tls == "starttls")
    if not told.not_after:
        return failed(name, f"{port.protocol} shows none: {told.trouble}", "The log says why.")
    if told.not_after not in {one.not_after for one in facts.certificates}:
        return failed(name, f"{port.protocol} shows another certificate than the one in use", "mailnode reload")
    return done(name, f"{port.protocol} shows the one in use")


CHECKS = (
    Check(
        name=NAME,
        about="Certificates are good for some time, for the names they are shown under, and lead to an authority",
        why="Mail programs refuse to connect when one has expired or is for another name, and servers that go by MTA-STS keep"
        " mail back.",
        look=_look,
        occasions=DOCTOR_ONLY,
    ),
    Check(
        name=SHOWN,
        about="The listeners show the certificates in use",
        why="What stands in front of the server, or a listener that has kept an old one, may show another.",
        look=_shown,
        occasions=DOCTOR_ONLY,
    ),
)
