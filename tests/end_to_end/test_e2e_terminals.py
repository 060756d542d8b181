"""Mail programs of the terminal, used as people use them: what they do reaches the store, what others do their screens.

All of it over implicit TLS, as they do by themselves. The commands they give go through a recorder.
"""

from __future__ import annotations

import contextlib
from urllib.parse import quote

import pytest
from beside import Beside
from recorder import Recorder
from servers import PASSWORD, program
from terminal import Terminal

SUBJECTS = [f"number {digit}" for digit in range(5)]
NEW: set[str] = set()
SEEN, FLAGGED = {"\\Seen"}, {"\\Flagged"}


@pytest.fixture
def begin(node, tmp_path):
    """Make an account with five messages; start programs that are at home in the test's folder."""
    with contextlib.ExitStack() as stack:
        recorder = Recorder(node)
        stack.callback(recorder.stop)

        def account(name):
            node.add_account(f"{name}@a.test")
            other = stack.enter_context(Beside(node, f"{name}@a.test"))
            other.put(*SUBJECTS)
            return other, recorder

        def start(*command, **environment):
            terminal = Terminal([program(command[0]), *command[1:]], tmp_path, **environment)
            stack.callback(terminal.kill)
            return terminal

        yield account, start


def test_alpine(node, begin, tmp_path):
    account, start = begin
    other, recorder = account("alpine")
    there = "{localhost:%d/ssl/user=alpine@a.test}"
    (tmp_path / "pinerc").write_text(
        f"""customized-hdrs=From: Al Pine <alpine@a.test>
user-domain=a.test
smtp-server=localhost:{node.ports["submissions"]}/ssl/user=alpine@a.test
inbox-path={there % recorder.port}INBOX
folder-collections=Mail {there % recorder.port}[]
default-fcc=Sent
system-certs-file={node.ca}
feature-list=enable-flag-cmd,enable-aggregate-command-set,select-without-confirm,quit-without-confirm,
 expunge-without-confirm,save-will-not-delete
last-version-used=6.26
"""
    )
    alpine = start("alpine", "-p", "pinerc", "-i")
    alpine.wait("ENTER PASSWORD")
    alpine.press(PASSWORD + "\r", "Preserve password")
    alpine.press("n", "Message 1 of 5")
    alpine.press("*", "Important ?")
    alpine.press("*", "* N   1 ")
    alpine.press("n", "Message 2 of 5")
    alpine.press("d", "Message 3 of 5")
    alpine.press("s", "to folder")
    alpine.press("Archive\r")
    other.expect({"number 2": NEW}, "Archive")
    alpine.press("x", "Message 2 of 4")
    other.expect({"number 0": FLAGGED, "number 2": NEW, "number 3": NEW, "number 4": NEW})
    alpine.press("$", "Choose type of sort")
    alpine.press("h", ")   number 0")  # threads are indented
    recorder.wait("^[0-9a-f]+ THREAD REFERENCES ")

    other.delete_messages(other.uid("number 4"))
    other.expunge()
    other.put("arrived")
    alpine.press("\f", "arrived")
    assert "number 4" not in alpine.screen
    alpine.press("v", "This is number 2.")
    alpine.press("<", "MESSAGE INDEX")

    alpine.press("c", "COMPOSE MESSAGE")
    alpine.press("alpine@a.test\r\t\rby alpine\rHello\r", "Hello")
    alpine.press("\x18", "Send message?")
    alpine.press("y", "ENTER PASSWORD")
    alpine.press(PASSWORD + "\r", "Preserve password")
    alpine.press("n", "MESSAGE INDEX")
    other.expect({"number 0": FLAGGED, "number 2": SEEN, "number 3": NEW, "arrived": NEW, "by alpine": NEW})
    other.expect({"by alpine": NEW}, "Sent")
    alpine.press("q")
    assert alpine.end() == 0


def test_aerc(node, begin, tmp_path):
    account, start = begin
    other, recorder = account("aerc")
    folder = tmp_path / ".config/aerc"
    folder.mkdir(parents=True)
    who = f"aerc%40a.test:{quote(PASSWORD)}@localhost"
    (folder / "accounts.conf").write_text(
        f"""[a]
source = imaps://{who}:{recorder.port}
outgoing = smtps+plain://{who}:{node.ports["submissions"]}
from = Aerc <aerc@a.test>
copy-to = Sent
archive = Archive
"""
    )
    (folder / "accounts.conf").chmod(0o600)
    (folder / "aerc.conf").write_text("[viewer]\npager = cat\n[filters]\ntext/plain = cat\n")
    aerc = start("aerc", SSL_CERT_FILE=str(node.ca))
    aerc.wait("number 0")  # the newest stands first
    aerc.press(":flag\r", "O! number 4")
    aerc.press("j:read\r", "  number 3")
    aerc.press("j:archive flat\r")
    other.expect({"number 2": NEW}, "Archive")
    aerc.wait("number 2", shown=False)
    aerc.press(":delete\r")
    aerc.wait("number 1", shown=False)
    other.expect({"number 0": NEW, "number 3": SEEN, "number 4": FLAGGED})

    recorder.wait(" IDLE$", len(recorder.commands) - 1)
    other.delete_messages(other.uid("number 0"))
    other.expunge()
    other.put("arrived")
    aerc.wait("number 0", shown=False)  # by IDLE
    aerc.wait("arrived")
    aerc.press("g:search -h subject arrived\r")
    aerc.press(":view\r", "This is arrived.")
    aerc.press(":close\r")
    other.expect({"number 3": SEEN, "number 4": FLAGGED, "arrived": SEEN})
    aerc.press(":toggle-threads\r")
    recorder.wait(r" UID THREAD REFERENCES ")
    aerc.press(":quit -f\r")
    assert aerc.end() == 0


def test_neomutt(node, begin, tmp_path):
    """With a cache, from one start to the next: it asks for what has changed and vanished since (QRESYNC)."""
    account, start = begin
    other, recorder = account("neomutt")
    (tmp_path / "rc").write_text(
        f"""set imap_user = "neomutt@a.test"
set imap_pass = "{PASSWORD}"
set folder = "imaps://localhost:{recorder.port}/"
set spoolfile = "+INBOX"
set ssl_ca_certificates_file = "{node.ca}"
set certificate_file = "{node.ca}"
set header_cache = "{tmp_path}/cache"
set imap_qresync = yes
set imap_condstore = yes
set confirm_append = no
set delete = yes
set quit = yes
set timeout = 1
"""
    )
    mutt = start("neomutt", "-F", "rc", "-n")
    mutt.wait("number 4")
    mutt.press("F", "N ! Nov")
    mutt.press("d", "Del:1")
    mutt.press("s=Archive\r", "Del:2")
    mutt.press("$", "Msgs:3")
    left = {"number 0": FLAGGED, "number 3": NEW, "number 4": NEW}
    other.expect(left)
    other.expect({"number 2": NEW}, "Archive")
    other.put("arrived")
    mutt.wait("arrived")
    mutt.press("q")
    assert mutt.end() == 0

    after = len(recorder.commands)
    other.add_flags(other.uid("number 3"), ["\\Flagged"])
    other.delete_messages(other.uid("number 4"))
    other.expunge()
    other.put("meanwhile")
    mutt = start("neomutt", "-F", "rc", "-n")
    screen = mutt.wait("meanwhile")
    assert "number 4" not in screen and screen.count(" ! Nov") == 2
    recorder.wait(r" UID FETCH 1:\d+ \(FLAGS\) \(CHANGEDSINCE \d+ VANISHED\)$", after)
    fetched = [command for command in recorder.commands[after:] if "HEADER.FIELDS" in command]
    assert all(" FETCH 3:4 " in command or " FETCH 4 " in command for command in fetched), (
        "what it knew is fetched again"
    )
    mutt.press("q")
    assert mutt.end() == 0
