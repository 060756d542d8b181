"""What is counted in instructions: each round asks for what its row says."""

from __future__ import annotations

import sys
from itertools import count, islice
from types import SimpleNamespace

from benchmarks.instructions import NOTHING_LEARNT, ROWS, Server, fresh, stores, totals

DUMP = "# callgrind format\nevents: Ir\nfn=(1) one\n1 12\nfn=(2) two\n1 30\n\ntotals: 42\n"


def test_the_sum_of_a_dump_is_read():
    assert totals(DUMP) == 42


def test_rows_are_told_apart_by_their_names():
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_each_store_changes_a_flag():
    commands = list(islice(stores(b"STORE %d %bFLAGS (\\Seen)")(SimpleNamespace()), 200))
    seen: set[bytes] = set()
    for command in commands:
        _, number, what, _ = command.split(b" ")
        assert (number in seen) == (what == b"-FLAGS")
        seen ^= {number}
    assert not seen


def test_what_is_fetched_first_is_fetched_once():
    ground = SimpleNamespace(fresh=count(1000))
    rounds = [list(islice(fresh(b"FETCH %d (BODY.PEEK[])")(ground), 5)) for _ in range(2)]
    assert len({command for commands in rounds for command in commands}) == 10


def test_the_server_is_run_by_callgrind_and_by_one_interpreter(tmp_path):
    command = Server(tmp_path, "bob@a.test").twistd("--config", "x")
    at = command.index(sys.executable)
    assert command[0] == "valgrind" and command.count(sys.executable) == 1
    assert command[at + 1] == "-c" and command[at + 2].startswith(NOTHING_LEARNT)
