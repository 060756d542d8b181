"""The whole server on PostgreSQL: commands without it, mail in, IMAP out."""

import imaplib
import importlib.util
import os
import smtplib
import ssl
import sys
from pathlib import Path

import pytest
from test_twistd_lifecycle import Site
from twistd_process import PATIENCE, Server, command

MESSAGES = 6
_FILE = Path(__file__).parents[1] / "store/postgres_cluster.py"


def _cluster_module():
    spec = importlib.util.spec_from_file_location("postgres_cluster", _FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault("postgres_cluster", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def url():
    cluster_module = _cluster_module()
    programs = cluster_module.binaries()
    if programs is None:
        (pytest.fail if os.environ.get("MAILNODE_TESTS_STRICT") == "1" else pytest.skip)("initdb is not installed")
    cluster = cluster_module.Cluster(programs)
    try:
        cluster.start()
        yield f"postgresql://tests@/postgres?host={cluster.directory}"
    finally:
        cluster.stop()


@pytest.fixture
def fresh(url, request):
    """A database of the test's own."""
    import psycopg

    name = f"test{abs(hash(request.node.name))}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return url.replace("/postgres?", f"/{name}?")


@pytest.mark.parametrize("workers", [1, 3])
def test_mail_comes_in_and_is_read(tmp_path, fresh, workers):
    site = Site(tmp_path)
    site.write(f'[store]\nurl = "{fresh}"\n', server=f"workers = {workers}")
    (tmp_path / "data").mkdir(mode=0o700)
    added = site.command("account", "add", "bob@a.test", "--password-stdin", stdin="bread and butter\n")
    assert added[0] == 0, added
    with site.server() as server:
        server.ready()
        for _ in range(MESSAGES):
            with smtplib.SMTP("127.0.0.1", site.ports["smtp"], timeout=30) as client:
                client.sendmail("x@side.test", ["bob@a.test"], "Subject: kept\r\n\r\nx\r\n" + "y" * 60 + "\r\n")
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with imaplib.IMAP4_SSL("127.0.0.1", site.ports["imap"], ssl_context=context, timeout=30) as client:
            client.login("bob@a.test", "bread and butter")
            client.select()
            assert len(client.search(None, "SUBJECT", "kept")[1][0].split()) == MESSAGES
        with Server(tmp_path, "--config", site.config) as second:
            assert second.process.wait(PATIENCE) == 1
        assert server.end() == 0
    assert f"messages     {MESSAGES}\n" in site.command("mailbox", "show", "bob@a.test", "INBOX")[1]
    assert command(tmp_path, "--config", site.config, "queue", "list", "--json")[1] == "[]\n"
