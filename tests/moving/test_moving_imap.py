"""Mail of an IMAP server moves in: what the server has, and what it may do wrong."""

import json

import pytest
from account_support import ALICE, run
from scripted_imap import OldFolder, OldMessage, ScriptedImap

import mailnode.ctl.moving_runs as command

ARRIVED = 1_676_167_445  # 12-Feb-2023 03:04:05 +0100


class NoWaits:
    """A clock that stands but for what is waited, which takes no time."""

    waited: list = []  # of one test

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.waited.append(seconds)
        self.now += seconds


@pytest.fixture(autouse=True)
def waited(monkeypatch):
    """What was waited for, without waiting."""
    NoWaits.waited = []
    monkeypatch.setattr(command, "WallWaits", NoWaits)
    monkeypatch.setenv("MAILNODE_IMPORT_PASSWORD", "sesame")
    return NoWaits.waited


@pytest.fixture
def serve():
    """Start servers; all are ended."""
    servers = []

    def start(folders, **options):
        servers.append(ScriptedImap(folders, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def text(subject, body=b"hello\r\n"):
    return b"From: bob@side.test\r\nMessage-ID: <%s@side.test>\r\nSubject: x\r\n\r\n%s" % (subject.encode(), body)


def bring(alice, server, *options, code=0):
    where = "--port", str(server.port), "--tls", "none", "--json", "--timeout", "5"
    return json.loads(run(alice.data, "import", "imap", "127.0.0.1", "bob", ALICE, *where, *options, code=code))


def subjects(alice, name="INBOX"):
    return [content.split(b"<")[1].split(b"@")[0].decode() for content, _, _ in alice.contents(name)]


def several(count, **options):
    return OldFolder(*(OldMessage(uid, text(f"m{uid}")) for uid in range(1, count + 1)), **options)


def asked(server, name):
    return [rest for verb, rest in server.commands if verb == name]


def test_everything_comes_and_the_second_run_asks_for_no_content(alice, serve):
    server = serve({
        b"INBOX": OldFolder(OldMessage(3, text("a"), ("\\Seen", "\\Recent", "$Forwarded")), OldMessage(900_000, text("b"), ())),
        b"Gesendet": OldFolder(OldMessage(1, text("c")), attributes="\\Sent \\Subscribed"),
        b"Gr&APwA3w-e/tief": OldFolder(OldMessage(1, text("d")), attributes="\\Subscribed"),
        b"Shown": OldFolder(attributes="\\NoSelect"),
        b"Starred": several(3, attributes="\\Flagged"),
    })  # fmt: skip
    report = bring(alice, server)
    assert (report["complete"], report["brought"], report["failed"]) == (True, 4, 0)
    assert alice.contents() == [
        (text("a"), {"\\Seen", "$Forwarded"}, ARRIVED),
        (text("b"), frozenset(), ARRIVED),
    ]
    assert subjects(alice, "Sent") == ["c"] and subjects(alice, "Grüße/tief") == ["d"]
    assert "Grüße/tief" in alice.work(lambda mail: mail.subscriptions())
    assert [(one["folder"], "other folders" in one["why"]) for one in report["skipped"]] == [("Starred", True)]
    before = len(asked(server, "CONTENT"))
    again = bring(alice, server)
    assert (again["brought"], again["present"], again["flags_added"]) == (0, 4, 0)
    assert len(asked(server, "CONTENT")) == before


def test_the_second_run_brings_what_is_new_and_flags_and_tells_what_differs(alice, serve):
    inbox = several(4)
    server = serve({b"INBOX": inbox})
    bring(alice, server)

    async def change(mail):
        box = mail.open((await mail.named("INBOX")).id)
        await box.store_flags([2], "add", 4)
        await box.expunge([3], False)

    alice.work(change)
    inbox.messages[0].flags = ("\\Seen", "\\Answered")
    del inbox.messages[3]
    inbox.messages.append(OldMessage(5, text("m5")))
    (told,) = bring(alice, server)["folders"]
    counts = "brought", "present", "flags_added", "flags_here_only", "gone_here", "gone_there"
    assert [told[name] for name in counts] == [1, 2, 1, 1, 1, 1]
    assert subjects(alice) == ["m1", "m2", "m4", "m5"]
    assert alice.contents()[0][1] == {"\\Seen", "\\Answered"}


def test_of_what_shows_all_mail_that_comes_which_stands_nowhere_else(alice, serve):
    every = several(4, attributes="\\All")
    server = serve({b"All Mail": every, b"INBOX": several(2), b"Sent": several(1, attributes="\\Sent")})
    assert bring(alice, server)["brought"] == 5
    assert subjects(alice, "Archive") == ["m3", "m4"] and subjects(alice) == ["m1", "m2"]
    every.messages.append(OldMessage(5, text("m5")))
    (told,) = (one for one in bring(alice, server)["folders"] if one["folder"] == "All Mail")
    assert (told["brought"], told["present"], told["gone_here"], told["gone_there"]) == (1, 4, 0, 0)


def test_a_mailbox_that_was_renamed_here_gets_what_is_new(alice, serve):
    work = several(1)
    server = serve({b"INBOX": OldFolder(), b"Work": work})
    bring(alice, server)

    async def rename(mail):
        await mail.rename((await mail.named("Work")).id, "Job")

    alice.work(rename)
    work.messages.append(OldMessage(2, text("m2")))
    assert bring(alice, server)["brought"] == 1
    assert subjects(alice, "Job") == ["m1", "m2"] and "Work" not in alice.names()


EVERY = ["GREETING", "CAPABILITY", "AUTHENTICATE", "LOGIN", "LIST", "EXAMINE", "FETCH", "CONTENT", "LOGOUT"]


@pytest.mark.parametrize("name", EVERY)
def test_a_server_that_closes_at_a_command_is_asked_again(alice, serve, waited, name):
    capabilities = b"IMAP4rev1 LIST-EXTENDED" + (b" AUTH=PLAIN" if name == "AUTHENTICATE" else b"")
    server = serve({b"INBOX": several(3), b"Work": several(2)}, capabilities=capabilities)
    server.dropped = {name: 2}
    report = bring(alice, server)
    assert (report["complete"], report["brought"], report["failed"]) == (True, 5, 0)
    assert subjects(alice) == ["m1", "m2", "m3"]
    assert bool(waited) == (name != "LOGOUT")


@pytest.mark.parametrize("name", ["GREETING", "CAPABILITY", "LOGIN", "LIST", "EXAMINE", "FETCH", "CONTENT"])
def test_one_that_always_closes_there_ends_it_in_words_and_the_next_run_goes_on(alice, serve, waited, name):
    server = serve({b"INBOX": several(3)})
    server.dropped = {name: 1000}
    report = bring(alice, server, code=1)
    assert (report["complete"], report["brought"]) == (False, 0)
    assert "127.0.0.1: it has closed the connection" in report["stopped"]
    assert len(waited) == 4
    server.dropped = {}
    report = bring(alice, server)
    assert (report["complete"], report["brought"]) == (True, 3)


def test_a_connection_lost_in_the_middle_of_a_message_brings_no_half(alice, serve):
    server = serve({b"INBOX": several(5)})
    server.cut_content = {3: (20, 1)}
    assert bring(alice, server)["brought"] == 5
    assert [content for content, _, _ in alice.contents()] == [text(f"m{uid}") for uid in range(1, 6)]


def test_a_message_by_which_the_connection_is_always_lost_is_told_and_tried_again_next_time(alice, serve):
    server = serve({b"INBOX": several(5)})
    server.cut_content = {3: (20, 1000)}
    (told,) = bring(alice, server, code=1)["folders"]
    assert (told["brought"], told["failed"]) == (4, 1)
    assert told["failures"] == ["message 3: the connection was lost by it: it has closed the connection"]
    server.cut_content = {}
    (told,) = bring(alice, server)["folders"]
    assert (told["brought"], told["present"], told["failed"]) == (1, 4, 0)
    assert subjects(alice) == ["m1", "m2", "m4", "m5", "m3"]


def test_a_message_of_which_nothing_is_sent_is_no_message_that_came(alice, serve):
    server = serve({b"INBOX": several(3)})
    server.silent_about = {2}
    (told,) = bring(alice, server, code=1)["folders"]
    assert (told["brought"], told["failures"]) == (2, ["message 2: the server sends nothing of it"])
    server.silent_about = set()
    assert bring(alice, server)["brought"] == 1
    assert sorted(subjects(alice)) == ["m1", "m2", "m3"]


def test_one_that_is_deleted_there_meanwhile_is_no_failure(alice, serve):
    inbox = several(3)
    server = serve({b"INBOX": inbox})
    real = server._send_content

    def deleting(client, number, one):
        if one.uid == 1:
            del inbox.messages[1]
        return real(client, number, one)

    server._send_content = deleting
    assert bring(alice, server)["brought"] == 2
    assert subjects(alice) == ["m1", "m3"]


def test_a_server_that_says_too_low_what_comes_next_is_asked_beyond_it(alice, serve):
    server = serve({b"INBOX": several(5)})
    server.uidnext = 3
    assert bring(alice, server)["brought"] == 5
    assert subjects(alice) == ["m1", "m2", "m3", "m4", "m5"]


def test_what_a_server_counts_and_does_not_tell_of_is_told(alice, serve):
    server = serve({b"INBOX": several(5)})
    server.untold = {2, 4}
    (told,) = bring(alice, server, code=1)["folders"]
    assert (told["brought"], told["failed"]) == (3, 2)
    server.untold = set()
    assert bring(alice, server)["brought"] == 2
    assert sorted(subjects(alice)) == ["m1", "m2", "m3", "m4", "m5"]


def test_a_host_that_cannot_be_is_said_in_words(alice):
    said = run(alice.data, "import", "imap", "a..b", "bob", ALICE, "--json", code=1)
    assert json.loads(said)["stopped"] == "a..b: that cannot be a host"


def test_sizes_that_are_lies(alice, serve):
    server = serve({b"INBOX": OldFolder(
        OldMessage(1, text("a"), size=1),
        OldMessage(2, text("b"), size=10_000),
        OldMessage(3, text("c", b"x" * 200_000), size=10),
        OldMessage(4, text("d"), size=10**15),
        OldMessage(5, text("e")),
    )})  # fmt: skip
    (told,) = bring(alice, server, code=1)["folders"]
    assert (told["brought"], told["failed"]) == (3, 2)
    assert "octets, and said 10" in told["failures"][0]
    assert "octets, and 52428800 are taken" in told["failures"][1]
    assert subjects(alice) == ["a", "b", "e"]


@pytest.mark.parametrize(("name", "says"), [
    ("GREETING", b"* BYE go away\r\n"),
    ("GREETING", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    ("LIST", b"* LIST (\\NoSelect) \"/\" {99999999999}\r\n"),
    ("LIST", b"* LIST " + b"(" * 2000 + b"\r\n"),
    ("LIST", b"* LIST () \"/\" \"half\r\nTAG OK done\r\n"),
    ("LIST", b"x" * 1_100_000),
    ("LIST", b"other OK done\r\n"),
    ("LIST", b"TAG NO not now\r\n"),
    ("LOGIN", b"TAG NO [AUTHENTICATIONFAILED] no \x1b[31m such user\r\n"),
    ("EXAMINE", b"* BYE bored\r\n"),
    ("FETCH", b"* 1 FETCH (UID 1 BODY[] {9999999999}\r\n"),
    ("FETCH", b"TAG BAD what\r\n"),
    ("CONTENT", b"* 1 FETCH (UID 1 BODY[] {99999999999999}\r\n"),
])  # fmt: skip
def test_a_server_that_says_what_is_no_answer(alice, serve, name, says):
    server = serve({b"INBOX": several(2)})
    server.says = {name: says}
    report = bring(alice, server, code=1)
    assert report["brought"] == 0
    assert "\x1b" not in report["stopped"] and (report["stopped"] or report["failed"] == 2)
    server.says = {}
    assert bring(alice, server)["brought"] == 2


def test_a_folder_that_cannot_be_opened_is_told_and_the_others_come(alice, serve):
    server = serve({b"INBOX": several(2)})
    server.says = {"EXAMINE": b"TAG NO [SERVERBUG] broken\r\n"}
    report = bring(alice, server)
    assert report["skipped"] == [{"folder": "INBOX", "why": "the server says broken"}]


def test_dates_that_are_none_or_long_ago(alice, serve):
    dates = "01-Jan-1900 00:00:00 +0000", "yesterday", "31-Dec-9999 23:59:59 +0000"
    server = serve(
        {b"INBOX": OldFolder(*(OldMessage(uid, text(f"m{uid}"), date=date) for uid, date in enumerate(dates, 1)))}
    )
    assert bring(alice, server)["brought"] == 3
    assert [arrived for _, _, arrived in alice.contents()] == [0, 0, 253_402_300_799]
    assert bring(alice, server)["present"] == 3
    assert "all right" in run(alice.data, "store", "verify", "--contents")


def test_a_server_that_never_answers_is_given_up(alice, serve, waited):
    server = serve({b"INBOX": several(2)})
    server.says = {"LIST": b""}
    where = "--port", str(server.port), "--tls", "none", "--json", "--timeout", "1"
    report = json.loads(run(alice.data, "import", "imap", "127.0.0.1", "bob", ALICE, *where, code=1))
    assert report["stopped"] == "127.0.0.1: it does not answer"


def test_names_on_the_wire_that_are_odd(alice, serve):
    server = serve({b"INBOX": several(1), b"a/b": several(1), b"caf\xc3\xa9": several(1), b"\xff\xfe": several(1),
                    b"x&y": several(1), b'quo"te\\': several(1), b"line\r\nend": several(1)}, delimiter=b'"."')  # fmt: skip
    report = bring(alice, server)
    named = {one["folder"]: one["mailbox"] for one in report["folders"]}
    assert named["a/b"] == "a_b" and named["café"] == "café" and named["x&y"] == "x&y"
    assert named['quo"te\\'] == 'quo"te\\' and named["line\r\nend"] == "line__end"
    assert report["brought"] == 7
    assert bring(alice, server)["brought"] == 0


def test_folders_that_all_lie_below_inbox_are_beside_it_here(alice, serve):
    server = serve({b"INBOX": several(1), b"INBOX.Work": several(1), b"INBOX.Work.2024": several(1)}, delimiter=b'"."')
    assert [one["mailbox"] for one in bring(alice, server)["folders"]] == ["INBOX", "Work", "Work/2024"]


def test_folders_of_others_are_left_out_where_the_server_tells_them(alice, serve, waited):
    folders = {name: several(1) for name in (b"INBOX", b"INBOX.Work", b"Others.carl.INBOX", b"Beside")}
    server = serve(folders, capabilities=b"IMAP4rev1 NAMESPACE LIST-EXTENDED", delimiter=b'"."')
    assert [one["mailbox"] for one in bring(alice, server)["folders"]] == ["INBOX", "Beside", "Work"]
    assert waited == []


def test_no_password_is_said_where_it_is_not_taken_and_no_tls_begun_that_is_not_offered(alice, serve):
    server = serve({b"INBOX": several(1)}, capabilities=b"IMAP4rev1 LOGINDISABLED")
    assert "takes no password" in bring(alice, server, code=1)["stopped"]
    assert "no STARTTLS" in bring(alice, server, "--tls", "starttls", code=1)["stopped"]
    assert asked(server, "LOGIN") == []


def test_what_speaks_no_tls_is_told_at_once(alice, serve, waited):
    server = serve({b"INBOX": several(1)})
    stopped = bring(alice, server, "--tls", "implicit", code=1)["stopped"]
    assert f"no TLS with what answers at port {server.port}" in stopped
    assert waited == []


def test_the_rate_is_kept(alice, serve, waited):
    server = serve({b"INBOX": several(3)})
    bring(alice, server, "--rate", "100")
    assert sum(waited) == pytest.approx(3 * len(text("m1")) / 100)


def test_a_password_is_taken_from_a_file_and_must_be_there(alice, serve, tmp_path, monkeypatch):
    server = serve({b"INBOX": several(1)})
    monkeypatch.delenv("MAILNODE_IMPORT_PASSWORD")
    where = "--port", str(server.port), "--tls", "none", "--json"
    run(alice.data, "import", "imap", "127.0.0.1", "bob", ALICE, *where, code=2)
    assert asked(server, "LOGIN") == []
    (tmp_path / "password").write_text('pass "word"\n')
    run(
        alice.data,
        "import",
        "imap",
        "127.0.0.1",
        "bob*master",
        ALICE,
        *where,
        "--password-file",
        str(tmp_path / "password"),
    )
    assert asked(server, "LOGIN") == [b'"bob*master" "pass "word""']


def test_it_is_ended_by_ctrl_c_and_goes_on(alice, serve, monkeypatch):
    server = serve({b"INBOX": several(3), b"Work": several(2)})
    folder = command.ShownProgress.folder

    def interrupted(self, name, messages):
        if name == "Work":
            raise KeyboardInterrupt
        folder(self, name, messages)

    with monkeypatch.context() as patched:
        patched.setattr(command.ShownProgress, "folder", interrupted)
        report = bring(alice, server, code=1)
    assert (report["stopped"], report["brought"]) == ("interrupted", 3)
    report = bring(alice, server)
    assert (report["brought"], report["present"]) == (2, 3)
