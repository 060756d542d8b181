"""Commands that name more messages than one unit of the store changes."""

from mailnode.errors import NoSuchMailbox, StoreUnavailable
from mailnode.imap import selected

COUNT = 1_003  # a unit of the store takes 1,000


def filled(make_world, count=COUNT):
    world = make_world()
    for _ in range(count):
        world.put(b"Subject: x\r\n\r\n")
    return world, world.connect(select="INBOX")


def test_a_move_is_told_as_one(make_world):
    _, client = filled(make_world)
    said = client.ask("a UID MOVE 1:* Archive")
    assert said[0].endswith(f" 1:{COUNT} 1:{COUNT}] Moved") and said[0].startswith("* OK [COPYUID ")
    assert said[1:-1] == [f"* {number} EXPUNGE" for number in range(COUNT, 0, -1)]
    assert said[-1] == "a OK MOVE completed"
    assert client.ask("b STATUS Archive (MESSAGES)")[0] == f"* STATUS Archive (MESSAGES {COUNT})"


def test_a_move_that_fails_between_its_units_tells_what_was_moved(make_world, monkeypatch):
    for error, answer in ((StoreUnavailable(), "a NO ["), (NoSuchMailbox(), "a NO ")):
        _, client = filled(make_world)
        mailbox = type(client.session.selected.mailbox)
        move = mailbox.move

        async def failing(self, uids, target, move=move, error=error):
            if uids[0] > 1:
                raise error
            return await move(self, uids, target)

        with monkeypatch.context() as patch:
            patch.setattr(mailbox, "move", failing)
            said = client.ask("a MOVE 1:* Archive")
        assert said[0].startswith("* OK [COPYUID ") and said[0].endswith(" 1:1000 1:1000] Moved")
        assert said[1:-1] == [f"* {number} EXPUNGE" for number in range(1000, 0, -1)]
        assert said[-1].startswith(answer), said[-1]
        assert client.ask("b STATUS INBOX (MESSAGES)")[0] == "* STATUS INBOX (MESSAGES 3)"
        assert client.ask("c STATUS Archive (MESSAGES)")[0] == "* STATUS Archive (MESSAGES 1000)"


def test_many_changes_are_taken_in_piece_by_piece(make_world, monkeypatch):
    monkeypatch.setattr(selected, "_MERGED", 2)
    world, client = filled(make_world, 7)
    other = world.connect("other", select="INBOX")
    world.hints.lost = True
    other.ask("a STORE 1:5 +FLAGS.SILENT (\\Deleted)")
    other.ask("b STORE 3:7 +FLAGS.SILENT (\\Flagged)")
    other.ask("c UID EXPUNGE 1:4")
    for _ in range(3):
        world.put()
    told = client.ask("d NOOP")
    assert told == [
        *(f"* {number} EXPUNGE" for number in (4, 3, 2, 1)),
        "* 6 EXISTS",
        "* 6 RECENT",
        "* 1 FETCH (FLAGS (\\Flagged \\Deleted \\Recent))",
        "* 2 FETCH (FLAGS (\\Flagged \\Recent))",
        "* 3 FETCH (FLAGS (\\Flagged \\Recent))",
        "d OK NOOP completed",
    ]


def test_an_item_asked_for_twice_is_answered_once(make_world):
    _, client = filled(make_world, 1)
    assert client.ask("a FETCH 1 (FLAGS UID FLAGS BODY.PEEK[TEXT] UID BODY.PEEK[TEXT])") == [
        "* 1 FETCH (FLAGS (\\Recent) UID 1 BODY[TEXT] {0}",
        ")",
        "a OK FETCH completed",
    ]
