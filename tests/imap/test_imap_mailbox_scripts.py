"""Scripts of mailboxes (RFC 6785): what they are told of, what they do, and what clients see of it."""

from dataclasses import replace

import pytest
from scripted_world import ScriptedWorld
from twisted.logger import globalLogPublisher

from mailnode.delivery.script_runner import SMALL_MESSAGE
from mailnode.errors import Refused, StoreUnavailable
from mailnode.net.no_reactor import run_now
from mailnode.store.facades.mail_account import MailAccount
from mailnode.values.queue import LOCAL_DESTINATION
from mailnode.values.sending import Admitted, Counted

SHOWN = """
if environment :matches "imap.cause" "*" { set "cause" "${1}"; }
if environment :matches "imap.mailbox" "*" { set "mailbox" "${1}"; }
if environment :matches "imap.changedflags" "*" { set "flags" "${1}"; }
if environment :matches "imap.user" "*" { set "user" "${1}"; }
addheader "X-Told" "${cause} ${mailbox} ${user} (${flags})";
fileinto :copy "Archive";
"""


@pytest.fixture
def events():
    """What goes to the log meanwhile: names and fields."""
    found = []

    def note(event):
        if event.get("event"):
            found.append((event["event"], event["fields"]))

    globalLogPublisher.addObserver(note)
    yield found
    globalLogPublisher.removeObserver(note)


@pytest.fixture
def world(tmp_path):
    return ScriptedWorld(tmp_path)


def told(world, owner="acc") -> list[str]:
    """What ``SHOWN`` filed, a line for each time it ran."""
    box = world.store.account(owner)
    archive = box.open(run_now(box.named("Archive")).id)
    rows = run_now(archive.rows(list(run_now(archive.snapshot()).uids), ("blob",)))
    texts = [run_now(archive.read(blob)).decode() for _, blob in rows]
    return [line.removeprefix("X-Told: ") for text in texts for line in text.split("\r\n") if line.startswith("X-Told")]


def append(client, mailbox="INBOX", flags="", text=b"Subject: new\r\n\r\nbody\r\n"):
    client.send(f"a APPEND {mailbox} {flags}{{{len(text)}+}}\r\n".encode() + text + b"\r\n")
    return client.received().decode().split("\r\n")[:-1]


def test_what_runs_a_script(world):
    world.script(SHOWN)
    world.name("INBOX")
    world.name("Junk")
    world.put()
    client = world.connect(select="INBOX")
    assert told(world) == [], "a delivery is none of it"
    assert append(client, flags=r"(\Flagged) ")[-1].startswith("a OK [APPENDUID")
    client.ask("b COPY 1:2 Junk")
    client.ask("c MOVE 1 Junk")
    client.ask(r"d STORE 1 +FLAGS.SILENT (\Answered \Flagged $Work)")
    client.ask(r"e STORE 1 FLAGS (\Flagged $work)")
    client.ask("f FETCH 1 BODY[TEXT]")
    client.ask("g FETCH 1 BODY[TEXT]")
    client.ask(r"h UID STORE 2 +FLAGS (\Flagged)")
    who = "alice@example.org"
    assert told(world) == [
        f"APPEND INBOX {who} ()",
        f"COPY Junk {who} ()",
        f"COPY Junk {who} ()",
        f"COPY Junk {who} ()",
        rf"FLAG INBOX {who} (\Answered $Work)",
        rf"FLAG INBOX {who} (\Answered)",
        rf"FLAG INBOX {who} (\Seen)",
    ]


def test_replace_is_an_append(world):
    world.script(SHOWN)
    world.name("Drafts")
    world.put(mailbox="Drafts")
    client = world.connect(select="Drafts")
    text = b"Subject: second\r\n\r\n"
    client.send(b"a REPLACE 1 Drafts {%d+}\r\n%b\r\n" % (len(text), text))
    assert "a OK" in client.received().decode()
    assert told(world) == ["APPEND Drafts alice@example.org ()"]


def test_each_message_of_an_append_runs_it(world):
    world.script(SHOWN)
    world.name("")
    client = world.connect()
    client.send(b"a APPEND Sent {4+}\r\na:b\n {4+}\r\nc:d\n\r\n")
    assert b"a OK" in client.received()
    assert told(world) == ["APPEND Sent alice@example.org ()"] * 2


def test_what_a_script_does_to_flags_is_told_before_the_answer(world):
    world.script(r'if hasflag "\\Flagged" { addflag "$Todo"; removeflag "\\Answered"; }')
    world.name("INBOX")
    world.put(flags=2)
    client = world.connect(select="INBOX")
    lines = client.ask(r"a STORE 1 +FLAGS (\Flagged)")
    assert [line for line in lines if " FETCH " in line or line.startswith("a ")] == [
        r"* 1 FETCH (FLAGS (\Answered \Flagged \Recent))",
        r"* 1 FETCH (FLAGS (\Flagged $Todo \Recent))",
        "a OK STORE completed",
    ]
    assert world.holds() == [("\\Flagged", "$Todo")]


@pytest.mark.parametrize("said", ["discard;", 'fileinto "Archive";'])
def test_what_is_not_kept_is_marked_and_stays(world, said):
    world.script(said)
    world.name("Junk")
    world.put()
    client = world.connect(select="INBOX")
    assert client.ask("a COPY 1 Junk")[-1].startswith("a OK")
    assert world.holds("Junk") == [("\\Deleted",)]
    assert world.holds("INBOX") == [()]
    assert len(world.holds("Archive")) == ("fileinto" in said)


def test_a_mailbox_that_somebody_else_made_meanwhile_is_there(world, monkeypatch):
    create = MailAccount.create

    async def twice(self, *args):
        await create(self, *args)
        return await create(self, *args)

    monkeypatch.setattr(MailAccount, "create", twice)
    world.script('fileinto :copy :create "Made/Here";')
    world.name("INBOX")
    append(world.connect(select="INBOX"))
    assert len(world.holds("Made/Here")) == 1


def test_several_filed_copies_each_with_its_flags(world):
    world.script(
        r'fileinto :copy :flags "\\Seen" "Archive"; fileinto :copy :create "Made/Here"; addheader "X-A" "b";'
        r'fileinto :copy :flags ["\\Flagged", "kw"] "Sent";'
    )
    world.name("INBOX")
    client = world.connect(select="INBOX")
    append(client, flags=r"(\Answered) ")
    append(client, flags=r"(\Answered) ")
    assert world.holds("Archive") == [("\\Seen",)] * 2
    assert world.holds("Made/Here") == [("\\Answered",)] * 2
    assert world.holds("Sent") == [("\\Flagged", "kw")] * 2
    assert world.holds("INBOX") == [("\\Answered",)] * 2
    assert "X-A" not in "".join(client.ask("a FETCH 1:2 BODY.PEEK[HEADER]"))


def test_of_several_mailboxes_with_a_use_that_is_taken_which_is_named(world):
    """RFC 8579 4."""
    run_now(world.store.account("acc").create("More", "\\Archive"))
    world.script(r'fileinto :copy :specialuse "\\archive" "More"; fileinto :copy :specialuse "\\Archive" "Nowhere";')
    world.name("INBOX")
    append(world.connect(select="INBOX"))
    assert (len(world.holds("More")), len(world.holds("Archive"))) == (1, 1)


def test_what_a_script_files_runs_no_script(world):
    world.script(r'addflag "\\Flagged"; fileinto :copy "Junk"; fileinto :copy "INBOX";')
    world.name("")
    client = world.connect(select="INBOX")
    append(client)
    assert world.holds("INBOX") == [("\\Flagged",)] * 2
    assert world.holds("Junk") == [("\\Flagged",)]


def test_which_script_it_is(world):
    world.script(r'addflag "own";', "own")
    world.script(r'addflag "all";', "all")
    world.name("", "all")
    world.name("Junk", "own")
    world.name("Trash", "")
    world.name("Sent", "nowhere")
    client = world.connect()
    for name in ("Archive", "Junk", "Trash", "Sent"):
        assert append(client, name)[-1].startswith("a OK")
    assert [world.holds(name) for name in ("Archive", "Junk", "Trash", "Sent")] == [[("all",)], [("own",)], [()], [()]]
    world.name("Junk", None)
    append(client, "Junk")
    assert world.holds("Junk") == [("own",), ("all",)]


def test_a_value_that_is_no_name_runs_nothing(world):
    world.script(r'addflag "all";')
    world.name("")
    mail = world.store.account("acc")
    run_now(mail.annotate(run_now(mail.named("Junk")).id, [("", "/shared/imapsieve/script", b"\xff")]))
    append(world.connect(), "Junk")
    assert world.holds("Junk") == [()]


def test_a_script_is_named_by_metadata_and_runs_at_once(world):
    world.script(r'addflag "one";', "one")
    world.script(r'addflag "two";', "two")
    client, other = world.connect("a"), world.connect("b")
    append(other)
    assert client.ask('a SETMETADATA INBOX (/shared/imapsieve/script "one")')[-1].startswith("a OK")
    append(other)
    assert client.ask('b SETMETADATA "" (/Shared/ImapSieve/Script "two")')[-1].startswith("b OK")
    assert client.ask('c GETMETADATA "" /shared/imapsieve/script')[0].endswith('(/shared/imapsieve/script "two")')
    append(other)
    assert client.ask("d SETMETADATA INBOX (/shared/imapsieve/script NIL)")[-1].startswith("d OK")
    append(other)
    assert client.ask('e SETMETADATA "" (/shared/other "two")') == ["e NO [NOPERM] Not yours to change"]
    assert world.holds() == [(), ("one",), ("one",), ("two",)]


def test_the_script_of_inbox_goes_with_its_messages(world):
    """RFC 5464 4.1 has what is noted copied when INBOX is renamed."""
    world.script(r'addflag "one";')
    world.name("INBOX")
    client = world.connect()
    append(client)
    assert client.ask("a RENAME INBOX Before")[-1].startswith("a OK")
    append(client, "Before")
    append(client)
    assert world.holds("Before") == [("one",), ("one",)]
    assert world.holds() == [("one",)]


def test_commands_that_run_together_run_a_script_each(world):
    world.script(SHOWN)
    world.name("INBOX")
    for _ in range(3):
        world.put()
    client = world.connect(select="INBOX")
    client.send(b"a STORE 1 +FLAGS (\\Seen)\r\nb STORE 2 +FLAGS (\\Flagged)\r\nc STORE 3 -FLAGS (\\Seen)\r\n")
    lines = client.received().decode().split("\r\n")
    assert [line[:4] for line in lines if line[:4] in ("a OK", "b OK", "c OK")] == ["a OK", "b OK", "c OK"]
    assert [line.split()[-1] for line in told(world)] == [r"(\Seen)", r"(\Flagged)"]


def test_a_script_runs_although_the_client_has_gone(world):
    world.script(SHOWN)
    world.name("Junk")
    world.put()
    client = world.connect(select="INBOX")
    here = world.store.account("acc").open(1)
    copying = type(here).copy

    async def copy_and_lose(self, uids, target):
        copied = await copying(self, uids, target)
        client.lose()
        return copied

    type(here).copy = copy_and_lose
    try:
        client.send(b"a COPY 1 Junk\r\n")
    finally:
        type(here).copy = copying
    assert told(world) == ["COPY Junk alice@example.org ()"]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ('fileinto "Archive"; fileinto "Nowhere";', 'there is no mailbox "Nowhere"'),
        (
            'require "vacation"; vacation "away";',
            'the extension "vacation" is for messages that are being delivered',
        ),
        (
            'require "reject"; if false { reject "no"; }',
            'the extension "reject" is for messages that are being delivered',
        ),
        (
            'require "envelope"; discard; if envelope "from" "a@b.example" { stop; }',
            "a message in a mailbox has no envelope",
        ),
        ('discard; redirect "not an address";', ""),
    ],
)
def test_a_script_that_fails_leaves_all_as_it_is(world, events, script, reason):
    world.script(script)
    world.name("INBOX")
    client = world.connect(select="INBOX")
    assert append(client)[-1].startswith("a OK")
    assert world.holds() == [()]
    assert world.holds("Archive") == []
    [fields] = [fields for name, fields in events if name == "sieve.mailbox_failed"]
    assert reason in fields["reason"]
    assert (fields["account"], fields["mailbox"], fields["uid"], fields["cause"]) == ("acc", "INBOX", 1, "APPEND")


def test_capability_says_where_scripts_are_kept(world):
    client = world.connect(login=False)
    assert " IMAPSIEVE=sieve://mail.example.org " in client.ask("a CAPABILITY")[0] + " "
    for hidden in ("IMAPSIEVE", "METADATA"):
        client.session.hide([hidden])
        assert "IMAPSIEVE" not in client.ask("h CAPABILITY")[0]
        client = world.connect(login=False)
    world.services = replace(world.services, script_server="")
    assert "IMAPSIEVE" not in world.connect("b").ask("b CAPABILITY")[0]


# What scripts send


def test_moving_to_junk_reports_it(world):
    world.script(
        'if allof(environment "imap.cause" "COPY", environment "imap.mailbox" "Junk")'
        ' { addheader "X-Reported" "yes"; redirect :copy "reports@elsewhere.example"; }'
    )
    world.name("Junk")
    world.put(b"From: bad@spam.example\r\nSubject: buy\r\n\r\nnow\r\n")
    client = world.connect(select="INBOX")
    assert client.ask("a MOVE 1 Junk")[-1].startswith("a OK")
    [(reverse_path, recipient, text)] = world.queued()
    assert (reverse_path, recipient) == ("alice@example.org", "reports@elsewhere.example"), "RFC 6785 3.4"
    assert "X-Sieve-Redirected-From: alice@example.org\r\n" in text
    assert "Delivered-To: alice@example.org\r\n" in text
    assert "X-Reported: yes\r\n" in text
    assert text.endswith("Subject: buy\r\n\r\nnow\r\n")
    assert world.holds("Junk") == [()]


def test_what_is_sent_on_to_an_account_here_is_delivered_not_appended(world):
    world.script('redirect "bob@example.org";')
    world.name("INBOX")
    append(world.connect())
    assert world.holds() == [("\\Deleted",)]
    [(_, recipient, _)] = world.queued()
    assert recipient == "bob@example.org"
    assert run_now(world.queue.due(world.clock.seconds(), 9))[0].destination == LOCAL_DESTINATION


def test_an_account_that_gets_what_is_sent_on_has_its_own_scripts_run(world):
    world.script('redirect :copy "bob@example.org";')
    world.name("INBOX")
    world.script('redirect "carol@example.org";', owner="bob")
    run_now(world.scripts.activate("bob", "s"))
    append(world.connect())
    assert [recipient for _, recipient, _ in world.queued()] == ["carol@example.org"]


def test_what_cannot_be_sent_on_is_kept(world, events):
    world.script('redirect "alice@example.org";')  # its own account
    world.name("INBOX")
    append(world.connect())
    assert world.holds() == [()]
    assert world.queued() == []


def test_lines_of_a_script_go_to_the_log(world, events):
    world.script('require "vnd.dovecot.debug"; debug_log "here it is";')
    world.name("INBOX")
    append(world.connect())
    [said] = [fields for name, fields in events if name == "sieve.logged"]
    assert (said["account"], said["text"]) == ("acc", "here it is")


def test_a_flag_notifies(world):
    world.script(
        'if allof(hasflag "\\\\Flagged", environment :contains "imap.changedflags" "\\\\Flagged")'
        ' { notify :message "look" "mailto:boss@elsewhere.example"; }'
    )
    world.name("")
    world.put(b"From: a@b.example\r\nSubject: news\r\n\r\n\r\n")
    client = world.connect(select="INBOX")
    for number, change in enumerate(("+FLAGS", "+FLAGS", "-FLAGS", "+FLAGS")):
        assert client.ask(rf"{number} STORE 1 {change} (\Flagged)")[-1].startswith(f"{number} OK")
    told = world.queued()
    assert [recipient for _, recipient, _ in told] == ["boss@elsewhere.example"] * 2
    assert all("Auto-Submitted: auto-notified" in text and "Subject: look" in text for _, _, text in told)


def test_an_owner_is_told_once_that_a_script_fails(world):
    world.script('fileinto "Nowhere";')
    world.name("INBOX")
    client = world.connect()
    append(client)
    append(client)
    [(reverse_path, recipient, text)] = world.queued()
    assert (reverse_path, recipient) == ("", "alice@example.org")
    assert 'there is no mailbox "Nowhere"' in text
    assert 'The message stays in "INBOX".' in text
    assert "Subject: new" in text
    world.script('fileinto "Nowhere"; keep;')
    append(client)
    assert len(world.queued()) == 2, "it is another version"


def test_what_was_seen_is_remembered(world):
    world.script('require "duplicate"; if duplicate { addflag "again"; }')
    world.name("INBOX")
    client = world.connect()
    text = b"Message-ID: <one@b.example>\r\n\r\n"
    append(client, text=text)
    append(client, text=text)
    assert world.holds() == [(), ("again",)]


def test_a_large_message_is_changed_where_it_holds_nobody_up(world):
    world.script('addheader "X-New" "1"; fileinto :copy "Archive";')
    world.name("INBOX")
    for text in (b"small", b"x" * SMALL_MESSAGE):
        world.put(b"Subject: new\r\n\r\n" + text + b"\r\n", prefix=b"X-Trace: 1\r\n")
    client = world.connect(select="INBOX")
    for number, where in ((1, set()), (2, {"join", "edited"})):
        world.threads.ran.clear()
        client.ask(rf"a STORE {number} +FLAGS (\Flagged)")
        assert {"join", "edited"} & set(world.threads.ran) == where
    assert world.holds("Archive") == [("\\Flagged",)] * 2


class Sending:
    """Lets two recipients be sent to."""

    def __init__(self):
        self.left = 2
        self.known = []

    async def admit(self, account_id, recipient, first):
        if not self.left:
            raise Refused("4.7.28", "too many recipients")
        self.left -= 1
        return Admitted(Counted(int(first), 1, 0))

    def give_back(self, account_id, counted):
        self.left += counted.recipients

    def sent(self, account_id, recipients):
        self.known += recipients


def test_scripts_send_what_the_account_may(tmp_path):
    world = ScriptedWorld(tmp_path, Sending())
    world.script('redirect "x@elsewhere.example";')
    world.name("Junk")
    for _ in range(4):
        world.put()
    client = world.connect(select="INBOX")
    client.ask("a COPY 1:4 Junk")
    assert [recipient for *_, recipient, _ in world.queued()].count("x@elsewhere.example") == 2
    assert world.holds("Junk") == [("\\Deleted",), ("\\Deleted",), (), ()]
    assert any("too many recipients" in text for *_, text in world.queued())


def test_what_cannot_be_queued_was_not_sent(tmp_path):
    sending = Sending()
    world = ScriptedWorld(tmp_path, sending)
    world.script('redirect "x@elsewhere.example";')
    world.name("INBOX")

    async def refuse(together):
        raise StoreUnavailable("queue")

    world.queue.enqueue_together = refuse
    assert append(world.connect())[-1].startswith("a OK")
    assert world.holds() == [()]
    assert (sending.left, sending.known) == (2, [])


# Mailboxes of others


def test_a_script_is_the_owners_whoever_does_something(world):
    world.script(SHOWN)
    world.script("discard;", owner="bob")
    world.name("Junk")
    world.give("Junk", "bob@example.org", "lrswit")
    bob = world.enter("b", "bob", "INBOX")
    append(bob, '"Other Users/alice@example.org/Junk"')
    world.put(owner="bob")
    bob.ask("n NOOP")
    bob.ask('a COPY 1 "Other Users/alice@example.org/Junk"')
    bob.ask('b SELECT "Other Users/alice@example.org/Junk"')
    bob.ask(r"c STORE 1 +FLAGS (\Seen)")
    bob.ask(r"d STORE 1 +FLAGS (\Flagged)")
    assert told(world) == [
        "APPEND Junk bob@example.org ()",
        "COPY Junk bob@example.org ()",
        r"FLAG Junk bob@example.org (\Flagged)",
    ], r"\Seen is the reader's own"
    assert told(world, "bob") == []


def test_only_who_administers_a_mailbox_names_its_script(world):
    world.script(SHOWN)
    world.give("Junk", "bob@example.org", "lrswi")
    world.give("Trash", "bob@example.org", "lrswia")
    bob = world.enter("b", "bob")
    theirs = '"Other Users/alice@example.org/{}" (/shared/imapsieve/script "s")'
    assert bob.ask("a SETMETADATA " + theirs.format("Junk"))[-1].startswith("a NO [NOPERM]")
    assert bob.ask("b SETMETADATA " + theirs.format("Trash"))[-1].startswith("b OK")
    alice = world.enter("a", "alice")
    append(alice, "Trash")
    append(alice, "Junk")
    assert told(world) == ["APPEND Trash alice@example.org ()"]
