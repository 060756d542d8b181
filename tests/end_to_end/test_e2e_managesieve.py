"""ManageSieve with clients nobody here wrote: Debian's sieve-connect, sievelib, the Net_Sieve of webmails, openssl s_client; on one
worker and on two."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest
from servers import PASSWORD, program, wait_for
from ways import WAYS, Dial, every_way, listeners
from worker_servers import Workers

from tests.free_ports import free_port
from tests.processes import PATIENCE

SCRIPT = 'require ["fileinto", "imap4flags"];\r\nif header :is "Subject" "a" {\r\n\tfileinto :flags "\\\\Seen" "Lists";\r\n}\r\n'
WRONG = "keep;\r\nnone;\r\nnothing;\r\n"
MISTAKES = ("line 2, column 1: none is no command", "line 3, column 1: nothing is no command")
PLAIN = b64encode(f"\0alice@a.test\0{PASSWORD}".encode()).decode()
SCRAM = '[auth]\nscram = ["SCRAM-SHA-256", "SCRAM-SHA-1"]\nscram_bound = true\n'


class Node(Workers):
    """One that is asked for filters alone."""

    LISTENERS = (
        ("sieve", "managesieve", "starttls"),
        ("sieves", "managesieve", "implicit"),
        ("imap", "imap", "starttls"),
    )


@pytest.fixture(scope="module", params=[1, 2], ids=["one worker", "two workers"])
def node(request, tmp_path_factory):
    ways = {("managesieve", *way): free_port() for way in WAYS.values()}
    server = Node(tmp_path_factory.mktemp("managesieve"), request.param, extra=SCRAM + listeners(ways))
    server.ways = ways
    server.start()
    try:
        for name in ("alice", "bob", "carol", "dave"):
            server.add_account(f"{name}@a.test")
        yield server
    finally:
        assert server.stop() == 0


def sieve_connect(node, folder, *arguments, user="alice", mechanism="PLAIN", password=PASSWORD):
    """Run sieve-connect in a folder of its own; return what it ended with, and what it printed."""
    command = [program("sieve-connect"), "--server", "localhost", "--port", str(node.ports["sieve"]), "--user"]
    command += [f"{user}@a.test", "--passwordfd", "0", "--tlscafile", str(node.ca), "--authmech", mechanism, *arguments]
    done = subprocess.run(command, input=password, capture_output=True, text=True, timeout=PATIENCE, cwd=folder)
    return done.returncode, done.stdout + done.stderr


def test_sieve_connect(node, tmp_path):
    def run(*arguments):
        code, printed = sieve_connect(node, tmp_path, *arguments)
        assert code == 0, printed
        return printed

    (tmp_path / "main.sieve").write_text(SCRIPT, newline="")
    (tmp_path / "wrong.sieve").write_text(WRONG, newline="")
    run("--checkscript", "--localsieve", "main.sieve")
    run("--upload", "--localsieve", "main.sieve", "--remotesieve", "main")
    assert run("--list").split() == ['"main"']
    run("--activate", "--remotesieve", "main")
    assert run("--list").split() == ['"main"', "ACTIVE"]
    run("--download", "--remotesieve", "main", "--localsieve", "again.sieve")
    assert (tmp_path / "again.sieve").read_bytes() == SCRIPT.encode()
    code, printed = sieve_connect(node, tmp_path, "--upload", "--localsieve", "wrong.sieve", "--remotesieve", "main")
    assert code != 0 and all(mistake in printed for mistake in MISTAKES), printed
    code, printed = sieve_connect(node, tmp_path, "--delete", "--remotesieve", "main")
    assert "ACTIVE" in printed or "active" in printed
    run("--deactivate")
    run("--delete", "--remotesieve", "main")
    assert run("--list").split() == []


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_mechanisms_of_sieve_connect(node, tmp_path, mechanism):
    before = len(node.events("session.login"))
    code, printed = sieve_connect(node, tmp_path, "--list", user="dave", mechanism=mechanism)
    assert code == 0, printed
    login = wait_for(lambda: node.events("session.login")[before:], "a login")[0]
    assert (login["protocol"], login["mechanism"]) == ("managesieve", mechanism)


SIEVELIB = """
import json, sys
from sievelib.managesieve import Client
port, user, password, mechanism, script, wrong = json.loads(sys.argv[1])
client = Client("localhost", port)
found = [client.connect(user, password, starttls=True, authmech=mechanism)]
found += [client.havespace("main", len(script)), client.putscript("main", script), client.setactive("main")]
found += [list(client.listscripts()), client.getscript("main"), client.putscript("wrong", wrong), client.errmsg.decode()]
found += [client.renamescript("main", "another name"), list(client.listscripts()), client.deletescript("none")]
found += [client.checkscript(script), client.setactive(""), client.deletescript("another name"), list(client.listscripts())]
client.logout()
print(json.dumps(found))
"""


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_sievelib(node, mechanism):
    pytest.importorskip("sievelib")
    arguments = json.dumps([node.ports["sieve"], "bob@a.test", PASSWORD, mechanism, SCRIPT, WRONG])
    env = dict(os.environ, SSL_CERT_FILE=str(node.ca))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SIEVELIB, arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=env,
    )
    assert done.returncode == 0, done.stderr
    entered, room, put, active, listed, script, wrong, told, renamed, again, deleted, *rest = json.loads(done.stdout)
    assert (entered, room, put, active, renamed, deleted) == (True, True, True, True, True, False)
    assert (listed, script.splitlines(), wrong) == (["main", []], SCRIPT.splitlines(), False)
    assert all(mistake in told for mistake in MISTAKES)
    assert again == ["another name", []]
    assert rest == [True, True, True, [None, []]]


NET_SIEVE = r"""
error_reporting(E_ERROR);
require_once 'Net/Sieve.php';
[$port, $ca, $user, $password, $mechanism, $script, $wrong] = json_decode($argv[1]);
$options = ['ssl' => ['cafile' => $ca, 'verify_peer' => true, 'peer_name' => 'localhost']];
$client = new Net_Sieve($user, $password, 'localhost', $port, $mechanism, '', false, false, true, $options);
function told($result) { return $result instanceof PEAR_Error ? 'ERROR ' . $result->getMessage() : $result; }
$found = [told($client->getError()), $client->haveSpace('main', strlen($script)), $client->installScript('main', $script, true)];
$found[] = $client->listScripts();
$found[] = $client->getActive();
$found[] = $client->getScript('main');
$found[] = told($client->installScript('wrong', $wrong));
$found[] = $client->hasExtension('imap4flags');
$found[] = $client->installScript("\u{e4} \"b\" \\", $script);
$found[] = $client->getScript("\u{e4} \"b\" \\");
$found[] = told($client->removeScript('main'));
$found[] = $client->setActive('');
$found[] = $client->removeScript('main');
$found[] = told($client->getScript('main'));
$found[] = $client->removeScript("\u{e4} \"b\" \\");
$found[] = $client->listScripts();
$found[] = $client->disconnect();
print json_encode($found);
"""


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_net_sieve(node, mechanism):
    """What Roundcube, Horde and others speak ManageSieve with."""
    arguments = [node.ports["sieve"], str(node.ca), "carol@a.test", PASSWORD, mechanism, SCRIPT, WRONG]
    command = [program("php"), "-r", NET_SIEVE, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    got = SCRIPT + "\r\n"  # with the end of the line behind the literal, whatever server it asks
    assert found[:6] == [False, True, True, ["main"], "main", got], found
    assert found[6].startswith("ERROR ") and all(mistake in found[6] for mistake in MISTAKES)
    assert found[7:10] == [True, True, got]
    assert found[10].startswith("ERROR ") and "active" in found[10]
    assert found[11:13] == [True, True]
    assert found[13].startswith("ERROR ") and "no script" in found[13]
    assert found[14:] == [True, [], True]


@pytest.mark.parametrize("port", ["sieve", "sieves"])
def test_openssl_s_client_and_many_commands_at_once(node, port):
    command = [program("openssl"), "s_client", "-quiet", "-crlf", "-connect", f"localhost:{node.ports[port]}"]
    command += ["-CAfile", str(node.ca), "-verify_return_error", *(["-starttls", "sieve"] if port == "sieve" else [])]
    said = f'AUTHENTICATE "PLAIN" "{PLAIN}"\nNOOP "a"\nCHECKSCRIPT "keep;"\nUNAUTHENTICATE\nLISTSCRIPTS\nLOGOUT\n'
    done = subprocess.run(command, input=said.encode(), capture_output=True, timeout=PATIENCE)
    assert done.stdout.endswith(
        b'OK "logged in"\r\nOK (TAG "a") "done"\r\nOK\r\nOK "logged out"\r\nNO "no LISTSCRIPTS before the login"\r\n'
        b'OK "goodbye"\r\n'
    ), done.stdout + done.stderr
    assert b'"SASL" "SCRAM-SHA-256' in done.stdout


class Wire:
    """A connection in one of the ways, logged in."""

    def __init__(self, node, user, way=("implicit", False), **options):
        dial = Dial(node, *way, **options)
        self._take(dial.connect("managesieve"))
        if dial.tls == "starttls":
            assert self.ask(b"STARTTLS")[0].startswith(b"OK")
            self._take(dial.context.wrap_socket(self._socket, server_hostname="localhost"))
        plain = b64encode(f"\0{user}@a.test\0{PASSWORD}".encode())
        assert self.ask(b'AUTHENTICATE "PLAIN" "%s"' % plain) == [b'OK "logged in"\r\n']

    def _take(self, connected):
        self._socket, self._file = connected, connected.makefile("rb")
        self.answer()

    def answer(self):
        lines = [self._file.readline()]
        while not lines[-1].startswith((b"OK", b"NO", b"BYE")):
            assert lines[-1], lines
            lines.append(self._file.readline())
        return lines

    def ask(self, command):
        self._socket.sendall(command + b"\r\n")
        return self.answer()

    def send(self, octets):
        self._socket.sendall(octets)

    def literal(self):
        """Return the literal that an answer is, up to its OK."""
        announced = re.fullmatch(rb"\{(\d+)\}\r\n", self._file.readline())
        octets = self._file.read(int(announced[1]))
        assert [self._file.readline(), *self.answer()] == [b"\r\n", b"OK\r\n"]
        return octets

    def close(self):
        self._file.close()
        self._socket.close()


def test_what_one_process_stored_another_one_has(node):
    wires = [Wire(node, "dave") for _ in range(8)]
    for number, wire in enumerate(wires):
        assert wire.ask(b'PUTSCRIPT "%d" "keep;"' % number) == [b"OK\r\n"]
        assert wire.ask(b'SETACTIVE "%d"' % number) == [b"OK\r\n"]
        for other in wires:
            assert b'"%d" ACTIVE\r\n' % number in other.ask(b"LISTSCRIPTS")
    assert wires[0].ask(b'SETACTIVE ""') == [b"OK\r\n"]
    for number, wire in enumerate(wires):
        assert wire.ask(b'DELETESCRIPT "%d"' % number) == [b"OK\r\n"]
        wire.close()


@every_way
def test_a_megabyte_goes_in_and_out_to_who_stops_reading_too(node, way):
    wire, other = Wire(node, "dave", way, receive_buffer=4096), Wire(node, "dave", way)
    script = (b"# " + b"x" * 998 + b"\r\n") * 1040 + b"keep;\r\n"
    assert wire.ask(b'PUTSCRIPT "large" {%d+}\r\n' % len(script) + script) == [b"OK\r\n"]
    wire.send(b'GETSCRIPT "large"\r\n' * 8)  # more than buffers on the way take
    assert other.ask(b"NOOP") == [b'OK "done"\r\n']
    for _ in range(8):
        assert wire.literal() == script
    assert wire.ask(b'DELETESCRIPT "large"') == [b"OK\r\n"]
    wire.close()
    other.close()


def test_a_large_script_holds_nobody_up(node):
    """One whose check takes long in Python."""
    wire, other = Wire(node, "dave"), Wire(node, "dave")
    script = b"keep;\r\n" * 19_900 + b"# " + b"x" * 900_000
    wire.send(b"CHECKSCRIPT {%d+}\r\n" % len(script) + script + b"\r\n")
    assert other.ask(b"NOOP") == [b'OK "done"\r\n']
    assert wire.answer() == [b"OK\r\n"]
    assert wire.ask(b"CHECKSCRIPT {%d+}\r\n" % len(script * 3) + script * 3)[0].startswith(b"NO (QUOTA/MAXSIZE)")
    wire.close()
    other.close()


def resident(node):
    """Octets of memory that the server's processes have."""
    statuses = [Path(f"/proc/{pid}/status").read_text() for pid in node.pids]
    return sum(int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024 for status in statuses)


def test_what_is_refused_is_taken_in_bounded_memory(node):
    """A hundred megabytes, sent before anything is answered."""
    wires = [Wire(node, "dave") for _ in range(15)]
    assert wires[0].ask(b"CHECKSCRIPT {1000001+}\r\n" + b"#" * 1000001) == [b"OK\r\n"]
    before = resident(node)
    for wire in wires:
        assert wire.ask(b"CHECKSCRIPT {7000000+}\r\n" + b"#" * 7_000_000)[0].startswith(b"NO (QUOTA/MAXSIZE)")
        assert wire.ask(b"NOOP") == [b'OK "done"\r\n']
    assert resident(node) - before < 16 * 1024 * 1024
    for wire in wires:
        wire.close()


def test_what_was_stored_survives_a_kill(node):
    wire = Wire(node, "dave")
    assert wire.ask(b'PUTSCRIPT "kept" "keep;"') == [b"OK\r\n"]
    wire.close()
    node.kill()
    node.start()
    wire = Wire(node, "dave")
    assert wire.ask(b"LISTSCRIPTS") == [b'"kept"\r\n', b"OK\r\n"]
    assert wire.ask(b'DELETESCRIPT "kept"') == [b"OK\r\n"]
    wire.close()
