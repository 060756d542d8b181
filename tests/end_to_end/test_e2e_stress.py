"""Many sessions of two accounts on few mailboxes of one, in two processes of which one is killed: none is told what is not so.

``python -m tests.stress`` does it for longer.
"""

import pytest

from tests.stress.run import Stress
from tests.stress.session import OWNER, READER


@pytest.mark.parametrize("drop_hints", [False, True], ids=["", "hints are lost"])
def test_what_each_session_is_told_agrees_with_the_server(tmp_path, drop_hints):
    stress = Stress(tmp_path, seed=7, drop_hints=drop_hints)
    stress.run(rounds=2, round_seconds=3.0)
    assert stress.kills == 1 and stress.ledger.acknowledged > 50
    assert {session.account for session in stress.sessions if session.count > 10} == {OWNER, READER}
