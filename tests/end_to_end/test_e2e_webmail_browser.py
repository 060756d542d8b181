"""Debian's Roundcube in Debian's Chromium: what somebody clicks on reaches the store, and what others do reaches the page.

Between Roundcube and the server stands a recorder, so that is seen what Roundcube asks for.
"""

from __future__ import annotations

import contextlib
import re

import pytest
from beside import Beside
from browser import Browser
from recorder import Recorder
from roundcube import Roundcube
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select
from servers import PASSWORD, wait_for

SEEN, FLAGGED, NEW = {"\\Seen"}, {"\\Flagged"}, set()
ROW = "#messagelist tr.message"
MANY = 20_000
PAGE = 50  # messages on one of Roundcube's


@pytest.fixture(scope="module")
def recorder(node):
    made = Recorder(node)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def webmail(node, recorder, tmp_path_factory):
    """Return what logs a user in: a browser that shows an INBOX."""
    folder = tmp_path_factory.mktemp("browser")
    with contextlib.ExitStack() as stack:
        server = Roundcube(folder / "roundcube", node, recorder.port)
        stack.callback(server.stop)
        browser = Browser(folder / "chromium")
        stack.callback(browser.quit)

        def login(user):
            browser.delete_all_cookies()
            browser.get(server.url)
            browser.one("#rcmloginuser").send_keys(user)
            browser.one("#rcmloginpwd").send_keys(PASSWORD, Keys.RETURN)
            browser.one(ROW)
            return browser

        yield login


def shown(browser):
    """Return the subjects in the list, with the marks of each."""
    rows = browser.execute_script(
        f"return [...document.querySelectorAll('{ROW}')].filter((row) => row.offsetParent)"
        ".map((row) => [row.querySelector('span.subject').innerText.trim(), row.className.split(' ')])"
    )
    return {
        subject: {flag for flag, held in (("\\Seen", "unread" not in marks), ("\\Flagged", "flagged" in marks)) if held}
        for subject, marks in rows
    }


def row(browser, subject):
    """Return what lets one click on a message: its row."""
    return next(one for one in browser.all(ROW) if subject in one.text)


def order(browser, by, mode):
    """Choose how the list is ordered, and whether in threads."""
    browser.one("#toolbar-list-menu a.options").click()
    Select(browser.one("#listoptions-sortcol-clone")).select_by_value(by)
    Select(browser.one("#listoptions-threads-clone")).select_by_value(mode)
    browser.one(".ui-dialog button.save").click()


def fetched(commands):
    """Return of how many messages header fields were asked for."""
    count = 0
    for command in commands:
        if found := re.search(r"UID FETCH (\S+) .*HEADER", command):
            for part in found[1].split(","):
                first, _, last = part.partition(":")
                count += int(last or first) - int(first) + 1
    return count


def test_both_sides(node, webmail, recorder):
    node.add_account("page@a.test")
    node.ctl("account", "quota", "page@a.test", "--bytes", "10kB")
    with Beside(node, "page@a.test") as other:
        other.put("number 0", "number 1", "number 2", "number 3")
        other.put("in the archive", mailbox="Archive")
        browser = webmail("page")
        wait_for(lambda: set(shown(browser)) == {f"number {digit}" for digit in range(4)}, "the list")
        used = int(browser.one("#quotadisplay .count").text.rstrip("%"))
        assert 0 < used < 30
        assert browser.one("#quotadisplay .value").size["width"] > 0

        row(browser, "number 0").find_element("css selector", ".flags .flag").click()
        other.expect({"number 0": FLAGGED, "number 1": NEW, "number 2": NEW, "number 3": NEW})
        row(browser, "number 1").find_element("css selector", "td.subject").click()
        browser.switch_to.frame(browser.one("#messagecontframe"))
        wait_for(lambda: "This is number 1." in browser.one("#messagebody").text, "the text")
        browser.switch_to.default_content()
        other.expect({"number 0": FLAGGED, "number 1": SEEN, "number 2": NEW, "number 3": NEW})
        browser.one("#toolbar-menu a.delete:not(.disabled)").click()
        other.expect({"number 1": SEEN}, "Trash")

        other.delete_messages(other.uid("number 2"))
        other.expunge()
        other.remove_flags(other.uid("number 0"), ["\\Flagged"])
        other.put("arrived")
        browser.one("a.refresh").click()
        wait_for(lambda: set(shown(browser)) == {"number 0", "number 3", "arrived"}, "what others did")
        assert "\\Flagged" not in shown(browser)["number 0"]


def test_threads_and_a_search_in_all_mailboxes(node, webmail, recorder):
    node.add_account("seek@a.test")
    with Beside(node, "seek@a.test") as other:
        other.put("zebra", "apple")
        other.put("an answer", header=f"References: <{b'zebra'.hex()}@side.test>\r\n")
        other.put("pear in the archive", mailbox="Archive")
        other.put("pear in the trash", mailbox="Trash")
        browser = webmail("seek")
        order(browser, "subject", "threads")
        wait_for(lambda: set(shown(browser)) == {"zebra", "apple"}, "the thread to be one row")
        recorder.wait(r" UID THREAD REFS ")  # of the two it prefers it
        row(browser, "zebra").find_element("css selector", "div.collapsed").click()
        wait_for(lambda: {"zebra", "apple", "an answer"} == set(shown(browser)), "the thread opened")

        browser.one(".searchbar a.options").click()
        Select(browser.one("select[name=s_scope]")).select_by_value("all")
        browser.one("#mailsearchform").send_keys("pear", Keys.RETURN)
        found = {"pear in the archive", "pear in the trash"}
        wait_for(lambda: set(shown(browser)) == found, "what is found")


def test_many_messages_are_opened_by_the_page(node, webmail, recorder):
    node.add_account("many@a.test")
    with Beside(node, "many@a.test") as other:
        other.put(*(f"number {number}" for number in range(MANY)))
    began, answered = len(recorder.commands), recorder.answered
    browser = webmail("many")
    wait_for(lambda: len(shown(browser)) == PAGE, "a page")
    assert f"number {MANY - 1}" in shown(browser)
    assert fetched(recorder.commands[began:]) == PAGE
    browser.one("a.nextpage:not(.disabled)").click()
    wait_for(lambda: f"number {MANY - 1 - PAGE}" in shown(browser), "the next page")
    assert fetched(recorder.commands[began:]) == 2 * PAGE
    order(browser, "date", "threads")
    recorder.wait(" UID THREAD ", began)
    wait_for(lambda: len(shown(browser)) == PAGE, "a page of threads")
    browser.one("#mailsearchform").send_keys("number 1234", Keys.RETURN)
    wait_for(lambda: len(shown(browser)) == 11, "what is found")
    assert fetched(recorder.commands[began:]) <= 5 * PAGE
    # A header with what Roundcube asks of it has more than 200 octets, so all of them would be 4 MB.
    assert recorder.answered - answered < 1_000_000
