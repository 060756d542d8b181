"""ManageSieve: what each command does, on the store (RFC 5804 2.3 to 2.13), and how a session ends."""

import pytest
from managesieve_support import KEEP, LOGIN, Wire, literal, play
from twisted.internet.defer import Deferred

from mailnode.errors import Busy
from mailnode.managesieve.checking import SMALL
from mailnode.managesieve.session import MAX_BAD, SILENCE
from mailnode.managesieve.wire.connection import MAX_SCRIPT
from mailnode.sieve.checker import offered
from mailnode.values.scripts import ScriptQuota


@pytest.fixture
def wire():
    made = Wire()
    made.login()
    return made


def put(name, script=KEEP):
    return b'PUTSCRIPT "' + name + b'" ' + literal(script) + b"\r\n"


def said(answer):
    """Capabilities by name."""
    *lines, last = answer.decode().splitlines()
    assert last.startswith("OK")
    found = dict(line.strip('"').split('" "') if '" "' in line else (line.strip('"'), None) for line in lines)
    assert len(found) == len(lines)
    return found


def test_the_greeting_says_what_there_is():
    assert said(Wire().greeting) == {
        "IMPLEMENTATION": "mailnode 1",
        "VERSION": "1.0",
        "SASL": "SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN",
        "SIEVE": " ".join(offered()),
        "NOTIFY": "mailto",
        "EXTLISTS": "urn",
        "MAXREDIRECTS": "10",
        "LANGUAGE": "en",
        "UNAUTHENTICATE": None,
    }


def test_after_a_login_the_owner_is_said_too(wire):
    found = said(wire.send(b"CAPABILITY\r\n"))
    assert found.pop("OWNER") == "alice@a.test"
    assert found == said(wire.greeting)


def test_a_whole_dialogue_however_it_is_cut():
    dialogue = (
        put(b"main")
        + b'LISTSCRIPTS\r\nSETACTIVE "main"\r\nHAVESPACE "main" 100\r\nGETSCRIPT "main"\r\nCHECKSCRIPT "keep;"\r\n'
        + b'RENAMESCRIPT "main" {3+}\r\n"\\"\r\nLISTSCRIPTS\r\nNOOP "tag"\r\nHELP\r\nSETACTIVE ""\r\n'
        + b'DELETESCRIPT "\\"\\\\\\""\r\nLISTSCRIPTS\r\nUNAUTHENTICATE\r\nLISTSCRIPTS\r\nLOGOUT\r\n'
    )
    assert play(dialogue) == (
        b'OK\r\n"main"\r\nOK\r\nOK\r\nOK\r\n{20}\r\n' + KEEP + b"\r\nOK\r\nOK\r\n"
        b'OK\r\n"\\"\\\\\\"" ACTIVE\r\nOK\r\nOK (TAG "tag") "done"\r\nNO "unknown command"\r\nOK\r\n'
        b'OK\r\nOK\r\nOK "logged out"\r\nNO "no LISTSCRIPTS before the login"\r\nOK "goodbye"\r\n'
    )


def test_a_script_that_does_not_compile_is_not_stored(wire):
    wire.send(put(b"main"))
    answer = wire.send(put(b"main", b'keep;\r\nfileinto "x";\r\nnone;\r\n'))
    assert answer == (
        b'NO {82}\r\nline 2, column 1: fileinto needs require "fileinto"\r\nline 3, column 1: none is no command\r\n'
    ).replace(b"82", b"%d" % (len(answer) - 9 - 2))
    assert wire.send(b'GETSCRIPT "main"\r\n') == b"{20}\r\n" + KEEP + b"\r\nOK\r\n"
    assert wire.send(put(b"other", b"none;")).startswith(b'NO "line 1, column 1: ')
    assert wire.send(b"LISTSCRIPTS\r\n") == b'"main"\r\nOK\r\n'


def test_broken_utf_8_in_a_script_is_told_with_its_place(wire):
    assert wire.send(put(b"a", b"keep;\r\n# \xff\r\n")).startswith(b'NO "line 2, column 3: ')


def test_an_empty_script_is_refused(wire):
    assert wire.send(put(b"a", b"")) == wire.send(b'CHECKSCRIPT ""\r\n') == b'NO "the script is empty"\r\n'


def test_warnings_are_told_and_the_script_is_stored(wire):
    script = b"stop;\r\nkeep;\r\n"
    told = b'OK (WARNINGS) "line 2, column 1: nothing behind stop is reached"\r\n'
    assert wire.send(b"CHECKSCRIPT " + literal(script) + b"\r\n") == told
    assert wire.send(put(b"a", script)) == told
    assert wire.send(b"LISTSCRIPTS\r\n") == b'"a"\r\nOK\r\n'


def test_checkscript_stores_nothing_and_minds_no_quota():
    wire = Wire(quota=ScriptQuota(1, 10, 10))
    wire.login()
    assert wire.send(b"CHECKSCRIPT " + literal(KEEP) + b"\r\n") == b"OK\r\n"
    assert wire.send(b"CHECKSCRIPT {5+}\r\nnone;\r\n").startswith(b"NO ")
    assert wire.send(b"LISTSCRIPTS\r\n") == b"OK\r\n"


def test_quotas():
    wire = Wire(quota=ScriptQuota(2, 30, 45))
    wire.login()
    many, large = b"NO (QUOTA/MAXSCRIPTS) ", b"NO (QUOTA/MAXSIZE) "
    assert wire.send(b'HAVESPACE "a" 30\r\n') == b"OK\r\n"
    assert wire.send(b'HAVESPACE "a" 31\r\n').startswith(large)
    assert wire.send(b'HAVESPACE "a" 4294967295\r\n').startswith(large)
    assert wire.send(put(b"a", KEEP + b"# longer than that")).startswith(large)
    assert wire.threads.calls == 0, "what has no room is not looked at"
    assert wire.send(put(b"a") + put(b"b")) == b"OK\r\nOK\r\n"
    assert wire.send(b'HAVESPACE "b" 25\r\n') == b"OK\r\n"
    assert wire.send(b'HAVESPACE "b" 26\r\n').startswith(large)
    assert wire.send(put(b"c", b"keep;")).startswith(many)
    assert wire.send(b'HAVESPACE "c" 1\r\n').startswith(many)


def test_names_that_scripts_cannot_have(wire):
    for name in (b"", b"a\nb", b"a\x7fb", "a\u2028b".encode(), "a\u0085".encode(), b"x" * 513):
        for command in (b"HAVESPACE " + literal(name) + b" 1\r\n", b"PUTSCRIPT " + literal(name) + b' "keep;"\r\n'):
            assert wire.send(command) == b'NO "a script cannot have that name"\r\n', command
    long = "ä".encode() * 128
    assert wire.send(put(long)) == b"OK\r\n"
    assert wire.send(b"LISTSCRIPTS\r\n") == b'"' + long + b'"\r\nOK\r\n'


def test_commands_on_scripts_that_are_not_there(wire):
    none = b'NO (NONEXISTENT) "there is no script of that name"\r\n'
    wire.send(put(b"a"))
    for command in (b'GETSCRIPT "b"', b'DELETESCRIPT "b"', b'SETACTIVE "b"', b'RENAMESCRIPT "b" "c"', b'GETSCRIPT ""'):
        assert wire.send(command + b"\r\n") == none, command


def test_one_script_is_active_or_none(wire):
    wire.send(put(b"a") + put(b"b"))
    assert wire.send(b'SETACTIVE "a"\r\nSETACTIVE "b"\r\nLISTSCRIPTS\r\n') == b'OK\r\nOK\r\n"a"\r\n"b" ACTIVE\r\nOK\r\n'
    assert wire.send(b'DELETESCRIPT "b"\r\n').startswith(b"NO (ACTIVE) ")
    assert wire.send(b'RENAMESCRIPT "b" "a"\r\n').startswith(b"NO (ALREADYEXISTS) ")
    assert wire.send(b'RENAMESCRIPT "b" "c"\r\nLISTSCRIPTS\r\n') == b'OK\r\n"a"\r\n"c" ACTIVE\r\nOK\r\n'
    assert wire.send(b'SETACTIVE ""\r\nSETACTIVE ""\r\nLISTSCRIPTS\r\n') == b'OK\r\nOK\r\n"a"\r\n"c"\r\nOK\r\n'
    assert wire.send(b'DELETESCRIPT "c"\r\nLISTSCRIPTS\r\n') == b'OK\r\n"a"\r\nOK\r\n'


def test_what_does_not_compile_any_more_does_not_become_active(wire):
    wire.now(wire.scripts.put("alice", "old", b"none;", ScriptQuota()))
    assert wire.send(b'SETACTIVE "old"\r\n') == b'NO "line 1, column 1: none is no command"\r\n'
    assert wire.now(wire.scripts.active("alice")) is None


def test_a_large_script_is_looked_at_in_another_process(wire):
    wire.send(put(b"a", b"#" * SMALL))
    assert (wire.threads.calls, wire.processes.calls) == (1, 0)
    script = b"keep; #" + b"x" * (MAX_SCRIPT - 7)
    assert wire.send(put(b"a", script)) == b"OK\r\n"
    assert (wire.threads.calls, wire.processes.calls) == (1, 1)
    assert wire.send(b'GETSCRIPT "a"\r\n') == b"{%d}\r\n" % MAX_SCRIPT + script + b"\r\nOK\r\n"


def test_nothing_is_answered_before_it_is_stored(wire):
    wire.threads.waits_for = waiting = Deferred()
    assert wire.send(put(b"a") + b"NOOP\r\n") == b""
    waiting.callback(None)
    assert wire.take() == b'OK\r\nOK "done"\r\n'


def test_what_cannot_be_done_now_can_be_tried_later(wire):
    wire.threads.fault = Busy()
    assert wire.send(put(b"a")) == b'NO (TRYLATER) "this cannot be done now, try again later"\r\n'
    assert wire.send(b"LISTSCRIPTS\r\n") == b"OK\r\n"


def test_what_is_too_large_is_refused_and_the_session_goes_on(wire):
    answer = wire.send(b"CHECKSCRIPT " + literal(b"#" * (MAX_SCRIPT + 1)) + b"\r\nNOOP\r\n")
    assert answer == b'NO (QUOTA/MAXSIZE) "more than 1048576 octets"\r\nOK "done"\r\n'


def test_where_nobody_knows_what_follows_the_session_ends(wire):
    answer = wire.send(b'PUTSCRIPT "a" {5}\r\nkeep;\r\nNOOP\r\n')
    assert answer.startswith(b'BYE "a literal begins with') and answer.count(b"\r\n") == 1
    assert wire.closed


def test_many_mistakes_end_the_session(wire):
    answer = wire.send(b"HELP\r\n" * (MAX_BAD + 5))
    assert answer == b'NO "unknown command"\r\n' * (MAX_BAD - 1) + b'BYE "too many errors"\r\n'
    assert wire.closed


def test_noop(wire):
    assert wire.send(b"NOOP\r\n") == b'OK "done"\r\n'
    assert wire.send(b"NOOP {3+}\r\na\r\n\r\n") == b'OK (TAG {3}\r\na\r\n) "done"\r\n'


def test_nothing_behind_logout_is_carried_out(wire):
    assert wire.send(b"LOGOUT\r\n" + put(b"a")) == b'OK "goodbye"\r\n'
    assert wire.closed and wire.now(wire.scripts.listing("alice")) == []


def test_silence_ends_a_session_after_more_than_half_an_hour(wire):
    wire.clock.advance(1800)
    assert not wire.closed
    wire.clock.advance(SILENCE - 1800)
    assert wire.take() == b'BYE "nothing was heard for too long"\r\n' and wire.closed


def test_who_never_finishes_a_command_is_ended_as_who_is_silent(wire):
    wire.send(b"CHECKSCRIPT {100000+}\r\n")
    minutes = 0
    while not wire.closed:
        wire.send(b"#")
        wire.clock.advance(60)
        minutes += 1
    assert SILENCE <= minutes * 60 <= 2 * SILENCE + 60


def test_without_a_login_a_session_ends_soon():
    wire = Wire()
    for _ in range(12):
        wire.send(b"NOOP\r\n")
        wire.clock.advance(10)
    assert wire.take().endswith(b'BYE "nothing was heard for too long"\r\n') and wire.closed


def test_the_end_of_the_server(wire):
    wire.factory.draining()
    assert wire.take() == b'BYE (TRYLATER) "the server shuts down, try again later"\r\n' and wire.closed


def test_a_changed_account_ends_the_session(wire):
    wire.set_password("another")
    assert wire.take() == b'BYE "the account was changed: log in again"\r\n' and wire.closed


def test_a_lost_connection_gives_the_login_back(wire):
    assert wire.counts._counts == {("alice", "managesieve"): 1}
    wire.lose()
    assert wire.counts._counts == {}


def test_too_many_connections():
    wire = Wire(max_connections=1)
    wire.connect()
    assert wire.greeting == b'BYE (TRYLATER) "too many connections, try again later"\r\n'


def test_where_filters_are_switched_off():
    wire = Wire(enabled=False)
    assert wire.greeting == b'BYE "filters are switched off here"\r\n' and wire.closed
    assert wire.send(LOGIN) == b""
