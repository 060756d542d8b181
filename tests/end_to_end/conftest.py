"""Servers of the end-to-end tests."""

import pytest
from servers import MailNode
from ways import EveryWay


class Node(EveryWay, MailNode):
    """One with a listener for each way to connect."""


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """One mailnode with accounts alice and bob at a.test, shared by the tests of a module."""
    server = Node(tmp_path_factory.mktemp("node"))
    server.start()
    try:
        for name in ("alice", "bob"):
            server.add_account(f"{name}@a.test")
        yield server
    finally:
        server.stop()
