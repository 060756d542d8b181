"""Each item: how it stands, what it does, what is said where it cannot."""

import os
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from setup_support import ME, FakePerson

from mailnode.config.loader import load
from mailnode.interfaces.setup import ProgramRan
from mailnode.setup.items import configuration, directories, host_name, outgoing, system_user
from mailnode.setup.row import SetupItem, SetupPlaces
from mailnode.setup.runner import go_through
from mailnode.setup.table import ITEMS
from mailnode.setup.unit import unit_text
from mailnode.values.item import Item, ItemState
from tests.open_folder import open_folder

ROOT = Path(__file__).parents[2]
DONE, TO_DO, WAITING = ItemState.DONE, ItemState.TO_DO, ItemState.WAITING
FAILED, SKIPPED = ItemState.FAILED, ItemState.SKIPPED


def run(world, **more):
    return {item.name: item for item in go_through(ITEMS, world.around(), **more)}


def alone(world, item):
    """Do one item as if those before were done."""
    [found] = go_through([replace(item, needs=())], world.around())
    return found


@pytest.fixture
def ready(world):
    """A world in which nothing is missing, and a server starts when it is told to."""
    world.given |= {"password": "", "acme": "no"}
    world.machine.dns |= {("example.org", "NS"): ("ns.example.net",), ("ns.example.net", "A"): ("203.0.113.53",)}
    world.machine.at_servers["203.0.113.53"] = {}
    world.given["arrives"] = "yes"

    def start(command, timeout):
        world.machine.ran.append(list(command))
        if Path(command[0]).name == "twistd" or "enable" in command:
            world.server.running = True
        return world.machine.results.get(Path(command[0]).name, ProgramRan(0, "", ""))

    world.machine.run = start
    return world


def test_all_of_it_and_the_second_run_changes_nothing(ready):
    first = run(ready)
    assert {name for name, item in first.items() if item.state not in (DONE, SKIPPED)} == set()

    def state():
        files = {path: path.read_bytes() for path in ready.places.config.parent.rglob("*") if path.is_file()}
        return files, ready.server.accounts, [command for command in ready.machine.ran if command[0] != "ss"]

    before = state()
    ready.given.clear()  # all that was answered is remembered
    assert run(ready) == first
    assert state() == before


def test_a_dry_run_does_nothing(world):
    found = run(world, dry=True)
    assert found["directories"].state is TO_DO
    assert found["configuration"].state is WAITING
    assert [path.name for path in world.places.config.parent.iterdir() if path.name != "setup.json"] == []
    assert {name for name, _ in world.server.calls} <= {"ping"} and world.machine.ran == []


def test_what_is_not_answered_is_said_and_what_does_not_need_it_goes_on(world):
    world.given = {"user": ME}
    world.machine.addresses = ()
    found = run(world)
    assert found["name"].state is TO_DO and 'hostname = "..."' in found["name"].mend
    assert found["directories"].state is DONE
    assert found["configuration"].state is WAITING and "name" in found["configuration"].seen


# The name


def test_the_name_that_the_world_knows_is_suggested(world):
    world.given = {"user": ME}
    world.person = FakePerson({"The full name": "", "The public": ""})
    world.machine.addresses = ("8.8.8.8", "10.0.0.3")
    world.machine.dns["8.8.8.8.in-addr.arpa", "PTR"] = ("mx1.example.org",)
    assert host_name.ITEM.look(world.around()).seen.endswith("suggested: mx1.example.org, 8.8.8.8")  # in a dry run, too
    assert alone(world, host_name.ITEM).seen == "mx1.example.org, 8.8.8.8"
    assert [suggested for _, suggested in world.person.asked] == ["mx1.example.org", "8.8.8.8"]


def test_wrong_answers_are_asked_again(world):
    world.given = {"user": ME}
    world.person = FakePerson(
        {"The full name": ["mail", "a b", "Mail.Example.org."], "The public": ["x", "203.0.113.9"]}
    )
    found = alone(world, host_name.ITEM)
    assert (found.state, found.seen) == (DONE, "mail.example.org, 203.0.113.9")
    assert len(world.person.told) == 3


def test_a_person_that_is_always_wrong_is_not_asked_for_ever(world):
    world.given = {"user": ME}
    world.person = FakePerson({"The full name": ["mail"] * 100})
    assert alone(world, host_name.ITEM).state is TO_DO
    assert len(world.person.asked) == 5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hostname", "mail"),
        ("hostname", "192.0.2.1"),
        ("hostname", 'mail."\n.org'),
        ("addresses", "here"),
        ("addresses", ""),
        ("addresses", "0.0.0.0"),
        ("addresses", 'fe80::1%";x'),
        ("addresses", "2001:db8::1%eth0"),
    ],
)
def test_a_wrong_answer_in_the_file_is_said_with_its_name(world, name, value):
    world.given[name] = value
    found = alone(world, host_name.ITEM)
    assert found.state is FAILED and f"the answer {name}:" in found.seen


# The user and the directories


def test_the_user_is_made(world):
    world.given["user"] = "mailnode-of-a-test"
    world.machine.results["useradd"] = ProgramRan(1, "", "useradd: cannot lock /etc/passwd; try again later.\n")
    found = alone(world, system_user.ITEM)
    if os.geteuid() == 0:
        assert found.state is FAILED and "cannot lock" in found.seen and found.mend.startswith("useradd --system")
        assert world.machine.ran[0][-1] == "mailnode-of-a-test"
    else:
        assert found.state is FAILED and "root" in found.mend


@pytest.mark.skipif(os.geteuid() != 0, reason="only root serves as somebody else")
def test_an_installation_that_the_user_cannot_reach_is_said(world, tmp_path):
    programs = tmp_path / "home/bin"
    programs.mkdir(parents=True)
    for path in (tmp_path, *tmp_path.parents):
        if not path.stat().st_mode & stat.S_IXOTH:  # pytest's own folder is closed, too
            break
    else:
        programs.parent.chmod(0o700)
    world.places = replace(world.places, programs=programs)
    found = alone(world, system_user.ITEM)
    assert found.state is FAILED and "is closed to others" in found.seen and "/opt/mailnode" in found.mend


@pytest.mark.skipif(os.geteuid() != 0, reason="only root serves as somebody else")
def test_a_python_in_a_home_that_the_user_cannot_reach_is_said(world):
    """A Python of root's own runs for root alone: the server would start as root does, and its helpers would not."""
    with open_folder("python") as folder:
        home, programs = Path(folder) / "home", Path(folder) / "bin"
        home.mkdir()
        programs.mkdir()
        (home / "python3").touch()
        (programs / "python3").symlink_to(home / "python3")
        world.places = replace(world.places, programs=programs)
        assert alone(world, system_user.ITEM).state is not FAILED
        home.chmod(0o700)
        found = alone(world, system_user.ITEM)
    assert found.state is FAILED and f"{home} is closed to others" in found.seen and "/usr/bin/python3" in found.mend


def test_directories_have_their_modes_and_those_that_are_too_open_are_closed(world):
    assert alone(world, directories.ITEM).state is DONE
    assert stat.S_IMODE(world.places.data.stat().st_mode) == 0o700
    assert stat.S_IMODE(world.places.tls.stat().st_mode) == 0o750
    world.places.data.chmod(0o755)
    assert "open to more people" in directories.ITEM.look(world.around()).seen
    assert alone(world, directories.ITEM).state is DONE
    assert stat.S_IMODE(world.places.data.stat().st_mode) == 0o700


def test_a_file_in_the_place_of_a_directory_is_said(world):
    world.places.data.write_text("")
    assert alone(world, directories.ITEM).state in (FAILED, TO_DO)
    assert world.places.data.read_text() == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone could take it")
@pytest.mark.parametrize("empty", [True, False])
def test_a_directory_of_somebody_else_is_not_taken_from_them(world, empty):
    world.places.data.mkdir(mode=0o755)
    os.chown(world.places.data, 1, 1)
    if not empty:
        (world.places.data / "theirs").write_text("")
    found = alone(world, directories.ITEM)
    assert found.state is (DONE if empty else FAILED), found
    if not empty:
        was = world.places.data.stat()
        assert (was.st_uid, was.st_gid, stat.S_IMODE(was.st_mode)) == (1, 1, 0o755)
        assert "belongs to daemon" in found.seen and "--data" in found.mend
        assert not world.places.tls.exists()


# The way out


def blocked(world):
    world.checks = [Item("port-25-outwards", FAILED, "no answer in time", "ask the provider")]


def test_an_open_port_needs_no_smarthost(world):
    world.checks = [Item("port-25-outwards", DONE, "gmail.com answers")]
    assert alone(world, outgoing.ITEM).state is DONE
    assert outgoing.smarthost_table(world.around()) is None


def test_a_blocked_port_asks_for_a_smarthost_and_configures_it(ready):
    blocked(ready)
    ready.given |= {
        "smarthost": "smtp.example.net",
        "smarthost_username": "you",
        "smarthost_password": "secret word",
    }
    found = run(ready)
    assert (
        found["outgoing"].state is DONE
        and "smtp.example.net, port 587, which takes the login" in found["outgoing"].seen
    )
    smarthost = load(ready.places.config).queue.smarthost
    assert (smarthost.host, smarthost.port, smarthost.tls, smarthost.username) == (
        "smtp.example.net",
        587,
        "verified",
        "you",
    )
    assert smarthost.password_file.read_text() == "secret word\n"
    assert stat.S_IMODE(smarthost.password_file.stat().st_mode) == 0o640
    assert "secret word" not in (ready.places.config.parent / "setup.json").read_text()
    assert "secret word" not in ready.places.config.read_text()


def test_without_an_answer_it_says_what_is_missing(world):
    blocked(world)
    found = alone(world, outgoing.ITEM)
    assert found.state is TO_DO and 'smarthost = "..."' in found.mend


def test_a_smarthost_that_refuses_the_login_is_asked_for_again(world):
    blocked(world)
    world.person = FakePerson(
        {"The host": "smtp.example.net", "Its port": "465", "The login": "you", "The password": "wrong"}
    )
    world.machine.login_trouble = "it does not take this login"
    found = alone(world, outgoing.ITEM)
    assert found.state is FAILED and "does not take this login" in found.seen
    assert world.machine.logins[0].tls == "implicit"
    assert not outgoing.password_file(world.around()).exists()
    assert outgoing.smarthost_table(world.around()) is None


# The configuration


def test_a_file_that_somebody_changed_is_theirs(ready):
    run(ready)
    path = ready.places.config
    path.write_text(path.read_text().replace("# grace = 20", "grace = 5"))
    changed = path.read_text()
    assert run(ready)["configuration"].state is DONE
    ready.given["hostname"] = "other.example.org"
    found = run(ready)["configuration"]
    assert found.state is FAILED and 'hostname = "other.example.org"' in found.mend
    path.write_text("[server\n")
    assert "not TOML" in run(ready)["configuration"].seen
    assert path.read_text() == "[server\n" and changed


def test_other_answers_write_it_anew_with_a_copy_beside(ready):
    run(ready)
    before = ready.places.config.read_text()
    ready.given["hostname"] = "other.example.org"
    assert run(ready)["configuration"].state is DONE
    assert load(ready.places.config).server.hostname == "other.example.org"
    [copy] = ready.places.config.parent.glob("mailnode.toml.2*")
    assert copy.read_text() == before
    assert ("reload", {}) in ready.server.calls


def test_one_s_own_certificate_that_has_expired_is_not_put_into_use(ready, tmp_path):
    (tmp_path / "own.pem").write_text("")
    (tmp_path / "own.key").write_text("")
    ready.given |= {"certificate_file": str(tmp_path / "own.pem"), "key_file": str(tmp_path / "own.key")}
    ready.machine.certificate_wrong = "it has expired"
    found = run(ready)
    assert found["certificate-files"].state is FAILED and "expired" in found["certificate-files"].seen
    assert not ready.places.config.exists()
    ready.machine.certificate_wrong = ""
    run(ready)
    assert load(ready.places.config).tls.certificate == tmp_path / "own.pem"


def test_the_server_gets_its_certificate_by_itself(ready):
    ready.given |= {"acme": "yes", "acme_directory": "https://ca.example/dir"}
    found = run(ready)
    assert found["certificate-files"].state is DONE and "ca.example" in found["certificate-files"].seen
    assert found["certificate"].state is DONE and "until 2027-01-01" in found["certificate"].seen
    config = load(ready.places.config)
    assert config.acme.terms_agreed and config.acme.directory == "https://ca.example/dir" and config.tls is None
    assert {"mta-sts.example.org", "autoconfig.example.org"} <= set(config.acme.names)
    assert {listener.endpoint.rpartition(":")[2] for listener in config.listener} >= {"80", "443"}
    assert not (ready.places.tls / "self-signed.pem").exists()


def test_beside_another_web_server_it_proves_its_names_in_a_folder(ready):
    ready.given |= {"acme": "yes"}
    ready.machine.results["ss"] = ProgramRan(0, 'LISTEN 0 511 *:443 *:* users:(("nginx",pid=1,fd=6))\n', "")
    run(ready)
    config = load(ready.places.config)
    assert config.acme.webroot == ready.places.webroot and config.mta_sts is not None
    assert not {listener.endpoint.rpartition(":")[2] for listener in config.listener} & {"80", "443"}
    assert "ssl_certificate" not in (ready.places.config.parent / "web/nginx.conf").read_text()  # there is none yet


@pytest.mark.parametrize(
    ("address", "contact"),
    [
        ("you@example.org", "you@example.org"),
        ("you@bücher.example", "you@xn--bcher-kva.example"),
        ("jürgen@example.org", ""),
        ('"a b"@example.org', ""),
    ],
)
def test_authorities_are_told_an_address_in_ascii_or_none(world, address, contact):
    from mailnode.setup.items.certificate import acme_table

    assert acme_table(world.around(address), (), None)["contact"] == contact


def led_here(*domains):
    hosts = ("mta-sts", "autoconfig", "autodiscover")
    return [
        {"name": f"{host}.{domain}", "type": "CNAME", "value": "mail.example.org", "why": "pages"}
        for domain in domains
        for host in hosts
    ]


@pytest.fixture
def another(ready):
    """A server for example.org with a certificate; what is returned runs setup for example.net, whose records lead here."""
    ready.given |= {"acme": "yes"}
    ready.machine.dns["example.net", "NS"] = ready.machine.dns["example.org", "NS"]
    ready.server.configured_names = lambda: ["mail.example.org", *load(ready.places.config).acme.names]
    ready.server.records = led_here("example.org")
    ready.machine.at_servers["203.0.113.53"] = {
        (one["name"], "CNAME"): (one["value"],) for one in led_here("example.org", "example.net")
    }
    assert run(ready)["certificate"].state is DONE
    ready.server.records = led_here("example.net")

    def again():
        return {item.name: item for item in go_through(ITEMS, ready.around("you@example.net"))}

    return again


def test_the_certificate_is_for_the_pages_of_another_domain_too_once_dns_leads_them_here(ready, another):
    at = ready.machine.at_servers["203.0.113.53"]
    ready.machine.at_servers["203.0.113.53"] = {}
    assert another()["certificate"].state is WAITING
    assert "mta-sts.example.net" not in load(ready.places.config).acme.names
    ready.machine.at_servers["203.0.113.53"] = at
    found = another()
    assert found["certificate"].state is DONE and "autoconfig.example.net" in found["certificate"].seen
    assert {"mta-sts.example.org", "mta-sts.example.net"} <= set(load(ready.places.config).acme.names)
    before = ready.places.config.read_bytes()
    assert another()["configuration"].state is DONE
    ready.server.records = led_here("example.org")
    assert run(ready)["configuration"].state is DONE and ready.places.config.read_bytes() == before


def test_a_configuration_changed_by_hand_is_left_and_what_it_lacks_is_said(ready, another):
    ready.places.config.write_text(ready.places.config.read_text() + "\n# mine\n")
    before = ready.places.config.read_bytes()
    found = another()["certificate"]
    assert found.state is TO_DO and '"mta-sts.example.net", "autoconfig.example.net"' in found.mend
    assert ready.places.config.read_bytes() == before


def test_a_name_that_a_wildcard_is_for_is_not_asked_for_again(ready, another):
    ready.server.configured_names = lambda: ["mail.example.org", "*.example.net"]
    ready.server.certificate_renew()
    before = ready.places.config.read_bytes()
    assert another()["certificate"].state is DONE and ready.places.config.read_bytes() == before


def test_more_names_than_a_certificate_takes_are_said_and_nothing_is_changed(ready, another, monkeypatch):
    from mailnode.setup.items import issued

    monkeypatch.setattr(issued, "MAX_NAMES", 5)
    before = ready.places.config.read_bytes()
    found = another()["certificate"]
    assert found.state is TO_DO and "takes 5 names" in found.mend
    assert ready.places.config.read_bytes() == before and another()["configuration"].state is DONE


def test_an_authority_that_refuses_is_told_in_its_words(ready):
    ready.given |= {"acme": "yes"}
    ready.server.refuses["certificate.renew"] = "mail.example.org: the authority did not find the page"
    found = run(ready)["certificate"]
    assert found.state is FAILED and "did not find the page" in found.seen and "certificate list" in found.mend


def test_nobody_agrees_to_terms_but_a_person(ready):
    del ready.given["acme"]
    assert run(ready)["certificate"].state is SKIPPED
    assert load(ready.places.config).acme is None


def test_without_the_library_it_says_how_it_is_installed(ready):
    ready.given |= {"acme": "yes"}
    ready.machine.modules = False
    found = run(ready)["certificate-files"]
    assert found.state is FAILED and "pip install '.[acme]'" in found.mend


def test_the_pin_of_a_key_that_will_be_replaced_is_not_published(ready):
    ready.server.records = [{"name": "_25._tcp.mail.example.org", "type": "TLSA", "value": "3 1 1 00", "why": "pin"}]
    run(ready)
    assert "TLSA" not in (ready.places.records / "example.org.txt").read_text()
    ready.given |= {"acme": "yes"}
    run(ready)
    run(ready)  # with the certificate that the first run got
    assert "TLSA" in (ready.places.records / "example.org.txt").read_text()


def test_a_key_that_was_made_and_not_given_to_the_server_is_given(ready):
    """Ctrl-C between the two."""
    run(ready)
    key = ready.places.tls / "self-signed.key"
    key.chmod(0o600)
    before = key.read_bytes()
    assert run(ready)["certificate-files"].state is DONE
    assert stat.S_IMODE(key.stat().st_mode) == 0o640 and key.read_bytes() == before


def test_a_certificate_without_its_key_is_said(ready, tmp_path):
    (tmp_path / "own.pem").write_text("")
    ready.given |= {"certificate_file": str(tmp_path / "own.pem")}
    found = run(ready)["certificate-files"]
    assert found.state is FAILED and found.mend == 'key_file = "..."'


# The service


def test_the_unit_is_the_one_of_the_documentation():
    shown = (ROOT / "etc/mailnode.service").read_text()
    places = SetupPlaces(Path("/etc/mailnode/mailnode.toml"), Path("/var/lib/mailnode"), Path("/opt/mailnode/bin"))
    assert shown[shown.index("[Unit]") :] == unit_text(places, "mailnode", "mailnode")


def test_odd_paths_are_escaped_in_the_unit():
    places = SetupPlaces(Path("/srv/a b%$/m.toml"), Path("/srv/d $%"), Path("/opt/x/bin"))
    text = unit_text(places, "mailnode", "mailnode")
    assert '--config "/srv/a b%%$$/m.toml"' in text and 'ReadWritePaths="/srv/d $%%"' in text
    assert 'ReadWritePaths="-/srv/a b%%$/webroot"' in text and "\nWorkingDirectory=/srv/d $%%\n" in text
    assert "StateDirectory" not in text


@pytest.mark.skipif(os.geteuid() != 0, reason="units are written by root")
def test_systemd_is_told_where_it_runs_the_machine(ready):
    ready.places.systemd.mkdir()
    found = run(ready)
    assert found["unit"].state is found["service"].state is DONE
    assert ["systemctl", "daemon-reload"] in ready.machine.ran
    assert ["systemctl", "enable", "--now", "mailnode.service"] in ready.machine.ran
    ready.places.unit.write_text("[Service]\n# mine\n")
    assert "stays as it is" in run(ready)["unit"].seen
    assert "mine" in ready.places.unit.read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="units are written by root")
def test_what_systemd_says_is_said(world):
    world.places.systemd.mkdir()
    world.given["password"] = ""
    world.machine.results["systemctl"] = ProgramRan(1, "", "Failed to reload daemon: no bus\nmore\n")
    found = run(world)
    assert found["unit"].state is FAILED and "Failed to reload daemon: no bus" in found["unit"].seen
    assert found["account"].state is WAITING


def test_a_server_that_does_not_answer_is_not_waited_for_for_ever(world):
    world.given["password"] = ""
    found = run(world)["service"]
    assert found.state is FAILED and "does not answer within 60 s" in found.seen


def test_a_server_that_does_not_start_says_why(world):
    world.machine.results["twistd"] = ProgramRan(1, "", "\nmailnode: listener[0].endpoint: port 25 is taken\n")
    found = run(world)["service"]
    assert found.state is FAILED and "port 25 is taken" in found.seen


def test_who_may_not_open_the_ports_is_told_so(world, monkeypatch):
    from mailnode.setup.items import service
    from mailnode.setup.trouble import SetupTrouble

    directories.ITEM.do(world.around())
    world.machine.results["twistd"] = ProgramRan(1, "", "listener[0].endpoint: tcp:25: Permission denied\n")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SetupTrouble) as told:
        service._start_plainly(world.around())
    assert "as root" in told.value.mend


# The account


def test_a_password_that_was_made_is_kept_for_root_alone(ready):
    found = run(ready)["account"]
    kept = ready.places.config.parent / "first-password-you@example.org"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert ready.server.accounts["you@example.org"] == {"password": kept.read_text().strip(), "role": "admin"}
    assert str(kept) in found.seen and kept.read_text().strip() not in found.seen + found.mend


def test_a_password_that_is_refused_is_asked_for_again(ready):
    del ready.given["password"]
    ready.server.refuses["account.add"] = "you@example.org: too short"
    ready.person = FakePerson({"The password": ["abc", "much better now"]})
    assert run(ready)["account"].seen == "you@example.org: too short"
    ready.server.refuses.clear()
    assert run(ready)["account"].state is DONE
    assert ready.server.accounts["you@example.org"]["password"] == "much better now"
    assert "much better" not in (ready.places.config.parent / "setup.json").read_text()


def test_a_second_domain_changes_nothing_of_the_first(ready):
    run(ready)
    before, password = ready.places.config.read_text(), dict(ready.server.accounts)
    ready.machine.dns["example.net", "NS"] = ("ns.example.net",)
    found = {item.name: item for item in go_through(ITEMS, ready.around("other@example.net"))}
    assert {name for name, item in found.items() if item.state not in (DONE, SKIPPED)} == set()
    assert ready.places.config.read_text() == before
    assert ready.server.domains == {"example.org", "example.net"}
    assert ready.server.accounts["you@example.org"] == password["you@example.org"]
    kept = sorted(path.name for path in ready.places.config.parent.glob("first-password-*"))
    assert kept == ["first-password-other@example.net", "first-password-you@example.org"]


# Ctrl-C


@pytest.mark.parametrize("at", [item.name for item in ITEMS if isinstance(item, SetupItem)])
def test_ctrl_c_at_each_item_and_the_next_run_goes_on(ready, at):
    def interrupted(*args):
        raise KeyboardInterrupt

    items = [replace(item, do=interrupted if item.do else None) if item.name == at else item for item in ITEMS]
    with pytest.raises(KeyboardInterrupt):
        list(go_through(items, ready.around()))
        raise KeyboardInterrupt  # an item that had nothing to do
    assert list(ready.places.config.parent.rglob("*.new")) == []
    assert {name for name, item in run(ready).items() if item.state not in (DONE, SKIPPED)} == set()


@pytest.mark.parametrize("number", range(12))
def test_ctrl_c_at_each_file_that_is_written(ready, monkeypatch, number):
    """Whichever file is being written when it comes: nothing half-made is there, and the next run goes on."""
    counted = iter(range(1000))
    real = os.fsync

    def fsync(descriptor):
        if next(counted) == number:
            raise KeyboardInterrupt
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(KeyboardInterrupt):
        run(ready)
    monkeypatch.undo()
    assert list(ready.places.config.parent.rglob("*.new")) == []
    assert {name for name, item in run(ready).items() if item.state not in (DONE, SKIPPED)} == set()


def test_a_full_disk_is_said_and_the_next_run_goes_on(ready, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device", "mailnode.toml")

    monkeypatch.setattr(configuration, "write", full)
    found = run(ready)["configuration"]
    assert found.state is FAILED and "the disk is full" in found.seen and "df -h" in found.mend
    assert not ready.places.config.exists()
    monkeypatch.undo()
    assert run(ready)["configuration"].state is DONE


@pytest.mark.parametrize("folder", ["plain", "odd $1 %n 'x"])
def test_systemd_itself_takes_the_unit(tmp_path, folder):
    """systemd-analyze, of a unit whose programs are there."""
    odd, program = tmp_path / folder, tmp_path / "bin/twistd"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / "mailnode.service"
    unit.write_text(unit_text(SetupPlaces(odd / "m.toml", odd / "data", program.parent), "root", "root"))
    try:
        done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("systemd-analyze is not installed")
    assert unit.name not in done.stderr, done.stderr
