"""The same with the store on PostgreSQL, which is killed too. ``python -m tests.crash --postgres database`` does it more often."""

import pytest

from tests.crash.postgres import postgres
from tests.crash.run import Run


@pytest.fixture
def database():
    with postgres() as server:
        yield server


@pytest.mark.parametrize("kill_database", [False, True], ids=["the server is killed", "the database is killed"])
def test_what_was_acknowledged_survives_kills(tmp_path, database, kill_database):
    run = Run(tmp_path, seed=5, database=database, kill_database=kill_database)
    try:
        run.run(2)
    finally:
        run.close()
    assert run.kills >= 2 and run.acknowledged > 10
    assert run.database_kills == 2 * kill_database
