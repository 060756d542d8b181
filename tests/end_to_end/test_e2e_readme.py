"""The README's first command on a machine that has only Python: install, start, send and read with the printed lines."""

import json
import re
import subprocess
import sys

import pytest
from servers import ROOT, Process, free_port, program, wait_for

PORTS = {"smtp", "submission", "imap", "pop3", "managesieve", "http"}


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A fresh virtual environment with mailnode installed from a copy of the checkout."""
    folder = tmp_path_factory.mktemp("fresh")
    files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    names = files.stdout.split("\n") if files.returncode == 0 else []
    source = folder / "checkout"
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run([sys.executable, "-m", "venv", ".venv"], cwd=source, check=True, timeout=120)
    subprocess.run([".venv/bin/pip", "install", "-q", "."], cwd=source, check=True, timeout=600)
    return source


def test_the_first_command(environment):
    offset = str(free_port() % 7000 + 8000)
    server = Process(
        [".venv/bin/twistd", "-n", "mailnode", "--port-offset", offset], cwd=environment, env={"PATH": "/usr/bin:/bin"}
    )
    try:
        server.wait_line("Ctrl-C ends it.")
        shown = subprocess.run(
            [".venv/bin/mailnode", "--data", "mailnode-data", "demo", "--json"],
            cwd=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        demo = json.loads(shown.stdout)
        assert {entry["address"] for entry in demo["accounts"]} == {"alice@mailnode.test", "bob@mailnode.test"}
        assert {entry["protocol"] for entry in demo["listeners"]} == PORTS
        assert {entry["tls"] for entry in demo["listeners"]} == {"none", "starttls", "implicit"}
        screen = "\n".join(server.lines)
        for entry in demo["accounts"]:
            assert entry["address"] in screen and entry["password"] in screen
        program("curl")
        lines = [re.sub(r"^\W*", "", line) for line in server.lines if re.search(r"(^|\s)curl ", line)]
        assert len(lines) == 2
        send, read = (line[line.index("curl ") :] for line in lines)
        subprocess.run(["bash", "-c", send], cwd=environment, check=True, capture_output=True, timeout=60)

        def arrived():
            done = subprocess.run(["bash", "-c", read], cwd=environment, capture_output=True, timeout=60)
            return done.returncode == 0 and done.stdout

        assert b"Subject: " in wait_for(arrived, "the message")
    finally:
        assert server.stop() == 0
    assert (environment / "mailnode-data").is_dir()
