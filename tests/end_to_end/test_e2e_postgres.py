"""The whole server on a PostgreSQL store: submit, deliver, read, restart, read again."""

import importlib.util

import pytest
from servers import ROOT, STRICT, MailNode
from test_e2e_python_clients import found, imap, message, submit


def load_cluster():
    """The store tests' own cluster, by its path: the folders of the tests are no packages."""
    specification = importlib.util.spec_from_file_location("cluster", ROOT / "tests" / "store" / "postgres_cluster.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def store_url():
    module = load_cluster()
    programs = module.binaries()
    if programs is None:
        (pytest.fail if STRICT else pytest.skip)("PostgreSQL is not installed")
    cluster = module.Cluster(programs)
    cluster.start()
    try:
        yield f"postgresql:///postgres?host={cluster.directory}&user=tests"
    finally:
        cluster.stop()


def test_the_main_job(tmp_path, store_url):
    node = MailNode(tmp_path / "node", extra=f'[store]\nurl = "{store_url}"\n').start()
    for name in ("alice", "bob"):
        node.add_account(f"{name}@a.test")
    submit(node, message("kept in PostgreSQL"))
    client = imap(node)
    client.select("INBOX")
    (number,) = found(client, "kept in PostgreSQL")
    client.store(number, "+FLAGS", "(\\Flagged)")
    client.logout()
    assert node.stop() == 0
    node.start()
    client = imap(node)
    client.select("INBOX")
    assert client.search(None, "FLAGGED")[1] == [number]
    assert b"Subject: kept in PostgreSQL" in client.fetch(number, "(BODY[])")[1][0][1]
    client.logout()
    assert node.stop() == 0
