"""The whole of setup on a bare machine that has an internet of its own, with what goes wrong there."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pexpect
import pytest
import trustme
from internet import BIG, PEER, VPS, Internet, Machine
from servers import PASSWORD, PATIENCE, Process, program, wait_for

from mailnode.net.self_signed import write_self_signed
from mailnode.setup.table import ITEMS
from tests.open_folder import open_folder

MARK = re.compile(r"^(done|TO DO|waiting|FAILED|skipped) ", re.MULTILINE)


@pytest.fixture(scope="module")
def internet():
    with open_folder("internet") as folder:
        made = Internet(Path(folder))
        try:
            made.add_peer()
            made.add_postfix()
            made.authority = made.add_authority()
            yield made
        finally:
            made.stop()


@pytest.fixture
def machine(internet, request):
    """A bare machine; what a test before left in the zone is gone with its own machine."""
    made = Machine(internet, internet.folder / request.node.name.replace("[", "-").replace("]", ""))
    yield made
    made.stop()
    internet.forget()


def state(items, name):
    return items[name][0]


def changed_files(machine):
    return {
        path: (path.stat().st_mtime_ns, path.stat().st_ino)
        for path in machine.config.parent.rglob("*")
        if path.is_file() and path.name != "setup.lock"
    }


def test_from_a_bare_machine_to_mail_that_arrives(machine):
    """Published by setup, waited for, certified, in by the MX, out to another server and back; a second run changes nothing.
    What another server takes and sends back (Postfix) is told."""
    directory, authority = machine.internet.authority
    machine.answers |= {"dns_key_file": str(machine.internet.folder / "zone.key"), "echo_address": "echo@peer.net"}
    machine.answers |= {"acme": "yes", "acme_directory": directory, "acme_ca_file": str(authority)}
    done = machine.setup("--wait", "60")
    items = machine.items(done)
    for name in ("configuration", "service", "account", "dns-published", "dns-visible", "certificate", "mail-arrives"):
        assert state(items, name) == "done", done.stdout + done.stderr
    assert state(items, "mail-leaves") == "done", done.stdout
    assert "SPF, DKIM, DMARC, the name of the address pass there" in items["mail-leaves"][1]
    assert len(done.stdout.splitlines()) < 60
    before = changed_files(machine)
    again = machine.setup("--json")
    told = {one["name"]: (one["state"], one["seen"]) for one in json.loads(again.stdout)}
    own = {item.name for item in ITEMS} - {"checks"}
    assert {name: told[name][0] for name in own} == {name: items[name][0] for name in own}, again.stdout
    # Lines are cut where they are for people.
    assert [name for name in own if not told[name][1].startswith(items[name][1].removesuffix("..."))] == []
    assert changed_files(machine) == before
    assert again.returncode == 0, again.stdout
    machine.answers["echo_address"] = "bounces@post.net"
    bounced = machine.items(machine.setup())["mail-leaves"]
    assert bounced[0] == "failed" and "it was refused" in bounced[1] and "nobody reads this" in bounced[1], bounced
    for secret in (machine.config.parent / "first-password-you@example.org").read_text().split():
        assert secret not in done.stdout + again.stdout + (machine.data / "mailnode.log").read_text()


def test_beside_another_web_server(machine):
    """nginx keeps its ports, shows the proofs that an authority asks for, and then the policy with the certificate."""
    internet, web = machine.internet, machine.config.parent / "web"
    directory, authority = internet.authority
    machine.answers |= {"acme": "yes", "acme_directory": directory, "acme_ca_file": str(authority), "arrives": "yes"}
    machine.answers |= {"dns_key_file": str(internet.folder / "zone.key")}
    (machine.folder / "nginx.conf").write_text(
        f"daemon off;\nuser nobody nogroup;\npid {machine.folder}/nginx.pid;\nerror_log stderr;\nevents {{}}\n"
        f"http {{\naccess_log off;\nserver {{ listen 80 default_server; }}\ninclude {web}/*.conf;\n}}\n"
    )
    command = [program("nginx"), "-c", machine.folder / "nginx.conf", "-e", "stderr", "-p", machine.folder]
    nginx = Process(internet.inside(internet.vps, command), cwd=machine.folder)
    try:
        wait_for(lambda: (machine.folder / "nginx.pid").exists(), "nginx")
        items = machine.items(machine.setup())
        assert state(items, "web-server") == "to do" and state(items, "certificate") == "waiting"
        assert state(items, "service") == "done"
        nginx.popen.send_signal(signal.SIGHUP)
        done = machine.setup("--wait", "30")
        items = machine.items(done)
        assert state(items, "web-server") == state(items, "certificate") == "done", done.stdout
        assert "over https" in machine.items(machine.setup())["web-server"][1]
        nginx.popen.send_signal(signal.SIGHUP)
        page = [
            *internet.inside(internet.vps, [program("curl"), "-ksS", "--retry", "5", "--retry-all-errors", "--fail"])
        ]
        page += ["--connect-to", f"::{VPS}:443", "https://mta-sts.example.org/.well-known/mta-sts.txt"]
        shown = subprocess.run(page, capture_output=True, text=True, timeout=PATIENCE)
        assert "mx: mail.example.org" in shown.stdout, shown.stderr
        page[page.index("--retry") : page.index("--fail")] = []
        page[-1] = "https://mta-sts.example.org/metrics"
        assert subprocess.run(page, capture_output=True, timeout=PATIENCE).returncode == 22  # refused by its status
    finally:
        nginx.stop()


def test_a_person_at_a_terminal(machine):
    """Questions are asked one after the other, wrong answers anew, and Ctrl-C at one ends it in words."""
    machine.answers = {"user": "nobody", "direct": "yes"}
    command = machine.command("--wait", "1")
    person = pexpect.spawn(command[0], command[1:], timeout=PATIENCE, encoding="utf-8", dimensions=(50, 200))
    for question, answer in (
        ("The full name", "mail"),
        ("should be a full host name.*The full name", "mail.example.org"),
        ("The public IP addresses", VPS),
        ("certificates by itself", "no"),
        ("The password", PASSWORD),
        ("The same again", "another"),
        ("not the same.*The password", PASSWORD),
        ("The same again", PASSWORD),
    ):
        person.expect(f"(?s){question}[^\n]*: ")
        person.sendline(answer)
    person.expect("done +account +you@example.org")
    person.expect("The file with a TSIG key")
    person.sendintr()
    person.expect("ended here")
    person.expect(pexpect.EOF)
    person.close()
    assert person.exitstatus == 130
    assert not (machine.config.parent / "first-password-you@example.org").exists()
    assert PASSWORD not in (machine.config.parent / "setup.json").read_text()


def test_a_blocked_port_25_leads_to_a_smarthost(machine):
    """What the smarthost shows is valid for who trusts its authority; the wrong password is found before it is configured."""
    internet = machine.internet
    subprocess.run(["ip", "-n", internet.vps, "route", "add", "blackhole", f"{BIG}/32"], check=True)
    smarthost = Smarthost(internet, machine.folder)
    trusted = {"SSL_CERT_FILE": str(smarthost.ca)}
    try:
        machine.answers |= {
            "smarthost": "mx.peer.net",
            "smarthost_port": "465",
            "smarthost_username": "who@peer.net",
            "smarthost_password": "wrong password",
        }
        items = machine.items(machine.setup(env=trusted))
        assert state(items, "outgoing") == "failed" and "does not take this login" in items["outgoing"][1]
        assert not machine.config.exists()
        machine.answers["smarthost_password"] = PASSWORD
        done = machine.setup(env=trusted)
        items = machine.items(done)
        assert state(items, "outgoing") == state(items, "service") == state(items, "account") == "done", done.stdout
        assert "[queue.smarthost]" in machine.config.read_text() and PASSWORD not in machine.config.read_text()
    finally:
        smarthost.stop()
        subprocess.run(["ip", "-n", internet.vps, "route", "del", "blackhole", f"{BIG}/32"], check=True)


class Smarthost:
    """Takes mail of who logs in, on the address of the other server."""

    def __init__(self, internet, folder):
        authority = trustme.CA()
        self.ca = folder / "ca.pem"
        authority.cert_pem.write_to_path(str(self.ca))
        certificate = authority.issue_cert("mx.peer.net")
        (folder / "peer.pem").write_bytes(b"".join(part.bytes() for part in certificate.cert_chain_pems))
        certificate.private_key_pem.write_to_path(str(folder / "peer.key"))
        config = folder / "smarthost.toml"
        config.write_text(
            f'[server]\nhostname = "mx.peer.net"\ndata = "{folder / "smarthost"}"\n'
            f'[tls]\ncertificate = "{folder / "peer.pem"}"\nkey = "{folder / "peer.key"}"\n[[domain]]\nname = "peer.net"\n'
            f'[[listener]]\nprotocol = "submission"\ntls = "implicit"\nendpoint = "tcp:465:interface={PEER}"\n'
        )
        run = "from twisted.scripts.twistd import run; run()"
        command = ["python3", "-c", run, "-n", "--pidfile=", "mailnode", "--config", config]
        command[0] = os.fspath(Path(Machine(internet, folder / "unused").mailnode()[0]).parent / "python")
        self._process = Process(internet.inside(internet.world, command), cwd=folder)
        self._process.wait_ready("server.start")
        subprocess.run(
            [
                command[0],
                "-m",
                "mailnode.ctl.main",
                "--config",
                config,
                "account",
                "add",
                "who@peer.net",
                "--password-stdin",
            ],
            input=PASSWORD + "\n",
            text=True,
            check=True,
        )

    def stop(self):
        self._process.stop()


def test_what_is_wrong_in_dns_is_said(machine):
    """No PTR, and an address record that leads elsewhere: each with what mends it, and the next run sees that it was mended."""
    machine.internet.update("update add mail.example.org. 1 A 198.51.100.66")
    machine.answers |= {"addresses": "198.51.100.8", "arrives": "yes"}  # an address that nobody gave a name
    done = machine.setup()
    items = machine.items(done)
    assert "ask for mail.example.org" in done.stdout, done.stdout
    assert state(items, "dns-visible") == "failed" and "A mail.example.org is wrong" in items["dns-visible"][1]
    assert "mail.example.org A: Publish 198.51.100.8" in done.stdout
    assert state(items, "mail-arrives") == "waiting"
    machine.answers |= {"dns_key_file": str(machine.internet.folder / "zone.key"), "replace_records": "yes"}
    assert state(machine.items(machine.setup()), "dns-visible") == "done"


def test_a_certificate_of_one_s_own_that_has_expired(machine):
    certificate, key = machine.folder / "own.pem", machine.folder / "own.key"
    write_self_signed(certificate, key, ["mail.example.org"], 1_400_000_000.0)
    machine.answers |= {"certificate_file": str(certificate), "key_file": str(key)}
    done = machine.setup()
    items = machine.items(done)
    assert state(items, "certificate-files") == "failed" and "expired" in items["certificate-files"][1], done.stdout
    assert state(items, "configuration") == "waiting" and not machine.config.exists()


def test_a_full_disk_two_at_once_and_ctrl_c(machine):
    """Each ends a run in words, nothing half-made is left, and the next run goes on: the last one to where DNS is waited for."""
    etc = machine.config.parent
    etc.mkdir()
    filled = (
        f"mount -t tmpfs -o size=32k tmpfs {etc} && head -c 20000 /dev/zero > {etc}/filler"  # with no room for the file
    )
    command = " ".join(f"'{word}'" for word in machine.command()[4:])
    full = machine.internet.inside(machine.internet.vps, ["sh", "-c", f"{filled} && {command}; ls -a {etc}"])
    done = subprocess.run(full, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=PATIENCE)
    assert "the disk is full" in done.stdout + done.stderr, done.stdout + done.stderr
    assert ".new" not in done.stdout and "Traceback" not in done.stderr

    first = Process(machine.command(), cwd=machine.folder)
    first.wait_line(" configuration ")
    assert first.stop(signal.SIGINT) == 130
    assert_ended_in_words(machine, first)

    second = Process(machine.command("--wait", "300"), cwd=machine.folder)
    try:
        second.wait_line("waiting up to 5 minutes for DNS")
        third = machine.setup()
        assert third.returncode == 5 and "another setup is at work" in third.stderr
    finally:
        code = second.stop(signal.SIGINT)
    assert code == 130
    assert_ended_in_words(machine, second)
    assert any(line.startswith("done     account ") for line in second.lines)


def assert_ended_in_words(machine, process):
    said = "\n".join(process.lines)
    assert "ended here" in said and "Traceback" not in said
    assert list(machine.config.parent.rglob("*.new")) == []
