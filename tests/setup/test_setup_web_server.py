"""A web server that was there before: found, told what it needs, and seen to do it."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from mailnode.interfaces.setup import ProgramRan
from mailnode.net.self_signed import write_self_signed
from mailnode.setup.items import web_server
from mailnode.setup.runner import go_through
from mailnode.setup.web_snippets import SNIPPETS, WebPlaces
from mailnode.values.item import ItemState

NGINX = 'LISTEN 0      511          0.0.0.0:80        0.0.0.0:*    users:(("nginx",pid=1,fd=6))\n'


def run(world):
    [found] = go_through([replace(web_server.ITEM, needs=())], world.around())
    return found


@pytest.mark.parametrize(
    "listening",
    [
        "",
        NGINX.replace(":80 ", ":8080 "),
        NGINX.replace("nginx", "twistd"),
        'LISTEN 0 5 [::]:25 [::]:* users:(("master",pid=1',
    ],
)
def test_nobody_there(world, listening):
    world.machine.results["ss"] = ProgramRan(0, listening, "")
    assert run(world).state is ItemState.SKIPPED


def test_it_is_found_told_and_seen(world):
    world.machine.results["ss"] = ProgramRan(0, NGINX, "")
    found = run(world)
    snippet = world.places.config.parent / "web/nginx.conf"
    assert found.state is ItemState.TO_DO and str(snippet) in found.mend and "nginx has ports" in found.seen
    assert "/metrics" not in snippet.read_text()
    world.machine.page = b"mailnode-setup\n"
    assert run(world).state is ItemState.DONE


def test_port_443_comes_when_there_is_a_certificate(world):
    world.machine.results["ss"] = ProgramRan(0, NGINX, "")
    world.given["acme"] = "yes"
    world.machine.page = b"mailnode-setup\n"
    assert run(world).state is ItemState.DONE
    snippet = world.places.config.parent / "web/nginx.conf"
    assert "ssl_certificate" not in snippet.read_text()
    (world.places.data / "acme").mkdir(parents=True)
    (world.places.data / "acme/ecdsa.pem").write_text("")
    found = run(world)
    assert found.state is ItemState.TO_DO and "mta-sts.example.org over https" in found.seen
    assert "ssl_certificate" in snippet.read_text()
    world.machine.secure_page = b"version: STSv1\r\n"
    assert run(world).state is ItemState.DONE


def test_one_that_is_not_known_gets_what_all_of_them_need(world):
    world.machine.results["ss"] = ProgramRan(0, NGINX.replace("nginx", "lighttpd"), "")
    run(world)
    names = {path.name for path in (world.places.config.parent / "web").iterdir()}
    assert names == {"nginx.conf", "apache.conf", "caddy.conf"}


def test_what_the_server_gets_is_where_the_snippets_say(world):
    from mailnode.acme.files import certificate_file
    from mailnode.setup.items.certificate import certificate_files

    world.given["acme"] = "yes"
    assert set(certificate_files(world.around())) == {certificate_file(world.places.data / "acme", "ecdsa")}


def places(tmp_path):
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    write_self_signed(certificate, key, ["mail.example.org"], 1_790_000_000.0)
    return WebPlaces("mail.example.org", ("example.org", "example.net"), tmp_path / "webroot", certificate, key, True)


@pytest.mark.parametrize("folder", ["plain", 'odd ;{"# folder'])
def test_nginx_takes_the_snippet(tmp_path, folder):
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    if nginx is None:
        pytest.skip("nginx is not installed")
    odd = tmp_path / folder
    odd.mkdir()
    whole = tmp_path / "nginx.conf"
    whole.write_text(f"pid {tmp_path}/pid;\nevents {{}}\nhttp {{\n{SNIPPETS['nginx'](places(odd))}}}\n")
    done = subprocess.run([nginx, "-t", "-c", whole, "-p", tmp_path], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 or "bind()" in done.stderr, done.stderr


def test_every_snippet_has_all_names_and_no_page_that_is_for_us_alone(tmp_path):
    for name, snippet in SNIPPETS.items():
        text = snippet(places(tmp_path))
        for host in ("mail", "mta-sts", "autoconfig", "autodiscover"):
            assert f"{host}.example.org" in text, (name, host)
            assert host == "mail" or f"{host}.example.net" in text, (name, host)
        assert "/health" not in text and "/metrics" not in text and Path(tmp_path / "webroot").name in text
