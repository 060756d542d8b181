"""REPLACE and UID REPLACE (RFC 8508)."""

import pytest
from imap_world import play

from mailnode.net.no_reactor import run_now


def drafts(make_world, **services):
    def make():
        world = make_world(**services)
        for name in "abc":
            world.put(b"Subject: %b\r\n\r\nx\r\n" % name.encode(), mailbox="Drafts")
        world.connect(select="Drafts")
        return world

    return make


def test_a_draft_is_replaced(make_world):
    play(
        drafts(make_world),
        r"""
        C: a REPLACE 2 Drafts (\Seen \Draft) {8}
        S: + OK
        C: a: new
        C:
        S: * OK [APPENDUID … 4] Replacement message ready
        S: * 2 EXPUNGE
        S: * 3 EXISTS
        S: * 1 RECENT
        S: a OK REPLACE completed
        C: b FETCH 1:3 (UID FLAGS)
        S: * 1 FETCH (UID 1 FLAGS (\Recent))
        S: * 2 FETCH (UID 3 FLAGS (\Recent))
        S: * 3 FETCH (UID 4 FLAGS (\Seen \Draft \Recent))
        S: b OK FETCH completed
        C: c UID REPLACE 4 Sent {7+}
        C: a: sent
        S: * OK [APPENDUID … 1] Replacement message ready
        S: * 3 EXPUNGE
        S: c OK REPLACE completed
        C: d REPLACE * {6+}
        C: Drafts {4+}
        C: a: b
        S: * OK [APPENDUID … 5] Replacement message ready
        S: * 2 EXPUNGE
        S: * 2 EXISTS
        S: * 1 RECENT
        S: d OK REPLACE completed
        """.replace("* 1 RECENT\n        S: a OK", "* 3 RECENT\n        S: a OK").replace(
            "* 1 RECENT\n        S: d OK", "* 2 RECENT\n        S: d OK"
        ),
    )


def ask(world, line, name=""):
    client = world.clients[name]
    client.send(b"a " + line + b"\r\n")
    return client.received()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (b"REPLACE 4 Drafts {6+}\r\na: b\r\n", b"a BAD"),
        (b"UID REPLACE 9 Drafts {6+}\r\na: b\r\n", b"a NO [EXPUNGEISSUED]"),
        (b"REPLACE 1 Nowhere {6}", b"a NO [TRYCREATE] No such mailbox"),
        (b"REPLACE 1 Drafts {0}", b"a NO [CANNOT] A message cannot be empty"),
        (b"REPLACE 1 Drafts {101}", b"a NO [TOOBIG] Message too large"),
        (b"REPLACE 1:2 Drafts {6}", b"a BAD One message is replaced"),
        (b"REPLACE 1,2 Drafts {6}", b"a BAD One message is replaced"),
        (b"REPLACE $ Drafts {6}", b"a BAD One message is replaced"),
        (b"REPLACE 0 Drafts {6}", b"a BAD Bad message set"),
        (b"REPLACE 1 Drafts", b"a BAD Missing arguments or misplaced characters"),
        (b"REPLACE 1 Drafts {6+}\r\na: b\r\n {6+}\r\na: b\r\n", b"a BAD Unexpected text at the end of the command"),
        (b"REPLACE 1 Drafts {6+}\r\na: b\r\nx", b"a BAD Unexpected text at the end of the command"),
    ],
)
def test_what_is_refused_changes_nothing(make_world, command, said):
    world = drafts(make_world, append_limit=100)()
    before = run_now(world.account.modseq())
    answer = ask(world, command)
    assert answer.startswith(said) and answer.count(b"\r\n") == 1, answer
    assert ask(world, b"NOOP") == b"a OK NOOP completed\r\n"
    assert run_now(world.account.modseq()) == before


def test_only_where_a_mailbox_is_selected_and_may_be_changed(make_world):
    world = drafts(make_world)()
    assert ask(world, b"EXAMINE Drafts").endswith(b"EXAMINE completed\r\n")
    assert ask(world, b"REPLACE 1 Drafts {6+}\r\na: b\r\n") == b"a NO [CANNOT] Mailbox is open read-only\r\n"
    ask(world, b"UNSELECT")
    assert ask(world, b"REPLACE 1 Drafts {6+}\r\na: b\r\n") == b"a BAD Command is not allowed now\r\n"


def test_a_message_expunged_elsewhere_while_the_new_one_comes(make_world):
    world = drafts(make_world)()
    client = world.clients[""]
    client.send(b"a REPLACE 2 Drafts {6}\r\n")
    assert client.received() == b"+ OK\r\n"
    world.expunge(2, mailbox="Drafts")
    client.send(b"a: b\r\n\r\n")
    said = client.received()
    assert b"APPENDUID" not in said and said.endswith(b"a NO [EXPUNGEISSUED] Some messages were expunged\r\n")
    assert run_now(world.box("Drafts").snapshot()).uids.tolist() == [1, 3]


def test_the_quota_is_asked_for_what_both_come_to(make_world):
    world = drafts(make_world)()
    used = run_now(world.account.usage()).bytes_used
    if hasattr(world, "store"):
        run_now(world.store.set_quota("acc", used, 3))
    else:
        world.account.quota, world.account.most_messages = used, 3
    size = used // 3
    message = b"a: b\r\n" + b"x" * (size - 8) + b"\r\n"
    assert ask(world, b"APPEND Drafts {%d}" % size) == b"a NO [OVERQUOTA] Over quota\r\n"
    assert ask(world, b"REPLACE 1 Drafts {%d}" % (size + 1)) == b"a NO [OVERQUOTA] Over quota\r\n"
    assert b"a OK" in ask(world, b"REPLACE 1 Drafts {%d+}\r\n%b" % (size, message))


def test_numbers_are_refused_to_a_session_with_uids_alone(make_world):
    world = drafts(make_world)()
    ask(world, b"ENABLE UIDONLY")
    assert ask(world, b"REPLACE 1 Drafts {6+}\r\na: b\r\n").startswith(b"a BAD [UIDREQUIRED]")
    assert b"* VANISHED 1\r\n" in ask(world, b"UID REPLACE 1 Drafts {6+}\r\na: b\r\n")


def test_another_session_is_told(make_world):
    world = drafts(make_world)()
    world.connect("2", select="Drafts")
    assert b"a OK" in ask(world, b"UID REPLACE 1 Drafts {6+}\r\na: b\r\n")
    assert ask(world, b"NOOP", "2").startswith(b"* 1 EXPUNGE\r\n* 3 EXISTS\r\n")
