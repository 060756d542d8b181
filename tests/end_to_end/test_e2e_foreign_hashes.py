"""People of a Dovecot server log in with the passwords they have, by hashes that its own tool made; then the hashes are ours."""

import imaplib
import json
import subprocess

import pytest
import scramp
from servers import program
from worker_servers import Workers

WORD = "correct horse battery"
SCHEMES = {
    name: [program_scheme, *more]
    for name, program_scheme, *more in (
        ("blf", "BLF-CRYPT", "-r", "5"),
        ("sha512crypt", "SHA512-CRYPT"),
        ("argon2id", "ARGON2ID"),
        ("ssha512", "SSHA512"),
        ("pbkdf2", "PBKDF2"),
        ("scram", "SCRAM-SHA-256"),
    )
}


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    server = Workers(tmp_path_factory.mktemp("hashes"), 2)
    server.start()
    try:
        yield server
    finally:
        assert server.stop() == 0
        assert not [line for line in server.process.lines if "Traceback" in line or WORD in line]


def made(scheme):
    done = subprocess.run(
        [program("doveadm"), "pw", "-s", *scheme, "-p", WORD], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def kinds(node, address):
    told = json.loads(node.ctl("account", "show", address, "--json").stdout)
    return sorted(one["kind"] for one in told["credentials"])


def login(node, address, password=WORD):
    client = imaplib.IMAP4_SSL(node.address, node.ports["imaps"], timeout=60)
    client.login(address, password)
    return client


def by_scram(node, address):
    """Log in by SCRAM-SHA-256 with a client that is not ours."""
    client = imaplib.IMAP4_SSL(node.address, node.ports["imaps"], timeout=60)
    scram = scramp.ScramClient(["SCRAM-SHA-256"], address, WORD)
    steps = iter(("first", "final", "end"))

    def answer(challenge):
        step = next(steps)
        if step == "first":
            return scram.get_client_first().encode()
        if step == "final":
            scram.set_server_first(challenge.decode())
            return scram.get_client_final().encode()
        scram.set_server_final(challenge.decode())
        return b""

    client.authenticate("SCRAM-SHA-256", answer)
    client.logout()


def test_everybody_of_a_file_logs_in_and_has_a_hash_of_ours_then(node):
    hashes = {f"{name}@a.test": made(scheme) for name, scheme in SCHEMES.items()}
    text = "address,hash\n" + "".join(f'{address},"{one}"\n' for address, one in hashes.items())
    (node.folder / "accounts.csv").write_text(text)
    assert f"added: {len(hashes)};" in node.ctl("accounts", "import", str(node.folder / "accounts.csv")).stdout
    by_scram(node, "scram@a.test")  # before any password was heard
    for address in hashes:
        assert "foreign" in kinds(node, address)
        with pytest.raises(imaplib.IMAP4.error):
            login(node, address, "wrong")
        standing = login(node, address)
        assert kinds(node, address) == ["argon2id", "scram-sha-256"]
        again = login(node, address)
        by_scram(node, address)
        for client in (standing, again):  # the change ended no session
            assert client.noop()[0] == "OK"
            client.logout()
    replaced = {event["scheme"] for event in node.events("account.hash_replaced")}
    assert replaced == {scheme[0] for scheme in SCHEMES.values()}
    told = node.ctl("accounts", "import", str(node.folder / "accounts.csv")).stdout
    assert f"added: 0; there already: {len(hashes)}" in told


def test_one_account_by_hand_and_a_hash_that_would_cost_too_much(node):
    node.ctl("account", "add", "hand@a.test", "--hash", made(["SHA512-CRYPT"]))
    login(node, "hand@a.test").logout()
    done = node.ctl("account", "add", "dear@a.test", "--hash", made(["SHA512-CRYPT", "-r", "999999"]), check=False)
    assert done.returncode == 2 and "200000 rounds at most" in done.stderr
