"""A configuration is compared, tried out, and put back by itself, in every process, also when the server is killed meanwhile."""

import json
import stat
import time

import pytest
from servers import wait_for
from worker_servers import Workers


@pytest.fixture(params=[1, 2])
def node(request, tmp_path):
    server = Workers(tmp_path, request.param, extra="[limits]\nmessage_size = 10000\n")
    server.start()
    try:
        yield server
    finally:
        assert server.stop() == 0
        assert not [line for line in server.process.lines if "Traceback" in line]


def write(node, size, more=""):
    before = node.config.read_text()
    old = next(line for line in before.splitlines() if line.startswith("message_size"))
    node.config.write_text(before.replace(old, f"message_size = {size}") + more)


def sizes(node):
    """Return the sizes that all processes offer: connections go round."""
    found = set()
    for index in range(node.workers):
        with node.only(index), node.connect(index) as client:
            client.ehlo()
            found.add(client.esmtp_features["size"])
    return found


def states(node):
    told = json.loads(node.ctl("config", "versions", "--json").stdout)
    return [(one["version"], one["how"], one["state"].partition(" 20")[0]) for one in told]


def test_a_trial_that_nobody_confirms_and_one_that_stays(node):
    write(node, 20000)
    text = node.ctl("config", "diff").stdout
    assert text == "limits.message_size\n    running: 10000\n    other:   20000\n"
    told = node.ctl("config", "apply", "--confirm", "2s").stdout
    assert "applied: limits.message_size\n" in told and "mailnode config confirm" in told
    assert sizes(node) == {"20000"}
    node.wait_event("config.rolled_back")
    wait_for(lambda: sizes(node) == {"10000"}, "the size before, in each process")
    assert states(node) == [(1, "start", "in use"), (2, "trial", "rolled back")]
    node.ctl("reload")
    assert sizes(node) == {"10000"}

    node.ctl("config", "apply", "--confirm", "10m")
    assert "version 3 stays" in node.ctl("config", "confirm").stdout
    assert node.ctl("config", "confirm", check=False).returncode == 1
    assert sizes(node) == {"20000"}
    assert "running: 20000" in node.ctl("config", "diff", "--with", "1").stdout
    kept = node.data / "config-versions"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in kept.iterdir()} == {0o600}


def test_a_server_that_is_killed_during_a_trial_starts_with_what_was_before(node):
    write(node, 20000)
    node.ctl("config", "apply", "--confirm", "1s")
    node.kill()
    time.sleep(1)  # the time is over, and nobody was there
    node.start()
    assert sizes(node) == {"10000"}
    assert states(node) == [(1, "start", "in use"), (2, "trial", "rolled back")]
    assert node.events("config.rolled_back")
    write(node, 30000)
    node.ctl("reload")
    assert sizes(node) == {"30000"}


def test_a_mistake_is_told_and_nothing_is_tried(node):
    write(node, 20000, "[nonesuch]\n")
    done = node.ctl("config", "apply", "--confirm", "1s", check=False)
    assert done.returncode == 1 and "nothing was taken over" in done.stderr and "nonesuch" in done.stderr
    assert node.ctl("config", "diff", check=False).returncode == 1
    assert sizes(node) == {"10000"} and states(node) == [(1, "start", "in use")]
