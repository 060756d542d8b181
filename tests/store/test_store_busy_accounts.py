"""Many change one account at once: each in its turn, none refused, none seeing half of what another does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg
import pytest
from store_support import PATIENCE
from twisted.internet.defer import Deferred

from mailnode.errors import NoSuchAccount
from mailnode.store.engines import postgres as engine_postgres
from mailnode.store.engines.engine import mail_tenancy, of_account
from mailnode.store.engines.postgres import PostgresEngine
from mailnode.store.facades.mail_store import MailStore
from mailnode.store.units import accounts, search_index, sweeping, undelete
from mailnode.values.mailbox import DeliveryPlan
from tests.processes import end, start

WRITER = Path(__file__).with_name("store_contending_writer.py")
on_postgres = pytest.mark.parametrize("engine", ["postgres"], indirect=True)


async def ended(deferred):
    return await deferred


def until(holds):
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def others(engine, loop, cluster):
    """Two more processes on the same database."""
    made = [
        PostgresEngine(cluster.url, engine.partitions, loop.call_from_thread, prefix=engine._prefix, connections=4)
        for _ in range(2)
    ]
    for one in made:
        loop.run(one.start())
    yield made
    for one in made:
        loop.run(one.stop())


@pytest.fixture
def tenancy(store):
    return mail_tenancy(store.partition("ann"))


def test_every_change_of_many_at_once_has_its_modseq(store, make, loop):
    box = store.account("ann").open(1)
    appended = loop.together(*(box.append([make(b"Subject: %d\r\n\r\n" % n)]) for n in range(30)))
    stored = loop.together(*(box.store_flags([one.uids[0]], "add", 4) for one in appended))
    modseqs = [one.modseq for one in (*appended, *stored)]
    assert sorted(modseqs) == list(range(min(modseqs), min(modseqs) + 60))


@on_postgres
def test_processes_that_change_one_account_are_never_refused(engine, store, loop, cluster):
    """Real ones, so that no turn of this process orders them."""
    root = Path(__file__).parents[2]
    settings = {"url": cluster.url, "number": store.partition("ann"), "prefix": engine._prefix, "units": 100}
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{WRITER.parent}"}
    writers = [
        start([sys.executable, str(WRITER), json.dumps(settings)], stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(3)
    ]
    try:
        answers = [json.loads(one.communicate(timeout=60)[0]) for one in writers]
    finally:
        for one in writers:
            end(one)
    modseqs = sorted(modseq for one in answers for modseq in one["modseqs"])
    assert modseqs == list(range(modseqs[0], modseqs[0] + 300))
    assert sum(one["runs"] for one in answers) == 300, "a unit was run again"


@on_postgres
def test_what_a_unit_reads_of_its_account_holds_until_it_commits(engine, others, store, tenancy, loop):
    """Also what it reads before it changes anything: each notes one more than it found."""
    runs = []

    @of_account
    def unit(tx, account_id):
        runs.append(account_id)
        ((count,),) = tx.execute("SELECT quota_count FROM account WHERE account_id = ?", (account_id,))
        tx.execute("UPDATE account SET quota_count = ? WHERE account_id = ?", (count + 1, account_id))

    processes = (engine, *others)
    assert loop.together(*(processes[n % 3].write(tenancy, unit, "ann") for n in range(60))) == [None] * 60
    assert loop.run(store.usage(["ann"]))["ann"].count_limit == 60
    assert len(runs) == 60, "a unit was run again"


@on_postgres
def test_a_busy_account_leaves_connections_for_the_others(engine, store, tenancy, loop):
    gate = threading.Event()

    @of_account
    def slow(tx, account_id):
        return gate.wait(PATIENCE)

    waiting = [Deferred.fromCoroutine(engine.write(tenancy, slow, "ann")) for _ in range(10)]
    loop.run(engine.write(tenancy, accounts.provision, "bob", 0, 0))
    loop.run(engine.write(tenancy, accounts.set_quota, "bob", 1, 1, 1))
    assert not any(one.called for one in waiting)
    gate.set()
    assert loop.together(*map(ended, waiting)) == [True] * 10


@on_postgres
def test_patient_units_that_wait_for_a_busy_account_hold_up_no_other_patient_ones(
    engine, store, tenancy, loop, monkeypatch
):
    """A queue claims while many rejected messages are to be kept for somebody who changes much."""
    gate = threading.Event()

    @of_account
    def slow(tx, account_id):
        return gate.wait(PATIENCE)

    @of_account
    def place(tx, account_id):
        return True

    def claim(tx):
        return gate.is_set()

    monkeypatch.setattr(engine_postgres, "PATIENT", {place, claim})
    waiting = [Deferred.fromCoroutine(engine.write(tenancy, unit, "ann")) for unit in (slow, *[place] * 10)]
    claiming = Deferred.fromCoroutine(engine.write(tenancy, claim))
    loop.run(engine.write(tenancy, accounts.provision, "bob", 0, 0))
    clear = threading.Timer(2.0, gate.set)  # so that it ends where it does wait
    clear.start()
    assert loop.run(ended(claiming)) is False
    gate.set()
    clear.cancel()
    assert loop.together(*map(ended, waiting)) == [True] * 11


@on_postgres
def test_an_account_may_have_any_name(engine, store, tenancy, loop):
    with pytest.raises(NoSuchAccount):
        loop.run(engine.write(tenancy, accounts.set_quota, "'); DROP TABLE account; --\\'", 1, 1, 1))
    assert loop.run(store.usage(["ann"]))


@on_postgres
def test_a_process_that_falls_silent_holds_no_lock_for_ever(engine, loop):
    def unit(tx):
        return tx.execute("SHOW idle_in_transaction_session_timeout")

    assert loop.run(engine.write(mail_tenancy(0), unit)) == [("1min",)]


@on_postgres
def test_content_stays_when_its_last_copy_goes_while_another_is_placed(
    engine, others, store, blobs, hints, make, clock, loop
):
    """The queue places a copy for another account at the moment at which the only one there is is removed."""
    bob = next(f"bob{n}" for n in range(99) if store.partition(f"bob{n}") == store.partition("ann"))
    tenancy = mail_tenancy(store.partition("ann"))
    loop.run(store.provision(bob))
    message = make(b"Subject: shared\r\n\r\n")
    loop.run(store.deliver("e", [DeliveryPlan("ann", "ann@x")], message, True))
    loop.run(engine.write(tenancy, sweeping.begin_removal, "ann", 1))
    looked, placed, runs = threading.Event(), threading.Event(), []

    def remove(tx):
        runs.append(tx.execute("SELECT account_id FROM account"))
        looked.set()
        placed.wait(PATIENCE)
        return sweeping.remove_some(tx, "ann")

    removing = Deferred.fromCoroutine(engine.write(tenancy, remove))
    assert looked.wait(PATIENCE)
    other = MailStore(others[0], blobs, hints, clock, engine.partitions)
    loop.run(other.deliver("e", [DeliveryPlan(bob, f"{bob}@x")], message, True))
    placed.set()
    assert loop.run(ended(removing)) == 1
    assert len(runs) == 2
    box = store.account(bob).open(1)
    [(_, ref)] = loop.run(box.rows([1], ["blob"]))
    assert loop.run(box.read(ref)) == b"Subject: shared\r\n\r\n"


@on_postgres
def test_a_message_that_comes_back_while_it_is_swept_is_there(engine, others, store, tenancy, make, loop):
    """Its time is over, and its owner asks for it at that moment."""
    box = store.account("ann").open(1)
    loop.run(box.append([make(b"Subject: back\r\n\r\n")]))
    loop.run(box.expunge([1], False))
    looked, placed, runs = threading.Event(), threading.Event(), []

    def sweep(tx):
        runs.append(tx.execute("SELECT uid FROM placement"))
        looked.set()
        placed.wait(PATIENCE)
        return sweeping.expired(tx, 1 << 62)

    sweeping_ = Deferred.fromCoroutine(engine.write(tenancy, sweep))
    assert looked.wait(PATIENCE)
    assert loop.run(others[0].write(tenancy, undelete.undelete, "ann", 1, [1], 2, 1))[0] == 1
    placed.set()
    assert loop.run(ended(sweeping_)) == 1
    assert len(runs) == 2
    box = store.account("ann").open(2)
    [(_, ref)] = loop.run(box.rows([1], ["blob"]))
    assert loop.run(box.read(ref)) == b"Subject: back\r\n\r\n"


@on_postgres
def test_what_is_indexed_of_a_busy_account_waits_and_is_not_run_again(
    engine, others, store, tenancy, loop, cluster, monkeypatch
):
    """It would have a place of those that may wait all the while, and be refused at last."""
    begun, gate, attempts, attempt = threading.Event(), threading.Event(), [], engine._attempt

    @of_account
    def busy(tx, account_id):
        accounts.touch(tx, account_id)
        begun.set()
        return gate.wait(PATIENCE)

    def counted(*args):
        attempts.append(args)
        return attempt(*args)

    monkeypatch.setattr(engine, "_attempt", counted)
    with psycopg.connect(cluster.url, autocommit=True) as looking:

        def waiting(what):
            return looking.execute(f"SELECT 1 FROM pg_stat_activity WHERE {what}").fetchall()

        first = Deferred.fromCoroutine(others[0].write(tenancy, busy, "ann"))
        assert begun.wait(PATIENCE)
        adding = Deferred.fromCoroutine(engine.write(tenancy, search_index.add, "ann", 0, 0, None, [], 1))
        until(lambda: waiting("wait_event_type = 'Lock'"))
    gate.set()
    assert loop.together(ended(first), ended(adding)) == [True, True]
    assert len(attempts) == 1
