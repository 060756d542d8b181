"""The whole server is killed while clients work: what it acknowledged holds. ``python -m tests.crash`` does it a thousand times."""

import apsw
import pytest

from tests.crash.run import Run
from tests.crash.server import Lost


@pytest.fixture
def run(tmp_path):
    one = Run(tmp_path, seed=3)
    yield one
    one.close()


def test_what_was_acknowledged_survives_fifteen_kills(run):
    run.run(15)
    assert run.kills >= 15 and run.acknowledged > 100


def test_a_message_that_is_not_there_after_a_start_is_missed(run):
    run.prepare()
    run.work()
    lost = 0
    for path in run.node.data.glob("mail-*.db"):
        with apsw.Connection(str(path)) as database:
            database.execute("UPDATE placement SET expunged_modseq = modseq")
            lost += database.changes()
    assert lost
    run.restart()
    with pytest.raises(Lost, match="was acknowledged and is lost"):
        run.check()
