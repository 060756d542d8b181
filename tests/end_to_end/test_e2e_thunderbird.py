"""Debian's Thunderbird, without a screen: what it does reaches the store, and what others do reaches it, over implicit TLS.

It compresses (RFC 4978) and idles by itself, and has several connections, which two processes share here.
"""

from __future__ import annotations

import contextlib

import pytest
from beside import Beside
from recorder import Recorder
from servers import wait_for
from thunderbird import Thunderbird
from worker_servers import Workers

SUBJECTS = [f"number {digit}" for digit in range(6)]
USES = {name: name for name in ("Archive", "Drafts", "Junk", "Trash")} | {"Inbox": "INBOX", "SentMail": "Sent"}
NEW: set[str] = set()
SEEN, FLAGGED = {"\\Seen"}, {"\\Flagged"}


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    server = Workers(tmp_path_factory.mktemp("thunderbird"), 2)
    server.start()
    try:
        yield server
    finally:
        assert server.stop() == 0
        assert not [line for line in server.process.lines if "Traceback" in line]


@contextlib.contextmanager
def at_work(node, folder, user):
    """Yield a Thunderbird that has looked into an INBOX of six messages, its commands, and another session there."""
    node.add_account(user)
    with contextlib.ExitStack() as stack:
        recorder = Recorder(node)
        stack.callback(recorder.stop)
        other = stack.enter_context(Beside(node, user))
        other.put(*SUBJECTS)
        program = Thunderbird(folder, node, recorder.port, user)
        stack.callback(program.stop)
        program.start()
        program.open()
        program.expect(dict.fromkeys(SUBJECTS, NEW))
        wait_for(lambda: program.uses() == USES, "the mailboxes")
        yield program, recorder, other


def test_what_either_side_does_is_seen_by_the_other(node, tmp_path):
    with at_work(node, tmp_path, "thunder@a.test") as (program, recorder, other):
        recorder.wait(r"^\d+ COMPRESS DEFLATE$")
        program.mark("number 0", "inbox.markMessagesRead(one, true)")
        program.mark("number 1", "inbox.markMessagesFlagged(one, true)")
        program.mark("number 2", 'inbox.addKeywordsToMessages(one, "$label1")')
        program.move("number 3", "Archive")
        program.delete("number 4")
        left = {"number 0": SEEN, "number 1": FLAGGED, "number 2": {"$label1"}, "number 5": NEW}
        other.expect(left)
        other.expect({"number 3": NEW}, "Archive")
        other.expect({"number 4": NEW}, "Trash")

        recorder.wait(r"^\d+ IDLE$")
        other.remove_flags(other.uid("number 0"), ["\\Seen"])
        other.add_flags(other.uid("number 5"), ["\\Seen", "\\Flagged"])
        other.move(other.uid("number 1"), "Archive")
        other.delete_messages(other.uid("number 2"))
        other.expunge()
        other.put("pushed")
        # Nobody tells it to look: all of this comes by IDLE.
        program.expect({"number 0": NEW, "number 5": SEEN | FLAGGED, "pushed": NEW})
        program.open("Archive")
        program.expect({"number 1": FLAGGED, "number 3": NEW}, "Archive")

        program.run('server.rootFolder.QueryInterface(Ci.nsIMsgImapMailFolder).createSubfolder("Größe", null);')
        wait_for(lambda: other.folder_exists("Größe"), "the new mailbox")
        wait_for(lambda: program.run('return mailbox("Größe") != undefined;'), "it there")
        program.run('mailbox("Größe").rename("Maße", null);')
        wait_for(lambda: other.folder_exists("Maße") and not other.folder_exists("Größe"), "the new name")


def test_both_sides_change_while_it_is_offline_or_not_running(node, tmp_path):
    with at_work(node, tmp_path, "offline@a.test") as (program, _, other):
        program.offline()
        program.mark("number 0", "inbox.markMessagesRead(one, true)")
        program.mark("number 1", "inbox.markMessagesFlagged(one, true)")
        program.move("number 3", "Archive")
        program.delete("number 4")
        other.add_flags(other.uid("number 2"), ["\\Flagged"])
        other.move(other.uid("number 5"), "Archive")
        other.put("meanwhile")
        program.online()
        both = {"number 0": SEEN, "number 1": FLAGGED, "number 2": FLAGGED, "meanwhile": NEW}
        program.expect(both)
        other.expect(both)
        other.expect({"number 3": NEW, "number 5": NEW}, "Archive")
        other.expect({"number 4": NEW}, "Trash")

        program.stop()
        other.remove_flags(other.uid("number 0"), ["\\Seen"])
        other.delete_messages(other.uid("number 1"))
        other.expunge()
        other.put("later")
        program.start()
        program.open()
        program.expect({"number 0": NEW, "number 2": FLAGGED, "meanwhile": NEW, "later": NEW})
