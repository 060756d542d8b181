"""What each extension adds, section by section."""

from datetime import timedelta, timezone

import pytest

from mailnode.sieve.actions import (
    FiledCopy,
    FileMessage,
    KeepMessage,
    NotifySomebody,
    RedirectMessage,
    RejectMessage,
    RememberDuplicate,
    VacationReply,
)
from mailnode.sieve.checker import compile_script
from mailnode.sieve.questions import (
    DuplicateSeen,
    IncludedScript,
    MailboxIdExists,
    MailboxPresent,
    MetadataValue,
    SpecialUseExists,
)
from tests.sieve.support import MESSAGE, PARTS, actions, content, filed, holds, mistakes, run

# RFC 3894


def test_copy_leaves_the_implicit_keep():
    script = 'require ["fileinto", "copy"]; fileinto :copy "a"; redirect :copy "b@c.example";'
    assert actions(script) == (FileMessage("a"), RedirectMessage("b@c.example"), KeepMessage(implicit=True))


# RFC 5229


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ('set "a" "x"; fileinto "${a}${A}";', "xx"),
        ('set "a" "x"; set "b" "${a}y"; fileinto "${b}";', "xy"),
        ('fileinto "n${nothing}n";', "nn"),
        ('set :length "a" "grün"; fileinto "${a}";', "4"),
        ('set :upper "a" "aé"; fileinto "${a}";', "Aé"),
        ('set :lower :upperfirst "a" "jUMBLED"; fileinto "${a}";', "Jumbled"),
        ('set :quotewildcard "a" "R*ck?\\\\"; fileinto "${a}";', "R\\*ck\\?\\\\"),
        ('fileinto "${a b}${";', "${a b}${"),
        ('if header :matches "subject" "* W*" {} fileinto "${1}-${2}-${0}";', "Hello-orld-Hello World"),
        ('if header :matches "subject" "* W*" {} if header :matches "subject" "x*" {} fileinto "${1}";', "Hello"),
        ('if header :matches "subject" "* W*" {} if header "subject" "Hello World" {} fileinto "${1}";', "Hello"),
        ('set "name" "subject"; if header "${name}" "hello world" { fileinto "yes"; }', "yes"),
    ],
)
def test_variables(script, found):
    assert filed(f'require ["variables", "fileinto"]; {script}') == [found]


def test_count_of_string_is_of_those_that_say_something():
    test = 'string :count "eq" :comparator "i;ascii-numeric" ["a", "", "b"] "2"'
    assert holds(test, require="variables relational comparator-i;ascii-numeric")


# RFC 5231


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ('header :count "eq" "x-multi" "2"', True),
        ('header :count "ge" ["x-multi", "subject"] "3"', True),
        ('address :count "eq" "to" "2"', True),
        ('envelope :count "eq" ["from", "to"] "2"', True),
        ('header :value "gt" "x-n" "9"', True),
        ('header :value "lt" :comparator "i;octet" "x-n" "9"', True),
        ('header :value "ne" "x-multi" "one"', True),
    ],
)
def test_relations(test, expected):
    test = test if "comparator" in test else test.replace('" ["', '" :comparator "i;ascii-numeric" ["', 1)
    require = "relational envelope comparator-i;ascii-numeric"
    if "comparator" not in test and ":value" in test and "ne" not in test:
        test = test.replace('"gt"', '"gt" :comparator "i;ascii-numeric"')
    assert holds(test, "X-N: 10\r\n" + MESSAGE, require=require) is expected


def test_the_null_reverse_path_is_not_counted():
    test = 'envelope :count "eq" :comparator "i;ascii-numeric" "from" "0"'
    assert holds(test, require="relational envelope comparator-i;ascii-numeric", sender="")


# RFC 5232


@pytest.mark.parametrize(
    ("script", "flags"),
    [
        ('setflag "\\\\Seen a"; keep;', ("\\Seen", "a")),
        ('addflag "a"; addflag ["A", "b c"]; keep;', ("a", "b", "c")),
        ('setflag "a b"; removeflag "B"; keep;', ("a",)),
        ('setflag "a"; keep :flags "b";', ("b",)),
        ('addflag "\\\\Nonsense \\\\Recent x(y";', ()),
        ('setflag "a";', ("a",)),
    ],
)
def test_flags(script, flags):
    (kept,) = actions(f'require "imap4flags"; {script}')
    assert kept.flags == flags


def test_flags_in_variables():
    script = 'require ["imap4flags", "variables"]; setflag "v" "a b"; addflag "v" "c"; keep :flags "${v}";'
    assert actions(script) == (KeepMessage(("a", "b", "c")),)


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ('hasflag "b A"', True),
        ('hasflag ["c", "d"]', False),
        ('hasflag :contains "forw"', True),
        ('hasflag :count "eq" :comparator "i;ascii-numeric" "3"', True),
    ],
)
def test_hasflag(test, expected):
    names = '["imap4flags", "fileinto", "relational", "comparator-i;ascii-numeric"]'
    script = f'require {names}; setflag "a b forward"; if {test} {{ fileinto "yes"; }}'
    assert (filed(script) == ["yes"]) is expected


# RFC 5233


@pytest.mark.parametrize(
    ("part", "key"), [(":user", "bob"), (":detail", "work"), (":localpart", "bob+work"), (":domain", "example.com")]
)
def test_subaddress(part, key):
    assert holds(f'address {part} "from" "{key}"', require="subaddress")
    assert not holds('address :detail :contains "to" ""', require="subaddress")


# RFC 5235


@pytest.mark.parametrize(
    ("spam", "test", "expected"),
    [
        (None, 'spamtest "0"', True),
        (0.0, 'spamtest "1"', True),
        (1.0, 'spamtest "10"', True),
        (0.5, 'spamtest :percent "50"', True),
        (None, 'spamtest :percent :contains ""', False),
    ],
)
def test_spamtest(spam, test, expected):
    assert holds(test, require="spamtestplus", spam=spam) is expected


@pytest.mark.parametrize(("virus", "value"), [(None, "0"), (1, "1"), (5, "5")])
def test_virustest(virus, value):
    assert holds(f'virustest "{value}"', require="virustest", virus=virus)


# RFC 5260


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("year", "2026"),
        ("month", "11"),
        ("day", "30"),
        ("date", "2026-11-30"),
        ("julian", "61374"),
        ("hour", "09"),
        ("minute", "15"),
        ("second", "30"),
        ("time", "09:15:30"),
        ("iso8601", "2026-11-30T09:15:30+01:00"),
        ("std11", "Mon, 30 Nov 2026 09:15:30 +0100"),
        ("zone", "+0100"),
        ("weekday", "1"),
    ],
)
def test_parts_of_a_date(part, value):
    assert holds(f'date :originalzone "date" "{part}" "{value}"', require="date")


@pytest.mark.parametrize(("zone", "hour"), [("+0000", "08"), ("-0530", "02"), ("+1400", "22")])
def test_zones(zone, hour):
    assert holds(f'date :zone "{zone}" "date" "hour" "{hour}"', require="date")


def test_without_a_zone_it_is_the_account_s():
    zone = timezone(timedelta(hours=3))
    assert holds('date "date" "hour" "11"', require="date", zone=zone)
    assert holds('currentdate "zone" "+0300"', require="date", zone=zone)


@pytest.mark.parametrize("value", ["", "yesterday", "Mon, 32 Nov 2026 09:15:30 +0100"])
def test_what_is_no_date_is_never_true(value):
    assert not holds('date :contains "date" "year" ""', f"Date: {value}\r\n\r\n", require="date")


def test_the_date_behind_a_semicolon():
    message = "Received: from a by b; Mon, 30 Nov 2026 09:15:30 +0100\r\n\r\n"
    assert holds('date :originalzone "received" "hour" "09"', message, require="date")


@pytest.mark.parametrize(
    ("index", "value"), [(":index 1", "one"), (":index 2", "two"), (":index 1 :last", "two"), (":last :index 2", "one")]
)
def test_index(index, value):
    assert holds(f'header {index} "x-multi" "{value}"', require="index")
    assert not holds('header :index 3 :contains "x-multi" ""', require="index")


def test_fields_of_several_names_are_counted_in_the_order_of_the_names():
    assert holds('header :index 2 ["subject", "x-multi"] "one"', require="index")


# RFC 5293


def test_a_field_that_is_added_is_seen_afterwards():
    assert filed('require ["editheader", "fileinto"]; addheader "X-A" "b"; if header "x-a" "b" { fileinto "y"; }') == [
        "y"
    ]


def test_only_what_is_done_afterwards_has_the_edit():
    first, second = actions('require ["editheader", "fileinto"]; fileinto "a"; addheader "X-A" "b"; fileinto "b";')
    assert first.content is None
    assert second.content.header.startswith(b"X-A: b\r\nFrom: ")
    assert second.content.body is None


@pytest.mark.parametrize(
    ("script", "left"),
    [
        ('deleteheader "x-multi";', []),
        ('deleteheader :index 1 "x-multi";', [b"two"]),
        ('deleteheader :index 1 :last "x-multi";', [b"one"]),
        ('deleteheader "x-multi" "two";', [b"one"]),
        ('deleteheader :matches "x-multi" ["o*", "x"];', [b"two"]),
        ('addheader :last "X-Multi" "three";', [b"one", b"two", b"three"]),
    ],
)
def test_edits(script, left):
    header = content(f'require "editheader"; {script}').header
    assert [line.removeprefix(b"X-Multi: ") for line in header.split(b"\r\n") if line.startswith(b"X-Multi")] == left


@pytest.mark.parametrize("name", ["Received", "Auto-Submitted"])
def test_what_may_not_be_taken_out_stays(name):
    assert actions(f'require "editheader"; deleteheader "{name}";', f"{name}: x\r\n\r\n")[0].content is None


def test_what_is_not_ascii_is_encoded_and_long_values_are_folded():
    header = content('require "editheader"; addheader "X-A" "grün"; addheader "X-B" "' + "word " * 60 + '";').header
    assert b"X-A: =?utf-8?" in header
    assert max(map(len, header.split(b"\r\n"))) <= 100


@pytest.mark.parametrize("value", ["a\r\nX-B: c", "a\nX-B: c", "a\rb", "a\0b".replace("\0", "\x01")])
def test_a_value_is_never_another_field(value):
    failure = run(f'require "editheader"; addheader "X-A" "{value}";').failure
    assert failure is not None and "line end or another control character" in failure.text


# RFC 5429


def test_reject():
    assert actions('require "reject"; reject "no";') == (RejectMessage("no", in_session=False),)
    assert actions('require "ereject"; ereject "no";') == (RejectMessage("no", in_session=True),)


# RFC 5230


def vacation(script, message=MESSAGE, **facts):
    found = actions(f'require ["vacation", "vacation-seconds"]; {script}', message, **facts)
    return next((one for one in found if isinstance(one, VacationReply)), None)


def test_vacation():
    reply = vacation('vacation "gone";')
    assert (reply.reason, reply.period, reply.subject, reply.to) == (
        "gone",
        7 * 86400,
        "Auto: Hello World",
        "bob@example.com",
    )


@pytest.mark.parametrize(
    ("tag", "seconds"),
    [(":days 0", 86400), (":days 3", 3 * 86400), (":days 100000", 366 * 86400), (":seconds 0", 0), (":seconds 90", 90)],
)
def test_periods(tag, seconds):
    assert vacation(f'vacation {tag} "gone";').period == seconds


@pytest.mark.parametrize(
    "field",
    [
        "Auto-Submitted: auto-replied",
        "List-Id: <x.example>",
        "List-Unsubscribe: <mailto:x@y.example>",
        "Precedence: bulk",
    ],
)
def test_what_is_not_answered(field):
    assert vacation('vacation "gone";', f"{field}\r\n{MESSAGE}") is None


@pytest.mark.parametrize(
    "sender",
    [
        "",
        "MAILER-DAEMON@x.example",
        "owner-list@x.example",
        "list-request@x.example",
        "list-bounces+me=example.com@x.example",
        "me@example.com",
        "Me@EXAMPLE.com",
    ],
)
def test_who_is_not_answered(sender):
    assert vacation('vacation "gone";', sender=sender) is None


def test_only_what_was_sent_to_the_account_is_answered():
    assert vacation('vacation "gone";', recipient="other@example.com") is None
    assert vacation('vacation :addresses "ME@example.com" "gone";', recipient="other@example.com") is not None
    own = frozenset({"me@example.com"})
    assert vacation('vacation "gone";', recipient="other@example.com", own_addresses=own) is not None


@pytest.mark.parametrize(
    ("field", "own"),
    [
        ("To: me+detail@example.com", "me@example.com"),
        ("Cc: Us: ME@Example.com, x@y.example;", "me@example.com"),
        ("To: me@bücher.example", "me@xn--bcher-kva.example"),
        ("Resent-Bcc: me@xn--bcher-kva.example", "me@bücher.example"),
    ],
)
def test_an_address_of_the_account_is_known_however_it_is_written(field, own):
    assert vacation('vacation "gone";', f"{field}\r\n\r\n", recipient="x@example.com") is None
    assert vacation('vacation "gone";', f"{field}\r\n\r\n", recipient="x@example.com", own_addresses=frozenset({own}))


@pytest.mark.parametrize("reason", ["Content-Type: té/xt\r\n\r\nx", "Content-Type: text/plain\r\n\r\n" + "x" * 999])
def test_an_entity_that_mail_may_not_have_is_a_mistake(reason):
    assert "no answer can be made of this" in mistakes(f'require "vacation"; vacation :mime "{reason}";')[0]
    script = f'require ["vacation", "variables"]; set "x" "{reason}"; vacation :mime "${{x}}";'
    assert "no answer can be made" in run(script).failure.text


def test_the_same_answer_is_known_again_before_variables_are_expanded():
    script = 'require "variables"; if header :matches "subject" "*" {{}} vacation :subject "Re: ${{1}}" "{}";'
    script = (
        'require ["vacation", "variables"]; if header :matches "subject" "*" {{}} vacation :subject "Re: ${{1}}" "{}";'
    )
    handles = [
        next(one for one in actions(script.format(reason), message) if isinstance(one, VacationReply)).handle
        for reason, message in (("a", MESSAGE), ("a", MESSAGE.replace("Hello", "Bye")), ("b", MESSAGE))
    ]
    assert handles[0] == handles[1] != handles[2]


def test_a_subject_is_one_line():
    assert vacation('vacation :subject "a\r\nBcc: x@y.example" "gone";').subject == "a Bcc: x@y.example"


# RFC 8580, with RFC 5490, RFC 8579, RFC 9042


def test_a_copy_of_the_answer():
    script = (
        'require ["vacation", "fcc", "mailbox", "special-use", "mailboxid", "imap4flags"];'
        'vacation :fcc "Sent" :create %s :flags "\\\\Seen" "gone";'
    )
    assert actions(script % ':specialuse "\\\\Sent"')[0].copy == FiledCopy("Sent", ("\\Seen",), True, "\\Sent")
    assert actions(script % ':mailboxid "F1"')[0].copy == FiledCopy("Sent", ("\\Seen",), True, "", "F1")


@pytest.mark.parametrize("command", ["fileinto", 'vacation :fcc "Sent"', 'notify :fcc "Sent"'])
def test_a_mailbox_is_found_by_one_thing(command):
    """RFC 9042 4.2 and 5."""
    required = 'require ["fileinto", "vacation", "enotify", "fcc", "special-use", "mailboxid"]; '
    told = mistakes(f'{required}{command} :specialuse "\\\\Junk" :mailboxid "F2" "mailto:a@b.example";')
    assert [one.partition(" ")[2] for one in told] == [":specialuse and :mailboxid exclude each other"]


@pytest.mark.parametrize("action", ["reject", "ereject", "redirect", "fileinto"])
def test_what_writes_no_message_leaves_no_copy(action):
    """RFC 8580 7 and 8."""
    assert mistakes(f'require ["reject", "ereject", "fileinto", "fcc"]; {action} :fcc "Sent" "a@b.example";')


@pytest.mark.parametrize(("uri", "says"), [("mailto:", "yes"), ("mailto:a@b.example", "yes"), ("xmpp:", "")])
def test_whether_a_copy_of_a_notification_can_be_filed(uri, says):
    """RFC 8580 6.1: the scheme is enough."""
    assert holds(f'notify_method_capability "{uri}" "fcc" "yes"', require="enotify") == bool(says)


@pytest.mark.parametrize("use", ["", "Junk", "\\\\", "\\\\a b", "\\\\a(b"])
@pytest.mark.parametrize("command", ["fileinto", 'vacation :fcc "Sent"'])
def test_a_use_is_written_as_uses_are(command, use):
    """RFC 8579 4: known only when the script runs, it is looked at then."""
    required = 'require ["fileinto", "vacation", "fcc", "special-use", "variables"]; '
    assert mistakes(f'{required}{command} :specialuse "{use}" "a";')
    failure = run(f'{required}set "use" "{use}"; {command} :specialuse "${{use}}" "a";').failure
    assert failure is not None and "a use is written with a backslash" in failure.text


def test_a_use_is_meant_however_it_is_written_and_one_that_nobody_knows_is_none():
    """RFC 8579 4."""
    script = 'require ["fileinto", "special-use"]; fileinto :specialuse "%s" "a";'
    assert actions(script % "\\\\jUNK") == (FileMessage("a", use="\\Junk"),)
    assert actions(script % "\\\\Novel") == (FileMessage("a"),)


def test_a_mailbox_that_cannot_be_has_no_use():
    """RFC 8579 3."""
    answers = {SpecialUseExists("", "\\Junk"): True}
    for name in ("a//b", ""):
        script = f'require ["fileinto", "special-use"]; if specialuse_exists "{name}" "\\\\Junk" {{ discard; }}'
        assert run(script, answers=answers).actions == (KeepMessage(implicit=True),)


def test_places():
    script = (
        'require ["fileinto", "mailbox", "special-use", "mailboxid"];'
        'fileinto :create "a"; fileinto :specialuse "\\\\Junk" "b"; fileinto :mailboxid "F2" "c";'
    )
    assert actions(script) == (
        FileMessage("a", create=True),
        FileMessage("b", use="\\Junk"),
        FileMessage("c", mailbox_id="F2"),
    )


@pytest.mark.parametrize(
    ("test", "question"),
    [
        ('mailboxexists "a/b"', MailboxPresent("a/b")),
        ('mailboxidexists "F1"', MailboxIdExists("F1")),
        ('specialuse_exists "\\\\Junk"', SpecialUseExists("", "\\Junk")),
        ('specialuse_exists "a" "\\\\Junk"', SpecialUseExists("a", "\\Junk")),
        ('duplicate :handle "h" :uniqueid "u"', DuplicateSeen("h", "u")),
        ("duplicate", DuplicateSeen("", "<1@example.com>")),
    ],
)
def test_questions(test, question):
    names = '["fileinto", "mailbox", "mailboxid", "special-use", "duplicate"]'
    script = f'require {names}; if {test} {{ fileinto "yes"; }}'
    assert [one.mailbox for one in run(script, answers={question: True}).actions if isinstance(one, FileMessage)] == [
        "yes"
    ]
    assert [one for one in run(script, answers={question: False}).actions if isinstance(one, FileMessage)] == []


def test_a_mailbox_that_cannot_be_does_not_exist():
    assert not holds('mailboxexists "a//b"', require="mailbox")


@pytest.mark.parametrize(
    ("test", "question"),
    [
        ('metadata "INBOX" "/private/x" "v*"', MetadataValue("INBOX", "/private/x")),
        ('servermetadata "/shared/x" "v*"', MetadataValue("", "/shared/x")),
    ],
)
def test_metadata(test, question):
    test = test.replace(" ", " :matches ", 1)
    script = f'require ["fileinto", "mboxmetadata", "servermetadata"]; if {test} {{ fileinto "yes"; }}'
    assert isinstance(run(script, answers={question: "value"}).actions[0], FileMessage)
    assert isinstance(run(script).actions[0], KeepMessage)


# RFC 7352


def test_what_was_not_seen_is_remembered():
    script = 'require ["duplicate", "fileinto"]; if duplicate :seconds 60 { fileinto "again"; }'
    remembered, _ = run(script).actions
    assert remembered == RememberDuplicate("", "<1@example.com>", 60)
    assert run(script, answers={DuplicateSeen("", "<1@example.com>"): True}).actions == (FileMessage("again"),)


@pytest.mark.parametrize("test", ["duplicate :seconds 0", 'duplicate :header "x-missing"', 'duplicate :header "a b"'])
def test_what_has_no_id_is_no_duplicate(test):
    assert actions(f'require "duplicate"; if {test} {{ discard; }}') == (KeepMessage(implicit=True),)


# RFC 5435 and RFC 5436


def test_notify():
    script = 'require "enotify"; notify :importance "1" :message "News" "mailto:a@b.example?cc=c@d.example&body=x%20y";'
    told = actions(script)[0]
    assert isinstance(told, NotifySomebody)
    assert (told.recipients, told.subject, told.body, told.importance) == (
        ("a@b.example", "c@d.example"),
        "News",
        "x y",
        1,
    )


@pytest.mark.parametrize(
    "uri", ["tel:+1", "mailto:", "mailto:a", "mailto:a@b.example%0d%0aBcc:x@y.example", "mailto:%ff@b.example"]
)
def test_what_cannot_be_told(uri):
    assert mistakes(f'require "enotify"; notify "{uri}";')
    assert not holds(f'valid_notify_method "{uri}"', require="enotify")


def test_automatic_messages_are_told_to_nobody():
    message = "Auto-Submitted: auto-generated\r\n" + MESSAGE
    assert actions('require "enotify"; notify "mailto:a@b.example";', message) == (KeepMessage(implicit=True),)


def test_capability_of_a_method():
    assert holds('notify_method_capability "mailto:a@b.example" "online" "maybe"', require="enotify")


# RFC 5463


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ('if ihave "copy" { fileinto :copy "a"; }', ["a", "(keep)"]),
        ('if ihave "nothing" { frobnicate :x; } else { fileinto "b"; }', ["b"]),
        ('if ihave ["copy", "nothing"] { fileinto "a"; } else { fileinto "b"; }', ["b"]),
        ('if ihave "variables" { fileinto "a"; } else { fileinto "b"; }', ["b"]),
    ],
)
def test_ihave(script, found):
    assert filed(f'require ["ihave", "fileinto"]; {script}') == found


def test_what_ihave_did_not_bring_fails_when_it_is_reached():
    script = 'require ["ihave", "fileinto"]; if ihave "copy" {{}} {}'
    assert run(script.format('fileinto :copy "a";')).failure is None
    failure = run('require ["ihave", "fileinto"]; if false { if ihave "copy" {} } fileinto :copy "a";').failure
    assert failure is not None and '"copy", which is not in force' in failure.text


def test_a_script_may_say_what_is_wrong():
    failure = run('require "ihave"; error "not today";').failure
    assert failure is not None and (failure.line, failure.text) == (1, "the script says: not today")


# RFC 6609


def included(main, **scripts):
    answers = {IncludedScript("personal", name): compile_script(text.encode()) for name, text in scripts.items()}
    return run(f'require ["include", "fileinto", "variables"]; {main}', answers=answers)


def test_include():
    found = included('include "a"; fileinto "main";', a='require "fileinto"; fileinto "a";')
    assert [one.mailbox for one in found.actions] == ["a", "main"]


def test_return_ends_the_included_script_and_stop_all():
    assert included('include "a"; fileinto "m";', a='require "include"; return; discard;').actions == (
        FileMessage("m"),
    )
    assert included('include "a"; discard;', a="stop;").actions == (KeepMessage(implicit=True),)


def test_variables_are_each_script_s_own_but_global_ones():
    script = 'require ["variables", "include", "fileinto"]; global "g"; fileinto "[${own}${g}]"; set "g" "from a"; set "own" "a";'
    found = included('global "g"; set "g" "x"; set "own" "y"; include "a"; fileinto "${g} ${own}";', a=script)
    assert [one.mailbox for one in found.actions] == ["[x]", "from a y"]


def test_once_and_optional():
    script = 'require "fileinto"; fileinto "a";'
    found = included('include "a"; discard; include :once "a"; include :optional "missing";', a=script)
    assert found.failure is None


@pytest.mark.parametrize(
    ("scripts", "told"),
    [
        ({}, 'there is no script "a" to include'),
        ({"a": 'require "include"; include "a";'}, 'the script "a" includes itself'),
        (
            {"a": 'require "include"; include "b";', "b": 'require "include"; include "a";'},
            'the script "a" includes itself',
        ),
    ],
)
def test_what_cannot_be_included(scripts, told):
    failure = included('include "a";', **scripts).failure
    assert failure is not None and failure.text == told


def test_scripts_in_each_other_are_bounded():
    chain = {f"s{n}": f'require "include"; include "s{n + 1}";' for n in range(20)}
    failure = included('include "s0";', **chain).failure
    assert failure is not None and "in each other" in failure.text


# RFC 6785


def test_items_of_imap():
    environment = {"imap.cause": "COPY"}
    assert holds('environment "imap.cause" "COPY"', require="environment imapsieve", environment=environment)
    assert holds('environment "imap.cause" ""', require="environment imapsieve")


@pytest.mark.parametrize(
    ("require", "command"),
    [("vacation", 'vacation "x"'), ("reject", 'reject "x"'), ("envelope", 'if envelope "to" "x" {}')],
)
def test_what_is_for_delivery_alone(require, command):
    end = "" if command.endswith("}") else ";"
    assert run(f'require "{require}"; {command}{end}', is_delivery=False).failure is not None


def test_what_is_for_delivery_may_not_even_be_required():
    failure = run('require "vacation-seconds"; keep;', is_delivery=False).failure
    assert failure is not None and failure.text == 'the extension "vacation" is for messages that are being delivered'


# RFC 6558


def test_html_becomes_text():
    script = 'require ["convert", "fileinto"]; if convert "text/html" "text/plain" [""] { fileinto "made"; }'
    found = actions(script, PARTS)[-1]
    assert found.mailbox == "made"
    assert b"rich text" in found.content.body and b"<p>" not in found.content.body and b"PDF" in found.content.body


def test_what_cannot_be_converted_is_not():
    assert not holds('convert "application/pdf" "text/plain" [""]', PARTS, require="convert")


def test_what_is_not_there_was_not_left_unconverted():
    """RFC 6558 2.2: it is false where a conversion failed, and there only."""
    script = 'require ["convert", "fileinto"]; if convert "image/tiff" "image/jpeg" ["pix-x=320"] { fileinto "a"; }'
    assert actions(script, PARTS) == (FileMessage("a"),)


@pytest.mark.parametrize("parameter", ["charset=iso-8859-1", "pix-x=320"])
def test_what_is_asked_of_a_conversion_and_cannot_be_had_lets_it_fail(parameter):
    assert not holds(f'convert "text/html" "text/plain" "{parameter}"', PARTS, require="convert")
    assert holds('convert "text/html" "text/plain" "Charset=UTF-8"', PARTS, require="convert")


@pytest.mark.parametrize("field", ["Content-Transfer-Encoding: x-own", "Content-Type: text/plain; charset=x-own"])
def test_one_part_that_cannot_be_read_leaves_all_as_they_are(field):
    """RFC 6558 2: a conversion is done whole or not at all."""
    message = PARTS.replace("--b--", f"--b\r\n{field}\r\n\r\nx\r\n--b--").replace("charset=utf-8", "charset=latin1")
    script = 'require "convert"; convert "text/plain" "text/plain" "charset=utf-8";'
    assert actions(script, message) == (KeepMessage(implicit=True),)


def test_a_part_that_is_converted_stays_what_it_is_for():
    """RFC 6558 3.4: its Content-Disposition is looked at after it was converted."""
    old = "Content-Type: text/html\r\nContent-Disposition: inline\r\nContent-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\r\n\r\n"
    message = PARTS.replace("Content-Type: text/html\r\n\r\n", old)
    body = content('require "convert"; convert "text/html" "text/plain" "";', message).body
    assert b"\r\nContent-Disposition: inline\r\nContent-Type: text/plain; charset=utf-8\r\n" in body
    assert b"MD5" not in body


def test_a_loop_converts_its_part_and_none_below():
    """RFC 6558 2."""
    script = (
        'require ["convert", "foreverypart", "mime"]; foreverypart { if header :mime :type "content-type" "%s" %s }'
    )
    convert = '{ convert "text/html" "text/plain" ""; }'
    assert actions(script % ("multipart", convert), PARTS) == (KeepMessage(implicit=True),)
    assert b"<p>" not in content(script % ("text", convert), PARTS).body


def test_what_is_filed_is_as_it_was_then():
    """RFC 6558 2.1."""
    script = 'require ["convert", "fileinto"]; fileinto "a"; convert "text/html" "text/plain" ""; fileinto "b";'
    first, second = actions(script, PARTS)
    assert first.content is None and b"<p>" not in second.content.body


def test_a_message_that_is_converted_whole_is_mime():
    html = MESSAGE.replace("X-Empty:", "Content-Type: text/html")
    header = content('require "convert"; convert "text/html" "text/plain" "";', html).header
    assert b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n" in header
    assert b"text/html" not in header


# RFC 6009


def test_options_of_redirect():
    script = (
        'require ["redirect-dsn", "redirect-deliverby"];'
        'redirect :notify "failure,delay" :ret "hdrs" :bytimerelative 60 :bymode "return" :bytrace "a@b.example";'
    )
    assert actions(script) == (RedirectMessage("a@b.example", "FAILURE,DELAY", "HDRS", "60;RT"),)


def test_a_time_that_is_given_is_counted_from_now():
    script = 'require "redirect-deliverby"; redirect :bytimeabsolute "2026-11-30T09:15:30+00:00" "a@b.example";'
    assert actions(script)[0].by == "3600;R", "return is the default (RFC 6009 7)"


@pytest.mark.parametrize("time", ["2026-11-30T09:15:30Z", "2026-11-30t09:15:30.25z", "2026-11-30T10:15:30+0100"])
def test_ways_to_write_a_time(time):
    """RFC 3339 5.6; RFC 6009 7.2 makes one of what the tests of dates say."""
    script = f'require "redirect-deliverby"; redirect :bytimeabsolute "{time}" :bymode "notify" "a@b.example";'
    assert actions(script)[0].by == "3600;N"


@pytest.mark.parametrize("test", ["envelope", "envelope :matches"])
def test_times_of_the_envelope_are_in_the_zone_that_is_asked_for(test):
    """RFC 6009 5."""
    parts = {"bytimeabsolute": "2026-11-30T09:15:30Z", "bymode": "return"}
    required = "envelope envelope-deliverby"
    for zone, time in (("", "2026-11-30T11:15:30+02:00"), (':zone "+0000"', "2026-11-30T09:15:30Z")):
        asked = f'{test} {zone} "bytimeabsolute" "{time}"'
        assert holds(asked, require=required, parts=parts, zone=timezone(timedelta(hours=2)))
    assert holds('envelope :zone "+0000" "bymode" "return"', require=required, parts=parts)
    assert not holds('envelope :matches "bytimeabsolute" "*"', require=required), "the envelope has none"


def test_parts_that_are_no_addresses_have_none():
    """RFC 6009 4 and 5."""
    required = 'require ["envelope", "envelope-dsn", "envelope-deliverby", "variables"]; '
    for part in ("orcpt", "bymode"):
        assert mistakes(f'{required}if envelope :all ["from", "{part}"] "a" {{ keep; }}')
    failure = run(f'{required}set "a" "orcpt"; if envelope :domain "${{a}}" "a" {{ keep; }}').failure
    assert failure is not None and failure.text == '"orcpt" of the envelope is no address that has parts'


@pytest.mark.parametrize("zone", ["CET", "+01:00"])
def test_zones_that_cannot_be(zone):
    required = 'require ["envelope", "envelope-deliverby", "variables"]; '
    assert mistakes(f'{required}if envelope :zone "{zone}" "from" "a" {{ keep; }}')
    script = f'{required}set "z" "{zone}"; if envelope :zone "${{z}}" "bytimeabsolute" "a" {{ keep; }}'
    assert run(script, parts={"bytimeabsolute": "2026-11-30T09:15:30Z"}).failure is not None


@pytest.mark.parametrize(
    "tags",
    [
        ':notify "sometimes"',
        ':notify "failure, delay"',
        ':ret "all"',
        ':bytimeabsolute "noon"',
        ':bytimerelative 5 :bymode "x"',
        ':bymode "notify"',
        ":bytrace",
    ],
)
def test_options_that_cannot_be(tags):
    assert mistakes(f'require ["redirect-dsn", "redirect-deliverby"]; redirect {tags} "a@b.example";')


# regular expressions


@pytest.mark.parametrize(
    ("expression", "captured"),
    [
        ("(.*) (.*)", "Hello|World"),
        ("^(h|H)el+o", "H|"),
        ("(hell|hello)(o World)?$", "Hell|o World"),
        ("[[:alpha:]]+ ([[:upper:]])", "W|"),
    ],
)
def test_regex(expression, captured):
    test = f'header :regex "subject" "{expression}"'
    script = f'require ["regex", "variables", "fileinto"]; if {test} {{ fileinto "${{1}}|${{2}}"; }}'
    assert filed(script) == [captured]


@pytest.mark.parametrize("expression", ["(", "a{2,1}", "[z-a]", "*", "(a{1000}){1000}", "x" * 2000])
def test_expressions_that_cannot_be(expression):
    assert mistakes(f'require "regex"; if header :regex "a" "{expression}" {{}}')


# Pigeonhole's


def test_lines_for_the_log():
    assert run('require "vnd.dovecot.debug"; debug_log "at\r\nwork";').logged == ("at work",)


def test_environment_in_strings():
    script = (
        'require ["vnd.dovecot.environment", "variables", "fileinto"]; fileinto "${env.phase}${env.vnd.dovecot.a_b}";'
    )
    assert filed(script, environment={"phase": "x", "vnd.dovecot.a-b": "y"}) == ["xy"]
