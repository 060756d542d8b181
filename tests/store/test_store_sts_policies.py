"""MTA-STS policies of other domains, on every engine."""

from __future__ import annotations

from dataclasses import replace

from mailnode.errors import StoreUnavailable
from mailnode.store.engines.engine import EPHEMERAL
from mailnode.store.facades import sts_policies as sts_policies_facade
from mailnode.store.facades.sts_policies import StsPolicies
from mailnode.store.units import sts_policies
from mailnode.values.sts_policy import KeptStsPolicy, StsPolicy

NOW = 1_800_000_000.25
KEPT = KeptStsPolicy(StsPolicy("enforce", ("mx.example", "*.example"), 86_400), "one", NOW)


def count(tx):
    return tx.execute("SELECT COUNT(*) FROM sts_policy")[0][0]


def test_a_policy_stays_until_another_takes_its_place(engine, loop):
    these = StsPolicies(engine)
    assert loop.run(these.get("d.example")) is None
    other = replace(KEPT, policy=StsPolicy("none", (), 0), id="two")
    for kept in (KEPT, other, KEPT):
        loop.run(these.put("d.example", kept))
        assert loop.run(StsPolicies(engine).get("d.example")) == kept
    assert loop.run(engine.read(EPHEMERAL, count)) == 1


def test_what_has_expired_goes_when_another_comes(engine, loop):
    these = StsPolicies(engine)
    for number in range(5):
        loop.run(these.put(f"{number}.example", KEPT))
    loop.run(these.put("new.example", replace(KEPT, fetched=NOW + 86_400)))
    assert loop.run(engine.read(EPHEMERAL, count)) == 1


def test_there_are_no_more_than_so_many(engine, loop, monkeypatch):
    monkeypatch.setattr(sts_policies, "MOST", 3)
    for number in range(5):
        loop.run(StsPolicies(engine).put(f"{number}.example", replace(KEPT, fetched=NOW + number)))
    assert loop.run(engine.read(EPHEMERAL, count)) == 3
    these = StsPolicies(engine)
    assert loop.run(these.get("1.example")) is None  # those that would expire first went
    assert loop.run(these.get("4.example")) is not None


class Gone:
    """An engine that is not available."""

    async def read(self, *what):
        raise StoreUnavailable

    write = read


def test_a_store_that_is_not_available_keeps_nothing(loop):
    these = StsPolicies(Gone())
    assert loop.run(these.get("d.example")) is None
    loop.run(these.put("d.example", KEPT))
    assert loop.run(these.get("d.example")) == KEPT  # remembered until the end of the process


def test_what_is_remembered_is_bounded(engine, loop, monkeypatch):
    monkeypatch.setattr(sts_policies_facade, "REMEMBERED", 2)
    these = StsPolicies(engine)
    loop.run(these.put("0.example", KEPT))
    for number in range(1, 4):
        assert loop.run(these.get(f"{number}.example")) is None
    assert len(these._known) == 2
    assert loop.run(these.get("0.example")) == KEPT
