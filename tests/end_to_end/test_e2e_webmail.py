"""Debian's Roundcube by the recipe of docs/webmail.rst: somebody logs in, reads, and sends, over HTTP."""

from __future__ import annotations

import http.cookiejar
import json
import re
import smtplib
import urllib.error
import urllib.parse
import urllib.request

import pytest
from roundcube import Roundcube
from servers import PASSWORD


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
    server = Roundcube(tmp_path_factory.mktemp("roundcube"), node)
    try:
        yield server.port
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


def test_somebody_sees_threads_and_sorts(node, webmail):
    """The list by threads needs THREAD, the list by subject SORT."""
    node.add_account("threads@a.test")
    with smtplib.SMTP("127.0.0.1", node.ports["smtp"], timeout=30) as client:
        for number, (subject, above) in enumerate([("zebra", 0), ("apple", 0), ("Re: zebra", 1), ("Re: zebra", 3)], 1):
            references = f"References: <{above}@side.test>\r\n" if above else ""
            header = f"Message-ID: <{number}@side.test>\r\n{references}Subject: {subject}\r\n"
            client.sendmail("x@side.test", ["threads@a.test"], f"{header}\r\nA body.\r\n")
            node.wait_event("message.delivered", recipient="threads@a.test")
    browser = Browser(webmail)
    browser.get()
    browser.post("?_task=login", _task="login", _action="login", _timezone="UTC", _user="threads", _pass=PASSWORD)
    listed = json.loads(browser.get(_task="mail", _action="list", _mbox="INBOX", _remote="1", _sort="subject_ASC"))
    assert re.findall(r"add_message_row\((\d)", listed["exec"]) == ["2", "1", "3", "4"]
    browser.get(_task="mail", _mbox="INBOX", _threads="1")
    listed = json.loads(browser.get(_task="mail", _action="list", _mbox="INBOX", _remote="1", _sort="subject_ASC"))
    rows = dict(re.findall(r"add_message_row\((\d),(.*?)\);", listed["exec"]))
    assert list(rows) == ["2", "1", "3", "4"]
    assert '"parent_uid":"1"' in rows["3"].replace('"parent_uid":1', '"parent_uid":"1"')
    assert '"depth":2' in rows["4"] and "parent_uid" not in rows["2"]
    assert 'init_threads(["1"]' in listed["exec"].replace("init_threads([1]", 'init_threads(["1"]')
