"""ManageSieve: TLS, logging in and out (RFC 5804 2.1, 2.2, 2.14.1)."""

from base64 import b64decode, b64encode

import pytest
import scramp
from managesieve_support import LOGIN, PASSWORD, PLAIN, Wire

from mailnode.auth.mechanisms import Offer
from mailnode.managesieve.session import MAX_BAD

REFUSED = b'NO "login failed"\r\n'
DELAY = 6.0  # seconds, more than a refused login takes


def sasl(wire, mechanism, *responses):
    """Begin an exchange, go on with responses, and return all answers."""
    answers = [wire.send(b'AUTHENTICATE "%s"\r\n' % mechanism)]
    answers += [wire.send(b'"' + b64encode(one) + b'"\r\n', DELAY) for one in responses]
    return answers


def test_plain_with_and_without_an_initial_response():
    assert sasl(Wire(), b"PLAIN", b"\0alice@a.test\0" + PASSWORD) == [b'""\r\n', b'OK "logged in"\r\n']
    Wire().login()
    assert Wire().send(b'authenticate "plain" {%d+}\r\n%s\r\n' % (len(PLAIN), PLAIN)) == b'OK "logged in"\r\n'


def test_login_is_asked_twice_and_has_no_initial_response():
    wire = Wire()
    assert wire.send(b'AUTHENTICATE "LOGIN" "YWxpY2U="\r\n') == b'NO "this mechanism has no initial response"\r\n'
    assert sasl(wire, b"LOGIN", b"alice@a.test", PASSWORD) == [
        b'"VXNlcm5hbWU6"\r\n',
        b'"UGFzc3dvcmQ6"\r\n',
        b'OK "logged in"\r\n',
    ]


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256"])
@pytest.mark.parametrize("initial", [False, True])
def test_scram_ends_with_its_proof_beside_ok(mechanism, initial):
    wire = Wire()
    client = scramp.ScramClient([mechanism], "alice@a.test", PASSWORD.decode())
    first = b64encode(client.get_client_first().encode())
    if initial:
        challenge = wire.send(b'AUTHENTICATE "%s" "%s"\r\n' % (mechanism.encode(), first))
    else:
        assert wire.send(b'AUTHENTICATE "%s"\r\n' % mechanism.encode()) == b'""\r\n'
        challenge = wire.send(b'"' + first + b'"\r\n')
    client.set_server_first(b64decode(challenge.strip(b'"\r\n')).decode())
    answer = wire.send(b'"' + b64encode(client.get_client_final().encode()) + b'"\r\n')
    assert answer.startswith(b'OK (SASL "') and answer.endswith(b'") "logged in"\r\n')
    client.set_server_final(b64decode(answer.split(b'"')[1]).decode())
    assert wire.send(b"LISTSCRIPTS\r\n") == b"OK\r\n"


def test_a_wrong_proof_of_scram():
    wire = Wire()
    client = scramp.ScramClient(["SCRAM-SHA-256"], "alice@a.test", "wrong")
    first = b64encode(client.get_client_first().encode())
    challenge = wire.send(b'AUTHENTICATE "SCRAM-SHA-256" "%s"\r\n' % first)
    client.set_server_first(b64decode(challenge.strip(b'"\r\n')).decode())
    assert wire.send(b'"' + b64encode(client.get_client_final().encode()) + b'"\r\n', DELAY) == REFUSED


def test_a_refused_login_says_nothing_of_who_there_is():
    for user, password in ((b"alice@a.test", b"wrong"), (b"nobody@a.test", PASSWORD)):
        assert sasl(Wire(), b"PLAIN", b"\0" + user + b"\0" + password)[1] == REFUSED


def test_refused_logins_are_mistakes():
    wire, answer = Wire(), b""
    for _ in range(MAX_BAD):
        answer += wire.send(b'AUTHENTICATE "PLAIN" "AGEAYg=="\r\n', DELAY)
    assert answer.endswith(b'BYE "too many errors"\r\n') and wire.closed


def test_an_exchange_that_is_cancelled_or_broken_off():
    wire = Wire()
    assert wire.send(b'AUTHENTICATE "PLAIN"\r\n"*"\r\n') == b'""\r\nNO "cancelled"\r\n'
    assert wire.send(b'AUTHENTICATE "PLAIN"\r\nLISTSCRIPTS\r\n') == (
        b'""\r\nNO "a response is one string, in base64"\r\n'
    )
    wire.login()


def test_who_has_logged_in_cannot_do_so_again():
    wire = Wire()
    wire.login()
    assert wire.send(LOGIN) == b'NO "no AUTHENTICATE after the login"\r\n'
    assert wire.send(b"STARTTLS\r\n") == b'NO "no STARTTLS after the login"\r\n'


def test_mechanisms_that_are_not_there():
    for name in (b"CRAM-MD5", b"SCRAM-SHA-256-PLUS", b"EXTERNAL", b"OAUTHBEARER", b"", b"\xc3\xa4"):
        assert Wire(offer=Offer()).send(b'AUTHENTICATE "%s" ""\r\n' % name) == b'NO "unknown mechanism"\r\n'


def test_no_login_without_tls():
    wire = Wire(tls="starttls", plain_login=False)
    assert b'"SASL" ""\r\n' in wire.greeting and b'"STARTTLS"\r\n' in wire.greeting
    assert wire.send(LOGIN) == b'NO (ENCRYPT-NEEDED) "start TLS first"\r\n'


def test_capabilities_are_said_anew_when_tls_is_up():
    wire = Wire(tls="starttls", plain_login=False)
    assert wire.send(b"STARTTLS\r\n") == b'OK "begin TLS"\r\n'
    assert wire.tls_begun == 1
    assert wire.send(LOGIN) == b""  # in clear text: thrown away
    wire.pump.handshakeCompleted()
    answer = wire.take()
    assert answer.startswith(b'"IMPLEMENTATION"') and answer.endswith(b'OK "TLS is up"\r\n')
    assert b"STARTTLS" not in answer and b'"SASL" "SCRAM-' in answer
    assert wire.send(b"STARTTLS\r\n") == b'NO "TLS is up already"\r\n'
    wire.login()


def test_what_stands_behind_starttls_keeps_tls_from_beginning():
    wire = Wire(tls="starttls", plain_login=False)
    answer = wire.send(b"STARTTLS\r\n" + LOGIN)
    assert answer.startswith(b'NO "something stands behind STARTTLS"\r\nNO (ENCRYPT-NEEDED)')
    assert wire.tls_begun == 0


def test_a_listener_without_tls():
    assert Wire().send(b"STARTTLS\r\n") == b'NO "no TLS here"\r\n'


def test_implicit_tls_greets_when_it_is_up():
    wire = Wire(tls="implicit", plain_login=False)
    assert wire.greeting == b""
    wire.pump.handshakeCompleted()
    answer = wire.take()
    assert b"STARTTLS" not in answer and b'"SASL" "SCRAM-' in answer and answer.count(b"OK") == 1


def test_unauthenticate_makes_the_connection_nobodys_again():
    wire = Wire()
    assert wire.send(b"UNAUTHENTICATE\r\n") == b'NO "no UNAUTHENTICATE before the login"\r\n'
    wire.login()
    assert wire.send(b'PUTSCRIPT "a" "keep;"\r\nUNAUTHENTICATE\r\n') == b'OK\r\nOK "logged out"\r\n'
    assert wire.counts._counts == {}
    assert wire.send(b"LISTSCRIPTS\r\n") == b'NO "no LISTSCRIPTS before the login"\r\n'
    assert b"OWNER" not in wire.send(b"CAPABILITY\r\n")
    wire.login()
    assert wire.send(b"LISTSCRIPTS\r\n") == b'"a"\r\nOK\r\n'


def test_who_logs_out_and_not_in_again_is_ended():
    wire = Wire()
    wire.login()
    wire.clock.advance(1000)
    wire.send(b"UNAUTHENTICATE\r\n")
    for _ in range(12):
        wire.send(b"NOOP\r\n")
        wire.clock.advance(10)
    assert wire.closed


def test_who_may_read_mail_over_imap_may_change_filters():
    wire = Wire()
    for label, protocols, answer in (("i", {"imap"}, b'OK "logged in"\r\n'), ("s", {"pop3", "submission"}, REFUSED)):
        wire.set_password(f"the {label} password", label, frozenset(protocols))
        wire.connect()
        assert sasl(wire, b"PLAIN", b"\0alice@a.test\0the %s password" % label.encode())[1] == answer


def test_so_by_scram():
    wire = Wire()
    wire.set_password("elsewhere", "", frozenset({"submission"}))
    client = scramp.ScramClient(["SCRAM-SHA-256"], "alice@a.test", "elsewhere")
    first = b64encode(client.get_client_first().encode())
    client.set_server_first(
        b64decode(wire.send(b'AUTHENTICATE "SCRAM-SHA-256" "%s"\r\n' % first).strip(b'"\r\n')).decode()
    )
    assert wire.send(b'"' + b64encode(client.get_client_final().encode()) + b'"\r\n', DELAY) == REFUSED
