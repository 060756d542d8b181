"""Certificates that the server gets from an authority by itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from mailnode.checks.row import DOCTOR_ONLY, Check, Surroundings, done, failed, skipped, to_do
from mailnode.values.acme import CertificateStanding
from mailnode.values.item import Item

NAME = "certificate-renewal"
OVERDUE = 86_400.0  # seconds after which one that was due is late, though no try failed


async def _look(world: Surroundings) -> Sequence[Item]:
    standing, now = world.facts.renewal, world.clock.seconds()
    if standing is None:
        return [skipped(NAME, "the server does not get its certificates by itself ([acme]), or does not run")]
    if standing.trouble:
        mend = "Put right what it says, then: mailnode certificate renew"
        return [failed(NAME, f"{standing.failures} tries failed, the last because {standing.trouble}", mend)]
    return [_judge(one, now) for one in standing.certificates]


def _judge(one: CertificateStanding, now: float) -> Item:
    name = f"{NAME}:{one.kind}"
    if not one.not_after:
        return to_do(name, "there is none yet", "mailnode certificate renew")
    if one.renew_at + OVERDUE < now:
        return failed(name, f"it was due on {_day(one.renew_at)}", "The log says why; then: mailnode certificate renew")
    if one.key_note:
        mend = "Publish the TLSA records that mailnode domain records says."
        return to_do(name, f"the key is not changed: {one.key_note}", mend)
    return done(name, f"it is renewed on {_day(one.renew_at)}")


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


CHECKS = (
    Check(
        name=NAME,
        about="Certificates that the server gets by itself are renewed in time",
        why="A renewal that fails is mended best while the certificate in use is still good for weeks.",
        look=_look,
        occasions=DOCTOR_ONLY,
    ),
)
