"""The documentation of the configuration is the schema's, and the example loads."""

import configparser
import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mailnode.config.checkup import warnings
from mailnode.config.docs import render
from mailnode.config.loader import Checks, load
from mailnode.net.self_signed import write_self_signed
from mailnode.net.tls import check_pair

ROOT = Path(__file__).parents[2]


def test_the_page_is_current():
    assert (ROOT / "docs/configuration.rst").read_text() == render(), (
        "run: python -m mailnode.config.docs > docs/configuration.rst"
    )


def test_every_key_is_described():
    lines = render().splitlines()
    assert not [line for line, after in itertools.pairwise(lines) if line[:2] == "``" and not after.strip()]


def test_the_example_loads(tmp_path):
    write_self_signed(tmp_path / "fullchain.pem", tmp_path / "privkey.pem", ["mail.example.org"], 1.8e9)
    text = (ROOT / "etc/mailnode.toml").read_text().replace("/etc/mailnode/tls/", f"{tmp_path}/")
    path = tmp_path / "mailnode.toml"
    path.write_text(text)
    config = load(path, checks=Checks(pair=check_pair))
    assert config.server.hostname == "mail.example.org"
    assert {one.protocol for one in config.listener} == {"smtp", "submission", "imap", "pop3", "managesieve", "http"}
    assert config.dns.servers == [], "a machine that was just installed has no resolver of its own"
    assert warnings(config) == []


def test_the_example_loads_with_what_is_commented_out_too(tmp_path):
    """Commented keys and sections are alternatives: each must be valid where it stands."""
    write_self_signed(tmp_path / "fullchain.pem", tmp_path / "privkey.pem", ["mail.example.org"], 1.8e9)
    (tmp_path / "other").mkdir()
    write_self_signed(tmp_path / "other/fullchain.pem", tmp_path / "other/privkey.pem", ["other.example"], 1.8e9)
    (tmp_path / "smarthost-password").write_text("secret\n")
    lines, seen = [], set()
    for line in (ROOT / "etc/mailnode.toml").read_text().splitlines():
        bare = line.removeprefix("# ")
        key = bare.split("=")[0].strip()
        commented = line.startswith("# ") and (" = " in bare or bare.startswith("["))
        if bare.startswith("["):
            seen = set()
        if commented and (key in seen or bare.startswith("endpoint")):
            continue
        seen.add(key)
        lines.append(bare if commented else line)
    path = tmp_path / "mailnode.toml"
    text = "\n".join(lines).replace("/etc/mailnode/tls/", f"{tmp_path}/").replace("/etc/mailnode/", f"{tmp_path}/")
    path.write_text(text)
    config = load(path, checks=Checks(pair=check_pair))
    assert config.queue.smarthost is not None and config.policy and config.tls is not None and config.tls.name
    assert config.listener[0].relay_from and config.server.log == "json"


def test_the_unit_is_well_formed_and_unprivileged():
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str
    unit.read(ROOT / "etc/mailnode.service")
    service = unit["Service"]
    assert service["User"] == "mailnode" and service["CapabilityBoundingSet"] == "CAP_NET_BIND_SERVICE"
    assert service["ProtectSystem"] == "strict" and service["NoNewPrivileges"] == "yes"


def test_systemd_takes_the_unit(tmp_path):
    program = shutil.which("systemd-analyze")
    if program is None:
        (pytest.fail if os.environ.get("MAILNODE_TESTS_STRICT") == "1" else pytest.skip)("no systemd-analyze")
    text = (ROOT / "etc/mailnode.service").read_text()
    (tmp_path / "mailnode.service").write_text(text.replace("/opt/mailnode/bin/twistd", sys.executable))
    done = subprocess.run(
        [program, "verify", str(tmp_path / "mailnode.service")], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
