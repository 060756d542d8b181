"""What is PostgreSQL's own: translation, several writers, connections that break. The contract is tested with the rest."""

from __future__ import annotations

import select
import threading

import psycopg
import pytest
from twisted.internet.defer import Deferred

from mailnode.errors import ConfigurationError, NoSuchMailbox, StoreUnavailable
from mailnode.store.engines import migrate
from mailnode.store.engines import postgres as engine_postgres
from mailnode.store.engines.engine import DIRECTORY, EPHEMERAL, QUEUE, mail_tenancy
from mailnode.store.engines.postgres import PostgresEngine, to_psycopg, to_schema
from mailnode.store.facades.directory import Directory
from mailnode.store.facades.mail_store import MailStore
from mailnode.store.facades.queue import Queue
from mailnode.store.units import verify
from mailnode.values.address import parse_address
from mailnode.values.mailbox import DeliveryPlan
from mailnode.values.queue import NewEnvelope, QueuedEnvelope, QueuedRecipient

MAIL = mail_tenancy(0)
NOW = 1_800_000_000.0

pytestmark = pytest.mark.parametrize("engine", ["postgres"], indirect=True)


@pytest.fixture
def other(engine, loop, cluster):
    """A second process on the same database."""
    other = PostgresEngine(cluster.url, engine.partitions, loop.call_from_thread, prefix=engine._prefix, connections=4)
    loop.run(other.start())
    yield other
    loop.run(other.stop())


def make_probe(tx):
    tx.execute("CREATE TABLE probe (a BIGINT PRIMARY KEY, b BIGINT NOT NULL)")
    tx.execute("INSERT INTO probe (a, b) VALUES (1, 0)")


def probe(tx):
    return tx.execute("SELECT a, b FROM probe ORDER BY a")


@pytest.fixture
def table(engine, loop):
    loop.run(engine.write(MAIL, make_probe))
    return engine


# words


@pytest.mark.parametrize(
    ("sql", "translated"),
    [
        ("SELECT ? + ?", "SELECT %s + %s"),
        ("SELECT '?', \"a?\", ?", "SELECT '?', \"a?\", %s"),
        ("SELECT 'it''s ?' WHERE a LIKE ?", "SELECT 'it''s ?' WHERE a LIKE %s"),
        ("SELECT 5 % 2, '%'", "SELECT 5 %% 2, '%%'"),
        ("SELECT 'open ?", "SELECT 'open %s"),
    ],
)
def test_placeholders(engine, sql, translated):
    assert to_psycopg(sql) == translated


def test_what_is_quoted_arrives_as_it_is(table, loop):
    def unit(tx):
        return tx.execute("SELECT 'a?b%c''', ?", ("x%s?",)), tx.execute("SELECT '%'")

    assert loop.run(table.read(MAIL, unit)) == ([("a?b%c'", "x%s?")], [("%",)])


def test_the_schemas_words(engine):
    assert to_schema("CREATE TABLE t (a TEXT, b BLOB) WITHOUT ROWID").strip() == (
        'CREATE TABLE t (a TEXT COLLATE "C", b BYTEA)'
    )


def test_values_come_back_as_they_do_from_sqlite(table, loop):
    def unit(tx):
        tx.execute("UPDATE probe SET b = ? WHERE a = ?", (True, 1))
        return tx.execute("SELECT SUM(b), COUNT(*), CAST(? AS BYTEA), AVG(b + 0.5) FROM probe", (b"\0\xff",))

    ((total, count, octets, mean),) = loop.run(table.write(MAIL, unit))
    assert (total, count, octets, mean) == (1, 1, b"\0\xff", 1.5)
    assert (type(total), type(count), type(octets)) == (int, int, bytes)


def test_text_is_ordered_by_octets(engine, loop):
    directory = Directory(engine)
    for name in ("b.example", "B-a.example", "a_b.example", "ab.example"):
        loop.run(directory.add_domain(name))
    names = [domain.name for domain in loop.run(directory.domains())]
    assert names == sorted(names)


# units


def test_a_read_cannot_write(table, loop):
    with pytest.raises(StoreUnavailable):
        loop.run(table.read(MAIL, make_probe))


def test_an_error_that_a_unit_hides_undoes_it(table, loop):
    def unit(tx):
        tx.execute("UPDATE probe SET b = 5")
        try:
            tx.execute("SELECT * FROM nothing")
        except psycopg.Error:
            pass

    with pytest.raises(StoreUnavailable):
        loop.run(table.write(MAIL, unit))
    assert loop.run(table.read(MAIL, probe)) == [(1, 0)]


def test_a_domain_error_undoes_its_unit(table, loop):
    def unit(tx):
        tx.execute("UPDATE probe SET b = 5")
        raise NoSuchMailbox("gone")

    with pytest.raises(NoSuchMailbox):
        loop.run(table.write(MAIL, unit))
    assert loop.run(table.read(MAIL, probe)) == [(1, 0)]


def test_a_connection_that_breaks_before_the_commit_is_replaced(table, loop, cluster):
    runs = []

    def unit(tx):
        runs.append(tx.execute("SELECT pg_backend_pid()")[0][0])
        tx.execute("UPDATE probe SET b = b + 1")
        if len(runs) == 1:
            with psycopg.connect(cluster.url) as killer:
                killer.execute("SELECT pg_terminate_backend(%s, 5000)", (runs[0],))
        return tx.execute("SELECT b FROM probe")

    assert loop.run(table.write(MAIL, unit)) == [(1,)]
    assert len(runs) == 2
    assert loop.run(table.read(MAIL, probe)) == [(1, 1)]


def test_a_unit_whose_process_was_stopped_for_too_long_is_run_again(table, loop):
    """The server ended its session; nothing was kept."""
    runs = []

    def unit(tx):
        runs.append(tx.execute("UPDATE probe SET b = b + 1 RETURNING b"))
        if len(runs) == 1:
            tx.execute("SET idle_in_transaction_session_timeout TO '1ms'")
            select.select([tx._connection.fileno()], [], [], 10)  # until it says so
        return tx.execute("SELECT b FROM probe")

    assert loop.run(table.write(MAIL, unit)) == [(1,)]
    assert len(runs) == 2


def test_all_connections_may_be_gone(table, loop, cluster):
    """A server that was restarted: its clients find out one by one."""
    loop.together(*(table.read(MAIL, probe) for _ in range(8)))
    with psycopg.connect(cluster.url) as killer:
        killer.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
    assert loop.together(*(table.read(MAIL, probe) for _ in range(8))) == [[(1, 0)]] * 8


def test_durability_does_not_depend_on_the_servers_defaults(table, loop, cluster):
    def unit(tx):
        return tx.execute("SHOW synchronous_commit")[0][0]

    with psycopg.connect(cluster.url) as connection:
        connection.execute("ALTER ROLE tests SET synchronous_commit TO off")
    try:
        fresh = PostgresEngine(cluster.url, table.partitions, prefix=table._prefix)
        loop.run(fresh.start())
        assert loop.run(fresh.write(MAIL, unit)) == "on"
        assert loop.run(fresh.write(QUEUE, unit)) == "on"
        assert loop.run(fresh.write(EPHEMERAL, unit)) == "off"
        loop.run(fresh.stop())
    finally:
        with psycopg.connect(cluster.url) as connection:
            connection.execute("ALTER ROLE tests RESET synchronous_commit")


def test_a_unit_that_never_stands_is_refused(table, loop, monkeypatch):
    monkeypatch.setattr(engine_postgres, "ATTEMPTS", 4)
    runs = []

    def unit(tx):
        runs.append(1)
        raise psycopg.errors.SerializationFailure("never")

    with pytest.raises(StoreUnavailable):
        loop.run(table.write(MAIL, unit))
    assert len(runs) == 4


def test_after_the_stop_nothing_runs(loop, engine, cluster):
    spare = PostgresEngine(cluster.url, engine.partitions, prefix=engine._prefix)
    loop.run(spare.start())
    loop.run(spare.stop())
    loop.run(spare.stop())
    with pytest.raises(StoreUnavailable):
        loop.run(spare.read(MAIL, verify.account_ids))


# two writers


def test_patient_units_leave_connections_for_the_others(table, loop, monkeypatch):
    gate = threading.Event()

    def old(tx):
        return gate.wait(10)

    async def ended(deferred):
        return await deferred

    monkeypatch.setattr(engine_postgres, "PATIENT", {old})
    waiting = [Deferred.fromCoroutine(table.write(MAIL, old)) for _ in range(10)]
    assert loop.run(table.write(MAIL, probe)) == [(1, 0)]
    assert not any(one.called for one in waiting)
    gate.set()
    assert loop.together(*map(ended, waiting)) == [True] * 10


def test_two_writers_lose_no_update(table, other, loop):
    def add(tx):
        ((value,),) = tx.execute("SELECT b FROM probe WHERE a = 1")
        tx.execute("UPDATE probe SET b = ? WHERE a = 1", (value + 1,))

    outcomes = loop.together(*((table, other)[n % 2].write(MAIL, add) for n in range(30)))
    assert outcomes == [None] * 30
    assert loop.run(table.read(MAIL, probe)) == [(1, 30)]


def test_what_a_unit_checked_still_holds_when_it_commits(table, other, loop):
    """Each adds its row only while there are fewer than five: no two see the fourth at once."""

    def add(tx, number):
        if len(tx.execute("SELECT a FROM probe")) < 5:
            tx.execute("INSERT INTO probe (a, b) VALUES (?, 0)", (number,))

    loop.together(*((table, other)[n % 2].write(MAIL, add, n) for n in range(2, 20)))
    assert len(loop.run(table.read(MAIL, probe))) == 5


def test_two_processes_deliver_to_one_account(engine, other, store, blobs, hints, make, clock, loop):
    stores = (store, MailStore(other, blobs, hints, clock, engine.partitions))
    jobs = []
    for number in range(20):
        message = make(b"Subject: %d\r\n\r\n" % number)
        jobs.append(stores[number % 2].deliver(f"e{number}", [DeliveryPlan("ann", "ann@x")], message, True))
    placed = [delivered for (delivered,) in loop.together(*jobs)]
    assert sorted(delivered.uid for delivered in placed) == list(range(1, 21))
    by_modseq = sorted(placed, key=lambda delivered: delivered.modseq)
    assert [delivered.uid for delivered in by_modseq] == list(range(1, 21))


def test_two_runners_claim_no_recipient_twice(engine, other, files, loop):
    queues = (Queue(engine, files), Queue(other, files))
    for name in ("e1", "e2", "e3"):
        staged = loop.run(files.put(b"x"))
        recipients = tuple(QueuedRecipient(n, f"u{n}@a.example", "a.example", next_try=NOW) for n in range(20))
        envelope = QueuedEnvelope(name, "", staged.ref, NOW, NOW + 99, recipients=recipients)
        loop.run(queues[0].enqueue(NewEnvelope(envelope, staged)))
    claims = loop.together(*(queues[n % 2].claim("a.example", NOW, 60.0, 7) for n in range(12)))
    taken = [(c.envelope.id, r.index) for one in claims for c in one for r in c.envelope.recipients]
    assert len(taken) == len(set(taken)) == 60


def test_two_processes_give_an_address_once(engine, other, loop):
    directories = (Directory(engine), Directory(other))
    loop.run(directories[0].add_domain("x.example"))
    outcomes = loop.together(
        *(directories[n % 2].add_account(f"A{n}", parse_address("ann@x.example"), 0.0) for n in range(8))
    )
    assert sum(not isinstance(outcome, Exception) for outcome in outcomes) == 1
    assert len(loop.run(directories[1].accounts())) == 1


# start


def test_two_processes_start_on_an_empty_database(engine, loop, cluster):
    url = cluster.url
    starting = [PostgresEngine(url, 1, loop.call_from_thread, prefix="fresh", connections=2) for _ in range(3)]
    assert loop.together(*(process.start() for process in starting)) == [None] * 3
    assert loop.run(starting[0].read(MAIL, verify.account_ids)) == []
    for process in starting:
        loop.run(process.stop())
    with psycopg.connect(url) as connection:
        for tenancy in ("directory", "queue", "ephemeral", "mail_00"):
            connection.execute(f"DROP SCHEMA fresh_{tenancy} CASCADE")


def test_a_newer_schema_is_refused(engine, loop, cluster):
    def age(tx, number):
        tx.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (number,))

    current = str(loop.run(engine.write(QUEUE, migrate.version)))
    loop.run(engine.write(QUEUE, age, "9999"))
    try:
        with pytest.raises(ConfigurationError, match="newer version"):
            loop.run(PostgresEngine(cluster.url, engine.partitions, prefix=engine._prefix).start())
    finally:
        loop.run(engine.write(QUEUE, age, current))


def test_another_number_of_partitions_is_refused(engine, loop, cluster):
    with pytest.raises(ConfigurationError, match="partitions"):
        loop.run(PostgresEngine(cluster.url, engine.partitions + 1, prefix=engine._prefix).start())


def test_a_server_that_is_not_there_is_told_at_once(engine, loop, tmp_path):
    with pytest.raises(ConfigurationError, match=r"store\.url"):
        loop.run(PostgresEngine(f"host={tmp_path} dbname=x user=x").start())


def test_a_database_of_another_encoding_is_refused(engine, loop, cluster):
    url = cluster.url
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(ConfigurationError, match="server_encoding"):
        loop.run(PostgresEngine(url.replace("dbname=postgres", "dbname=latin")).start())
    assert loop.run(engine.read(DIRECTORY, lambda tx: tx.execute("SELECT 1"))) == [(1,)]
