"""INPROGRESS (RFC 9585): what takes long says how far it is, and never that it is at its end."""

import pytest
from test_imap_judging import waiting_world
from twisted.internet.defer import Deferred

from mailnode.imap.bodies import BATCH
from mailnode.imap.commands.context import Progress
from mailnode.imap.commands.inprogress import AFTER_CLOSE, AFTER_SILENCE, code
from mailnode.imap.commands.mailboxes import UNIT


def progress(done, goal):
    made = Progress(goal)
    made.done = done
    return made


@pytest.mark.parametrize(
    ("done", "goal", "said"),
    [
        (0, 0, b'INPROGRESS ("a1" NIL NIL)'),
        (0, 9, b'INPROGRESS ("a1" NIL NIL)'),
        (3, 0, b'INPROGRESS ("a1" 3 NIL)'),
        (3, 9, b'INPROGRESS ("a1" 3 9)'),
        (9, 9, b'INPROGRESS ("a1" 9 NIL)'),
        (10, 9, b'INPROGRESS ("a1" 10 NIL)'),
    ],
)
def test_what_is_said(done, goal, said):
    assert code(b"a1", progress(done, goal)) == said
    assert code(b"a]1", progress(done, goal)) == b"INPROGRESS"


def test_how_many_there_will_be_is_known_only_when_it_is_found_out_at_once():
    one = Progress()
    one.expect(5)
    assert one.goal == 5
    one.expect(7)
    assert one.goal == 0
    one.expect(9)
    assert one.goal == 0


def pass_time(world):
    for _ in range(round(AFTER_SILENCE / AFTER_CLOSE)):
        world.clock.advance(AFTER_CLOSE)


@pytest.mark.parametrize("verb", ["SEARCH", "UID SEARCH", "SORT (ARRIVAL) UTF-8", "THREAD REFERENCES UTF-8"])
def test_searches_say_how_many_messages_they_opened(make_world, verb):
    world, process = waiting_world(make_world, messages=BATCH + 1)
    client = world.connect(select="INBOX")
    client.send(f"a {verb} BODY fox\r\n".encode())
    pass_time(world)
    assert client.received() == b'* OK [INPROGRESS ("a" NIL NIL)] Still at it\r\n'
    process.go_on()
    pass_time(world)
    said = b'* OK [INPROGRESS ("a" %d %d)] Still at it\r\n' % (BATCH, BATCH + 1)
    assert client.received() == said
    while process.waiting:
        process.go_on()
    world.clock.advance(0)
    assert b"a OK" in client.received()
    pass_time(world)
    assert client.received() == b"" and client.session.progress is None


@pytest.mark.parametrize("verb", ["MOVE 1:* Trash", "EXPUNGE", "COPY 1:* Trash"])
def test_changes_of_many_say_how_many_are_done(make_world, monkeypatch, verb):
    world = make_world()
    world.put()
    client = world.connect(select="INBOX")
    while client.session.selected.view.exists <= UNIT:
        client.ask("c COPY 1:* INBOX")
    count = client.session.selected.view.exists
    client.ask("d STORE 1:* +FLAGS.SILENT (\\Deleted)")
    box, name = type(world.box()), verb.partition(" ")[0].lower()
    real, waiting = getattr(box, name), []

    async def later(self, *arguments, **named):
        waiting.append(Deferred())
        await waiting[-1]
        return await real(self, *arguments, **named)

    monkeypatch.setattr(box, name, later)
    client.send(f"a {verb}\r\n".encode())
    pass_time(world)
    assert client.received() == b'* OK [INPROGRESS ("a" NIL NIL)] Still at it\r\n'
    waiting.pop().callback(None)
    world.clock.advance(0)
    assert len(waiting) == (name != "copy"), "a copy is one step"
    if waiting:
        pass_time(world)
        assert client.received() == b'* OK [INPROGRESS ("a" %d %d)] Still at it\r\n' % (UNIT, count)
        waiting.pop().callback(None)
    world.clock.advance(0)
    assert b"a OK" in client.received() and client.session.progress is None
