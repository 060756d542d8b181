"""What well-known programs send to change filters, as dialogues with the exact replies they have to get.

The shapes are those of their command builders: which strings they quote, which they send as literals, what they send at once.
"""

from base64 import b64encode

import pytest
from managesieve_support import PASSWORD, PLAIN, Wire

SCRIPT = (
    'require ["fileinto"];\r\n# rule:[lists]\r\nif header :contains "list-id" "a"\r\n{\r\n\tfileinto "Lists";\r\n}\r\n'
)
SIZE = len(SCRIPT)
SIGNED_IN = 'S: OK "logged in"\n'
STORED = f"""
C: PUTSCRIPT "roundcube" {{{SIZE}+}}\n{"".join(f"C: {line}" + chr(10) for line in SCRIPT.split(chr(13) + chr(10)))}
S: OK
"""


def play(text):
    """Send lines that begin with ``C:``; what comes back must be the ``S:`` lines behind them."""
    wire = Wire()
    asked, wanted = b"", b""
    lines = [line.strip(" ") for line in text.splitlines() if line.strip()]
    for line in [*lines, "C: NOOP"]:
        kind, _, rest = line.partition(":")
        octets = rest.removeprefix(" ").encode() + b"\r\n"
        if kind == "S":
            wanted += octets
            continue
        if wanted:
            assert wire.send(asked) == wanted
            asked = wanted = b""
        asked += octets


@pytest.mark.parametrize(
    "entering",
    [
        f'C: AUTHENTICATE "PLAIN" "{PLAIN.decode()}"\n',
        f'C: AUTHENTICATE "PLAIN" {{{len(PLAIN)}+}}\nC: {PLAIN.decode()}\n',  # KMail's library
        f'C: AUTHENTICATE "LOGIN"\nS: "VXNlcm5hbWU6"\nC: "{b64encode(b"alice@a.test").decode()}"\nS: "UGFzc3dvcmQ6"\n'
        f'C: "{b64encode(PASSWORD).decode()}"\n',
        # All at once, as Python's sievelib has it.
        f'C: AUTHENTICATE "LOGIN"\nC: "{b64encode(b"alice@a.test").decode()}"\nC: "{b64encode(PASSWORD).decode()}"\n'
        'S: "VXNlcm5hbWU6"\nS: "UGFzc3dvcmQ6"\n',
    ],
    ids=["quoted", "literal", "login", "login at once"],
)
def test_ways_to_log_in(entering):
    play(entering + SIGNED_IN + "C: LISTSCRIPTS\nS: OK\n")


ENTER = f'C: AUTHENTICATE "PLAIN" "{PLAIN.decode()}"\n' + SIGNED_IN


def test_a_webmail_keeps_its_rules_in_one_script():
    """Roundcube's plug-in, by Net_Sieve: LISTSCRIPTS, room, the script, activation; then it reads what it wrote."""
    script = "".join(f"S: {line}\n" for line in SCRIPT.split("\r\n"))
    play(
        ENTER
        + f'C: LISTSCRIPTS\nS: OK\nC: HAVESPACE "roundcube" {SIZE}\nS: OK\n'
        + STORED
        + 'C: SETACTIVE "roundcube"\nS: OK\nC: LISTSCRIPTS\nS: "roundcube" ACTIVE\nS: OK\n'
        + f'C: GETSCRIPT "roundcube"\nS: {{{SIZE}}}\n{script}S: OK\n'
        + 'C: SETACTIVE ""\nS: OK\nC: DELETESCRIPT "roundcube"\nS: OK\nC: LOGOUT\nS: OK "goodbye"\n'
    )


def test_an_editor_checks_while_one_types():
    """Thunderbird's add-on and KMail: CHECKSCRIPT with every pause, RENAMESCRIPT, NOOP to be still there."""
    play(
        ENTER
        + "C: CHECKSCRIPT {6+}\nC: keep;\nC: \nS: OK\n".replace("{6+}", "{7+}")
        + 'C: CHECKSCRIPT {7+}\nC: keeb;\nC: \nS: NO "line 1, column 1: keeb is no command"\n'
        + 'C: PUTSCRIPT "unnamed" {7+}\nC: keep;\nC: \nS: OK\n'
        + 'C: RENAMESCRIPT "unnamed" "Urlaub \xfc"\nS: OK\nC: NOOP\nS: OK "done"\n'
        + 'C: LISTSCRIPTS\nS: "Urlaub \xfc"\nS: OK\nC: LOGOUT\nS: OK "goodbye"\n'
    )


def test_many_commands_at_once():
    """A client that waits for nothing but its login."""
    play(
        ENTER
        + 'C: PUTSCRIPT "a" "keep;"\nC: PUTSCRIPT "b" "discard;"\nC: SETACTIVE "b"\nC: LISTSCRIPTS\nC: NOOP "synchronised"\n'
        + 'S: OK\nS: OK\nS: OK\nS: "a"\nS: "b" ACTIVE\nS: OK\nS: OK (TAG "synchronised") "done"\n'
    )
