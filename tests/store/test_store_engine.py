"""What every engine promises about units."""

from __future__ import annotations

import pytest

from mailnode.errors import NoSuchMailbox, StoreUnavailable
from mailnode.store.engines.engine import mail_tenancy

MAIL = mail_tenancy(0)


def make_table(tx):
    tx.execute("CREATE TABLE probe (a BIGINT PRIMARY KEY, b TEXT)")


def add(tx, number, fail=None):
    tx.execute("INSERT INTO probe (a, b) VALUES (?, ?)", (number, "x"))
    if fail is not None:
        raise fail
    return number


def numbers(tx):
    return [row[0] for row in tx.execute("SELECT a FROM probe ORDER BY a")]


@pytest.fixture
def table(engine, loop):
    loop.run(engine.write(MAIL, make_table))
    return engine


def test_a_write_is_read_back(table, loop):
    assert loop.run(table.write(MAIL, add, 1)) == 1
    assert loop.run(table.read(MAIL, numbers)) == [1]


def test_a_domain_error_undoes_its_own_unit_only(table, loop):
    outcomes = loop.together(
        table.write(MAIL, add, 1),
        table.write(MAIL, add, 2, NoSuchMailbox("gone")),
        table.write(MAIL, add, 3),
    )
    assert outcomes[0] == 1
    assert isinstance(outcomes[1], NoSuchMailbox)
    assert outcomes[2] == 3
    assert loop.run(table.read(MAIL, numbers)) == [1, 3]


@pytest.mark.parametrize("fail", [KeyError("mistake"), RuntimeError("mistake")])
def test_any_other_error_is_store_unavailable(table, loop, fail):
    with pytest.raises(StoreUnavailable) as caught:
        loop.run(table.write(MAIL, add, 1, fail))
    assert caught.value.__cause__ is fail
    assert loop.run(table.read(MAIL, numbers)) == []


def test_a_constraint_undoes_its_own_unit_only(table, loop):
    one, two, again, three = loop.together(*(table.write(MAIL, add, number) for number in (1, 2, 1, 3)))
    assert (two, three) == (2, 3)
    refused, kept = (one, again) if again == 1 else (again, one)  # on PostgreSQL either may be the first
    assert kept == 1 and isinstance(refused, StoreUnavailable)
    assert loop.run(table.read(MAIL, numbers)) == [1, 2, 3]


def test_many_runs_one_statement_for_each_row(table, loop):
    def fill(tx):
        tx.many("INSERT INTO probe (a, b) VALUES (?, ?)", [(i, "y") for i in range(5)])

    loop.run(table.write(MAIL, fill))
    assert loop.run(table.read(MAIL, numbers)) == [0, 1, 2, 3, 4]


def test_tenancies_are_apart(table, loop):
    loop.run(table.write(mail_tenancy(1), make_table))
    loop.run(table.write(mail_tenancy(1), add, 9))
    assert loop.run(table.read(MAIL, numbers)) == []


def test_a_stopped_engine_refuses(table, loop):
    loop.run(table.stop())
    with pytest.raises(StoreUnavailable):
        loop.run(table.read(MAIL, numbers))
