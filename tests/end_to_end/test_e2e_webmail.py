"""Debian's Roundcube by the recipe of docs/webmail.rst: somebody logs in, reads, and sends, over HTTP."""

from __future__ import annotations

import contextlib
import http.cookiejar
import json
import os
import re
import smtplib
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from servers import PASSWORD, ROOT, STRICT, Process, free_port, program, wait_for

SITE = Path("/var/lib/roundcube/public_html")
SETTINGS = Path("/etc/roundcube")
PAGE = (ROOT / "docs/webmail.rst").read_text()


def block(language: str) -> str:
    """Return all code of a language on the page."""
    found = re.findall(rf"^\.\. code-block:: {language}\n\n((?:   .*\n|\n)+)", PAGE, re.MULTILINE)
    assert found
    return "\n".join(re.sub(r"^   ", "", text, flags=re.MULTILINE) for text in found)


class Browser:
    """As much of one as logging in and the two pages need."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/"
        self._open = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())).open
        self._token = ""

    def get(self, **query: str) -> str:
        request = urllib.request.Request(self._url + "?" + urllib.parse.urlencode(query))
        if query.get("_remote"):
            request.add_header("X-Roundcube-Request", self._token)
        return self._read(request)

    def post(self, query: str, **fields: str) -> str:
        fields["_token"] = self._token
        return self._read(urllib.request.Request(self._url + query, urllib.parse.urlencode(fields).encode()))

    def _read(self, request: urllib.request.Request) -> str:
        try:
            answer = self._open(request, timeout=60)
        except urllib.error.HTTPError as error:  # a failed login is a 401 with the page to try again
            answer = error
        with answer:
            page = answer.read().decode()
        token = re.search(r'"request_token":"([^"]+)"', page)
        if token is not None:
            self._token = token[1]
        return page


@pytest.fixture(scope="module")
def webmail(node, tmp_path_factory):
    """The port of a Roundcube that is set up for the node."""
    php = program("php")
    if not SITE.is_dir():
        (pytest.fail if STRICT else pytest.skip)("roundcube-core is not installed")
    folder = tmp_path_factory.mktemp("roundcube")
    for name in ("config", "temp", "logs"):
        (folder / name).mkdir()
    for name in ("defaults.inc.php", "mimetypes.php"):
        (folder / "config" / name).symlink_to(SETTINGS / name)
    recipe = (
        block("php")
        .replace("mail.example.org:993", f"localhost:{node.ports['imaps']}")
        .replace("mail.example.org:465", f"localhost:{node.ports['submissions']}")
        .replace("example.org", "a.test")
        .replace("/etc/ssl/certs/mail-ca.pem", str(node.ca))
    )
    # What the package's installation has set up elsewhere.
    ours = {
        "db_dsnw": f"sqlite:///{folder}/roundcube.db?mode=0600",
        "des_key": "twenty-four octets long.",
        "temp_dir": str(folder / "temp"),
        "log_dir": str(folder / "logs"),
    }
    lines = "".join(f"$config['{key}'] = '{value}';\n" for key, value in ours.items())
    (folder / "config" / "config.inc.php").write_text(f"<?php\n$config = [];\n{recipe}\n{lines}")
    port = free_port()
    server = Process(
        [php, "-S", f"127.0.0.1:{port}", "-t", str(SITE)],
        cwd=folder,
        env=dict(os.environ, ROUNDCUBE_CONFIG_DIR=str(folder / "config")),
    )
    try:

        def answers():
            with contextlib.suppress(OSError):
                return "Roundcube" in Browser(port).get()

        wait_for(answers, "Roundcube", 60)
        yield port
    finally:
        server.stop()


def test_somebody_logs_in_reads_and_sends(node, webmail):
    with smtplib.SMTP("127.0.0.1", node.ports["smtp"], timeout=30) as client:
        client.sendmail("x@side.test", ["alice@a.test"], "Subject: Gr=?utf-8?q?=C3=BC=C3=9Fe?=\r\n\r\nA body.\r\n")
    browser = Browser(webmail)
    browser.get()
    page = browser.post("?_task=login", _task="login", _action="login", _timezone="UTC", _user="alice", _pass="wrong")
    assert "login" in re.search("<body class=[^>]*>", page)[0]
    page = browser.post("?_task=login", _task="login", _action="login", _timezone="UTC", _user="alice", _pass=PASSWORD)
    assert "Inbox" in re.search("<title>.*</title>", page)[0]
    listed = json.loads(browser.get(_task="mail", _action="list", _mbox="INBOX", _remote="1"))
    assert listed["env"]["messagecount"] == 1 and "add_message_row(1," in listed["exec"]
    assert "A body." in browser.get(_task="mail", _action="show", _mbox="INBOX", _uid="1")

    page = browser.get(_task="mail", _action="compose")
    sent = browser.post(
        "?_task=mail&_framed=1",
        _task="mail",
        _action="send",
        _id=re.search(r'"compose_id":"([^"]+)"', page)[1],
        _from=re.search(r'<option value="(\d+)"[^>]*>[^<]*alice@a\.test', page)[1],
        _to="bob@a.test",
        _subject="by the web",
        _message="Hello.",
        _is_html="0",
        _store_target="Sent",
    )
    assert "sent_successfully" in sent, sent
    node.wait_event("message.delivered", recipient="bob@a.test")
    listed = json.loads(browser.get(_task="mail", _action="list", _mbox="Sent", _remote="1"))
    assert "by the web" in listed["exec"]
