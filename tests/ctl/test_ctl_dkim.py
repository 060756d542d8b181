"""Keys that sign a domain's mail: made, rotated and removed by commands, their private halves never shown."""

import json
from base64 import b64decode

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import load_der_public_key

from mailnode.ctl.main import main


@pytest.fixture
def tool(tmp_path):
    """The command on one data directory: what it prints, and to standard error where it is to end with a code."""

    def call(*arguments, code=0):
        result = CliRunner().invoke(main, ["--data", str(tmp_path / "data"), *arguments])
        assert result.exit_code == code, result.output
        return result.stderr if code else result.stdout

    (tmp_path / "data").mkdir(mode=0o700)
    return call


def keys(tool, name="example.org"):
    return json.loads(tool("domain", "dkim", name, "--json"))


def states(tool):
    return {key["selector"]: key["state"] for key in keys(tool)}


def test_a_new_domain_signs_with_both_algorithms(tool):
    tool("domain", "add", "Example.ORG")
    rsa, ed25519 = keys(tool)
    assert (rsa["algorithm"], rsa["state"], ed25519["algorithm"], ed25519["state"]) == ("rsa", "active") + (
        "ed25519",
        "active",
    )
    assert rsa["selector"][:-1] == ed25519["selector"][:-1]
    assert (rsa["selector"][-1], ed25519["selector"][-1]) == ("r", "e")
    assert rsa["name"] == f"{rsa['selector']}._domainkey.example.org"
    assert rsa["text"].startswith("v=DKIM1; k=rsa; p=")
    assert load_der_public_key(b64decode(rsa["text"].partition("p=")[2])).key_size == 2048
    assert len(b64decode(ed25519["text"].partition("p=")[2])) == 32
    shown = tool("domain", "dkim", "example.org")
    assert rsa["text"] in shown and "PRIVATE" not in shown
    records = json.loads(tool("domain", "records", "example.org", "--json"))["records"]
    assert [one["value"] for one in records if "_domainkey" in one["name"]] == [rsa["text"], ed25519["text"]]


def test_rotation_overlaps(tool):
    tool("domain", "add", "example.org")
    rsa, ed25519 = states(tool)
    tool("domain", "dkim-rotate", "example.org")
    assert states(tool) == {rsa: "active", ed25519: "active", f"{rsa}2": "next", f"{ed25519}2": "next"}
    assert "wait to be activated" in tool("domain", "dkim-rotate", "example.org", code=5)
    tool("domain", "dkim-activate", "example.org", f"{rsa}2")
    assert states(tool) == {rsa: "retired", ed25519: "active", f"{rsa}2": "active", f"{ed25519}2": "next"}
    tool("domain", "dkim-activate", "example.org")
    assert states(tool) == {rsa: "retired", ed25519: "retired", f"{rsa}2": "active", f"{ed25519}2": "active"}
    assert "no key waits" in tool("domain", "dkim-activate", "example.org", code=5)
    assert "at a time" in tool("domain", "dkim-activate", "example.org", rsa, f"{rsa}2", code=5)
    assert "it signs" in tool("domain", "dkim-remove", "example.org", f"{rsa}2", "--yes", code=5)
    tool("domain", "dkim-remove", "example.org", rsa, "--yes")
    tool("domain", "dkim-retire", "example.org", f"{ed25519}2")
    assert states(tool) == {ed25519: "retired", f"{rsa}2": "active", f"{ed25519}2": "retired"}
    assert "no key has the selector" in tool("domain", "dkim-retire", "example.org", rsa, code=3)


def test_a_domain_of_the_configuration_gets_keys_when_asked(tool):
    assert keys(tool, "mailnode.test") == []
    made = json.loads(tool("domain", "dkim-rotate", "mailnode.test", "--json"))
    assert [key["state"] for key in made] == ["active", "active"]
    assert "no such domain" in tool("domain", "dkim", "nowhere.test", code=3)
